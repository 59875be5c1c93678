//! The state: the stored object, the cloud, what is on its way, and the operators.

use crate::{
    api::{
        backup::{AccountRef, BackupSource, DatabaseBackupSpec, DeletionPolicy},
        conditions::types,
        status::{DatabaseBackupStatus, Phase},
    },
    backup::{clock::Moment, memory::Memory, settings::Settings},
    cloud::{
        backup::{ListScope, RemoteBackup, RemoteState},
        engine::Engine,
    },
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};

const INSTANCE: &str = "i-1";
/// Others' backups of the same instance, which every listing of it shows: one made by hand, and one of an object of the same name in another cluster.
const FOREIGN: [&str; 2] = ["made-by-hand", "dbb-o-00000000000000000000"];

/// What may go wrong, and how often. Time goes in ticks of a second.
#[derive(Clone, Debug)]
pub(super) struct Bounds {
    /// How many operators work on it at once: one or two.
    pub operators: usize,
    /// The last tick on which anything goes wrong.
    pub horizon: u32,
    pub settings: Settings,
    /// Longest time from the last check to the call's arrival, and from there to its showing up in listings, in ticks.
    pub delivery: u32,
    pub lag: u32,
    pub crashes: u8,
    /// Answers that are lost or late, refusals, failures; of the cloud and of the Kubernetes API.
    pub faults: u8,
    /// Backups that the cloud reports as FAILED.
    pub failures: u8,
    pub backoff_limit: i32,
    pub policy: DeletionPolicy,
    /// How often the policy is flipped.
    pub flips: u8,
    /// Whether the object is deleted some time.
    pub deletion: bool,
    /// Whether it is told on once the backup is made and known.
    pub watching: bool,
}

impl Bounds {
    /// The creation of a backup.
    pub fn creation() -> Self {
        Self {
            operators: 2,
            horizon: 6,
            settings: quick(3),
            delivery: 1,
            lag: 1,
            crashes: 1,
            faults: 1,
            failures: 0,
            backoff_limit: 1,
            policy: DeletionPolicy::Retain,
            flips: 0,
            deletion: false,
            watching: false,
        }
    }

    pub fn spec(&self, policy: DeletionPolicy) -> DatabaseBackupSpec {
        let source =
            BackupSource { engine: Engine::TaurusDB, instance_id: INSTANCE.into(), existing_backup_id: None, description: None, dcs: None };
        DatabaseBackupSpec {
            account_ref: AccountRef::default(),
            source,
            deletion_policy: policy,
            expire_after_days: None,
            backoff_limit: self.backoff_limit,
            progress_deadline_seconds: 7200,
        }
    }
}

/// Timings of a few ticks.
pub(super) fn quick(settle_delay: u64) -> Settings {
    let second = Duration::from_secs(1);
    Settings {
        poll_interval: second,
        settle_delay: Duration::from_secs(settle_delay),
        resync_interval: second * 1000,
        blocked_grace: second,
        gone_after: second * 2,
        retry_backoff: second,
    }
}

/// A world.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct World {
    pub now: u32,
    pub object: Object,
    pub status: Arc<Stored>,
    /// Own backups, in the order in which they were made.
    pub backups: Vec<Backup>,
    pub calls: Vec<Call>,
    pub operators: [Arc<Operator>; 2],
    pub left: Left,
    /// A DELETE call named a backup that is not the object's.
    pub deleted_anothers: bool,
    /// The object was let go under `Delete` while something of it was in the cloud, or on its way there.
    pub left_behind: bool,
    /// A final phase was taken back.
    pub took_back: bool,
}

/// The object's metadata, as far as it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Object {
    pub is_there: bool,
    pub deleting: bool,
    pub has_finalizer: bool,
    pub policy: DeletionPolicy,
}

/// What may still happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Left {
    pub crashes: u8,
    pub faults: u8,
    pub failures: u8,
    pub flips: u8,
    pub deletion: bool,
}

impl Left {
    pub fn nothing() -> Self {
        Self { crashes: 0, faults: 0, failures: 0, flips: 0, deletion: false }
    }
}

/// A backup that the object's calls made.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Backup {
    pub mark: String,
    /// The tick on which it shows up in listings.
    pub hidden_until: u32,
    pub state: RemoteState,
    /// The cloud has called it complete, whatever became of it later.
    pub was_complete: bool,
}

impl Backup {
    /// It is complete, or its deletion ends.
    pub fn finish(&mut self) {
        self.was_complete |= self.state == RemoteState::Running;
        self.state = if self.state == RemoteState::Deleting { RemoteState::Gone } else { RemoteState::Completed };
    }
}

/// A create call on its way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Call {
    pub mark: String,
    /// When it arrives, at the latest.
    pub by: u32,
    /// Who waits for its answer.
    pub caller: Option<usize>,
}

/// An operator: what it remembers, and what it has decided and not done yet. Anything may come in between.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Operator {
    pub memory: Memory,
    pub doing: Doing,
    pub listing: Option<Found>,
}

/// A step that was decided.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) enum Doing {
    #[default]
    Nothing,
    /// To be written. `stale`: somebody wrote the object since.
    Intent {
        next: Arc<Stored>,
        begun: Moment,
        stale: bool,
    },
    /// Its intent is stored.
    Send {
        mark: String,
    },
    /// Its call is on its way.
    Wait,
    Delete {
        id: String,
        decided: Moment,
    },
}

/// A listing under way, and what it will show: whatever was visible when it began.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Found {
    pub started: Moment,
    pub found: Vec<RemoteBackup>,
    pub stock: bool,
    pub by_id: bool,
}

/// A status in a plain form: of the conditions only the reason, no texts, and no times that nothing depends on.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Stored(pub DatabaseBackupStatus);

impl Eq for Stored {}

impl Hash for Stored {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let status = &self.0;
        (status.phase, &status.backup_name, &status.backup_id, status.attempts).hash(state);
        (status.request_time.as_ref().map(|t| t.0), status.last_sync_time.as_ref().map(|t| t.0)).hash(state);
        (status.create_outcome.map(|o| o as u8), status.origin.map(|o| o as u8), status.delete_reason.map(|r| r as u8)).hash(state);
        (status.failed_attempts.len(), status.conditions.first().map(|condition| &condition.reason)).hash(state);
    }
}

impl Stored {
    pub fn plain(mut status: DatabaseBackupStatus) -> Self {
        let reason = status.conditions.iter().find(|condition| condition.type_ == types::READY).map(|ready| ready.reason.clone());
        status.conditions = reason.into_iter().map(plain_condition).collect();
        for attempt in &mut status.failed_attempts {
            attempt.message.clear();
        }
        // Only the pause before the next attempt is counted from it.
        if status.backup_id.is_some() || status.failed_attempts.is_empty() {
            status.last_sync_time = None;
        }
        Self(status)
    }
}

fn plain_condition(reason: String) -> Condition {
    Condition {
        type_: types::READY.into(),
        status: "False".into(),
        reason,
        message: String::new(),
        observed_generation: Some(1),
        last_transition_time: Time(Timestamp::UNIX_EPOCH),
    }
}

pub(super) fn moment(tick: u32) -> Moment {
    let wall = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1_700_000_000 + i64::from(tick));
    Moment { wall, mono: Duration::from_secs(1_000 + u64::from(tick)) }
}

impl World {
    pub fn new(bounds: &Bounds) -> Self {
        let Bounds { crashes, faults, failures, flips, deletion, .. } = *bounds;
        let policy = bounds.policy;
        Self {
            now: 0,
            object: Object { is_there: true, deleting: false, has_finalizer: false, policy },
            status: Arc::new(Stored(DatabaseBackupStatus::default())),
            backups: Vec::new(),
            calls: Vec::new(),
            operators: [Arc::default(), Arc::default()],
            left: Left { crashes, faults, failures, flips, deletion },
            deleted_anothers: false,
            left_behind: false,
            took_back: false,
        }
    }

    /// Somebody wrote the object: an intent that was decided on an older version will not be stored.
    pub fn wrote(&mut self) {
        for operator in &mut self.operators {
            if matches!(operator.doing, Doing::Intent { stale: false, .. })
                && let Doing::Intent { stale, .. } = &mut Arc::make_mut(operator).doing
            {
                *stale = true;
            }
        }
    }

    /// A call made a backup, which listings show from a tick on.
    pub fn begin(&mut self, mark: String, hidden_until: u32) {
        self.backups.push(Backup { mark, hidden_until, state: RemoteState::Running, was_complete: false });
    }

    /// The cloud is told to delete a backup; whether it was there.
    pub fn remove(&mut self, wanted: &str) -> bool {
        self.deleted_anothers |= FOREIGN.contains(&wanted);
        let found = self.backups.iter_mut().enumerate().find(|(at, backup)| id(*at) == wanted && backup.state != RemoteState::Gone);
        found.map(|(_, backup)| backup.state = RemoteState::Deleting).is_some()
    }

    /// What a listing shows that begins now. `stock`: everything of the instance; else what is the object's by id or mark.
    pub fn list(&self, scope: &ListScope, stock: bool) -> Vec<RemoteBackup> {
        let own =
            self.backups.iter().enumerate().filter(|(_, backup)| backup.hidden_until <= self.now && backup.state != RemoteState::Gone);
        let own = own.map(|(at, backup)| (id(at), backup.mark.as_str(), backup.state));
        let all = own.chain(FOREIGN.iter().map(|mark| ((*mark).to_owned(), *mark, RemoteState::Completed)));
        let status = &self.status.0;
        let is_asked = |id: &str, mark: &str| match scope {
            ListScope::Backup { backup_id } => id == backup_id,
            _ => stock || Some(id) == status.backup_id.as_deref() || Some(mark) == status.backup_name.as_deref(),
        };
        all.filter(|(id, mark, _)| is_asked(id, mark)).map(|(id, mark, state)| record(id, mark, state)).collect()
    }

    /// Whether the backups go with the object.
    pub fn deletes(&self) -> bool {
        self.object.policy == DeletionPolicy::Delete
    }

    pub fn has_doubles(&self) -> bool {
        self.backups.iter().enumerate().any(|(at, one)| self.backups[..at].iter().any(|other| other.mark == one.mark))
    }

    /// A status is stored. Nothing gets lost in the cloud here, so what is final stays.
    pub fn store(&mut self, next: Arc<Stored>) {
        let is_final = matches!(self.status.0.phase, Some(Phase::Completed | Phase::Failed));
        self.took_back |= is_final && next.0.phase != self.status.0.phase;
        self.status = next;
        self.wrote();
    }

    /// A phase that the object keeps, and that the cloud contradicts.
    pub fn is_untrue(&self) -> bool {
        if self.took_back {
            return true;
        }
        let status = &self.status.0;
        match status.phase {
            Some(Phase::Completed) => !self.backups.iter().enumerate().any(|(at, backup)| {
                status.backup_id.as_deref() == Some(&id(at)) && Some(&backup.mark) == status.backup_name.as_ref() && backup.was_complete
            }),
            Some(Phase::Failed) => {
                let failed = self.backups.iter().all(|backup| matches!(backup.state, RemoteState::Failed | RemoteState::Gone));
                !failed || !self.calls.is_empty() || self.backups.len() != status.failed_attempts.len()
            }
            _ => false,
        }
    }

    pub fn is_at_its_end(&self) -> bool {
        !self.object.is_there || (!self.object.deleting && matches!(self.status.0.phase, Some(Phase::Completed | Phase::Failed)))
    }

    /// Forgets what nothing depends on any more, so that worlds that differ only there are one.
    pub fn forget_the_past(&mut self, bounds: &Bounds) {
        for backup in &mut self.backups {
            backup.hidden_until = if backup.hidden_until <= self.now { 0 } else { backup.hidden_until };
        }
        // Who finds the object gone has nothing left to do but what is on its way.
        for operator in self.operators.iter_mut().filter(|_| !self.object.is_there) {
            if !matches!(operator.doing, Doing::Send { .. } | Doing::Wait | Doing::Delete { .. }) {
                *operator = Arc::default();
            }
        }
        self.forget_in_memories();
        if bounds.operators == 2 {
            self.order_operators();
        }
    }

    fn forget_in_memories(&mut self) {
        let status = self.status.clone();
        for operator in &mut self.operators {
            let memory = &operator.memory;
            let is_past = memory.own.is_some()
                && memory.own_intent(&status.0).is_none()
                && !matches!(operator.doing, Doing::Send { .. } | Doing::Wait);
            let is_idle = status.0.backup_id.is_none()
                && (memory.absence.is_some() || memory.sighting.as_ref().is_some_and(|sighting| sighting.found.is_empty()));
            if !is_past && !is_idle {
                continue;
            }
            let memory = &mut Arc::make_mut(operator).memory;
            if is_past {
                memory.own = None;
            }
            if is_idle {
                memory.absence = None;
                memory.sighting = memory.sighting.take().filter(|sighting| !sighting.found.is_empty());
            }
        }
    }

    /// The operators are alike: which of them is in which state makes no difference.
    fn order_operators(&mut self) {
        let key = |which: usize| {
            let mut hasher = DefaultHasher::new();
            self.operators[which].hash(&mut hasher);
            hasher.finish()
        };
        if key(0) > key(1) {
            self.operators.swap(0, 1);
            for call in &mut self.calls {
                call.caller = call.caller.map(|which| 1 - which);
            }
        }
    }

    /// The backup is made and known, and nothing else is under way: what follows is watching.
    pub fn is_created(&self) -> bool {
        self.status.0.backup_id.is_some()
            && self.calls.is_empty()
            && self.operators.iter().all(|operator| !matches!(operator.doing, Doing::Intent { .. } | Doing::Send { .. } | Doing::Wait))
    }

    pub fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        Self { left: Left::nothing(), ..self.clone() }.hash(&mut hasher);
        hasher.finish()
    }
}

/// The cloud's id of the object's backup number `at`.
pub(super) fn id(at: usize) -> String {
    format!("b-{at}")
}

fn record(id: String, mark: &str, state: RemoteState) -> RemoteBackup {
    RemoteBackup {
        id,
        instance_id: INSTANCE.into(),
        mark: mark.to_owned(),
        state,
        cloud_status: String::new(),
        start_time: None,
        completion_time: None,
        size: None,
        engine_version: None,
        failure: None,
    }
}
