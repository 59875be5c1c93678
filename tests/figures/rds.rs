//! RDS, which allows each user 60 calls a minute and lists per instance: how late the end of many backups is noticed.

use super::{create_many, prepare, until_verified};
use crate::{
    simulator::Simulator,
    support::{control_plane::ControlPlane, operator::Operator},
};
use database_backup_operator::api::{backup::DatabaseBackup, status::Phase};
use kube::{Api, ResourceExt, api::ListParams};
use serde_json::json;
use std::{
    collections::HashMap,
    path::Path,
    time::{Duration, Instant},
};

/// Backups that run at the same time, each of an instance of its own.
const RUNNING: usize = 200;
/// All creates take four minutes, and all looks seven.
const PATIENCE: Duration = Duration::from_secs(1200);

/// With an account at the default rate, and default flags.
pub async fn many_running(binary: &Path) {
    let (plane, cloud) = (ControlPlane::start().await, Simulator::start().await);
    cloud.any_instance(true);
    cloud.hold_backups(true);
    prepare(&plane, &cloud, 5).await;
    let log = plane.folder().join("operator.log");
    let _operator = Operator::start(binary, plane.kubeconfig(), &log, &["--cluster-resource-namespace=default"]);
    until_verified(&plane).await;
    let backups: Api<DatabaseBackup> = Api::default_namespaced(plane.client().await);
    let asked = Instant::now();
    create_many(&backups, (0..RUNNING).map(object).collect()).await;
    let running = until_each(&backups, Phase::Running, asked).await;
    println!("{RUNNING} RDS backups: first / last one Running after {} / {} s", seconds(running[0]), seconds(running[RUNNING - 1]));
    // Every one of them has been looked at at least once.
    tokio::time::sleep(Duration::from_secs(420)).await;
    cloud.hold_backups(false);
    cloud.complete_all();
    let late = until_each(&backups, Phase::Completed, Instant::now()).await;
    println!(
        "their end noticed after, p50 / p98 / most        {} / {} / {} s",
        seconds(late[RUNNING / 2]),
        seconds(late[RUNNING * 98 / 100]),
        seconds(late[RUNNING - 1])
    );
    println!("most RDS calls in any minute, calls refused     {}, {}", cloud.rds_busiest_minute(), cloud.rds_calls_refused());
    println!("create / list calls in all                      {} / {}", cloud.count(None, "create"), cloud.count(None, "list"));
}

fn object(n: usize) -> DatabaseBackup {
    let spec = json!({
        "accountRef": { "kind": "ClusterCloudAccount", "name": "cloud" },
        "source": { "engine": "RDS", "instanceId": format!("rds-{n}in01") },
    });
    DatabaseBackup::new(&format!("rds-{n}"), serde_json::from_value(spec).expect("a valid spec"))
}

/// How long after `since` each object was first seen in this phase, shortest first.
async fn until_each(backups: &Api<DatabaseBackup>, phase: Phase, since: Instant) -> Vec<Duration> {
    let mut seen: HashMap<String, Duration> = HashMap::new();
    while seen.len() < RUNNING {
        assert!(since.elapsed() < PATIENCE, "{} of {RUNNING} are {}", seen.len(), phase.as_str());
        let listed = backups.list(&ListParams::default().fields(&format!("status.phase={}", phase.as_str()))).await.expect("listed");
        for object in listed.items {
            seen.entry(object.name_any()).or_insert_with(|| since.elapsed());
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let mut all: Vec<Duration> = seen.into_values().collect();
    all.sort();
    all
}

fn seconds(duration: Duration) -> u64 {
    duration.as_secs()
}
