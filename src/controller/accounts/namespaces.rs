//! Which namespaces may use a cluster account.

use crate::{
    api::account::{AllowedNamespaces, NamespacesFrom},
    plan::account::AccountKey,
};
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client, ResourceExt,
    core::{Selector, SelectorExt},
};

/// Whether a cluster account may be used in a namespace.
pub enum Allowance {
    /// It may.
    Allowed,
    /// It may not.
    Denied,
    /// The operator may not read the namespace's labels. The text says what to do: without it nobody but the log would know.
    Unreadable(String),
}

/// Finds out whether an account may be used in a namespace.
///
/// # Errors
/// The API server failed, or did not answer.
pub async fn allowance(client: &Client, account: &AccountKey, rule: &AllowedNamespaces, namespace: &str) -> Result<Allowance, kube::Error> {
    match allows(client, rule, namespace).await {
        Ok(true) => Ok(Allowance::Allowed),
        Ok(false) => Ok(Allowance::Denied),
        Err(kube::Error::Api(refused)) if refused.is_forbidden() => Ok(Allowance::Unreadable(format!(
            "{account} selects namespaces, and the operator may not read the labels of {namespace}: grant it \"get\" on namespaces"
        ))),
        Err(error) => Err(error),
    }
}

/// Whether a cluster account allows a namespace. The namespace is read for its labels, and only where they matter.
async fn allows(client: &Client, rule: &AllowedNamespaces, namespace: &str) -> Result<bool, kube::Error> {
    let selector = match (rule.from, &rule.selector) {
        (NamespacesFrom::All, _) => return Ok(true),
        (NamespacesFrom::Selector, None) => return Ok(false),
        (NamespacesFrom::Selector, Some(selector)) => selector,
    };
    // The API server has checked the selector's form; one that cannot be read allows nobody.
    let Ok(selector) = Selector::try_from(selector.clone()) else { return Ok(false) };
    let found = Api::<Namespace>::all(client.clone()).get_opt(namespace).await?;
    Ok(found.is_some_and(|namespace| selector.matches(namespace.labels())))
}
