//! An object's life as the real decision leads it, in a world that answers with whatever an input says.

use database_backup_operator::{
    api::{
        backup::DatabaseBackup,
        conditions::{is_true, types},
        status::DatabaseBackupStatus,
    },
    cloud::{
        backup::{ListScope, NewBackup},
        endpoints::{EndpointError, Endpoints},
        engine::{Cloud, Engine},
        errors::Error,
        listing::Gap,
        request::Hints,
        session::{ListError, Unreached},
    },
    plan::{
        account::{
            Access, AccountError, AccountKey, AccountMemory, AccountReason, SeenAccount, Verification, seen_by_backups,
            status as account_status,
        },
        backup::{
            decide::decide,
            description::ClusterName,
            events::notices,
            listing_result::{Covers, ListingResult, LookFor},
            memory::Memory,
            retry::AttemptContext,
            seen::{Account, Object, Permit, Position, Restored, Seen},
            step::{Report, Step},
        },
        clock::Moment,
        place::Project,
        settings::Settings,
    },
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use std::{sync::Arc, time::Duration};

/// Decisions of one life: enough for every path, and no more than a fuzzer can make thousands of.
const STEPS: usize = 48;

fn project() -> Project {
    Project { cloud: Cloud::OpenTelekomCloud, region: "eu-de".into(), project_id: "p-1".into() }
}

/// Leads an object's life with an account that is ready, and with one that is not. The cloud answers with the bodies, again and again.
pub fn live(object: &DatabaseBackup, bodies: &[String]) {
    let blocked: Verification = Err(AccountError::new(AccountReason::SecretInvalid, "\u{202e}no\r\nuse "));
    for verification in [Ok(Access { project: project(), unverified: None }), blocked] {
        let account = seen_by_backups(&verification, &AccountKey::of(object), 1, "host.example", None);
        Life::of(object, account, bodies).lead();
    }
    Life::of(object, Account::Verifying, bodies).lead();
}

struct Life<'a> {
    object: &'a DatabaseBackup,
    account: Account,
    bodies: &'a [String],
    /// Bodies used so far.
    used: usize,
    status: DatabaseBackupStatus,
    has_finalizer: bool,
    position: Position,
    permit: Permit,
    memory: Memory,
    settings: Settings,
    now: Moment,
}

impl<'a> Life<'a> {
    fn of(object: &'a DatabaseBackup, account: Account, bodies: &'a [String]) -> Self {
        Self {
            object,
            account,
            bodies,
            used: 0,
            status: object.status.clone().unwrap_or_default(),
            has_finalizer: object.metadata.finalizers.iter().flatten().any(|name| name == "dbbackup.dev/remote-backup"),
            position: Position::NotAsked,
            permit: Permit::NotAsked,
            memory: Memory::default(),
            settings: Settings::default(),
            now: Moment { wall: "2026-01-01T00:00:00Z".parse().expect("a time"), mono: Duration::from_secs(60) },
        }
    }

    fn lead(mut self) {
        for _ in 0..STEPS {
            match self.next() {
                Step::JoinQueue => self.position = Position::First,
                Step::TakePermit => self.permit = Permit::Granted,
                Step::WriteIntent(next) => self.intend(*next),
                Step::Send(new) => self.send(&new),
                Step::Look(scope) => self.look(&scope, LookFor::Backup),
                Step::TakeInventory(scope) => self.look(&scope, LookFor::Inventory),
                Step::SetFinalizer(present) => self.has_finalizer = present,
                Step::Release => self.has_finalizer = false,
                Step::DeleteObject => return,
                Step::Delete { backup_id } => self.delete(&backup_id),
                Step::Report(report) => self.report(*report),
                Step::RequeueAfter(requeue_after) => self.requeue_after(requeue_after),
            }
        }
    }

    fn next(&mut self) -> Step {
        // The cloud's clock goes like this machine's.
        if let Account::Ready { cloud_now, .. } = &mut self.account {
            *cloud_now = Some(self.now.wall);
        }
        let metadata = &self.object.metadata;
        let seen = Seen {
            object: Object {
                cluster: &ClusterName::default(),
                namespace: metadata.namespace.as_deref().unwrap_or_default(),
                name: metadata.name.as_deref().unwrap_or_default(),
                uid: metadata.uid.as_deref().unwrap_or_default(),
                generation: metadata.generation,
                created: metadata.creation_timestamp.as_ref().map_or(self.now.wall, |created| created.0),
                born: None,
                deleting: metadata.deletion_timestamp.is_some(),
                has_finalizer: self.has_finalizer,
                annotations: 0,
                restored: Restored::No,
                held: false,
                adopted: false,
            },
            spec: &self.object.spec,
            status: &self.status,
            account: &self.account,
            position: &self.position,
            permit: self.permit,
            put_back: None,
            settings: &self.settings,
            now: self.now,
            stopping: false,
        };
        decide(&seen, &mut self.memory)
    }

    fn body(&mut self) -> &'a [u8] {
        self.used += 1;
        self.bodies.get((self.used - 1) % self.bodies.len().max(1)).map_or(&[], |body| body.as_bytes())
    }

    fn attempt_context(&self) -> AttemptContext<'static> {
        static SETTINGS: std::sync::LazyLock<Settings> = std::sync::LazyLock::new(Settings::default);
        AttemptContext { now: self.now, credentials_generation: Some(1), settings: &SETTINGS }
    }

    fn intend(&mut self, next: DatabaseBackupStatus) {
        self.store(next);
        let request_time = self.status.request_time.as_ref().expect("an intent has a time").0;
        self.memory.intend(request_time, self.now);
        self.permit = Permit::NotAsked;
    }

    fn send(&mut self, new: &NewBackup) {
        let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c);
        assert!((4..=64).contains(&new.mark.len()) && new.mark.chars().all(legal), "{}", new.mark);
        self.memory.sending();
        let (engine, body) = (self.object.spec.source.engine, self.body());
        let request = engine.service().create("p-1", new);
        let refusal = |_| Error::refused(&request, 400, Hints::default(), body);
        self.memory.answered(engine.service().read_created(body).map_err(refusal), self.attempt_context());
    }

    /// What a listing shows: nothing that counts, if it cannot be read.
    fn listed(&mut self, scope: &ListScope) -> Option<ListingResult> {
        let place = Arc::new(self.account.place()?.clone());
        let page = self.object.spec.source.engine.service().read_page(200, self.body());
        let covers = match (&page, scope) {
            (Err(_), _) => Covers::Nothing,
            (Ok(_), ListScope::Backup { .. }) => Covers::TheBackup,
            (Ok(_), _) => Covers::Everything,
        };
        let found = page.map(|page| page.asked_for(scope).records).unwrap_or_default();
        Some(ListingResult { place, started: self.now, covers, found })
    }

    /// A listing for the object.
    fn look(&mut self, scope: &ListScope, look_for: LookFor) {
        self.memory.begin_look(Some(1), self.now);
        let Some(result) = self.listed(scope) else { return };
        let (place, covers) = (result.place.clone(), result.covers);
        self.memory.looked(look_for, &self.status, result);
        if covers == Covers::Nothing {
            let error = ListError::Incomplete(Gap::Shifted);
            self.memory.could_not_look(&self.status, &place, self.now, &error, self.attempt_context());
        }
    }

    fn delete(&mut self, backup_id: &str) {
        let told = self.object.status.as_ref().and_then(|before| before.expiration_time.as_ref());
        if self.object.metadata.deletion_timestamp.is_none() && told.is_none() {
            let requested = self.status.request_time.as_ref().expect("it was asked for").0;
            let days = u64::try_from(self.object.spec.expire_after_days.expect("it expires")).unwrap_or_default();
            // The status holds whole seconds.
            assert!(self.now.since_wall(requested) + Duration::from_secs(1) >= Duration::from_secs(days * 86_400), "deleted early");
        }
        let (source, body) = (&self.object.spec.source, self.body());
        let request = source.engine.service().delete("p-1", &source.instance_id, backup_id).expect("it can be deleted");
        let refused = Error::refused(&request, 400, Hints::default(), body);
        self.memory.deleted(backup_id, if body.is_empty() { Ok(()) } else { Err(refused) }, self.attempt_context());
    }

    fn report(&mut self, report: Report) {
        if let Some(reason) = report.reason {
            self.memory.report(reason, is_true(&self.status.conditions, types::STALLED), self.now);
        }
        self.store(report.status);
        self.requeue_after(report.requeue_after);
    }

    fn requeue_after(&mut self, requeue_after: Option<Duration>) {
        self.now = self.now.plus(requeue_after.unwrap_or(Duration::from_secs(3600)).max(Duration::from_secs(1)));
        self.position = Position::NotAsked;
    }

    fn store(&mut self, next: DatabaseBackupStatus) {
        self.check(&next);
        for notice in notices(&self.status, &next) {
            super::check_line(&notice.note, 1024);
        }
        self.status = next;
    }

    /// What has to be true of every status that is written. What stood there before is whoever's who wrote it.
    fn check(&self, next: &DatabaseBackupStatus) {
        check_conditions(&next.conditions);
        let json = serde_json::to_value(next).expect("a status is JSON");
        assert_eq!(serde_json::from_value::<DatabaseBackupStatus>(json).ok().as_ref(), Some(next), "it is read back as it is");
        let before = self.object.status.clone().unwrap_or_default();
        if let Some(id) = next.backup_id.as_ref().filter(|id| Some(*id) != before.backup_id.as_ref()) {
            super::check_id(id);
        }
        let known = |status: &DatabaseBackupStatus| -> Vec<Time> {
            [&status.start_time, &status.completion_time, &status.expiration_time, &status.last_sync_time]
                .into_iter()
                .filter_map(Clone::clone)
                .collect()
        };
        known(next).into_iter().filter(|time| !known(&before).contains(time)).for_each(|time| super::check_time(time.0));
        next.failed_attempts.iter().skip(before.failed_attempts.len()).for_each(|attempt| super::check_line(&attempt.message, 200));
    }
}

fn check_conditions(conditions: &[Condition]) {
    assert_eq!(conditions.iter().filter(|condition| condition.type_ == types::READY).count(), 1);
    assert!(!(is_true(conditions, types::RECONCILING) && is_true(conditions, types::STALLED)), "kstatus reads Reconciling first");
    for condition in conditions {
        super::check_line(&condition.message, 256);
        assert!(!condition.message.is_empty(), "{}", condition.reason);
        assert!(condition.reason.chars().all(|c| c.is_ascii_alphanumeric()), "{}", condition.reason);
    }
}

/// What is said of an account whose addresses came out like this.
pub fn check_account(resolved: &Result<Endpoints, EndpointError>, cloud: Cloud, region: &str) {
    let project = || Project { cloud, region: region.to_owned(), project_id: "p-1".into() };
    let misconfigured = |error: &EndpointError| AccountError::new(AccountReason::EndpointMisconfigured, error.to_string());
    let verification = resolved.as_ref().map(|_| Access { project: project(), unverified: None }).map_err(misconfigured);
    let (mut memory, settings) = (AccountMemory::default(), Settings::default());
    let now = Moment { wall: Timestamp::UNIX_EPOCH, mono: Duration::ZERO };
    memory.note(&verification, None, now);
    let cloud_now = Some(Timestamp::MAX);
    let unreached = Engine::all().map(|engine| Unreached { engine, host: region.to_owned(), why: region.to_owned() }).collect::<Vec<_>>();
    let (verification, memory, unreached, settings) = (&verification, &memory, Some(unreached.as_slice()), &settings);
    let seen = SeenAccount { verification, memory, unreached, before: None, generation: Some(1), users: None, cloud_now, settings, now };
    check_conditions(&account_status(&seen).conditions);
    assert!(!memory.requeue_after(settings, now).is_zero(), "no account is verified without a pause");
}
