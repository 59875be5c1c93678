//! The cloud was asked and did not answer.

use super::*;

#[test]
fn an_intent_whose_write_was_not_answered_is_not_taken_for_ones_own() {
    let mut world = World::new();
    let Step::WriteIntent(next) = world.plan() else { panic!("an intent") };
    // It is stored; but another process may have written the same at the same microsecond.
    world.status = *next;
    assert!(matches!(world.plan(), Step::RequeueAfter(_)), "it may be theirs to send");
    world.pass(5);
    assert!(matches!(world.plan(), Step::Look(_)));
}

#[test]
fn a_poll_settles_no_doubt() {
    let mut world = World::new();
    world.write_intent();
    world.answer(Err(lost()));
    world.plan();
    world.pass(300);
    for _ in 0..3 {
        world.poll(Covers::Everything, vec![]);
    }
    assert!(matches!(world.plan(), Step::Look(_)), "it may have been about another attempt");
}

#[test]
fn a_lost_answer_leads_to_adoption_not_to_a_second_backup() {
    let mut world = World::new();
    world.write_intent();
    world.answer(Err(lost()));
    let report = world.report();
    assert_eq!((reason(&report), report.status.create_outcome), ("OutcomeUnknown", Some(CreateOutcome::Unknown)));
    world.pass(5);
    assert!(matches!(world.plan(), Step::Look(ListScope::Instance { .. })));
    let seen = remote(&world, RemoteState::Running);
    world.see(vec![seen]);
    let report = world.report();
    assert_eq!((report.status.phase, report.status.origin), (Some(Phase::Running), Some(Origin::Reattached)));
}

#[test]
fn a_miss_needs_two_listings_and_a_settle_delay() {
    let mut world = World::new();
    world.write_intent();
    world.answer(Err(lost()));
    world.report();
    let mut looks = 0;
    let mut waited = 0;
    loop {
        match world.plan() {
            Step::Look(_) => {
                looks += 1;
                world.see(vec![]);
            }
            Step::WriteIntent(next) => {
                assert_eq!(next.backup_name, world.status.backup_name, "the same name");
                assert_eq!(next.attempts, Some(1), "no attempt is spent");
                break;
            }
            Step::Report(_) | Step::RequeueAfter(_) => {
                world.pass(1);
                waited += 1;
            }
            step => panic!("{step:?}"),
        }
        assert!(waited < 1000, "it never ends");
    }
    assert!(waited >= 300, "asked again after {waited} s");
    assert!(looks >= 2, "{looks} looks");
}

#[test]
fn an_intent_without_an_outcome_found_after_a_restart_is_looked_for_before_anything_is_written() {
    let mut world = World::new();
    world.write_intent();
    world.restart();
    assert!(matches!(world.plan(), Step::RequeueAfter(Some(_))));
    world.pass(5);
    assert!(matches!(world.plan(), Step::Look(_)));
    world.see(vec![]);
    let report = world.report();
    assert_eq!(reason(&report), "OutcomeUnknown");
    world.pass(294);
    world.see(vec![]);
    assert!(!matches!(world.plan(), Step::WriteIntent(_)), "the last listing began before the settle delay was over");
    world.pass(6);
    world.see(vec![]);
    assert!(matches!(world.plan(), Step::WriteIntent(_)));
}

#[test]
fn a_listing_that_failed_is_no_miss() {
    let mut world = World::new();
    world.write_intent();
    world.restart();
    world.plan();
    for _ in 0..20 {
        world.pass(60);
        world.fail_look(refusal(503, ""));
        assert!(!matches!(world.plan(), Step::WriteIntent(_) | Step::Send(_)));
    }
}

#[test]
fn a_wall_clock_that_jumps_ahead_does_not_shorten_the_search() {
    let mut world = World::new();
    world.write_intent();
    world.restart();
    world.plan();
    world.now.wall += jiff::SignedDuration::from_hours(24);
    world.see(vec![]);
    world.see(vec![]);
    assert!(!matches!(world.plan(), Step::WriteIntent(_)));
}

#[test]
fn several_backups_under_one_mark_are_named_and_none_is_taken() {
    let mut world = World::new();
    world.write_intent();
    world.answer(Err(lost()));
    world.report();
    let one = remote(&world, RemoteState::Running);
    let two = RemoteBackup { id: "b-2".into(), ..one.clone() };
    world.see(vec![one, two]);
    let report = world.report();
    assert_eq!(reason(&report), "AmbiguousRemote");
    assert_eq!(report.status.backup_id, None);
    let message = &report.status.conditions[0].message;
    assert!(message.contains("b-1") && message.contains("b-2"), "{message}");
}

#[test]
fn a_backup_found_failed_spends_the_attempt() {
    let mut world = World::new();
    world.write_intent();
    world.answer(Err(lost()));
    world.report();
    let failed = remote(&world, RemoteState::Failed);
    world.see(vec![failed]);
    let report = world.report();
    assert_eq!((reason(&report), report.status.failed_attempts.len()), ("BackoffAfterFailure", 1));
}

#[test]
fn a_name_that_exists_is_looked_up() {
    let mut world = World::new();
    world.write_intent();
    world.answer(Err(refusal(409, "DBS.201209")));
    assert_eq!(reason(&world.report()), "OutcomeUnknown");
    world.pass(5);
    assert!(matches!(world.plan(), Step::Look(_)));
}

#[test]
fn a_missing_instance_settles_no_lost_answer() {
    let mut world = World::new();
    world.spec.source.engine = Engine::DCS;
    world.write_intent();
    world.answer(Err(lost()));
    world.report();
    for _ in 0..20 {
        world.pass(1800);
        assert!(matches!(world.plan(), Step::Look(_)), "it is still looked for");
        instance_is_missing(&mut world);
        let report = world.report();
        assert_eq!((reason(&report), report.status.create_outcome), ("InstanceNotFound", Some(CreateOutcome::Unknown)));
    }
}

#[test]
fn a_call_that_was_cut_off_counts_as_unanswered() {
    let mut world = World::new();
    world.write_intent();
    world.memory.sending();
    let report = world.report();
    assert_eq!(reason(&report), "OutcomeUnknown");
    assert!(matches!(world.memory.own.as_ref().map(|own| &own.stage), Some(Stage::Unanswered { .. })));
}

#[test]
fn a_listing_that_is_not_complete_and_shows_the_lost_backup_is_enough() {
    let mut world = World::new();
    world.write_intent();
    world.answer(Err(lost()));
    world.report();
    let seen = remote(&world, RemoteState::Running);
    world.look(Covers::Nothing, vec![seen]);
    assert_eq!(world.report().status.origin, Some(Origin::Reattached));
}

#[test]
fn a_listing_that_can_be_read_ends_what_an_unreadable_one_said_and_one_that_is_not_complete_does_not() {
    let mut world = World::new();
    world.write_intent();
    world.answer(Err(lost()));
    world.report();
    world.fail_look(refusal(503, ""));
    assert_eq!(reason(&world.report()), "CloudUnavailable");
    world.look(Covers::Nothing, vec![]);
    assert_eq!(reason(&world.report()), "CloudUnavailable", "it shows nothing, and proves nothing");
    world.see(vec![]);
    assert_eq!(reason(&world.report()), "OutcomeUnknown");
}

#[test]
fn a_first_look_that_is_not_complete_says_so_and_is_made_again() {
    use crate::cloud::{listing::Gap, session::ListError};
    let mut world = World::new();
    world.restart();
    assert!(matches!(world.plan(), Step::Look(_)));
    world.look(Covers::Nothing, vec![]);
    let settings = world.settings;
    let incomplete = ListError::Incomplete(Gap::Shifted);
    world.memory.could_not_look(&world.status, &place(), world.now, &incomplete, attempt_context(world.now, &settings));
    let report = world.report();
    assert_eq!((reason(&report), report.requeue_after), ("CloudUnavailable", Some(settings.passing_retry(1))));
    assert!(report.status.conditions[0].message.contains("does not hold together"), "{:?}", report.status.conditions);
    world.pass(5);
    assert!(matches!(world.plan(), Step::Look(_)));
}

#[test]
fn a_search_whose_intent_was_dated_by_a_clock_that_was_ahead_ends_after_twice_the_delay() {
    let mut world = World::new();
    world.now.wall += jiff::SignedDuration::from_mins(9);
    world.write_intent();
    world.restart();
    world.now.wall -= jiff::SignedDuration::from_mins(9);
    world.plan();
    for _ in 0..2 {
        world.see(vec![]);
        world.pass(300);
        assert!(!matches!(world.plan(), Step::WriteIntent(_)));
    }
    world.see(vec![]);
    assert!(matches!(world.plan(), Step::WriteIntent(_)));
}

#[test]
fn ones_own_call_without_an_answer_is_looked_for_from_when_its_intent_was_written() {
    let mut world = World::new();
    world.write_intent();
    assert!(matches!(world.plan(), Step::Send(_)));
    world.memory.sending();
    world.pass(3);
    let settings = world.settings;
    world.memory.answered(Err(lost()), attempt_context(world.now, &settings));
    assert!(!matches!(world.plan(), Step::Look(_)));
    world.pass(2);
    assert!(matches!(world.plan(), Step::Look(_)), "5 s after the intent, and not after the answer was lost");
}
