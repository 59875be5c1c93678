//! The backup's id is known: say truthfully where it stands.

use super::{
    gate::{Gate, place, retry_state},
    listing_result::OVERLOOKED,
    observed::Observed,
    reason::Reason,
    report::{hold, message_of, ready_message, report, settled},
    retention,
    status::{conclude, expiration, spend_attempt, take_over, time_left},
    step::{Report, Step},
};
use crate::{
    api::{
        conditions::Kstatus,
        status::{DatabaseBackupStatus, DeleteReason, Origin, Phase},
    },
    cloud::backup::{ListScope, RemoteBackup, RemoteState},
};
use jiff::Timestamp;
use std::time::Duration;

pub(super) fn plan(o: &Observed<'_>) -> Step {
    let id = o.status.backup_id.as_deref().unwrap_or_default();
    if goes_with_its_object(o) && is_taken_away(o) {
        return deleted(o, id);
    }
    let record = o.memory.latest_result.as_ref().and_then(|latest| latest.record(o.status));
    // One that was last seen running, and is known to: what keeps the operator from looking again is of more interest.
    let is_known = |backup: &&RemoteBackup| {
        matches!(backup.state, RemoteState::Running | RemoteState::Deleting) && o.status.phase == Some(Phase::Running)
    };
    if let Some(backup) = record.filter(|backup| !is_known(backup)) {
        return follow(o, o.status.clone(), backup);
    }
    match o.memory.absence.filter(|absence| absence.is_long(o.settings)) {
        Some(_) if goes_with_its_object(o) => deleted(o, id),
        Some(absence) if is_missing(o) && (absence.asked_by_id || !finds_by_id(o)) => {
            gone(o, o.status.clone(), &format!("the cloud no longer lists backup {id}"))
        }
        Some(_) if is_missing(o) => ask_by_id(o, id),
        _ if o.memory.overlooked >= OVERLOOKED && finds_by_id(o) && is_asked_again(o) => ask_by_id(o, id),
        _ => unchanged(o, id),
    }
}

fn finds_by_id(o: &Observed<'_>) -> bool {
    o.spec.source.engine.api().finds_by_id
}

/// Whether its absence is news.
fn is_missing(o: &Observed<'_>) -> bool {
    o.status.phase != Some(Phase::Missing) && o.status.delete_reason.is_none()
}

/// Whether a backup that listings overlook is asked for by its id: at once, and once its absence would count.
fn is_asked_again(o: &Observed<'_>) -> bool {
    o.memory.absence.is_none_or(|absence| o.now.since(absence.last) >= o.settings.gone_after)
}

/// Whether backup and object go together: with the object that somebody deleted, or by retention, which deleted the object last.
fn goes_with_its_object(o: &Observed<'_>) -> bool {
    o.object.deleting && matches!(o.status.delete_reason, Some(DeleteReason::ObjectDeleted | DeleteReason::Retention))
}

/// Whether the inventory before its last deletion, or after it, lacks the backup, and nothing has shown it since.
fn is_taken_away(o: &Observed<'_>) -> bool {
    let latest = o.memory.latest_result.as_ref().filter(|latest| latest.record(o.status).is_some()).map(|latest| latest.started);
    let inventory = o.memory.removal.as_ref().and_then(|removal| removal.inventory.as_ref());
    inventory.is_some_and(|it| it.is_complete() && it.record(o.status).is_none() && latest.is_none_or(|latest| latest <= it.started))
}

/// It was deleted with its object, which somebody else's finalizer keeps.
fn deleted(o: &Observed<'_>, id: &str) -> Step {
    let message = format!("backup {id} was deleted in the cloud; the object waits for the finalizers of others");
    hold(o, Reason::Deleting, &message, None)
}

/// Listings lack it: before it counts as gone it is asked for by its id.
fn ask_by_id(o: &Observed<'_>, id: &str) -> Step {
    if o.memory.looks.under_way || place(o).is_err() {
        return unchanged(o, id);
    }
    match (retry_state(o), unchanged(o, id)) {
        (None, _) => Step::Look(lookup(o, id)),
        (Some(retry), Step::Report(report)) => {
            Step::Report(Box::new(Report { requeue_after: Some(o.now.until(retry.retry_at)), ..*report }))
        }
        (Some(_), step) => step,
    }
}

/// What a listing says of the backup decides the phase.
pub(super) fn follow(o: &Observed<'_>, mut next: DatabaseBackupStatus, backup: &RemoteBackup) -> Step {
    // An earlier version of this program did not say at which host.
    let seen_at = o.memory.latest_result.as_ref().map(|latest| latest.place.endpoint.clone()).filter(|host| !host.is_empty());
    next.endpoint = next.endpoint.or(seen_at);
    match backup.state {
        RemoteState::Completed => {
            take_over(o, &mut next, backup);
            completed(o, next, &backup.id)
        }
        // It was complete, and no later listing takes that back: one may lag, be older than what another process saw, or have a word for what is done
        // with the backup.
        RemoteState::Running | RemoteState::Deleting if o.status.phase == Some(Phase::Completed) => completed(o, next, &backup.id),
        RemoteState::Running | RemoteState::Deleting => running(o, next, &backup.id),
        // It was there: no attempt failed, and no other is made. But it is good for nothing any more.
        RemoteState::Failed if matches!(o.status.phase, Some(Phase::Completed | Phase::Missing)) => {
            gone(o, next, &format!("the cloud now reports backup {} as {}", backup.id, backup.cloud_status))
        }
        RemoteState::Failed => {
            let why = backup.failure.as_ref().map_or_else(String::new, |why| format!(" ({why})"));
            let message = format!("{} reported backup {} as {}{why}", o.spec.source.engine.as_str(), backup.id, backup.cloud_status);
            failed(o, next, &backup.id, &message)
        }
        // The operator had it deleted: that is no loss.
        RemoteState::Gone if goes_with_its_object(o) => deleted(o, &backup.id),
        RemoteState::Gone if o.status.delete_reason.is_some() => unchanged(o, &backup.id),
        RemoteState::Gone => gone(o, next, &format!("the cloud says that backup {} is {}", backup.id, backup.cloud_status)),
    }
}

fn running(o: &Observed<'_>, next: DatabaseBackupStatus, id: &str) -> Step {
    report(o, next, Phase::Running, Reason::Running, &running_message(o, id), None)
}

/// What is said of a running backup.
pub(super) fn running_message(o: &Observed<'_>, id: &str) -> String {
    let source = &o.spec.source;
    format!("{} is taking backup {id} of instance {}", source.engine.as_str(), source.instance_id)
}

fn completed(o: &Observed<'_>, next: DatabaseBackupStatus, id: &str) -> Step {
    let source = &o.spec.source;
    let kept = retention::kept_by(o, &next);
    let message = format!("{} holds backup {id} of instance {}{}", source.engine.as_str(), source.instance_id, kept.unwrap_or_default());
    let expires_in = expires_in(o, &next);
    let is_settled = kept.is_none() && is_plain(o, &next);
    match report(o, next, Phase::Completed, Reason::Completed, &message, expires_in) {
        Step::Report(report) => Step::Report(Box::new(Report { is_settled, ..*report })),
        step => step,
    }
}

/// Whether the status says that the backup is there and no more: not that it is to be deleted, nor what keeps it from that.
fn is_plain(o: &Observed<'_>, next: &DatabaseBackupStatus) -> bool {
    let is_due = next.expiration_time.as_ref().is_some_and(|at| at.0 <= o.now.wall);
    let said = ready_message(o, Reason::Completed);
    !is_due && said.is_some_and(|said| !retention::tells_of_deletion(said))
}

/// It was to be deleted, and stays; the status says why.
pub(super) fn call_off(o: &Observed<'_>) -> Step {
    let next = DatabaseBackupStatus { delete_reason: None, ..o.status.clone() };
    completed(o, next, o.status.backup_id.as_deref().unwrap_or_default())
}

/// In how long its time is up: by this machine's clock, and once it is by that one, by the cloud's.
fn expires_in(o: &Observed<'_>, next: &DatabaseBackupStatus) -> Option<Duration> {
    let due = next.expiration_time.as_ref()?.0;
    let until = |now: Timestamp| Duration::try_from(due.duration_since(now)).ok().filter(|left| !left.is_zero());
    until(o.now.wall).or_else(|| until(o.account.cloud_now()?))
}

/// The cloud gave up on this attempt. There is a next one if the limit allows; an imported backup has none.
fn failed(o: &Observed<'_>, mut next: DatabaseBackupStatus, id: &str, message: &str) -> Step {
    if next.origin == Some(Origin::Imported) {
        return report(o, next, Phase::Failed, Reason::BackupFailed, message, None);
    }
    spend_attempt(&mut next, Some(id.to_owned()), message, o.now.wall);
    let (failed, allowed) = (next.failed_attempts.len(), o.spec.attempts_allowed());
    if failed >= allowed {
        let message = format!("{failed} of {allowed} attempts failed; the last: {message}");
        return report(o, next, Phase::Failed, Reason::BackupFailed, &message, None);
    }
    if o.object.deleting {
        let message = format!("attempt {failed} failed ({message}), and no other is made: the object is being deleted");
        return report(o, next, Phase::Failed, Reason::BackupFailed, &message, None);
    }
    let backoff = o.settings.attempt_backoff(failed);
    let message = format!("attempt {failed} failed ({message}); the next one comes in {} s", backoff.as_secs());
    report(o, next, Phase::Pending, Reason::BackoffAfterFailure, &message, Some(backoff))
}

/// A backup that was complete is missing; one that never was has failed.
fn gone(o: &Observed<'_>, next: DatabaseBackupStatus, message: &str) -> Step {
    let had_it = matches!(o.status.phase, Some(Phase::Completed | Phase::Missing));
    if had_it || next.origin == Some(Origin::Imported) {
        return report(o, next, Phase::Missing, Reason::RemoteMissing, message, None);
    }
    let id = next.backup_id.clone().unwrap_or_default();
    failed(o, next, &id, &format!("{message} before it was complete"))
}

/// Nothing new was seen.
fn unchanged(o: &Observed<'_>, id: &str) -> Step {
    match o.status.phase {
        // Nothing shows it, and the status says how it goes.
        Some(Phase::Completed) if goes_with_its_object(o) && o.status.delete_reason == Some(DeleteReason::Retention) => settled(o),
        Some(Phase::Completed) => {
            let mut next = o.status.clone();
            next.expiration_time = expiration(o, &next);
            completed(o, next, id)
        }
        Some(Phase::Missing) => settled(o),
        _ => unseen(o, id),
    }
}

/// The backup runs, as far as is known; what keeps the operator from looking is said.
fn unseen(o: &Observed<'_>, id: &str) -> Step {
    match place(o) {
        Err(Gate::Closed(reason, message)) => return hold(o, reason, &message, None),
        Err(Gate::Verifying { left, .. }) => {
            let deadline = Some(time_left(o)).filter(|left| !left.is_zero());
            return Step::RequeueAfter(Some(deadline.map_or(left, |deadline| deadline.min(left))));
        }
        Ok(_) => {}
    }
    match retry_state(o).filter(|retry| retry.reason.kstatus() == Kstatus::Blocked || retry.failures >= 3) {
        Some(retry) => hold(o, retry.reason, message_of(o, retry), None),
        None => as_before(o, id),
    }
}

/// After a restart nothing is written until something is known; but a deadline may have passed, and a failure may be over.
fn as_before(o: &Observed<'_>, id: &str) -> Step {
    let message = running_message(o, id);
    let status = conclude(o, o.status.clone(), Phase::Running, Reason::Running, &message);
    let requeue_after = Some(time_left(o)).filter(|left| !left.is_zero());
    Step::Report(Box::new(Report { status, reason: Some(Reason::Running), is_settled: false, requeue_after }))
}

/// How a single backup is looked up: by its id where the service can, else among those of its instance.
pub fn lookup(o: &Observed<'_>, id: &str) -> ListScope {
    if finds_by_id(o) {
        ListScope::Backup { instance_id: o.spec.source.instance_id.clone(), backup_id: id.to_owned() }
    } else {
        ListScope::Instance { instance_id: o.spec.source.instance_id.clone(), automatic: false }
    }
}
