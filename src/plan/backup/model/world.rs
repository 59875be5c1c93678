//! The state: the stored object, the cloud, what is on its way, and the operators.

use super::{
    bounds::{Bounds, FOREIGN, INSTANCE},
    stored::Stored,
};
use crate::{
    api::{
        backup::DeletionPolicy,
        status::{DatabaseBackupStatus, DeleteReason, Origin, Phase},
    },
    cloud::{
        backup::{ListScope, RemoteBackup, RemoteState},
        engine::{Cloud, Engine},
    },
    plan::{
        backup::{
            listing_result::{ListingResult, LookFor},
            memory::{Looks, Memory},
            name::own_marks,
        },
        clock::Moment,
        place::{Place, Project, Whereabouts},
    },
};
use jiff::{SignedDuration, Timestamp};
use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, LazyLock},
    time::Duration,
};

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
    /// Where the account points.
    pub spot: Spot,
    /// What the store held at a moment, and may be put back to.
    pub saved: Option<(Object, Arc<Stored>)>,
    /// When it was put back.
    pub put_back: Option<u32>,
    /// Whose wall clocks are a year ahead.
    pub is_ahead: [bool; 2],
    /// A year has passed.
    pub is_year_over: bool,
    /// The backup to adopt is there.
    pub has_appeared: bool,
    /// Changes whenever the object's annotations do.
    pub annotations: u64,
    /// Create calls of each operator on this tick, where that is of interest.
    pub sent_now: [u8; 2],
    /// What went wrong, for good.
    pub wrongs: Wrongs,
}

/// What must never happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(clippy::struct_excessive_bools)] // each is a property of its own
pub(super) struct Wrongs {
    /// A DELETE call named a backup that is not the object's.
    pub deleted_anothers: bool,
    /// A DELETE call came before its time.
    pub deleted_early: bool,
    /// The object was let go under `Delete` while something of it was in the cloud, or on its way there.
    pub left_behind: bool,
    /// A final phase was taken back.
    pub took_back: bool,
    /// A DELETE call was decided on although somebody holds the backup.
    pub deleted_held: bool,
    /// A backup was deleted a second time although the first call was answered.
    pub deleted_again: bool,
    /// Something that the cloud holds was called gone, or failed.
    pub called_gone: bool,
    /// A step was repeated while neither time nor knowledge had moved.
    pub repeated: bool,
}

/// Where the account points.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Spot {
    Home,
    OtherHost,
    OtherProject,
}

impl Spot {
    pub fn place(self) -> Place {
        let project_id = if self == Self::OtherProject { "q" } else { "p" };
        let project = Project { cloud: Cloud::HuaweiCloud, region: "r".into(), project_id: project_id.into() };
        Place { project, endpoint: if self == Self::OtherHost { "other".into() } else { "home".into() } }
    }
}

/// The object's metadata, as far as it matters.
#[allow(clippy::struct_excessive_bools)] // as in the object
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Object {
    pub is_there: bool,
    pub deleting: bool,
    pub has_finalizer: bool,
    /// Somebody else's finalizer.
    pub held: bool,
    /// Somebody holds its backup, by the annotation.
    pub on_hold: bool,
    pub policy: DeletionPolicy,
    /// Which of the objects of this name: each has a UID of its own.
    pub life: u8,
    /// The operators saw it come into being.
    pub is_born: bool,
}

/// What may still happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Left {
    pub crashes: u8,
    pub faults: u8,
    pub failures: u8,
    pub flips: u8,
    pub deletion: bool,
    pub moves: u8,
    pub rollbacks: u8,
    pub recreations: u8,
    pub jumps: u8,
    pub years: u8,
    pub annotations: u8,
    pub surpluses: u8,
    pub holds: u8,
    pub superseded: bool,
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
    pub result: ListingResult,
    pub look_for: LookFor,
}

pub(super) fn moment(tick: u32) -> Moment {
    let wall = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1_700_000_000 + i64::from(tick));
    Moment { wall, mono: Duration::from_secs(1_000 + u64::from(tick)) }
}

impl World {
    pub fn new(bounds: &Bounds) -> Self {
        let Bounds { crashes, faults, failures, flips, deletion, moves, rollbacks, .. } = *bounds;
        let Bounds { recreations, jumps, years, annotations, held, policy, surpluses, holds, superseded, .. } = *bounds;
        Self {
            now: 0,
            object: Object { is_there: true, deleting: false, has_finalizer: false, held, on_hold: false, policy, life: 0, is_born: true },
            status: Arc::new(Stored(DatabaseBackupStatus::default())),
            backups: Vec::new(),
            calls: Vec::new(),
            operators: [Arc::default(), Arc::default()],
            left: Left {
                crashes,
                faults,
                failures,
                flips,
                deletion,
                moves,
                rollbacks,
                recreations,
                jumps,
                years,
                annotations,
                surpluses,
                holds,
                superseded,
            },
            spot: Spot::Home,
            saved: None,
            put_back: None,
            is_ahead: [false; 2],
            is_year_over: false,
            has_appeared: false,
            annotations: 0,
            sent_now: [0; 2],
            wrongs: Wrongs::default(),
        }
    }

    /// The UID of the object that there is now.
    pub fn uid(&self) -> &'static str {
        if self.object.life == 0 { "u" } else { "v" }
    }

    /// Whether a name is one that the present object may have made. Worked out once: it is asked for each record of millions of listings.
    pub fn is_own(&self, mark: &str) -> bool {
        static MARKS: LazyLock<[Vec<String>; 4]> = LazyLock::new(|| {
            let marks = |engine, uid| own_marks(engine, "o", uid, INSTANCE).collect();
            [Engine::TaurusDB, Engine::DCS].map(|engine| ["u", "v"].map(|uid| marks(engine, uid))).concat().try_into().expect("four")
        });
        let life = usize::from(self.uid() == "v");
        MARKS[life].iter().chain(&MARKS[2 + life]).any(|own| own == mark)
    }

    /// Now, by clocks that are right.
    pub fn true_now(&self) -> Moment {
        let year = Duration::from_secs(if self.is_year_over { 366 * 24 * 3600 } else { 0 });
        moment(self.now).plus(year)
    }

    /// Now, as an operator's clocks have it.
    pub fn moment(&self, which: usize) -> Moment {
        let ahead = SignedDuration::from_hours(if self.is_ahead[which] { 366 * 24 } else { 0 });
        let now = self.true_now();
        Moment { wall: now.wall + ahead, ..now }
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
        let is_anothers = self.backups.iter().enumerate().any(|(at, backup)| id(at) == wanted && !self.is_own(&backup.mark));
        self.wrongs.deleted_anothers |= FOREIGN.contains(&wanted) || is_anothers;
        let is_surplus = self.status.0.delete_reason == Some(DeleteReason::Retention);
        self.wrongs.deleted_early |= !self.object.deleting && !self.is_year_over && !is_surplus;
        let found = self.backups.iter_mut().enumerate().find(|(at, backup)| id(*at) == wanted && backup.state != RemoteState::Gone);
        found.map(|(_, backup)| backup.state = RemoteState::Deleting).is_some()
    }

    /// What a listing shows that begins now, where the account points. For the inventory everything of the instance; else what is the object's by id or mark.
    pub fn list(&self, scope: &ListScope, look_for: LookFor, bounds: &Bounds) -> Vec<RemoteBackup> {
        let own =
            self.backups.iter().enumerate().filter(|(_, backup)| backup.hidden_until <= self.now && backup.state != RemoteState::Gone);
        let own = own.map(|(at, backup)| (id(at), backup.mark.as_str(), backup.state));
        let foreign = FOREIGN.iter().filter(|mark| !bounds.import || self.has_appeared || **mark != FOREIGN[0]);
        let all = own.chain(foreign.map(|mark| ((*mark).to_owned(), *mark, RemoteState::Completed)));
        let status = &self.status.0;
        let is_here = match self.spot.place().whereabouts(status) {
            Whereabouts::Here => true,
            Whereabouts::OtherHost => bounds.is_alias,
            Whereabouts::Elsewhere => false,
        };
        let is_asked = |id: &str, mark: &str| match scope {
            ListScope::Backup { backup_id, .. } => id == backup_id,
            _ => {
                look_for == LookFor::Inventory
                    || Some(id) == status.backup_id.as_deref()
                    || Some(mark) == status.backup_name.as_deref()
                    || self.is_own(mark)
            }
        };
        // Where it matters, every backup was complete at once: a time of its own for each would only make more worlds.
        let completion_time = (bounds.years > 0).then(|| moment(0).wall);
        let shown = |(id, mark, state)| RemoteBackup { completion_time, ..record(id, mark, state) };
        all.filter(|(id, mark, _)| is_here && is_asked(id, mark)).map(shown).collect()
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
        let is_final = matches!(self.status.0.phase, Some(Phase::Completed | Phase::Failed | Phase::Lapsed));
        let is_due = self.is_year_over && next.0.phase == Some(Phase::Expired);
        self.wrongs.took_back |= is_final && !is_due && next.0.phase != self.status.0.phase;
        let state = |backup_id: Option<&String>| {
            let backup = self.backups.iter().enumerate().find(|(at, _)| backup_id == Some(&id(*at)));
            backup.map(|(_, backup)| backup.state)
        };
        let holds = |backup_id: Option<&String>| matches!(state(backup_id), Some(RemoteState::Running | RemoteState::Completed));
        let failed = next.0.failed_attempts.iter().skip(self.status.0.failed_attempts.len());
        self.wrongs.called_gone |= next.0.phase == Some(Phase::Missing) && holds(next.0.backup_id.as_ref());
        self.wrongs.called_gone |= failed.into_iter().any(|attempt| holds(attempt.backup_id.as_ref()));
        self.status = next;
        self.wrote();
    }

    /// A phase that the object keeps, and that the cloud contradicts.
    pub fn is_untrue(&self) -> bool {
        if self.wrongs.took_back {
            return true;
        }
        let status = &self.status.0;
        match status.phase {
            Some(Phase::Completed) if status.origin == Some(Origin::Imported) => !self.has_appeared,
            Some(Phase::Completed) => !self.backups.iter().enumerate().any(|(at, backup)| {
                status.backup_id.as_deref() == Some(&id(at)) && Some(&backup.mark) == status.backup_name.as_ref() && backup.was_complete
            }),
            Some(Phase::Expired) => {
                let is_its = |at: usize| status.backup_id.as_deref() == Some(&id(at));
                self.backups.iter().enumerate().any(|(at, backup)| is_its(at) && backup.state != RemoteState::Gone)
            }
            Some(Phase::Failed) => {
                let mut own = self.backups.iter().filter(|backup| self.is_own(&backup.mark));
                let failed = own.all(|backup| matches!(backup.state, RemoteState::Failed | RemoteState::Gone));
                !failed || !self.calls.is_empty()
            }
            Some(Phase::Lapsed) => self.backups.iter().any(|backup| self.is_own(&backup.mark)) || !self.calls.is_empty(),
            _ => false,
        }
    }

    pub fn is_at_its_end(&self) -> bool {
        let status = &self.status.0;
        let reason = status.conditions.first().map(|ready| ready.reason.as_str());
        let is_due = self.is_year_over && status.expiration_time.is_some() && !self.object.on_hold;
        // Where the clocks disagree, it stays.
        let is_surplus = status.delete_reason == Some(DeleteReason::Retention) && reason != Some("DeleteBlocked");
        let goes = status.phase == Some(Phase::Completed) && (is_due || is_surplus);
        let is_settled = matches!(status.phase, Some(Phase::Completed | Phase::Failed | Phase::Expired | Phase::Lapsed)) && !goes;
        let is_settled = is_settled || reason == Some("RequestRefused");
        // One that is held by somebody else's finalizer has nothing to wait for if nothing was ever asked for, or made.
        let has_nothing = status.backup_id.is_none() && !status.intent_is_open();
        match self.object {
            Object { is_there: false, .. } => true,
            Object { deleting: false, .. } => is_settled,
            Object { has_finalizer: true, .. } => reason == Some("DeleteBlocked"),
            Object { .. } => is_settled || has_nothing || reason == Some("Deleting"),
        }
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
        self.forget_in_memories(bounds);
        if bounds.operators == 2 {
            self.order_operators();
        }
    }

    fn forget_in_memories(&mut self, bounds: &Bounds) {
        let (status, now) = (self.status.clone(), self.true_now());
        for operator in &mut self.operators {
            let is_sending = matches!(operator.doing, Doing::Send { .. } | Doing::Wait);
            let mut memory = operator.memory.clone();
            let is_over = |at: Option<Moment>| at.is_some_and(|at| now.since(at) > Duration::ZERO);
            if memory.own_intent(&status.0).is_none() && !is_sending {
                memory.own = None;
            }
            if status.0.backup_id.is_none() && !bounds.import {
                memory.absence = None;
                memory.latest_result = memory.latest_result.take().filter(|latest| !latest.found.is_empty());
            }
            // Whether the store was put back or the object is not known from its birth, a survey matters only before there is an id.
            let is_young = u64::from(self.now) < bounds.settings.young().as_secs();
            let is_known = self.object.is_born && is_young && self.put_back.is_none() && bounds.jumps == 0;
            memory.survey = memory.survey.take().filter(|_| status.0.backup_id.is_none() && !is_known);
            memory.failures = memory.failures.filter(|(count, _)| *count > 0 && bounds.jumps > 0);
            memory.wrote = None;
            // A pause between two looks is shorter than a tick; but for an import it grows.
            if !bounds.import {
                let looks = std::mem::take(&mut memory.looks);
                let is_recent = looks.last.is_some() && !is_over(looks.last);
                let under_way = looks.under_way;
                memory.looks = if is_recent { Looks { in_a_row: 1, ..looks } } else { Looks { under_way, ..Looks::default() } };
            }
            if memory != operator.memory {
                Arc::make_mut(operator).memory = memory;
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
        if self.is_ahead[0] == self.is_ahead[1] && self.sent_now[0] == self.sent_now[1] && key(0) > key(1) {
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
        Self { left: Left::default(), ..self.clone() }.hash(&mut hasher);
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
        kind: crate::cloud::backup::BackupKind::Manual,
        is_unusable: false,
        state,
        cloud_status: String::new(),
        start_time: None,
        completion_time: None,
        size: None,
        engine_version: None,
        failure: None,
    }
}
