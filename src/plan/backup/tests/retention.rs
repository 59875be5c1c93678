//! Backups that go although nobody deletes their objects, and what keeps them.

use super::*;
use crate::{
    api::status::DeleteReason,
    plan::backup::rule::{Rule, without},
};

/// A completed backup, a day old.
fn completed() -> World {
    let mut world = World::running();
    let seen = remote(&world, RemoteState::Completed);
    world.see(vec![seen]);
    world.report();
    world.pass(86_400);
    world
}

/// One of which its schedule says that it keeps fewer.
fn surplus() -> World {
    let mut world = completed();
    world.status.delete_reason = Some(DeleteReason::Retention);
    world
}

/// One whose time is up.
fn overdue() -> World {
    let mut world = World::running();
    world.spec.expire_after_days = Some(1);
    let seen = remote(&world, RemoteState::Completed);
    world.see(vec![seen]);
    world.report();
    world.pass(2 * 86_400);
    world
}

/// The DELETE call for the backup comes to this end.
fn deleted(world: &mut World, answer: Result<(), Error>) {
    let settings = world.settings;
    world.memory.deleted("b-1", answer, attempt_context(world.now, &settings));
}

fn is_listed(world: &mut World, state: RemoteState) {
    assert!(matches!(world.plan(), Step::TakeInventory(ListScope::Instance { .. })), "{:?}", world.plan());
    let mine = remote(world, state);
    world.inventory(vec![mine], false);
}

/// Neither a listing nor a look at its id shows it.
fn is_gone(world: &mut World) {
    assert!(matches!(world.plan(), Step::TakeInventory(ListScope::Instance { .. })), "{:?}", world.plan());
    world.inventory(vec![], false);
    assert_eq!(world.plan(), Step::TakeInventory(by_id("b-1")));
    world.inventory(vec![], true);
}

fn message(report: &Report) -> &str {
    &report.status.conditions[0].message
}

#[test]
fn retention_deletes_the_backup_and_then_the_object() {
    let mut world = surplus();
    assert!(matches!(world.plan(), Step::TakeInventory(_)), "nothing is deleted on memory");
    let mine = remote(&world, RemoteState::Completed);
    let another = RemoteBackup { id: "b-9".into(), mark: "somebody-elses".into(), ..mine.clone() };
    world.inventory(vec![another.clone(), mine.clone()], false);
    let report = world.report();
    assert_eq!((reason(&report), report.status.phase), ("Deleting", Some(Phase::Completed)), "told before it is done");
    assert!(!has(&report, types::READY) && report.status.delete_reason == Some(DeleteReason::Retention));
    assert_eq!(world.plan(), Step::Delete { backup_id: "b-1".into() });
    deleted(&mut world, Ok(()));
    world.pass(5);
    assert!(matches!(world.plan(), Step::TakeInventory(_)));
    world.inventory(vec![another.clone(), mine], false);
    assert!(message(&world.report_in_time()).contains("waiting for backup b-1"), "the cloud takes a while");
    world.pass(15);
    assert!(matches!(world.plan(), Step::TakeInventory(_)));
    world.inventory(vec![another], false);
    world.inventory(vec![], true);
    assert_eq!(world.plan(), Step::DeleteObject);
}

#[test]
fn a_backup_that_is_gone_already_takes_its_object_along_without_a_call() {
    let mut world = surplus();
    is_gone(&mut world);
    assert_eq!(world.plan(), Step::DeleteObject);
}

#[test]
fn a_process_that_comes_in_the_middle_of_it_goes_on_where_it_was() {
    let mut world = surplus();
    is_listed(&mut world, RemoteState::Completed);
    world.report();
    world.restart();
    is_listed(&mut world, RemoteState::Completed);
    assert_eq!(world.plan(), Step::Delete { backup_id: "b-1".into() }, "it was told, and not done");
    world.restart();
    is_listed(&mut world, RemoteState::Deleting);
    assert!(message(&world.report()).contains("waiting for backup b-1"), "it was done, and not noted");
    world.restart();
    is_gone(&mut world);
    assert_eq!(world.plan(), Step::DeleteObject);
}

#[test]
fn under_delete_the_object_is_let_go_at_once_after_it_was_deleted() {
    let mut world = surplus();
    world.spec.deletion_policy = DeletionPolicy::Delete;
    world.has_finalizer = true;
    is_listed(&mut world, RemoteState::Completed);
    world.report();
    deleted(&mut world, Ok(()));
    world.pass(5);
    is_gone(&mut world);
    assert_eq!(world.plan(), Step::DeleteObject);
    world.deleting = true;
    assert_eq!(world.plan(), Step::Release, "without another call or listing");
    world.restart();
    is_gone(&mut world);
    assert_eq!(world.plan(), Step::Release);
}

#[test]
fn an_object_that_others_keep_after_its_backup_went_says_so_whatever_was_seen_before() {
    let mut world = surplus();
    is_listed(&mut world, RemoteState::Completed);
    world.report();
    deleted(&mut world, Ok(()));
    world.pass(5);
    is_gone(&mut world);
    assert_eq!(world.plan(), Step::DeleteObject);
    world.deleting = true;
    let report = world.report_in_time();
    assert_eq!(reason(&report), "Deleting");
    assert!(message(&report).contains("waits for the finalizers of others"), "{}", message(&report));
    world.restart();
    assert_eq!(reason(&world.report()), "Deleting", "nothing shows the backup");
}

#[test]
fn an_earlier_objects_backup_is_left_alone_and_the_way_out_is_a_hold() {
    let mut world = surplus();
    let theirs = RemoteBackup { mark: "dbb-orders-00000000000000000000".into(), ..remote(&world, RemoteState::Completed) };
    world.plan();
    world.inventory(vec![theirs], false);
    let report = world.report();
    assert_eq!(reason(&report), "DeleteBlocked");
    assert!(message(&report).contains("dbbackup.dev/hold") && !message(&report).contains("deletionPolicy"), "{}", message(&report));
    world.held = true;
    let report = world.report_in_time();
    assert_eq!((reason(&report), report.status.delete_reason), ("Completed", None));
}

#[test]
fn a_deletion_that_fails_shows_on_the_object_and_is_tried_again() {
    for (code, reason_, way_out) in [("DBS.201208", "Deleting", false), ("DBS.200010", "DeleteBlocked", true)] {
        let mut world = surplus();
        is_listed(&mut world, RemoteState::Completed);
        world.report();
        let status = if way_out { 403 } else { 400 };
        deleted(&mut world, Err(refusal(status, code)));
        let report = world.report_in_time();
        assert_eq!((reason(&report), report.status.phase), (reason_, Some(Phase::Completed)), "{code}");
        assert!(!has(&report, types::READY) && !has(&report, types::STALLED) && message(&report).contains(code), "{}", message(&report));
        assert_eq!(message(&report).contains("dbbackup.dev/hold"), way_out, "{}", message(&report));
        assert!(!message(&report).contains("deletionPolicy"), "{}", message(&report));
        world.pass(60);
        is_listed(&mut world, RemoteState::Completed);
        assert_eq!(world.plan(), Step::Delete { backup_id: "b-1".into() });
    }
}

#[test]
fn an_account_that_cannot_be_used_says_how_the_backup_can_be_kept() {
    let mut world = surplus();
    world.account = Account::Blocked { reason: Reason::AccountNotReady, message: "there is no Secret".into() };
    let report = world.report();
    assert_eq!((reason(&report), report.status.phase), ("CredentialsUnavailable", Some(Phase::Completed)));
    assert!(message(&report).contains("dbbackup.dev/hold") && !message(&report).contains("deletionPolicy"), "{}", message(&report));
}

#[test]
fn where_the_clocks_disagree_neither_backup_nor_object_goes() {
    let apart = || {
        let mut world = surplus();
        world.cloud_ahead = jiff::SignedDuration::from_hours(1);
        world
    };
    for found in [vec![], vec![remote(&apart(), RemoteState::Completed)]] {
        let mut world = apart();
        assert!(matches!(world.plan(), Step::TakeInventory(_)), "a listing brings the cloud's time along");
        world.inventory(found, false);
        let report = world.report();
        assert_eq!(reason(&report), "DeleteBlocked");
        assert!(message(&report).contains("clock"), "{}", message(&report));
        world.cloud_ahead = jiff::SignedDuration::ZERO;
        assert!(!matches!(world.plan(), Step::Report(report) if reason(&report) == "DeleteBlocked"), "they agree again");
    }
    without(Some(Rule::TwoClocks), || {
        let mut world = apart();
        is_gone(&mut world);
        assert_eq!(world.plan(), Step::DeleteObject, "what keeps it is the rule");
    });
}

#[test]
fn retention_does_not_wait_for_the_time_at_which_a_backup_would_expire() {
    let mut world = completed();
    world.spec.expire_after_days = Some(3650);
    world.report();
    assert!(world.status.expiration_time.is_some());
    world.status.delete_reason = Some(DeleteReason::Retention);
    is_listed(&mut world, RemoteState::Completed);
    world.report();
    assert_eq!(world.plan(), Step::Delete { backup_id: "b-1".into() });
}

#[test]
fn retention_means_nothing_without_a_completed_backup() {
    for phase in [Phase::Failed, Phase::Missing, Phase::Expired, Phase::Lapsed, Phase::Running] {
        let mut world = surplus();
        world.status.phase = Some(phase);
        let step = world.plan();
        assert!(!matches!(step, Step::TakeInventory(_) | Step::Delete { .. } | Step::DeleteObject), "{phase:?}: {step:?}");
    }
}

#[test]
fn listings_that_lack_a_backup_on_its_way_out_do_not_call_it_missing() {
    let mut world = surplus();
    for _ in 0..3 {
        world.poll(Covers::Everything, vec![]);
        world.pass(3600);
        assert!(matches!(world.plan(), Step::TakeInventory(_)), "it is on its way");
    }
}

#[test]
fn a_held_backup_does_not_go_by_retention_and_says_why() {
    let mut world = surplus();
    world.held = true;
    assert!(matches!(without(Some(Rule::Hold), || world.plan()), Step::TakeInventory(_)), "what keeps it is the rule");
    let report = world.report();
    assert_eq!((reason(&report), report.status.phase, report.status.delete_reason), ("Completed", Some(Phase::Completed), None));
    assert!(has(&report, types::READY) && message(&report).contains("dbbackup.dev/hold"), "{}", message(&report));
    let said = message(&report).to_owned();
    world.pass(3600);
    let mine = remote(&world, RemoteState::Completed);
    world.see(vec![mine]);
    assert_eq!(message(&world.report()), said, "and goes on to say so");
    world.held = false;
    assert!(!message(&world.report_in_time()).contains("dbbackup.dev/hold"));
}

#[test]
fn a_hold_in_the_last_moment_is_in_time_until_the_cloud_has_accepted_the_deletion() {
    let mut world = surplus();
    is_listed(&mut world, RemoteState::Completed);
    world.report();
    assert!(matches!(world.plan(), Step::Delete { .. }));
    world.held = true;
    let report = world.report_in_time();
    assert_eq!((reason(&report), report.status.delete_reason), ("Completed", None));
    // The same when the call was refused.
    let mut refused = surplus();
    is_listed(&mut refused, RemoteState::Completed);
    refused.report();
    deleted(&mut refused, Err(refusal(400, "DBS.201208")));
    refused.held = true;
    assert_eq!(refused.report_in_time().status.delete_reason, None);
}

#[test]
fn a_hold_after_the_cloud_has_accepted_the_deletion_is_too_late_unless_nothing_comes_of_it() {
    let accepted = || {
        let mut world = surplus();
        is_listed(&mut world, RemoteState::Completed);
        world.report();
        deleted(&mut world, Ok(()));
        world.pass(5);
        world.pass(5);
        world.held = true;
        world
    };
    let mut world = accepted();
    is_gone(&mut world);
    assert_eq!(world.plan(), Step::DeleteObject);
    let mut world = accepted();
    world.pass(100);
    is_listed(&mut world, RemoteState::Completed);
    let report = world.report_in_time();
    assert_eq!((reason(&report), report.status.delete_reason), ("Completed", None), "it is still there, and is not asked for again");
}

#[test]
fn a_backup_that_another_object_adopts_does_not_go_by_retention() {
    let mut world = surplus();
    world.adopted = true;
    let report = world.report();
    assert_eq!((reason(&report), report.status.delete_reason), ("Completed", None));
    assert!(message(&report).contains("another DatabaseBackup adopts it"), "{}", message(&report));
    let mut overdue = overdue();
    overdue.adopted = true;
    assert!(matches!(overdue.plan(), Step::TakeInventory(_)), "that is no reason against its own time");
}

#[test]
fn what_the_operator_did_not_take_does_not_go_by_retention() {
    let mut world = surplus();
    world.status.origin = Some(Origin::Imported);
    let report = world.report();
    assert_eq!((reason(&report), report.status.delete_reason), ("Completed", None));
}

#[test]
fn a_held_backup_does_not_expire_says_how_it_would_and_does_when_it_is_let_go() {
    let mut world = overdue();
    world.held = true;
    assert!(matches!(without(Some(Rule::Hold), || world.plan()), Step::TakeInventory(_)), "what keeps it is the rule");
    let report = world.report();
    assert!(has(&report, types::READY) && report.status.phase == Some(Phase::Completed));
    assert!(message(&report).contains("its time is up, but it is held: remove the annotation dbbackup.dev/hold"), "{}", message(&report));
    assert_eq!(report.requeue_after, None, "nothing comes of time any more");
    world.held = false;
    assert!(matches!(world.plan(), Step::TakeInventory(_)), "its time is up already");
}

#[test]
fn a_hold_in_the_middle_of_an_expiry_takes_the_reason_back() {
    let mut world = overdue();
    is_listed(&mut world, RemoteState::Completed);
    assert_eq!(world.report().status.delete_reason, Some(DeleteReason::Expired));
    world.held = true;
    let report = world.report_in_time();
    assert_eq!((report.status.delete_reason, report.status.phase), (None, Some(Phase::Completed)));
    assert!(message(&report).contains("remove the annotation"), "{}", message(&report));
}

#[test]
fn a_person_who_deletes_the_object_is_not_kept_by_a_hold() {
    let mut world = surplus();
    world.spec.deletion_policy = DeletionPolicy::Delete;
    (world.has_finalizer, world.deleting, world.held) = (true, true, true);
    is_listed(&mut world, RemoteState::Completed);
    assert_eq!(world.report().status.delete_reason, Some(DeleteReason::ObjectDeleted));
    assert_eq!(world.plan(), Step::Delete { backup_id: "b-1".into() });
}

#[test]
fn one_whose_time_is_up_by_this_clock_alone_waits_for_the_clouds_and_does_not_spin() {
    let mut world = overdue();
    let due = world.status.expiration_time.as_ref().expect("it expires").0;
    world.now.wall = due + jiff::SignedDuration::from_secs(1);
    world.cloud_ahead = jiff::SignedDuration::from_secs(-61);
    assert_eq!(world.report().requeue_after, Some(Duration::from_secs(60)));
}

#[test]
fn one_that_a_quota_keeps_back_is_tried_again_as_soon_as_room_was_made() {
    let mut world = World::new();
    world.write_intent();
    world.answer(Err(refusal(400, "DBS.200046")));
    let report = world.report();
    assert_eq!(reason(&report), "QuotaExceeded");
    assert!(!matches!(world.plan(), Step::WriteIntent(_)), "it waits");
    world.memory.room_was_made(world.now);
    assert!(matches!(world.plan(), Step::WriteIntent(_)));
    let mut busy = World::new();
    busy.write_intent();
    busy.answer(Err(refusal(400, "DBS.201205")));
    busy.report();
    busy.memory.room_was_made(busy.now);
    assert!(!matches!(busy.plan(), Step::WriteIntent(_)), "room does not help one that waits for something else");
}
