//! What Argo CD, Flux and Helm make of what the real operator writes.

use crate::{
    argo_cases::{Cases, argo, argo_all_along},
    scheduled::{EVERY_MINUTE, child, suspend, template},
    simulator::{DOMAIN, PASSWORD, USER},
    support::{
        argo_health::SCRIPTS,
        control_plane::{Audit, ControlPlane},
        eventually,
        tools::Tools,
    },
    wait::wait,
    world::{PATIENCE, World, record},
};
use database_backup_operator::api::status::Phase;
use kube::ResourceExt;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio_util::task::AbortOnDropHandle;

const SAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy");

#[tokio::test]
async fn argo_cd_sees_each_state_that_the_operator_writes_as_what_it_is() {
    let mut world = World::without_operator().await;
    let accounts = Arc::new(Mutex::new(Vec::new()));
    let _watch = AbortOnDropHandle::new(tokio::spawn(record(world.accounts.clone(), accounts.clone())));
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
    world.start_operator_with(&["--resync-interval=1s", "--blocked-grace=1h"]);
    world.until_account_is_verified().await;
    cases.take(&world.plane, "ccacct", "cloud", "healthy_verified", "Healthy").await;

    world.cloud.fail_next_backups(1, Some("dcs"));
    world.plane.apply(&World::manifest("failed", "DCS", "i-failed", "backoffLimit: 0")).await;
    world.until_phase("failed", Phase::Failed).await;
    cases.take(&world.plane, "dbb", "failed", "degraded_failed", "Degraded").await;
    world.ask("well", "DCS", "i-well").await;
    world.until_phase("well", Phase::Completed).await;
    cases.take(&world.plane, "dbb", "well", "healthy_completed", "Healthy").await;
    world.plane.apply(&World::manifest("lapsed", "DCS", "i-well", "takeBefore: \"2026-01-01T00:00:00Z\"")).await;
    world.until_phase("lapsed", Phase::Lapsed).await;
    cases.take(&world.plane, "dbb", "lapsed", "healthy_lapsed", "Healthy").await;
    world.ask("missing", "TaurusDB", "i-missing").await;
    let id = world.until_phase("missing", Phase::Completed).await.backup_id.expect("an id");
    assert!(world.cloud.lose_backup(&id));
    world.until_phase("missing", Phase::Missing).await;
    cases.take(&world.plane, "dbb", "missing", "degraded_missing", "Degraded").await;

    // Blocked within the grace, and after it.
    world.plane.apply(&World::manifest("blocked", "DCS", "i-well", "").replace("name: cloud}", "name: nobody}")).await;
    world.plane.apply(without_secret).await;
    world.account_with("lacking", "tokenSecretRef: {name: absent}", 5).await;
    let blocked = [("dbb", "blocked", "blocked"), ("cacct", "default", "secret_not_found"), ("ccacct", "lacking", "secret_not_found")];
    for (kind, name, case) in blocked {
        world.plane.kubectl_ok(&["wait", "--for=condition=Reconciling", "--timeout=60s", kind, name]).await;
        if kind == "dbb" {
            world.until_reason(name, "AccountNotFound").await;
        }
        cases.take(&world.plane, kind, name, &format!("progressing_{case}_within_the_grace"), "Progressing").await;
    }
    assert!(world.terminate_operator().await.success());
    world.start_operator_with(&["--resync-interval=1s", "--blocked-grace=1s"]);
    for (kind, name, case) in blocked {
        world.plane.kubectl_ok(&["wait", "--for=condition=Stalled", "--timeout=60s", kind, name]).await;
        cases.take(&world.plane, kind, name, &format!("degraded_{case}"), "Degraded").await;
    }

    // A newer backup of its schedule takes the place of one that was never asked for.
    world.plane.apply(&child("late", "202601010000", "RDS", "")).await;
    world.until("late-202601010000", "stalled", |status| crate::world::is_true(status, "Stalled")).await;
    world.plane.apply(&template("late", EVERY_MINUTE, "source: {engine: RDS, instanceId: i-rds}", "")).await;
    world.until_phase("late-202601010000", Phase::Lapsed).await;
    cases.take(&world.plane, "dbb", "late-202601010000", "healthy_superseded", "Healthy").await;
    suspend(&world, "late").await;

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
    for (name, expected) in [
        ("well", &["Progressing", "Healthy"][..]),
        ("lapsed", &["Progressing", "Healthy"]),
        ("failed", &["Progressing", "Degraded"]),
        ("missing", &["Progressing", "Healthy", "Degraded"]),
        ("blocked", &["Progressing", "Degraded"]),
        ("late-202601010000", &["Progressing", "Degraded", "Healthy"]),
        ("expired", &["Progressing", "Healthy"]),
        ("running", &["Progressing"]),
        ("deleting", &["Progressing"]),
    ] {
        assert_eq!(argo_all_along(&world.versions(name)), expected, "{name}");
    }
    for (name, expected) in [("cloud", ["Progressing", "Healthy"]), ("lacking", ["Progressing", "Degraded"])] {
        let versions: Vec<_> = accounts.lock().expect("nobody panicked with it").iter().filter(|a| a.name_any() == name).cloned().collect();
        assert_eq!(argo_all_along(&versions), expected, "{name}");
    }
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
    let path = format!("{SAMPLES}/flux/backup-then-migrate.yaml");
    plane.kubectl_ok(&["apply", "--dry-run=server", "--validate=strict", "-f", &path]).await;
    let documents = sample("flux/backup-then-migrate.yaml");
    let mut seen = BTreeMap::new();
    for kind in ["DatabaseBackup", "CloudAccount", "ClusterCloudAccount"] {
        // Flux takes the entry of exactly this kind.
        let entries = documents[0]["spec"]["healthCheckExprs"].as_array().expect("expressions");
        let expressions = entries.iter().find(|entry| entry["kind"] == kind).expect(kind);
        assert_eq!(expressions["apiVersion"], "dbbackup.dev/v1alpha1");
        for file in std::fs::read_dir(format!("{SCRIPTS}/{kind}/testdata")).expect("testdata") {
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
    }
    assert_eq!(seen.len(), 3, "each verdict is among the cases: {seen:?}");
}

/// The objects of a sample.
fn sample(file: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(format!("{SAMPLES}/{file}")).expect("the sample");
    serde_saphyr::from_multiple(&text).expect("YAML")
}

#[tokio::test]
async fn every_sample_for_argo_cd_is_valid_and_its_pods_are_restricted() {
    let world = World::without_operator().await;
    for namespace in ["shop", "argocd"] {
        world.plane.kubectl_ok(&["create", "namespace", namespace]).await;
    }
    world.plane.kubectl_ok(&["label", "namespace", "shop", "pod-security.kubernetes.io/enforce=restricted"]).await;
    // `create`, since a hook has a generateName.
    let create = ["create", "--dry-run=server", "--validate=strict", "-o", "json", "-f", "-"];
    let mut pods = 0;
    for file in ["argocd/argocd-cm.yaml", "argocd/presync-hook.yaml", "argocd/presync-job.yaml"] {
        for object in sample(file) {
            let created = world.plane.with_input(&create, &object.to_string()).await.unwrap_or_else(|error| panic!("{file}: {error}"));
            if object["kind"] != "Job" {
                continue;
            }
            let created: Value = serde_json::from_str(&created).expect("JSON");
            let mut pod = created["spec"]["template"].clone();
            pod["apiVersion"] = "v1".into();
            pod["kind"] = "Pod".into();
            pod["metadata"]["name"] = "of-the-job".into();
            pod["metadata"]["namespace"] = "shop".into();
            world.plane.with_input(&create, &pod.to_string()).await.unwrap_or_else(|error| panic!("{file}: {error}"));
            pod["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = true.into();
            let refused = world.plane.with_input(&create, &pod.to_string()).await.expect_err("the standard is enforced");
            assert!(refused.contains("violates PodSecurity \"restricted"), "{refused}");
            pods += 1;
        }
    }
    assert_eq!(pods, 2);
}

/// The objects of the sample whose Job waits, in the order in which Argo CD makes them.
struct Presync {
    ground: Vec<Value>,
    backup: Value,
    args: Vec<String>,
}

impl Presync {
    fn read() -> Self {
        let (jobs, others): (Vec<_>, Vec<_>) = sample("argocd/presync-job.yaml").into_iter().partition(|object| object["kind"] == "Job");
        let (backups, ground): (Vec<_>, Vec<_>) = others.into_iter().partition(|object| object["kind"] == "DatabaseBackup");
        let [job] = &jobs[..] else { panic!("one Job") };
        let [backup] = &backups[..] else { panic!("one backup") };
        let wave = |object: &Value| {
            let wave = object["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"].as_str().expect("a wave");
            wave.parse::<i32>().expect("a number")
        };
        assert!(ground.iter().all(|object| wave(object) < wave(job)) && wave(backup) < wave(job), "the Job comes last");
        assert_eq!(backup["metadata"]["annotations"]["argocd.argoproj.io/hook-delete-policy"], "BeforeHookCreation");
        let container = &job["spec"]["template"]["spec"]["containers"][0];
        assert!(container.get("command").is_none(), "the image knows its program");
        let args = container["args"].as_array().expect("args").iter().map(|arg| arg.as_str().expect("text").to_owned()).collect();
        Self { ground, backup: backup.clone(), args }
    }

    /// What a sync makes of the hook: the object of the last one goes first.
    async fn sync(&self, world: &World, instance: &str, account: &str) {
        let mut backup = self.backup.clone();
        backup["spec"]["source"] = serde_json::json!({ "engine": "DCS", "instanceId": instance });
        backup["spec"]["accountRef"] = serde_json::json!({ "kind": "ClusterCloudAccount", "name": account });
        let name = backup["metadata"]["name"].as_str().expect("a name");
        world.plane.kubectl_ok(&["delete", "dbb", name, "--namespace=shop", "--ignore-not-found"]).await;
        world.plane.with_input(&["create", "-f", "-"], &backup.to_string()).await.expect("created");
    }

    /// Runs what the Job's container runs: how it ended, and what it said.
    async fn job(&self, kubeconfig: &Path) -> (Option<i32>, String) {
        let (command, args) = self.args.split_first().expect("arguments");
        assert_eq!(command, "wait");
        let ended = wait(kubeconfig, &args.iter().map(String::as_str).collect::<Vec<_>>()).await;
        (ended.code, format!("{}\n{}", ended.lines.join("\n"), ended.why))
    }
}

/// What a ServiceAccount of `shop` did with backups, and what it was refused.
fn requests(plane: &ControlPlane, name: &str) -> (BTreeSet<String>, Vec<Value>) {
    let user = format!("system:serviceaccount:shop:{name}");
    let its_own = |event: &Value| event["user"]["username"] == user.as_str() && event["objectRef"]["resource"].is_string();
    let events = plane.audit_events().into_iter().filter(its_own);
    let (allowed, refused): (Vec<_>, Vec<_>) = events.partition(|event| event["annotations"]["authorization.k8s.io/decision"] == "allow");
    let verbs =
        allowed.iter().filter(|event| event["objectRef"]["resource"] == "databasebackups").filter_map(|event| event["verb"].as_str());
    (verbs.map(str::to_owned).collect(), refused)
}

#[tokio::test]
async fn the_job_before_a_sync_ends_well_when_the_backup_is_there_and_badly_when_it_will_not_come() {
    let mut world = World::on_record(Audit::Everything).await;
    world.account("cloud", 1000).await;
    world.plane.kubectl_ok(&["create", "namespace", "shop"]).await;
    let presync = Presync::read();
    for object in &presync.ground {
        world.plane.apply(&object.to_string()).await;
    }
    let kubeconfig = world.plane.kubeconfig_for_service_account("shop", "backup-before-sync").await;
    world.start_operator();
    for instance in ["i-well", "i-failed"] {
        world.cloud.add_instance("dcs", instance);
    }
    presync.sync(&world, "i-well", "cloud").await;
    let (code, said) = presync.job(&kubeconfig).await;
    assert!(code == Some(0) && said.contains(" shop/orders-before-sync Completed Completed "), "{code:?} {said}");
    // A Pod that is started again finds the same; the next sync takes another, and its Job waits for that one.
    let (code, said) = presync.job(&kubeconfig).await;
    assert_eq!((code, world.backups_in_cloud()), (Some(0), 1), "{said}");
    presync.sync(&world, "i-well", "cloud").await;
    let (code, said) = presync.job(&kubeconfig).await;
    assert_eq!((code, world.backups_in_cloud()), (Some(0), 2), "{said}");
    // It fails as soon as its attempts are used up, and not when its time is over.
    world.cloud.fail_next_backups(2, None);
    presync.sync(&world, "i-failed", "cloud").await;
    let (code, said) = presync.job(&kubeconfig).await;
    assert!(code == Some(3) && said.contains("2 of 2 attempts failed"), "it says why: {code:?} {said}");
    // Nor does it wait for an account that does not come.
    presync.sync(&world, "i-well", "nobody").await;
    let (code, said) = presync.job(&kubeconfig).await;
    assert!(code == Some(6) && said.contains("there is no ClusterCloudAccount nobody"), "{code:?} {said}");
    let objects = &presync.ground;
    let granted = objects.iter().find(|object| object["kind"] == "Role").expect("a Role")["rules"][0]["verbs"].as_array().expect("verbs");
    let granted: BTreeSet<&str> = granted.iter().filter_map(Value::as_str).collect();
    eventually("it uses what it is granted", PATIENCE, async || match requests(&world.plane, "backup-before-sync") {
        (used, _) if used.iter().map(String::as_str).collect::<BTreeSet<_>>() == granted => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    assert_eq!(requests(&world.plane, "backup-before-sync").1, [Value::Null; 0], "nothing is denied");
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
        // Kubernetes 1.31 forgets who wrote the metadata when a status is written.
        let forgets = std::env::var("DBBACKUP_CONTROL_PLANE").is_ok_and(|chosen| chosen == "oldest");
        assert!(owned == expected || forgets && owned == ["status"], "{name}: {owned:?}");
    }
    assert_eq!(world.cloud.count(None, "create"), 2, "each once");
}

#[tokio::test]
async fn what_argo_cd_puts_on_an_object_stays_through_every_write_of_the_operator() {
    let world = World::start().await;
    world.cloud.add_instance("dcs", "i-1");
    let tracked = "{name: tracked, labels: {app.kubernetes.io/instance: app}, finalizers: [argocd.argoproj.io/hook-finalizer], \
                   annotations: {argocd.argoproj.io/tracking-id: 'app:dbbackup.dev/DatabaseBackup:default/tracked'}}";
    // Under Delete it writes to the metadata, too.
    world.plane.apply(&World::manifest("tracked", "DCS", "i-1", "deletionPolicy: Delete").replace("{name: tracked}", tracked)).await;
    world.until_phase("tracked", Phase::Completed).await;
    let object = world.object("tracked").await;
    assert_eq!(object.labels().get("app.kubernetes.io/instance").map(String::as_str), Some("app"));
    assert!(object.annotations().contains_key("argocd.argoproj.io/tracking-id"));
    assert_eq!(object.finalizers(), ["argocd.argoproj.io/hook-finalizer", "dbbackup.dev/remote-backup"]);
    // A finalizer of somebody else is somebody else's to take off.
    world.plane.kubectl_ok(&["delete", "dbb", "tracked", "--wait=false"]).await;
    eventually("the operator lets it go", PATIENCE, async || match world.object("tracked").await.finalizers() {
        [left] if left == "argocd.argoproj.io/hook-finalizer" => Ok(()),
        others => Err(format!("{others:?}")),
    })
    .await;
}

async fn versions(world: &World) -> Vec<(Option<String>, Option<i64>)> {
    let mut versions = Vec::new();
    for name in ["kept", "deleted-later"] {
        let object = world.object(name).await;
        versions.push((object.resource_version(), object.metadata.generation));
    }
    versions
}
