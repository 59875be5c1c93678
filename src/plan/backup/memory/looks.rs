//! Look-ups and polls, and what their results do to the memory.

use super::Memory;
use crate::{
    api::status::DatabaseBackupStatus,
    cloud::{errors::Error, listing::Gap, session::ListError},
    plan::{
        backup::{
            listing_result::{Absence, Covers, ListingResult, LookFor, OVERLOOKED, is_here},
            retry::{AttemptContext, incomplete, unreadable},
            rule::{Rule, is_kept},
        },
        clock::Moment,
        place::Place,
    },
};

impl Memory {
    /// A look-up for this object begins.
    pub fn begin_look(&mut self, credentials_generation: Option<u64>, now: Moment) {
        let annotations = self.counted_annotations();
        let looks = &mut self.looks;
        looks.under_way = true;
        looks.last = Some(now);
        looks.in_a_row = looks.in_a_row.saturating_add(1);
        (looks.credentials_generation, looks.annotations) = (credentials_generation, annotations);
    }

    /// A look for this object came to its end, and showed these of its backups under any of its marks.
    pub fn looked(&mut self, look_for: LookFor, status: &DatabaseBackupStatus, result: ListingResult) {
        match look_for {
            LookFor::Backup => self.saw(status, result),
            LookFor::Inventory => self.took_inventory(status, result),
        }
    }

    fn saw(&mut self, status: &DatabaseBackupStatus, result: ListingResult) {
        self.looks.under_way = false;
        let is_here = result.is_here(status);
        let is_missed = !result.shows(status);
        if let Some(unknown) = self.unknown_outcome.as_mut().filter(|_| is_missed) {
            unknown.looks += 1;
            // A listing that began before the intent was seen was about something else.
            if result.covers == Covers::Everything && is_here && result.started >= unknown.since {
                unknown.misses += 1;
                unknown.last_miss = Some(result.started);
            }
        }
        self.surveyed(&result);
        self.take_result(status, result);
    }

    /// A complete listing of the instance was searched for all names that the object may ever have had; on whose behalf it was read does not matter.
    pub fn surveyed(&mut self, result: &ListingResult) {
        if result.covers == Covers::Everything {
            self.survey = Some(result.clone());
        }
    }

    /// A poll that many share showed these of the object's backups. It settles no unknown outcome: it may have been about an earlier attempt.
    pub fn polled(&mut self, status: &DatabaseBackupStatus, result: ListingResult) {
        self.take_result(status, result);
    }

    /// Listings overlap, and may end in another order than they began: an older one has nothing to say to one that found the backup.
    fn take_result(&mut self, status: &DatabaseBackupStatus, result: ListingResult) {
        let is_usable = result.is_complete() || is_kept(Rule::PagesAreTrue);
        if !result.counts_for(status) || !is_usable {
            return;
        }
        if self.latest_result.as_ref().is_some_and(|newer| result.started < newer.started && !newer.found.is_empty()) {
            return;
        }
        // Before an id is known, any mark is news; with an id, only its record says where that backup stands.
        let is_shown = if status.backup_id.is_some() { result.record(status).is_some() } else { !result.found.is_empty() };
        if is_shown || result.covers != Covers::Nothing {
            self.retry = None;
        }
        match (is_shown, result.covers) {
            (true, _) => (self.absence, self.overlooked) = (None, 0),
            (false, Covers::Everything | Covers::TheBackup) => {
                self.lacks(result.started, result.covers == Covers::TheBackup);
                self.overlooked = 0;
            }
            (false, covers) => {
                let more = if covers == Covers::AWindow { OVERLOOKED } else { 1 };
                self.overlooked = self.overlooked.saturating_add(more);
                return;
            }
        }
        self.latest_result = Some(result);
    }

    /// A listing begun at `started` lacks the backup; one from before its id was known says nothing.
    fn lacks(&mut self, started: Moment, by_id: bool) {
        if self.identified.as_ref().is_none_or(|(_, since)| started >= *since) {
            self.absence = Some(Absence::prolonged(self.absence, started, by_id));
        }
    }

    /// A listing of everything that the object has in the cloud came to its end.
    fn took_inventory(&mut self, status: &DatabaseBackupStatus, result: ListingResult) {
        self.looks.under_way = false;
        let is_here = result.is_here(status);
        let Some(removal) = self.removal.as_mut().filter(|_| is_here) else { return };
        self.retry = None;
        removal.instance_missing = None;
        match result.covers {
            Covers::TheBackup => removal.by_id = Some(result),
            _ => removal.inventory = Some(result),
        }
    }

    /// How many more backups carry the object's mark than Events were published for.
    pub fn new_duplicates(&mut self, mark: &str) -> usize {
        let found = self.latest_result.iter().flat_map(|latest| &latest.found);
        let extra = found.filter(|backup| backup.mark == mark).count().saturating_sub(1);
        let new = extra.saturating_sub(self.duplicates);
        self.duplicates = self.duplicates.max(extra);
        new
    }

    /// A poll that many share failed at `place`. It says nothing about the backup. One that was only incomplete is no failure: what it did not show is asked
    /// for by its id.
    pub fn could_not_poll(
        &mut self,
        status: &DatabaseBackupStatus,
        place: &Place,
        started: Moment,
        error: &ListError,
        context: AttemptContext<'_>,
    ) {
        if let ListError::Cloud(error) = error {
            self.could_not_list(status, place, started, error, context);
        }
    }

    /// A look at `place` failed or was incomplete. It says nothing about what it did not show.
    pub fn could_not_look(
        &mut self,
        status: &DatabaseBackupStatus,
        place: &Place,
        started: Moment,
        error: &ListError,
        context: AttemptContext<'_>,
    ) {
        self.looks.under_way = false;
        match error {
            ListError::Cloud(error) => self.could_not_list(status, place, started, error, context),
            ListError::Incomplete(gap) => self.was_incomplete(*gap, context),
        }
    }

    fn was_incomplete(&mut self, gap: Gap, context: AttemptContext<'_>) {
        self.retry = Some(incomplete(gap, self.retry.as_ref(), self.counted_annotations(), context));
    }

    fn could_not_list(
        &mut self,
        status: &DatabaseBackupStatus,
        place: &Place,
        started: Moment,
        error: &Error,
        context: AttemptContext<'_>,
    ) {
        self.retry = Some(unreadable(error, self.retry.as_ref(), self.counted_annotations(), context));
        if error.tells_of_a_missing_instance() && error.api.backups_go_with_instance && is_here(place, status) {
            self.instance_missing(started);
        }
    }

    /// The cloud said, to a listing begun at `started`, that the instance is not there; where a service deletes an instance's backups with it. It counts
    /// towards gone like a listing without the backup, but settles no unknown outcome: what an instance has is known only when it can be listed.
    fn instance_missing(&mut self, started: Moment) {
        self.latest_result = None;
        self.lacks(started, false);
        if let Some(removal) = &mut self.removal {
            removal.instance_missing = Some(Absence::prolonged(removal.instance_missing, started, false));
        }
    }
}
