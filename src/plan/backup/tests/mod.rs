//! Each test is a sentence about one object; the world around it is the shortest that the sentence needs.

mod ground;
mod instance_gone;
mod removal;
mod rest;
mod retention;
mod submit;
mod superseded;
mod unknown;
mod watch;
mod wording;

use super::{
    decide::decide,
    description::ClusterName,
    listing_result::{Covers, ListingResult, LookFor},
    memory::{Memory, Stage},
    reason::Reason,
    retry::AttemptContext,
    seen::{Account, Object, Permit, Position, Restored, Seen},
    step::{Report, Step, carries_intent},
};
use crate::{
    api::{
        backup::{AccountRef, BackupSource, DatabaseBackupSpec, DeletionPolicy},
        conditions::types,
        status::{CreateOutcome, DatabaseBackupStatus, FailedAttempt, Origin, Phase},
    },
    cloud::{
        backup::{CreatedBackup, ListScope, RemoteBackup, RemoteState},
        engine::{Cloud, Engine},
        errors::{Error, Failure},
        request::{Hints, Operation, Request},
    },
    plan::{
        clock::Moment,
        place::{Place, Project},
        settings::Settings,
    },
};
use jiff::Timestamp;
use std::time::Duration;

/// One object and its world.
#[allow(clippy::struct_excessive_bools)] // as in what is seen
struct World {
    cluster: ClusterName,
    spec: DatabaseBackupSpec,
    status: DatabaseBackupStatus,
    account: Account,
    position: Position,
    permit: Permit,
    memory: Memory,
    settings: Settings,
    now: Moment,
    deleting: bool,
    has_finalizer: bool,
    generation: i64,
    annotations: u64,
    born: Option<Moment>,
    restored: Restored,
    held: bool,
    adopted: bool,
    put_back: Option<Moment>,
    /// By how much the cloud's clock is ahead of this machine's.
    cloud_ahead: jiff::SignedDuration,
}

const HOST: &str = "gaussdb.example.com";

fn place() -> Place {
    place_in("p-1", HOST)
}

fn place_in(project_id: &str, host: &str) -> Place {
    let project = Project { cloud: Cloud::OpenTelekomCloud, region: "eu-de".into(), project_id: project_id.into() };
    Place { project, endpoint: host.into() }
}

/// An account that is ready, for this place.
fn ready(place: Place, credentials_generation: u64) -> Account {
    Account::Ready { place, allowed: true, credentials_generation, cloud_now: None }
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
            cluster: ClusterName::default(),
            spec: DatabaseBackupSpec {
                account_ref: AccountRef::default(),
                source,
                deletion_policy: DeletionPolicy::Retain,
                expire_after_days: None,
                take_before: None,
                backoff_limit: 2,
                progress_deadline_seconds: 7200,
            },
            status: DatabaseBackupStatus::default(),
            account: ready(place(), 1),
            position: Position::First,
            permit: Permit::Granted,
            memory: Memory::default(),
            settings: Settings::default(),
            now: Moment { wall: "2026-01-01T00:00:10Z".parse().unwrap(), mono: Duration::from_secs(10) },
            deleting: false,
            has_finalizer: false,
            generation: 1,
            annotations: 0,
            born: Some(Moment { wall: "2026-01-01T00:00:00Z".parse().unwrap(), mono: Duration::ZERO }),
            restored: Restored::No,
            held: false,
            adopted: false,
            put_back: None,
            cloud_ahead: jiff::SignedDuration::ZERO,
        }
    }

    fn plan(&mut self) -> Step {
        if let Account::Ready { cloud_now, .. } = &mut self.account {
            *cloud_now = Some(self.now.wall + self.cloud_ahead);
        }
        let seen = Seen {
            object: Object {
                cluster: &self.cluster,
                namespace: "shop",
                name: "orders",
                uid: "uid-1",
                generation: Some(self.generation),
                created: "2026-01-01T00:00:00Z".parse().unwrap(),
                born: self.born,
                deleting: self.deleting,
                has_finalizer: self.has_finalizer,
                annotations: self.annotations,
                restored: self.restored,
                held: self.held,
                adopted: self.adopted,
            },
            spec: &self.spec,
            status: &self.status,
            account: &self.account,
            position: &self.position,
            permit: self.permit,
            put_back: self.put_back,
            settings: &self.settings,
            now: self.now,
            stopping: false,
        };
        decide(&seen, &mut self.memory)
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
        let attempt_context = attempt_context(self.now, &self.settings);
        self.memory.answered(answer, attempt_context);
    }

    /// The same after the pause that words alone have to wait for.
    fn report_in_time(&mut self) -> Report {
        self.memory.wrote = None;
        self.report()
    }

    /// Plans, expects a report, and stores it as the controller does.
    fn report(&mut self) -> Report {
        let step = self.plan();
        let Step::Report(report) = step else { panic!("{step:?}") };
        if let Some(reason) = report.reason {
            let stalled = crate::api::conditions::is_true(&self.status.conditions, types::STALLED);
            self.memory.report(reason, stalled, self.now);
        }
        if report.is_news(&self.status, &self.settings) {
            self.memory.wrote = Some(self.now);
        }
        self.status = report.status.clone();
        *report
    }

    /// What a listing shows that begins now, where the account points.
    fn result(&self, covers: Covers, found: Vec<RemoteBackup>) -> ListingResult {
        let place = self.account.place().cloned().unwrap_or_else(place);
        ListingResult { place: place.into(), started: self.now, covers, found }
    }

    /// A listing that is complete shows these.
    fn see(&mut self, found: Vec<RemoteBackup>) {
        self.look(Covers::Everything, found);
    }

    /// A look begins, and shows these.
    fn look(&mut self, covers: Covers, found: Vec<RemoteBackup>) {
        self.begin_look();
        let result = self.result(covers, found);
        self.memory.looked(LookFor::Backup, &self.status, result);
    }

    /// A poll that many share shows these.
    fn poll(&mut self, covers: Covers, found: Vec<RemoteBackup>) {
        let result = self.result(covers, found);
        self.memory.polled(&self.status, result);
    }

    /// Stock is taken, and shows these; `by_id`: it was asked for the one backup.
    fn inventory(&mut self, found: Vec<RemoteBackup>, by_id: bool) {
        self.begin_look();
        let result = self.result(if by_id { Covers::TheBackup } else { Covers::Everything }, found);
        self.memory.looked(LookFor::Inventory, &self.status, result);
    }

    /// A look began so long ago that the next one may begin: most sentences are about the order of steps, not about the pause between two looks.
    fn begin_look(&mut self) {
        let begun = Moment { mono: self.now.mono.saturating_sub(self.settings.look_pause()), ..self.now };
        self.memory.begin_look(self.account.credentials_generation(), begun);
    }

    /// A look fails like this.
    fn fail_look(&mut self, error: Error) {
        let (place, settings) = (self.account.place().cloned().unwrap_or_else(place), self.settings);
        self.begin_look();
        let result = self.result(Covers::Nothing, vec![]);
        self.memory.looked(LookFor::Backup, &self.status, result);
        let error = crate::cloud::session::ListError::Cloud(error);
        self.memory.could_not_look(&self.status, &place, self.now, &error, attempt_context(self.now, &settings));
    }

    /// The process ends, and another takes over.
    fn restart(&mut self) {
        self.memory = Memory::default();
        self.born = None;
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
        kind: crate::cloud::backup::BackupKind::Manual,
        is_unusable: false,
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
    refused(Engine::TaurusDB, Operation::Create, status, Hints { request_id: Some("r-1".into()), ..Hints::default() }, &body)
}

/// A look at one backup of the instance by its id.
fn by_id(backup_id: &str) -> ListScope {
    ListScope::Backup { instance_id: "i-1in07".into(), backup_id: backup_id.into() }
}

fn refused(engine: Engine, operation: Operation, status: u16, hints: Hints, body: &str) -> Error {
    let request = Request::new(engine.api(), operation, http::Method::GET, String::new());
    Error::refused(&request, status, hints, body.as_bytes())
}

/// A refusal whose headers ask to wait.
fn refused_for(seconds: u64, status: u16, code: &str) -> Error {
    let mut error = refusal(status, code);
    if let Failure::Refused(refusal) = &mut error.failure {
        refusal.retry_after = Some(Duration::from_secs(seconds));
    }
    error
}

fn lost() -> Error {
    Error::no_answer(Engine::TaurusDB.api(), Operation::Create, "no answer in time")
}

fn reason(report: &Report) -> &str {
    report.status.conditions.iter().find(|c| c.type_ == types::READY).map(|c| c.reason.as_str()).unwrap()
}

fn has(report: &Report, type_: &str) -> bool {
    crate::api::conditions::is_true(&report.status.conditions, type_)
}

/// A backup that is complete, under this policy, of a service that lists per instance.
fn of_an_instance(engine: Engine, policy: DeletionPolicy) -> World {
    let mut world = World::new();
    world.spec.source.engine = engine;
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
    let engine = world.spec.source.engine;
    let code = if engine == Engine::DCS { "DCS.3022" } else { "DBS.200002" };
    let body = format!(r#"{{"error_code":"{code}","error_msg":"no such instance"}}"#);
    world.fail_look(refused(engine, Operation::List, 404, Hints::default(), &body));
}

fn attempt_context(now: Moment, settings: &Settings) -> AttemptContext<'_> {
    AttemptContext { now, credentials_generation: Some(1), settings }
}
