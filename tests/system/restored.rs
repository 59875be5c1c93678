//! Clusters that were restored, filled anew, or are looked at late: nothing is taken twice, and nothing that nobody wants any more is taken.

use crate::{
    support::{control_plane::Snapshot, eventually},
    world::{PATIENCE, World, is_true, message, ready},
};
use database_backup_operator::{
    api::{
        backup::DatabaseBackup,
        status::{Origin, Phase},
    },
    cloud::engine::Engine,
    plan::backup::name::backup_name,
};
use kube::{
    Api, ResourceExt,
    api::{ListParams, PostParams},
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, time::Duration};

/// With a backup that runs, one that waits behind it and so has no intent, and the store as it is then.
async fn with_one_that_waits() -> (World, Snapshot) {
    let world = World::start_and_lead().await;
    for instance in ["i-1in07", "i-2in07", "i-3in07"] {
        world.cloud.add_instance("taurusdb", instance);
    }
    world.cloud.hold_backups(true);
    world.ask("first", "TaurusDB", "i-1in07").await;
    world.until_phase("first", Phase::Running).await;
    world.ask("waiting", "TaurusDB", "i-1in07").await;
    world.until_reason("waiting", "InstanceBusy").await;
    let snapshot = world.plane.snapshot().await;
    (world, snapshot)
}

/// What happens after the snapshot, and is forgotten by the store: all that waits is backed up, and one more is asked for.
async fn everything_is_taken(world: &World) {
    world.operator().ready().await;
    world.cloud.hold_backups(false);
    world.cloud.complete_all();
    world.ask("forgotten", "TaurusDB", "i-2in07").await;
    for name in ["first", "waiting", "forgotten"] {
        world.until_phase(name, Phase::Completed).await;
    }
    assert_eq!((world.backups_in_cloud(), world.cloud.count(None, "create")), (3, 3));
}

async fn nothing_is_taken_again(world: &World) {
    // One that the operator cannot have seen before, so whoever sees it sees what there is now.
    world.ask("new", "TaurusDB", "i-3in07").await;
    for name in ["new", "first", "waiting"] {
        world.until_phase(name, Phase::Completed).await;
    }
    assert_eq!(world.status("waiting").await.origin, Some(Origin::Reattached), "it was looked for before it was asked for");
    assert!(world.backups_here().get_opt("forgotten").await.expect("an answer").is_none());
    assert_eq!((world.own_backups().len(), world.cloud.count(None, "create")), (4, 4), "one for each that was ever asked for");
    world.operator().ready().await;
    assert!(world.operator().is_running());
}

#[tokio::test]
async fn a_store_that_is_put_back_under_a_running_operator_costs_no_second_backup_and_stops_nothing() {
    let (world, snapshot) = with_one_that_waits().await;
    everything_is_taken(&world).await;
    let pid = world.operator().pid();
    world.plane.restore(&snapshot).await;
    nothing_is_taken_again(&world).await;
    assert_eq!(world.operator().pid(), pid);
    assert!(!world.operator().logs().contains("kept changing"), "{}", world.newest_lines());
}

#[tokio::test]
async fn a_store_that_is_put_back_while_no_operator_runs_costs_no_second_backup() {
    let (mut world, snapshot) = with_one_that_waits().await;
    everything_is_taken(&world).await;
    world.kill_operator();
    world.plane.restore(&snapshot).await;
    world.start_operator();
    nothing_is_taken_again(&world).await;
}

#[tokio::test]
async fn an_operator_that_is_started_after_the_object_looks_once_before_it_asks() {
    let mut world = World::without_operator().await;
    world.account("cloud", 1000).await;
    for (name, engine, service) in [("redis", "DCS", "dcs"), ("taurus", "TaurusDB", "taurusdb"), ("gemini", "GeminiDB", "geminidb")] {
        world.cloud.add_instance(service, name);
        world.ask(name, engine, name).await;
    }
    world.start_operator();
    for (name, service) in [("redis", "dcs"), ("taurus", "taurusdb"), ("gemini", "geminidb")] {
        world.until_phase(name, Phase::Completed).await;
        let calls: Vec<_> =
            world.cloud.calls().into_iter().filter(|call| call.service.name() == service).map(|call| call.operation).collect();
        assert_eq!(
            calls.iter().take_while(|operation| **operation != "create").copied().collect::<Vec<_>>(),
            ["list"],
            "{name}: {calls:?}"
        );
    }
    assert_eq!((world.backups_in_cloud(), world.cloud.count(None, "create")), (3, 3));
    // The quiet path of one that is asked for while the operator leads stays as it is.
    world.cloud.add_instance("dcs", "quiet");
    world.cloud.reset_calls();
    world.ask("quiet", "DCS", "quiet").await;
    world.until_phase("quiet", Phase::Completed).await;
    assert_eq!(world.cloud.calls().first().map(|call| call.operation), Some("create"), "nothing before the create call");
    assert_eq!(world.writes("quiet"), 3, "{:?}", world.reasons("quiet"));
}

#[tokio::test]
async fn a_backup_of_its_own_that_is_there_before_the_operator_is_taken_over() {
    let mut world = World::without_operator().await;
    world.account("cloud", 1000).await;
    let all = [("redis", Engine::DCS, "dcs"), ("taurus", Engine::TaurusDB, "taurusdb"), ("gemini", Engine::GeminiDB, "geminidb")];
    for (name, engine, service) in all {
        for attempt in [1, 2] {
            let name = format!("{name}-{attempt}");
            world.cloud.add_instance(service, &name);
            world.ask(&name, engine.as_str(), &name).await;
            let uid = world.object(&name).await.uid().expect("stored");
            let mark = backup_name(engine, &name, &uid, &name, attempt);
            world.cloud.add_backup(service, &name, &if engine == Engine::DCS { format!("{mark} from before") } else { mark });
        }
    }
    world.start_operator();
    for (name, ..) in all {
        for attempt in [1, 2] {
            let name = format!("{name}-{attempt}");
            let status = world.until_phase(&name, Phase::Completed).await;
            assert_eq!(status.origin, Some(Origin::Reattached), "{name}");
            assert!(world.writes(&name) <= 3, "{name}: {} status writes: {:?}", world.writes(&name), world.reasons(&name));
        }
    }
    assert_eq!((world.backups_in_cloud(), world.cloud.count(None, "create")), (6, 0));
}

/// Velero's way: the object without its status and with a label, and the status in a second request that fails when anything was written in between.
async fn restore_with_status(api: &Api<DatabaseBackup>, mut object: DatabaseBackup, after: Duration) {
    let status = object.status.take();
    let metadata = &mut object.metadata;
    *metadata = kube::api::ObjectMeta {
        name: metadata.name.clone(),
        labels: Some([("velero.io/restore-name".to_owned(), "monday".to_owned())].into()),
        ..Default::default()
    };
    let mut made = api.create(&PostParams::default(), &object).await.expect("created");
    tokio::time::sleep(after).await;
    made.status = status;
    let name = made.name_any();
    api.replace_status(&name, &PostParams::default(), &made)
        .await
        .unwrap_or_else(|error| panic!("{name}: something was written within {after:?}, which loses the status: {error}"));
}

#[tokio::test]
async fn an_object_that_velero_restores_keeps_its_status_and_without_one_it_waits_for_a_person() {
    let mut world = World::without_operator().await;
    world.account("cloud", 1000).await;
    // Nothing is written for four intervals, 8 s.
    world.start_operator_with(&["--poll-interval=2s", "--resync-interval=2s"]);
    let mut objects = vec![];
    for (name, engine, service) in [("at-once", "TaurusDB", "taurusdb"), ("later", "DCS", "dcs"), ("never", "TaurusDB", "taurusdb")] {
        world.cloud.add_instance(service, name);
        world.ask(name, engine, name).await;
        world.until_phase(name, Phase::Completed).await;
        objects.push(world.object(name).await);
        world.plane.kubectl_ok(&["delete", "dbb", name, "--timeout=20s"]).await;
    }
    assert_eq!(world.cloud.count(None, "create"), 3);
    let api = world.backups_here();
    let ids: Vec<_> = objects.iter().map(|object| object.status.as_ref().and_then(|status| status.backup_id.clone())).collect();
    let writes = world.writes("never");
    objects[2].status = None;
    let mut objects = objects.into_iter();
    let (at_once, later, mut never) = (objects.next().expect("one"), objects.next().expect("two"), objects.next().expect("three"));
    never.metadata = kube::api::ObjectMeta {
        name: never.metadata.name,
        labels: Some([("velero.io/restore-name".to_owned(), "monday".to_owned())].into()),
        ..Default::default()
    };
    tokio::join!(
        restore_with_status(&api, at_once, Duration::from_millis(20)),
        restore_with_status(&api, later, Duration::from_secs(5)),
        async { api.create(&PostParams::default(), &never).await.expect("created") },
    );
    let status = world.until_reason("never", "RestoredObject").await;
    assert!(message(&status).contains("dbbackup.dev/restored"), "{}", message(&status));
    assert_eq!(status.phase, Some(Phase::Pending));
    let stalled = world.until_seen("never", "Stalled", |status| is_true(status, "Stalled")).await;
    assert_eq!(ready(&stalled).map(|ready| ready.reason.as_str()), Some("RestoredObject"));
    assert!(world.writes("never") - writes <= 2, "{:?}", world.reasons("never"));
    for (name, id) in ["at-once", "later"].into_iter().zip(&ids) {
        let status = world.status(name).await;
        assert_eq!((status.phase, &status.backup_id), (Some(Phase::Completed), id), "{name}: {status:?}");
    }
    assert_eq!((world.backups_in_cloud(), world.cloud.count(None, "create")), (3, 3), "nothing is taken again");
    world.annotate("never", "dbbackup.dev/restored=take-another").await;
    let status = world.until_phase("never", Phase::Completed).await;
    assert_ne!(status.backup_id, ids[2]);
    assert_eq!((world.backups_in_cloud(), world.cloud.count(None, "create"), world.cloud.count(None, "delete")), (4, 4, 0));
}

#[tokio::test]
async fn what_was_wanted_until_a_time_that_has_passed_is_not_taken() {
    let world = World::start().await;
    world.cloud.add_instance("taurusdb", "i-1in07");
    world.cloud.hold_backups(true);
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(8);
    let until = |time: &dyn std::fmt::Display| format!("takeBefore: \"{time}\"");
    let soon = soon.strftime("%Y-%m-%dT%H:%M:%SZ");
    world.plane.apply(&World::manifest("in-time", "TaurusDB", "i-1in07", &until(&soon))).await;
    world.until_phase("in-time", Phase::Running).await;
    world.plane.apply(&World::manifest("waits", "TaurusDB", "i-1in07", &until(&soon))).await;
    world.until_reason("waits", "InstanceBusy").await;
    world.plane.apply(&World::manifest("too-late", "TaurusDB", "i-1in07", &until(&"2020-01-01T00:00:00Z"))).await;
    for name in ["too-late", "waits"] {
        // By its word: a phase of its own.
        eventually(&format!("{name} lapses"), PATIENCE, async || {
            let phase = world.plane.kubectl_ok(&["get", "dbb", name, "-o", "jsonpath={.status.phase}"]).await;
            if phase == "Lapsed" { Ok(()) } else { Err(format!("{phase}\n{}", world.newest_lines())) }
        })
        .await;
        let status = world.status(name).await;
        assert_eq!(ready(&status).map(|ready| (ready.status.as_str(), ready.reason.as_str())), Some(("True", "TooLate")), "{name}");
        assert!(!is_true(&status, "Reconciling") && !is_true(&status, "Stalled"), "{name}: {status:?}");
        assert_eq!((status.backup_name, status.attempts), (None, None), "{name}");
    }
    assert!(world.writes("too-late") == 1 && world.writes("waits") <= 3, "{:?}", world.reasons("waits"));
    let refused = world.plane.kubectl_fails(&["patch", "dbb", "too-late", "--type=merge", "-p", "{\"spec\":{\"takeBefore\":null}}"]).await;
    assert!(refused.contains("immutable"), "{refused}");
    world.cloud.hold_backups(false);
    world.cloud.complete_all();
    // The time has passed for it, too, but the cloud had begun.
    world.until_phase("in-time", Phase::Completed).await;
    assert_eq!((world.backups_in_cloud(), world.cloud.count(None, "create")), (1, 1));
}

/// The objects by their reason.
async fn reasons(world: &World) -> BTreeMap<String, Vec<DatabaseBackup>> {
    let mut reasons: BTreeMap<String, Vec<DatabaseBackup>> = BTreeMap::new();
    for object in world.backups.list(&ListParams::default()).await.expect("an answer").items {
        let reason = object.status.as_ref().and_then(ready).map_or("none yet".to_owned(), |ready| ready.reason.clone());
        reasons.entry(reason).or_default().push(object);
    }
    reasons
}

#[tokio::test]
async fn a_cluster_that_is_filled_with_hundreds_of_backups_of_one_instance_takes_them_slowly() {
    const COUNT: usize = 300;
    let mut world = World::without_operator().await;
    world.account("cloud", 1000).await;
    world.cloud.add_instance("taurusdb", "i-1in07");
    world.cloud.hold_backups(true);
    let all: String = (0..COUNT).map(|n| World::manifest(&format!("b-{n:03}"), "TaurusDB", "i-1in07", "")).collect();
    world.plane.apply(&all).await;
    // The grace is over within the test, which is one more write for each that waits.
    world.start_operator_with(&["--blocked-grace=60s"]);
    let by_reason = eventually("20 wait, one runs, and the others are not in line yet", PATIENCE, async || {
        let by_reason = reasons(&world).await;
        let count = |reason: &str| by_reason.get(reason).map_or(0, Vec::len);
        let (running, busy, queued) = (count("Running"), count("InstanceBusy"), count("TooManyQueued"));
        if running == 1 && (19..=20).contains(&busy) && queued == COUNT - 1 - busy {
            return Ok(by_reason);
        }
        Err(format!("{:?}\n{}", by_reason.iter().map(|(reason, all)| (reason, all.len())).collect::<Vec<_>>(), world.newest_lines()))
    })
    .await;
    let created = |object: &DatabaseBackup| object.metadata.creation_timestamp.clone().map(|time| time.0);
    let youngest = by_reason["InstanceBusy"].iter().chain(&by_reason["Running"]).filter_map(created).max();
    assert!(by_reason["TooManyQueued"].iter().filter_map(created).min() >= youngest, "those in line are the oldest");
    let said = by_reason["TooManyQueued"][0].status.as_ref().map(message).unwrap_or_default();
    assert!(said.contains("takeBefore"), "{said}");
    let (writes, lists) = (world.plane.status_writes().len(), world.cloud.count(None, "list"));
    assert!(writes <= COUNT * 2 + 20, "{writes} status writes for {COUNT} objects");
    assert_eq!(world.cloud.count(None, "create"), 1);
    // One listing for all that wait before their first create, and the polls of the one that runs.
    let seconds = usize::try_from(world.cloud.calls().last().map_or(0, |last| last.at.as_second()) - world.cloud.calls()[0].at.as_second());
    assert!(lists <= 10 + 4 * seconds.unwrap_or_default(), "{lists} list calls");

    let keep: Vec<String> = by_reason["TooManyQueued"].iter().take(3).map(ResourceExt::name_any).collect();
    let running = by_reason["Running"][0].name_any();
    let gone: Vec<String> = (0..COUNT).map(|n| format!("b-{n:03}")).filter(|name| *name != running && !keep.contains(name)).collect();
    let mut delete = vec!["delete", "dbb", "--wait=false"];
    delete.extend(gone.iter().map(String::as_str));
    world.plane.kubectl_ok(&delete).await;
    world.cloud.hold_backups(false);
    world.cloud.complete_all();
    for name in keep.iter().chain([&running]) {
        world.until_phase(name, Phase::Completed).await;
        assert!(world.writes(name) <= 12, "{name}: {} status writes: {:?}", world.writes(name), world.reasons(name));
    }
    let made: Vec<String> = world.own_backups().into_iter().map(|backup| backup.name).collect();
    // Some of those that were in line may have had their turn before they were deleted.
    assert!(made.len() < 12, "{made:?}");
    let left = world.backups.list(&ListParams::default()).await.expect("an answer").items.len();
    assert_eq!(left, 4, "with Retain nothing keeps the others");
}

#[tokio::test]
async fn a_status_of_an_earlier_life_is_believed_and_its_backup_is_not_taken_again() {
    let mut world = World::start().await;
    world.cloud.add_instance("dcs", "i-1");
    world.ask("orders", "DCS", "i-1").await;
    world.until_phase("orders", Phase::Completed).await;
    let old = world.plane.kubectl_ok(&["get", "dbb", "orders", "-o", "json"]).await;
    let old: Value = serde_json::from_str(&old).expect("JSON");
    world.kill_operator();
    world.plane.kubectl_ok(&["delete", "dbb", "orders", "--timeout=20s"]).await;
    world.ask("orders", "DCS", "i-1").await;
    world.patch_status("orders", &json!({ "status": old["status"] }).to_string()).await;
    let writes = world.writes("orders");
    world.cloud.reset_calls();
    world.start_operator_with(&["--resync-interval=1s"]);
    assert!(world.cloud.wait_until(PATIENCE, |cloud| cloud.count(None, "list") >= 3), "it is looked at");
    let status = world.until_phase("orders", Phase::Completed).await;
    assert_eq!(status.backup_id.as_deref(), old["status"]["backupId"].as_str());
    assert_eq!((world.left().len(), world.cloud.count(None, "create"), world.cloud.count(None, "delete")), (1, 0, 0));
    assert_eq!(world.phases("orders").last(), Some(&"Completed"));
    assert!(world.writes("orders") - writes <= 8, "{:?}", world.reasons("orders"));
}
