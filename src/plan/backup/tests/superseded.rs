//! A newer run takes an older one's place.

use super::*;
use crate::plan::backup::superseded::{Older, superseded};

/// What becomes of an object for which a newer run comes.
fn overtaken(world: &World) -> Option<DatabaseBackupStatus> {
    let older = Older { status: &world.status, generation: Some(world.generation), deleting: world.deleting };
    superseded(older, "nightly-202601020000", world.now.wall)
}

fn ready_of(status: &DatabaseBackupStatus) -> (&str, &str, &str) {
    let ready = &status.conditions[0];
    (&ready.status, &ready.reason, &ready.message)
}

/// One whose first attempt failed in the cloud.
fn failed_once() -> World {
    let mut world = World::running();
    let failed = remote(&world, RemoteState::Failed);
    world.see(vec![failed]);
    world.report();
    world
}

#[test]
fn one_that_was_never_asked_for_lapses_and_names_the_newer_run() {
    let fresh = World::new();
    let mut blocked = World::new();
    blocked.account = Account::Blocked { reason: Reason::AccountNotReady, message: "there is no Secret".into() };
    blocked.report();
    let mut refused = World::new();
    refused.write_intent();
    refused.answer(Err(refusal(400, "DBS.200046")));
    refused.report();
    for world in [fresh, blocked, refused] {
        let next = overtaken(&world).expect("nothing is open or made");
        let (ready, reason, message) = ready_of(&next);
        assert_eq!((next.phase, ready, reason, next.observed_generation), (Some(Phase::Lapsed), "True", "Superseded", 1));
        assert!(message.contains("nightly-202601020000") && next.conditions.len() == 1, "{message}");
    }
}

#[test]
fn one_of_which_something_is_open_or_made_goes_on() {
    let mut intended = World::new();
    intended.write_intent();
    let mut lost_answer = World::new();
    lost_answer.write_intent();
    lost_answer.answer(Err(lost()));
    lost_answer.report();
    let mut deleting = World::new();
    deleting.deleting = true;
    let mut again = failed_once();
    again.pass(600);
    again.write_intent();
    for world in [intended, lost_answer, World::running(), deleting, again] {
        assert_eq!(overtaken(&world), None, "{:?}", world.status);
    }
    for phase in [Phase::Running, Phase::Completed, Phase::Failed, Phase::Missing, Phase::Expired, Phase::Lapsed] {
        let mut world = World::new();
        world.status.phase = Some(phase);
        assert_eq!(overtaken(&world), None, "{phase:?}");
    }
    let mut accepted = World::new();
    accepted.write_intent();
    accepted.status.create_outcome = Some(CreateOutcome::Accepted);
    assert_eq!(overtaken(&accepted), None, "its id is not stored yet");
}

#[test]
fn one_with_failed_attempts_has_failed_and_keeps_its_finalizer() {
    let mut world = failed_once();
    world.spec.deletion_policy = DeletionPolicy::Delete;
    world.has_finalizer = true;
    let next = overtaken(&world).expect("its attempt is over");
    let (ready, reason, message) = ready_of(&next);
    assert_eq!((next.phase, ready, reason), (Some(Phase::Failed), "False", "BackupFailed"));
    assert!(message.contains("nightly-202601020000") && message.contains("FAILED"), "{message}");
    assert_eq!(next.failed_attempts, world.status.failed_attempts);
    world.status = next;
    world.pass(600);
    assert!(matches!(world.plan(), Step::Report(report) if report.status == world.status), "no attempt follows, and the finalizer stays");
}

#[test]
fn its_own_controller_takes_it_for_final_whatever_it_remembers() {
    let mut world = World::new();
    world.spec.deletion_policy = DeletionPolicy::Delete;
    world.has_finalizer = true;
    world.write_intent();
    world.answer(Err(refusal(400, "DBS.200046")));
    // What was refused is stored by one process; another one has it in memory alone.
    let mut stored = world.status.clone();
    stored.create_outcome = Some(CreateOutcome::Rejected);
    world.status = stored;
    world.status = overtaken(&world).expect("nothing is open");
    assert_eq!(world.plan(), Step::SetFinalizer(false));
    world.has_finalizer = false;
    world.pass(3600);
    world.annotations = 1;
    let report = world.report();
    assert_eq!((report.status.phase, reason(&report)), (Some(Phase::Lapsed), "Superseded"));
    assert_eq!(report.status.conditions, world.status.conditions);
}
