//! What a decision comes to.

use super::{reason::Reason, status::says_the_same};
use crate::{
    api::status::DatabaseBackupStatus,
    cloud::backup::{ListScope, NewBackup},
    plan::{settings::Settings, wording},
};
use std::time::Duration;

/// What to do next.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Join the queue of the instance, and plan again.
    JoinQueue,
    /// Ask for a permit for one create call, and plan again.
    TakePermit,
    /// Write this status, which holds the intent to create; if exactly this was stored, plan again at once.
    WriteIntent(Box<DatabaseBackupStatus>),
    /// Send the create call of the intent just written, unless the last check says no; keep the answer in memory, and plan again.
    Send(NewBackup),
    /// Start a complete listing for this object in the background; the object is woken when it is there.
    Look(ListScope),
    /// Put the finalizer on the object, or take it off since nothing in the cloud goes with it, and plan again.
    SetFinalizer(bool),
    /// Take the finalizer off: the cloud holds nothing of this object any more. Plan again.
    Release,
    /// Start a complete listing of everything that the object ever had in the cloud, in the background; the object is woken when it is there.
    TakeInventory(ListScope),
    /// Delete this backup in the cloud, keep what comes of it in memory, and plan again.
    Delete {
        /// The cloud's id of the backup.
        backup_id: String,
    },
    /// Delete this version of the object: its schedule keeps fewer, and the cloud holds nothing of it any more. Plan again if it changed, or is kept by a finalizer.
    DeleteObject,
    /// Write this status if it says anything new, and rest.
    Report(Box<Report>),
    /// Nothing to do but wait, at most so long; absent: until something changes.
    RequeueAfter(Option<Duration>),
}

/// A status to write.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The status.
    pub status: DatabaseBackupStatus,
    /// The reason in its conditions; absent where an earlier one is restated.
    pub reason: Option<Reason>,
    /// Nothing happens to the object any more, and its message says no more than the rest of the status: in other words it is no news.
    pub is_settled: bool,
    /// Look again after so long, if nothing happens before.
    pub requeue_after: Option<Duration>,
}

impl Report {
    /// Whether writing it would change anything that is worth a write.
    pub fn is_news(&self, stored: &DatabaseBackupStatus, settings: &Settings) -> bool {
        !says_the_same(stored, &self.status, settings) && !self.is_reworded(stored, settings)
    }

    /// Whether a settled object would only be told of in other words, as by another version of this program. The next write that is news brings them along.
    fn is_reworded(&self, stored: &DatabaseBackupStatus, settings: &Settings) -> bool {
        let conditions = &self.status.conditions;
        let reworded = || DatabaseBackupStatus { conditions: conditions.clone(), ..stored.clone() };
        self.is_settled
            && wording::says_the_same(&stored.conditions, conditions, |_| None)
            && says_the_same(&reworded(), &self.status, settings)
    }
}

/// Whether the stored status carries the intent exactly as it was meant to be written. A definition in the cluster that is older than this program
/// drops fields silently; nothing may be sent then.
pub fn carries_intent(stored: Option<&DatabaseBackupStatus>, meant: &DatabaseBackupStatus) -> bool {
    stored.is_some_and(|stored| {
        stored.backup_name == meant.backup_name
            && stored.attempts == meant.attempts
            && stored.request_time == meant.request_time
            && stored.create_outcome == meant.create_outcome
            && (&stored.cloud, &stored.region, &stored.project_id) == (&meant.cloud, &meant.region, &meant.project_id)
            && stored.endpoint == meant.endpoint
            && stored.failed_attempts == meant.failed_attempts
            && stored.backup_id.is_none()
    })
}
