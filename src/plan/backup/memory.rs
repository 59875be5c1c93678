//! What this process did and saw for one object. Nothing here survives a restart, and nothing needs to: what must is in the status.
//!
//! What listings showed, and what that means, is in [`super::listing_result`]; what they do to the memory, in `looks`.

mod looks;

use super::{
    listing_result::{Absence, ListingResult},
    reason::Reason,
    retry::{AttemptContext, RetryState, refused, undeleted},
    rule::{Rule, is_kept},
    seen::{Account, Permit, Seen},
};
use crate::{
    api::{conditions::Kstatus, status::DatabaseBackupStatus},
    cloud::{backup::CreatedBackup, codes::Class, errors::Error},
    plan::{clock::Moment, settings::Settings},
};
use jiff::Timestamp;

use std::time::Duration;

/// What this process did and saw for one object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Memory {
    /// The latest intent that this process wrote, and how far its create call got.
    pub own: Option<OwnIntent>,
    /// The search for a backup whose create call was not answered.
    pub unknown_outcome: Option<UnknownOutcome>,
    /// What the latest listing showed that said anything of the object's backups.
    pub latest_result: Option<ListingResult>,
    /// The latest complete listing of the instance that was searched for all names that the object may ever have had.
    pub survey: Option<ListingResult>,
    /// Since when listings have lacked the backup.
    pub absence: Option<Absence>,
    /// Listings in a row that should have shown the backup, did not, and prove nothing: they were not complete, or went back only so far.
    pub overlooked: u8,
    /// The backup's id in the status, and since when this process has known of it.
    pub identified: Option<(String, Moment)>,
    /// How many attempts have failed, and since when this process has known that.
    pub failures: Option<(usize, Moment)>,
    /// What stands in the way, and when it is tried again.
    pub retry: Option<RetryState>,
    /// The deletion in the cloud that is under way.
    pub removal: Option<Removal>,
    /// The look-ups that this object caused.
    pub looks: Looks,
    /// The object's annotations, as far as they count.
    pub annotations: Option<Annotations>,
    /// What create calls were refused with that no table has, and that was searched for in vain.
    pub searched_for: Vec<String>,
    /// The reason reported last.
    pub reported: Option<Reason>,
    /// When this process last wrote a status of this object.
    pub wrote: Option<Moment>,
    /// Since when the object has been blocked without a break.
    pub blocked: Option<BlockedSince>,
    /// Since when nothing has been known of its account.
    pub verifying: Option<Moment>,
    /// Since when it has queued for a permit.
    pub queued: Option<Moment>,
    /// Backups beyond the first under this object's mark for which an Event was published.
    pub duplicates: usize,
}

/// The look-ups that an object caused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Looks {
    /// One is on its way.
    pub under_way: bool,
    /// When the latest began.
    pub last: Option<Moment>,
    /// How many there were in a row that left the object blocked.
    pub in_a_row: u32,
    /// The generation of the account's credentials at the latest.
    pub credentials_generation: Option<u64>,
    /// What had counted of the annotations at the latest.
    pub annotations: u64,
}

/// An object's annotations, as far as they count. A change of them is a person's wish for another try.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Annotations {
    /// What counts.
    pub counted: u64,
    /// When a change last counted.
    pub changed: Option<Moment>,
}

/// An intent that this process wrote.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OwnIntent {
    /// The time in it, by which it is recognised in the status.
    pub request_time: Timestamp,
    /// The moment before it was written.
    pub begun: Moment,
    /// How far its create call got.
    pub stage: Stage,
}

/// How far a create call got.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Nothing was sent.
    Written,
    /// It is under way.
    Sending,
    /// The cloud accepted it.
    Accepted(CreatedBackup),
    /// It made nothing; the retry state says why.
    Rejected,
    /// It may have reached the cloud.
    Unanswered {
        /// In one line, what happened.
        what: String,
        /// What it was refused with, where that is a refusal that no table has.
        refusal: Option<String>,
    },
}

/// The search for a backup whose create call was not answered.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UnknownOutcome {
    /// The intent in question.
    pub request_time: Timestamp,
    /// When this process first saw it.
    pub since: Moment,
    /// Looks made so far, complete or not.
    pub looks: u32,
    /// Complete listings that lacked it.
    pub misses: u32,
    /// When the latest of those was started.
    pub last_miss: Option<Moment>,
}

impl UnknownOutcome {
    /// Whether the backup is known not to exist: two complete listings of this process lack it, the later one started a settle delay after the
    /// intent by the wall clock, and after this process first saw it by its own.
    ///
    /// The wall clock that dated the intent may have been ahead, and have been set right since. So twice the delay by this process's own clock is enough:
    /// the intent was stored before this process saw it.
    pub fn is_settled(&self, settings: &Settings) -> bool {
        if !is_kept(Rule::TwoListings) {
            return self.misses > 0;
        }
        let delay = settings.settle_delay;
        self.misses >= 2
            && self.last_miss.is_some_and(|at| {
                let own = at.since(self.since);
                let is_long = own >= delay * 2 && is_kept(Rule::SearchesEnd);
                own >= delay && (is_long || at.since_wall(self.request_time) >= delay)
            })
    }

    /// When the next look is due.
    pub fn next_look(&self, settings: &Settings) -> Moment {
        self.since.plus(settings.look_due(self.looks))
    }
}

/// A deletion in the cloud.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Removal {
    /// Everything that the object has in the cloud, by a listing since the deletion began and since the last DELETE call.
    pub inventory: Option<ListingResult>,
    /// Since when the cloud has said that the instance is gone, where that means that all its backups are.
    pub instance_missing: Option<Absence>,
    /// What it answered since then when it was asked for the backup by its id.
    pub by_id: Option<ListingResult>,
    /// The next listing may begin.
    pub not_before: Moment,
    /// The backup whose deletion the cloud has accepted, and when: it takes a while, and is not asked for again meanwhile.
    pub accepted: Option<(String, Moment)>,
    /// Marks under which a deletion was accepted: the outcome of their create calls no longer matters.
    pub marks: Vec<String>,
}

impl Removal {
    fn begin(not_before: Moment) -> Self {
        Self { inventory: None, instance_missing: None, by_id: None, not_before, accepted: None, marks: Vec::new() }
    }
}

/// Since when an object has been blocked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BlockedSince {
    /// First seen by this process.
    pub since: Moment,
    /// It was Stalled already when this process first saw it.
    pub stalled_before: bool,
}

impl BlockedSince {
    /// What is left of the grace; zero once it is over.
    pub fn grace_left(&self, settings: &Settings, now: Moment) -> Duration {
        if self.stalled_before { Duration::ZERO } else { settings.blocked_grace.saturating_sub(now.since(self.since)) }
    }
}

impl Memory {
    /// Brings the memory in line with the object at the start of a decision. A call that was cut off has no answer any more, and an open intent that
    /// is not this process's own, or was not answered, has an unknown outcome from now on.
    pub fn notice(&mut self, seen: &Seen<'_>, is_removed: bool) {
        let (status, now) = (seen.status, seen.now);
        if let Some(own) = &mut self.own
            && own.stage == Stage::Sending
        {
            own.stage = Stage::Unanswered { what: "the call was cut off".into(), refusal: None };
        }
        // What lacked a backup before its id was known says nothing about whether it is gone.
        if self.identified.as_ref().map(|(id, _)| id) != status.backup_id.as_ref() {
            self.identified = status.backup_id.clone().map(|id| (id, now));
            self.absence = None;
            self.overlooked = 0;
        }
        if self.failures.map(|(count, _)| count) != Some(status.failed_attempts.len()) {
            self.failures = Some((status.failed_attempts.len(), now));
        }
        self.verifying = (*seen.account == Account::Verifying).then(|| self.verifying.unwrap_or(now));
        self.queued = match seen.permit {
            Permit::Granted => None,
            Permit::Queued | Permit::Crowded | Permit::Paused => Some(self.queued.unwrap_or(now)),
            Permit::NotAsked => self.queued,
        };
        self.notice_annotations(seen.object.annotations, seen.settings, now);
        self.notice_intent(status, now);
        self.notice_removal(is_removed, now);
    }

    fn notice_annotations(&mut self, annotations: u64, settings: &Settings, now: Moment) {
        let known = self.annotations.get_or_insert(Annotations { counted: annotations, changed: None });
        let is_due = known.changed.is_none_or(|changed| now.since(changed) >= settings.annotation_pause());
        if known.counted != annotations && (is_due || !is_kept(Rule::AnnotationPause)) {
            *known = Annotations { counted: annotations, changed: Some(now) };
        }
    }

    /// When a change of the annotations counts that came too soon after the last one.
    pub fn annotations_due(&self, annotations: u64, settings: &Settings) -> Option<Moment> {
        let known = self.annotations.filter(|known| known.counted != annotations)?;
        known.changed.map(|changed| changed.plus(settings.annotation_pause()))
    }

    /// What counts of the annotations.
    pub fn counted_annotations(&self) -> u64 {
        self.annotations.map(|known| known.counted).unwrap_or_default()
    }

    fn notice_intent(&mut self, status: &DatabaseBackupStatus, now: Moment) {
        let request_time = status.request_time.as_ref().map(|t| t.0);
        // An intent of another process is younger than what this one looked through.
        if self.own_intent(status).is_none() && self.survey.as_ref().is_some_and(|survey| request_time > Some(survey.started.wall)) {
            self.survey = None;
        }
        let Some(request_time) = request_time.filter(|_| status.intent_is_open()) else {
            self.unknown_outcome = None;
            return;
        };
        let since = match self.own.as_ref().filter(|own| own.request_time == request_time) {
            Some(OwnIntent { stage: Stage::Unanswered { .. }, begun, .. }) => *begun,
            Some(_) => return,
            None => now,
        };
        if self.unknown_outcome.as_ref().is_none_or(|unknown| unknown.request_time != request_time) {
            self.unknown_outcome = Some(UnknownOutcome { request_time, since, looks: 0, misses: 0, last_miss: None });
            self.latest_result = None;
        }
    }

    /// A deletion in the cloud begins, or goes on, or there is none.
    fn notice_removal(&mut self, wanted: bool, now: Moment) {
        match (wanted, &self.removal) {
            (false, _) => self.removal = None,
            (true, Some(_)) => {}
            (true, None) => {
                self.removal = Some(Removal::begin(now));
                // What stood in the way of a create call or a look does not stand in the way of this.
                self.retry = None;
            }
        }
    }

    /// A DELETE call came to an end. Whatever it said, only a new listing says what is left.
    pub fn deleted(&mut self, backup_id: &str, answer: Result<(), Error>, context: AttemptContext<'_>) {
        let annotations = self.counted_annotations();
        let Some(removal) = &mut self.removal else { return };
        let not_before = context.now.plus(context.settings.look_pause());
        let accepted = answer.is_ok().then(|| (backup_id.to_owned(), context.now));
        let mut marks = std::mem::take(&mut removal.marks);
        let listed = removal.inventory.iter().flat_map(|inventory| &inventory.found);
        marks.extend(listed.filter(|backup| accepted.is_some() && backup.id == backup_id).map(|backup| backup.mark.clone()));
        *removal = Removal { not_before, accepted, marks, ..Removal::begin(context.now) };
        self.retry = match answer {
            Ok(()) => None,
            // It is gone, or was not asked for: the next listing says what there is to do.
            Err(error) if matches!(error.class(), Class::BackupNotFound | Class::Cancelled) => None,
            Err(error) => Some(undeleted(&error, self.retry.as_ref(), annotations, context)),
        };
    }

    /// The intent in the status, if this process wrote it.
    pub fn own_intent(&self, status: &DatabaseBackupStatus) -> Option<&OwnIntent> {
        self.own.as_ref().filter(|own| status.request_time.as_ref().is_some_and(|t| t.0 == own.request_time))
    }

    /// An intent was stored, by this process and no other. What was seen of an earlier attempt stays: it
    /// names other backups. An intent whose write was not answered is not remembered: should another process have planned in the same microsecond, what is stored may be its intent.
    pub fn intend(&mut self, request_time: Timestamp, begun: Moment) {
        let before = self.own.replace(OwnIntent { request_time, begun, stage: Stage::Written });
        // There is another intent only because a search found nothing.
        if let Some(OwnIntent { stage: Stage::Unanswered { refusal: Some(refusal), .. }, .. }) = before
            && !self.searched_for.contains(&refusal)
        {
            self.searched_for.push(refusal);
        }
    }

    /// The create call is about to be sent.
    pub fn sending(&mut self) {
        if let Some(own) = &mut self.own {
            own.stage = Stage::Sending;
        }
    }

    /// The create call came to an end.
    pub fn answered(&mut self, answer: Result<CreatedBackup, Error>, context: AttemptContext<'_>) {
        let annotations = self.counted_annotations();
        let Some(own) = &mut self.own else { return };
        let is_refused = |error: &Error| {
            error.is_definite_rejection()
                || is_kept(Rule::RefusalsEnd) && error.unsure_refusal().is_some_and(|refusal| self.searched_for.contains(&refusal))
        };
        own.stage = match answer {
            Ok(created) => {
                self.retry = None;
                Stage::Accepted(created)
            }
            // The last check before the socket said no: nothing was sent, and the plan decides anew.
            Err(error) if error.class() == Class::Cancelled => Stage::Written,
            // "Name exists" may mean that an earlier call of this attempt got through.
            Err(error) if error.class() == Class::NameExists || !is_refused(&error) => {
                Stage::Unanswered { what: error.to_string(), refusal: error.unsure_refusal() }
            }
            Err(error) => {
                self.retry = Some(refused(&error, self.retry.as_ref(), annotations, context));
                Stage::Rejected
            }
        };
    }

    /// Room was made in the cloud: what a used-up quota keeps from being asked for is tried again when its object is next looked at, but not before the cloud
    /// wants to be asked again. Its reason stays until then, so that its grace goes on without a break.
    pub fn room_was_made(&mut self, now: Moment) {
        if let Some(retry) = self.retry.as_mut().filter(|retry| retry.reason == Reason::QuotaExceeded) {
            retry.retry_at = now;
        }
    }

    /// Whether this process has had a call accepted that deletes the object's backup.
    pub fn is_deletion_accepted(&self) -> bool {
        self.removal.as_ref().is_some_and(|removal| removal.accepted.is_some() || !removal.marks.is_empty())
    }

    /// A status with this reason is about to be reported.
    pub fn report(&mut self, reason: Reason, was_stalled: bool, now: Moment) {
        if reason.kstatus() == Kstatus::Blocked {
            let stalled_before = was_stalled && self.reported.is_none();
            self.blocked.get_or_insert(BlockedSince { since: now, stalled_before });
        } else {
            self.blocked = None;
            self.looks.in_a_row = 0;
        }
        self.reported = Some(reason);
    }
}
