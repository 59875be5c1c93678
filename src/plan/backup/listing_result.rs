//! What listings showed of an object's backups, and what that is worth.
//!
//! * A record that a page shows counts, complete or not; only a complete listing says anything about what is not in it.
//! * A result belongs to the place where the listing was read. What was seen elsewhere than where the status says that the backup is says nothing; another host
//!   of the same project counts only if it shows the backup.

use super::rule::{Rule, is_kept};
use crate::{
    api::status::DatabaseBackupStatus,
    cloud::backup::RemoteBackup,
    plan::{
        clock::Moment,
        place::{Place, Whereabouts},
        settings::Settings,
    },
};
use std::sync::Arc;

/// What a listing showed of an object's backups: those with its id or one of its marks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ListingResult {
    /// Where it was gathered.
    pub place: Arc<Place>,
    /// When the listing was started.
    pub started: Moment,
    /// What it says about what it did not show.
    pub covers: Covers,
    /// The records; empty where there is none.
    pub found: Vec<RemoteBackup>,
}

/// What a look-up for one object is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LookFor {
    /// The backup of its latest attempt, or the one that it adopts.
    Backup,
    /// Everything that it ever had in the cloud, before any of it is deleted.
    Inventory,
}

/// What a listing says about what it did not show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Covers {
    /// It is not there: the listing was complete, and of everything that the instance or the project has.
    Everything,
    /// The one backup that was asked for by its id is not there.
    TheBackup,
    /// Nothing: the listing was complete, but only of what began within a window of time, as the clocks of cloud and operator have it.
    AWindow,
    /// Nothing: the listing does not hold together, or broke off.
    Nothing,
}

/// After so many listings in a row that should have shown a backup, and did not, it is asked for by its id.
pub const OVERLOOKED: u8 = 3;

impl ListingResult {
    /// Whether it shows the status' backup, by its id or by the mark of the latest attempt.
    pub fn shows(&self, status: &DatabaseBackupStatus) -> bool {
        let has_mark = |backup: &RemoteBackup| status.backup_name.as_deref() == Some(&backup.mark);
        self.record(status).is_some() || self.found.iter().any(has_mark)
    }

    /// The record with the status' id.
    pub fn record(&self, status: &DatabaseBackupStatus) -> Option<&RemoteBackup> {
        let id = status.backup_id.as_deref()?;
        self.found.iter().find(|backup| backup.id == id)
    }

    /// Whether the listing was read where the status says that the backup is.
    pub fn is_here(&self, status: &DatabaseBackupStatus) -> bool {
        is_here(&self.place, status)
    }

    /// Whether it says anything about the backup of this status.
    pub fn counts_for(&self, status: &DatabaseBackupStatus) -> bool {
        match self.place.whereabouts(status) {
            _ if !is_kept(Rule::ResultHasAPlace) => true,
            Whereabouts::Here => true,
            Whereabouts::OtherHost => self.shows(status),
            Whereabouts::Elsewhere => false,
        }
    }

    /// Whether it says anything about what it did not show.
    pub fn is_complete(&self) -> bool {
        matches!(self.covers, Covers::Everything | Covers::TheBackup)
    }
}

/// Whether a place is where the status says that the backup is.
pub fn is_here(place: &Place, status: &DatabaseBackupStatus) -> bool {
    place.whereabouts(status) == Whereabouts::Here || !is_kept(Rule::ResultHasAPlace)
}

/// Since when listings have lacked a backup that was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Absence {
    /// Start of the first listing without it.
    pub first: Moment,
    /// Start of the latest.
    pub last: Moment,
    /// It was asked for by its id, too, and not found.
    pub asked_by_id: bool,
}

impl Absence {
    /// It is still missing, as a look says that was begun at `started`.
    pub fn prolonged(before: Option<Self>, started: Moment, by_id: bool) -> Self {
        let before = before.unwrap_or(Self { first: started, last: started, asked_by_id: false });
        Self { last: started, asked_by_id: before.asked_by_id || by_id, ..before }
    }

    /// Whether two looks that lack it are far enough apart to count.
    pub fn is_long(&self, settings: &Settings) -> bool {
        self.last.since(self.first) >= settings.gone_after
    }
}
