//! Least privilege: the real operator with the rights of the chart's roles and no others, and the API server's record of what it did with them.

use crate::{
    scheduled::{EVERY_MINUTE, child, manifest, suspend},
    simulator::{DOMAIN, PASSWORD, USER},
    support::{
        api_proxy::{ApiProxy, Fault, Trouble},
        control_plane::Audit,
        eventually,
        helm::CHART,
    },
    world::{PATIENCE, World},
};
use database_backup_operator::api::status::Phase;
use serde_json::Value;
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Command,
};

/// Namespace and name of everything.
const NAME: &str = "database-backup-operator";
const AGENT: &str = "system:serviceaccount:database-backup-operator:database-backup-operator";

/// Group, resource, verb.
type Use = (String, String, String);

/// A world with the chart installed; its operator has the rights of the chart's ServiceAccount.
pub async fn installed(values: &[&str]) -> World {
    let mut world = World::bare(Audit::Everything).await;
    for namespace in ["operator", "elsewhere"] {
        world.plane.kubectl_ok(&["create", "namespace", namespace]).await;
    }
    let install = ["install", NAME, CHART, "--namespace", NAME, "--create-namespace"];
    world.plane.helm_ok(&[&install[..], values].concat()).await;
    world.plane.kubectl_ok(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"]).await;
    world.kubeconfig = world.plane.kubeconfig_for_service_account(NAME, NAME).await;
    world
}

/// Flags that say where everything is, as the chart's environment does.
const PLACES: [&str; 2] = ["--leader-elect=true", "--lease-namespace=database-backup-operator"];

/// The requests of the operator that were answered, and those that were refused.
fn requests(world: &World) -> (BTreeSet<Use>, Vec<String>) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (mut used, mut refused) = (BTreeSet::new(), Vec::new());
    for event in world.plane.audit_events() {
        let object = &event["objectRef"];
        if event["user"]["username"] != AGENT || object.is_null() {
            continue;
        }
        let (group, mut resource) = (text(&object["apiGroup"]), text(&object["resource"]));
        if object["subresource"].is_string() {
            resource = format!("{resource}/{}", text(&object["subresource"]));
        }
        if event["annotations"]["authorization.k8s.io/decision"] == "allow" {
            used.insert((group, resource, text(&event["verb"])));
        } else {
            refused.push(format!("{} {resource}.{group} in {:?}", text(&event["verb"]), object["namespace"]));
        }
    }
    (used, refused)
}

/// What the roles that are bound to the operator grant.
async fn granted(world: &World) -> BTreeSet<Use> {
    let mut granted = BTreeSet::new();
    let listed = world.plane.kubectl_ok(&["get", "roles,clusterroles,rolebindings,clusterrolebindings", "-A", "-o", "json"]).await;
    let listed: Value = serde_json::from_str(&listed).expect("JSON");
    let items = listed["items"].as_array().expect("items");
    let is_bound = |role: &Value| {
        items.iter().any(|binding| {
            binding["subjects"][0]["kind"] == "ServiceAccount"
                && binding["subjects"][0]["name"] == NAME
                && binding["roleRef"]["kind"] == role["kind"]
                && binding["roleRef"]["name"] == role["metadata"]["name"]
        })
    };
    for rule in items.iter().filter(|item| is_bound(item)).flat_map(|role| role["rules"].as_array().into_iter().flatten()) {
        let texts = |field: &str| rule[field].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
        for group in texts("apiGroups") {
            for resource in texts("resources") {
                granted.extend(texts("verbs").map(|verb| (group.clone(), resource.clone(), verb)));
            }
        }
    }
    granted
}

/// Runs `check` with the operator's rights: whether it succeeded, and what it said.
fn check(kubeconfig: &Path, args: &[&str]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_database-backup-operator"));
    let output = command.arg("check").args(PLACES).args(args).env("KUBECONFIG", kubeconfig).output().expect("it runs");
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

/// An account of a namespace, and its Secret. It cannot be verified: a namespaced account has no endpoints of its own.
async fn account_of_a_namespace(world: &World, namespace: &str) {
    world.secret_in(namespace, "password", &[("domainName", DOMAIN), ("username", USER), ("password", PASSWORD)]).await;
    let credentials = "credentials: {passwordSecretRef: {name: password}}";
    let account = format!(
        "{{apiVersion: dbbackup.dev/v1alpha1, kind: CloudAccount, metadata: {{name: default, namespace: {namespace}}}, \
         spec: {{cloud: OpenTelekomCloud, region: nowhere-1, {credentials}}}}}"
    );
    world.plane.apply(&account).await;
    world.plane.kubectl_ok(&["-n", namespace, "wait", "--for=condition=Reconciling", "--timeout=60s", "cloudaccount/default"]).await;
}

#[tokio::test]
async fn every_right_that_the_chart_grants_is_used_in_the_main_job_and_nothing_is_refused() {
    let mut world = installed(&[]).await;
    world.account("cloud", 1000).await;
    // Selecting namespaces by their labels needs to read those.
    let patch = r#"{"spec": {"allowedNamespaces": {"from": "Selector", "selector": {}}}}"#;
    world.plane.kubectl_ok(&["patch", "ccacct", "cloud", "--type=merge", "-p", patch]).await;
    world.cloud.add_instance("dcs", "i-1");
    // Two that fail: the second Event of a reason is a patch of the first.
    world.cloud.fail_next_backups(2, None);
    // A status write that is in conflict: the object is read anew then.
    let api = ApiProxy::start_with(&world.plane, &world.kubeconfig);
    // It does not stream lists: then pages are listed.
    api.inject(Fault::new(Trouble::Answer(422)).on("GET").containing("sendInitialEvents").always());
    for name in ["restricted", "minutes"] {
        api.inject(Fault::new(Trouble::Answer(409)).on("PUT").containing(&format!("/{name}/status")));
    }
    world.kubeconfig = api.kubeconfig().to_owned();
    world.start_operator_with(&PLACES);
    account_of_a_namespace(&world, "default").await;
    // The finalizer is a patch.
    world.plane.apply(&World::manifest("restricted", "DCS", "i-1", "deletionPolicy: Delete")).await;
    world.until_phase("restricted", Phase::Completed).await;
    world.plane.kubectl_ok(&["delete", "dbb", "restricted", "--timeout=60s"]).await;
    // A schedule makes a backup, and deletes the one before it.
    let of_it = |manifest: String| manifest.replace("i-dcs", "i-1");
    world.plane.apply(&of_it(child("minutes", "202601010000", "DCS", ""))).await;
    world.until_phase("minutes-202601010000", Phase::Completed).await;
    world.plane.apply(&of_it(manifest("minutes", EVERY_MINUTE, "DCS", "retention: {maxCount: 1}"))).await;
    world.until_gone("minutes-202601010000").await;
    suspend(&world, "minutes").await;
    let (succeeded, said) = check(&world.kubeconfig, &[]);
    assert!(succeeded && said.starts_with("ok: the definitions of "), "{said}");
    assert!(world.terminate_operator().await.success());
    let (mut used, refused) = requests(&world);
    assert_eq!(refused, [""; 0], "nothing is refused");
    // What `check` asks, which everybody may.
    used.retain(|(_, resource, _)| resource != "selfsubjectaccessreviews");
    assert_eq!(used, granted(&world).await, "used, and granted");
}

#[tokio::test]
async fn with_roles_only_it_serves_its_namespaces_and_says_that_cluster_accounts_cannot_be_used() {
    let definitions = concat!(env!("CARGO_MANIFEST_DIR"), "/crds");
    let mut world = World::bare(Audit::Everything).await;
    world.plane.kubectl_ok(&["apply", "-f", definitions]).await;
    world.plane.kubectl_ok(&["create", "namespace", "shop"]).await;
    let values = ["--set", "crds.enabled=false,operator.watchNamespaces={default,shop}"];
    world.plane.helm_ok(&[&["install", NAME, CHART, "--namespace", NAME, "--create-namespace"][..], &values].concat()).await;
    world.kubeconfig = world.plane.kubeconfig_for_service_account(NAME, NAME).await;
    let watch = "--watch-namespaces=default,shop";
    let flags: Vec<&str> = PLACES.into_iter().chain([watch]).collect();
    world.start_operator_with(&flags);
    account_of_a_namespace(&world, "shop").await;
    world.plane.apply(&World::manifest("blocked", "DCS", "i-1", "")).await;
    world.until_reason("blocked", "AccountKindUnavailable").await;
    eventually("ready", PATIENCE, async || match world.operator().get("/readyz").await {
        Ok((200, _)) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    let (succeeded, said) = check(&world.kubeconfig, &[watch]);
    assert!(
        succeeded && said.contains("note: it may not list clustercloudaccounts.dbbackup.dev: ClusterCloudAccounts cannot be used"),
        "{said}"
    );
    let (_, refused) = requests(&world);
    let asked_in_vain: BTreeSet<&str> = refused.iter().map(String::as_str).collect();
    let whole_cluster = ["list clustercloudaccounts.dbbackup.dev in Null", "get customresourcedefinitions.apiextensions.k8s.io in Null"];
    assert!(asked_in_vain.iter().all(|request| whole_cluster.contains(request)), "only what a Role cannot grant: {asked_in_vain:?}");
}

#[tokio::test]
async fn a_check_names_each_right_and_each_definition_that_is_missing() {
    let world = World::without_operator().await;
    world.plane.kubectl_ok(&["create", "serviceaccount", "nobody"]).await;
    let nobody: PathBuf = world.plane.kubeconfig_for_service_account("default", "nobody").await;
    let (succeeded, said) = check(&nobody, &["--watch-namespaces=shop"]);
    assert!(!succeeded);
    for expected in [
        "problem: it may not update databasebackups/status.dbbackup.dev in namespace shop",
        "problem: it may not update leases.coordination.k8s.io \"database-backup-operator\" in namespace database-backup-operator",
        "note: it may not create events.events.k8s.io in namespace shop: no Events are written",
        "the operator cannot work: see the ",
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    world.plane.kubectl_ok(&["delete", "crd", "cloudaccounts.dbbackup.dev"]).await;
    let (succeeded, said) = check(world.plane.kubeconfig(), &[]);
    assert!(!succeeded && said.contains("problem: CRD cloudaccounts.dbbackup.dev is not installed"), "{said}");
}

#[tokio::test]
async fn people_get_what_their_role_in_the_namespace_says_and_never_a_status() {
    let world = installed(&[]).await;
    if let Err(missing) = world.plane.start_controllers() {
        panic!("{missing}");
    }
    for role in ["view", "edit", "admin"] {
        world.plane.kubectl_ok(&["create", "rolebinding", role, &format!("--clusterrole={role}"), &format!("--user={role}")]).await;
    }
    let accounts = format!("--clusterrole={NAME}-accounts");
    world.plane.kubectl_ok(&["create", "rolebinding", "accounts", &accounts, "--user=accounts"]).await;
    for role in ["accounts", "cluster-accounts"] {
        let (name, role, user) =
            (format!("everywhere-{role}"), format!("--clusterrole={NAME}-{role}"), format!("--user=everywhere-{role}"));
        world.plane.kubectl_ok(&["create", "clusterrolebinding", &name, &role, &user]).await;
    }
    let may = async |user: &str, verb: &str, resource: &str| {
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        let args = ["auth", "can-i", verb, resource, "--subresource", subresource, "--as", user];
        let output = world.plane.kubectl(&args).await.expect("kubectl runs");
        String::from_utf8_lossy(&output.stdout).trim() == "yes"
    };
    eventually("the roles are aggregated", PATIENCE, async || {
        if may("view", "list", "databasebackups.dbbackup.dev").await { Ok(()) } else { Err("not yet".into()) }
    })
    .await;
    for (user, verb, resource, allowed) in [
        ("view", "get", "cloudaccounts.dbbackup.dev", true),
        ("view", "create", "databasebackups.dbbackup.dev", false),
        ("edit", "create", "databasebackups.dbbackup.dev", true),
        ("edit", "delete", "databasebackups.dbbackup.dev", true),
        ("edit", "deletecollection", "databasebackups.dbbackup.dev", false),
        ("edit", "create", "cloudaccounts.dbbackup.dev", false),
        ("view", "get", "databasebackupschedules.dbbackup.dev", true),
        ("view", "create", "databasebackupschedules.dbbackup.dev", false),
        ("edit", "update", "databasebackupschedules.dbbackup.dev", true),
        ("edit", "deletecollection", "databasebackupschedules.dbbackup.dev", false),
        ("admin", "deletecollection", "databasebackupschedules.dbbackup.dev", true),
        ("accounts", "create", "databasebackupschedules.dbbackup.dev", false),
        ("admin", "deletecollection", "databasebackups.dbbackup.dev", true),
        ("admin", "create", "cloudaccounts.dbbackup.dev", false),
        ("accounts", "create", "cloudaccounts.dbbackup.dev", true),
        ("accounts", "create", "databasebackups.dbbackup.dev", false),
        ("everywhere-accounts", "create", "cloudaccounts.dbbackup.dev", true),
        ("everywhere-accounts", "create", "clustercloudaccounts.dbbackup.dev", false),
        ("everywhere-accounts", "patch", "clustercloudaccounts.dbbackup.dev", false),
        ("everywhere-cluster-accounts", "create", "clustercloudaccounts.dbbackup.dev", true),
        ("everywhere-cluster-accounts", "create", "cloudaccounts.dbbackup.dev", false),
    ] {
        assert_eq!(may(user, verb, resource).await, allowed, "{user} {verb} {resource}");
    }
    let operator = format!("system:serviceaccount:{NAME}:{NAME}");
    assert!(may(&operator, "update", "databasebackups.dbbackup.dev/status").await, "the operator may");
    for user in ["view", "edit", "admin", "accounts", "everywhere-accounts", "everywhere-cluster-accounts"] {
        for kind in ["databasebackups", "databasebackupschedules", "cloudaccounts", "clustercloudaccounts"] {
            for verb in ["update", "patch"] {
                assert!(!may(user, verb, &format!("{kind}.dbbackup.dev/status")).await, "{user} {verb} {kind}/status");
            }
        }
    }
}

#[tokio::test]
async fn a_right_that_is_missing_for_a_selector_is_said_on_the_backup_and_once_granted_it_goes_on() {
    let mut world = installed(&[]).await;
    world.account("cloud", 1000).await;
    let selector = r#"{"spec": {"allowedNamespaces": {"from": "Selector", "selector": {}}}}"#;
    world.plane.kubectl_ok(&["patch", "ccacct", "cloud", "--type=merge", "-p", selector]).await;
    let role = world.plane.kubectl_ok(&["get", "clusterrole", NAME, "-o", "json"]).await;
    let role: Value = serde_json::from_str(&role).expect("JSON");
    let rules = role["rules"].as_array().expect("rules");
    let index = rules.iter().position(|rule| rule["resources"][0] == "namespaces").expect("a rule about namespaces");
    let patch = format!(r#"[{{"op": "remove", "path": "/rules/{index}"}}]"#);
    world.plane.kubectl_ok(&["patch", "clusterrole", NAME, "--type=json", "-p", &patch]).await;
    world.cloud.add_instance("dcs", "i-1");
    world.start_operator_with(&PLACES);
    world.ask("selected", "DCS", "i-1").await;
    let status = world.until_reason("selected", "AccountNotReady").await;
    world.until_seen("selected", "told", |status| crate::world::message(status).contains("grant it \"get\" on namespaces")).await;
    assert_eq!(status.phase, Some(Phase::Pending));
    let rule = rules[index].to_string();
    let patch = format!(r#"[{{"op": "add", "path": "/rules/-", "value": {rule}}}]"#);
    world.plane.kubectl_ok(&["patch", "clusterrole", NAME, "--type=json", "-p", &patch]).await;
    world.until_phase("selected", Phase::Completed).await;
}
