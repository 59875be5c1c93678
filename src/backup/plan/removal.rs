//! The backup in the cloud is to be deleted: because the object is, under `deletionPolicy: Delete`, or because its time is up.
//!
//! Deleted is only what a fresh listing shows with one of this object's own marks, on its own instance, and what was told in the status before. What
//! the cloud says of a deletion is never the end of it: the next listing is.

use super::{Gate, Report, Step, doubt, place, trouble};
use crate::{
    api::{
        backup::DeletionPolicy,
        status::{DatabaseBackupStatus, DeleteReason, Phase},
    },
    backup::{
        memory::{Removal, Stage},
        name::backup_name,
        observed::Observed,
        outcome::Trouble,
        reason::Reason,
        status::conclude,
    },
    cloud::backup::{ListScope, RemoteBackup, RemoteState},
};
use std::time::Duration;

/// What a person can do who cannot wait.
const WAY_OUT: &str = "set deletionPolicy to Retain to let the object go and keep the backup";

/// Whether the object needs the finalizer: only while there may be something in the cloud that goes with it.
pub(super) fn wants_finalizer(o: &Observed<'_>) -> bool {
    o.spec.deletion_policy == DeletionPolicy::Delete && o.spec.source.existing_backup_id.is_none() && o.status.phase != Some(Phase::Expired)
}

/// The object is being deleted.
pub(super) fn of_object(o: &Observed<'_>) -> Step {
    if !o.object.has_finalizer {
        return Step::Rest(None);
    }
    // Flipped to Retain, or never asked for: nothing in the cloud goes with it.
    if !wants_finalizer(o) || o.status.backup_name.is_none() {
        return Step::SetFinalizer(false);
    }
    remove(o, DeleteReason::ObjectDeleted)
}

/// The time of a completed backup is up.
pub(super) fn is_expired(o: &Observed<'_>) -> bool {
    o.status.phase == Some(Phase::Completed) && o.status.expiration_time.as_ref().is_some_and(|at| at.0 <= o.now.wall)
}

/// Deletes the backup in the cloud; the object stays.
pub(super) fn expire(o: &Observed<'_>) -> Step {
    remove(o, DeleteReason::Expired)
}

fn remove(o: &Observed<'_>, why: DeleteReason) -> Step {
    if let Err(gate) = place(o) {
        return shut_out(o, why, gate);
    }
    let Some(removal) = o.memory.removal.as_ref() else { return Step::Rest(Some(o.settings.poll_interval)) };
    if let Some(trouble) = trouble(o) {
        return refused(o, why, trouble);
    }
    let Some(inventory) = removal.inventory.as_ref() else { return take_stock(o, removal) };
    let mine = own_marks(o);
    let is_mine = |backup: &&RemoteBackup| {
        mine.contains(&backup.mark) && backup.instance_id == o.spec.source.instance_id && backup.state != RemoteState::Gone
    };
    let remaining: Vec<&RemoteBackup> = inventory.found.iter().filter(is_mine).collect();
    match remaining.as_slice() {
        [] => nothing_left(o, why, removal),
        [backup, ..] => delete(o, why, backup, o.now.since(inventory.started)),
    }
}

/// Every name that this object ever used in the cloud.
fn own_marks(o: &Observed<'_>) -> Vec<String> {
    let source = &o.spec.source;
    let attempts = o.status.attempts.unwrap_or_default().clamp(0, 32);
    (1..=attempts).map(|attempt| backup_name(source.engine, o.object.name, o.object.uid, &source.instance_id, attempt)).collect()
}

fn take_stock(o: &Observed<'_>, removal: &Removal) -> Step {
    match o.now.until(removal.not_before) {
        Duration::ZERO => look(o, ListScope::Instance { instance_id: o.spec.source.instance_id.clone(), window: None }),
        wait => Step::Rest(Some(wait)),
    }
}

/// One listing at a time; the object is woken when it is there.
fn look(o: &Observed<'_>, scope: ListScope) -> Step {
    if o.memory.looking { Step::Rest(None) } else { Step::TakeStock(scope) }
}

/// One that runs, or goes already, is waited for; any other is deleted, once the status says so. `age`: of the listing.
fn delete(o: &Observed<'_>, why: DeleteReason, backup: &RemoteBackup, age: Duration) -> Step {
    let id = &backup.id;
    if matches!(backup.state, RemoteState::Running | RemoteState::Deleting) || is_going(o, id) {
        return match o.settings.poll_interval.saturating_sub(age) {
            Duration::ZERO => look(o, ListScope::Instance { instance_id: o.spec.source.instance_id.clone(), window: None }),
            wait => say(o, why, Reason::Deleting, &format!("waiting for backup {id}, which is {}", backup.cloud_status), Some(wait)),
        };
    }
    if o.status.delete_reason != Some(why) {
        return say(o, why, Reason::Deleting, &format!("deleting backup {id}"), None);
    }
    Step::Delete { backup_id: id.clone() }
}

/// Whether the cloud has accepted its deletion lately; after four polls it is asked again.
fn is_going(o: &Observed<'_>, id: &str) -> bool {
    let accepted = o.memory.removal.as_ref().and_then(|removal| removal.accepted.as_ref());
    accepted.is_some_and(|(going, at)| going == id && o.now.since(*at) < o.settings.poll_interval * 4)
}

/// A fresh listing shows nothing of this object. It is asked for by its id, too, where that can be done; and a call without an answer may still
/// turn up.
fn nothing_left(o: &Observed<'_>, why: DeleteReason, removal: &Removal) -> Step {
    if let Some(id) = o.status.backup_id.as_ref().filter(|_| o.spec.source.engine.service().finds_by_id() && !removal.asked_by_id) {
        return look(o, ListScope::Backup { backup_id: id.clone() });
    }
    if is_in_doubt(o, removal) {
        match doubt::plan(o) {
            None => {}
            Some(Step::Report(report)) => {
                let message = "the answer to a create call was lost; looking for the backup before the object is let go";
                return say(o, why, Reason::Deleting, message, report.wake);
            }
            Some(step) => return step,
        }
    }
    match why {
        DeleteReason::Expired => {
            let next = DatabaseBackupStatus { delete_reason: Some(why), ..o.status.clone() };
            let id = o.status.backup_id.as_deref().unwrap_or_default();
            let message = format!("backup {id} was deleted when its time was up");
            super::report(o, next, Phase::Expired, Reason::Expired, &message, None)
        }
        DeleteReason::ObjectDeleted | DeleteReason::Retention => Step::SetFinalizer(false),
    }
}

/// Whether a create call may still turn up: it has no answer, and its backup was never seen.
fn is_in_doubt(o: &Observed<'_>, removal: &Removal) -> bool {
    let own = o.memory.own_intent(o.status).map(|own| &own.stage);
    let answered = matches!(own, Some(Stage::Unconfirmed | Stage::Written | Stage::Rejected));
    let seen = !doubt::hits(o).is_empty() || o.status.backup_name.as_ref().is_some_and(|mark| removal.marks.contains(mark));
    o.intent_is_open() && !answered && !seen
}

/// The account cannot be used.
fn shut_out(o: &Observed<'_>, why: DeleteReason, gate: Gate) -> Step {
    match gate {
        Gate::Verifying => Step::Rest(None),
        Gate::Closed(Reason::AccountMismatch, message) => say(o, why, Reason::DeleteBlocked, &format!("{message}; or {WAY_OUT}"), None),
        Gate::Closed(_, message) => say(o, why, Reason::CredentialsUnavailable, &format!("{message}; or {WAY_OUT}"), None),
    }
}

/// The cloud does not delete it, or cannot be asked.
fn refused(o: &Observed<'_>, why: DeleteReason, trouble: &Trouble) -> Step {
    let wake = Some(o.now.until(trouble.retry_at));
    match trouble.reason {
        Reason::EndpointMisconfigured | Reason::Unsupported => {
            say(o, why, Reason::DeleteUnsupported, &format!("{}; {WAY_OUT}", trouble.message), wake)
        }
        _ => say(o, why, Reason::Deleting, &format!("tried again: {}", trouble.message), wake),
    }
}

/// Reports on a deletion. An expired backup stays Ready while the cloud refuses: it is there.
fn say(o: &Observed<'_>, why: DeleteReason, reason: Reason, message: &str, wake: Option<Duration>) -> Step {
    let next = DatabaseBackupStatus { delete_reason: Some(why), ..o.status.clone() };
    let phase = o.status.phase.unwrap_or(Phase::Pending);
    let (reason, message) = match why {
        DeleteReason::Expired => (Reason::Completed, format!("its time is up: {message}")),
        DeleteReason::ObjectDeleted | DeleteReason::Retention => (reason, message.to_owned()),
    };
    Step::Report(Box::new(Report { status: conclude(o, next, phase, reason, &message), reason: Some(reason), wake }))
}
