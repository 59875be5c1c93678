//! What a complete listing of an instance, of all types of backup, showed.

use super::{
    child::Instance,
    objective::{self, Good},
};
use crate::{
    api::schedule::TakenBy,
    cloud::backup::{RemoteBackup, RemoteState},
    plan::{account::AccountKey, clock::Moment},
};
use jiff::Timestamp;
use std::collections::BTreeSet;

/// What is listed, and with which account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The account.
    pub account: AccountKey,
    /// The instance.
    pub instance: Instance,
}

/// A listing that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survey {
    /// What was listed.
    pub target: Target,
    /// When the listing began.
    pub started: Moment,
    /// What it showed; or why it could not be read to its end.
    pub result: Result<Found, String>,
}

/// What a complete listing showed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The newest full, finished, usable backup.
    pub newest: Option<Good>,
    /// Whether there is a full, finished one from which the cloud says that nothing can be restored.
    pub has_unusable: bool,
    /// The ids of all that are finished and usable.
    pub finished: BTreeSet<String>,
    /// The cloud's time when the listing began, by its latest answer; absent where none had a date.
    pub cloud_time: Option<Timestamp>,
}

impl Found {
    /// What is kept of a complete listing. `taken_by`: who took a backup.
    pub fn read(
        listed: &[RemoteBackup],
        instance_id: &str,
        cloud_time: Option<Timestamp>,
        taken_by: impl Fn(&RemoteBackup) -> TakenBy,
    ) -> Self {
        let of_it = || listed.iter().filter(|backup| backup.instance_id == instance_id);
        let finished = of_it().filter(|backup| backup.state == RemoteState::Completed && !backup.is_unusable);
        Self {
            newest: objective::newest(listed, instance_id, taken_by),
            has_unusable: of_it().any(|backup| objective::is_full(backup) && backup.is_unusable),
            finished: finished.map(|backup| backup.id.clone()).collect(),
            cloud_time,
        }
    }
}
