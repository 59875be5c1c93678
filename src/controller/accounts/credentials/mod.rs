//! Where the credentials of an account come from: one file for each source.
//!
//! | file | fields of `credentials` |
//! |---|---|
//! | `secret` | `passwordSecretRef`, `accessKeySecretRef`, `tokenSecretRef` |
//! | `service_account` | `workloadIdentity` |
//! | `agency` | `instanceAgency`, `podIdentity` |

mod agency;
mod obtained;
mod secret;
mod service_account;

use crate::{
    api::account::AccountCredentials,
    cloud::login::{Credentials, access_key::AccessKey, password::Password, token::Token},
    plan::account::{AccountError, AccountReason},
};
pub use obtained::{Obtained, Sources};

/// Obtains what an account names.
///
/// # Errors
/// It is not there, may not be read, or cannot be used.
pub async fn obtain(sources: Sources<'_>, named: &AccountCredentials) -> Result<Obtained, AccountError> {
    let AccountCredentials {
        password_secret_ref,
        access_key_secret_ref,
        token_secret_ref,
        workload_identity,
        instance_agency,
        pod_identity,
    } = named;
    let Sources { kubernetes, namespace, .. } = sources;
    let secrets = [password_secret_ref, access_key_secret_ref, token_secret_ref];
    if secrets.into_iter().flatten().any(|reference| !is_name(&reference.name)) {
        return Err(unnamed(AccountReason::SecretNotFound, "Secret", namespace));
    }
    if workload_identity.as_ref().is_some_and(|identity| !is_name(&identity.service_account_name)) {
        return Err(unnamed(AccountReason::ServiceAccountNotFound, "ServiceAccount", namespace));
    }
    if let Some(reference) = password_secret_ref {
        return secret::obtain(kubernetes, namespace, &reference.name, |values| Password::read(values).map(Credentials::Password)).await;
    }
    if let Some(reference) = access_key_secret_ref {
        return secret::obtain(kubernetes, namespace, &reference.name, |values| AccessKey::read(values).map(Credentials::AccessKey)).await;
    }
    if let Some(reference) = token_secret_ref {
        return secret::obtain(kubernetes, namespace, &reference.name, |values| Token::read(values).map(Credentials::Token)).await;
    }
    if let Some(identity) = workload_identity {
        return service_account::obtain(kubernetes, namespace, identity).await;
    }
    if instance_agency.is_some() {
        return agency::of_instance(sources).await;
    }
    if pod_identity.is_some() {
        return agency::of_pod(sources).await;
    }
    Err(AccountError::new(AccountReason::SecretInvalid, "spec.credentials is empty: set one of its fields"))
}

/// Whether a Kubernetes object can have this name. It becomes a part of a request's path as it is, and no name may lead to another namespace where something
/// on the way makes one path of another.
fn is_name(name: &str) -> bool {
    let is_inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    let is_edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    name.chars().all(is_inner) && name.starts_with(is_edge) && name.ends_with(is_edge)
}

fn unnamed(reason: AccountReason, kind: &str, namespace: &str) -> AccountError {
    AccountError::new(reason, format!("no {kind} can have the name in spec.credentials: write the name of one in namespace {namespace}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_object_of_one_namespace() {
        for name in ["a", "cloud-keys", "1", "otc.shared-2"] {
            assert!(is_name(name), "{name}");
        }
        for name in [
            "",
            ".",
            "..",
            "a/b",
            "../../operator/secrets/platform",
            "..%2f..%2foperator",
            "a?b",
            "a#b",
            "a b",
            "a\nb",
            "A",
            "-a",
            "a.",
            "ä",
        ] {
            assert!(!is_name(name), "{name}");
        }
    }
}
