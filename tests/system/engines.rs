//! The main job, for each engine.

use crate::{
    support::eventually,
    world::{PATIENCE, World, condition, is_true},
};
use database_backup_operator::api::status::{CreateOutcome, DatabaseBackupStatus, Origin, Phase};

/// Name, engine, instance, the simulated service, and whether the cloud gives a job id.
const ROWS: [(&str, &str, &str, &str, bool); 8] = [
    ("gemini", "GeminiDB", "a4d8ea2584e047439a667703c0684119in06", "geminidb", true),
    ("gaussdb", "GaussDBforMySQL", "d8e6ca5a624745bcb546a227aa3ae1cfin01", "taurusdb", false),
    ("taurus", "TaurusDB", "07033b125fd94a8a96896f8bcfee6ddain07", "taurusdb", true),
    ("redis", "DCS", "4c4a9d8e-2f5b-4a36-9d41-6c1e0f6f2a11", "dcs", false),
    ("taurus-2", "TaurusDB", "619d3e78f61b4be68bc5aa0b59edcf7bin07", "taurusdb", true),
    ("relational", "RDS", "5a30b8a4b1cd4e0f9cbb9e4d86d3cc2fin01", "rds", false),
    ("documents", "DDS", "8b9ab5e3d5cf4a6c9f3b1b7f1c2d4e6ain02", "dds", true),
    ("opengauss", "GaussDB", "c3f1e7d95a2b48f6b1d0a9e8c7f6b5a4in14", "gaussdb", true),
];

#[tokio::test]
async fn each_engine_goes_from_pending_to_running_to_completed_with_one_create_call_and_three_status_writes() {
    let mut world = World::without_operator().await;
    world.account("cloud", 1000).await;
    // Nothing is lost here, so an intent may live for its full 10 s however slow the machine is.
    world.start_operator_with(&["--settle-delay=60s"]);
    // An object that comes before its account is verified is told so, which is one write more.
    world.until_account_is_verified().await;
    world.cloud.set_backup_size(3 * 1024 * 1024);
    // The clouds write times in whole seconds.
    let begun = jiff::Timestamp::now() - jiff::SignedDuration::from_secs(1);
    for (name, engine, instance, service, _) in ROWS {
        world.cloud.add_instance(service, instance);
        world.ask(name, engine, instance).await;
    }
    for (name, ..) in ROWS {
        world.plane.kubectl_ok(&["wait", "--for=condition=Ready", "--timeout=60s", "dbb", name]).await;
    }
    for (name, engine, instance, _, has_job) in ROWS {
        let status = world.status(name).await;
        assert_eq!(world.phases(name), ["Pending", "Running", "Completed"], "{engine}");
        assert_eq!(status.job_id.is_some(), has_job, "{engine}");
        assert_eq!(status.size.as_ref().map(|size| size.0.as_str()), Some("3Mi"), "{engine}");
        assert_eq!((status.origin, status.create_outcome), (Some(Origin::Created), Some(CreateOutcome::Accepted)), "{engine}");
        assert_eq!((status.cloud.as_deref(), status.region.as_deref()), (Some("OpenTelekomCloud"), Some("eu-de")), "{engine}");
        assert!(status.start_time <= status.completion_time, "{engine}");
        assert!(status.start_time.is_some_and(|started| started.0 >= begun), "{engine}");
        assert!(status.engine_version.is_some() == (engine != "DCS"), "{engine}: {:?}", status.engine_version);
        assert!(status.completion_time.is_some() && status.last_sync_time.is_some() && status.project_id.is_some(), "{engine}");
        assert_eq!(world.writes(name), 3, "{engine}: {:#?}", world.history(name));
        world.history(name).iter().for_each(|version| is_coherent(version, engine));
        let in_cloud: Vec<_> = world.cloud.backups().into_iter().filter(|backup| backup.instance == instance).collect();
        assert_eq!(in_cloud.len(), 1, "{engine}");
        assert_eq!(status.backup_id.as_deref(), Some(in_cloud[0].id.as_str()), "{engine}");
    }
    assert_eq!(world.cloud.count(None, "create"), ROWS.len());
}

/// What holds at every step: nothing is observed without conditions, and the conditions fit the phase.
fn is_coherent(status: &DatabaseBackupStatus, engine: &str) {
    if status.observed_generation < 0 {
        assert!(status.conditions.is_empty(), "{engine}: {status:?}");
        return;
    }
    let ready = condition(status, "Ready").unwrap_or_else(|| panic!("{engine}: {status:?}"));
    assert_eq!(ready.observed_generation, Some(status.observed_generation), "{engine}");
    assert_eq!(is_true(status, "Ready"), status.phase == Some(Phase::Completed), "{engine}");
    assert_eq!(is_true(status, "Reconciling"), status.phase != Some(Phase::Completed), "{engine}");
    assert!(condition(status, "Stalled").is_none(), "{engine}: absent while it is not so");
    assert!(!ready.message.is_empty() && ready.message.len() <= 256 && !ready.message.contains('\n'), "{engine}");
}

#[tokio::test]
async fn kubectl_shows_selects_and_explains() {
    let world = World::start().await;
    let (name, engine, instance, service, _) = ROWS[2];
    world.cloud.add_instance(service, instance);
    world.ask(name, engine, instance).await;
    world.until_phase(name, Phase::Completed).await;
    let wide = world.plane.kubectl_ok(&["get", "dbb", "-o", "wide"]).await;
    for column in [
        "ENGINE", "INSTANCE", "PHASE", "SIZE", "BACKUP-ID", "COMPLETED", "AGE", "ACCOUNT", "JOB-ID", "POLICY", "EXPIRES", "ATTEMPTS",
        "MESSAGE",
    ] {
        assert!(wide.contains(column), "{column} in\n{wide}");
    }
    for selector in ["status.phase=Completed", "spec.source.engine=TaurusDB", &format!("spec.source.instanceId={instance}")] {
        let found = world.plane.kubectl_ok(&["get", "dbb", "--field-selector", selector, "-o", "name"]).await;
        assert_eq!(found.trim(), format!("databasebackup.dbbackup.dev/{name}"), "{selector}");
    }
    assert!(world.plane.kubectl_ok(&["get", "dbbackup", "-A"]).await.contains(name), "the category");
    let explained = world.plane.kubectl_ok(&["explain", "databasebackup.spec.progressDeadlineSeconds"]).await;
    assert!(explained.contains("Seconds from creation") && explained.contains("7200"), "{explained}");
    let events = world.plane.kubectl_ok(&["get", "events", "-o", "custom-columns=R:.reason", "--no-headers"]).await;
    assert!(events.contains("Submitted") && events.contains("Completed"), "{events}");
}

#[tokio::test]
async fn a_backup_that_the_cloud_reports_failed_is_tried_again_under_a_new_name() {
    let world = World::start().await;
    world.cloud.add_instance("taurusdb", "i-1in07");
    world.cloud.fail_next_backups(1, Some("taurusdb"));
    world.ask("twice", "TaurusDB", "i-1in07").await;
    let status = world.until_phase("twice", Phase::Completed).await;
    assert_eq!((status.attempts, status.failed_attempts.len()), (Some(2), 1));
    let names: Vec<String> = world.cloud.backups().into_iter().map(|backup| backup.name).collect();
    assert_eq!(names.len(), 2);
    assert_ne!(names[0], names[1]);
    assert_eq!(status.failed_attempts[0].backup_name, names[0]);
}

#[tokio::test]
async fn when_every_attempt_failed_the_object_has_failed_for_good() {
    let world = World::start().await;
    world.cloud.add_instance("dcs", "i-1");
    world.cloud.fail_next_backups(9, Some("dcs"));
    world.plane.apply(&World::manifest("never", "DCS", "i-1", "backoffLimit: 1")).await;
    let status = world.until_phase("never", Phase::Failed).await;
    assert_eq!((status.failed_attempts.len(), world.backups_in_cloud()), (2, 2));
    assert!(is_true(&status, "Stalled") && crate::world::message(&status).contains("2 of 2 attempts failed"), "{status:?}");
}

#[tokio::test]
async fn a_backup_that_somebody_deletes_in_the_cloud_is_missing_and_one_that_is_only_unreadable_is_not() {
    let mut world = World::without_operator().await;
    world.account("cloud", 1000).await;
    world.start_operator_with(&["--resync-interval=1s"]);
    for (name, engine, service) in [("taurus", "TaurusDB", "taurusdb"), ("redis", "DCS", "dcs")] {
        world.cloud.add_instance(service, name);
        world.ask(name, engine, name).await;
        let status = world.until_phase(name, Phase::Completed).await;
        world.cloud.deny(service, true);
        let reads = world.cloud.count(Some(service), "list");
        assert!(
            world.cloud.wait_until(crate::world::PATIENCE, |cloud| cloud.count(Some(service), "list") >= reads + 3),
            "{engine}: it looks"
        );
        assert_eq!(world.status(name).await.phase, Some(Phase::Completed), "{engine}: unreadable is not gone");
        world.cloud.deny(service, false);
        assert!(world.cloud.lose_backup(&status.backup_id.unwrap_or_default()));
        let status = world.until_phase(name, Phase::Missing).await;
        assert!(is_true(&status, "Stalled"), "{engine}");
    }
    assert_eq!(world.cloud.count(None, "create"), 2, "nothing is taken again");
}

#[tokio::test]
async fn a_second_backup_under_an_objects_mark_is_told_of_and_not_touched() {
    let mut world = World::without_operator().await;
    world.account("cloud", 1000).await;
    world.start_operator_with(&["--resync-interval=1s"]);
    world.cloud.add_instance("taurusdb", "i-1in07");
    world.ask("doubled", "TaurusDB", "i-1in07").await;
    let status = world.until_phase("doubled", Phase::Completed).await;
    let second = world.cloud.add_backup("taurusdb", "i-1in07", status.backup_name.as_deref().expect("a name"));
    eventually("it is told of", PATIENCE, async || {
        let events = world.plane.kubectl_ok(&["get", "events", "-o", "custom-columns=R:.reason", "--no-headers"]).await;
        if events.contains("DuplicateRemote") { Ok(()) } else { Err(format!("{events}{}", world.newest_lines())) }
    })
    .await;
    let (_, metrics) = world.operator().get("/metrics").await.expect("metrics");
    assert!(metrics.contains("dbbackup_duplicate_remotes_total 1"), "{metrics}");
    assert_eq!(world.status("doubled").await.backup_id, status.backup_id);
    assert!(world.cloud.backups().iter().any(|backup| backup.id == second && !backup.deleted));
}
