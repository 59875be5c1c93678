//! What a decision comes to.

use super::survey::Target;
use crate::{
    api::{backup::DatabaseBackup, schedule::DatabaseBackupScheduleStatus},
    cloud::permits::Urgency,
    plan::notice::Notice,
};
use jiff::Timestamp;
use std::time::Duration;

/// What to do next.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Have an older backup lapse, for which nothing is open or made in the cloud, since this newer one takes its place; plan again.
    Supersede {
        /// UID of the older one.
        uid: String,
        /// Name of the newer one.
        newer: String,
    },
    /// Create the backup of a slot, unless it is there; plan again.
    Create {
        /// The slot.
        slot: Timestamp,
        /// The object.
        object: Box<DatabaseBackup>,
    },
    /// Start a complete listing in the background; the schedule is woken when it is there.
    Survey {
        /// Of what.
        target: Target,
        /// Whether a backup waits for it.
        urgency: Urgency,
    },
    /// Mark these backups, by UID, as to be deleted by retention; plan again.
    Retire(Vec<String>),
    /// Delete these objects, by UID, as a user would; plan again.
    Delete(Vec<String>),
    /// There is room in the cloud now: have these backups, by UID, tried again at once; plan again.
    TellOfRoom(Vec<String>),
    /// Write this status if it says anything new, publish the Events, and plan again.
    Report(Box<Report>),
    /// Nothing to do but wait, at most so long; absent: until something changes.
    RequeueAfter(Option<Duration>),
}

/// A status to write.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The status.
    pub status: DatabaseBackupScheduleStatus,
    /// Events that tell of it.
    pub notices: Vec<Notice>,
}
