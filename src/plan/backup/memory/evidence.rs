//! What listings showed of an object's backups, and what that is worth.
//!
//! * A record that a page shows counts, complete or not; only a complete listing says anything about what is not in it.
//! * Evidence belongs to the place where it was gathered. What was seen elsewhere than where the status says that the backup is says nothing; another host
//!   of the same project counts only if it shows the backup.

use super::Memory;
use crate::{
    api::status::DatabaseBackupStatus,
    cloud::{backup::RemoteBackup, errors::Error, listing::Gap, session::ListError},
    plan::{
        backup::{
            outcome::{Circumstances, incomplete, unreadable},
            rule::{Rule, is_kept},
        },
        clock::Moment,
        place::{Place, Whereabouts},
        settings::Settings,
    },
};
use std::sync::Arc;

/// What a listing showed of an object's backups: those with its id or one of its marks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Evidence {
    /// Where it was gathered.
    pub place: Arc<Place>,
    /// When the listing was started.
    pub started: Moment,
    /// What it says about what it did not show.
    pub covers: Covers,
    /// The records; empty where there is none.
    pub found: Vec<RemoteBackup>,
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

impl Evidence {
    /// Whether it shows the status' backup, by its id or by the mark of the latest attempt.
    fn shows(&self, status: &DatabaseBackupStatus) -> bool {
        let has_mark = |backup: &RemoteBackup| status.backup_name.as_deref() == Some(&backup.mark);
        self.record(status).is_some() || self.found.iter().any(has_mark)
    }

    /// The record with the status' id.
    pub fn record(&self, status: &DatabaseBackupStatus) -> Option<&RemoteBackup> {
        let id = status.backup_id.as_deref()?;
        self.found.iter().find(|backup| backup.id == id)
    }

    /// Whether it says anything about the backup of this status.
    fn counts_for(&self, status: &DatabaseBackupStatus) -> bool {
        match self.place.whereabouts(status) {
            _ if !is_kept(Rule::EvidenceHasAPlace) => true,
            Whereabouts::Here => true,
            Whereabouts::OtherHost => self.shows(status),
            Whereabouts::Elsewhere => false,
        }
    }

    fn is_complete(&self) -> bool {
        matches!(self.covers, Covers::Everything | Covers::TheBackup)
    }
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
    fn prolonged(before: Option<Self>, started: Moment, by_id: bool) -> Self {
        let before = before.unwrap_or(Self { first: started, last: started, asked_by_id: false });
        Self { last: started, asked_by_id: before.asked_by_id || by_id, ..before }
    }

    /// Whether two looks that lack it are far enough apart to count.
    pub fn is_long(&self, settings: &Settings) -> bool {
        self.last.since(self.first) >= settings.gone_after
    }
}

impl Memory {
    /// A look-up for this object begins.
    pub fn begin_look(&mut self, epoch: Option<u64>, now: Moment) {
        let annotations = self.counted_annotations();
        let looks = &mut self.looks;
        looks.under_way = true;
        looks.last = Some(now);
        looks.in_a_row = looks.in_a_row.saturating_add(1);
        (looks.epoch, looks.annotations) = (epoch, annotations);
    }

    /// A look for this object came to its end, and showed these of its backups under any of its marks.
    pub fn saw(&mut self, status: &DatabaseBackupStatus, evidence: Evidence) {
        self.looks.under_way = false;
        let is_here = evidence.place.whereabouts(status) == Whereabouts::Here || !is_kept(Rule::EvidenceHasAPlace);
        let is_missed = !evidence.shows(status);
        if let Some(doubt) = self.doubt.as_mut().filter(|_| is_missed) {
            doubt.looks += 1;
            // A listing that began before the intent was seen was about something else.
            if evidence.covers == Covers::Everything && is_here && evidence.started >= doubt.since {
                doubt.misses += 1;
                doubt.last_miss = Some(evidence.started);
            }
        }
        self.surveyed(&evidence);
        self.sight(status, evidence);
    }

    /// A complete listing of the instance was searched for all names that the object may ever have had; on whose behalf it was read does not matter.
    pub fn surveyed(&mut self, evidence: &Evidence) {
        if evidence.covers == Covers::Everything {
            self.survey = Some(evidence.clone());
        }
    }

    /// A poll that many share showed these of the object's backups. It settles no doubt: it may have been about an earlier attempt.
    pub fn polled(&mut self, status: &DatabaseBackupStatus, evidence: Evidence) {
        self.sight(status, evidence);
    }

    /// Listings overlap, and may end in another order than they began: an older one has nothing to say to one that found the backup.
    fn sight(&mut self, status: &DatabaseBackupStatus, evidence: Evidence) {
        let is_usable = evidence.is_complete() || is_kept(Rule::PagesAreTrue);
        if !evidence.counts_for(status) || !is_usable {
            return;
        }
        if self.sighting.as_ref().is_some_and(|newer| evidence.started < newer.started && !newer.found.is_empty()) {
            return;
        }
        // Before an id is known, any mark is news; with an id, only its record says where that backup stands.
        let is_shown = if status.backup_id.is_some() { evidence.record(status).is_some() } else { !evidence.found.is_empty() };
        if is_shown || evidence.covers != Covers::Nothing {
            self.trouble = None;
        }
        match (is_shown, evidence.covers) {
            (true, _) => (self.absence, self.overlooked) = (None, 0),
            (false, Covers::Everything | Covers::TheBackup) => {
                self.lacks(evidence.started, evidence.covers == Covers::TheBackup);
                self.overlooked = 0;
            }
            (false, covers) => {
                let more = if covers == Covers::AWindow { OVERLOOKED } else { 1 };
                self.overlooked = self.overlooked.saturating_add(more);
                return;
            }
        }
        self.sighting = Some(evidence);
    }

    /// A listing begun at `started` lacks the backup; one from before its id was known says nothing.
    fn lacks(&mut self, started: Moment, by_id: bool) {
        if self.identified.as_ref().is_none_or(|(_, since)| started >= *since) {
            self.absence = Some(Absence::prolonged(self.absence, started, by_id));
        }
    }

    /// A listing of everything that the object has in the cloud came to its end.
    pub fn took_stock(&mut self, status: &DatabaseBackupStatus, evidence: Evidence) {
        self.looks.under_way = false;
        let is_here = evidence.place.whereabouts(status) == Whereabouts::Here || !is_kept(Rule::EvidenceHasAPlace);
        let Some(removal) = self.removal.as_mut().filter(|_| is_here) else { return };
        self.trouble = None;
        removal.instance_missing = None;
        match evidence.covers {
            Covers::TheBackup => removal.by_id = Some(evidence),
            _ => removal.inventory = Some(evidence),
        }
    }

    /// How many more backups carry the object's mark than were told of before.
    pub fn new_duplicates(&mut self, mark: &str) -> usize {
        let found = self.sighting.iter().flat_map(|sighting| &sighting.found);
        let extra = found.filter(|backup| backup.mark == mark).count().saturating_sub(1);
        let new = extra.saturating_sub(self.duplicates);
        self.duplicates = self.duplicates.max(extra);
        new
    }

    /// A poll that many share failed at `place`. It says nothing about the backup. One that was only incomplete is no trouble: what it did not show is asked
    /// for by its id.
    pub fn could_not_poll(
        &mut self,
        status: &DatabaseBackupStatus,
        place: &Place,
        started: Moment,
        error: &ListError,
        circumstances: Circumstances<'_>,
    ) {
        if let ListError::Cloud(error) = error {
            self.could_not_list(status, place, started, error, circumstances);
        }
    }

    /// A look at `place` failed or was incomplete. It says nothing about what it did not show.
    pub fn could_not_look(
        &mut self,
        status: &DatabaseBackupStatus,
        place: &Place,
        started: Moment,
        error: &ListError,
        circumstances: Circumstances<'_>,
    ) {
        self.looks.under_way = false;
        match error {
            ListError::Cloud(error) => self.could_not_list(status, place, started, error, circumstances),
            ListError::Incomplete(gap) => self.was_incomplete(*gap, circumstances),
        }
    }

    fn was_incomplete(&mut self, gap: Gap, circumstances: Circumstances<'_>) {
        self.trouble = Some(incomplete(gap, self.trouble.as_ref(), self.counted_annotations(), circumstances));
    }

    fn could_not_list(
        &mut self,
        status: &DatabaseBackupStatus,
        place: &Place,
        started: Moment,
        error: &Error,
        circumstances: Circumstances<'_>,
    ) {
        self.trouble = Some(unreadable(error, self.trouble.as_ref(), self.counted_annotations(), circumstances));
        let is_here = place.whereabouts(status) == Whereabouts::Here || !is_kept(Rule::EvidenceHasAPlace);
        if error.tells_of_a_missing_instance() && is_here {
            self.instance_missing(started);
        }
    }

    /// The cloud said, to a listing begun at `started`, that the instance is not there; where a service deletes an instance's backups with it. It counts
    /// towards gone like a listing without the backup, but settles no doubt: what an instance has is known only when it can be listed.
    fn instance_missing(&mut self, started: Moment) {
        self.sighting = None;
        self.lacks(started, false);
        if let Some(removal) = &mut self.removal {
            removal.instance_missing = Some(Absence::prolonged(removal.instance_missing, started, false));
        }
    }
}
