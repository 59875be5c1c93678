//! One of several operators acts.

use crate::{
    simulator::faults::{Fault, FaultKind},
    support::{eventually, operator::Operator},
    world::{PATIENCE, World},
};
use database_backup_operator::api::status::{Origin, Phase};
use std::{path::Path, time::Duration};

const FLAGS: [&str; 5] =
    ["--leader-elect=true", "--lease-duration=6s", "--poll-interval=300ms", "--settle-delay=5s", "--cluster-resource-namespace=operator"];

fn start(world: &World, name: &str) -> Operator {
    let log = world.plane.folder().join(format!("{name}.log"));
    Operator::start(Path::new(env!("CARGO_BIN_EXE_database-backup-operator")), world.plane.kubeconfig(), &log, &FLAGS)
}

async fn until_leading(operator: &Operator) {
    eventually("it leads", PATIENCE, async || operator.logs().contains("leading").then_some(()).ok_or(operator.logs())).await;
}

async fn world() -> World {
    let world = World::without_operator().await;
    world.account("cloud", 1000).await;
    for instance in ["i-1", "i-2", "i-3"] {
        world.cloud.add_instance("dcs", instance);
    }
    world
}

#[tokio::test]
async fn the_second_stands_by_and_takes_over_when_the_first_ends() {
    let world = world().await;
    let first = start(&world, "first");
    until_leading(&first).await;
    let second = start(&world, "second");
    world.ask("before", "DCS", "i-1").await;
    world.until_phase("before", Phase::Completed).await;
    assert!(!second.logs().contains("leading"), "one acts");
    assert_eq!(second.get("/readyz").await.map(|(status, _)| status), Ok(200), "and the other is ready");
    let about = "dbbackup_backups_retained{namespace=\"default\",engine=\"DCS\",instance_id=\"i-1\"} 1\n";
    let (acting, standing_by) = (first.metrics().await, second.metrics().await);
    assert!(acting.contains("dbbackup_leader 1\n") && acting.contains(about), "{acting}");
    assert!(standing_by.contains("dbbackup_leader 0\n"), "{standing_by}");
    assert!(!standing_by.contains("i-1") && !standing_by.contains("account_ready{"), "nothing about what it does not watch: {standing_by}");
    assert!(first.terminate().await.success());
    until_leading(&second).await;
    world.ask("after", "DCS", "i-2").await;
    world.until_phase("after", Phase::Completed).await;
    let taken_over = second.metrics().await;
    assert!(taken_over.contains("dbbackup_leader 1\n") && taken_over.contains(about), "what its forerunner did counts: {taken_over}");
    second.kill();
    let third = start(&world, "third");
    until_leading(&third).await;
    world.ask("last", "DCS", "i-3").await;
    world.until_phase("last", Phase::Completed).await;
    assert_eq!(world.backups_in_cloud(), 3);
}

#[tokio::test]
async fn a_paused_leader_that_wakes_up_sends_nothing_and_ends_with_an_error() {
    let world = world().await;
    let first = start(&world, "first");
    until_leading(&first).await;
    let second = start(&world, "second");
    // The call of the first is on its way, and carried out late.
    world.cloud.inject(Fault::new(FaultKind::Delay(Duration::from_secs(1))).at("create"));
    world.ask("contested", "DCS", "i-1").await;
    assert!(world.cloud.wait_until(PATIENCE, |cloud| cloud.count(None, "create") == 1));
    first.pause();
    until_leading(&second).await;
    world.ask("next", "DCS", "i-2").await;
    world.until_phase("next", Phase::Completed).await;
    world.until_phase("contested", Phase::Completed).await;
    first.resume();
    eventually("the first has ended", PATIENCE, async || if first.is_running() { Err("it runs".to_owned()) } else { Ok(()) }).await;
    assert!(first.logs().contains("the lease was lost"), "{}", first.logs());
    assert_eq!((world.backups_in_cloud(), world.cloud.count(None, "create")), (2, 2), "no call was sent twice");
}

#[tokio::test]
async fn a_leader_that_cannot_renew_stops_before_its_lease_ends() {
    let world = world().await;
    let first = start(&world, "first");
    until_leading(&first).await;
    world.plane.stop_api_server();
    eventually("it has ended", PATIENCE, async || if first.is_running() { Err("it runs".to_owned()) } else { Ok(()) }).await;
    assert!(first.logs().contains("the lease was lost"), "{}", first.logs());
}

#[tokio::test]
async fn on_sigterm_the_lease_is_given_back_after_the_call_under_way_has_ended_and_its_answer_is_stored() {
    let world = world().await;
    let first = start(&world, "first");
    until_leading(&first).await;
    let second = start(&world, "second");
    world.cloud.hold_backups(true);
    world.cloud.inject(Fault::new(FaultKind::DelayAnswer(Duration::from_secs(3))).at("create"));
    world.ask("last", "DCS", "i-1").await;
    assert!(world.cloud.wait_until(PATIENCE, |cloud| cloud.count(None, "create") == 1), "the call is under way");
    assert!(first.terminate().await.success());
    let status = world.until_phase("last", Phase::Running).await;
    assert_eq!(status.origin, Some(Origin::Created), "the first stored its answer");
    until_leading(&second).await;
    world.cloud.hold_backups(false);
    world.cloud.complete_all();
    world.until_phase("last", Phase::Completed).await;
    assert_eq!((world.backups_in_cloud(), world.cloud.count(None, "create")), (1, 1));
}

#[tokio::test]
async fn the_next_leader_sees_afresh_what_there_is_before_it_acts() {
    let world = world().await;
    let first = start(&world, "first");
    until_leading(&first).await;
    // It stands by while all this happens.
    let second = start(&world, "second");
    world.cloud.hold_backups(true);
    world.ask("done", "DCS", "i-1").await;
    world.ask("going", "DCS", "i-2").await;
    for name in ["done", "going"] {
        world.until_phase(name, Phase::Running).await;
    }
    first.kill();
    world.plane.kubectl_ok(&["delete", "dbb", "going", "--timeout=20s"]).await;
    world.ask("new", "DCS", "i-3").await;
    world.cloud.hold_backups(false);
    world.cloud.complete_all();
    until_leading(&second).await;
    for name in ["done", "new"] {
        world.until_phase(name, Phase::Completed).await;
    }
    assert_eq!((world.backups_in_cloud(), world.cloud.count(None, "create")), (3, 3), "one for each, and none twice");
}

/// The Lease, as somebody else would leave it.
async fn change_lease(world: &World, change: &[&str]) {
    let lease = ["--namespace", "default", "lease", "database-backup-operator"];
    let args: Vec<&str> = change[..1].iter().chain(&lease).chain(&change[1..]).copied().collect();
    world.plane.kubectl_ok(&args).await;
}

#[tokio::test]
async fn a_leader_whose_lease_is_overwritten_emptied_or_deleted_ends_long_before_it_would_have_run_out() {
    // With its own duration the last renewal would have lasted for 40 s more.
    const LONG: &str = "--lease-duration=60s";
    let flags: Vec<&str> = FLAGS.into_iter().filter(|flag| !flag.starts_with("--lease-duration")).chain([LONG]).collect();
    let world = world().await;
    let overwritten = r#"{"spec": {"holderIdentity": "somebody-else"}}"#;
    let emptied = r#"{"spec": {"holderIdentity": ""}}"#;
    for (nth, change) in
        [&["patch", "--type=merge", "-p", overwritten][..], &["patch", "--type=merge", "-p", emptied], &["delete"]].iter().enumerate()
    {
        let log = world.plane.folder().join(format!("leader-{nth}.log"));
        let leader = Operator::start(Path::new(env!("CARGO_BIN_EXE_database-backup-operator")), world.plane.kubeconfig(), &log, &flags);
        until_leading(&leader).await;
        change_lease(&world, change).await;
        let changed = std::time::Instant::now();
        assert!(!leader.wait(PATIENCE).await.success());
        assert!(changed.elapsed() < Duration::from_secs(20), "{:?}", changed.elapsed());
        assert!(leader.logs().contains("the lease was lost"), "{}", leader.logs());
        // One that names somebody is waited for, and here nobody is there.
        let _ = world.plane.kubectl(&["delete", "lease", "database-backup-operator"]).await;
    }
}
