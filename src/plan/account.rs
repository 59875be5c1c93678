//! What is said of an account, and what that means for the backups that name it.

pub mod events;
mod memory;
mod reason;
mod users;

use super::{
    backup::seen::Account,
    clock::Moment,
    place::{Place, Project},
    settings::Settings,
};
use crate::{
    api::{
        account::CloudAccountStatus,
        backup::{AccountKind, AccountRef, DatabaseBackup},
        conditions::{self, Blocked, Verdict, types},
    },
    cloud::{codes::Class, errors::Error},
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::ResourceExt;
pub use memory::{AccountMemory, Login};
pub use reason::AccountReason;
pub use users::{Users, left_behind, needs_for_deletion};

/// Which account: its kind, its namespace (of the namespaced kind) and its name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountKey {
    /// Kind.
    pub kind: AccountKind,
    /// Namespace; absent for the cluster kind.
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
}

impl AccountKey {
    /// The account that a backup names.
    pub fn of(backup: &DatabaseBackup) -> Self {
        Self::named(&backup.spec.account_ref, &backup.namespace().unwrap_or_default())
    }

    /// The account that a reference names in a namespace.
    pub fn named(reference: &AccountRef, namespace: &str) -> Self {
        let namespace = (reference.kind == AccountKind::CloudAccount).then(|| namespace.to_owned());
        Self { kind: reference.kind, namespace, name: reference.name.clone() }
    }
}

impl std::fmt::Display for AccountKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.kind.as_str(), self.name)
    }
}

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
    let says_nothing = matches!(error.reason, AccountReason::CloudUnavailable | AccountReason::EndpointMisconfigured);
    match before {
        _ if !says_nothing => Err(error),
        _ if refused => {
            let message =
                format!("a service of the cloud refused the credentials, and IAM could not be asked about them: {}", error.message);
            Err(AccountError { reason: AccountReason::AuthenticationFailed, message, ..error }.unless_as(before))
        }
        Some(Ok(access)) if access.unverified.is_some() => Ok(access.clone()),
        _ => Ok(Access { project, unverified: Some(error.message) }),
    }
}

/// What is said while this machine's clock and the cloud's disagree, by the account and by what is not deleted for it.
pub const CLOCKS_DISAGREE: &str = "the operator's clock and the cloud's are more than 5 minutes apart: nothing is deleted until they agree; \
                                   set the clock of the operator's node";

/// The condition `ClockSkew`; absent while the clocks agree, or nothing is known of the cloud's.
fn clock_skew(before: &[Condition], generation: Option<i64>, cloud_now: Option<Timestamp>, now: Moment) -> Option<Condition> {
    cloud_now.filter(|cloud_now| !now.agrees_with(*cloud_now))?;
    let since =
        before.iter().find(|condition| condition.type_ == types::CLOCK_SKEW).map(|condition| condition.last_transition_time.clone());
    Some(Condition {
        type_: types::CLOCK_SKEW.into(),
        status: "True".into(),
        reason: "ClocksDisagree".into(),
        message: CLOCKS_DISAGREE.into(),
        observed_generation: generation,
        last_transition_time: since.unwrap_or_else(|| crate::plan::backup::status::stored(cloud_now.unwrap_or(now.wall))),
    })
}

/// What is seen of an account when its status is written.
#[derive(Clone, Copy, Debug)]
pub struct SeenAccount<'a> {
    /// What the last verification showed.
    pub verification: &'a Verification,
    /// What is remembered.
    pub memory: &'a AccountMemory,
    /// What was written last.
    pub before: Option<&'a CloudAccountStatus>,
    /// Generation of the spec.
    pub generation: Option<i64>,
    /// Who needs it; absent while not every object has been seen.
    pub users: Option<Users>,
    /// The cloud's time now, by its latest answer.
    pub cloud_now: Option<Timestamp>,
    /// The timing flags.
    pub settings: &'a Settings,
    /// Now.
    pub now: Moment,
}

/// The status after a verification. `lastVerifiedTime` moves only with something else that a verification shows, or once in a verification interval.
pub fn status(s: &SeenAccount<'_>) -> CloudAccountStatus {
    let fallback = CloudAccountStatus::default();
    let before = s.before.unwrap_or(&fallback);
    let (reason, message) = match s.verification {
        Ok(Access { project, unverified }) => {
            let to_what = format!("project {} in {}", project.project_id, project.region);
            match unverified {
                None => (AccountReason::Verified, format!("verified for {to_what}{}", s.memory.not_reached())),
                Some(why) => {
                    (AccountReason::Unverified, format!("used for {to_what} although IAM could not verify it, which it tries again: {why}"))
                }
            }
        }
        Err(error) => (error.reason, error.message.clone()),
    };
    let grace_over = s.memory.blocked.is_some_and(|blocked| blocked.grace_left(s.settings, s.now).is_zero());
    let blocked = if grace_over { Blocked::PastGrace } else { Blocked::WithinGrace };
    let verdict = Verdict { kstatus: reason.kstatus(), reason: reason.as_str(), message: &message };
    let mut next = CloudAccountStatus {
        observed_generation: s.generation.unwrap_or_default(),
        project_id: s.verification.as_ref().ok().map(|access| access.project.project_id.clone()).or(before.project_id.clone()),
        last_verified_time: before.last_verified_time.clone(),
        used_by: before.used_by,
        needed_for_deletion: before.needed_for_deletion,
        conditions: conditions::conditions(&before.conditions, verdict, blocked, s.generation, s.now.wall),
    };
    next.conditions.extend(clock_skew(&before.conditions, s.generation, s.cloud_now, s.now));
    if let Some(verified) = s.memory.verified.filter(|_| s.verification.as_ref().is_ok_and(|access| access.unverified.is_none())) {
        let is_old = |time: &Time| verified.since_wall(time.0) >= s.settings.verification_interval();
        if next != *before || before.last_verified_time.as_ref().is_none_or(is_old) {
            next.last_verified_time = Some(crate::plan::backup::status::stored(verified.wall));
        }
    }
    if let Some(users) = s.users {
        (next.used_by, next.needed_for_deletion) = (Some(count(users.all)), Some(count(users.for_deletion)));
    }
    next
}

fn count(users: usize) -> i32 {
    i32::try_from(users).unwrap_or(i32::MAX)
}

/// What a backup sees of its account. What a cluster account says of itself is for those who may read it; a backup says what is wrong and where more stands.
pub fn seen_by_backups(
    verification: &Verification,
    key: &AccountKey,
    credentials_generation: u64,
    endpoint: &str,
    cloud_now: Option<Timestamp>,
) -> Account {
    match verification {
        Ok(Access { project, .. }) => {
            let place = Place { project: project.clone(), endpoint: endpoint.to_owned() };
            Account::Ready { place, allowed: true, credentials_generation, cloud_now }
        }
        Err(error) => {
            let reason = error.reason.as_str();
            let message = match key.kind {
                AccountKind::CloudAccount => format!("{key} is not ready: {reason}: {}", error.message),
                AccountKind::ClusterCloudAccount => {
                    let what = error.reason.in_general();
                    format!("{key} is not ready: {reason}: {what}; whoever manages the account finds more in its status")
                }
            };
            Account::Blocked { reason: error.reason.for_backups(), message }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(kind: AccountKind, reason: AccountReason, message: &str) -> String {
        let namespace = (kind == AccountKind::CloudAccount).then(|| "shop".to_owned());
        let key = AccountKey { kind, namespace, name: "cloud".into() };
        match seen_by_backups(&Err(AccountError::new(reason, message)), &key, 1, "", None) {
            Account::Blocked { message, .. } => message,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_backup_says_what_its_own_namespaces_account_says() {
        let message = seen(AccountKind::CloudAccount, AccountReason::SecretNotFound, "there is no Secret shop/cloud: create it");
        assert_eq!(message, "CloudAccount cloud is not ready: SecretNotFound: there is no Secret shop/cloud: create it");
    }

    #[test]
    fn a_backup_of_a_cluster_account_tells_no_tenant_the_platforms_names() {
        for reason in [
            AccountReason::SecretNotFound,
            AccountReason::SecretForbidden,
            AccountReason::SecretInvalid,
            AccountReason::AuthenticationFailed,
            AccountReason::AccessDenied,
            AccountReason::ProjectNotFound,
            AccountReason::EndpointInsecure,
            AccountReason::EndpointMisconfigured,
            AccountReason::CloudUnavailable,
            AccountReason::SecretUnavailable,
        ] {
            let message = seen(AccountKind::ClusterCloudAccount, reason, "Secret operator/cloud of user backup-user at iam.corp.example");
            assert!(!["operator/cloud", "backup-user", "iam.corp"].iter().any(|name| message.contains(name)), "{message}");
            assert!(message.starts_with(&format!("ClusterCloudAccount cloud is not ready: {}: ", reason.as_str())), "{message}");
            assert!(
                message.ends_with("whoever manages the account finds more in its status") && message.chars().count() <= 256,
                "{message}"
            );
        }
    }
}
