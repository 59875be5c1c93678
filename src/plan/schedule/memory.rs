//! What this process did and saw for one schedule. Nothing here survives a restart, and nothing needs to: what must is in the status or on the children.

use super::{
    objective::Suspicion,
    seen::Seen,
    survey::{Survey, Target},
};
use crate::plan::{backup::memory::BlockedSince, clock::Moment, settings::Settings};
use jiff::Timestamp;
use std::{collections::BTreeSet, time::Duration};

/// What this process did and saw for one schedule.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::struct_excessive_bools, reason = "each answers a question of its own")]
pub struct Memory {
    /// Since when this process has looked after it.
    pub born: Moment,
    /// The newest slot that was decided, as far as this process knows: the API server's store may have been put back since.
    pub newest_slot: Option<Timestamp>,
    /// A slot whose name another object has, which is not of this schedule.
    pub collision: Option<Timestamp>,
    /// Why the API server did not take the child of a slot.
    pub refusal: Option<Refusal>,
    /// The slot that is due, and since when this process has known that.
    pub due: Option<(Timestamp, Moment)>,
    /// What the template named when it was last looked at.
    pub target: Option<Target>,
    /// The template may name something else since the cloud was last asked how well it is protected.
    pub is_unseen: bool,
    /// The template names something else than the status' objective is about.
    pub is_elsewhere: bool,
    /// The latest listing of the instance.
    pub survey: Option<Survey>,
    /// One is under way.
    pub surveying: bool,
    /// Listings in a row that could not be read.
    pub unreadable: u32,
    /// What retention has decided on, by name, and when.
    pub decided: Option<(BTreeSet<String>, Moment)>,
    /// What keeps retention from going on.
    pub retention_note: Option<String>,
    /// Backups that retention has chosen and that are still there.
    pub retiring: BTreeSet<String>,
    /// Those that have gone since that was last told.
    pub retired: BTreeSet<String>,
    /// Some have gone since somebody who waits for room was last told.
    pub is_room: bool,
    /// Objects that match the schedule by label or by name only, for which an Event was published.
    pub strays: BTreeSet<String>,
    /// Since when the schedule has been blocked without a break.
    pub blocked: Option<BlockedSince>,
    /// The objective seems to be missed.
    pub suspicion: Option<Suspicion>,
}

/// The API server did not take a child.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The slot.
    pub slot: Timestamp,
    /// Its words.
    pub message: String,
    /// When it was asked last.
    pub at: Moment,
    /// How often in a row.
    pub times: u32,
}

impl Memory {
    /// That of a schedule which this process has seen for the first time.
    pub fn new(born: Moment) -> Self {
        Self {
            born,
            newest_slot: None,
            collision: None,
            refusal: None,
            due: None,
            target: None,
            is_unseen: false,
            is_elsewhere: false,
            survey: None,
            surveying: false,
            unreadable: 0,
            decided: None,
            retention_note: None,
            retiring: BTreeSet::new(),
            retired: BTreeSet::new(),
            is_room: false,
            strays: BTreeSet::new(),
            blocked: None,
            suspicion: None,
        }
    }

    /// The API server's store was put back to an earlier state: what was known is forgotten, as by a restart, but for the slots that were decided.
    pub fn put_back(&mut self, now: Moment) {
        *self = Self { newest_slot: self.newest_slot, ..Self::new(now) };
    }

    /// Brings the memory in line with what is seen.
    pub fn notice(&mut self, seen: &Seen<'_>) {
        let retiring: BTreeSet<String> = seen.own().filter(|child| child.is_retired).map(|child| child.name.clone()).collect();
        let is_there = |name: &String| seen.children.iter().any(|child| child.name == *name);
        let before = std::mem::replace(&mut self.retiring, retiring);
        self.retired.extend(before.into_iter().filter(|name| !is_there(name)));
        self.notice_target(seen);
        self.newest_slot = self.newest_slot.max(seen.status.last_schedule_time.as_ref().map(|last| last.0));
    }

    /// An edit while this process did not look may have changed what the template names; one while it did, it knows of.
    fn notice_target(&mut self, seen: &Seen<'_>) {
        let target = seen.target();
        let is_other = self.target.as_ref().map(|known| *known != target);
        self.is_elsewhere |= is_other == Some(true);
        self.is_unseen |= is_other.unwrap_or_else(|| seen.generation.unwrap_or_default() != seen.status.observed_generation);
        self.target = Some(target);
    }

    /// Since when a slot has been known to be due.
    pub fn due_since(&mut self, slot: Timestamp, now: Moment) -> Moment {
        match self.due {
            Some((known, since)) if known == slot => since,
            _ => {
                self.due = Some((slot, now));
                now
            }
        }
    }

    /// The latest listing of a target, if it began at `since` or later.
    pub fn survey_since(&self, target: &Target, since: Moment) -> Option<&Survey> {
        self.survey.as_ref().filter(|survey| survey.target == *target && survey.started >= since)
    }

    /// How long until another listing may begin; zero if it may begin now. None while one is under way.
    pub fn survey_pause(&self, settings: &Settings, now: Moment) -> Option<Duration> {
        if self.surveying {
            return None;
        }
        let pause = if self.unreadable == 0 { settings.look_pause() } else { settings.blocked_retry(self.unreadable) };
        Some(self.survey.as_ref().map_or(Duration::ZERO, |survey| pause.saturating_sub(now.since(survey.started))))
    }

    /// A listing has ended.
    pub fn surveyed(&mut self, survey: Survey) {
        self.surveying = false;
        if self.target.as_ref() == Some(&survey.target) {
            (self.is_unseen, self.is_elsewhere) = (false, false);
        }
        self.unreadable = if survey.result.is_ok() { 0 } else { self.unreadable.saturating_add(1) };
        self.survey = Some(survey);
    }

    /// The API server did not take the child of a slot.
    pub fn refused(&mut self, slot: Timestamp, message: String, at: Moment) {
        let before = self.refusal.as_ref().filter(|refusal| refusal.slot == slot).map_or(0, |refusal| refusal.times);
        self.refusal = Some(Refusal { slot, message, at, times: before.saturating_add(1) });
    }

    /// What retention decided on, and when: a listing that began before that proves nothing about it.
    pub fn decided_at(&mut self, names: BTreeSet<String>, now: Moment) -> Moment {
        match &self.decided {
            Some((known, at)) if names.is_subset(known) => *at,
            _ => {
                self.decided = Some((names, now));
                now
            }
        }
    }
}
