//! Several tenants with one operator: what one of them does costs the others nothing.

use crate::{
    simulator::{
        ACCESS_KEY, DOMAIN, PASSWORD, SECRET_KEY, Simulator, USER,
        faults::{Fault, FaultKind},
    },
    support::{eventually, operator::Operator},
    world::{PATIENCE, World},
};
use database_backup_operator::api::{account::CloudAccountStatus, backup::DatabaseBackup, status::Phase};
use futures::StreamExt;
use kube::{Api, ResourceExt, api::PostParams};
use serde_json::{Value, json};
use std::time::Duration;

/// An object of an instance, with further metadata.
fn object(name: &str, instance: &str, metadata: &Value) -> DatabaseBackup {
    let mut metadata = metadata.clone();
    metadata["name"] = json!(name);
    let object = json!({
        "apiVersion": "dbbackup.dev/v1alpha1", "kind": "DatabaseBackup", "metadata": metadata,
        "spec": { "accountRef": { "kind": "ClusterCloudAccount", "name": "cloud" }, "source": { "engine": "DCS", "instanceId": instance } },
    });
    serde_json::from_value(object).expect("an object")
}

async fn create_all(api: &Api<DatabaseBackup>, objects: Vec<DatabaseBackup>) {
    let creating = futures::stream::iter(objects).for_each_concurrent(8, |object| async move {
        api.create(&PostParams::default(), &object).await.expect("it is created");
    });
    creating.await;
}

fn backups_of(world: &World, namespace: &str) -> Api<DatabaseBackup> {
    Api::namespaced(world.backups.clone().into_client(), namespace)
}

async fn namespace(world: &World, name: &str) -> Api<DatabaseBackup> {
    world.plane.kubectl_ok(&["create", "namespace", name]).await;
    backups_of(world, name)
}

/// The most memory that the operator ever had, in MiB.
fn peak_memory(operator: &Operator) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", operator.pid())).expect("it runs, on Linux");
    let line = status.lines().find(|line| line.starts_with("VmHWM")).expect("a size");
    line.split_whitespace().nth(1).and_then(|kb| kb.parse::<u64>().ok()).expect("a number") / 1024
}

fn ready_reason(status: &CloudAccountStatus) -> String {
    let ready = status.conditions.iter().find(|condition| condition.type_ == "Ready");
    ready.map(|ready| ready.reason.clone()).unwrap_or_default()
}

#[tokio::test]
async fn a_single_backup_waits_for_a_call_or_two_of_a_namespace_with_hundreds_and_not_for_all_of_them() {
    const NOISE: usize = 200;
    let mut world = World::without_operator().await;
    world.account("cloud", 5).await;
    world.start_operator();
    world.until_account_is_verified().await;
    let noisy = namespace(&world, "noisy").await;
    create_all(&noisy, (0..NOISE).map(|n| object(&format!("b-{n}"), &format!("unknown-{n}"), &json!({}))).collect()).await;
    world.cloud.add_instance("dcs", "i-1");
    let creates = || -> Vec<String> {
        let calls = world.cloud.calls().into_iter().filter(|call| call.operation == "create");
        calls.map(|call| call.path_and_query).collect()
    };
    world.ask("quiet", "DCS", "i-1").await;
    let before = creates().len();
    world.until_phase("quiet", Phase::Completed).await;
    let creates = creates();
    let place = creates.iter().position(|path| path.contains("/i-1/")).expect("it was called");
    // What the machine takes to see the new object is a matter of its speed; what is left of the others is not.
    assert!(before < NOISE, "{before} calls: there was nobody to wait for");
    let behind = (0..NOISE).filter(|n| !creates[..place].iter().any(|path| path.contains(&format!("/unknown-{n}/")))).count();
    assert!(behind > NOISE / 4, "{behind} of the others came after it; {before} calls before it was asked for, {place} before its own");
}

#[tokio::test]
async fn calls_that_hang_in_one_cloud_leave_the_backups_of_another_alone() {
    let mut world = World::without_operator().await;
    world.account("cloud", 1000).await;
    let hanging = Simulator::start().await;
    hanging.any_instance(true);
    hanging.inject(Fault::new(FaultKind::Hang).at("create").times(1000));
    world.secret("hanging", &[("domainName", DOMAIN), ("username", USER), ("password", PASSWORD)]).await;
    for n in 0..10 {
        let account = format!(
            "{{apiVersion: dbbackup.dev/v1alpha1, kind: ClusterCloudAccount, metadata: {{name: hanging-{n}}}, spec: {{cloud: OpenTelekomCloud, \
             region: eu-de, credentials: {{passwordSecretRef: {{name: hanging}}}}, allowedNamespaces: {{from: All}}, \
             maxRequestsPerSecond: 1000, endpoints: {}}}}}",
            hanging.endpoints().manifest()
        );
        world.plane.apply(&account).await;
    }
    world.start_operator_with(&["--settle-delay=120s"]);
    let noisy = namespace(&world, "noisy").await;
    let of_account = |n: usize| {
        let mut object = object(&format!("b-{n}"), &format!("i-{n}"), &json!({}));
        object.spec.account_ref.name = format!("hanging-{}", n % 10);
        object
    };
    create_all(&noisy, (0..120).map(of_account).collect()).await;
    // Ten accounts of four calls each hang, and with them as many reconciles as a controller has slots for, and more.
    assert!(hanging.wait_until(PATIENCE, |cloud| cloud.count(None, "create") >= 40), "{} calls hang", hanging.count(None, "create"));
    // Both clouds have the same projects, so the instance has to be another one.
    world.cloud.add_instance("dcs", "i-quiet");
    world.ask("quiet", "DCS", "i-quiet").await;
    world.until_phase("quiet", Phase::Completed).await;
    assert_eq!(hanging.count(None, "create"), 40, "all of them still hang, and none came after them");
}

#[tokio::test]
async fn a_service_that_asks_to_wait_is_not_asked_for_another_object_either() {
    let mut world = World::without_operator().await;
    world.account("cloud", 1000).await;
    world.start_operator();
    world.until_account_is_verified().await;
    for (engine, instance) in [("dcs", "i-1"), ("dcs", "i-2"), ("geminidb", "i-3in06")] {
        world.cloud.add_instance(engine, instance);
    }
    world.cloud.inject(Fault::new(FaultKind::Throttle { retry_after: Some(3600) }).at("create"));
    world.ask("first", "DCS", "i-1").await;
    world.until_reason("first", "RateLimited").await;
    world.ask("second", "DCS", "i-2").await;
    let second = world.until_reason("second", "RateLimited").await;
    assert!(crate::world::message(&second).contains("Retry-After"), "{}", crate::world::message(&second));
    world.ask("other", "GeminiDB", "i-3in06").await;
    world.until_phase("other", Phase::Completed).await;
    assert_eq!(world.cloud.count(Some("dcs"), "create"), 1);
}

#[tokio::test]
async fn what_owners_hang_on_their_objects_does_not_fill_the_memory_at_a_start() {
    let mut world = World::without_operator().await;
    world.account("cloud", 5).await;
    let long = "x".repeat(55);
    let many = |prefix: &str, count: usize| -> Value { (0..count).map(|n| (format!("{prefix}/{long}-{n}"), json!(long))).collect() };
    let finalizers: Vec<String> = (0..2000).map(|n| format!("example.com/{long}{n}")).collect();
    let kinds = [
        json!({ "annotations": { "note": "x".repeat(250_000) } }),
        json!({ "labels": many("example.com", 1500) }),
        json!({ "finalizers": finalizers }),
    ];
    let all = (0..240).map(|n| object(&format!("b-{n}"), "i-1", &kinds[n % 3])).collect();
    create_all(&world.backups_here(), all).await;
    world.start_operator();
    world.until("b-0", "seen", |status| status.phase.is_some()).await;
    world.until("b-239", "seen", |status| status.phase.is_some()).await;
    let peak = peak_memory(world.operator());
    println!("peak {peak} MiB");
    assert!(peak < 100, "{peak} MiB for 240 objects with 150 to 250 KB of metadata each");
    // What others hung on them is still there.
    let first = world.object("b-2").await;
    assert_eq!(first.finalizers().len(), 2000);
    assert_eq!(world.object("b-0").await.annotations().get("note").map(String::len), Some(250_000));
}

#[tokio::test]
async fn twelve_accounts_with_one_wrong_password_try_it_as_often_as_one_does() {
    let mut world = World::without_operator().await;
    let wrong = [("domainName", DOMAIN), ("username", USER), ("password", "wrong")];
    // The same in two Secrets.
    for name in ["wrong", "copied"] {
        world.secret(name, &wrong).await;
    }
    for n in 0..12 {
        let secret = ["wrong", "copied"][n % 2];
        world.account_with(&format!("a-{n}"), &format!("passwordSecretRef: {{name: {secret}}}"), 5).await;
    }
    // The first pause is two polls.
    world.start_operator_with(&["--poll-interval=60s"]);
    for n in 0..12 {
        let name = format!("a-{n}");
        eventually(&format!("{name} is refused"), PATIENCE, async || {
            let status = world.account_status(&name).await;
            if ready_reason(&status) == "AuthenticationFailed" { Ok(()) } else { Err(format!("{status:?}")) }
        })
        .await;
    }
    assert_eq!(world.cloud.count(Some("iam"), "token"), 1);
}

#[tokio::test]
async fn keys_with_a_project_work_while_iam_cannot_be_reached_until_a_service_refuses_them() {
    let mut world = World::without_operator().await;
    world.account_by_key("cloud", 1000).await;
    world.start_operator();
    world.until_account_is_verified().await;
    let project = world.account_status("cloud").await.project_id.expect("a project");
    world.kill_operator();
    world.cloud.refuse_connections("iam", true);
    let patch = format!(r#"{{"spec": {{"projectId": "{project}"}}}}"#);
    world.plane.kubectl_ok(&["patch", "ccacct", "cloud", "--type=merge", "-p", &patch]).await;
    world.start_operator();
    world.until_account("is used unverified", |status| ready_reason(status) == "Unverified").await;
    world.cloud.add_instance("dcs", "i-1");
    world.ask("without-iam", "DCS", "i-1").await;
    world.until_phase("without-iam", Phase::Completed).await;
    world.cloud.refuse_connections("iam", false);
    world.until_account("is verified once IAM is back", |status| ready_reason(status) == "Verified").await;

    world.kill_operator();
    world.cloud.refuse_connections("iam", true);
    world.cloud.remove_access_key(ACCESS_KEY);
    world.start_operator();
    world.until_account("is used unverified again", |status| ready_reason(status) == "Unverified").await;
    world.cloud.add_instance("dcs", "i-2");
    world.ask("refused", "DCS", "i-2").await;
    world.until_account("is refused by a service", |status| ready_reason(status) == "AuthenticationFailed").await;
    world.until_reason("refused", "AuthenticationFailed").await;
    world.cloud.add_access_key(ACCESS_KEY, SECRET_KEY, None, None);
    world.cloud.refuse_connections("iam", false);
    world.until_phase("refused", Phase::Completed).await;
}

#[tokio::test]
async fn a_namespace_that_cannot_be_listed_does_not_stop_the_others() {
    let mut world = crate::permissions::installed(&["--set", "crds.enabled=true,operator.watchNamespaces={default}"]).await;
    world.plane.kubectl_ok(&["create", "namespace", "forbidden"]).await;
    world.start_operator_with(&["--leader-elect=false", "--watch-namespaces=forbidden,default", "--blocked-grace=1s"]);
    world.plane.apply("{apiVersion: dbbackup.dev/v1alpha1, kind: DatabaseBackup, metadata: {name: b}, spec: {source: {engine: DCS, instanceId: i-1}}}").await;
    let status = world.until_reason("b", "AccountNotFound").await;
    assert!(crate::world::message(&status).contains("there is no CloudAccount default"), "{status:?}");
    world.operator().ready().await;
    eventually("the three watches of the other namespace are counted", PATIENCE, async || {
        let metrics = world.operator().metrics().await;
        if metrics.contains("dbbackup_watches_failing 3\n") { Ok(()) } else { Err(metrics) }
    })
    .await;
    let exit = world.terminate_operator().await;
    assert!(exit.success(), "watches that have shown nothing keep the process from ending: {exit}");
}

/// What the tenant does whom nobody restrains: everything that the chart's `edit` role allows, as fast as the API server lets it.
async fn misbehave(api: Api<DatabaseBackup>, lane: usize, until: tokio::time::Instant) -> usize {
    let (mut done, mut n) = (0, lane);
    let patch = kube::api::PatchParams::default();
    while tokio::time::Instant::now() < until {
        n += 8;
        let name = format!("{}-{lane}-{n}", "long-".repeat(n % 48));
        let metadata = match n % 4 {
            0 => json!({ "annotations": { "note": "x".repeat(200_000) } }),
            1 => json!({ "finalizers": ["example.com/hold", "dbbackup.dev/remote-backup"] }),
            2 => json!({ "labels": { "velero.io/restore-name": "forged" } }),
            _ => json!({ "annotations": { "dbbackup.dev/restored": "take-another" } }),
        };
        let instance = if n.is_multiple_of(3) { "i-noisy".to_owned() } else { format!("invented-{n}") };
        let mut object = object(&name, &instance, &metadata);
        if n.is_multiple_of(5) {
            object.spec.source.existing_backup_id = Some(format!("quiet-{n}"));
        } else if n.is_multiple_of(7) {
            object.spec.deletion_policy = database_backup_operator::api::backup::DeletionPolicy::Delete;
        }
        done += usize::from(api.create(&PostParams::default(), &object).await.is_ok());
        let change = json!({ "metadata": { "annotations": { "try": n.to_string() } }, "spec": { "backoffLimit": n % 10 } });
        done += usize::from(api.patch(&name, &patch, &kube::api::Patch::Merge(&change)).await.is_ok());
        if n.is_multiple_of(2) {
            done += usize::from(api.delete(&name, &kube::api::DeleteParams::default()).await.is_ok());
        }
    }
    done
}

#[tokio::test]
async fn a_hostile_tenant_with_the_charts_edit_role_costs_another_one_nothing() {
    const LASTS: Duration = Duration::from_secs(60);
    let mut world = crate::permissions::installed(&[]).await;
    if let Err(missing) = world.plane.start_controllers() {
        panic!("{missing}");
    }
    world.account("cloud", 5).await;
    world.cloud.add_instance("dcs", "i-noisy");
    let quiet = namespace(&world, "quiet-team").await;
    namespace(&world, "noisy").await;
    world.plane.kubectl_ok(&["-n", "noisy", "create", "rolebinding", "edit", "--clusterrole=edit", "--user=mallory"]).await;
    let mallory = world.plane.client_as("mallory").await;
    eventually("the role is aggregated", PATIENCE, async || {
        let api: Api<DatabaseBackup> = Api::namespaced(mallory.clone(), "noisy");
        let tried = api.create(&PostParams { dry_run: true, ..PostParams::default() }, &object("try", "i-1", &json!({}))).await;
        tried.map(drop).map_err(|error| error.to_string())
    })
    .await;
    world.start_operator_with(&["--leader-elect=true", "--lease-namespace=database-backup-operator", "--log-format=json"]);
    world.until_account_is_verified().await;

    let until = tokio::time::Instant::now() + LASTS;
    let lanes = (0..8).map(|lane| tokio::spawn(misbehave(Api::namespaced(mallory.clone(), "noisy"), lane, until)));
    let lanes: Vec<_> = lanes.collect();
    let mut waits = Vec::new();
    for n in 0.. {
        let instance = format!("i-quiet-{n}");
        world.cloud.add_instance("dcs", &instance);
        let (name, asked) = (format!("secret-project-{n}"), tokio::time::Instant::now());
        quiet.create(&PostParams::default(), &object(&name, &instance, &json!({}))).await.expect("it is created");
        let is_called =
            |cloud: &Simulator| cloud.calls().iter().any(|call| call.operation == "create" && call.path_and_query.contains(&instance));
        eventually(
            &format!("{name} is asked for"),
            PATIENCE,
            async || {
                if is_called(&world.cloud) { Ok(()) } else { Err(world.newest_lines()) }
            },
        )
        .await;
        waits.push(asked.elapsed());
        if asked >= until {
            break;
        }
    }
    let mut done = 0;
    for lane in lanes {
        done += lane.await.expect("it ends");
    }
    waits.sort();
    let (peak, longest) = (peak_memory(world.operator()), waits.last().copied().unwrap_or_default());
    println!("{done} requests of the hostile tenant; {} quiet backups asked for within {longest:?}; peak {peak} MiB", waits.len());
    // A few of them meet an API server that is busy with the other one's requests; the machine decides how long.
    assert!(waits.len() >= 5 && waits[waits.len() / 2] < Duration::from_secs(5) && longest < Duration::from_secs(60), "{waits:?}");
    assert!(peak < 128, "{peak} MiB, and the chart's limit is 128 Mi");
    assert!(world.operator().is_running() && done > 500, "{done}");

    // Neither a secret nor a name of the other tenant is seen where the hostile one may look.
    let kubectl = ["--as=mallory", "-n", "noisy"];
    for what in ["dbb", "events"] {
        let seen = world.plane.kubectl_ok(&[&kubectl[..], &["get", what, "-o", "yaml"]].concat()).await;
        for hidden in ["secret-project", "quiet-team", PASSWORD] {
            assert!(!seen.contains(hidden), "{hidden} in {what}");
        }
    }
    assert!(!world.operator().logs().contains(PASSWORD), "in the log");
}
