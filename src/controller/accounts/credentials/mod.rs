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
