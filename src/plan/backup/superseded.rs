//! A newer run of a schedule takes the place of an older one, of which nothing is open or made in the cloud.

use super::reason::Reason;
use crate::api::{
    conditions::{self, Blocked, Verdict},
    status::{CreateOutcome, DatabaseBackupStatus, Phase},
};
use jiff::Timestamp;

/// An older run.
#[derive(Clone, Copy, Debug)]
pub struct Older<'a> {
    /// What its object says; the default where it says nothing yet.
    pub status: &'a DatabaseBackupStatus,
    /// Generation of its object.
    pub generation: Option<i64>,
    /// Its object is being deleted.
    pub deleting: bool,
}

/// Whether an older run may make room for a newer one: nothing of it is open or made in the cloud, and it has not come to its end.
pub fn may_be_superseded(older: Older<'_>) -> bool {
    !older.deleting && is_nothing_asked(older.status)
}

/// The status with which it makes room for the newer run; none if something of it is open or made in the cloud, or it has come to its end. To be written by
/// compare-and-swap: its own controller may be about to ask the cloud, and writes that down before.
///
/// What failed in the cloud is still there, so one with failed attempts has failed: with `deletionPolicy: Delete` those go with its object.
pub fn superseded(older: Older<'_>, newer: &str, now: Timestamp) -> Option<DatabaseBackupStatus> {
    let Older { status, generation, .. } = older;
    if !may_be_superseded(older) {
        return None;
    }
    let (phase, reason, message) = match status.failed_attempts.last() {
        None => {
            (Phase::Lapsed, Reason::Superseded, format!("the newer run {newer} took its place before the cloud was asked for a backup"))
        }
        Some(last) => {
            let failed = status.failed_attempts.len();
            let message = format!("the newer run {newer} took its place after {failed} failed attempt(s); the last: {}", last.message);
            (Phase::Failed, Reason::BackupFailed, message)
        }
    };
    let verdict = Verdict { kstatus: reason.kstatus(), reason: reason.as_str(), message: &message };
    Some(DatabaseBackupStatus {
        observed_generation: generation.unwrap_or_default(),
        phase: Some(phase),
        conditions: conditions::conditions(&status.conditions, verdict, Blocked::WithinGrace, generation, now),
        ..status.clone()
    })
}

/// Whether nothing is open or made in the cloud for the current attempt, and it is still to be made.
fn is_nothing_asked(status: &DatabaseBackupStatus) -> bool {
    let is_waiting = matches!(status.phase, None | Some(Phase::Pending)) && status.backup_id.is_none();
    let is_asked = usize::try_from(status.attempts.unwrap_or_default()).unwrap_or_default() > status.failed_attempts.len();
    is_waiting && (!is_asked || status.create_outcome == Some(CreateOutcome::Rejected))
}
