//! Nothing is repeated without pause: whatever is decided, whoever nudges, and whichever clock is wrong.

use crate::{
    simulator::faults::{Fault, FaultKind},
    support::eventually,
    world::{PATIENCE, World, is_true, message, ready},
};
use database_backup_operator::api::{
    account::CloudAccountStatus,
    status::{CreateOutcome, Origin, Phase},
};
use kube::ResourceExt;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

fn refusal(status: u16, code: &str) -> Fault {
    let kind = FaultKind::Status { status, code: code.into(), message: "said the cloud".into(), retry_after: None };
    Fault::new(kind).at("create").always()
}

fn import(name: &str, engine: &str, instance: &str, id: &str) -> String {
    World::manifest(name, engine, instance, "")
        .replace(&format!("instanceId: {instance}"), &format!("instanceId: {instance}, existingBackupId: {id}"))
}

fn seconds_ago(seconds: i64) -> String {
    (jiff::Timestamp::now() - jiff::SignedDuration::from_secs(seconds)).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[tokio::test]
async fn a_backup_that_an_earlier_object_made_is_never_deleted_and_seldom_asked_for() {
    let mut world = World::start().await;
    let all = [("taurus", "TaurusDB", "taurusdb", "deletionPolicy: Delete"), ("redis", "DCS", "dcs", "deletionPolicy: Delete")];
    let expiring = [("old-taurus", "TaurusDB", "taurusdb", "expireAfterDays: 1"), ("old-redis", "DCS", "dcs", "expireAfterDays: 1")];
    // Objects that are made anew under the names of old ones, with the status of these: new UIDs, which name other backups.
    let mut old: Vec<Value> = vec![];
    for (name, engine, service, _) in all.iter().chain(&expiring) {
        world.cloud.add_instance(service, name);
        world.ask(name, engine, name).await;
        world.until_phase(name, Phase::Completed).await;
        let object = world.plane.kubectl_ok(&["get", "dbb", name, "-o", "json"]).await;
        old.push(serde_json::from_str(&object).expect("JSON"));
        world.plane.kubectl_ok(&["delete", "dbb", name, "--timeout=20s"]).await;
    }
    world.kill_operator();
    for ((name, engine, _, more), old) in all.iter().chain(&expiring).zip(&old) {
        world.plane.apply(&World::manifest(name, engine, name, more)).await;
        world.patch_status(name, &json!({ "status": old["status"] }).to_string()).await;
    }
    for (name, ..) in &expiring {
        let long_ago = seconds_ago(3 * 86_400);
        world.patch_status(name, &json!({ "status": { "completionTime": long_ago, "expirationTime": long_ago } }).to_string()).await;
    }
    world.start_operator_with(&["--poll-interval=3s"]);
    for (name, ..) in &all {
        eventually(&format!("{name} has its finalizer"), PATIENCE, async || {
            let object = world.object(name).await;
            if object.finalizers().is_empty() { Err(world.newest_lines()) } else { Ok(()) }
        })
        .await;
        world.delete(name).await;
        let status = world.until_reason(name, "DeleteBlocked").await;
        assert!(message(&status).contains("made by an earlier object"), "{name}: {}", message(&status));
    }
    for (name, ..) in &expiring {
        let told = world.until_seen(name, "told whose it is", |status| message(status).contains("made by an earlier object")).await;
        assert_eq!((told.phase, is_true(&told, "Ready")), (Some(Phase::Completed), true), "{name}: {told:?}");
    }
    world.cloud.reset_calls();
    tokio::time::sleep(Duration::from_secs(5)).await;
    // At most one look in a third of a poll interval for each of the four, and some that were under way.
    let lists = world.cloud.count(None, "list");
    assert!(lists <= 4 * (5 + 2), "{lists} list calls in 5 s");
    assert_eq!((world.left().len(), world.cloud.count(None, "delete")), (4, 0));
    for (name, ..) in &all {
        assert!(world.writes(name) <= 12, "{name}: {} status writes: {:?}", world.writes(name), world.reasons(name));
        world.retain(name).await;
        world.until_gone(name).await;
    }
    assert_eq!((world.left().len(), world.cloud.count(None, "delete")), (4, 0));
    let events = world.events().await;
    assert!(events.iter().all(|(reason, _)| reason != "RemoteDeleted" && reason != "Expired"), "{events:?}");
}

#[tokio::test]
async fn an_import_that_appears_later_is_found_by_itself() {
    let world = World::start().await;
    for (name, engine, service) in [("taurus", "TaurusDB", "taurusdb"), ("redis", "DCS", "dcs")] {
        world.cloud.add_instance(service, name);
        world.cloud.set_list_lag(Duration::from_secs(4));
        let id = world.cloud.add_backup(service, name, "made-by-hand");
        world.plane.apply(&import(name, engine, name, &id)).await;
        world.until_reason(name, "ImportNotFound").await;
    }
    let asked = Instant::now();
    for name in ["taurus", "redis"] {
        let status = world.until_phase(name, Phase::Completed).await;
        assert_eq!(status.origin, Some(Origin::Imported));
        assert!(world.writes(name) <= 5, "{name}: {} status writes: {:?}", world.writes(name), world.reasons(name));
    }
    // The pause has grown to 16 poll intervals at most when it appears.
    assert!(asked.elapsed() < Duration::from_secs(20), "{:?}", asked.elapsed());
    assert!(world.cloud.count(None, "list") <= 40, "{} list calls", world.cloud.count(None, "list"));
    assert_eq!(world.cloud.count(None, "create"), 0);
}

#[tokio::test]
async fn a_changed_annotation_and_a_changed_account_are_each_worth_a_look_at_once() {
    let mut world = World::without_operator().await;
    world.account("cloud", 1000).await;
    // A blocked object looks again by itself after a minute.
    world.start_operator_with(&["--poll-interval=30s"]);
    world.until_account_is_verified().await;
    world.cloud.set_list_lag(Duration::from_secs(5));
    for name in ["nudged", "by-account"] {
        world.cloud.add_instance("taurusdb", name);
        let id = world.cloud.add_backup("taurusdb", name, "made-by-hand");
        world.plane.apply(&import(name, "TaurusDB", name, &id)).await;
        world.until_reason(name, "ImportNotFound").await;
    }
    tokio::time::sleep(Duration::from_secs(6)).await;
    let lists = world.cloud.count(None, "list");
    let nudged = Instant::now();
    world.annotate("nudged", "example.com/look=now").await;
    world.until_phase("nudged", Phase::Completed).await;
    assert!(nudged.elapsed() < Duration::from_secs(15), "{:?}", nudged.elapsed());
    assert_eq!(world.status("by-account").await.phase, Some(Phase::Pending));
    let changed = Instant::now();
    world.plane.kubectl_ok(&["patch", "ccacct", "cloud", "--type=merge", "-p", "{\"spec\":{\"maxRequestsPerSecond\":999}}"]).await;
    world.until_phase("by-account", Phase::Completed).await;
    assert!(changed.elapsed() < Duration::from_secs(15), "{:?}", changed.elapsed());
    assert!(world.cloud.count(None, "list") - lists <= 4, "{} list calls", world.cloud.count(None, "list") - lists);
}

#[tokio::test]
async fn a_refusal_that_no_table_knows_is_definite_after_one_search() {
    let world = World::start().await;
    for (name, engine, service, code) in [("taurus", "TaurusDB", "taurusdb", "DBS.987654"), ("redis", "DCS", "dcs", "DCS.9876")] {
        world.cloud.add_instance(service, name);
        world.cloud.inject(refusal(400, code).on(service));
        world.ask(name, engine, name).await;
    }
    for (name, service, code) in [("taurus", "taurusdb", "DBS.987654"), ("redis", "dcs", "DCS.9876")] {
        let status = world.until_reason(name, "RequestRefused").await;
        assert!(message(&status).contains(code) && message(&status).contains("said the cloud"), "{}", message(&status));
        assert_eq!((status.create_outcome, status.phase), (Some(CreateOutcome::Rejected), Some(Phase::Pending)));
        assert!(world.has_been(name, "OutcomeUnknown"), "the first time it may have made one: {:?}", world.reasons(name));
        // It is asked again, and what comes of that is known at once.
        let asked = world.cloud.count(Some(service), "create");
        assert!(world.cloud.wait_until(PATIENCE, |cloud| cloud.count(Some(service), "create") >= asked + 2), "blocked, not given up");
        let reasons = world.reasons(name);
        let searches = reasons.iter().filter(|reason| *reason == "OutcomeUnknown").count();
        assert_eq!(searches, 1, "{reasons:?}");
        assert!(world.writes(name) <= 16, "{name}: {} status writes: {reasons:?}", world.writes(name));
    }
    let (creates, since) = (world.cloud.count(None, "create"), world.cloud.calls().first().map(|call| call.at).expect("a call"));
    // Two polls, four, eight … between two tries of each.
    let seconds = jiff::Timestamp::now().duration_since(since).as_secs();
    assert!(creates <= 16, "{creates} create calls in {seconds} s");
    world.cloud.faults.clear();
    for name in ["taurus", "redis"] {
        let status = world.until_phase(name, Phase::Completed).await;
        assert_eq!(status.attempts, Some(1), "{name}");
    }
    assert_eq!(world.backups_in_cloud(), 2);
}

#[tokio::test]
async fn two_operators_without_an_election_do_not_take_turns_in_telling_what_each_remembers() {
    for (name, fault) in [("cut", FaultKind::CutBefore), ("lost", FaultKind::LoseAnswer)] {
        let world = World::start().await;
        let second = world.another_operator("second", &[]);
        second.ready().await;
        world.cloud.add_instance("taurusdb", "i-1in07");
        world.cloud.set_list_lag(Duration::from_secs(2));
        world.cloud.inject(Fault::new(fault).at("create"));
        world.ask(name, "TaurusDB", "i-1in07").await;
        let status = world.until_phase(name, Phase::Completed).await;
        assert_eq!(status.attempts, Some(1), "{status:?}");
        assert_eq!(world.own_backups().len(), 1, "{name}");
        let writes = world.writes(name);
        assert!(writes <= 20, "{name}: {writes} status writes: {:?}", world.reasons(name));
        assert!(world.cloud.count(None, "create") <= 2, "{} create calls", world.cloud.count(None, "create"));
    }
}

/// Changes an annotation five times a second for four seconds.
async fn pester(world: &World, name: &str) {
    let api = world.backups_here();
    for nth in 0..20 {
        let patch = json!({ "metadata": { "annotations": { "example.com/again": nth.to_string() } } });
        let pause = tokio::time::sleep(Duration::from_millis(200));
        let changed = api.patch(name, &kube::api::PatchParams::default(), &kube::api::Patch::Merge(patch)).await;
        changed.expect("an annotation can be changed");
        pause.await;
    }
}

#[tokio::test]
async fn an_annotation_that_changes_all_the_time_counts_seldom_and_never_while_the_cloud_asks_to_wait() {
    let mut world = World::without_operator().await;
    world.account("cloud", 1000).await;
    // An annotation counts once in two thirds of it.
    world.start_operator_with(&["--poll-interval=6s"]);
    world.until_account_is_verified().await;
    for instance in ["full", "throttled"] {
        world.cloud.add_instance("taurusdb", instance);
    }
    world.cloud.inject(refusal(413, "DBS.200046").containing("full"));
    world.ask("full", "TaurusDB", "full").await;
    world.until_reason("full", "QuotaExceeded").await;
    pester(&world, "full").await;
    let creates = world.cloud.count(None, "create");
    assert!((2..=3).contains(&creates), "{creates} create calls");
    assert!(world.writes("full") <= 10, "{} status writes: {:?}", world.writes("full"), world.reasons("full"));
    world.cloud.faults.clear();

    let before = world.cloud.count(None, "create");
    let of = |world: &World| world.cloud.calls().iter().filter(|call| call.operation == "create").count();
    world.cloud.inject(Fault::new(FaultKind::Throttle { retry_after: Some(8) }).at("create").containing("throttled"));
    let asked = Instant::now();
    world.ask("throttled", "TaurusDB", "throttled").await;
    world.until_reason("throttled", "RateLimited").await;
    let others = of(&world) - before;
    pester(&world, "throttled").await;
    // The other one may have had its turn meanwhile; its backup tells.
    let done = usize::from(world.own_backups().iter().any(|backup| backup.instance == "full"));
    assert!(of(&world) - before <= others + done, "nothing is sent while the cloud asks to wait");
    assert!(world.own_backups().iter().all(|backup| backup.instance != "throttled"));
    world.until_phase("throttled", Phase::Completed).await;
    assert!(asked.elapsed() >= Duration::from_secs(8), "{:?}", asked.elapsed());
    assert!(world.writes("throttled") <= 10, "{} status writes: {:?}", world.writes("throttled"), world.reasons("throttled"));
    world.until_phase("full", Phase::Completed).await;
    assert_eq!(world.backups_in_cloud(), 2);
}

#[tokio::test]
async fn remembered_credentials_that_the_cloud_refuses_are_gone_too() {
    let world = World::start().await;
    for (name, engine, service) in [("redis", "DCS", "dcs"), ("taurus", "TaurusDB", "taurusdb")] {
        world.cloud.add_instance(service, name);
        world.plane.apply(&World::manifest(name, engine, name, "deletionPolicy: Delete")).await;
        world.until_phase(name, Phase::Completed).await;
    }
    world.plane.kubectl_ok(&["delete", "secret", "cloud", "-n", "operator"]).await;
    world.cloud.revoke_tokens();
    for name in ["redis", "taurus"] {
        world.delete(name).await;
    }
    for name in ["redis", "taurus"] {
        let status = world.until_reason(name, "CredentialsUnavailable").await;
        assert!(message(&status).contains("Retain"), "{name}: {}", message(&status));
    }
    world.cloud.reset_calls();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let calls = world.cloud.calls();
    assert!(calls.is_empty(), "a token that was refused is not used again: {calls:?}");
    for name in ["redis", "taurus"] {
        assert_eq!(
            world.status(name).await.conditions.iter().find(|c| c.type_ == "Ready").map(|c| c.reason.clone()).as_deref(),
            Some("CredentialsUnavailable")
        );
        assert!(world.writes(name) <= 10, "{name}: {} status writes: {:?}", world.writes(name), world.reasons(name));
        world.retain(name).await;
        world.until_gone(name).await;
    }
    assert_eq!((world.left().len(), world.cloud.count(None, "delete")), (2, 0));
}

fn clocks_differ(status: &CloudAccountStatus) -> bool {
    status.conditions.iter().any(|condition| condition.type_ == "ClockSkew" && condition.status == "True")
}

#[tokio::test]
async fn nothing_is_deleted_while_the_clouds_clock_says_otherwise() {
    let world = World::start().await;
    for instance in ["i-1", "i-2", "i-3"] {
        world.cloud.add_instance("dcs", instance);
    }
    world.plane.apply(&World::manifest("short", "DCS", "i-1", "expireAfterDays: 1")).await;
    world.plane.apply(&World::manifest("doomed", "DCS", "i-2", "deletionPolicy: Delete")).await;
    for name in ["short", "doomed"] {
        world.until_phase(name, Phase::Completed).await;
    }
    world.cloud.set_clock_offset(jiff::SignedDuration::from_hours(365 * 24));
    // The clocks differ before anything is due.
    world.ask("fresh", "DCS", "i-3").await;
    world.until_phase("fresh", Phase::Completed).await;
    let account = world.until_account("tells that the clocks differ", clocks_differ).await;
    assert!(account.conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True"), "{account:?}");
    let past = seconds_ago(2 * 86_400);
    world.patch_status("short", &json!({ "status": { "completionTime": past, "expirationTime": past } }).to_string()).await;
    world.delete("doomed").await;
    world.until_seen("doomed", "told why it waits", |status| message(status).contains("clock")).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!((world.left().len(), world.cloud.count(None, "delete")), (3, 0));
    let status = world.status("short").await;
    assert_eq!((status.phase, is_true(&status, "Ready")), (Some(Phase::Completed), true), "{status:?}");
    for name in ["short", "doomed"] {
        assert!(world.writes(name) <= 10, "{name}: {} status writes: {:?}", world.writes(name), world.reasons(name));
    }
    eventually("an Event on the account says so", PATIENCE, async || {
        let events = world.events().await;
        let said = events.iter().any(|(reason, about)| reason == "ClockSkew" && about == "ClusterCloudAccount/cloud");
        if said { Ok(()) } else { Err(format!("{events:?}")) }
    })
    .await;
    world.cloud.set_clock_offset(jiff::SignedDuration::ZERO);
    world.until_phase("short", Phase::Expired).await;
    world.until_gone("doomed").await;
    world.until_account("no longer tells of the clocks", |status| !clocks_differ(status)).await;
    // By the cloud's clock the token had run out, so a create call may have been refused for that, and made again.
    assert_eq!((world.left().len(), world.cloud.count(None, "delete"), world.backups_in_cloud()), (1, 2, 3));
    let fresh = world.status("fresh").await;
    assert_eq!(ready(&fresh).map(|ready| ready.reason.as_str()), Some("Completed"));
}
