//! What is said of a login that was refused: the cloud names no field, so what to look at first is put in front of its words.

use super::credentials::Obtained;
use crate::{
    cloud::{
        errors::Error,
        login::{
            Credentials,
            identity::{LoginError, Target},
            workload_identity::WorkloadIdentity,
        },
        request::Operation,
    },
    plan::account::{AccountError, AccountReason},
};

/// What is known of a login before it is tried, without any secret.
pub struct Attempted {
    region: String,
    names_project: bool,
    is_password: bool,
    /// Of a workload identity: what IAM has to know.
    federated: Option<String>,
    blank_edges: Vec<&'static str>,
}

impl Attempted {
    /// A login at `target` with what was obtained.
    pub fn new(target: &Target, obtained: &Obtained) -> Self {
        Self {
            region: target.region.clone(),
            names_project: target.project_id.is_some(),
            is_password: matches!(obtained.credentials, Credentials::Password(_)),
            federated: match &obtained.credentials {
                Credentials::WorkloadIdentity(WorkloadIdentity { identity_provider, audience, subject, .. }) => Some(format!(
                    "check at IAM the identity provider {identity_provider}, its client id {audience}, its keys, and its rule for {subject}"
                )),
                _ => None,
            },
            blank_edges: obtained.blank_edges.clone(),
        }
    }

    /// Why the account cannot be used.
    pub fn failed(&self, error: &LoginError) -> AccountError {
        match error {
            LoginError::Cloud(error) => self.refused(error),
            LoginError::ProjectNotFound { found } => {
                let message = format!("IAM knows {found} projects named {} for these credentials: set spec.projectId", self.region);
                AccountError::new(AccountReason::ProjectNotFound, message)
            }
        }
    }

    fn refused(&self, error: &Error) -> AccountError {
        let refused = AccountError::from(error);
        let reason = refused.reason;
        let hints: Vec<String> = match reason {
            // A token is asked for in a project. IAM's own words come with a code; without one the address is wrong.
            // IAM does not know the provider, or not the project.
            AccountReason::EndpointMisconfigured if self.federated.is_some() && error.code().is_some() => {
                return refused.told(AccountReason::AuthenticationFailed, self.federated.as_deref().unwrap_or_default());
            }
            AccountReason::EndpointMisconfigured if error.operation == Operation::Token && error.code().is_some() => {
                return refused.told(AccountReason::ProjectNotFound, &self.project());
            }
            AccountReason::AuthenticationFailed if self.federated.is_some() => self.federated.iter().cloned().collect(),
            AccountReason::AuthenticationFailed => self.blanks().into_iter().chain(self.project_of_a_user()).collect(),
            // No rule lets the subject in, or what it grants does not reach the project: IAM's words are the same.
            AccountReason::AccessDenied if self.federated.is_some() => {
                self.federated.iter().cloned().chain(self.project_to_name()).collect()
            }
            AccountReason::AccessDenied => self.blanks().into_iter().chain(self.project_to_name()).collect(),
            _ => Vec::new(),
        };
        if hints.is_empty() { refused } else { refused.told(reason, &hints.join("; ")) }
    }

    /// Nobody sees it, and the cloud says only that the credentials are wrong.
    fn blanks(&self) -> Option<String> {
        let (keys, verb) = match self.blank_edges.as_slice() {
            [] => return None,
            [key] => (format!("key {key}"), "begins or ends"),
            keys => (format!("keys {}", keys.join(", ")), "begin or end"),
        };
        Some(format!("{keys} of the Secret {verb} with white space: set it anew"))
    }

    /// A user that may use a sub-project only is refused a token for the region's.
    fn project_of_a_user(&self) -> Option<String> {
        (self.is_password && !self.names_project).then(|| "check user and password, and set spec.projectId if it is a sub-project's".into())
    }

    /// Whoever names the project need not list any.
    fn project_to_name(&self) -> Option<String> {
        let what = if self.federated.is_some() {
            "or set spec.projectId if it is a sub-project's"
        } else if self.is_password {
            "set spec.projectId, since these credentials may not use the region's project"
        } else {
            "set spec.projectId, since these credentials may not list projects"
        };
        (!self.names_project).then(|| what.to_owned())
    }

    fn project(&self) -> String {
        if self.names_project {
            "correct spec.projectId".into()
        } else {
            format!("set spec.projectId, since there is no project {}", self.region)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::{
        iam,
        request::{Hints, Request},
    };
    use http::Method;

    fn attempted(is_password: bool, names_project: bool, blank_edges: &[&'static str]) -> Attempted {
        Attempted { region: "eu-de".into(), names_project, is_password, federated: None, blank_edges: blank_edges.to_vec() }
    }

    fn refusal(operation: Operation, status: u16) -> LoginError {
        let request = Request::new(&iam::API, operation, Method::GET, "/v3".into());
        let hints = Hints { request_id: Some("r-1".into()), ..Hints::default() };
        let body = format!("{{\"error\": {{\"code\": {status}, \"message\": \"no\"}}}}");
        LoginError::Cloud(Error::refused(&request, status, hints, body.as_bytes()))
    }

    #[test]
    fn a_refused_login_names_the_field_to_look_at_first() {
        use AccountReason::{AccessDenied, AuthenticationFailed, ProjectNotFound};
        for (attempted, error, reason, begin) in [
            (
                attempted(true, false, &[]),
                refusal(Operation::Token, 401),
                AuthenticationFailed,
                "check user and password, and set spec.projectId",
            ),
            (
                attempted(true, false, &[]),
                refusal(Operation::Token, 403),
                AccessDenied,
                "set spec.projectId, since these credentials may not use",
            ),
            (
                attempted(false, false, &[]),
                refusal(Operation::Projects, 403),
                AccessDenied,
                "set spec.projectId, since these credentials may not list",
            ),
            (
                attempted(true, false, &[]),
                refusal(Operation::Token, 404),
                ProjectNotFound,
                "set spec.projectId, since there is no project eu-de: IAM",
            ),
            (attempted(true, true, &[]), refusal(Operation::Token, 404), ProjectNotFound, "correct spec.projectId: IAM"),
            (
                attempted(false, true, &["accessKey"]),
                refusal(Operation::Projects, 401),
                AuthenticationFailed,
                "key accessKey of the Secret begins or ends with white space: set it anew: IAM",
            ),
            (
                attempted(true, true, &["domainName", "username"]),
                refusal(Operation::Token, 401),
                AuthenticationFailed,
                "keys domainName, username of the Secret begin or end with white space",
            ),
            (attempted(false, true, &[]), refusal(Operation::Projects, 401), AuthenticationFailed, "IAM answered"),
            (attempted(true, true, &[]), refusal(Operation::Token, 403), AccessDenied, "IAM answered"),
            (attempted(false, false, &["token"]), refusal(Operation::Projects, 503), AccountReason::CloudUnavailable, "IAM answered"),
        ] {
            let said = attempted.failed(&error);
            assert!(said.reason == reason && said.message.starts_with(begin) && said.message.ends_with("request r-1)"), "{said:?}");
            assert!(said.message.len() < 200, "{said:?}");
        }
    }

    #[test]
    fn a_refused_id_token_names_what_iam_has_to_know_of_the_cluster() {
        use AccountReason::{AccessDenied, AuthenticationFailed};
        let known = "check at IAM the identity provider p, its client id c, its keys, and its rule for s";
        let federated = |names_project: bool| Attempted { federated: Some(known.into()), ..attempted(false, names_project, &[]) };
        for (names_project, status, reason, begin) in [
            (false, 401, AuthenticationFailed, format!("{known}: IAM")),
            (false, 404, AuthenticationFailed, format!("{known}: IAM")),
            (false, 403, AccessDenied, format!("{known}; or set spec.projectId if it is a sub-project's: IAM")),
            (true, 403, AccessDenied, format!("{known}: IAM")),
        ] {
            let said = federated(names_project).failed(&refusal(Operation::Token, status));
            assert!(said.reason == reason && said.message.starts_with(&begin), "{said:?}");
        }
    }

    #[test]
    fn what_is_said_first_is_said_anew_once_it_is_mended() {
        let error = refusal(Operation::Projects, 401);
        let before = attempted(false, true, &["accessKey"]).failed(&error);
        let after = attempted(false, true, &[]).failed(&error);
        assert_eq!(after.clone().unless_as(Some(&Err(before.clone()))), after, "the white space is gone, and the key is still wrong");
        assert_eq!(before.clone().unless_as(Some(&Err(before.clone()))), before);
    }
}
