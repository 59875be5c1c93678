//! What Argo CD, Flux and Helm make of what the real operator writes.

use crate::{
    simulator::{DOMAIN, PASSWORD, USER},
    support::{
        argo_health::{Health, SCRIPTS, health, script},
        control_plane::ControlPlane,
        eventually,
        tools::Tools,
    },
    world::{PATIENCE, World, is_true},
};
use database_backup_operator::api::{backup::DatabaseBackup, status::Phase};
use kube::ResourceExt;
use serde_json::Value;
use std::{collections::BTreeMap, path::Path, process::Stdio, time::Duration};

const SAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy");

/// What Argo CD says of an object.
fn argo(object: &Value) -> Health {
    let kind = object["kind"].as_str().expect("a kind");
    health(&script(kind), object).unwrap_or_else(|error| panic!("{object}: {error}"))
}

/// An object as it is served, and as `kubectl get -o yaml` prints it.
async fn served(plane: &ControlPlane, kind: &str, name: &str) -> (Value, String) {
    let yaml = plane.kubectl_ok(&["get", kind, name, "-o", "yaml"]).await;
    (serde_saphyr::from_str(&yaml).expect("YAML"), yaml)
}

/// With `BLESS` the objects become the cases of the health checks, in the layout that Argo CD takes.
#[derive(Default)]
struct Cases(BTreeMap<String, Vec<(String, Health)>>);

impl Cases {
    async fn take(&mut self, plane: &ControlPlane, kind: &str, name: &str, case: &str, expected: &str) {
        let (object, yaml) = served(plane, kind, name).await;
        let said = argo(&object);
        assert_eq!(said.status, expected, "{case}: {yaml}");
        let kind = object["kind"].as_str().expect("a kind").to_owned();
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(format!("{SCRIPTS}/{kind}/testdata/{case}.yaml"), elsewhere(&yaml)).expect("written");
        }
        self.0.entry(kind).or_default().push((case.to_owned(), said));
    }

    fn bless(&self) {
        if std::env::var_os("BLESS").is_none() {
            return;
        }
        for (kind, cases) in &self.0 {
            let text = |text: &str| serde_json::to_string(text).expect("text");
            let case = |(case, said): &(String, Health)| {
                format!(
                    "- healthStatus:\n    status: {}\n    message: {}\n  inputPath: testdata/{case}.yaml\n",
                    said.status,
                    text(&said.message)
                )
            };
            let tests: String = cases.iter().map(case).collect();
            std::fs::write(format!("{SCRIPTS}/{kind}/health_test.yaml"), format!("tests:\n{tests}")).expect("written");
        }
    }
}

/// The simulated cloud's addresses are nobody's business.
fn elsewhere(yaml: &str) -> String {
    let mut parts = yaml.split("http://127.0.0.1:");
    let first = parts.next().unwrap_or_default().to_owned();
    let others = parts.map(|part| format!("https://cloud.example.org{}", part.trim_start_matches(|digit: char| digit.is_ascii_digit())));
    first + &others.collect::<String>()
}

/// Every version of a backup that was served, and what Argo CD said of each.
fn argo_all_along(world: &World, name: &str) -> Vec<String> {
    let mut said: Vec<String> = world.versions(name).iter().map(|object| argo(&in_full(object)).status).collect();
    said.dedup();
    said
}

fn in_full(object: &DatabaseBackup) -> Value {
    serde_json::to_value(object).expect("JSON")
}

#[tokio::test]
async fn argo_cd_sees_each_state_that_the_operator_writes_as_what_it_is() {
    let mut world = World::without_operator().await;
    let mut cases = Cases::default();
    world.plane.apply(&World::manifest("fresh", "DCS", "i-fresh", "")).await;
    cases.take(&world.plane, "dbb", "fresh", "progressing_fresh", "Progressing").await;
    let without_secret = "{apiVersion: dbbackup.dev/v1alpha1, kind: CloudAccount, metadata: {name: default}, \
         spec: {cloud: OpenTelekomCloud, region: eu-de, credentials: {passwordSecretRef: {name: absent}}}}";
    world.account("cloud", 1000).await;
    cases.take(&world.plane, "ccacct", "cloud", "progressing_fresh", "Progressing").await;
    world.plane.apply(without_secret).await;
    cases.take(&world.plane, "cacct", "default", "progressing_fresh", "Progressing").await;
    world.plane.kubectl_ok(&["delete", "dbb/fresh", "cacct/default"]).await;
    for instance in ["i-well", "i-failed", "i-running", "i-expired", "i-deleting"] {
        world.cloud.add_instance("dcs", instance);
    }
    world.cloud.add_instance("taurusdb", "i-missing");
    world.start_operator_with(&["--resync-interval=1s", "--blocked-grace=10s"]);
    world.until_account_is_verified().await;
    cases.take(&world.plane, "ccacct", "cloud", "healthy_verified", "Healthy").await;

    world.cloud.fail_next_backups(1, Some("dcs"));
    world.plane.apply(&World::manifest("failed", "DCS", "i-failed", "backoffLimit: 0")).await;
    world.until_phase("failed", Phase::Failed).await;
    cases.take(&world.plane, "dbb", "failed", "degraded_failed", "Degraded").await;
    world.ask("well", "DCS", "i-well").await;
    world.until_phase("well", Phase::Completed).await;
    cases.take(&world.plane, "dbb", "well", "healthy_completed", "Healthy").await;
    world.ask("missing", "TaurusDB", "i-missing").await;
    let id = world.until_phase("missing", Phase::Completed).await.backup_id.expect("an id");
    assert!(world.cloud.lose_backup(&id));
    world.until_phase("missing", Phase::Missing).await;
    cases.take(&world.plane, "dbb", "missing", "degraded_missing", "Degraded").await;

    // Blocked within the grace, and after it.
    world.plane.apply(&World::manifest("blocked", "DCS", "i-well", "").replace("name: cloud}", "name: nobody}")).await;
    world.until_reason("blocked", "AccountNotFound").await;
    cases.take(&world.plane, "dbb", "blocked", "progressing_blocked_within_the_grace", "Progressing").await;
    for (kind, name) in [("cacct", "default"), ("ccacct", "lacking")] {
        if kind == "cacct" {
            world.plane.apply(without_secret).await;
        } else {
            world.account_with(name, "tokenSecretRef: {name: absent}", 5).await;
        }
        world.plane.kubectl_ok(&["wait", "--for=condition=Reconciling", "--timeout=60s", kind, name]).await;
        cases.take(&world.plane, kind, name, "progressing_secret_not_found", "Progressing").await;
        world.plane.kubectl_ok(&["wait", "--for=condition=Stalled", "--timeout=60s", kind, name]).await;
        cases.take(&world.plane, kind, name, "degraded_secret_not_found", "Degraded").await;
    }
    world.until("blocked", "stalled", |status| is_true(status, "Stalled")).await;
    cases.take(&world.plane, "dbb", "blocked", "degraded_blocked", "Degraded").await;

    world.plane.apply(&World::manifest("expired", "DCS", "i-expired", "expireAfterDays: 1")).await;
    world.until_phase("expired", Phase::Completed).await;
    // A day later.
    let yesterday = (jiff::Timestamp::now() - jiff::SignedDuration::from_hours(25)).strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let patch = format!("{{\"status\":{{\"completionTime\":\"{yesterday}\",\"expirationTime\":\"{yesterday}\"}}}}");
    world.plane.kubectl_ok(&["patch", "dbb", "expired", "--subresource=status", "--type=merge", "-p", &patch]).await;
    world.until_phase("expired", Phase::Expired).await;
    cases.take(&world.plane, "dbb", "expired", "healthy_expired", "Healthy").await;

    world.cloud.hold_backups(true);
    world.ask("running", "DCS", "i-running").await;
    world.until_phase("running", Phase::Running).await;
    cases.take(&world.plane, "dbb", "running", "progressing_running", "Progressing").await;
    world.plane.apply(&World::manifest("deleting", "DCS", "i-deleting", "deletionPolicy: Delete")).await;
    world.until_phase("deleting", Phase::Running).await;
    world.plane.kubectl_ok(&["delete", "dbb", "deleting", "--wait=false"]).await;
    world.until_reason("deleting", "Deleting").await;
    cases.take(&world.plane, "dbb", "deleting", "progressing_deleting", "Progressing").await;
    cases.bless();

    // On the way nothing was said too early.
    assert_eq!(argo_all_along(&world, "well"), ["Progressing", "Healthy"]);
    assert_eq!(argo_all_along(&world, "failed"), ["Progressing", "Degraded"]);
    assert_eq!(argo_all_along(&world, "missing"), ["Progressing", "Healthy", "Degraded"]);
    assert_eq!(argo_all_along(&world, "blocked"), ["Progressing", "Degraded"]);
    assert_eq!(argo_all_along(&world, "running"), ["Progressing"]);
    assert!(argo_all_along(&world, "expired").ends_with(&["Healthy".to_owned()]));
}

/// What Flux says of an object, by the expressions of the sample: the first that is true counts.
fn flux(expressions: &Value, object: &Value) -> &'static str {
    for (name, verdict) in [("inProgress", "in progress"), ("failed", "failed"), ("current", "current")] {
        let program = cel::Program::compile(expressions[name].as_str().expect(name)).expect("an expression");
        let mut context = cel::Context::default();
        for field in ["status", "metadata"] {
            context.add_variable(field, object[field].clone()).expect(field);
        }
        if program.execute(&context).unwrap_or_else(|error| panic!("{name}: {error}: {object}")) == cel::Value::Bool(true) {
            return verdict;
        }
    }
    "in progress"
}

#[tokio::test]
async fn flux_accepts_the_sample_and_its_expressions_say_what_argo_cd_says() {
    let plane = ControlPlane::start().await;
    let kinds = tokio::task::spawn_blocking(|| Tools::Crds.folder()).await.expect("no panic").expect("the definitions of others");
    let definition = kinds.join("kustomize.toolkit.fluxcd.io_kustomizations.yaml").display().to_string();
    plane.kubectl_ok(&["create", "-f", &definition]).await;
    plane.kubectl_ok(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"]).await;
    plane.kubectl_ok(&["create", "namespace", "flux-system"]).await;
    let sample = format!("{SAMPLES}/flux/backup-then-migrate.yaml");
    plane.kubectl_ok(&["apply", "--dry-run=server", "--validate=strict", "-f", &sample]).await;
    let documents: Vec<Value> = serde_saphyr::from_multiple(&std::fs::read_to_string(&sample).expect("the sample")).expect("YAML");
    let expressions = &documents[0]["spec"]["healthCheckExprs"][0];
    let mut seen = BTreeMap::new();
    for file in std::fs::read_dir(format!("{SCRIPTS}/DatabaseBackup/testdata")).expect("testdata") {
        let text = std::fs::read_to_string(file.expect("a file").path()).expect("an object");
        let object: Value = serde_saphyr::from_str(&text).expect("YAML");
        let said = flux(expressions, &object);
        let same = match argo(&object).status.as_str() {
            "Healthy" => "current",
            "Degraded" => "failed",
            _ => "in progress",
        };
        assert_eq!(said, same, "{text}");
        *seen.entry(said).or_insert(0) += 1;
    }
    assert_eq!(seen.len(), 3, "each verdict is among the cases: {seen:?}");
}

#[tokio::test]
async fn every_sample_for_argo_cd_is_valid() {
    let world = World::without_operator().await;
    for namespace in ["shop", "argocd"] {
        world.plane.kubectl_ok(&["create", "namespace", namespace]).await;
    }
    for file in ["argocd-cm.yaml", "presync-hook.yaml", "presync-job.yaml"] {
        // `create`, since a hook has a generateName.
        let path = format!("{SAMPLES}/argocd/{file}");
        world.plane.kubectl_ok(&["create", "--dry-run=server", "--validate=strict", "-f", &path]).await;
    }
}

/// Runs the script of the sample's Job with the rights of its ServiceAccount: whether it succeeded, and what it said.
async fn presync_job(world: &World, kubeconfig: &Path, backup: &str, instance: &str) -> (bool, String) {
    let sample = std::fs::read_to_string(format!("{SAMPLES}/argocd/presync-job.yaml")).expect("the sample");
    let documents: Vec<Value> = serde_saphyr::from_multiple(&sample).expect("YAML");
    let job = documents.iter().find(|document| document["kind"] == "Job").expect("a Job");
    let command = &job["spec"]["template"]["spec"]["containers"][0]["command"];
    assert_eq!((command[0].as_str(), command[1].as_str()), (Some("sh"), Some("-c")));
    let kubectl = tokio::task::spawn_blocking(|| Tools::ControlPlane.folder()).await.expect("no panic").expect("kubectl");
    let path = format!("{}:{}", kubectl.display(), std::env::var("PATH").unwrap_or_default());
    let mut shell = tokio::process::Command::new("sh");
    shell.args(["-c", command[2].as_str().expect("a script")]).env("PATH", path).env("KUBECONFIG", kubeconfig).env("KUBERC", "off");
    shell.env("KUBECACHEDIR", world.plane.folder().join("cache")).env("BACKUP", backup).env("ENGINE", "DCS").env("INSTANCE_ID", instance);
    let output = shell.env("TIMEOUT", "100s").stdin(Stdio::null()).kill_on_drop(true).output();
    let output = tokio::time::timeout(PATIENCE, output).await.expect("it ends").expect("it runs");
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

#[tokio::test]
async fn the_job_before_a_sync_ends_well_when_the_backup_is_there_and_badly_when_it_failed() {
    let mut world = World::without_operator().await;
    world.account("cloud", 1000).await;
    // The backups of the sample name no account: this is the default of theirs.
    world.plane.kubectl_ok(&["create", "namespace", "shop"]).await;
    let sample = format!("{SAMPLES}/argocd/presync-job.yaml");
    let rights: String = std::fs::read_to_string(&sample).expect("the sample").split("---\n").take(3).collect::<Vec<_>>().join("---\n");
    world.plane.apply(&rights).await;
    let kubeconfig = world.plane.kubeconfig_for_service_account("shop", "backup-before-sync").await;
    // An account of a namespace leads to the cloud itself, so the simulated one is put in its place by a backup that exists already under the Job's name.
    world.start_operator();
    for instance in ["i-well", "i-failed"] {
        world.cloud.add_instance("dcs", instance);
    }
    let ask = |name: &str, instance: &str| {
        World::manifest(name, "DCS", instance, "backoffLimit: 0")
            .replace(&format!("name: {name}}}"), &format!("name: {name}, namespace: shop}}"))
    };
    world.plane.apply(&ask("well", "i-well")).await;
    let (succeeded, said) = presync_job(&world, &kubeconfig, "well", "i-well").await;
    assert!(succeeded && said.contains("databasebackup.dbbackup.dev/well condition met"), "{said}");
    // A Pod that is started again finds the same.
    assert!(presync_job(&world, &kubeconfig, "well", "i-well").await.0);
    world.cloud.fail_next_backups(1, None);
    world.plane.apply(&ask("failed", "i-failed")).await;
    let (succeeded, said) = presync_job(&world, &kubeconfig, "failed", "i-failed").await;
    assert!(!succeeded && said.contains("as failed"), "it says why: {said}");
    assert_eq!(world.backups_in_cloud(), 2);
    // One that is not there is asked for; nobody has an account here, so it is given up when it is Stalled.
    let (succeeded, said) = presync_job(&world, &kubeconfig, "asked-for", "i-well").await;
    assert!(
        !succeeded && said.contains("databasebackup.dbbackup.dev/asked-for created") && said.contains("CloudAccount default"),
        "{said}"
    );
    assert!(!said.contains("forbidden"), "{said}");
}

/// A chart with these templates.
fn chart(templates: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("templates")).expect("a folder");
    std::fs::write(folder.path().join("Chart.yaml"), "apiVersion: v2\nname: app\nversion: 1.0.0\n").expect("written");
    for (index, template) in templates.iter().enumerate() {
        std::fs::write(folder.path().join(format!("templates/{index}.yaml")), template).expect("written");
    }
    folder
}

#[tokio::test]
async fn helm_waits_until_a_backup_is_completed_and_fails_when_it_failed() {
    let world = World::start().await;
    for instance in ["i-well", "i-failed"] {
        world.cloud.add_instance("dcs", instance);
    }
    let install = |name: &'static str, chart: &tempfile::TempDir| {
        let chart = chart.path().display().to_string();
        let plane = &world.plane;
        async move { plane.helm(&["install", name, &chart, "--wait", "--timeout", "100s"]).await }
    };
    // The backup and all that it needs, in one chart: the account comes up after its backup.
    let credentials = format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: own, namespace: operator}}\nstringData: {{domainName: \"{DOMAIN}\", username: \"{USER}\", password: \"{PASSWORD}\"}}\n"
    );
    let account = format!(
        "apiVersion: dbbackup.dev/v1alpha1\nkind: ClusterCloudAccount\nmetadata: {{name: own}}\nspec:\n  cloud: OpenTelekomCloud\n  region: eu-de\n  \
         credentials: {{passwordSecretRef: {{name: own}}}}\n  allowedNamespaces: {{from: All}}\n  endpoints: {}\n",
        world.endpoints()
    );
    let backup = World::manifest("well", "DCS", "i-well", "").replace("name: cloud}", "name: own}");
    install("well", &chart(&[&backup, &account, &credentials])).await.expect("it succeeds");
    assert_eq!(world.status("well").await.phase, Some(Phase::Completed), "Helm returned when it was");

    world.cloud.fail_next_backups(1, None);
    let begun = tokio::time::Instant::now();
    let said = install("failed", &chart(&[&World::manifest("failed", "DCS", "i-failed", "backoffLimit: 0")])).await.expect_err("it fails");
    assert!(begun.elapsed() < Duration::from_secs(90), "at once, and not when the time is over: {said}");
    assert!(said.contains("failed"), "{said}");
    assert_eq!(world.status("failed").await.phase, Some(Phase::Failed));
}

#[tokio::test]
async fn applying_again_changes_nothing_and_nobody_fights_over_a_field() {
    let world = World::start().await;
    for instance in ["i-1", "i-2"] {
        world.cloud.add_instance("dcs", instance);
    }
    let file = world.plane.folder().join("backups.yaml");
    let path = file.display().to_string();
    let both = World::manifest("kept", "DCS", "i-1", "") + &World::manifest("deleted-later", "DCS", "i-2", "deletionPolicy: Delete");
    std::fs::write(&file, both).expect("written");
    let argo_cd = ["apply", "--server-side", "--field-manager=argocd-controller", "--force-conflicts", "-f", &path];
    for apply in [&["apply", "-f", &path][..], &argo_cd] {
        world.plane.kubectl_ok(apply).await;
        for name in ["kept", "deleted-later"] {
            world.until_phase(name, Phase::Completed).await;
        }
        let before = versions(&world).await;
        world.plane.kubectl_ok(&["diff", "-f", &path]).await;
        world.plane.kubectl_ok(apply).await;
        assert_eq!(versions(&world).await, before, "{apply:?}");
    }
    // The operator's own fields: the status, and the finalizer under Delete.
    for (name, expected) in [("kept", &["status"][..]), ("deleted-later", &["finalizers", "status"])] {
        let object = world.object(name).await;
        let mut owned = Vec::new();
        for entry in object.managed_fields().iter().filter(|entry| entry.manager.as_deref() == Some("database-backup-operator")) {
            let fields = &entry.fields_v1.as_ref().expect("fields").0;
            let of = |fields: &Value, wrapper: &str| {
                fields.as_object().into_iter().flatten().map(|(name, _)| name.replace("f:", wrapper)).collect::<Vec<_>>()
            };
            for field in of(fields, "") {
                if field == "metadata" { owned.extend(of(&fields["f:metadata"], "")) } else { owned.push(field) }
            }
        }
        owned.sort();
        owned.dedup();
        assert_eq!(owned, expected, "{name}");
    }
    assert_eq!(world.cloud.count(None, "create"), 2, "each once");
    // What Argo CD puts on objects is left alone, and counts as a change of nothing that the cloud would hear of.
    world
        .plane
        .kubectl_ok(&["annotate", "dbb", "kept", "argocd.argoproj.io/tracking-id=app:dbbackup.dev/DatabaseBackup:default/kept"])
        .await;
    world.plane.kubectl_ok(&["label", "dbb", "kept", "app.kubernetes.io/instance=app"]).await;
    eventually("it stays", PATIENCE, async || {
        let object = world.object("kept").await;
        let kept = object.annotations().contains_key("argocd.argoproj.io/tracking-id")
            && object.labels().contains_key("app.kubernetes.io/instance");
        if kept { Ok(()) } else { Err(format!("{:?}", object.metadata)) }
    })
    .await;
    assert_eq!(world.cloud.count(None, "create"), 2);
}

async fn versions(world: &World) -> Vec<(Option<String>, Option<i64>)> {
    let mut versions = Vec::new();
    for name in ["kept", "deleted-later"] {
        let object = world.object(name).await;
        versions.push((object.resource_version(), object.metadata.generation));
    }
    versions
}
