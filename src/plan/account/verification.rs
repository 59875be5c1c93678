//! What a verification of an account shows.

use super::reason::AccountReason;
use crate::{
    cloud::{codes::Class, errors::Error},
    plan::place::Project,
};

/// Why an account cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct AccountError {
    /// The reason to report.
    pub reason: AccountReason,
    /// One line that a person can act on.
    pub message: String,
    /// What an earlier message of the same error has in it, too; empty where messages do not differ from time to time.
    token: String,
}

impl AccountError {
    /// An error with a reason and what to do about it.
    pub fn new(reason: AccountReason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), token: String::new() }
    }

    /// The same error as before, if it is: its message holds the id of one request, and another one's is no news to all the backups of the account.
    #[must_use]
    pub fn unless_as(self, before: Option<&Verification>) -> Self {
        match before {
            Some(Err(before)) if before.reason == self.reason && before.token == self.token && !self.token.is_empty() => before.clone(),
            _ => self,
        }
    }
}

impl AccountError {
    /// The same error under a reason, with what to look at first in front of its words, since a message is cut at its end.
    #[must_use]
    pub fn told(self, reason: AccountReason, hint: &str) -> Self {
        Self { reason, message: format!("{hint}: {}", self.message), token: format!("{hint}: {}", self.token) }
    }
}

impl From<&Error> for AccountError {
    fn from(error: &Error) -> Self {
        let reason = match error.class() {
            Class::Unauthenticated | Class::Invalid => AccountReason::AuthenticationFailed,
            Class::Forbidden => AccountReason::AccessDenied,
            Class::Misconfigured | Class::Unsupported => AccountReason::EndpointMisconfigured,
            _ => AccountReason::CloudUnavailable,
        };
        Self { token: error.token(), ..Self::new(reason, error.to_string()) }
    }
}

/// What the account's last verification showed.
pub type Verification = Result<Access, AccountError>;

/// What an account that can be used gives access to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// Where it points.
    pub project: Project,
    /// Why IAM could not be asked, where the account can be used without; absent once it was.
    pub unverified: Option<String>,
}

/// What an account comes to that needs nothing of IAM (keys or a given token, and a project) and that IAM did not verify. It is used all the same where IAM
/// was not asked, or its answer says nothing of the credentials; not once a service has refused them. The words of `before` stay while it is the same.
pub fn unverified(project: Project, error: AccountError, refused: bool, before: Option<&Verification>) -> Verification {
    match before {
        _ if !error.reason.says_nothing_of_credentials() => Err(error),
        _ if refused => {
            let message =
                format!("a service of the cloud refused the credentials, and IAM could not be asked about them: {}", error.message);
            Err(AccountError { reason: AccountReason::AuthenticationFailed, message, ..error }.unless_as(before))
        }
        Some(Ok(access)) if access.unverified.is_some() => Ok(access.clone()),
        _ => Ok(Access { project, unverified: Some(error.message) }),
    }
}
