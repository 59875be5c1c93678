//! Everything that a decision about one backup may depend on.

use super::{clock::Moment, memory::Memory, reason::Reason, settings::Settings};
use crate::{
    api::{backup::DatabaseBackupSpec, status::DatabaseBackupStatus},
    cloud::engine::Cloud,
};
use jiff::Timestamp;
use std::ops::Deref;

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
    /// Whether it is this object's turn on its instance.
    pub turn: &'a Turn,
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

/// The same, with what this process did and saw for the object.
#[derive(Clone, Copy, Debug)]
pub struct Observed<'a> {
    /// The object and what is around it.
    pub seen: &'a Seen<'a>,
    /// What this process did and saw for it.
    pub memory: &'a Memory,
}

impl<'a> Deref for Observed<'a> {
    type Target = Seen<'a>;

    fn deref(&self) -> &Self::Target {
        self.seen
    }
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

/// A project of a cloud: where an account points.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Project {
    /// The cloud.
    pub cloud: Cloud,
    /// The region.
    pub region: String,
    /// The project's id.
    pub project_id: String,
}

/// Where backups are taken: a project, and the host that serves the engine there. Whatever is seen of backups is evidence of one place only.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// The project.
    pub project: Project,
    /// The service's host, with its port if there is one; empty where the region has none.
    pub endpoint: String,
}

/// How a place stands to the one where a status says that the backup is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whereabouts {
    /// The same; also for a status that names none yet.
    Here,
    /// The same project, at another host.
    OtherHost,
    /// Another cloud, region or project.
    Elsewhere,
}

impl Project {
    /// Whether a status says that its backup is, or will be, in this project; so it does as long as it names none.
    pub fn holds(&self, status: &DatabaseBackupStatus) -> bool {
        match (status.cloud.as_deref(), status.region.as_deref(), status.project_id.as_deref()) {
            (Some(cloud), Some(region), Some(project_id)) => {
                cloud == self.cloud.as_str() && region == self.region && project_id == self.project_id
            }
            _ => true,
        }
    }
}

impl Place {
    /// How it stands to where a status says that the backup is.
    pub fn whereabouts(&self, status: &DatabaseBackupStatus) -> Whereabouts {
        if !self.project.holds(status) {
            return Whereabouts::Elsewhere;
        }
        match status.endpoint.as_deref() {
            Some(host) if host != self.endpoint => Whereabouts::OtherHost,
            _ => Whereabouts::Here,
        }
    }
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

    /// Its epoch, if it is ready.
    pub fn epoch(&self) -> Option<u64> {
        match self {
            Self::Ready { epoch, .. } => Some(*epoch),
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

/// Whose turn it is on the instance.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Turn {
    /// Not asked for yet.
    NotAsked,
    /// This object's.
    Mine,
    /// Another object's, by namespace and name.
    Behind(String),
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
    /// Queued; the object is woken when it is granted.
    Queued,
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
