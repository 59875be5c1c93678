//! The instance is gone, and its backups are not: RDS lists per instance, and keeps what somebody asked for.

use super::*;

fn rds(policy: DeletionPolicy) -> World {
    of_an_instance(Engine::RDS, policy)
}

fn message(report: &Report) -> &str {
    &report.status.conditions.iter().find(|condition| condition.type_ == types::READY).expect("Ready").message
}

#[test]
fn a_complete_backup_stays_so_however_often_its_instance_is_missing() {
    let mut world = rds(DeletionPolicy::Retain);
    for _ in 0..10 {
        world.pass(600);
        instance_is_missing(&mut world);
        let report = world.report();
        assert_eq!((report.status.phase, reason(&report)), (Some(Phase::Completed), "Completed"));
    }
    assert!(world.memory.absence.is_none(), "nobody said that the backup is gone");
}

#[test]
fn a_running_backup_says_why_nobody_sees_it_and_is_seen_again() {
    let mut world = World::new();
    world.spec.source.engine = Engine::RDS;
    world.write_intent();
    world.answer(Ok(created()));
    world.report();
    world.plan();
    for _ in 0..10 {
        world.pass(600);
        instance_is_missing(&mut world);
        let report = world.report_in_time();
        assert_eq!((report.status.phase, reason(&report)), (Some(Phase::Running), "InstanceNotFound"));
        assert!(message(&report).contains("DBS.200002"), "{}", message(&report));
    }
    let seen = remote(&world, RemoteState::Completed);
    world.poll(Covers::Everything, vec![seen]);
    assert_eq!(world.report().status.phase, Some(Phase::Completed));
    assert_eq!(world.status.attempts, Some(1), "no other one was made");
}

#[test]
fn a_lost_answer_is_never_taken_for_a_miss_and_nothing_is_asked_for_twice() {
    let mut world = World::new();
    world.spec.source.engine = Engine::RDS;
    world.write_intent();
    world.answer(Err(lost()));
    world.report();
    for _ in 0..30 {
        world.pass(600);
        assert!(!matches!(world.plan(), Step::WriteIntent(_) | Step::Send(_)), "{:?}", world.plan());
        instance_is_missing(&mut world);
    }
    assert_eq!(reason(&world.report_in_time()), "InstanceNotFound");
}

#[test]
fn an_object_that_goes_is_not_let_go_and_says_what_to_do() {
    let mut world = rds(DeletionPolicy::Delete);
    world.deleting = true;
    assert!(matches!(world.plan(), Step::TakeInventory(_)));
    for _ in 0..10 {
        instance_is_missing(&mut world);
        let report = world.report_in_time();
        assert_eq!(reason(&report), "DeleteBlocked");
        for said in ["instance i-1in07 is gone", "DBS.200002", "Retain", "delete backup b-1 by hand"] {
            assert!(message(&report).contains(said), "{}", message(&report));
        }
        world.pass(3600);
        assert!(matches!(world.plan(), Step::TakeInventory(_)), "it may be listed again");
    }
    world.spec.deletion_policy = DeletionPolicy::Retain;
    assert_eq!(world.plan(), Step::SetFinalizer(false));
}

#[test]
fn a_backup_that_is_listed_without_its_instance_is_deleted() {
    let mut world = rds(DeletionPolicy::Delete);
    world.deleting = true;
    world.plan();
    instance_is_missing(&mut world);
    world.report();
    world.pass(3600);
    world.plan();
    let seen = remote(&world, RemoteState::Completed);
    world.inventory(vec![seen], false);
    world.report();
    assert_eq!(world.plan(), Step::Delete { backup_id: "b-1".into() });
}

#[test]
fn an_expired_backup_stays_ready_and_says_that_nobody_can_list_it() {
    let mut world = rds(DeletionPolicy::Retain);
    world.spec.expire_after_days = Some(1);
    world.report();
    world.pass(2 * 86_400);
    assert!(matches!(world.plan(), Step::TakeInventory(_)));
    instance_is_missing(&mut world);
    let report = world.report_in_time();
    assert_eq!((report.status.phase, reason(&report)), (Some(Phase::Completed), "Completed"));
    assert!(has(&report, types::READY) && message(&report).contains("delete backup b-1 by hand"), "{}", message(&report));
    assert!(!message(&report).contains("Retain"), "{}", message(&report));
}
