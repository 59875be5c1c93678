//! `make figures`: how fast and how frugal the operator is, on a control plane and a simulated cloud of its own.
//!
//! Speed is measured, and nothing is asserted of it: it is the machine's as well. What the operator may keep in memory is asserted: `docs/capacity.md` states it,
//! and the chart's limit follows from it. `FIGURES_BINARY` names another binary to measure.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    clippy::match_wild_err_arm,
    reason = "it ends where something is not as it has to be"
)]

#[path = "../simulator/mod.rs"]
mod simulator;
#[path = "../support/mod.rs"]
mod support;

mod neighbours;
mod rds;

use database_backup_operator::api::{backup::DatabaseBackup, status::Phase};
use futures::StreamExt;
use kube::{
    Api, ResourceExt,
    api::{ListParams, PostParams},
};
use simulator::{DOMAIN, PASSWORD, Simulator, USER};
use std::{
    path::Path,
    time::{Duration, Instant},
};
use support::{control_plane::ControlPlane, eventually, operator::Operator};

const MANY: usize = 1000;
const SINGLE: usize = 50;
const SCRAPES: usize = 50;
const PATIENCE: Duration = Duration::from_secs(300);

/// What the operator may have in memory, as `docs/capacity.md` states it: a fixed part, so much for each object, and what comes and goes where nothing on an
/// object is larger than its annotations may be. In MiB.
const FIXED: f64 = 28.0;
const OBJECT: f64 = 14.0 / 1000.0;
const PASSING: f64 = 48.0;

#[tokio::main]
async fn main() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/release/database-backup-operator");
    let binary = std::env::var_os("FIGURES_BINARY").map_or(own, Into::into);
    let size = std::fs::metadata(&binary).expect("run `make figures`, which builds it").len();
    // Takes twelve minutes by itself, most of which is waiting.
    if std::env::args().any(|argument| argument == "rds") {
        return rds::many_running(&binary).await;
    }
    println!("binary                                        {:.1} MB", to_f64(size) / 1e6);
    alone(&binary).await;
    neighbours::one_call(&binary).await;
    neighbours::large_objects(&binary).await;
    rds::many_running(&binary).await;
}

/// One tenant with many objects.
async fn alone(binary: &Path) {
    let (plane, cloud) = (ControlPlane::start().await, Simulator::start().await);
    cloud.any_instance(true);
    cloud.hold_backups(true);
    prepare(&plane, &cloud, 1000).await;
    let log = plane.folder().join("operator.log");
    let start = || Operator::start(binary, plane.kubeconfig(), &log, &["--cluster-resource-namespace=default"]);
    let operator = start();
    until_verified(&plane).await;
    println!("RSS with 0 objects                            {:.1} MiB", rss(&operator));
    within("RSS with 0 objects", rss(&operator), FIXED);

    let backups: Api<DatabaseBackup> = Api::default_namespaced(plane.client().await);
    let mut latencies: Vec<Duration> = Vec::new();
    for n in 0..SINGLE {
        latencies.push(first_call(&backups, &cloud, &format!("single-{n}")).await);
    }
    latencies.sort();
    println!("object created → create call, p50 / p98        {:.1} / {:.1} ms", millis(latencies[25]), millis(latencies[49]));

    let asked = Instant::now();
    create_many(&backups, (0..MANY).map(|n| object(&format!("many-{n}"))).collect()).await;
    println!("{MANY} objects created in                       {:.1} s", asked.elapsed().as_secs_f64());
    until(&backups, MANY + SINGLE, Phase::Running).await;
    println!("all of them Running after                     {:.1} s", asked.elapsed().as_secs_f64());
    let all = to_f64((MANY + SINGLE) as u64);
    println!("RSS with {all} running objects                 {:.1} MiB", rss(&operator));
    within("RSS with running objects", rss(&operator), FIXED + OBJECT * all);
    cloud.reset_calls();
    let cpu = cpu_seconds(&operator);
    tokio::time::sleep(Duration::from_secs(60)).await;
    println!("list calls in a minute with {all} running      {}", cloud.count(None, "list"));
    println!("CPU seconds in that minute                    {:.2}", cpu_seconds(&operator) - cpu);
    operator.kill();
    cloud.hold_backups(false);
    cloud.complete_all();
    cloud.reset_calls();
    let restarted = Instant::now();
    let operator = start();
    until(&backups, MANY + SINGLE, Phase::Completed).await;
    println!("after a restart all Completed within          {:.1} s", restarted.elapsed().as_secs_f64());
    println!("list / create calls for that                  {} / {}", cloud.count(None, "list"), cloud.count(None, "create"));
    println!("RSS with {all} completed objects               {:.1} MiB", rss(&operator));
    within("RSS with completed objects", rss(&operator), FIXED + OBJECT * all);
    scrapes(&operator).await;
    within("peak memory", peak(&operator), FIXED + OBJECT * all + PASSING);
    println!("backups in the cloud for {all} objects         {}", cloud.backups().len());
}

/// How long it takes from the creation of an object to the create call for it.
async fn first_call(backups: &Api<DatabaseBackup>, cloud: &Simulator, name: &str) -> Duration {
    let (asked, mark) = (Instant::now(), format!("dbb-{name}-"));
    backups.create(&PostParams::default(), &object(name)).await.expect("created");
    while !cloud.backups().iter().any(|backup| backup.name.starts_with(&mark)) {
        assert!(asked.elapsed() < PATIENCE, "{name} was never asked for");
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
    asked.elapsed()
}

async fn create_many(backups: &Api<DatabaseBackup>, objects: Vec<DatabaseBackup>) {
    let creating = futures::stream::iter(objects).for_each_concurrent(8, |object| async move {
        backups.create(&PostParams::default(), &object).await.expect("created");
    });
    creating.await;
}

/// Ends with an error where more is in memory than the documentation says.
fn within(what: &str, figure: f64, bound: f64) {
    assert!(figure <= bound, "{what}: {figure:.1} MiB, and docs/capacity.md states at most {bound:.1} MiB");
}

/// Each object has an instance of its own here, and so as many series as there can be.
async fn scrapes(operator: &Operator) {
    let (cpu, mut latencies, mut text) = (cpu_seconds(operator), Vec::new(), String::new());
    for _ in 0..SCRAPES {
        let asked = Instant::now();
        text = operator.metrics().await;
        latencies.push(asked.elapsed());
    }
    latencies.sort();
    let series = text.lines().filter(|line| !line.starts_with('#')).count();
    println!(
        "a scrape of {series} series, p50 / p98            {:.1} / {:.1} ms",
        millis(latencies[SCRAPES / 2]),
        millis(latencies[SCRAPES - 1])
    );
    println!(
        "its text, and CPU for it                      {:.1} MB, {:.1} ms",
        to_f64(text.len() as u64) / 1e6,
        (cpu_seconds(operator) - cpu) * 1000.0 / to_f64(SCRAPES as u64)
    );
    println!("RSS after {SCRAPES} scrapes                          {:.1} MiB", rss(operator));
}

async fn until_verified(plane: &ControlPlane) {
    plane.kubectl_ok(&["wait", "--for=condition=Ready", "ccacct/cloud", "--timeout=60s"]).await;
}

async fn prepare(plane: &ControlPlane, cloud: &Simulator, rate: u32) {
    plane.kubectl_ok(&["apply", "-f", concat!(env!("CARGO_MANIFEST_DIR"), "/crds")]).await;
    plane.kubectl_ok(&["wait", "--for=condition=Established", "crd", "--all"]).await;
    let endpoints = cloud.endpoints().manifest();
    plane
        .apply(&format!(
            "{{apiVersion: v1, kind: Secret, metadata: {{name: cloud}}, stringData: {{domainName: {DOMAIN}, username: {USER}, password: {PASSWORD}}}}}
---
{{apiVersion: dbbackup.dev/v1alpha1, kind: ClusterCloudAccount, metadata: {{name: cloud}}, spec: {{cloud: OpenTelekomCloud, region: eu-de,
  credentials: {{passwordSecretRef: {{name: cloud}}}}, allowedNamespaces: {{from: All}}, maxRequestsPerSecond: {rate},
  endpoints: {endpoints}}}}}"
        ))
        .await;
}

fn object(name: &str) -> DatabaseBackup {
    let spec = serde_json::json!({
        "accountRef": { "kind": "ClusterCloudAccount", "name": "cloud" },
        "source": { "engine": "TaurusDB", "instanceId": format!("{name}in07") },
    });
    DatabaseBackup::new(name, serde_json::from_value(spec).expect("a valid spec"))
}

async fn until(backups: &Api<DatabaseBackup>, count: usize, phase: Phase) {
    eventually(&format!("{count} objects {}", phase.as_str()), PATIENCE, async || {
        let listed = backups.list(&ListParams::default().fields(&format!("status.phase={}", phase.as_str()))).await;
        let there = listed.map_err(|error| error.to_string())?.items.iter().map(ResourceExt::name_any).count();
        if there == count { Ok(()) } else { Err(format!("{there}")) }
    })
    .await;
}

fn rss(operator: &Operator) -> f64 {
    memory(operator, "VmRSS")
}

/// The most that it ever had.
fn peak(operator: &Operator) -> f64 {
    memory(operator, "VmHWM")
}

fn memory(operator: &Operator, which: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", operator.pid())).expect("it runs, on Linux");
    let line = status.lines().find(|line| line.starts_with(which)).expect("a size");
    line.split_whitespace().nth(1).and_then(|kb| kb.parse::<f64>().ok()).expect("a number") / 1024.0
}

/// User and system time so far, at the usual 100 ticks a second.
fn cpu_seconds(operator: &Operator) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", operator.pid())).expect("it runs, on Linux");
    let after_name = stat.rsplit(") ").next().expect("fields");
    after_name.split(' ').skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

#[allow(clippy::cast_precision_loss)] // megabytes with one decimal
fn to_f64(bytes: u64) -> f64 {
    bytes as f64
}
