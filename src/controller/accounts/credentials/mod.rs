//! Where the credentials of an account come from: one file for each source.
//!
//! | file | fields of `credentials` |
//! |---|---|
//! | `secret` | `passwordSecretRef`, `accessKeySecretRef`, `tokenSecretRef` |

mod obtained;
mod secret;

use crate::{
    api::account::AccountCredentials,
    cloud::login::{Credentials, access_key::AccessKey, password::Password, token::Token},
    plan::account::{AccountError, AccountReason},
};
use kube::Client;
pub use obtained::Obtained;

/// Obtains what an account names; `namespace` is that of its Secrets.
///
/// # Errors
/// It is not there, may not be read, or cannot be used.
pub async fn obtain(client: &Client, namespace: &str, named: &AccountCredentials) -> Result<Obtained, AccountError> {
    let AccountCredentials { password_secret_ref, access_key_secret_ref, token_secret_ref } = named;
    if let Some(reference) = password_secret_ref {
        return secret::obtain(client, namespace, &reference.name, |values| Password::read(values).map(Credentials::Password)).await;
    }
    if let Some(reference) = access_key_secret_ref {
        return secret::obtain(client, namespace, &reference.name, |values| AccessKey::read(values).map(Credentials::AccessKey)).await;
    }
    if let Some(reference) = token_secret_ref {
        return secret::obtain(client, namespace, &reference.name, |values| Token::read(values).map(Credentials::Token)).await;
    }
    Err(AccountError::new(AccountReason::SecretInvalid, "spec.credentials is empty: set one of its fields"))
}
