//! The backup goes.

use super::*;

/// An object that is deleted under `Delete` while the answer to its create call is lost.
fn going_with_a_lost_answer() -> World {
    let mut world = World::new();
    world.spec.deletion_policy = DeletionPolicy::Delete;
    world.has_finalizer = true;
    world.write_intent();
    world.answer(Err(lost()));
    world.report();
    world.deleting = true;
    world
}

/// The DELETE call for the backup comes to this end.
fn deleted(world: &mut World, answer: Result<(), Error>) {
    let settings = world.settings;
    world.memory.deleted("b-1", answer, attempt_context(world.now, &settings));
}

#[test]
fn a_lost_backup_that_turns_up_while_its_object_goes_is_deleted_too() {
    let mut world = going_with_a_lost_answer();
    assert!(matches!(world.plan(), Step::TakeInventory(_)));
    world.inventory(vec![], false);
    world.pass(5);
    assert!(matches!(world.plan(), Step::Look(_)));
    // Only now does a listing show it.
    let late = remote(&world, RemoteState::Completed);
    world.see(vec![late.clone()]);
    assert!(matches!(world.plan(), Step::TakeInventory(_)), "the inventory is out of date");
    world.inventory(vec![late], false);
    world.report();
    assert_eq!(world.plan(), Step::Delete { backup_id: "b-1".into() });
}

#[test]
fn a_lost_backup_that_was_seen_and_went_by_an_unanswered_deletion_keeps_nobody_waiting() {
    let mut world = World::new();
    world.spec.deletion_policy = DeletionPolicy::Delete;
    world.has_finalizer = true;
    world.write_intent();
    world.answer(Err(lost()));
    world.report();
    let seen = remote(&world, RemoteState::Completed);
    world.see(vec![seen.clone()]);
    world.deleting = true;
    world.plan();
    world.pass(1);
    world.inventory(vec![seen], false);
    world.report();
    assert!(matches!(world.plan(), Step::Delete { .. }));
    deleted(&mut world, Err(lost()));
    world.pass(60);
    assert!(matches!(world.plan(), Step::TakeInventory(_)));
    world.inventory(vec![], false);
    assert_eq!(world.plan(), Step::Release);
}

#[test]
fn an_answer_that_is_not_stored_yet_is_stored_before_the_object_goes() {
    let mut world = World::new();
    world.spec.deletion_policy = DeletionPolicy::Delete;
    world.has_finalizer = true;
    world.write_intent();
    world.answer(Ok(created()));
    world.deleting = true;
    assert_eq!(world.report().status.backup_id.as_deref(), Some("b-1"));
    assert!(matches!(world.plan(), Step::TakeInventory(_)));
}

#[test]
fn a_backup_too_young_to_be_listed_is_waited_for_before_its_object_is_let_go() {
    let mut world = World::running();
    world.spec.deletion_policy = DeletionPolicy::Delete;
    world.has_finalizer = true;
    world.deleting = true;
    let mut listings = 0;
    while world.plan() != Step::Release {
        match world.plan() {
            Step::TakeInventory(ListScope::Backup { .. }) => world.inventory(vec![], true),
            Step::TakeInventory(_) => {
                listings += 1;
                world.inventory(vec![], false);
            }
            Step::Report(report) => {
                let message = &report.status.conditions[0].message;
                assert!(message.contains("not listed yet"), "{message}");
                world.status = report.status;
                world.pass(1);
            }
            step => panic!("{step:?}"),
        }
    }
    assert_eq!((listings, world.now.mono), (2, Duration::from_secs(310)), "once at the beginning, and once when it must be listed");
}

#[test]
fn an_object_whose_dcs_instance_went_with_all_its_backups_is_let_go() {
    for lost_answer in [false, true] {
        let mut world = of_an_instance(Engine::DCS, DeletionPolicy::Delete);
        if lost_answer {
            world.restart();
            world.status = DatabaseBackupStatus {
                backup_id: None,
                create_outcome: Some(CreateOutcome::Unknown),
                phase: Some(Phase::Pending),
                ..world.status
            };
        }
        world.deleting = true;
        assert!(matches!(world.plan(), Step::TakeInventory(_)));
        instance_is_missing(&mut world);
        assert_eq!(reason(&world.report()), "Deleting", "it may come back");
        world.pass(600);
        assert!(matches!(world.plan(), Step::TakeInventory(_)), "asked again");
        instance_is_missing(&mut world);
        assert_eq!(world.plan(), Step::Release, "lost answer: {lost_answer}");
    }
}

#[test]
fn a_backup_that_a_restore_uses_is_deleted_later() {
    let mut world = being_deleted();
    world.plan();
    let seen = remote(&world, RemoteState::Completed);
    world.inventory(vec![seen.clone()], false);
    world.report();
    assert!(matches!(world.plan(), Step::Delete { .. }));
    let in_use =
        refused(Engine::GeminiDB, Operation::Delete, 403, Hints::default(), r#"{"error_code":"DBS.201319","error_msg":"being restored"}"#);
    deleted(&mut world, Err(in_use));
    let report = world.report_in_time();
    let said = &report.status.conditions[0].message;
    assert!(reason(&report) == "Deleting" && said.contains("DBS.201319"), "{said}");
    world.pass(60);
    assert!(matches!(world.plan(), Step::TakeInventory(_)), "what is there is looked at anew");
    world.inventory(vec![seen], false);
    assert!(matches!(world.plan(), Step::Delete { .. }), "and asked for again");
}

#[test]
fn a_backup_that_the_cloud_dates_before_its_request_does_not_expire_early() {
    let mut world = World::running();
    world.spec.expire_after_days = Some(1);
    let seen = RemoteBackup { completion_time: "1970-01-01T00:00:00Z".parse().ok(), ..remote(&world, RemoteState::Completed) };
    world.see(vec![seen]);
    let report = world.report();
    assert_eq!(report.status.completion_time.map(|t| t.0), Some(Timestamp::UNIX_EPOCH), "what the cloud says is told");
    let due: Timestamp = "2026-01-02T00:00:10Z".parse().unwrap();
    assert_eq!(report.status.expiration_time.map(|t| t.0), Some(due));
}

#[test]
fn with_retain_a_deleted_object_that_somebody_else_holds_is_followed_to_its_end() {
    let mut world = World::running();
    world.deleting = true;
    assert_eq!(reason(&world.report()), "Running");
    let seen = remote(&world, RemoteState::Completed);
    world.see(vec![seen]);
    assert_eq!(world.report().status.phase, Some(Phase::Completed));
}

#[test]
fn an_object_that_is_being_deleted_makes_no_create_call_whoever_holds_it() {
    let mut fresh = World::new();
    fresh.deleting = true;
    assert_eq!(fresh.plan(), Step::RequeueAfter(None), "nothing was asked for");
    let mut intended = World::new();
    intended.write_intent();
    intended.deleting = true;
    let report = intended.report();
    assert_eq!((reason(&report), report.status.create_outcome), ("Deleting", Some(CreateOutcome::Rejected)), "it was not sent");
    let mut failing = World::running();
    failing.deleting = true;
    let failed = remote(&failing, RemoteState::Failed);
    failing.see(vec![failed]);
    let report = failing.report();
    assert_eq!((reason(&report), report.status.phase), ("BackupFailed", Some(Phase::Failed)), "there is no next attempt");
    let mut lost_answer = World::new();
    lost_answer.write_intent();
    lost_answer.answer(Err(lost()));
    lost_answer.report();
    lost_answer.deleting = true;
    lost_answer.pass(5);
    assert!(matches!(lost_answer.plan(), Step::Look(_)), "but what it asked for is looked for");
    let found = remote(&lost_answer, RemoteState::Running);
    lost_answer.see(vec![found]);
    assert_eq!(lost_answer.report().status.origin, Some(Origin::Reattached), "and its id is stored");
}

#[test]
fn a_running_backup_whose_deletion_cannot_be_asked_for_is_followed_to_its_end() {
    let mut world = World::running();
    world.spec.deletion_policy = DeletionPolicy::Delete;
    (world.has_finalizer, world.deleting) = (true, true);
    world.account = ready(place_in("p-2", HOST), 2);
    assert_eq!(reason(&world.report()), "DeleteBlocked");
    world.account = ready(place(), 3);
    let seen = remote(&world, RemoteState::Completed);
    world.poll(Covers::AWindow, vec![seen]);
    world.account = ready(place_in("p-2", HOST), 4);
    let report = world.report();
    assert_eq!((reason(&report), report.status.phase), ("DeleteBlocked", Some(Phase::Completed)));
    assert!(report.status.completion_time.is_some());
}

#[test]
fn the_finalizer_is_there_before_the_first_intent_and_only_under_delete() {
    let mut world = World::new();
    world.spec.deletion_policy = DeletionPolicy::Delete;
    assert_eq!(world.plan(), Step::SetFinalizer(true));
    world.has_finalizer = true;
    assert!(matches!(world.plan(), Step::WriteIntent(_)));
    world.spec.deletion_policy = DeletionPolicy::Retain;
    assert_eq!(world.plan(), Step::SetFinalizer(false));
}

/// A completed backup whose object is deleted under `Delete`.
fn being_deleted() -> World {
    let mut world = World::running();
    let seen = remote(&world, RemoteState::Completed);
    world.see(vec![seen]);
    world.report();
    world.spec.deletion_policy = DeletionPolicy::Delete;
    (world.has_finalizer, world.deleting) = (true, true);
    world
}

#[test]
fn only_what_a_fresh_listing_shows_under_this_objects_mark_and_instance_is_deleted() {
    let mut world = being_deleted();
    assert!(matches!(world.plan(), Step::TakeInventory(ListScope::Instance { .. })), "nothing is deleted on memory");
    let mine = remote(&world, RemoteState::Completed);
    let another = RemoteBackup { id: "b-9".into(), mark: "somebody-elses".into(), ..mine.clone() };
    let elsewhere = RemoteBackup { id: "b-8".into(), instance_id: "another".into(), ..mine.clone() };
    world.inventory(vec![another.clone(), elsewhere.clone(), mine.clone()], false);
    assert_eq!(world.report().status.delete_reason, Some(crate::api::status::DeleteReason::ObjectDeleted), "told before it is done");
    assert_eq!(world.plan(), Step::Delete { backup_id: "b-1".into() });
    deleted(&mut world, Ok(()));
    world.pass(5);
    assert!(matches!(world.plan(), Step::TakeInventory(_)), "confirmed by a listing");
    world.inventory(vec![mine], false);
    assert_eq!(reason(&world.report_in_time()), "Deleting", "the cloud takes a while, and is not asked again at once");
    world.pass(15);
    assert!(matches!(world.plan(), Step::TakeInventory(_)));
    world.inventory(vec![another, elsewhere], false);
    assert_eq!(world.plan(), Step::TakeInventory(by_id("b-1")), "and by its id");
    world.inventory(vec![], true);
    assert_eq!(world.plan(), Step::Release);
}

#[test]
fn a_running_backup_is_waited_for_before_it_is_deleted() {
    let mut world = being_deleted();
    assert!(matches!(world.plan(), Step::TakeInventory(_)));
    let mine = remote(&world, RemoteState::Running);
    world.inventory(vec![mine], false);
    assert_eq!(reason(&world.report()), "Deleting");
    world.pass(15);
    assert!(matches!(world.plan(), Step::TakeInventory(_)));
}

#[test]
fn a_call_without_an_answer_is_cleared_up_before_the_object_is_let_go() {
    let mut world = going_with_a_lost_answer();
    let mut looks = 0;
    for _ in 0..1000 {
        match world.plan() {
            Step::TakeInventory(_) => world.inventory(vec![], false),
            Step::Look(_) => {
                looks += 1;
                world.see(vec![]);
            }
            Step::Report(_) | Step::RequeueAfter(_) => world.pass(1),
            Step::Release => break,
            step => panic!("{step:?}"),
        }
    }
    assert!(looks >= 2 && world.now.mono >= Duration::from_secs(300), "{looks} looks, {:?}", world.now.mono);
}

#[test]
fn a_call_without_an_answer_whose_backup_was_found_and_deleted_is_in_doubt_no_longer() {
    for seen_before in [true, false] {
        let mut world = World::new();
        world.spec.deletion_policy = DeletionPolicy::Delete;
        world.has_finalizer = true;
        world.write_intent();
        world.answer(Err(lost()));
        world.report();
        let mine = remote(&world, RemoteState::Completed);
        if seen_before {
            world.see(vec![mine.clone()]);
        }
        world.deleting = true;
        assert!(matches!(world.plan(), Step::TakeInventory(_)));
        world.inventory(vec![mine], false);
        world.report();
        assert!(matches!(world.plan(), Step::Delete { .. }));
        deleted(&mut world, Ok(()));
        world.pass(5);
        assert!(matches!(world.plan(), Step::TakeInventory(_)));
        world.inventory(vec![], false);
        assert_eq!(world.plan(), Step::Release, "seen before: {seen_before}");
    }
}

#[test]
fn flipping_to_retain_frees_the_object_at_once() {
    let mut world = being_deleted();
    world.account = Account::Blocked { reason: Reason::AccountNotReady, message: "there is no Secret".into() };
    let report = world.report();
    assert_eq!(reason(&report), "CredentialsUnavailable");
    assert!(report.status.conditions[0].message.contains("set deletionPolicy to Retain"));
    assert!(!has(&report, types::RECONCILING) && !has(&report, types::STALLED));
    world.spec.deletion_policy = DeletionPolicy::Retain;
    assert_eq!(world.plan(), Step::SetFinalizer(false));
}

#[test]
fn an_account_that_points_elsewhere_blocks_the_deletion() {
    let mut world = being_deleted();
    world.account = ready(place_in("p-2", HOST), 2);
    assert_eq!(reason(&world.report()), "DeleteBlocked");
}

#[test]
fn an_object_that_never_asked_is_let_go_at_once() {
    let mut world = World::new();
    world.spec.deletion_policy = DeletionPolicy::Delete;
    (world.has_finalizer, world.deleting) = (true, true);
    assert_eq!(world.plan(), Step::SetFinalizer(false));
}

#[test]
fn an_expired_backup_is_deleted_whatever_the_policy_and_the_object_stays() {
    let mut world = World::running();
    world.spec.expire_after_days = Some(1);
    let seen = remote(&world, RemoteState::Completed);
    world.see(vec![seen.clone()]);
    world.report();
    world.pass(2 * 86_400);
    assert!(matches!(world.plan(), Step::TakeInventory(_)));
    world.inventory(vec![seen], false);
    let report = world.report();
    assert!(has(&report, types::READY) && report.status.phase == Some(Phase::Completed), "it is there until it is gone");
    assert_eq!(world.plan(), Step::Delete { backup_id: "b-1".into() });
    deleted(&mut world, Err(refusal(400, "DBS.201208")));
    let report = world.report_in_time();
    assert!(has(&report, types::READY) && report.status.conditions[0].message.contains("DBS.201208"), "it says why it waits");
    world.pass(60);
    assert!(matches!(world.plan(), Step::TakeInventory(_)));
    world.inventory(vec![], false);
    world.inventory(vec![], true);
    let report = world.report();
    assert_eq!((reason(&report), report.status.phase), ("Expired", Some(Phase::Expired)));
    assert!(has(&report, types::READY));
}
