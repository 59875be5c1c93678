//! `make demo`: a control plane, a simulated cloud and the operator start; one manifest for each engine, and for TaurusDB of each cloud, is applied;
//! progress is shown until all are Completed; everything is stopped again. The user's own cluster is never touched.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    clippy::match_wild_err_arm,
    reason = "a test ends where something is not as it has to be"
)]

#[path = "../simulator/mod.rs"]
mod simulator;
#[path = "../support/mod.rs"]
mod support;

use simulator::{ACCESS_KEY, DOMAIN, PASSWORD, SECRET_KEY, Simulator, USER};
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use support::{control_plane::ControlPlane, operator::Operator};

const NAMESPACE: &str = "shop";
const EXAMPLES: [&str; 8] = ["geminidb", "gaussdbformysql", "taurusdb-otc", "dcs", "taurusdb", "rds", "dds", "gaussdb"];
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::main]
async fn main() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let binary = operator_binary();
    say("starting a control plane (etcd and kube-apiserver on free ports of this machine)");
    let plane = ControlPlane::start().await;
    say("starting a simulated cloud: IAM, GeminiDB, TaurusDB and GaussDB(for MySQL), DCS, RDS, DDS, GaussDB");
    let cloud = Simulator::start().await;
    cloud.any_instance(true);
    cloud.set_backup_duration(Duration::from_secs(3));
    cloud.set_backup_size(1_610_612_736);
    prepare(&plane, &cloud).await;
    say("starting the operator");
    let log = plane.folder().join("operator.log");
    let flags = ["--cluster-resource-namespace=database-backup-operator", "--poll-interval=1s"];
    let operator = Operator::start(&binary, plane.kubeconfig(), &log, &flags);
    operator.url().await;
    let started = Instant::now();
    for example in EXAMPLES {
        let file = example_file(example);
        say(&format!("kubectl apply -f deploy/examples/{example}.yaml"));
        plane.kubectl_ok(&["apply", "-n", NAMESPACE, "-f", &file.to_string_lossy()]).await;
    }
    if !follow(&plane, started).await {
        eprintln!("{}", operator.logs());
        eprintln!("demo: not all backups are Completed; the operator's log is above");
        drop((operator, cloud, plane));
        std::process::exit(1);
    }
    say("kubectl get dbb -o wide");
    println!("{}", plane.kubectl_ok(&["get", "dbb", "-n", NAMESPACE, "-o", "wide"]).await);
    say("kubectl get events");
    println!("{}", plane.kubectl_ok(&["get", "events", "-n", NAMESPACE, "-o", EVENT_COLUMNS]).await);
    operator.terminate().await;
    say(&format!("done: {} create calls for {} objects; everything is stopped and removed", cloud.count(None, "create"), EXAMPLES.len()));
}

const EVENT_COLUMNS: &str = "custom-columns=OBJECT:.involvedObject.name,REASON:.reason,MESSAGE:.message";

fn say(line: &str) {
    println!("==> {line}");
}

/// Beside the examples folder of this build; `make demo` builds it first.
fn operator_binary() -> PathBuf {
    let own = std::env::current_exe().expect("this program has a path");
    let binary = own.parent().and_then(Path::parent).expect("examples have a folder of their own").join("database-backup-operator");
    assert!(binary.exists(), "{} is missing: run `make demo`, which builds it", binary.display());
    binary
}

fn example_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/examples").join(format!("{name}.yaml"))
}

/// CRDs, namespaces, and the two accounts that the examples name, pointed to the simulated cloud.
async fn prepare(plane: &ControlPlane, cloud: &Simulator) {
    let crds = Path::new(env!("CARGO_MANIFEST_DIR")).join("crds");
    plane.kubectl_ok(&["apply", "-f", &crds.to_string_lossy()]).await;
    plane.kubectl_ok(&["wait", "--for=condition=Established", "crd", "--all"]).await;
    for namespace in [NAMESPACE, "database-backup-operator"] {
        plane.kubectl_ok(&["create", "namespace", namespace]).await;
    }
    let endpoints = cloud.endpoints().manifest();
    plane
        .apply(&format!(
            "apiVersion: v1
kind: Secret
metadata: {{name: huawei-password, namespace: database-backup-operator}}
stringData: {{domainName: {DOMAIN}, username: {USER}, password: {PASSWORD}}}
---
apiVersion: v1
kind: Secret
metadata: {{name: otc-access-key, namespace: database-backup-operator}}
stringData: {{accessKey: {ACCESS_KEY}, secretKey: {SECRET_KEY}}}
---
apiVersion: dbbackup.dev/v1alpha1
kind: ClusterCloudAccount
metadata: {{name: huawei-ap-southeast-1}}
spec:
  cloud: HuaweiCloud
  region: ap-southeast-1
  credentials: {{passwordSecretRef: {{name: huawei-password}}}}
  allowedNamespaces: {{from: All}}
  endpoints: {endpoints}
---
apiVersion: dbbackup.dev/v1alpha1
kind: ClusterCloudAccount
metadata: {{name: otc-eu-de}}
spec:
  cloud: OpenTelekomCloud
  region: eu-de
  credentials: {{accessKeySecretRef: {{name: otc-access-key}}}}
  allowedNamespaces: {{from: All}}
  endpoints: {endpoints}
"
        ))
        .await;
}

/// Shows each change until all are Completed; false if that does not come in time.
async fn follow(plane: &ControlPlane, started: Instant) -> bool {
    let mut shown: HashMap<String, String> = HashMap::new();
    while started.elapsed() < PATIENCE {
        let listed = plane.kubectl_ok(&["get", "dbb", "-n", NAMESPACE, "-o", "json"]).await;
        let listed: serde_json::Value = serde_json::from_str(&listed).unwrap_or_default();
        let objects = listed["items"].as_array().cloned().unwrap_or_default();
        for object in &objects {
            let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            let ready = object["status"]["conditions"].as_array().and_then(|all| all.iter().find(|c| c["type"] == "Ready")).cloned();
            let line = format!(
                "{:<10} {}",
                object["status"]["phase"].as_str().unwrap_or("-"),
                ready.as_ref().and_then(|ready| ready["message"].as_str()).unwrap_or("")
            );
            if shown.get(&name) != Some(&line) {
                println!("    {:>5.1}s  {name:<24} {line}", started.elapsed().as_secs_f32());
                shown.insert(name, line);
            }
        }
        if objects.len() == EXAMPLES.len() && objects.iter().all(|object| object["status"]["phase"] == "Completed") {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    false
}
