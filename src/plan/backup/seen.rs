//! What is seen of one backup and around it when a decision is made.

use super::{description::ClusterName, reason::Reason};
use crate::{
    api::{backup::DatabaseBackupSpec, status::DatabaseBackupStatus},
    plan::{clock::Moment, place::Place, settings::Settings},
};
use jiff::Timestamp;

/// One backup object, what is known around it, and the time.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// Who it is.
    pub object: Object<'a>,
    /// What was asked for.
    pub spec: &'a DatabaseBackupSpec,
    /// What the operator wrote last.
    pub status: &'a DatabaseBackupStatus,
    /// The account that it names.
    pub account: &'a Account,
    /// Its place in the queue of its instance.
    pub position: &'a Position,
    /// Whether the account's request rate has room for a create call.
    pub permit: Permit,
    /// When this process noticed that the API server's store was put back to an earlier state; its call of before may still turn up in the cloud.
    pub put_back: Option<Moment>,
    /// The timing flags.
    pub settings: &'a Settings,
    /// Now.
    pub now: Moment,
    /// Nothing new may be started: the process is about to end, does not lead, or has older definitions before it.
    pub stopping: bool,
}

/// Who the object is.
#[allow(clippy::struct_excessive_bools)] // each is a fact of its own
#[derive(Clone, Copy, Debug)]
pub struct Object<'a> {
    /// What its cluster is called, as far as somebody said so.
    pub cluster: &'a ClusterName,
    /// Namespace.
    pub namespace: &'a str,
    /// Name.
    pub name: &'a str,
    /// UID: what makes it this object and not another of the same name.
    pub uid: &'a str,
    /// Generation of the spec.
    pub generation: Option<i64>,
    /// When it was created.
    pub created: Timestamp,
    /// When this process saw it come into being: it has known all of its life since. Absent for one that a listing showed, which may have lived before.
    pub born: Option<Moment>,
    /// It is being deleted.
    pub deleting: bool,
    /// It has this operator's finalizer.
    pub has_finalizer: bool,
    /// Changes whenever the object's annotations do: a person asks for another try.
    pub annotations: u64,
    /// Whether Velero restored it, and what a person said to that.
    pub restored: Restored,
    /// Somebody holds its backup, by the annotation `dbbackup.dev/hold`: neither retention nor expiry may touch it.
    pub held: bool,
    /// Another object adopts its backup, so that retention may not touch it.
    pub adopted: bool,
}

/// Whether Velero restored an object: its label `velero.io/restore-name`, and the annotation `dbbackup.dev/restored`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Restored {
    /// It did not.
    #[default]
    No,
    /// It did.
    Yes,
    /// It did, and a person says that another backup shall be taken.
    TakeAnother,
}

/// What is known of the account that a backup names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Account {
    /// Not looked at yet by this process.
    Verifying,
    /// It can be used.
    Ready {
        /// Where it points.
        place: Place,
        /// A cluster account may deny the namespace: then nothing is created, and watching goes on.
        allowed: bool,
        /// Grows whenever the account was verified anew.
        credentials_generation: u64,
        /// The cloud's time now, by its latest answer; absent where none had a date.
        cloud_now: Option<Timestamp>,
    },
    /// It cannot be used.
    Blocked {
        /// Why.
        reason: Reason,
        /// What to do about it.
        message: String,
    },
}

impl Account {
    /// Where it points, if it is ready.
    pub fn place(&self) -> Option<&Place> {
        match self {
            Self::Ready { place, .. } => Some(place),
            Self::Verifying | Self::Blocked { .. } => None,
        }
    }

    /// The generation of its credentials, if it is ready.
    pub fn credentials_generation(&self) -> Option<u64> {
        match self {
            Self::Ready { credentials_generation, .. } => Some(*credentials_generation),
            Self::Verifying | Self::Blocked { .. } => None,
        }
    }

    /// The cloud's time now, if it is known.
    pub fn cloud_now(&self) -> Option<Timestamp> {
        match self {
            Self::Ready { cloud_now, .. } => *cloud_now,
            Self::Verifying | Self::Blocked { .. } => None,
        }
    }
}

/// An object's place in the queue of its instance.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Position {
    /// Not asked for yet.
    NotAsked,
    /// This object's.
    First,
    /// Another object's, by namespace and name if it is of the same namespace.
    Behind(Option<String>),
    /// There are so many of the instance without an intent, and this one is not among the oldest.
    TooMany(usize),
}

/// Whether the account's request rate has room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Permit {
    /// Not asked for yet.
    NotAsked,
    /// In hand.
    Granted,
    /// Queued behind more calls than the rate allows now; the object is woken when it is granted.
    Queued,
    /// Queued until calls that are under way have ended, which is a matter of moments if nothing hangs. The rate has room for everybody who queues.
    Crowded,
    /// Queued, and the cloud wants to be left alone for a while, whoever asks.
    Paused,
}

impl Seen<'_> {
    /// Whether the latest intent is without a definite answer: the cloud may or may not have a backup for it.
    pub fn intent_is_open(&self) -> bool {
        self.status.intent_is_open()
    }

    /// Number of the current attempt, from 1: failed ones are over.
    pub fn attempt(&self) -> i32 {
        i32::try_from(self.status.failed_attempts.len()).unwrap_or(i32::MAX).saturating_add(1)
    }
}
