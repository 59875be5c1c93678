//! The status that is being made, and everything that goes with it.

use super::seen::Seen;
use crate::{
    api::schedule::DatabaseBackupScheduleStatus,
    plan::{clock::Moment, notice::Notice},
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use std::time::Duration;

/// The status that is being made, and everything that goes with it.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    /// The status.
    pub status: DatabaseBackupScheduleStatus,
    /// Events that tell of it.
    pub notices: Vec<Notice>,
    /// The API server does not take the child of a slot.
    pub refusal: Option<String>,
    /// The backup that the next slot waits for.
    pub waits_for: Option<String>,
    wake: Option<Duration>,
    now: Moment,
}

impl Draft {
    pub(super) fn of(s: &Seen<'_>) -> Self {
        let status = s.status.clone();
        Self { status, notices: Vec::new(), refusal: None, waits_for: None, wake: None, now: s.now }
    }

    /// Look again after so long at the latest.
    pub(super) fn wake_in(&mut self, pause: Duration) {
        self.wake = Some(self.wake.map_or(pause, |wake| wake.min(pause)));
    }

    /// Look again at this time of the wall clock at the latest.
    pub(super) fn wake_at(&mut self, time: Timestamp) {
        self.wake_in(Duration::try_from(time.duration_since(self.now.wall)).unwrap_or_default());
    }

    pub(super) fn wake(&self) -> Option<Duration> {
        self.wake
    }

    pub(super) fn tell(&mut self, reason: &'static str, action: &'static str, is_warning: bool, note: String) {
        self.notices.push(Notice { reason, action, is_warning, note });
    }

    /// A slot was decided, and this is the one after it.
    pub(super) fn move_on(&mut self, slot: Timestamp, cursor: Option<Timestamp>) {
        let last = self.status.last_schedule_time.as_ref().map_or(slot, |last| last.0.max(slot));
        self.status.last_schedule_time = Some(Time(last));
        self.status.next_schedule_time = cursor.map(Time);
    }

    /// Slots were missed; one Event tells of a row of them.
    pub(super) fn miss(&mut self, count: u64, newest: Timestamp, why: &str) {
        if count == 0 {
            return;
        }
        self.status.missed_runs = self.status.missed_runs.saturating_add(i64::try_from(count).unwrap_or(i64::MAX));
        let note = match count {
            1 => format!("the slot of {newest} was skipped: {why}"),
            _ => format!("{count} slots up to {newest} were skipped: {why}"),
        };
        self.tell("SlotSkipped", "Schedule", true, note);
    }
}
