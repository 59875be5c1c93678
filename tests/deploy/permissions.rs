//! The operator's roles: exactly the rights that `controller::checks::permissions` lists. `tests/system/rights.rs` compares those with what it does.

use crate::render::{RELEASE, objects, of_kind, parse, path, template};
use database_backup_operator::{
    cloud::{client::agents::AgencyOptions, endpoints::EndpointPolicy},
    controller::{
        checks::permissions::{LeaseName, used},
        context::Options,
    },
    plan::{backup::description::ClusterName, settings::Settings},
};
use serde_json::{Value, json};
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
        agencies: AgencyOptions::default(),
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

/// The ServiceAccounts whose tokens a rendering lets the operator request, as it has to grant them: one Role for each namespace. The right is not among those that
/// `used` lists, since no account needs it unless it has workload identity.
const SERVICE_ACCOUNTS: &str = "workloadIdentity.serviceAccounts={shop/reports,shop/backups,billing/backups.prod,shop/reports}";

fn tokens() -> BTreeSet<Grant> {
    let of = |(namespace, name): (&str, &str)| {
        (namespace.to_owned(), String::new(), "serviceaccounts/token".to_owned(), name.to_owned(), "create".to_owned())
    };
    [("billing", "backups.prod"), ("shop", "backups"), ("shop", "reports")].map(of).into()
}

#[test]
fn tokens_may_be_requested_of_the_service_accounts_that_are_named_and_the_rest_stays_as_it_was() {
    for (set, namespaces, cluster) in
        [("crds.enabled=true", &[][..], true), ("operator.watchNamespaces={shop,billing}", &["shop", "billing"][..], false)]
    {
        let rendered = objects(&["--set", set, "--set", SERVICE_ACCOUNTS]);
        let expected: BTreeSet<Grant> = needed(namespaces, cluster).union(&tokens()).cloned().collect();
        assert_eq!(granted(&rendered), expected, "{set}");
    }
    let narrow = ["--set", "rbac.allSecrets=false"];
    let expected: BTreeSet<Grant> = granted(&objects(&narrow)).union(&tokens()).cloned().collect();
    assert_eq!(granted(&objects(&[&narrow[..], &["--set", SERVICE_ACCOUNTS]].concat())), expected);
}

#[test]
fn each_namespace_has_one_role_and_one_binding_for_tokens_whose_names_are_sorted_and_stand_once() {
    let rendered = objects(&["--set", SERVICE_ACCOUNTS, "--set", "namespaceOverride=platform,serviceAccount.name=robot"]);
    let name = format!("{RELEASE}-tokens");
    let named = |kind: &str| -> Vec<&Value> {
        of_kind(&rendered, kind).into_iter().filter(|object| object["metadata"]["name"] == name.as_str()).collect()
    };
    let rules = |names: &[&str]| json!([{ "apiGroups": [""], "resources": ["serviceaccounts/token"], "resourceNames": names, "verbs": ["create"] }]);
    let roles: Vec<_> = named("Role").iter().map(|role| (role["metadata"]["namespace"].clone(), role["rules"].clone())).collect();
    assert_eq!(roles, [(json!("billing"), rules(&["backups.prod"])), (json!("shop"), rules(&["backups", "reports"]))]);
    let bindings = named("RoleBinding");
    let places: Vec<&Value> = bindings.iter().map(|binding| &binding["metadata"]["namespace"]).collect();
    assert_eq!(places, ["billing", "shop"]);
    for binding in bindings {
        assert_eq!(binding["roleRef"], json!({ "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name }));
        assert_eq!(binding["subjects"], json!([{ "kind": "ServiceAccount", "name": "robot", "namespace": "platform" }]));
    }
}

/// The rules of a rendering that grant something about tokens, in which kind of role each stands, and whether each names whom it is about.
fn about_tokens(rendered: &[Value]) -> Vec<(String, bool)> {
    let mut found = Vec::new();
    for kind in ["Role", "ClusterRole"] {
        for rule in of_kind(rendered, kind).into_iter().flat_map(|role| role["rules"].as_array().expect("rules")) {
            let resources = rule["resources"].as_array().expect("resources");
            if resources
                .iter()
                .filter_map(Value::as_str)
                .any(|resource| ["serviceaccounts/token", "serviceaccounts/*", "*", "*/*", "*/token"].contains(&resource))
            {
                found.push((kind.to_owned(), rule["resourceNames"].as_array().is_some_and(|names| !names.is_empty())));
            }
        }
    }
    found
}

#[test]
fn no_rendering_grants_a_token_for_the_whole_cluster_or_of_a_service_account_that_is_not_named() {
    let values = std::fs::read_dir(path("deploy/helm/database-backup-operator/ci")).expect("ci/").map(|file| file.expect("a file").path());
    let mut with_rules = 0;
    for file in values {
        for more in [&[][..], &["--set", SERVICE_ACCOUNTS], &["--set", SERVICE_ACCOUNTS, "--set", "operator.watchNamespaces={shop}"]] {
            let rendered = objects(&[&["-f", &file.display().to_string()], more].concat());
            let found = about_tokens(&rendered);
            assert!(found.iter().all(|rule| *rule == ("Role".to_owned(), true)), "{}: {more:?}: {found:?}", file.display());
            with_rules += usize::from(!found.is_empty());
        }
    }
    assert!(with_rules > 4, "the rules are found: {with_rules}");
    let plain = std::fs::read_to_string(path("deploy/manifests/operator.yaml")).expect("the plain manifests");
    assert!(about_tokens(&parse(&plain)).is_empty(), "whoever uses them adds Roles of their own");
    let planted = json!({ "kind": "ClusterRole", "rules": [{ "resources": ["secrets", "serviceaccounts/token"] }] });
    assert_eq!(about_tokens(&[planted]), [("ClusterRole".to_owned(), false)], "a planted one is found");
}

/// Names of digits, and words that YAML may take for a Boolean, are names as good as others.
#[test]
fn names_that_look_like_numbers_stay_names() {
    let set = "operator.watchNamespaces={1e3},workloadIdentity.serviceAccounts={123/456},namespaceOverride=789,serviceAccount.name=10";
    let rendered = objects(&["--set-string", set, "--set", "crds.enabled=false"]);
    let mut places = BTreeSet::new();
    for object in &rendered {
        places.insert(object["metadata"]["namespace"].as_str().unwrap_or_else(|| panic!("{object}")));
        for subject in object["subjects"].as_array().into_iter().flatten() {
            assert_eq!((&subject["name"], &subject["namespace"]), (&json!("10"), &json!("789")), "{object}");
        }
    }
    assert_eq!(places, BTreeSet::from(["123", "1e3", "789"]));
    for (kind, path) in [("Deployment", "/spec/template/spec/serviceAccountName"), ("Pod", "/spec/serviceAccountName")] {
        assert_eq!(of_kind(&rendered, kind)[0].pointer(path), Some(&json!("10")), "{kind}");
    }
    let tokens = rendered.iter().find(|object| object["kind"] == "Role" && object["metadata"]["namespace"] == "123").expect("a Role");
    assert_eq!(tokens["rules"][0]["resourceNames"], json!(["456"]));
}

#[test]
fn without_rbac_no_token_may_be_requested() {
    let rendered = objects(&["--set", SERVICE_ACCOUNTS, "--set", "rbac.create=false"]);
    assert!(about_tokens(&rendered).is_empty() && of_kind(&rendered, "RoleBinding").is_empty());
}

#[test]
fn an_entry_that_names_no_single_service_account_is_refused_by_the_schema_and_by_the_templates() {
    let long = format!("{}/backups", "n".repeat(64));
    for entry in [
        "backups", "shop/", "/backups", "shop/*", "*/backups", "shop/backups/token", "Shop/backups", "shop/-b", "shop/b..c", "shop/b c",
        &long,
    ] {
        let set = format!("workloadIdentity.serviceAccounts={{shop/backups,{entry}}}");
        let said = template(&["--set", &set]).expect_err(entry);
        assert!(said.contains("/workloadIdentity/serviceAccounts/1"), "{entry}: {said}");
        // As charts are rendered by programs that do not know schemas, and with roles made by somebody else.
        for more in ["rbac.create=true", "rbac.create=false"] {
            let said = template(&["--skip-schema-validation", "--set", more, "--set", &set]).expect_err(entry);
            let expected = format!("workloadIdentity.serviceAccounts: {entry:?} is not NAMESPACE/NAME of one ServiceAccount");
            assert!(said.lines().any(|line| line.contains(&expected)), "{entry}: {said}");
        }
    }
    let said = template(&["--set", "workloadIdentity.serviceAccounts=shop/backups"]).expect_err("not a list");
    assert!(said.contains("/workloadIdentity/serviceAccounts"), "{said}");
}
