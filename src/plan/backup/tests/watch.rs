//! The id is known.

use super::*;

#[test]
fn a_completed_backup_is_ready_with_its_size_and_times() {
    let mut world = World::running();
    let seen = remote(&world, RemoteState::Completed);
    world.see(vec![seen]);
    let report = world.report();
    assert_eq!(report.status.phase, Some(Phase::Completed));
    assert_eq!(report.status.size.as_ref().map(|size| size.0.as_str()), Some("1Ki"));
    assert_eq!(report.status.completion_time.as_ref().map(|t| t.0), "2026-01-01T00:05:00Z".parse().ok());
    assert!(has(&report, types::READY) && !has(&report, types::RECONCILING) && !has(&report, types::STALLED));
}

#[test]
fn a_running_backup_that_still_runs_is_not_written_again() {
    let mut world = World::running();
    let before = world.status.clone();
    let seen = remote(&world, RemoteState::Running);
    world.see(vec![seen]);
    let Step::Report(report) = world.plan() else { panic!() };
    assert!(!report.is_news(&before, &Settings::default()));
}

#[test]
fn a_completed_backup_stays_so_whatever_an_older_listing_or_an_unknown_word_says_and_is_never_made_again() {
    let mut world = World::running();
    let begun = world.now;
    world.pass(1);
    let complete = remote(&world, RemoteState::Completed);
    world.see(vec![complete]);
    assert_eq!(world.report().status.phase, Some(Phase::Completed));
    let running = remote(&world, RemoteState::Running);
    let older = ListingResult { started: begun, ..world.result(Covers::Everything, vec![running.clone()]) };
    world.memory.polled(&world.status, older);
    assert_eq!(world.report().status.phase, Some(Phase::Completed), "that one had begun before");
    world.pass(1);
    world.see(vec![running]);
    assert_eq!(world.report().status.phase, Some(Phase::Completed), "being restored, say");
    let failed = remote(&world, RemoteState::Failed);
    world.see(vec![failed]);
    let report = world.report();
    assert_eq!((report.status.phase, report.status.attempts), (Some(Phase::Missing), Some(1)), "good for nothing; and no other is made");
}

#[test]
fn a_time_with_fractions_is_not_written_again_and_again() {
    let mut world = World::running();
    let seen = RemoteBackup { start_time: "2026-01-01T00:00:11.123Z".parse().ok(), ..remote(&world, RemoteState::Completed) };
    world.see(vec![seen]);
    world.report();
    // What the API server gives back.
    let json = serde_json::to_string(&world.status).unwrap();
    world.status = serde_json::from_str(&json).unwrap();
    let stored = world.status.clone();
    assert!(!world.report().is_news(&stored, &Settings::default()));
}

#[test]
fn past_the_deadline_it_is_stalled_and_still_completes() {
    let mut world = World::running();
    world.pass(7200);
    let report = world.report();
    assert_eq!((reason(&report), report.status.phase), ("ProgressDeadlineExceeded", Some(Phase::Running)));
    assert!(has(&report, types::STALLED));
    let seen = remote(&world, RemoteState::Completed);
    world.see(vec![seen]);
    assert_eq!(reason(&world.report()), "Completed");
}

#[test]
fn an_import_adopts_and_never_creates() {
    let mut world = World::new();
    world.spec.source.existing_backup_id = Some("b-1".into());
    assert_eq!(world.plan(), Step::Look(by_id("b-1")));
    world.see(vec![]);
    assert_eq!(reason(&world.report()), "ImportNotFound");
    world.pass(30);
    assert!(matches!(world.plan(), Step::Look(_)));
    let seen = remote(&world, RemoteState::Completed);
    world.see(vec![RemoteBackup { instance_id: "another".into(), ..seen.clone() }]);
    assert_eq!(reason(&world.report()), "InstanceMismatch");
    world.see(vec![seen]);
    let report = world.report();
    assert_eq!((report.status.origin, report.status.phase), (Some(Origin::Imported), Some(Phase::Completed)));
}

#[test]
fn a_backup_that_listings_lack_long_enough_is_gone() {
    let mut world = World::running();
    world.see(vec![]);
    assert_eq!(reason(&world.report()), "Running", "one listing says little");
    world.pass(600);
    world.see(vec![]);
    assert_eq!(world.plan(), Step::Look(by_id("b-1")), "it is asked for by its id");
    world.look(Covers::TheBackup, vec![]);
    assert_eq!(reason(&world.report()), "BackoffAfterFailure", "gone before it was complete: a spent attempt");

    let mut world = World::running();
    let seen = remote(&world, RemoteState::Completed);
    world.see(vec![seen.clone()]);
    world.report();
    world.see(vec![]);
    world.pass(600);
    world.look(Covers::TheBackup, vec![]);
    assert_eq!(world.report().status.phase, Some(Phase::Missing));
    world.see(vec![seen]);
    assert_eq!(world.report().status.phase, Some(Phase::Completed), "and back");
}

#[test]
fn a_listing_that_began_before_the_backup_was_seen_and_ended_after_does_not_count_towards_gone() {
    let mut world = of_an_instance(Engine::DCS, DeletionPolicy::Retain);
    let overtaken = world.result(Covers::Everything, vec![]);
    world.pass(5);
    let seen = remote(&world, RemoteState::Completed);
    world.see(vec![seen]);
    world.memory.polled(&world.status, overtaken);
    world.pass(600);
    world.see(vec![]);
    assert_eq!(world.report().status.phase, Some(Phase::Completed), "one listing since it was seen lacks it, not two");
    world.pass(600);
    world.see(vec![]);
    assert_eq!(world.report().status.phase, Some(Phase::Missing));
}

#[test]
fn a_listing_from_before_the_id_was_known_does_not_count_towards_gone() {
    let mut world = World::new();
    world.write_intent();
    // Another process took the intent for lost: its listing lacks the backup, which is made and stored only then.
    let mut other = Memory::default();
    std::mem::swap(&mut world.memory, &mut other);
    world.plan();
    world.see(vec![]);
    std::mem::swap(&mut world.memory, &mut other);
    world.answer(Ok(created()));
    world.report();
    world.memory = other;
    world.pass(600);
    world.plan();
    world.see(vec![]);
    assert!(!matches!(world.plan(), Step::Look(_)), "one listing lacks it, not two");
    world.pass(600);
    world.see(vec![]);
    assert!(matches!(world.plan(), Step::Look(ListScope::Backup { .. })), "two do");
}

#[test]
fn a_dcs_backup_is_missing_once_its_instance_was_twice_said_to_be_gone_long_enough_apart() {
    let mut world = of_an_instance(Engine::DCS, DeletionPolicy::Retain);
    instance_is_missing(&mut world);
    world.pass(599);
    instance_is_missing(&mut world);
    assert_eq!(world.report().status.phase, Some(Phase::Completed), "not yet");
    world.pass(1);
    instance_is_missing(&mut world);
    assert_eq!(world.report().status.phase, Some(Phase::Missing));
}

#[test]
fn polls_that_fail_are_told_of_after_the_third_and_until_one_succeeds() {
    use crate::cloud::{listing::Gap, session::ListError};
    let mut world = World::running();
    let fail = |world: &mut World, error: ListError| {
        let settings = world.settings;
        world.memory.could_not_poll(&world.status, &place(), world.now, &error, attempt_context(world.now, &settings));
        world.report_in_time()
    };
    for expected in ["Running", "Running", "CloudUnavailable"] {
        assert_eq!(reason(&fail(&mut world, ListError::Cloud(refusal(503, "")))), expected);
    }
    let seen = remote(&world, RemoteState::Running);
    world.poll(Covers::Everything, vec![seen]);
    assert_eq!(reason(&world.report_in_time()), "Running");
    for _ in 0..5 {
        assert_eq!(reason(&fail(&mut world, ListError::Incomplete(Gap::Shifted))), "Running", "the cloud is there");
    }
}

#[test]
fn each_further_backup_under_the_mark_is_counted_once_however_often_it_is_seen() {
    let mut world = World::running();
    let one = remote(&world, RemoteState::Running);
    let mark = one.mark.clone();
    let further = |id: &str| RemoteBackup { id: id.into(), ..one.clone() };
    let by_hand = RemoteBackup { id: "b-9".into(), mark: "made-by-hand".into(), ..one.clone() };
    assert_eq!(world.memory.new_duplicates(&mark), 0, "nothing was listed yet");
    world.see(vec![one.clone(), by_hand.clone()]);
    assert_eq!(world.memory.new_duplicates(&mark), 0);
    world.see(vec![one.clone(), further("b-2"), by_hand]);
    assert_eq!((world.memory.new_duplicates(&mark), world.memory.new_duplicates(&mark)), (1, 0));
    world.see(vec![one.clone(), further("b-2"), further("b-3")]);
    assert_eq!(world.memory.new_duplicates(&mark), 1);
}

#[test]
fn a_look_that_fails_is_not_repeated_at_once() {
    let fail = |world: &mut World| world.fail_look(refusal(503, ""));
    // For a backup that listings lack.
    let mut world = World::running();
    world.see(vec![]);
    world.pass(600);
    world.see(vec![]);
    assert!(matches!(world.plan(), Step::Look(_)));
    fail(&mut world);
    assert!(matches!(world.plan(), Step::Report(report) if report.requeue_after.is_some()));
    world.pass(60);
    assert!(matches!(world.plan(), Step::Look(_)));
    // For one of several under one mark.
    let mut world = World::new();
    world.write_intent();
    world.answer(Err(lost()));
    world.report();
    let one = remote(&world, RemoteState::Running);
    world.see(vec![one.clone(), RemoteBackup { id: "b-2".into(), ..one }]);
    world.report();
    world.pass(1800);
    assert!(matches!(world.plan(), Step::Look(_)));
    fail(&mut world);
    assert!(matches!(world.plan(), Step::Report(report) if report.requeue_after.is_some()));
}

#[test]
fn an_edited_policy_is_observed_without_a_word_about_the_backup() {
    let mut world = World::running();
    let seen = remote(&world, RemoteState::Completed);
    world.see(vec![seen]);
    world.report();
    world.generation = 2;
    world.spec.expire_after_days = Some(30);
    let report = world.report();
    assert_eq!(report.status.observed_generation, 2);
    assert!(report.status.conditions.iter().all(|condition| condition.observed_generation == Some(2)));
    let due: Timestamp = "2026-01-31T00:05:00Z".parse().unwrap();
    assert_eq!(report.status.expiration_time.map(|t| t.0), Some(due));
}
