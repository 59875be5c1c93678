//! Another version of this program wrote the status, and worded its messages otherwise.

use super::*;
use crate::api::status::DeleteReason;

fn completed() -> World {
    let mut world = World::running();
    let seen = remote(&world, RemoteState::Completed);
    world.see(vec![seen]);
    world.report();
    world
}

/// The status says the same in other words, and another process comes to it.
fn reworded(mut world: World) -> World {
    for condition in &mut world.status.conditions {
        condition.message = "in the words of an earlier version".into();
    }
    world.restart();
    world
}

/// What would be written now, if that is anything.
fn news(world: &mut World) -> Option<DatabaseBackupStatus> {
    let stored = world.status.clone();
    match world.plan() {
        Step::Report(report) => report.is_news(&stored, &world.settings).then_some(report.status),
        step => panic!("{step:?}"),
    }
}

fn message(status: &DatabaseBackupStatus) -> &str {
    &status.conditions[0].message
}

#[test]
fn a_completed_backup_is_not_written_for_other_words_alone() {
    let mut world = reworded(completed());
    let report = world.plan();
    assert!(matches!(&report, Step::Report(report) if report.status != world.status), "it would say it otherwise: {report:?}");
    assert_eq!(news(&mut world), None);
    world.spec.expire_after_days = Some(30);
    world.pass(60);
    world.status.expiration_time = world
        .status
        .completion_time
        .as_ref()
        .and_then(|at| at.0.checked_add(Duration::from_secs(30 * 86_400)).ok())
        .map(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time);
    assert_eq!(news(&mut world), None, "nor one that expires some time");
}

#[test]
fn an_object_that_came_to_its_end_otherwise_keeps_its_words() {
    for (phase, reason) in [
        (Phase::Failed, Reason::BackupFailed),
        (Phase::Missing, Reason::RemoteMissing),
        (Phase::Expired, Reason::Expired),
        (Phase::Lapsed, Reason::TooLate),
    ] {
        let mut world = reworded(completed());
        world.status.phase = Some(phase);
        world.status.conditions[0].reason = reason.as_str().into();
        assert_eq!(news(&mut world), None, "{phase:?}");
    }
}

#[test]
fn what_is_written_anyway_brings_the_words_along() {
    let mut world = reworded(completed());
    world.generation = 2;
    assert!(news(&mut world).is_some_and(|status| message(&status).contains("holds backup b-1")), "a newer spec");
    let mut world = reworded(completed());
    world.spec.expire_after_days = Some(30);
    assert!(news(&mut world).is_some_and(|status| message(&status).contains("holds backup b-1")), "a time at which it expires");
    let mut world = reworded(completed());
    world.pass(43_200);
    let seen = remote(&world, RemoteState::Completed);
    world.see(vec![seen]);
    assert!(news(&mut world).is_some_and(|status| message(&status).contains("holds backup b-1")), "a look after a resync interval");
}

#[test]
fn an_object_on_its_way_or_blocked_has_the_words_of_today() {
    let mut world = reworded(World::running());
    assert!(news(&mut world).is_some_and(|status| message(&status).contains("is taking backup b-1")));
    let mut world = World::new();
    world.account = Account::Blocked { reason: Reason::AccountNotFound, message: "there is none".into() };
    world.report();
    let mut world = reworded(world);
    assert!(news(&mut world).is_some_and(|status| message(&status) == "there is none"));
}

#[test]
fn that_a_backup_is_held_though_its_time_is_up_is_more_than_words() {
    let mut world = World::running();
    world.spec.expire_after_days = Some(1);
    let seen = remote(&world, RemoteState::Completed);
    world.see(vec![seen]);
    world.report();
    world.held = true;
    let mut world = reworded(world);
    assert_eq!(news(&mut world), None, "a day is left");
    world.pass(2 * 86_400);
    let status = news(&mut world).expect("its time is up");
    assert!(message(&status).contains("but it is held"), "{}", message(&status));
    assert_eq!(status.delete_reason, None, "nothing but the message says so");
}

#[test]
fn that_a_backup_is_no_longer_kept_from_going_is_more_than_words() {
    let mut world = completed();
    (world.status.delete_reason, world.held) = (Some(DeleteReason::Retention), true);
    assert!(message(&world.report().status).contains("stays because of the annotation"));
    assert_eq!(news(&mut world), None);
    world.held = false;
    // Words alone wait for a poll interval.
    world.pass(15);
    let status = news(&mut world).expect("nobody holds it");
    assert!(message(&status).ends_with("of instance i-1in07"), "{}", message(&status));
}

#[test]
fn that_the_clocks_agree_again_is_more_than_words() {
    let mut world = World::running();
    world.spec.expire_after_days = Some(1);
    let seen = remote(&world, RemoteState::Completed);
    world.see(vec![seen]);
    world.report();
    for condition in &mut world.status.conditions {
        condition.message = crate::plan::account::CLOCKS_DISAGREE.into();
    }
    world.restart();
    assert!(
        news(&mut world).is_some_and(|status| message(&status).contains("holds backup b-1")),
        "this machine's clock was ahead, and is not any more"
    );
}
