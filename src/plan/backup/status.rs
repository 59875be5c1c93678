//! The status that says truthfully what was observed.

use super::{observed::Observed, reason::Reason};
use crate::{
    api::{
        conditions::{self, Blocked, Kstatus, Verdict, types},
        status::{DatabaseBackupStatus, FailedAttempt, Phase},
    },
    cloud::{backup::RemoteBackup, parse::clean},
    plan::settings::Settings,
};
use jiff::{RoundMode, Timestamp, TimestampRound, Unit};
use k8s_openapi::apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::Time};
use std::time::Duration;

/// What stands before the message of something on its way whose deadline has passed.
pub const STILL_WATCHING: &str = "still watching: ";

/// `next` with the phase and the conditions that a reason stands for. What is on its way past its deadline is reported as overdue.
pub fn conclude(o: &Observed<'_>, next: DatabaseBackupStatus, phase: Phase, reason: Reason, message: &str) -> DatabaseBackupStatus {
    let overdue = reason.kstatus() == Kstatus::InProgress && time_left(o).is_zero();
    if overdue {
        let seconds = o.spec.progress_deadline().as_secs();
        let message = format!("not Completed within {seconds} s, {STILL_WATCHING}{message}");
        return with_conditions(o, next, phase, Reason::ProgressDeadlineExceeded, &message);
    }
    with_conditions(o, next, phase, reason, message)
}

fn with_conditions(o: &Observed<'_>, mut next: DatabaseBackupStatus, phase: Phase, reason: Reason, message: &str) -> DatabaseBackupStatus {
    let verdict = Verdict { kstatus: reason.kstatus(), reason: reason.as_str(), message };
    next.conditions = conditions::conditions(&o.status.conditions, verdict, blocked(o), o.object.generation, o.now.wall);
    next.observed_generation = o.object.generation.unwrap_or_default();
    next.phase = Some(phase);
    next
}

/// The same status for a newer generation: the spec's mutable fields changed, and nothing else did.
pub fn restated(o: &Observed<'_>) -> DatabaseBackupStatus {
    let mut next = o.status.clone();
    next.observed_generation = o.object.generation.unwrap_or_default();
    for condition in &mut next.conditions {
        condition.observed_generation = o.object.generation;
    }
    next
}

/// What is left until the progress deadline; zero once it has passed.
pub fn time_left(o: &Observed<'_>) -> Duration {
    o.spec.progress_deadline().saturating_sub(o.now.since_wall(o.object.created))
}

/// How long a blocked object waits before it looks again: as long as it has been blocked, which doubles each time, from 2 polls to 120.
pub fn blocked_pause(o: &Observed<'_>) -> Duration {
    let blocked_for = o.memory.blocked.map(|blocked| o.now.since(blocked.since)).unwrap_or_default();
    blocked_for.clamp(o.settings.blocked_retry(1), o.settings.blocked_retry(u32::MAX))
}

/// What is left of the grace in which a blocked object counts as being worked on.
pub fn grace_left(o: &Observed<'_>) -> Duration {
    match o.memory.blocked {
        Some(blocked) => blocked.grace_left(o.settings, o.now),
        None if conditions::is_true(&o.status.conditions, types::STALLED) && o.memory.reported.is_none() => Duration::ZERO,
        None => o.settings.blocked_grace,
    }
}

fn blocked(o: &Observed<'_>) -> Blocked {
    if grace_left(o).is_zero() { Blocked::PastGrace } else { Blocked::WithinGrace }
}

/// Takes over what a listing says of the backup.
pub fn take_over(o: &Observed<'_>, next: &mut DatabaseBackupStatus, remote: &RemoteBackup) {
    next.cloud_status = Some(remote.cloud_status.clone());
    next.start_time = remote.start_time.map(stored).or(next.start_time.take());
    next.completion_time = remote.completion_time.map(stored);
    next.size = remote.size.map(quantity);
    next.engine_version = remote.engine_version.clone().or(next.engine_version.take());
    next.last_sync_time = o.memory.latest_result.as_ref().map(|latest| stored(latest.started.wall));
    next.expiration_time = expiration(o, next);
}

/// The binary suffixes of quantities, each 1024 times the one before.
const SUFFIXES: [&str; 5] = ["Ki", "Mi", "Gi", "Ti", "Pi"];

/// Bytes as a quantity in canonical form: a whole number with the largest binary suffix that leaves it exact.
/// (`k8s.io/apimachinery/pkg/api/resource`: "the exponent is as large as possible", and no fractional digits.)
fn quantity(bytes: i64) -> Quantity {
    let (mut number, mut suffix) = (bytes, "");
    for larger in SUFFIXES {
        if number == 0 || number % 1024 != 0 {
            break;
        }
        (number, suffix) = (number / 1024, larger);
    }
    Quantity(format!("{number}{suffix}"))
}

/// The bytes of a quantity that [`take_over`] wrote, or an earlier version of it, which wrote plain numbers; absent for anything else.
pub fn bytes(quantity: &Quantity) -> Option<u64> {
    let with_suffix = SUFFIXES.iter().zip(1..).find_map(|(suffix, power)| Some((quantity.0.strip_suffix(suffix)?, 1024_u64.pow(power))));
    let (digits, factor) = with_suffix.unwrap_or((&quantity.0, 1));
    digits.parse::<u64>().ok()?.checked_mul(factor)
}

/// When the backup is due to be deleted: `expireAfterDays` after its completion, or after the last sync where the cloud gives no completion time.
/// A completion before the request is a mistake of the cloud's, and no reason to delete anything early.
pub fn expiration(o: &Observed<'_>, status: &DatabaseBackupStatus) -> Option<Time> {
    let expires_after = o.spec.expires_after()?;
    let completed = status.completion_time.as_ref().or(status.last_sync_time.as_ref())?.0;
    let completed = status.request_time.as_ref().map_or(completed, |requested| requested.0.max(completed));
    completed.checked_add(expires_after).ok().map(stored)
}

/// Moves the current attempt to the failed ones: its ids make room for the next attempt's.
pub fn spend_attempt(next: &mut DatabaseBackupStatus, backup_id: Option<String>, message: &str, now: Timestamp) {
    next.failed_attempts.push(FailedAttempt {
        backup_name: next.backup_name.clone().unwrap_or_default(),
        backup_id,
        message: clean(message, 200),
    });
    next.backup_id = None;
    next.job_id = None;
    next.create_outcome = None;
    next.origin = None;
    next.start_time = None;
    next.completion_time = None;
    next.size = None;
    next.last_sync_time = Some(stored(now));
}

/// A time as the API stores it, in whole seconds: with fractions it would differ from what is read back, and be written again and again.
pub fn stored(time: Timestamp) -> Time {
    Time(time.round(TimestampRound::new().smallest(Unit::Second).mode(RoundMode::Trunc)).unwrap_or(time))
}

/// Whether two statuses say the same. When the cloud was last read is not worth a write alone, unless the one that is stored is older than half a
/// resync interval: then the slow look has been here.
pub fn says_the_same(stored: &DatabaseBackupStatus, next: &DatabaseBackupStatus, settings: &Settings) -> bool {
    let age = match (&stored.last_sync_time, &next.last_sync_time) {
        (Some(stored), Some(next)) => next.0.duration_since(stored.0).unsigned_abs(),
        _ => Duration::ZERO,
    };
    let mut stored = stored.clone();
    if age < settings.resync_interval / 2 {
        stored.last_sync_time.clone_from(&next.last_sync_time);
    }
    stored == *next
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_exact_quantities_in_canonical_form_and_are_read_back() {
        for (size, written) in [
            (0, "0"),
            (1, "1"),
            (1000, "1000"),
            (1024, "1Ki"),
            (1_610_612_736, "1536Mi"),
            (1 << 50, "1Pi"),
            ((1 << 40) + 1, "1099511627777"),
        ] {
            assert_eq!(quantity(size).0, written);
            assert_eq!(bytes(&quantity(size)), u64::try_from(size).ok());
        }
        for other in ["", "Mi", "1.5Gi", "-1", "1k", "99999999999Pi"] {
            assert_eq!(bytes(&Quantity(other.into())), None, "{other}");
        }
    }
}
