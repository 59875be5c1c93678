//! Everything that a decision about one backup may depend on.

use super::{clock::Moment, memory::Memory, reason::Reason, settings::Settings};
use crate::{
    api::{backup::DatabaseBackupSpec, status::DatabaseBackupStatus},
    cloud::engine::Cloud,
};
use jiff::Timestamp;

/// One backup object, what is known around it, and the time.
#[derive(Clone, Copy, Debug)]
pub struct Observed<'a> {
    /// Who it is.
    pub object: Object<'a>,
    /// What was asked for.
    pub spec: &'a DatabaseBackupSpec,
    /// What the operator wrote last.
    pub status: &'a DatabaseBackupStatus,
    /// The account that it names.
    pub account: &'a Account,
    /// Whether it is this object's turn on its instance.
    pub turn: &'a Turn,
    /// Whether the account's request rate has room for a create call.
    pub permit: Permit,
    /// What this process did and saw for it.
    pub memory: &'a Memory,
    /// The timing flags.
    pub settings: &'a Settings,
    /// Now.
    pub now: Moment,
    /// Nothing new may be started: the process is about to end, does not lead, or has older definitions before it.
    pub stopping: bool,
}

/// Who the object is.
#[derive(Clone, Copy, Debug)]
pub struct Object<'a> {
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
    /// It is being deleted.
    pub deleting: bool,
    /// It has this operator's finalizer.
    pub has_finalizer: bool,
    /// Changes whenever the object's annotations do: a person asks for another try.
    pub nudge: u64,
}

/// Where backups are taken.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// The cloud.
    pub cloud: Cloud,
    /// The region.
    pub region: String,
    /// The project's id.
    pub project_id: String,
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
        epoch: u64,
    },
    /// It cannot be used.
    Blocked {
        /// Why.
        reason: Reason,
        /// What to do about it.
        message: String,
    },
}

/// Whose turn it is on the instance.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Turn {
    /// Not asked for yet.
    NotAsked,
    /// This object's.
    Mine,
    /// Another object's, by namespace and name.
    Behind(String),
}

/// Whether the account's request rate has room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Permit {
    /// Not asked for yet.
    NotAsked,
    /// In hand.
    Granted,
    /// Queued; the object is woken when it is granted.
    Queued,
}

impl Observed<'_> {
    /// Whether the latest intent is without a definite answer: the cloud may or may not have a backup for it.
    pub fn intent_is_open(&self) -> bool {
        self.status.intent_is_open()
    }

    /// Number of the current attempt, from 1: failed ones are over.
    pub fn attempt(&self) -> i32 {
        i32::try_from(self.status.failed_attempts.len()).unwrap_or(i32::MAX).saturating_add(1)
    }
}
