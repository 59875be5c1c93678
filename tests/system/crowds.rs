//! Many objects: in order on one instance, side by side on many, and few calls for all of them.

use crate::world::{PATIENCE, World, is_true, message, ready};
use database_backup_operator::api::status::{DatabaseBackupStatus, Phase};
use kube::ResourceExt;
use std::time::Duration;

#[tokio::test]
async fn two_objects_on_one_instance_run_one_after_the_other() {
    let world = World::start().await;
    world.cloud.add_instance("taurusdb", "i-1in07");
    world.cloud.set_backup_duration(Duration::from_secs(2));
    world.ask("first", "TaurusDB", "i-1in07").await;
    world.until_phase("first", Phase::Running).await;
    world.ask("second", "TaurusDB", "i-1in07").await;
    let waiting = world.until_reason("second", "InstanceBusy").await;
    assert!(message(&waiting).contains("default/first"), "{waiting:?}");
    world.until_phase("second", Phase::Completed).await;
    let (first, second) = (world.status("first").await, world.status("second").await);
    assert!(first.completion_time <= second.start_time, "{first:?} {second:?}");
    assert_eq!(world.cloud.count(None, "create"), 2, "the cloud never had to say that it is busy");
}

#[tokio::test]
async fn no_namespace_hears_the_name_of_another_or_of_its_objects() {
    let world = World::start_and_lead().await;
    world.cloud.add_instance("taurusdb", "i-1in07");
    world.cloud.hold_backups(true);
    world.plane.kubectl_ok(&["create", "namespace", "secret-merger"]).await;
    let elsewhere = World::manifest("acquire-acme", "TaurusDB", "i-1in07", "");
    world.plane.apply(&elsewhere.replace("name: acquire-acme}", "name: acquire-acme, namespace: secret-merger}")).await;
    world.until_seen("acquire-acme", "Running", |status| status.phase == Some(Phase::Running)).await;
    // More than are in line: 20 are behind the other namespace's backup, two are too many.
    let mut names: Vec<String> = (0..22).map(|n| format!("mine-{n:02}")).collect();
    let all: String = names.iter().map(|name| World::manifest(name, "TaurusDB", "i-1in07", "")).collect();
    world.plane.apply(&all).await;
    for name in &names {
        let waits =
            |status: &DatabaseBackupStatus| ready(status).is_some_and(|ready| ["InstanceBusy", "TooManyQueued"].contains(&&*ready.reason));
        let said = message(&world.until_seen(name, "told to wait", waits).await);
        assert!(said == "waiting for another backup of the same instance" || said.contains("only the 20 oldest are in line"), "{said}");
    }
    // An account that cannot be used does not name the platform's Secret.
    world.account_with("broken", "passwordSecretRef: {name: platform-secret}", 1000).await;
    world.plane.apply(&World::manifest("blocked", "TaurusDB", "i-1in07", "").replace("name: cloud}", "name: broken}")).await;
    world.until_reason("blocked", "AccountNotReady").await;
    world.until_seen("blocked", "Stalled", |status| is_true(status, "Stalled")).await;
    names.push("blocked".into());
    let told: Vec<String> = names.iter().flat_map(|name| world.history(name)).map(|status| format!("{status:?}")).collect();
    let events = world.plane.kubectl_ok(&["get", "events", "-n", "default", "-o", "yaml"]).await;
    for text in told.iter().chain([&events]) {
        for name in ["secret-merger", "acquire-acme", "platform-secret", "operator/"] {
            assert!(!text.contains(name), "{name} in {text}");
        }
    }
}

async fn ask_for(world: &World, count: usize) {
    for n in 0..count {
        world.cloud.add_instance("taurusdb", &format!("i-{n}"));
    }
    let all: String = (0..count).map(|n| World::manifest(&format!("b-{n}"), "TaurusDB", &format!("i-{n}"), "")).collect();
    world.plane.apply(&all).await;
}

async fn until_all(world: &World, count: usize, phase: Phase) {
    crate::support::eventually(&format!("{count} objects {}", phase.as_str()), PATIENCE * 2, || async {
        let listed = world.backups.list(&kube::api::ListParams::default()).await.map_err(|error| error.to_string())?;
        let others: Vec<String> =
            listed.items.iter().filter(|o| o.status.as_ref().and_then(|s| s.phase) != Some(phase)).map(ResourceExt::name_any).collect();
        if listed.items.len() == count && others.is_empty() {
            Ok(())
        } else {
            Err(format!("{} others, such as {:?}", others.len(), others.first()))
        }
    })
    .await;
}

#[tokio::test]
async fn two_hundred_objects_on_two_hundred_instances_share_their_listings() {
    const COUNT: usize = 200;
    let mut world = World::without_operator().await;
    world.account("cloud", 1000).await;
    // Nothing is lost here, so an intent may live for its full 10 s however slow the machine is.
    world.start_operator_with(&["--settle-delay=60s"]);
    world.until_account_is_verified().await;
    world.cloud.hold_backups(true);
    ask_for(&world, COUNT).await;
    until_all(&world, COUNT, Phase::Running).await;
    assert_eq!(world.cloud.count(None, "create"), COUNT);
    world.cloud.reset_calls();
    // Three listings of as many pages as 200 records take with pages that overlap by one, whatever the machine's speed.
    let pages = |cloud: &crate::simulator::Simulator| cloud.count(None, "list");
    assert!(world.cloud.wait_until(PATIENCE, |cloud| pages(cloud) >= 9), "it polls");
    let lists: Vec<_> = world.cloud.calls().into_iter().filter(|call| call.operation == "list").collect();
    let listings = lists.iter().filter(|call| call.path_and_query.contains("offset=0")).count();
    // The first may have begun before the count did.
    assert!(lists.len() <= 3 * (listings + 1), "{} pages of {listings} listings: one listing serves all", lists.len());
    assert!(world.cloud.calls().iter().all(|call| !call.path_and_query.contains("instance_id")), "none is asked for alone");
    world.cloud.hold_backups(false);
    world.cloud.complete_all();
    until_all(&world, COUNT, Phase::Completed).await;
    assert_eq!(world.backups_in_cloud(), COUNT);
    // On a machine that is busy, some have to say that they wait for the calls of others.
    let says_so = |status: &DatabaseBackupStatus| ready(status).is_some_and(|ready| ready.reason == "RateLimited");
    let limited = (0..COUNT).filter(|n| world.history(&format!("b-{n}")).iter().any(says_so)).count();
    let writes = world.plane.status_writes().len();
    assert!(writes <= COUNT * 3 + limited, "{writes} status writes for {COUNT} objects, {limited} of which had to wait");
}

#[tokio::test]
async fn the_accounts_request_rate_is_kept_and_said() {
    let mut world = World::without_operator().await;
    // So few that even a slow machine asks for more.
    world.account("cloud", 2).await;
    world.start_operator();
    ask_for(&world, 20).await;
    until_all(&world, 20, Phase::Completed).await;
    // A second's worth at once, and the rate on top.
    assert!(world.cloud.max_requests_in_a_second() <= 6, "{} in a second", world.cloud.max_requests_in_a_second());
    let limited = (0..20)
        .any(|n| world.history(&format!("b-{n}")).iter().any(|status| ready(status).is_some_and(|ready| ready.reason == "RateLimited")));
    assert!(limited, "those that had to wait said so");
    assert_eq!(world.backups_in_cloud(), 20);
}

#[tokio::test]
async fn a_restart_with_a_hundred_backups_that_ended_meanwhile_creates_nothing_and_asks_once_for_all_of_them_at_once() {
    const COUNT: usize = 100;
    let mut world = World::start().await;
    world.cloud.hold_backups(true);
    ask_for(&world, COUNT).await;
    until_all(&world, COUNT, Phase::Running).await;
    world.kill_operator();
    world.cloud.hold_backups(false);
    world.cloud.complete_all();
    world.cloud.reset_calls();
    // Nothing is polled again for a quarter of an hour: what the look at the start does not serve is not served here.
    world.start_operator_with(&["--poll-interval=1h"]);
    until_all(&world, COUNT, Phase::Completed).await;
    assert_eq!(world.cloud.count(None, "create"), 0);
    let lists: Vec<_> = world.cloud.calls().into_iter().filter(|call| call.operation == "list").collect();
    let listings = lists.iter().filter(|call| call.path_and_query.contains("offset=0")).count();
    assert!(listings == 1 && lists.len() <= 2, "{} pages of {listings} listings", lists.len());
    let is_alone = |path: &str| path.contains("instance_id") || path.contains("backup_id");
    assert!(!lists.iter().any(|call| is_alone(&call.path_and_query)), "none is asked for alone");
}

#[tokio::test]
async fn objects_that_have_queued_for_so_long_that_they_are_looked_for_first_keep_no_permit_from_others_meanwhile() {
    const COUNT: usize = 320;
    // An object counts as young for 40 polls. Most of these have to be looked for before their turn comes.
    let mut world = World::without_operator().await;
    world.account("cloud", 20).await;
    world.start_operator_with(&["--poll-interval=50ms", "--settle-delay=60s"]);
    ask_for(&world, COUNT).await;
    // Two calls of each take half a minute. A permit that lapses unused costs 5 s, and there are four at a time: that would be 6 minutes.
    until_all(&world, COUNT, Phase::Completed).await;
    assert_eq!(world.cloud.count(None, "create"), COUNT);
}
