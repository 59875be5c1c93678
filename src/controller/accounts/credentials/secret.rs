//! From a Secret, read by its name; Secrets are neither listed nor watched.

use super::obtained::Obtained;
use crate::{
    cloud::login::{
        Credentials,
        secret::{SecretInvalid, Values, blank_edges},
    },
    controller::api_error::explained,
    plan::account::{AccountError, AccountReason},
};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client, ResourceExt};

/// Keys whose values never begin or end with white space; a password may.
const PLAIN_KEYS: [&str; 6] = ["accessKey", "secretKey", "securityToken", "token", "domainName", "username"];

/// Reads a Secret, and the credentials from its values with `read`.
pub(super) async fn obtain(
    client: &Client,
    namespace: &str,
    name: &str,
    read: fn(&Values) -> Result<Credentials, SecretInvalid>,
) -> Result<Obtained, AccountError> {
    let secret = get(client, namespace, name).await?;
    let version = format!("{}/{}", secret.uid().unwrap_or_default(), secret.resource_version().unwrap_or_default());
    let values: Values = secret.data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.0)).collect();
    let invalid = |error| AccountError::new(AccountReason::SecretInvalid, format!("Secret {namespace}/{name}: {error}"));
    Ok(Obtained { credentials: read(&values).map_err(invalid)?, version, blank_edges: blank_edges(&values, &PLAIN_KEYS) })
}

async fn get(client: &Client, namespace: &str, name: &str) -> Result<Secret, AccountError> {
    match Api::<Secret>::namespaced(client.clone(), namespace).get(name).await {
        Ok(secret) => Ok(secret),
        Err(kube::Error::Api(refused)) if refused.is_not_found() => {
            Err(AccountError::new(AccountReason::SecretNotFound, format!("there is no Secret {namespace}/{name}: create it")))
        }
        Err(kube::Error::Api(refused)) if refused.is_forbidden() => Err(AccountError::new(
            AccountReason::SecretForbidden,
            format!("the operator may not read Secret {namespace}/{name}: grant its ServiceAccount \"get\" on it"),
        )),
        Err(error) => {
            tracing::warn!(error = explained(&error), namespace, name, "a Secret could not be read");
            let message = format!("the Kubernetes API did not give Secret {namespace}/{name}; it is read again");
            Err(AccountError::new(AccountReason::SecretUnavailable, message))
        }
    }
}
