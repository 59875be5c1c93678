//! The cloud was asked and did not answer: look before anything is asked again.

use super::{Step, hold, place, trouble, wait_at, watch};
use crate::{
    api::status::{CreateOutcome, DatabaseBackupStatus, Origin, Phase},
    backup::{
        memory::{Doubt, Stage},
        observed::Observed,
        reason::Reason,
        status::blocked_pause,
    },
    cloud::backup::{ListScope, RemoteBackup},
};

/// The next step of the search; `None` once it is certain that there is no backup.
pub(super) fn plan(o: &Observed<'_>) -> Option<Step> {
    // The memory notices every open intent before a decision is made; without its notice there is nothing certain to say.
    let Some(doubt) = &o.memory.doubt else { return Some(Step::Rest(Some(o.settings.poll_interval))) };
    match hits(o).as_slice() {
        [] => {}
        [backup] => return Some(reattached(o, backup)),
        several => return Some(ambiguous(o, several)),
    }
    if doubt.is_settled(o.settings) {
        return None;
    }
    Some(search(o, doubt))
}

/// Backups that carry exactly this attempt's mark.
pub(super) fn hits(o: &Observed<'_>) -> Vec<RemoteBackup> {
    let mark = o.status.backup_name.as_deref().unwrap_or_default();
    let found = o.memory.sighting.iter().flat_map(|sighting| &sighting.found);
    found.filter(|backup| backup.mark == mark).cloned().collect()
}

fn reattached(o: &Observed<'_>, backup: &RemoteBackup) -> Step {
    let next = DatabaseBackupStatus {
        backup_id: Some(backup.id.clone()),
        create_outcome: Some(CreateOutcome::Accepted),
        origin: Some(Origin::Reattached),
        ..o.status.clone()
    };
    watch::follow(o, next, backup)
}

fn ambiguous(o: &Observed<'_>, backups: &[RemoteBackup]) -> Step {
    let ids: Vec<&str> = backups.iter().map(|backup| backup.id.as_str()).collect();
    let name = o.status.backup_name.as_deref().unwrap_or_default();
    let message =
        format!("{} backups in the cloud are named {name}: {}. None is touched; delete all but one there", ids.len(), ids.join(", "));
    // A person has to act, so nothing is urgent.
    look_or(o, blocked_pause(o), Reason::AmbiguousRemote, &message)
}

/// Looks again once the sighting is `after` old, and reports until then.
fn look_or(o: &Observed<'_>, after: std::time::Duration, reason: Reason, message: &str) -> Step {
    let age = o.memory.sighting.as_ref().map_or(after, |sighting| o.now.since(sighting.started));
    let wait = trouble(o).map(|trouble| o.now.until(trouble.retry_at)).unwrap_or_default().max(after.saturating_sub(age));
    if wait.is_zero() && !o.memory.looking && place(o).is_ok() {
        return Step::Look(scope(o));
    }
    hold(o, reason, message, Some(wait).filter(|wait| !wait.is_zero()))
}

fn search(o: &Observed<'_>, doubt: &Doubt) -> Step {
    if let Err(gate) = place(o) {
        return wait_at(o, gate);
    }
    let wait = o.now.until(doubt.next_look(o.settings)).max(trouble(o).map(|trouble| o.now.until(trouble.retry_at)).unwrap_or_default());
    if wait.is_zero() && !o.memory.looking {
        return Step::Look(scope(o));
    }
    let wake = Some(wait).filter(|wait| !wait.is_zero());
    // A takeover writes nothing first: until the first look is done, what stands in the status is as good as what could be said.
    let Some(happened) = happened(o, doubt) else { return Step::Rest(wake) };
    let message = format!("{happened}; looking for {} before asking again", o.status.backup_name.as_deref().unwrap_or_default());
    let (reason, message) = match trouble(o) {
        Some(trouble) => (trouble.reason, format!("{} (and {message})", trouble.message)),
        None => (Reason::OutcomeUnknown, message),
    };
    let next = DatabaseBackupStatus { create_outcome: Some(CreateOutcome::Unknown), ..o.status.clone() };
    super::report(o, next, o.status.phase.unwrap_or(Phase::Pending), reason, &message, wake)
}

/// Why the outcome is unknown, if that is known or there was a look.
fn happened(o: &Observed<'_>, doubt: &Doubt) -> Option<String> {
    match o.memory.own_intent(o.status).map(|own| &own.stage) {
        Some(Stage::Unanswered(what)) => Some(what.clone()),
        _ => (doubt.looks > 0).then(|| "the operator stopped before the cloud's answer was stored".into()),
    }
}

/// No time window: whatever the instance has.
fn scope(o: &Observed<'_>) -> ListScope {
    ListScope::Instance { instance_id: o.spec.source.instance_id.clone(), window: None }
}
