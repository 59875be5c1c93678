//! Install, upgrade, uninstall: objects and running backups stay, whatever comes and goes around them.

use crate::{
    support::{
        control_plane::{Audit, ControlPlane},
        eventually,
        helm::CHART,
        operator::Operator,
        tools::Tools,
    },
    world::{PATIENCE, World},
};
use database_backup_operator::api::status::Phase;
use serde_json::{Value, json};
use std::{collections::BTreeMap, path::Path};

/// Namespace and name of everything.
const NAME: &str = "database-backup-operator";
const FIRST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/system/upgrade");
const CRDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/crds");
const MANIFESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/manifests");

/// What a chart's operator runs with, but for the names of its Lease and of the namespace of the Secrets.
const FLAGS: [&str; 5] = [
    "--leader-elect=true",
    "--lease-namespace=database-backup-operator",
    "--cluster-resource-namespace=operator",
    "--poll-interval=300ms",
    "--settle-delay=5s",
];

/// Starts an operator with the rights of the installed ServiceAccount.
async fn operator(world: &World, name: &str) -> Operator {
    let kubeconfig = world.plane.kubeconfig_for_service_account(NAME, NAME).await;
    let log = world.plane.folder().join(format!("{name}.log"));
    Operator::start(Path::new(env!("CARGO_BIN_EXE_database-backup-operator")), &kubeconfig, &log, &FLAGS)
}

fn install(more: &[&'static str]) -> Vec<&'static str> {
    [&["install", NAME, CHART, "--namespace", NAME, "--create-namespace"], more].concat()
}

/// Every object's UID and name.
async fn uids(plane: &ControlPlane) -> BTreeMap<String, String> {
    let listed = plane.kubectl_ok(&["get", "dbb,cacct,ccacct", "-A", "-o", "json"]).await;
    let listed: Value = serde_json::from_str(&listed).expect("JSON");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let items = listed["items"].as_array().expect("items");
    items.iter().map(|item| (text(&item["metadata"]["uid"]), text(&item["metadata"]["name"]))).collect()
}

/// The first version, installed and at work: one backup is Completed, one is Running, one has a finalizer.
async fn first_version() -> (World, Operator) {
    let world = World::bare(Audit::StatusWrites).await;
    world.plane.kubectl_ok(&["create", "namespace", "operator"]).await;
    // This program needs its own definitions to do anything at all; the first ones are put in their place afterwards.
    world.plane.kubectl_ok(&["apply", "-f", CRDS, "-f", &format!("{FIRST}/operator.yaml")]).await;
    world.plane.kubectl_ok(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"]).await;
    let first = operator(&world, "first").await;
    world.account("cloud", 1000).await;
    for instance in ["i-1", "i-2", "i-3"] {
        world.cloud.add_instance("dcs", instance);
    }
    world.plane.apply(&World::manifest("completed", "DCS", "i-1", "")).await;
    world.plane.apply(&World::manifest("deleted-later", "DCS", "i-3", "deletionPolicy: Delete")).await;
    for name in ["completed", "deleted-later"] {
        world.until_phase(name, Phase::Completed).await;
    }
    world.cloud.hold_backups(true);
    world.ask("running", "DCS", "i-2").await;
    world.until_phase("running", Phase::Running).await;
    // Fields that the first definitions do not have are lost with this, as if they had never been written.
    world.plane.kubectl_ok(&["apply", "-f", &format!("{FIRST}/crds.yaml")]).await;
    (world, first)
}

/// The old one ends, the new one goes on: nothing is lost, nothing is asked for twice.
async fn assert_goes_on(world: &World, first: Operator, before: &BTreeMap<String, String>) {
    let second = operator(world, "second").await;
    assert!(first.terminate().await.success());
    world.cloud.hold_backups(false);
    world.until_phase("running", Phase::Completed).await;
    assert_eq!(&uids(&world.plane).await, before, "the same objects");
    assert_eq!(world.cloud.count(None, "create"), 3, "each once");
    let field = "jsonpath={.spec.versions[0].schema.openAPIV3Schema.properties.status.properties.engineVersion.type}";
    assert_eq!(
        world.plane.kubectl_ok(&["get", "crd", "databasebackups.dbbackup.dev", "-o", field]).await,
        "string",
        "the newer definition"
    );
    world.plane.kubectl_ok(&["delete", "dbb", "deleted-later", "--timeout=60s"]).await;
    assert!(!second.logs().contains("forbidden"), "{}", second.logs());
}

#[tokio::test]
async fn the_chart_takes_over_from_the_first_manifests_and_objects_and_running_backups_stay() {
    let (world, first) = first_version().await;
    let before = uids(&world.plane).await;
    let refused = world.plane.helm_fails(&install(&[])).await;
    assert!(refused.contains("invalid ownership metadata"), "Helm takes nothing over by itself: {refused}");
    world.plane.helm_ok(&install(&["--take-ownership", "--force-conflicts"])).await;
    assert_goes_on(&world, first, &before).await;
}

#[tokio::test]
async fn newer_manifests_over_the_first_ones_keep_objects_and_running_backups() {
    let (world, first) = first_version().await;
    let before = uids(&world.plane).await;
    world.plane.kubectl_ok(&["apply", "-k", MANIFESTS]).await;
    assert_goes_on(&world, first, &before).await;
}

#[tokio::test]
async fn an_uninstalled_release_leaves_definitions_and_objects_and_comes_back_to_them() {
    let world = World::bare(Audit::StatusWrites).await;
    world.plane.kubectl_ok(&["create", "namespace", "operator"]).await;
    world.plane.helm_ok(&install(&[])).await;
    world.plane.kubectl_ok(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"]).await;
    let first = operator(&world, "first").await;
    world.account("cloud", 1000).await;
    world.cloud.add_instance("dcs", "i-1");
    world.cloud.add_instance("dcs", "i-2");
    world.ask("kept", "DCS", "i-1").await;
    world.until_phase("kept", Phase::Completed).await;
    world.cloud.hold_backups(true);
    world.ask("running", "DCS", "i-2").await;
    world.until_phase("running", Phase::Running).await;
    let before = uids(&world.plane).await;

    let said = world.plane.helm_ok(&["uninstall", NAME, "--namespace", NAME]).await;
    assert!(said.contains("databasebackups.dbbackup.dev"), "it says what it kept: {said}");
    first.kill();
    assert_eq!(uids(&world.plane).await, before);
    let gone = world.plane.kubectl_fails(&["-n", NAME, "get", "deployment", NAME]).await;
    assert!(gone.contains("not found"), "{gone}");
    // Without an operator: with Retain nothing waits for one.
    world.ask("never-seen", "DCS", "i-1").await;
    world.plane.kubectl_ok(&["delete", "dbb", "never-seen", "kept", "--timeout=20s"]).await;

    world.plane.helm_ok(&install(&[])).await;
    let _second = operator(&world, "second").await;
    world.cloud.hold_backups(false);
    world.until_phase("running", Phase::Completed).await;
    assert_eq!(world.cloud.count(None, "create"), 2);
}

#[tokio::test]
async fn a_namespace_goes_without_an_operator_when_everything_in_it_is_to_be_retained() {
    let world = World::without_operator().await;
    if let Err(missing) = world.plane.start_controllers() {
        panic!("{missing}");
    }
    world.plane.kubectl_ok(&["create", "namespace", "shop"]).await;
    world.plane.apply(&World::manifest("orphan", "DCS", "i-1", "").replace("name: orphan}", "name: orphan, namespace: shop}")).await;
    world.plane.kubectl_ok(&["delete", "namespace", "shop", "--timeout=60s"]).await;
}

/// Each object of the release, with its version.
async fn versions(plane: &ControlPlane) -> BTreeMap<String, String> {
    let kinds = "crd,sa,svc,deploy,role,rolebinding,clusterrole,clusterrolebinding,pdb,networkpolicy";
    let label = format!("app.kubernetes.io/instance={NAME}");
    let columns = "custom-columns=K:.kind,N:.metadata.name,V:.metadata.resourceVersion";
    let listed = plane.kubectl_ok(&["get", kinds, "-A", "-l", &label, "-o", columns, "--no-headers"]).await;
    let versions =
        listed.lines().filter_map(|line| line.trim().rsplit_once(' ')).map(|(object, version)| (object.trim().into(), version.into()));
    versions.collect()
}

#[tokio::test]
async fn an_upgrade_changes_what_was_changed_and_nothing_else() {
    let plane = ControlPlane::start().await;
    plane.helm_ok(&install(&[])).await;
    let before = versions(&plane).await;
    assert!(before.len() >= 14, "{before:?}");
    plane.helm_ok(&["upgrade", NAME, CHART, "--namespace", NAME]).await;
    assert_eq!(versions(&plane).await, before, "the same again is no change");
    plane.helm_ok(&["upgrade", NAME, CHART, "--namespace", NAME, "--set", "replicaCount=2,podDisruptionBudget.enabled=true"]).await;
    let after = versions(&plane).await;
    let changed: Vec<_> = after.iter().filter(|(object, version)| before.get(*object) != Some(version)).map(|(object, _)| object).collect();
    assert_eq!(changed.len(), 2, "the Deployment and a PodDisruptionBudget: {changed:?}");
    plane.helm_ok(&["rollback", NAME, "1", "--namespace", NAME]).await;
    assert_eq!(plane.kubectl_ok(&["-n", NAME, "get", "deploy", NAME, "-o", "jsonpath={.spec.replicas}"]).await, "1");
}

/// UID of a Deployment, and the labels that it selects its Pods by.
async fn selector(plane: &ControlPlane, name: &str) -> (String, Value) {
    let deployment = plane.kubectl_ok(&["-n", NAME, "get", "deploy", name, "-o", "json"]).await;
    let deployment: Value = serde_json::from_str(&deployment).expect("JSON");
    (deployment["metadata"]["uid"].as_str().expect("a UID").to_owned(), deployment["spec"]["selector"]["matchLabels"].clone())
}

/// The labels of the first Deployments, and of those of a release.
fn first_selector() -> Value {
    json!({ "app.kubernetes.io/name": NAME })
}

fn own_selector(release: &str) -> Value {
    json!({ "app.kubernetes.io/name": NAME, "app.kubernetes.io/instance": release, "app.kubernetes.io/component": "operator" })
}

#[tokio::test]
async fn an_upgrade_keeps_the_selector_that_it_finds_and_a_new_release_beside_it_has_its_own() {
    let plane = ControlPlane::start().await;
    // What the chart made before it knew another selector.
    plane.helm_ok(&install(&["--set", "legacySelector=true"])).await;
    let first = selector(&plane, NAME).await;
    assert_eq!(first.1, first_selector());
    let upgrade = ["upgrade", NAME, CHART, "--namespace", NAME, "--reset-values"];
    plane.helm_ok(&upgrade).await;
    assert_eq!(selector(&plane, NAME).await, first, "the same Deployment");
    plane.helm_ok(&["rollback", NAME, "1", "--namespace", NAME]).await;
    assert_eq!(selector(&plane, NAME).await, first);

    plane.helm_ok(&["install", "second", CHART, "--namespace", NAME, "--set", "crds.enabled=false"]).await;
    let name = format!("second-{NAME}");
    let second = selector(&plane, &name).await;
    assert_eq!(second.1, own_selector("second"));
    plane.helm_ok(&["upgrade", "second", CHART, "--namespace", NAME, "--reset-values", "--set", "crds.enabled=false,replicaCount=2"]).await;
    // Of no use where the cluster says how it is.
    plane
        .helm_ok(&["upgrade", "second", CHART, "--namespace", NAME, "--reset-values", "--set", "crds.enabled=false,legacySelector=true"])
        .await;
    assert_eq!(selector(&plane, &name).await, second);
    assert_eq!(selector(&plane, NAME).await, first);
}

#[tokio::test]
async fn what_is_rendered_without_a_cluster_goes_over_the_first_deployment_by_one_value_and_over_none_without() {
    let plane = ControlPlane::start().await;
    plane.kubectl_ok(&["apply", "-f", &format!("{FIRST}/operator.yaml")]).await;
    let first = selector(&plane, NAME).await;
    assert_eq!(first.1, first_selector());
    let sync = async |values: &str| {
        let set = format!("crds.enabled=false,tests.enabled=false{values}");
        let rendered = plane.helm_ok(&["template", NAME, CHART, "--namespace", NAME, "--set", &set]).await;
        plane.with_input(&["apply", "--server-side", "--force-conflicts", "-f", "-"], &rendered).await
    };
    let refused = sync("").await.expect_err("another selector");
    assert!(refused.contains("spec.selector") && refused.contains("field is immutable"), "{refused}");
    sync(",legacySelector=true").await.expect("the same selector");
    assert_eq!(selector(&plane, NAME).await, first);
    // Deleted, it comes back with the selector of a new one.
    plane.kubectl_ok(&["-n", NAME, "delete", "deploy", NAME]).await;
    sync("").await.expect("a new one");
    assert_eq!(selector(&plane, NAME).await.1, own_selector(NAME));
}

#[tokio::test]
async fn definitions_go_with_the_release_only_when_the_user_says_so() {
    let plane = ControlPlane::start().await;
    plane.helm_ok(&install(&["--set", "crds.keep=false"])).await;
    plane.helm_ok(&["uninstall", NAME, "--namespace", NAME]).await;
    eventually("no definitions", PATIENCE, async || {
        let left = plane.kubectl_ok(&["get", "crd", "-o", "name"]).await;
        if left.contains("dbbackup.dev") { Err(left) } else { Ok(()) }
    })
    .await;
}

#[tokio::test]
async fn whoever_owns_two_namespaces_and_nothing_else_can_install_it_there() {
    let plane = ControlPlane::start().await;
    plane.kubectl_ok(&["apply", "-f", concat!(env!("CARGO_MANIFEST_DIR"), "/crds")]).await;
    for namespace in [NAME, "shop"] {
        plane.kubectl_ok(&["create", "namespace", namespace]).await;
        plane.kubectl_ok(&["-n", namespace, "create", "role", "owner", "--verb=*", "--resource=*.*"]).await;
        let user = format!("--serviceaccount={NAME}:owner");
        plane.kubectl_ok(&["-n", namespace, "create", "rolebinding", "owner", "--role=owner", &user]).await;
    }
    plane.kubectl_ok(&["-n", NAME, "create", "serviceaccount", "owner"]).await;
    let owner = plane.kubeconfig_for_service_account(NAME, "owner").await;
    let owner = owner.display().to_string();
    let everything = ["install", NAME, CHART, "--namespace", NAME, "--kubeconfig", &owner];
    let refused = plane.helm_fails(&everything).await;
    assert!(refused.contains("forbidden") || refused.contains("could not get information"), "{refused}");
    let values = ["--set", "crds.enabled=false,operator.watchNamespaces={shop}"];
    plane.helm_ok(&[&everything[..], &values].concat()).await;
}

/// The sets of values in the chart's `ci/`.
fn cases() -> Vec<String> {
    let folder = std::fs::read_dir(format!("{CHART}/ci")).expect("ci/ is there");
    let cases: Vec<String> = folder.map(|entry| entry.expect("a file").path().display().to_string()).collect();
    assert!(cases.len() >= 4, "{cases:?}");
    cases
}

#[tokio::test]
async fn the_api_server_accepts_everything_that_the_chart_renders_and_its_pods_are_restricted() {
    let plane = ControlPlane::start().await;
    let kinds = tokio::task::spawn_blocking(|| Tools::Crds.folder()).await.expect("no panic").expect("the definitions of others");
    for kind in ["servicemonitors", "podmonitors", "prometheusrules"] {
        let file = kinds.join(format!("monitoring.coreos.com_{kind}.yaml"));
        plane.kubectl_ok(&["create", "-f", &file.display().to_string()]).await;
    }
    plane.kubectl_ok(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"]).await;
    plane.kubectl_ok(&["apply", "-f", concat!(env!("CARGO_MANIFEST_DIR"), "/crds")]).await;
    for namespace in [NAME, "monitoring", "shop", "billing", "cloud-accounts", "kube-system"] {
        // kube-system is there.
        let _ = plane.kubectl(&["create", "namespace", namespace]).await;
    }
    plane.kubectl_ok(&["label", "namespace", NAME, "pod-security.kubernetes.io/enforce=restricted"]).await;
    for values in cases() {
        let rendered = plane.helm_ok(&["template", NAME, CHART, "--namespace", NAME, "-f", &values]).await;
        let said = plane.with_input(&["apply", "--dry-run=server", "--validate=strict", "-f", "-"], &rendered).await;
        let said = said.unwrap_or_else(|error| panic!("{values}: {error}"));
        assert!(!said.contains("Warning"), "{values}: {said}");
        let objects: Vec<Value> = serde_saphyr::from_multiple(&rendered).expect("YAML");
        let deployment = objects.iter().find(|object| object["kind"] == "Deployment").expect("a Deployment");
        let mut pod = deployment["spec"]["template"].clone();
        pod["apiVersion"] = "v1".into();
        pod["kind"] = "Pod".into();
        pod["metadata"]["name"] = "of-the-deployment".into();
        pod["metadata"]["namespace"] = NAME.into();
        // Classes that this cluster does not have.
        for field in ["runtimeClassName", "priorityClassName"] {
            pod["spec"].as_object_mut().expect("a map").remove(field);
        }
        let create = ["create", "--dry-run=server", "-f", "-"];
        plane.with_input(&create, &pod.to_string()).await.unwrap_or_else(|error| panic!("{values}: {error}"));
        pod["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = true.into();
        let refused = plane.with_input(&create, &pod.to_string()).await.expect_err("the standard is enforced");
        assert!(refused.contains("violates PodSecurity \"restricted"), "{refused}");
    }
}

/// Runs what a Pod's container would, with the rights of its ServiceAccount: whether it succeeded, and what it said.
async fn as_the_kubelet_would(plane: &ControlPlane, pod: &Value) -> (bool, String) {
    let container = &pod["spec"]["containers"][0];
    let account = pod["spec"]["serviceAccountName"].as_str().expect("a ServiceAccount");
    let texts = |list: &Value| list.as_array().into_iter().flatten().cloned().collect::<Vec<Value>>();
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_database-backup-operator"));
    command.args(texts(&container["args"]).iter().filter_map(Value::as_str));
    for variable in texts(&container["env"]) {
        command.env(variable["name"].as_str().expect("a name"), variable["value"].as_str().expect("a value"));
    }
    command.env("KUBECONFIG", plane.kubeconfig_for_service_account(NAME, account).await);
    let output = command.output().await.expect("it runs");
    (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

#[tokio::test]
async fn helm_test_says_whether_definitions_and_rights_are_there() {
    let plane = ControlPlane::start().await;
    plane.helm_ok(&install(&[])).await;
    // There is no node, so this is the kubelet: it runs the Pod and reports how that went.
    let play = async |phase: &str| {
        let pod = eventually("the Pod of the test", PATIENCE, async || {
            let output = plane.kubectl(&["-n", NAME, "get", "pod", "database-backup-operator-check", "-o", "json"]).await;
            let output = output.map_err(|error| error.to_string())?;
            let pod: Value = serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())?;
            if pod["status"]["phase"] == "Pending" { Ok(pod) } else { Err(format!("{}", pod["status"])) }
        })
        .await;
        let (succeeded, said) = as_the_kubelet_would(&plane, &pod).await;
        assert_eq!(succeeded, phase == "Succeeded", "{said}");
        let patch = format!("{{\"status\": {{\"phase\": \"{phase}\"}}}}");
        plane.kubectl_ok(&["-n", NAME, "patch", "pod", "database-backup-operator-check", "--subresource=status", "-p", &patch]).await;
        said
    };
    let test = ["test", NAME, "--namespace", NAME, "--timeout", "100s"];
    let (helm, said) = tokio::join!(plane.helm(&test), play("Succeeded"));
    assert!(said.starts_with("ok: the definitions of"), "{said}");
    assert!(helm.as_ref().is_ok_and(|said| said.contains("Succeeded")), "{helm:?}");
    plane.kubectl_ok(&["delete", "clusterrole", NAME]).await;
    let (helm, said) = tokio::join!(plane.helm(&test), play("Failed"));
    assert!(said.contains("problem: it may not list databasebackups.dbbackup.dev\n"), "{said}");
    assert!(helm.is_err(), "{helm:?}");
}
