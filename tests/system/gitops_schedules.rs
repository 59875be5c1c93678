//! What Argo CD, Flux and whatever else prunes make of schedules and their backups.

use crate::{
    argo_cases::{Cases, argo_all_along},
    scheduled::{
        EVERY_MINUTE, YEARLY, age, api, child, children, completed, manifest, says, status, suspend, until, until_children, world_with,
    },
    simulator::backup::Given,
    support::{control_plane::ControlPlane, eventually},
    world::{PATIENCE, World, record},
};
use database_backup_operator::api::{schedule::DatabaseBackupSchedule, status::Phase};
use kube::{Api, ResourceExt};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio_util::task::AbortOnDropHandle;

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/examples");

/// A schedule whose account there is not.
fn of_nobody(name: &str) -> String {
    manifest(name, YEARLY, "DCS", "").replace("name: cloud}", "name: nobody}")
}

/// A schedule whose backups the API server refuses, for their label.
fn mislabelled(name: &str) -> String {
    manifest(name, EVERY_MINUTE, "DDS", "").replace("team: blue", "team: blue and green")
}

#[tokio::test]
async fn argo_cd_sees_each_state_of_a_schedule_as_what_it_is() {
    let mut world = World::without_operator().await;
    let schedules: Api<DatabaseBackupSchedule> = api(&world);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let _watch = AbortOnDropHandle::new(tokio::spawn(record(schedules, seen.clone())));
    let mut cases = Cases::default();
    world.plane.apply(&manifest("fresh", YEARLY, "DCS", "")).await;
    cases.take(&world.plane, "dbbs", "fresh", "progressing_fresh", "Progressing").await;
    for service in ["dcs", "taurusdb", "geminidb", "gaussdb", "dds"] {
        world.cloud.add_instance(service, &format!("i-{service}"));
    }
    world.account("cloud", 1000).await;
    world.start_operator_with(&["--resync-interval=1s", "--blocked-grace=1h"]);
    world.until_account_is_verified().await;
    for schedule in [of_nobody("unknown-account"), mislabelled("mislabelled")] {
        world.plane.apply(&schedule).await;
    }

    completed(&world, "nightly", "DCS", &["202601010100"], "").await;
    world.plane.apply(&manifest("nightly", YEARLY, "DCS", "retention: {maxCount: 14}")).await;
    until(&world, "nightly", "has a success", |status| says(status, "LastBackupSucceeded", "True", "Completed")).await;
    cases.take(&world.plane, "dbbs", "nightly", "healthy_scheduled", "Healthy").await;
    world.plane.apply(&manifest("suspended", YEARLY, "DCS", "suspend: true")).await;
    until(&world, "suspended", "rests", |status| says(status, "Ready", "True", "Suspended")).await;
    cases.take(&world.plane, "dbbs", "suspended", "healthy_suspended", "Healthy").await;
    world.plane.apply(&manifest("invalid", "0 2 * * *", "DCS", "timeZone: Mars/Olympus")).await;
    until(&world, "invalid", "is refused", |status| says(status, "Ready", "False", "InvalidSchedule")).await;
    cases.take(&world.plane, "dbbs", "invalid", "degraded_invalid_schedule", "Degraded").await;

    world.cloud.fail_next_backups(1, Some("taurusdb"));
    world.plane.apply(&child("failing", "202601010100", "TaurusDB", "backoffLimit: 0")).await;
    world.until_phase("failing-202601010100", Phase::Failed).await;
    world.plane.apply(&manifest("failing", YEARLY, "TaurusDB", "")).await;
    until(&world, "failing", "tells of it", |status| says(status, "LastBackupSucceeded", "False", "Failed")).await;
    cases.take(&world.plane, "dbbs", "failing", "healthy_last_backup_failed", "Healthy").await;

    let objective = "objective: {maxAgeSeconds: 3600}";
    world.plane.apply(&manifest("bare", YEARLY, "GaussDB", objective)).await;
    until(&world, "bare", "has none", |status| says(status, "WithinObjective", "False", "NoBackup")).await;
    cases.take(&world.plane, "dbbs", "bare", "healthy_not_protected_yet", "Healthy").await;
    world.cloud.give_backup("geminidb", "i-geminidb", "given", Given { age: Duration::from_secs(600), ..Given::default() });
    world.plane.apply(&manifest("protected", YEARLY, "GeminiDB", objective)).await;
    until(&world, "protected", "is within", |status| says(status, "WithinObjective", "True", "Fresh")).await;
    cases.take(&world.plane, "dbbs", "protected", "healthy_protected", "Healthy").await;
    age(&world, "i-geminidb", jiff::SignedDuration::from_hours(1));
    until(&world, "protected", "is too old", |status| says(status, "WithinObjective", "False", "TooOld")).await;
    cases.take(&world.plane, "dbbs", "protected", "degraded_objective_missed", "Degraded").await;

    // Blocked within the grace, and after it.
    let blocked = [("unknown-account", "account_not_ready", "AccountNotReady"), ("mislabelled", "backup_not_created", "BackupNotCreated")];
    for (name, case, reason) in blocked {
        until(&world, name, "is blocked", |status| says(status, "Reconciling", "True", reason)).await;
        cases.take(&world.plane, "dbbs", name, &format!("progressing_{case}_within_the_grace"), "Progressing").await;
    }
    assert!(world.terminate_operator().await.success());
    world.start_operator_with(&["--resync-interval=1s", "--blocked-grace=1s"]);
    for (name, case, reason) in blocked {
        until(&world, name, "stalls", |status| says(status, "Stalled", "True", reason)).await;
        cases.take(&world.plane, "dbbs", name, &format!("degraded_{case}"), "Degraded").await;
    }
    assert!(world.terminate_operator().await.success());
    world.plane.apply(&manifest("nightly", YEARLY, "DCS", "retention: {maxCount: 7}")).await;
    cases.take(&world.plane, "dbbs", "nightly", "progressing_edited", "Progressing").await;
    cases.bless();

    // On the way nothing was said too early.
    for (name, expected) in [
        ("nightly", &["Progressing", "Healthy", "Progressing"][..]),
        ("suspended", &["Progressing", "Healthy"]),
        ("invalid", &["Progressing", "Degraded"]),
        ("failing", &["Progressing", "Healthy"]),
        ("bare", &["Progressing", "Healthy"]),
        ("protected", &["Progressing", "Healthy", "Degraded"]),
        ("unknown-account", &["Progressing", "Degraded"]),
    ] {
        let all = seen.lock().expect("nobody panicked with it");
        let versions: Vec<_> = all.iter().filter(|object| object.name_any() == name).cloned().collect();
        assert_eq!(argo_all_along(&versions), expected, "{name}");
    }
}

/// Makes the set `app` hold exactly these objects: others that have its label go.
async fn sync(plane: &ControlPlane, objects: &str) -> String {
    let args = ["apply", "--prune", "--applyset=configmaps/app", "--namespace=default", "-f", "-"];
    plane.with_input(&args, objects).await.unwrap_or_else(|error| panic!("{error}\n{objects}"))
}

#[tokio::test]
async fn a_prune_takes_the_schedule_and_leaves_its_backups_and_a_schedule_that_comes_back_has_them() {
    let world = world_with(&["--resync-interval=1s"]).await;
    let schedule = manifest("nightly", EVERY_MINUTE, "DCS", "");
    let by_hand = World::manifest("by-hand", "DDS", "i-dds", "");
    let other = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: other}\n";
    completed(&world, "nightly", "DCS", &["202601010000"], "").await;
    sync(&world.plane, &format!("{schedule}{by_hand}{other}")).await;
    world.until_phase("by-hand", Phase::Completed).await;
    let made = until(&world, "nightly", "has a backup", |status| status.last_backup_name.is_some()).await.last_backup_name.expect("one");
    world.until_phase(&made, Phase::Completed).await;
    suspend(&world, "nightly").await;
    let here = children(&world, "nightly").await;
    assert!(here.len() >= 2, "{here:?}");
    // Both kinds are among those that the set prunes.
    let said = sync(&world.plane, other).await;
    assert!(said.contains("databasebackupschedule.dbbackup.dev/nightly pruned"), "{said}");
    assert!(said.contains("databasebackup.dbbackup.dev/by-hand pruned"), "{said}");
    world.until_gone("by-hand").await;
    assert!(api(&world).get_opt("nightly").await.expect("an answer").is_none());
    assert_eq!(children(&world, "nightly").await, here, "they stay");
    assert!(world.object(&made).await.metadata.deletion_timestamp.is_none());
    // It counts those that are there.
    sync(&world.plane, &format!("{}{other}", manifest("nightly", YEARLY, "DCS", "retention: {maxCount: 1}"))).await;
    let newest = here.last().expect("one").trim_start_matches("nightly-").to_owned();
    until_children(&world, "nightly", &[&newest]).await;
    assert!(status(&world, "nightly").await.last_successful_time.is_some());
}

/// What Argo CD and Flux do on each sync, without a force.
async fn server_side(plane: &ControlPlane, manager: &str, path: &str) {
    plane.kubectl_ok(&["apply", "--server-side", &format!("--field-manager={manager}"), "-f", path]).await;
}

/// The fields that a manager owns outside the status.
fn owned(object: &DatabaseBackupSchedule, manager: &str) -> Vec<String> {
    let entries = object.managed_fields().iter().filter(|entry| entry.manager.as_deref() == Some(manager));
    let fields = entries.flat_map(|entry| entry.fields_v1.as_ref().and_then(|fields| fields.0.as_object()).into_iter().flatten());
    fields.map(|(name, _)| name.clone()).filter(|name| name != "f:status").collect()
}

#[tokio::test]
async fn applying_the_examples_again_conflicts_with_nobody_and_makes_no_new_generation() {
    let world = world_with(&[]).await;
    world.plane.kubectl_ok(&["create", "namespace", "shop"]).await;
    let all: Api<DatabaseBackupSchedule> = Api::namespaced(world.backups.clone().into_client(), "shop");
    let files = ["schedule-nightly.yaml", "schedule-business-hours.yaml", "schedule-before-migration.yaml"]
        .map(|file| format!("{EXAMPLES}/{file}"));
    for file in &files {
        server_side(&world.plane, "argocd-controller", file).await;
    }
    let until_seen = async || {
        eventually("all are seen", PATIENCE, async || {
            let schedules = all.list(&kube::api::ListParams::default()).await.map_err(|error| error.to_string())?.items;
            let is_seen = |object: &DatabaseBackupSchedule| {
                object.status.as_ref().is_some_and(|status| Some(status.observed_generation) == object.metadata.generation)
            };
            if schedules.len() == 3 && schedules.iter().all(is_seen) { Ok(schedules) } else { Err(format!("{schedules:?}")) }
        })
        .await
    };
    let generations = |schedules: &[DatabaseBackupSchedule]| schedules.iter().map(|object| object.metadata.generation).collect::<Vec<_>>();
    assert_eq!(generations(&until_seen().await), [Some(1); 3], "nothing but the status is written");
    for manager in ["argocd-controller", "argocd-controller", "kustomize-controller"] {
        for file in &files {
            server_side(&world.plane, manager, file).await;
            // The status of what has no account may be written between what kubectl reads and what it is told would be stored.
            let field_manager = format!("--field-manager={manager}");
            let diff = ["diff", "--server-side", &field_manager, "-f", file];
            eventually("there is no difference", PATIENCE, async || {
                let output = world.plane.kubectl(&diff).await.expect("kubectl runs");
                if output.status.success() { Ok(()) } else { Err(format!("{output:?}")) }
            })
            .await;
        }
    }
    let after = until_seen().await;
    assert_eq!(generations(&after), [Some(1); 3]);
    for object in after {
        assert_eq!(owned(&object, "database-backup-operator"), [""; 0], "{}", object.name_any());
        assert!(object.finalizers().is_empty() && object.owner_references().is_empty());
    }
}
