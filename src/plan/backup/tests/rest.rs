//! What is at rest is left alone, and only what may be left alone is at rest.

use super::*;
use crate::{
    api::{
        FINALIZER,
        backup::DatabaseBackup,
        status::{DeleteReason, Phase},
    },
    plan::backup::rest::rest,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};

impl World {
    /// The object as it is stored.
    fn stored(&self) -> DatabaseBackup {
        let time = |at: &str| Some(Time(at.parse().unwrap()));
        let metadata = ObjectMeta {
            generation: Some(self.generation),
            creation_timestamp: time("2026-01-01T00:00:00Z"),
            deletion_timestamp: time("2026-01-01T00:00:00Z").filter(|_| self.deleting),
            finalizers: self.has_finalizer.then(|| vec![FINALIZER.to_owned()]),
            ..ObjectMeta::default()
        };
        DatabaseBackup { metadata, spec: self.spec.clone(), status: Some(self.status.clone()) }
    }

    fn rests(&self) -> bool {
        rest(&self.stored(), self.now.wall).is_some()
    }

    /// Whether a process that knows nothing would do anything.
    fn would_act(&mut self) -> bool {
        self.restart();
        match self.plan() {
            Step::Report(report) => report.is_news(&self.status, &self.settings),
            Step::RequeueAfter(after) => after.is_some_and(|after| after < Duration::from_secs(3600)),
            _ => true,
        }
    }
}

/// A backup whose every attempt failed.
fn failed() -> World {
    let mut world = World::running();
    world.spec.backoff_limit = 0;
    let seen = remote(&world, RemoteState::Failed);
    world.see(vec![seen]);
    world.report();
    world
}

fn missing() -> World {
    let mut world = of_an_instance(Engine::TaurusDB, DeletionPolicy::Retain);
    world.plan();
    for _ in 0..3 {
        world.pass(1200);
        world.poll(Covers::Everything, vec![]);
        world.poll(Covers::TheBackup, vec![]);
        if matches!(world.plan(), Step::Report(_)) {
            world.report();
        }
    }
    assert_eq!(world.status.phase, Some(Phase::Missing));
    world
}

#[test]
fn whatever_is_at_rest_nothing_would_be_done_for_whatever_its_account_says() {
    let completed = |policy| of_an_instance(Engine::DCS, policy);
    let mut expiring = completed(DeletionPolicy::Retain);
    expiring.spec.expire_after_days = Some(31);
    expiring.status.expiration_time = Some(Time("2026-02-01T00:05:00Z".parse().unwrap()));
    let mut held = completed(DeletionPolicy::Retain);
    held.held = true;
    let mut adopted = completed(DeletionPolicy::Delete);
    adopted.adopted = true;
    let mut restored = completed(DeletionPolicy::Retain);
    restored.restored = Restored::Yes;
    let worlds =
        vec![completed(DeletionPolicy::Retain), completed(DeletionPolicy::Delete), expiring, held, adopted, restored, failed(), missing()];
    for (nth, mut world) in worlds.into_iter().enumerate() {
        assert!(world.rests(), "{nth}: {:?}", world.status);
        let blocked = Account::Blocked { reason: Reason::AccountNotReady, message: "no".into() };
        for account in
            [ready(place(), 1), ready(place_in("elsewhere", HOST), 2), ready(place_in("p-1", "other"), 3), Account::Verifying, blocked]
        {
            world.account = account;
            let acts = world.would_act();
            assert!(!acts, "{nth} with {:?}", world.account);
        }
    }
}

#[test]
fn whatever_something_is_to_be_done_for_is_not_at_rest() {
    let completed = |policy| of_an_instance(Engine::DCS, policy);
    let with = |change: fn(&mut World)| {
        let mut world = completed(DeletionPolicy::Retain);
        change(&mut world);
        world
    };
    let worlds = vec![
        World::new(),
        World::running(),
        with(|world| world.deleting = true),
        with(|world| world.generation = 2),
        with(|world| world.has_finalizer = true),
        with(|world| world.spec.deletion_policy = DeletionPolicy::Delete),
        with(|world| world.status.delete_reason = Some(DeleteReason::Retention)),
        with(|world| world.status.expiration_time = Some(Time("2026-01-01T00:00:00Z".parse().unwrap()))),
    ];
    for (nth, mut world) in worlds.into_iter().enumerate() {
        assert!(!world.rests(), "{nth}");
        assert!(world.would_act() || world.deleting || world.status.phase != Some(Phase::Completed), "{nth}: this rule is needed");
    }
}

#[test]
fn an_object_rests_only_when_the_process_knows_no_more_of_it_than_its_status() {
    let completed = || of_an_instance(Engine::TaurusDB, DeletionPolicy::Retain);
    let is_calm = |change: fn(&mut World)| {
        let mut world = completed();
        world.plan();
        change(&mut world);
        world.memory.is_calm(&world.status)
    };
    assert!(is_calm(|_| {}));
    assert!(!is_calm(|world| world.poll(Covers::Everything, vec![])), "it was lacking in a listing");
    assert!(!is_calm(|world| world.poll(Covers::AWindow, vec![])), "it was overlooked");
    assert!(!is_calm(World::begin_look), "a look is under way");
    assert!(!is_calm(|world| world.fail_look(refused_for(9, 429, "DBS.1"))), "the cloud wants to be left alone");
    assert!(!is_calm(|world| world.memory.own.as_mut().unwrap().stage = Stage::Sending), "a call is under way");
    assert!(!is_calm(|world| world.memory.duplicates = 1), "an Event told of a duplicate, and is not to come again");
}

/// Whether a backup is gone is a matter of when its id became known, and that outlives its rest.
#[test]
fn a_backup_that_is_gone_is_found_missing_after_its_rest_as_before() {
    let mut world = of_an_instance(Engine::TaurusDB, DeletionPolicy::Retain);
    world.plan();
    let residue = world.memory.residue(world.now);
    world.memory = residue.revived(&world.status);
    assert_eq!(world.memory.residue(world.now), residue);
    // The listing comes before anything else is decided.
    world.pass(7200);
    world.poll(Covers::Everything, vec![]);
    world.plan();
    assert!(world.memory.absence.is_some(), "it counts");
    // One that began before the id was known does not.
    world.memory = residue.revived(&world.status);
    let before = ListingResult { started: Moment { mono: Duration::ZERO, ..world.now }, ..world.result(Covers::Everything, vec![]) };
    world.memory.polled(&world.status, before);
    assert_eq!(world.memory.absence, None);
}
