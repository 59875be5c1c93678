//! What this process did and saw for one object. Nothing here survives a restart, and nothing needs to: what must is in the status.

use super::{
    clock::Moment,
    outcome::{Circumstances, Trouble, refused, undeleted},
    reason::Reason,
    rule::{Rule, is_kept},
    settings::Settings,
};
use crate::{
    api::{conditions::Standing, status::DatabaseBackupStatus},
    cloud::{
        backup::{CreatedBackup, RemoteBackup},
        errors::{Class, Error},
    },
};
use jiff::Timestamp;
use std::time::Duration;

/// What this process did and saw for one object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Memory {
    /// The latest intent that this process wrote, and how far its create call got.
    pub own: Option<OwnIntent>,
    /// The search for a backup whose create call was not answered.
    pub doubt: Option<Doubt>,
    /// What the latest complete listing showed.
    pub sighting: Option<Sighting>,
    /// Since when listings have lacked the backup.
    pub absence: Option<Absence>,
    /// The backup's id in the status, and since when this process has known of it.
    pub identified: Option<(String, Moment)>,
    /// What stands in the way, and when it is tried again.
    pub trouble: Option<Trouble>,
    /// The deletion in the cloud that is under way.
    pub removal: Option<Removal>,
    /// A listing for this object is on its way.
    pub looking: bool,
    /// The reason reported last.
    pub reported: Option<Reason>,
    /// Since when the object has been blocked without a break.
    pub blocked: Option<BlockedSince>,
    /// Backups beyond the first under this object's mark that were told of.
    pub duplicates: usize,
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
    /// It made nothing; the trouble says why.
    Rejected,
    /// It may have reached the cloud. In one line, what happened.
    Unanswered(String),
}

/// The search for a backup whose create call was not answered.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Doubt {
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

impl Doubt {
    /// Whether the backup is known not to exist: two complete listings of this process lack it, the later one started a settle delay after the
    /// intent by the wall clock, and after this process first saw it by its own.
    pub fn is_settled(&self, settings: &Settings) -> bool {
        if !is_kept(Rule::TwoListings) {
            return self.misses > 0;
        }
        self.misses >= 2
            && self.last_miss.is_some_and(|at| {
                at.since(self.since) >= settings.settle_delay && at.since_wall(self.request_time) >= settings.settle_delay
            })
    }

    /// When the next look is due.
    pub fn next_look(&self, settings: &Settings) -> Moment {
        self.since.plus(settings.look_due(self.looks))
    }
}

/// What a complete listing showed of the object's backups: those with its id or its mark.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Sighting {
    /// When the listing was started.
    pub started: Moment,
    /// The records; empty where there is none.
    pub found: Vec<RemoteBackup>,
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

/// A deletion in the cloud.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Removal {
    /// Everything that the object has in the cloud, by a listing since the deletion began and since the last DELETE call.
    pub inventory: Option<Sighting>,
    /// Since when the cloud has said that the instance is gone, where that means that all its backups are.
    pub instance_missing: Option<Absence>,
    /// It was asked for by its id since then, and not found.
    pub asked_by_id: bool,
    /// The next listing may begin.
    pub not_before: Moment,
    /// The backup whose deletion the cloud has accepted, and when: it takes a while, and is not asked for again meanwhile.
    pub accepted: Option<(String, Moment)>,
    /// Marks under which a deletion was accepted: their create calls are in doubt no longer.
    pub marks: Vec<String>,
}

impl Removal {
    fn begin(not_before: Moment) -> Self {
        Self { inventory: None, instance_missing: None, asked_by_id: false, not_before, accepted: None, marks: Vec::new() }
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
    /// Brings the memory in line with the status at the start of a reconcile. A call that was cut off has no answer any more, and an open intent that
    /// is not this process's own, or was not answered, is in doubt from now on.
    pub fn notice(&mut self, status: &DatabaseBackupStatus, now: Moment) {
        if let Some(own) = &mut self.own
            && own.stage == Stage::Sending
        {
            own.stage = Stage::Unanswered("the call was cut off".into());
        }
        // What lacked a backup before its id was known says nothing about whether it is gone.
        if self.identified.as_ref().map(|(id, _)| id) != status.backup_id.as_ref() {
            self.identified = status.backup_id.clone().map(|id| (id, now));
            self.absence = None;
        }
        let Some(request_time) = status.request_time.as_ref().map(|t| t.0).filter(|_| status.intent_is_open()) else {
            self.doubt = None;
            return;
        };
        let since = match self.own.as_ref().filter(|own| own.request_time == request_time) {
            Some(OwnIntent { stage: Stage::Unanswered(_), begun, .. }) => *begun,
            Some(_) => return,
            None => now,
        };
        if self.doubt.as_ref().is_none_or(|doubt| doubt.request_time != request_time) {
            self.doubt = Some(Doubt { request_time, since, looks: 0, misses: 0, last_miss: None });
            self.sighting = None;
        }
    }

    /// A deletion in the cloud begins, or goes on, or there is none.
    pub fn notice_removal(&mut self, wanted: bool, now: Moment) {
        match (wanted, &self.removal) {
            (false, _) => self.removal = None,
            (true, Some(_)) => {}
            (true, None) => {
                self.removal = Some(Removal::begin(now));
                // What stood in the way of a create call or a look does not stand in the way of this.
                self.trouble = None;
            }
        }
    }

    /// A complete listing of everything that the object has in the cloud.
    pub fn took_stock(&mut self, started: Moment, found: Vec<RemoteBackup>, by_id: bool) {
        self.looking = false;
        self.trouble = None;
        if let Some(removal) = &mut self.removal {
            removal.instance_missing = None;
            if by_id && found.is_empty() {
                removal.asked_by_id = true;
            } else {
                removal.inventory = Some(Sighting { started, found });
            }
        }
    }

    /// A DELETE call came to an end. Whatever it said, only a new listing says what is left.
    pub fn deleted(&mut self, backup_id: &str, answer: Result<(), Error>, place: Circumstances<'_>) {
        let Some(removal) = &mut self.removal else { return };
        let not_before = place.now.plus(place.settings.poll_interval / 3);
        let accepted = answer.is_ok().then(|| (backup_id.to_owned(), place.now));
        let mut marks = std::mem::take(&mut removal.marks);
        let listed = removal.inventory.iter().flat_map(|inventory| &inventory.found);
        marks.extend(listed.filter(|backup| accepted.is_some() && backup.id == backup_id).map(|backup| backup.mark.clone()));
        *removal = Removal { not_before, accepted, marks, ..Removal::begin(place.now) };
        self.trouble = match answer {
            Ok(()) => None,
            // It is gone, or was not asked for: the next listing says what there is to do.
            Err(error) if matches!(error.class, Class::BackupNotFound | Class::Withheld) => None,
            Err(error) => Some(undeleted(&error, self.trouble.as_ref(), place)),
        };
    }

    /// The intent in the status, if this process wrote it.
    pub fn own_intent(&self, status: &DatabaseBackupStatus) -> Option<&OwnIntent> {
        self.own.as_ref().filter(|own| status.request_time.as_ref().is_some_and(|t| t.0 == own.request_time))
    }

    /// An intent was stored, by this process and no other. Whatever was seen of an earlier attempt is no longer of interest. One whose write was not
    /// answered is not remembered: should another process have planned in the same microsecond, what is stored may be its intent.
    pub fn intend(&mut self, request_time: Timestamp, begun: Moment) {
        self.own = Some(OwnIntent { request_time, begun, stage: Stage::Written });
        self.sighting = None;
        self.absence = None;
    }

    /// The create call is about to be sent.
    pub fn sending(&mut self) {
        if let Some(own) = &mut self.own {
            own.stage = Stage::Sending;
        }
    }

    /// The create call came to an end.
    pub fn answered(&mut self, answer: Result<CreatedBackup, Error>, place: Circumstances<'_>) {
        let Some(own) = &mut self.own else { return };
        own.stage = match answer {
            Ok(created) => {
                self.trouble = None;
                Stage::Accepted(created)
            }
            // The last check before the socket said no: nothing was sent, and the plan decides anew.
            Err(error) if error.class == Class::Withheld => Stage::Written,
            // "Name exists" may mean that an earlier call of this attempt got through.
            Err(error) if error.class == Class::NameExists || !error.is_definite_rejection() => Stage::Unanswered(error.to_string()),
            Err(error) => {
                self.trouble = Some(refused(&error, self.trouble.as_ref(), place));
                Stage::Rejected
            }
        };
    }

    /// A look for this object, begun at `started`, showed these of its backups. `by_id`: it was asked for this one backup by its id.
    pub fn saw(&mut self, started: Moment, found: Vec<RemoteBackup>, by_id: bool) {
        self.looking = false;
        if let Some(doubt) = self.doubt.as_mut().filter(|_| found.is_empty()) {
            doubt.looks += 1;
            doubt.misses += 1;
            doubt.last_miss = Some(started);
        }
        self.sight(started, found, by_id);
    }

    /// A poll that many share, begun at `started`, showed these of the object's backups. It settles no doubt: it may have been about an earlier attempt.
    pub fn polled(&mut self, started: Moment, found: Vec<RemoteBackup>) {
        self.sight(started, found, false);
    }

    /// Listings overlap, and may end in another order than they began: an older one has nothing to say to one that found the backup.
    fn sight(&mut self, started: Moment, found: Vec<RemoteBackup>, by_id: bool) {
        self.trouble = None;
        if self.sighting.as_ref().is_some_and(|newer| started < newer.started && !newer.found.is_empty()) {
            return;
        }
        if found.is_empty() {
            self.lacks(started, by_id);
        } else {
            self.absence = None;
        }
        self.sighting = Some(Sighting { started, found });
    }

    /// A listing begun at `started` lacks the backup; one from before its id was known says nothing.
    fn lacks(&mut self, started: Moment, by_id: bool) {
        if self.identified.as_ref().is_none_or(|(_, since)| started >= *since) {
            self.absence = Some(Absence::prolonged(self.absence, started, by_id));
        }
    }

    /// The cloud said, to a listing begun at `started`, that the instance is not there; where a service deletes an instance's backups with it. It counts
    /// towards gone like a listing without the backup, but settles no doubt: what an instance has is known only when it can be listed.
    pub fn instance_missing(&mut self, started: Moment) {
        self.sighting = None;
        self.lacks(started, false);
        if let Some(removal) = &mut self.removal {
            removal.instance_missing = Some(Absence::prolonged(removal.instance_missing, started, false));
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

    /// A poll failed or was incomplete; it says nothing about the backup.
    pub fn could_not_poll(&mut self, trouble: Trouble) {
        self.trouble = Some(trouble);
    }

    /// A look failed or was incomplete; it says nothing about the backup.
    pub fn could_not_look(&mut self, trouble: Trouble) {
        self.looking = false;
        if let Some(doubt) = &mut self.doubt {
            doubt.looks += 1;
        }
        self.trouble = Some(trouble);
    }

    /// A status with this reason is about to be reported.
    pub fn report(&mut self, reason: Reason, was_stalled: bool, now: Moment) {
        if reason.standing() == Standing::Blocked {
            let stalled_before = was_stalled && self.reported.is_none();
            self.blocked.get_or_insert(BlockedSince { since: now, stalled_before });
        } else {
            self.blocked = None;
        }
        self.reported = Some(reason);
    }
}
