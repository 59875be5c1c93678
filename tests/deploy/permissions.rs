//! The operator's roles: exactly the rights that `controller::checks::permissions` lists. `tests/system/rights.rs` compares those with what it does.

use crate::render::{RELEASE, objects, of_kind};
use database_backup_operator::{
    cloud::endpoints::EndpointPolicy,
    controller::{
        checks::permissions::{LeaseName, used},
        context::Options,
    },
    plan::{backup::description::ClusterName, settings::Settings},
};
use serde_json::Value;
use std::{collections::BTreeSet, time::Duration};

/// Namespace (`*`: all, or none), group, resource, name, verb.
type Grant = (String, String, String, String, String);

/// What the roles that are bound to the operator grant.
fn granted(rendered: &[Value]) -> BTreeSet<Grant> {
    let mut grants = BTreeSet::new();
    for kind in ["Role", "ClusterRole"] {
        for binding in of_kind(rendered, &format!("{kind}Binding")) {
            let namespace = binding["metadata"]["namespace"].as_str().unwrap_or("*");
            let is_it = |role: &&&Value| {
                role["metadata"]["name"] == binding["roleRef"]["name"] && role["metadata"]["namespace"] == binding["metadata"]["namespace"]
            };
            let role = *of_kind(rendered, kind).iter().find(is_it).expect("the role of the binding");
            for rule in role["rules"].as_array().expect("rules") {
                let texts = |field: &str| -> Vec<String> {
                    let listed =
                        rule[field].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>();
                    if listed.is_empty() { vec!["*".into()] } else { listed }
                };
                for group in texts("apiGroups") {
                    for resource in texts("resources") {
                        for name in texts("resourceNames") {
                            for verb in texts("verbs") {
                                grants.insert((namespace.to_owned(), group.clone(), resource.clone(), name.clone(), verb));
                            }
                        }
                    }
                }
            }
        }
    }
    grants
}

/// What the operator does with the flags of a rendering.
fn needed(namespaces: &[&str], cluster: bool) -> BTreeSet<Grant> {
    let second = Duration::from_secs(1);
    let options = Options {
        namespaces: namespaces.iter().map(ToString::to_string).collect(),
        settings: Settings {
            poll_interval: second,
            settle_delay: second,
            resync_interval: second,
            blocked_grace: second,
            gone_after: second,
            retry_backoff: second,
        },
        cluster_resource_namespace: RELEASE.into(),
        endpoint_policy: EndpointPolicy::default(),
        cluster_name: ClusterName::default(),
    };
    let lease = LeaseName { namespace: RELEASE.into(), name: RELEASE.into() };
    let any = |text: Option<String>| text.unwrap_or_else(|| "*".into());
    used(&options, Some(&lease))
        .into_iter()
        .map(|permission| {
            (any(permission.namespace), permission.group.into(), permission.resource.into(), any(permission.name), permission.verb.into())
        })
        .filter(|(namespace, ..)| cluster || namespace != "*")
        .collect()
}

#[test]
fn the_roles_grant_what_is_used_and_nothing_else() {
    assert_eq!(granted(&objects(&[])), needed(&[], true));
}

#[test]
fn with_namespaces_to_watch_there_are_roles_only_and_they_grant_what_is_used_there_and_nothing_else() {
    let rendered = objects(&["--set", "operator.watchNamespaces={shop,billing},crds.enabled=false"]);
    assert!(rendered.iter().all(|object| !object["kind"].as_str().is_some_and(|kind| kind.starts_with("Cluster"))));
    assert_eq!(granted(&rendered), needed(&["shop", "billing"], false));
}

#[test]
fn without_every_secret_there_is_a_role_for_the_one_namespace_and_one_to_bind_elsewhere() {
    let rendered = objects(&["--set", "rbac.allSecrets=false,operator.clusterResourceNamespace=accounts"]);
    let mut expected = needed(&[], true);
    let secrets = |namespace: &str| (namespace.to_owned(), String::new(), "secrets".to_owned(), "*".to_owned(), "get".to_owned());
    assert!(expected.remove(&secrets("*")));
    expected.insert(secrets("accounts"));
    assert_eq!(granted(&rendered), expected);
    assert!(of_kind(&rendered, "ClusterRole").iter().any(|role| role["metadata"]["name"] == format!("{RELEASE}-secrets")));
}
