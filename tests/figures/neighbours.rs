//! Tenants beside each other: what one of them costs another.

use super::{FIXED, OBJECT, PASSING, PATIENCE, create_many, first_call, millis, peak, prepare, rss, to_f64, until_verified, within};
use crate::{
    simulator::Simulator,
    support::{control_plane::ControlPlane, eventually, operator::Operator},
};
use database_backup_operator::api::backup::DatabaseBackup;
use kube::{Api, api::ListParams};
use serde_json::json;
use std::{path::Path, time::Duration};

/// Objects of the noisy tenant.
const NOISE: usize = 600;
/// Backups of the quiet one.
const QUIET: usize = 50;
/// Objects that have much in their metadata, and how much, in bytes.
const LARGE: (usize, usize) = (400, 250_000);
/// One backup at a time beside hundreds of another namespace's, whose instances nobody knows, with one account at the default rate.
pub async fn one_call(binary: &Path) {
    let (plane, cloud) = (ControlPlane::start().await, Simulator::start().await);
    prepare(&plane, &cloud, 5).await;
    let log = plane.folder().join("operator.log");
    let operator = Operator::start(binary, plane.kubeconfig(), &log, &["--cluster-resource-namespace=default"]);
    until_verified(&plane).await;
    plane.kubectl_ok(&["create", "namespace", "noisy"]).await;
    let client = plane.client().await;
    let noisy: Api<DatabaseBackup> = Api::namespaced(client.clone(), "noisy");
    create_many(&noisy, (0..NOISE).map(|n| super::object(&format!("noise-{n}"))).collect()).await;
    let quiet: Api<DatabaseBackup> = Api::default_namespaced(client);
    let mut latencies = Vec::new();
    for n in 0..QUIET {
        cloud.add_instance("taurusdb", &format!("quiet-{n}in07"));
        latencies.push(first_call(&quiet, &cloud, &format!("quiet-{n}")).await);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    latencies.sort();
    let (median, most) = (millis(latencies[QUIET / 2]), millis(latencies[QUIET - 1]));
    println!("the same beside {NOISE} of another tenant, p50 / p98 {median:.0} / {most:.0} ms");
    println!("RSS then                                      {:.1} MiB", rss(&operator));
}

/// Objects on which their owners hung much, at a start.
pub async fn large_objects(binary: &Path) {
    let (count, bytes) = LARGE;
    let (plane, cloud) = (ControlPlane::start().await, Simulator::start().await);
    prepare(&plane, &cloud, 5).await;
    let backups: Api<DatabaseBackup> = Api::default_namespaced(plane.client().await);
    let large = |n: usize| {
        let mut object = super::object(&format!("large-{n}"));
        object.metadata.annotations = serde_json::from_value(json!({ "note": "x".repeat(bytes) })).expect("annotations");
        object
    };
    create_many(&backups, (0..count).map(large).collect()).await;
    let log = plane.folder().join("operator.log");
    let operator = Operator::start(binary, plane.kubeconfig(), &log, &["--cluster-resource-namespace=default"]);
    eventually("every object has a status", PATIENCE, async || {
        let listed = backups.list(&ListParams::default().fields("status.phase=")).await.map_err(|error| error.to_string())?;
        if listed.items.is_empty() { Ok(()) } else { Err(format!("{} have none", listed.items.len())) }
    })
    .await;
    println!("peak memory with {count} objects of {} KB each    {:.1} MiB", bytes / 1000, peak(&operator));
    println!("RSS then                                      {:.1} MiB", rss(&operator));
    within("peak memory with large objects", peak(&operator), FIXED + OBJECT * to_f64(count as u64) + PASSING);
}
