//! Which namespaces may use a cluster account.

use crate::api::account::{AllowedNamespaces, NamespacesFrom};
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client, ResourceExt,
    core::{Selector, SelectorExt},
};

/// Whether a cluster account allows a namespace. The namespace is read for its labels, and only where they matter.
pub async fn allows(client: &Client, rule: &AllowedNamespaces, namespace: &str) -> Result<bool, kube::Error> {
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
