//! Evidence belongs to a place: what is seen elsewhere says nothing, and what is seen in the right place counts, whatever becomes of the rest.

use crate::{
    simulator::{
        DOMAIN, OTHER_DOMAIN, OTHER_PASSWORD, OTHER_PROJECTS, OTHER_USER, PASSWORD, PROJECTS, Simulator, USER,
        faults::{Fault, FaultKind},
    },
    world::{PATIENCE, World, message, ready},
};
use database_backup_operator::api::status::{DatabaseBackupStatus, Origin, Phase};
use std::time::Duration;

const OWN: [&str; 3] = [DOMAIN, USER, PASSWORD];
const OTHER: [&str; 3] = [OTHER_DOMAIN, OTHER_USER, OTHER_PASSWORD];
const HERE: &str = PROJECTS[0].1;
const ELSEWHERE: &str = OTHER_PROJECTS[0].1;
/// Longer than twice `--gone-after`, which is what DCS takes to be sure that an instance is gone.
const LONG_AWAY: Duration = Duration::from_secs(7);

/// Nothing but the search for the account itself is asked in the other project.
fn assert_nothing_is_asked_elsewhere(world: &World) {
    let stray: Vec<_> = world.cloud.calls().into_iter().filter(|call| call.path_and_query.contains(ELSEWHERE)).collect();
    assert!(stray.is_empty(), "evidence of another place is not even gathered: {stray:?}");
}

fn taurusdb_at(world: &World, url: &str) -> String {
    let urls = world.cloud.endpoints();
    format!(r#"{{"spec": {{"endpoints": {{"iam": "{}", "taurusdb": "{url}"}}}}}}"#, urls.iam)
}

async fn move_taurusdb(world: &World, url: &str) {
    world.plane.kubectl_ok(&["patch", "ccacct", "cloud", "--type=merge", "-p", &taurusdb_at(world, url)]).await;
}

async fn endpoint(world: &World, name: &str) -> String {
    world.plane.kubectl_ok(&["get", "dbb", name, "-o", "jsonpath={.status.endpoint}"]).await
}

fn host(url: &str) -> String {
    url.trim_start_matches("http://").to_owned()
}

#[tokio::test]
async fn an_account_that_moves_to_another_project_and_comes_back_costs_no_backup() {
    let mut world = World::without_operator().await;
    world.account("cloud", 1000).await;
    world.start_operator_with(&["--resync-interval=1s"]);
    for (service, instance) in [("dcs", "i-1"), ("dcs", "i-2"), ("taurusdb", "i-3in07"), ("taurusdb", "i-4in07")] {
        world.cloud.add_instance(service, instance);
    }
    world.ask("done-redis", "DCS", "i-2").await;
    world.ask("done-taurus", "TaurusDB", "i-4in07").await;
    for name in ["done-redis", "done-taurus"] {
        world.until_phase(name, Phase::Completed).await;
    }
    world.cloud.hold_backups(true);
    world.ask("redis", "DCS", "i-1").await;
    world.ask("taurus", "TaurusDB", "i-3in07").await;
    for name in ["redis", "taurus"] {
        world.until_phase(name, Phase::Running).await;
    }
    world.change_user(OTHER).await;
    for name in ["redis", "taurus"] {
        let status = world.until_reason(name, "AccountMismatch").await;
        assert_eq!(status.phase, Some(Phase::Running), "{name} is not gone");
    }
    // Nothing happens, which cannot be awaited.
    tokio::time::sleep(LONG_AWAY).await;
    world.change_user(OWN).await;
    world.until_account_points_to(HERE).await;
    world.cloud.hold_backups(false);
    world.cloud.complete_all();
    for name in ["redis", "taurus", "done-redis", "done-taurus"] {
        let status = world.until_phase(name, Phase::Completed).await;
        assert_eq!((status.attempts, status.failed_attempts.len()), (Some(1), 0), "{name}: {status:?}");
        for never in ["RemoteMissing", "BackoffAfterFailure", "InstanceNotFound"] {
            assert!(!world.has_been(name, never), "{name}: {:?}", world.reasons(name));
        }
        assert!(!world.phases(name).contains(&"Missing"), "{name}: {:?}", world.phases(name));
    }
    for name in ["redis", "taurus"] {
        assert!(world.writes(name) <= 8, "{name}: {} status writes, {:?}", world.writes(name), world.reasons(name));
    }
    assert_eq!((world.backups_in_cloud(), world.cloud.count(None, "create")), (4, 4));
    assert_nothing_is_asked_elsewhere(&world);
}

#[tokio::test]
async fn an_object_that_is_deleted_while_its_account_is_away_waits_and_takes_its_backup_along() {
    let world = World::start().await;
    for (name, engine, service) in [("redis", "DCS", "dcs"), ("taurus", "TaurusDB", "taurusdb")] {
        world.cloud.add_instance(service, name);
        world.plane.apply(&World::manifest(name, engine, name, "deletionPolicy: Delete")).await;
        world.until_phase(name, Phase::Completed).await;
    }
    world.change_user(OTHER).await;
    world.until_account_points_to(ELSEWHERE).await;
    for name in ["redis", "taurus"] {
        world.delete(name).await;
        let status = world.until_reason(name, "DeleteBlocked").await;
        assert!(message(&status).contains("Retain"), "{}", message(&status));
    }
    tokio::time::sleep(LONG_AWAY).await;
    assert_eq!((world.left().len(), world.cloud.count(None, "delete")), (2, 0), "an account that is away shows nothing to be gone");
    for name in ["redis", "taurus"] {
        assert!(world.backups_here().get_opt(name).await.expect("an answer").is_some(), "{name} is still there");
    }
    world.change_user(OWN).await;
    for name in ["redis", "taurus"] {
        world.until_gone(name).await;
    }
    assert_eq!((world.left().len(), world.cloud.count(None, "delete")), (0, 2));
    assert_nothing_is_asked_elsewhere(&world);
}

#[tokio::test]
async fn a_host_that_does_not_show_the_backup_is_not_believed_and_gets_no_create_call() {
    let mut world = World::without_operator().await;
    // The same access key is good in both clouds, and their projects have the same ids: only the host differs.
    world.account_by_key("cloud", 1000).await;
    world.start_operator_with(&["--retry-backoff=8s"]);
    let other = Simulator::start().await;
    for (cloud, instance) in [(&world.cloud, "i-1in07"), (&world.cloud, "i-2in07"), (&other, "i-1in07"), (&other, "i-2in07")] {
        cloud.add_instance("taurusdb", instance);
    }
    world.cloud.fail_next_backups(1, Some("taurusdb"));
    world.ask("failing", "TaurusDB", "i-2in07").await;
    world.until_reason("failing", "BackoffAfterFailure").await;
    world.cloud.hold_backups(true);
    world.ask("running", "TaurusDB", "i-1in07").await;
    world.until_phase("running", Phase::Running).await;
    let (home, away) = (world.cloud.endpoints().taurusdb, other.endpoints().taurusdb);
    move_taurusdb(&world, &away).await;
    for name in ["running", "failing"] {
        world.until_reason(name, "AccountMismatch").await;
    }
    // The next attempt of the one that failed is due meanwhile, and the other could be missed.
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!((other.count(None, "create"), other.backups().len()), (0, 0), "no call goes to a host that may be another cloud");
    assert_eq!([endpoint(&world, "running").await, endpoint(&world, "failing").await], [host(&home), host(&home)]);
    assert_eq!(world.status("running").await.phase, Some(Phase::Running));
    move_taurusdb(&world, &home).await;
    world.cloud.hold_backups(false);
    world.cloud.complete_all();
    for (name, attempts) in [("running", 1), ("failing", 2)] {
        let status = world.until_phase(name, Phase::Completed).await;
        assert_eq!(status.attempts, Some(attempts), "{name}: {status:?}");
    }
    assert_eq!((world.own_backups().len(), world.cloud.count(None, "create"), other.count(None, "create")), (3, 3, 0));
}

#[tokio::test]
async fn another_address_of_the_same_cloud_is_taken_over_when_the_backup_is_seen_there() {
    let mut world = World::without_operator().await;
    world.account_by_key("cloud", 1000).await;
    world.start_operator();
    world.cloud.add_instance("taurusdb", "i-1in07");
    world.cloud.hold_backups(true);
    world.ask("running", "TaurusDB", "i-1in07").await;
    world.until_phase("running", Phase::Running).await;
    let before = world.cloud.endpoints().taurusdb;
    let after = before.replace("127.0.0.1", "localhost");
    assert_eq!(endpoint(&world, "running").await, host(&before));
    move_taurusdb(&world, &after).await;
    crate::support::eventually("the new host is stored", PATIENCE, async || {
        let stored = endpoint(&world, "running").await;
        if stored == host(&after) { Ok(()) } else { Err(format!("{stored}\n{}", world.newest_lines())) }
    })
    .await;
    world.cloud.hold_backups(false);
    world.cloud.complete_all();
    world.until_phase("running", Phase::Completed).await;
    assert_eq!(endpoint(&world, "running").await, host(&after));
    assert_eq!((world.backups_in_cloud(), world.cloud.count(None, "create")), (1, 1));
    assert!(world.writes("running") <= 8, "{} status writes: {:?}", world.writes("running"), world.reasons("running"));
}

#[tokio::test]
async fn a_running_backup_hears_of_its_end_in_a_project_that_never_holds_still() {
    let mut world = World::without_operator().await;
    world.account("cloud", 5).await;
    world.start_operator();
    world.until_account_is_verified().await;
    world.operator().ready().await;
    world.cloud.add_instance("taurusdb", "i-1in07");
    world.cloud.add_backups("taurusdb", "another", 1_000);
    world.cloud.set_restless(true);
    world.cloud.hold_backups(true);
    world.ask("patient", "TaurusDB", "i-1in07").await;
    world.until_phase("patient", Phase::Running).await;
    let asked = world.cloud.count(None, "list");
    // Two listings and more of eleven pages, none of which can be complete.
    assert!(world.cloud.wait_until(PATIENCE, |cloud| cloud.count(None, "list") >= asked + 25), "it polls");
    world.cloud.hold_backups(false);
    world.cloud.complete_all();
    world.until_phase("patient", Phase::Completed).await;
    assert!(!world.has_been("patient", "CloudUnavailable"), "{:?}", world.reasons("patient"));
    let writes = world.writes("patient");
    assert!(writes <= 4, "{writes} status writes: {:?}", world.reasons("patient"));
    assert_eq!((world.own_backups().len(), world.cloud.count(None, "create")), (1, 1));
    assert!(world.cloud.max_requests_in_a_second() <= 12, "the account's rate is kept");
}

#[tokio::test]
async fn a_lost_answer_is_cleared_up_in_a_project_that_never_holds_still() {
    let world = World::start_and_lead().await;
    world.cloud.add_instance("taurusdb", "i-1in07");
    world.cloud.add_backups("taurusdb", "i-1in07", 250);
    world.cloud.set_restless(true);
    world.cloud.inject(Fault::new(FaultKind::LoseAnswer).at("create"));
    world.ask("lost", "TaurusDB", "i-1in07").await;
    let status = world.until_phase("lost", Phase::Completed).await;
    assert_eq!((status.origin, world.own_backups().len(), world.cloud.count(None, "create")), (Some(Origin::Reattached), 1, 1));
    assert!(world.writes("lost") <= 6, "{} status writes: {:?}", world.writes("lost"), world.reasons("lost"));
}

#[tokio::test]
async fn messages_do_not_change_from_look_to_look_while_nothing_holds_still() {
    let world = World::start_and_lead().await;
    world.cloud.add_instance("taurusdb", "i-1in07");
    world.cloud.add_backups("taurusdb", "i-1in07", 250);
    world.cloud.set_restless(true);
    // Nothing was made, and no listing can say so: the search goes on.
    world.cloud.inject(Fault::new(FaultKind::CutBefore).at("create"));
    world.ask("cut", "TaurusDB", "i-1in07").await;
    world.until_reason("cut", "OutcomeUnknown").await;
    let asked = world.cloud.count(None, "list");
    assert!(world.cloud.wait_until(PATIENCE, |cloud| cloud.count(None, "list") >= asked + 20), "it looks");
    let said = |status: &DatabaseBackupStatus| ready(status).map(|ready| (ready.reason.clone(), ready.message.clone()));
    let mut said: Vec<_> = world.history("cut").iter().filter_map(said).collect();
    said.sort();
    said.dedup();
    assert!(said.len() <= 5, "{said:#?}");
    assert_eq!(world.cloud.count(None, "create"), 1, "without a complete listing nothing is known to be missing");
    world.cloud.set_restless(false);
    let status = world.until_phase("cut", Phase::Completed).await;
    assert_eq!((status.attempts, world.own_backups().len(), world.cloud.count(None, "create")), (Some(1), 1, 2));
    assert!(world.writes("cut") <= 10, "{} status writes: {:?}", world.writes("cut"), world.reasons("cut"));
}

#[tokio::test]
async fn totals_that_are_off_by_one_hide_no_backup() {
    let world = World::start_and_lead().await;
    for (engine, service) in [("TaurusDB", "taurusdb"), ("GeminiDB", "geminidb"), ("DCS", "dcs")] {
        for offset in [1, -1] {
            world.cloud.set_total_offset(offset);
            let kind = if offset > 0 { "more" } else { "fewer" };
            let (quiet, lost) = (format!("{service}-{kind}"), format!("{service}-{kind}-lost"));
            for name in [&quiet, &lost] {
                world.cloud.add_instance(service, name);
            }
            world.ask(&quiet, engine, &quiet).await;
            world.until_phase(&quiet, Phase::Completed).await;
            assert!(world.writes(&quiet) <= 4, "{quiet}: {} status writes: {:?}", world.writes(&quiet), world.reasons(&quiet));
            world.cloud.inject(Fault::new(FaultKind::LoseAnswer).at("create"));
            world.ask(&lost, engine, &lost).await;
            let status = world.until_phase(&lost, Phase::Completed).await;
            assert_eq!(status.origin, Some(Origin::Reattached), "{lost}");
        }
    }
    assert_eq!((world.backups_in_cloud(), world.cloud.count(None, "create")), (12, 12));
}
