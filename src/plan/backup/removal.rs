//! The backup in the cloud is to be deleted: because the object is, under `deletionPolicy: Delete`; because its time is up; or because its schedule keeps
//! fewer, and then the object goes after it.
//!
//! Deleted is only what a fresh listing shows with one of this object's own marks, on its own instance, and what the status announced before; and only
//! while this machine's clock and the cloud's agree. What the cloud says of a deletion is never the end of it: the next listing is.

use super::{
    first,
    gate::{Gate, look_again_in, place, retry_state},
    listing_result::{Covers, ListingResult},
    memory::{Memory, Removal, Stage},
    observed::Observed,
    reason::Reason,
    report::{message_of, ready_message, report},
    retention,
    retry::RetryState,
    rule::{Rule, is_kept},
    seen::Seen,
    status::{conclude, take_over},
    step::{Report, Step},
    submit, unknown, watch,
};
use crate::{
    api::{
        backup::{DatabaseBackupSpec, DeletionPolicy},
        status::{DatabaseBackupStatus, DeleteReason, Phase},
    },
    cloud::{
        api::Lists,
        backup::{ListScope, RemoteBackup, RemoteState},
    },
    plan::{account::CLOCKS_DISAGREE, clock::Moment, place::Whereabouts},
};
use std::time::Duration;

/// Whether the object needs the finalizer: only while there may be something in the cloud that goes with it.
pub(super) fn wants_finalizer(o: &Observed<'_>) -> bool {
    needs_finalizer(o.spec, o.status.phase)
}

/// The same by what was asked for and the phase that it is in.
pub(super) fn needs_finalizer(spec: &DatabaseBackupSpec, phase: Option<Phase>) -> bool {
    spec.deletion_policy == DeletionPolicy::Delete
        && spec.source.existing_backup_id.is_none()
        && !matches!(phase, Some(Phase::Expired | Phase::Lapsed))
}

/// Whether the backup in the cloud is to be deleted, as far as this machine's clock knows.
pub(super) fn is_wanted(seen: &Seen<'_>, memory: &Memory) -> bool {
    seen.object.deleting || retention::why(seen, memory).is_some()
}

/// The object is being deleted.
pub(super) fn of_object(o: &Observed<'_>) -> Step {
    if !o.object.has_finalizer {
        return Step::RequeueAfter(None);
    }
    // Flipped to Retain, or never asked for: nothing in the cloud goes with it.
    if !wants_finalizer(o) || first::never_asked(o) {
        return Step::SetFinalizer(false);
    }
    remove(o, DeleteReason::ObjectDeleted)
}

/// Deletes the backup in the cloud, and concludes once nothing of it is left.
pub(super) fn remove(o: &Observed<'_>, why: DeleteReason) -> Step {
    if let Some(step) = submit::store_ids(o) {
        return step;
    }
    if let Err(gate) = place(o) {
        return shut_out(o, why, gate);
    }
    // On this machine's clock alone nothing expires, and no object goes by itself, not even if its backup is gone already.
    if why != DeleteReason::ObjectDeleted && !clocks_agree(o, why) {
        return wait_for_clocks(o, why);
    }
    let Some(removal) = o.memory.removal.as_ref() else { return Step::RequeueAfter(Some(o.settings.poll_interval)) };
    if removal.instance_missing.is_some_and(|missing| missing.is_long(o.settings)) {
        return let_go(o, why);
    }
    if let Some(retry) = retry_state(o) {
        return refused(o, why, retry);
    }
    let Some(inventory) = removal.inventory.as_ref() else { return take_inventory(o, removal) };
    if let Some(backup) = made_by_an_earlier_object(o, removal) {
        return leave_alone(o, why, backup);
    }
    let is_mine = |backup: &&RemoteBackup| {
        (!is_kept(Rule::OwnMarks) || first::is_own(o, &backup.mark))
            && backup.instance_id == o.spec.source.instance_id
            && backup.state != RemoteState::Gone
    };
    let listed = inventory.found.iter().chain(removal.by_id.iter().flat_map(|asked| &asked.found));
    match listed.filter(is_mine).collect::<Vec<_>>().as_slice() {
        [] => nothing_left(o, why, removal, inventory),
        [backup, ..] => delete(o, why, backup, o.now.since(inventory.started)),
    }
}

/// Whether this machine's clock and the cloud's say the same time, and both that what expires is due. A cloud that does not say its time agrees with nothing.
fn clocks_agree(o: &Observed<'_>, why: DeleteReason) -> bool {
    if !is_kept(Rule::TwoClocks) {
        return true;
    }
    let due = o.status.expiration_time.as_ref().filter(|_| why == DeleteReason::Expired).map(|at| at.0);
    o.account.cloud_now().is_some_and(|cloud_now| o.now.agrees_with(cloud_now) && due <= Some(cloud_now))
}

/// Each look brings the cloud's time along, so it is looked from time to time whether they agree again.
fn wait_for_clocks(o: &Observed<'_>, why: DeleteReason) -> Step {
    let message = match o.account.cloud_now() {
        Some(cloud_now) if o.now.agrees_with(cloud_now) => return watch::plan(o),
        Some(_) => CLOCKS_DISAGREE,
        None => "the cloud's answers carry no Date, so nothing is deleted: this machine's clock alone is not trusted",
    };
    look_or(o, why, Reason::DeleteBlocked, message, instance(o))
}

/// The record with the status' id, if its name is none that this object ever made.
fn made_by_an_earlier_object<'a>(o: &Observed<'_>, removal: &'a Removal) -> Option<&'a RemoteBackup> {
    let listings = [removal.inventory.as_ref(), removal.by_id.as_ref()];
    let record = listings.into_iter().flatten().find_map(|listing| listing.record(o.status))?;
    let is_anothers = !first::is_own(o, &record.mark) && record.state != RemoteState::Gone && is_kept(Rule::EarlierLife);
    is_anothers.then_some(record)
}

/// Deleting it is not this object's business; it is looked at again from time to time, since a person may have. Its name in the cloud has an object's name in
/// it, which may be one of another namespace, so the id has to do.
fn leave_alone(o: &Observed<'_>, why: DeleteReason, backup: &RemoteBackup) -> Step {
    let way_out = match why {
        DeleteReason::Retention => "annotate this object with dbbackup.dev/hold",
        DeleteReason::ObjectDeleted | DeleteReason::Expired => "set deletionPolicy to Retain",
    };
    let message = format!("backup {} was made by an earlier object; delete it by hand, or {way_out}", backup.id);
    look_or(o, why, Reason::DeleteBlocked, &message, instance(o))
}

/// Looks again after a blocked object's pause, and says why until then.
fn look_or(o: &Observed<'_>, why: DeleteReason, reason: Reason, message: &str, scope: ListScope) -> Step {
    match look_again_in(o) {
        Duration::ZERO if !o.memory.looks.under_way => Step::TakeInventory(scope),
        wait => say(o, why, reason, message, Some(wait).filter(|wait| !wait.is_zero())),
    }
}

fn instance(o: &Observed<'_>) -> ListScope {
    ListScope::Instance { instance_id: o.spec.source.instance_id.clone(), automatic: false }
}

fn take_inventory(o: &Observed<'_>, removal: &Removal) -> Step {
    match o.now.until(removal.not_before) {
        Duration::ZERO => look(o, instance(o)),
        wait => Step::RequeueAfter(Some(wait)),
    }
}

/// One listing at a time; the object is woken when it is there.
fn look(o: &Observed<'_>, scope: ListScope) -> Step {
    if o.memory.looks.under_way { Step::RequeueAfter(None) } else { Step::TakeInventory(scope) }
}

/// One that runs, or goes already, is waited for; any other is deleted, once the status says so. `age`: of the listing.
fn delete(o: &Observed<'_>, why: DeleteReason, backup: &RemoteBackup, age: Duration) -> Step {
    let id = &backup.id;
    if matches!(backup.state, RemoteState::Running | RemoteState::Deleting) || is_going(o, id) {
        return match o.settings.poll_interval.saturating_sub(age) {
            Duration::ZERO => look(o, instance(o)),
            wait => say(o, why, Reason::Deleting, &format!("waiting for backup {id}, which is {}", backup.cloud_status), Some(wait)),
        };
    }
    if retention::is_spared(o, why) {
        return watch::call_off(o);
    }
    if !clocks_agree(o, why) {
        return wait_for_clocks(o, why);
    }
    // It was listed before something else had to be waited for.
    if age >= o.settings.poll_interval * 4 {
        return look(o, instance(o));
    }
    // A schedule gives its reason without a word in the conditions.
    if o.status.delete_reason != Some(why) || (why == DeleteReason::Retention && !is_said(o)) {
        let next = DatabaseBackupStatus { delete_reason: Some(why), ..o.status.clone() };
        return report_on(o, next, why, Reason::Deleting, &format!("deleting backup {id}"), None);
    }
    Step::Delete { backup_id: id.clone() }
}

/// Whether the conditions say that it goes.
fn is_said(o: &Observed<'_>) -> bool {
    let reasons = [Reason::Deleting, Reason::DeleteBlocked, Reason::CredentialsUnavailable, Reason::DeleteUnsupported];
    reasons.into_iter().any(|reason| ready_message(o, reason).is_some())
}

/// Whether the cloud has accepted its deletion lately; after four polls it is asked again.
fn is_going(o: &Observed<'_>, id: &str) -> bool {
    let accepted = o.memory.removal.as_ref().and_then(|removal| removal.accepted.as_ref());
    accepted.is_some_and(|(going, at)| going == id && o.now.since(*at) < o.settings.poll_interval * 4)
}

/// A listing shows nothing of this object. It is asked for by its id, too, where that can be done; a call without an answer may still turn up; and what was
/// made just now may not be listed yet.
fn nothing_left(o: &Observed<'_>, why: DeleteReason, removal: &Removal, inventory: &ListingResult) -> Step {
    let listed = inventory.started;
    if inventory.covers != Covers::Everything {
        let message = "the cloud's listing does not hold together, so nobody knows whether the backup is gone; it is read again";
        return match o.settings.poll_interval.saturating_sub(o.now.since(listed)) {
            Duration::ZERO => look(o, instance(o)),
            wait => say(o, why, Reason::Deleting, message, Some(wait)),
        };
    }
    let was_deleted = o.status.backup_name.as_ref().is_some_and(|mark| removal.marks.contains(mark));
    if !was_deleted && found_since(o, listed) {
        return take_inventory(o, removal);
    }
    if let Some(id) = o.status.backup_id.as_ref().filter(|_| o.spec.source.engine.api().finds_by_id && removal.by_id.is_none()) {
        return look(o, ListScope::Backup { instance_id: o.spec.source.instance_id.clone(), backup_id: id.clone() });
    }
    if !was_deleted && outcome_is_unknown(o) {
        match unknown::plan(o) {
            None => {}
            Some(Step::Report(report)) => {
                let message = "the answer to a create call was lost; looking for the backup before the object is let go";
                return say(o, why, Reason::Deleting, message, report.requeue_after);
            }
            Some(step) => return step,
        }
    }
    match o.status.backup_id.as_ref().filter(|_| !was_deleted && !is_settled(o, listed)) {
        Some(id) => await_listing(o, why, removal, id),
        None => let_go(o, why),
    }
}

/// Whether a look for a lost answer has found the backup that a listing begun at `listed` lacks.
fn found_since(o: &Observed<'_>, listed: Moment) -> bool {
    !unknown::hits(o).is_empty() && o.memory.latest_result.as_ref().is_some_and(|latest| latest.started >= listed)
}

/// Whether what the latest create call made must have been in a listing begun at `moment`: a settle delay after it by every clock there is; or twice that
/// since this process has known the backup's id, should the clock that dated the call have been ahead.
fn is_settled(o: &Observed<'_>, moment: Moment) -> bool {
    let delay = o.settings.settle_delay;
    let Some(asked) = o.status.request_time.as_ref().map(|asked| asked.0) else { return true };
    let is_long_known = o.memory.identified.as_ref().is_some_and(|(_, since)| moment.since(*since) >= delay * 2);
    let own = o.memory.own_intent(o.status).is_none_or(|own| moment.since(own.begun) >= delay);
    let clouds = o.account.cloud_now().is_none_or(|now| Moment { wall: now, ..o.now }.since_wall(asked) >= delay + o.now.since(moment));
    is_long_known || (own && clouds && moment.since_wall(asked) >= delay)
}

/// A young backup that is not listed is looked for again once it must be listed.
fn await_listing(o: &Observed<'_>, why: DeleteReason, removal: &Removal, id: &str) -> Step {
    if is_settled(o, o.now) {
        return take_inventory(o, removal);
    }
    let asked = o.status.request_time.as_ref().map_or(o.now.wall, |asked| asked.0);
    let wait = o.settings.settle_delay.saturating_sub(o.now.since_wall(asked)).max(o.settings.poll_interval);
    say(o, why, Reason::Deleting, &format!("backup {id} is not listed yet; it is looked for again before the object is let go"), Some(wait))
}

/// The cloud holds nothing of this object any more.
fn let_go(o: &Observed<'_>, why: DeleteReason) -> Step {
    match why {
        DeleteReason::Expired => {
            let next = DatabaseBackupStatus { delete_reason: Some(why), ..o.status.clone() };
            let id = o.status.backup_id.as_deref().unwrap_or_default();
            let message = format!("backup {id} was deleted when its time was up");
            report(o, next, Phase::Expired, Reason::Expired, &message, None)
        }
        DeleteReason::ObjectDeleted => Step::Release,
        DeleteReason::Retention => Step::DeleteObject,
    }
}

/// Whether a create call may still turn up: it has no answer, and its backup was never seen.
fn outcome_is_unknown(o: &Observed<'_>) -> bool {
    let answered = matches!(o.memory.own_intent(o.status).map(|own| &own.stage), Some(Stage::Written | Stage::Rejected));
    o.intent_is_open() && !answered && unknown::hits(o).is_empty()
}

/// The account cannot be used; or it points to another host, where the backup is looked for, since it may be the same under another name.
fn shut_out(o: &Observed<'_>, why: DeleteReason, gate: Gate) -> Step {
    let is_at_another_host = o.account.place().is_some_and(|place| place.whereabouts(o.status) == Whereabouts::OtherHost);
    match gate {
        Gate::Verifying { left, .. } => Step::RequeueAfter(Some(left)),
        Gate::Closed(Reason::AccountMismatch, message) => {
            let message = with_way_out(why, &message, "; or ");
            match (is_at_another_host, look_again_in(o)) {
                (true, Duration::ZERO) if !o.memory.looks.under_way => {
                    Step::Look(o.status.backup_id.as_ref().map_or_else(|| instance(o), |id| watch::lookup(o, id)))
                }
                (true, wait) => say(o, why, Reason::DeleteBlocked, &message, Some(wait).filter(|wait| !wait.is_zero())),
                (false, _) => say(o, why, Reason::DeleteBlocked, &message, None),
            }
        }
        Gate::Closed(_, message) => say(o, why, Reason::CredentialsUnavailable, &with_way_out(why, &message, "; or "), None),
    }
}

/// What keeps the backup, and how an object is let go without it.
fn with_way_out(why: DeleteReason, message: &str, joint: &str) -> String {
    match why {
        DeleteReason::ObjectDeleted => format!("{message}{joint}set deletionPolicy to Retain to let the object go and keep the backup"),
        DeleteReason::Retention => format!("{message}{joint}annotate this object with dbbackup.dev/hold to keep it and the backup"),
        DeleteReason::Expired => message.to_owned(),
    }
}

/// The cloud does not delete it, or cannot be asked.
fn refused(o: &Observed<'_>, why: DeleteReason, retry: &RetryState) -> Step {
    let (requeue_after, message) = (Some(o.now.until(retry.retry_at)), message_of(o, retry));
    let message = message.strip_prefix("tried again: ").unwrap_or(message);
    match retry.reason {
        Reason::EndpointMisconfigured | Reason::Unsupported => {
            say(o, why, Reason::DeleteUnsupported, &with_way_out(why, message, "; "), requeue_after)
        }
        Reason::InstanceNotFound if needs_its_instance(o) => {
            say(o, why, Reason::DeleteBlocked, &cannot_be_listed(o, why, retry), requeue_after)
        }
        Reason::AuthenticationFailed => say(o, why, Reason::CredentialsUnavailable, &with_way_out(why, message, "; or "), requeue_after),
        Reason::AccessDenied => say(o, why, Reason::DeleteBlocked, &with_way_out(why, message, "; allow it, or "), requeue_after),
        _ => say(o, why, Reason::Deleting, &format!("tried again: {message}"), requeue_after),
    }
}

/// Whether the service lists backups by their instance, and keeps them without it (RDS).
fn needs_its_instance(o: &Observed<'_>) -> bool {
    let api = o.spec.source.engine.api();
    api.lists == Lists::Instance && !api.backups_go_with_instance
}

/// The instance is gone, and its backups need not be: who has them deleted without a listing may delete another's. Even one that somebody deletes by hand cannot
/// be seen to be gone.
fn cannot_be_listed(o: &Observed<'_>, why: DeleteReason, retry: &RetryState) -> String {
    let (source, id) = (&o.spec.source, o.status.backup_id.as_deref().unwrap_or_default());
    let (instance, engine, code) = (&source.instance_id, source.engine.as_str(), &retry.token);
    let said = format!("instance {instance} is gone, and without it {engine} lists no backups ({code})");
    match why {
        DeleteReason::Expired => format!("{said}: delete backup {id} by hand"),
        DeleteReason::ObjectDeleted => format!("{said}: set deletionPolicy to Retain to let the object go, and delete backup {id} by hand"),
        DeleteReason::Retention => {
            format!("{said}: annotate this object with dbbackup.dev/hold to keep it, or delete it and backup {id} by hand")
        }
    }
}

/// Reports on a deletion.
fn say(o: &Observed<'_>, why: DeleteReason, reason: Reason, message: &str, requeue_after: Option<Duration>) -> Step {
    report_on(o, o.status.clone(), why, reason, message, requeue_after)
}

/// Reports on a deletion. An expired backup stays Ready while the cloud refuses: it is there. One whose object goes is followed on the way.
fn report_on(
    o: &Observed<'_>,
    mut next: DatabaseBackupStatus,
    why: DeleteReason,
    reason: Reason,
    message: &str,
    requeue_after: Option<Duration>,
) -> Step {
    let phase = follow(o, &mut next);
    let (reason, message) = match (why, reason) {
        (DeleteReason::Expired, Reason::DeleteBlocked) => (Reason::Completed, message.to_owned()),
        (DeleteReason::Expired, _) => (Reason::Completed, format!("its time is up: {message}")),
        (DeleteReason::ObjectDeleted | DeleteReason::Retention, _) => (reason, message.to_owned()),
    };
    Step::Report(Box::new(Report {
        status: conclude(o, next, phase, reason, &message),
        reason: Some(reason),
        is_settled: false,
        requeue_after,
    }))
}

/// A backup that runs while its object waits for something else comes to its end there, too.
fn follow(o: &Observed<'_>, next: &mut DatabaseBackupStatus) -> Phase {
    let phase = o.status.phase.unwrap_or(Phase::Pending);
    let removal = o.memory.removal.as_ref();
    let listings = [o.memory.latest_result.as_ref(), removal.and_then(|removal| removal.inventory.as_ref())];
    let records = listings.into_iter().flatten().filter_map(|listing| listing.record(o.status));
    match records.into_iter().find(|record| record.state == RemoteState::Completed) {
        Some(record) if phase == Phase::Running => {
            take_over(o, next, record);
            Phase::Completed
        }
        _ => phase,
    }
}
