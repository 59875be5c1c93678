//! Each test is a sentence about one object; the world around it is the shortest that the sentence needs.

mod doubt;
mod removal;
mod submit;
mod watch;

use super::*;
use crate::{
    api::{
        backup::{AccountRef, BackupSource, DatabaseBackupSpec, DeletionPolicy},
        conditions::types,
        status::{FailedAttempt, Origin},
    },
    backup::{
        clock::Moment,
        memory::{Memory, Stage},
        observed::{Object, Permit, Turn},
        outcome::Circumstances,
        settings::Settings,
    },
    cloud::{
        backup::{CreatedBackup, RemoteBackup, RemoteState},
        engine::{Cloud, Engine},
        errors::{Class, Delivery, Error},
        request::{Hints, Operation},
    },
};
use jiff::Timestamp;

/// One object and its world.
struct World {
    spec: DatabaseBackupSpec,
    status: DatabaseBackupStatus,
    account: Account,
    turn: Turn,
    permit: Permit,
    memory: Memory,
    settings: Settings,
    now: Moment,
    deleting: bool,
    has_finalizer: bool,
    generation: i64,
    nudge: u64,
}

fn place() -> Place {
    Place { cloud: Cloud::OpenTelekomCloud, region: "eu-de".into(), project_id: "p-1".into() }
}

impl World {
    /// A fresh object with everything at hand.
    fn new() -> Self {
        let source = BackupSource {
            engine: Engine::TaurusDB,
            instance_id: "i-1in07".into(),
            existing_backup_id: None,
            description: None,
            dcs: None,
        };
        Self {
            spec: DatabaseBackupSpec {
                account_ref: AccountRef::default(),
                source,
                deletion_policy: DeletionPolicy::Retain,
                expire_after_days: None,
                backoff_limit: 2,
                progress_deadline_seconds: 7200,
            },
            status: DatabaseBackupStatus::default(),
            account: Account::Ready { place: place(), allowed: true, epoch: 1 },
            turn: Turn::Mine,
            permit: Permit::Granted,
            memory: Memory::default(),
            settings: Settings::default(),
            now: Moment { wall: "2026-01-01T00:00:10Z".parse().unwrap(), mono: Duration::from_secs(10) },
            deleting: false,
            has_finalizer: false,
            generation: 1,
            nudge: 0,
        }
    }

    fn plan(&mut self) -> Step {
        self.memory.notice(&self.status, self.now);
        let expired = self.status.expiration_time.as_ref().is_some_and(|at| at.0 <= self.now.wall);
        self.memory.notice_removal(self.deleting || expired, self.now);
        plan(&Observed {
            object: Object {
                namespace: "shop",
                name: "orders",
                uid: "uid-1",
                generation: Some(self.generation),
                created: "2026-01-01T00:00:00Z".parse().unwrap(),
                deleting: self.deleting,
                has_finalizer: self.has_finalizer,
                nudge: self.nudge,
            },
            spec: &self.spec,
            status: &self.status,
            account: &self.account,
            turn: &self.turn,
            permit: self.permit,
            memory: &self.memory,
            settings: &self.settings,
            now: self.now,
            stopping: false,
        })
    }

    fn pass(&mut self, seconds: u64) {
        self.now = self.now.plus(Duration::from_secs(seconds));
    }

    /// Plans, expects an intent, and stores it as the controller does.
    fn write_intent(&mut self) -> DatabaseBackupStatus {
        let Step::WriteIntent(next) = self.plan() else { panic!("{:?}", self.plan()) };
        self.memory.intend(next.request_time.as_ref().unwrap().0, self.now);
        self.status = *next;
        self.status.clone()
    }

    /// Sends what was intended, and hears this.
    fn answer(&mut self, answer: Result<CreatedBackup, Error>) {
        assert!(matches!(self.plan(), Step::Send(_)), "{:?}", self.plan());
        self.memory.sending();
        let circumstances = Circumstances { now: self.now, epoch: Some(1), nudge: self.nudge, settings: &self.settings };
        self.memory.answered(answer, circumstances);
    }

    /// Plans, expects a report, and stores it as the controller does.
    fn report(&mut self) -> Report {
        let step = self.plan();
        let Step::Report(report) = step else { panic!("{step:?}") };
        if let Some(reason) = report.reason {
            let stalled = crate::api::conditions::is_true(&self.status.conditions, types::STALLED);
            self.memory.report(reason, stalled, self.now);
        }
        self.status = report.status.clone();
        *report
    }

    /// A listing that is complete shows these.
    fn see(&mut self, found: Vec<RemoteBackup>) {
        self.memory.saw(self.now, found, false);
    }

    /// The process ends, and another takes over.
    fn restart(&mut self) {
        self.memory = Memory::default();
    }

    /// A backup that runs in the cloud.
    fn running() -> Self {
        let mut world = Self::new();
        world.write_intent();
        world.answer(Ok(created()));
        world.report();
        // The watch shows what was written.
        world.plan();
        world
    }
}

fn created() -> CreatedBackup {
    CreatedBackup { backup_id: "b-1".into(), job_id: Some("j-1".into()), start_time: None, cloud_status: Some("BUILDING".into()) }
}

fn remote(world: &World, state: RemoteState) -> RemoteBackup {
    RemoteBackup {
        id: "b-1".into(),
        instance_id: "i-1in07".into(),
        mark: world.status.backup_name.clone().unwrap_or_default(),
        state,
        cloud_status: format!("{state:?}").to_uppercase(),
        start_time: "2026-01-01T00:00:11Z".parse().ok(),
        completion_time: "2026-01-01T00:05:00Z".parse().ok(),
        size: Some(1024),
        engine_version: Some("8.0".into()),
        failure: None,
    }
}

fn refusal(status: u16, code: &str) -> Error {
    let body = format!(r#"{{"error_code":"{code}","error_msg":"said so"}}"#);
    Error::refusal("taurusdb", Operation::Create, status, Hints { request_id: Some("r-1".into()), retry_after: None }, body.as_bytes())
}

fn lost() -> Error {
    Error::without_answer("taurusdb", Operation::Create, Class::Unavailable, Delivery::Unknown, "no answer in time")
}

fn reason(report: &Report) -> &str {
    report.status.conditions.iter().find(|c| c.type_ == types::READY).map(|c| c.reason.as_str()).unwrap()
}

fn has(report: &Report, type_: &str) -> bool {
    crate::api::conditions::is_true(&report.status.conditions, type_)
}

/// A DCS backup that is complete, under this policy.
fn of_an_instance(policy: DeletionPolicy) -> World {
    let mut world = World::new();
    world.spec.source.engine = Engine::DCS;
    world.spec.deletion_policy = policy;
    world.has_finalizer = policy == DeletionPolicy::Delete;
    world.write_intent();
    world.answer(Ok(created()));
    world.report();
    world.plan();
    let seen = remote(&world, RemoteState::Completed);
    world.see(vec![seen]);
    world.report();
    world
}

/// The cloud says that the instance is not there.
fn instance_is_missing(world: &mut World) {
    let error =
        Error::refusal("dcs", Operation::List, 404, Hints::default(), br#"{"error_code":"DCS.3022","error_msg":"no such instance"}"#);
    let circumstances = Circumstances { now: world.now, epoch: Some(1), nudge: 0, settings: &world.settings };
    let trouble = crate::backup::outcome::unreadable(&error, world.memory.trouble.as_ref(), circumstances);
    world.memory.could_not_look(trouble);
    world.memory.instance_missing(world.now);
}
