//! The cloud was asked and did not answer: look before anything is asked again.

use super::{
    gate::{Gate, look_again_in, place, retry_state, wait_at},
    memory::{Stage, UnknownOutcome},
    observed::Observed,
    reason::Reason,
    report::{hold, message_of, ready_message, report},
    rule::{Rule, is_kept},
    step::Step,
    watch,
};
use crate::{
    api::status::{CreateOutcome, DatabaseBackupStatus, Origin, Phase},
    cloud::backup::{ListScope, RemoteBackup},
    plan::place::Whereabouts,
};
use std::time::Duration;

/// The next step of the search; `None` once it is certain that there is no backup.
pub(super) fn plan(o: &Observed<'_>) -> Option<Step> {
    // The memory notices every open intent before a decision is made; without its notice there is nothing certain to say.
    let Some(unknown) = &o.memory.unknown_outcome else { return Some(Step::RequeueAfter(Some(o.settings.poll_interval))) };
    match hits(o).as_slice() {
        [] => {}
        [backup] => return Some(reattached(o, backup)),
        several => return Some(ambiguous(o, o.status.backup_name.as_deref().unwrap_or_default(), several)),
    }
    if unknown.is_settled(o.settings) {
        return None;
    }
    Some(search(o, unknown))
}

/// Backups that carry exactly this attempt's mark.
pub(super) fn hits<'a>(o: &Observed<'a>) -> Vec<&'a RemoteBackup> {
    let mark = o.seen.status.backup_name.as_deref().unwrap_or_default();
    let found = o.memory.latest_result.iter().flat_map(|latest| &latest.found);
    found.filter(|backup| backup.mark == mark).collect()
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

/// Several backups carry one mark. A person has to act, so nothing is urgent.
pub(super) fn ambiguous(o: &Observed<'_>, name: &str, backups: &[&RemoteBackup]) -> Step {
    let ids: Vec<&str> = backups.iter().map(|backup| backup.id.as_str()).collect();
    let message =
        format!("{} backups in the cloud are named {name}: {}. None is touched; delete all but one there", ids.len(), ids.join(", "));
    if let Some(retry) = retry_state(o) {
        return hold(o, Reason::AmbiguousRemote, &message, Some(o.now.until(retry.retry_at)));
    }
    match look_again_in(o) {
        Duration::ZERO if !o.memory.looks.under_way && place(o).is_ok() => Step::Look(scope(o)),
        wait => hold(o, Reason::AmbiguousRemote, &message, Some(wait).filter(|wait| !wait.is_zero())),
    }
}

fn search(o: &Observed<'_>, unknown: &UnknownOutcome) -> Step {
    // At another host of the same project it is looked for, too: that is how it shows that the host only has another name.
    let is_at_another_host = o.account.place().is_some_and(|place| place.whereabouts(o.status) == Whereabouts::OtherHost);
    let gate = place(o).err();
    if let Some(gate @ Gate::Verifying { .. }) = gate {
        return wait_at(o, gate);
    }
    let retry = retry_state(o);
    let wait = o.now.until(unknown.next_look(o.settings)).max(retry.map(|retry| o.now.until(retry.retry_at)).unwrap_or_default());
    if wait.is_zero() && !o.memory.looks.under_way && (gate.is_none() || is_at_another_host) {
        return Step::Look(scope(o));
    }
    let requeue_after = Some(wait).filter(|wait| !wait.is_zero());
    if let Some(Gate::Closed(reason, message)) = gate {
        return hold(o, reason, &message, requeue_after.filter(|_| is_at_another_host));
    }
    let name = o.status.backup_name.as_deref().unwrap_or_default();
    let (reason, message) = if let Some(retry) = retry.filter(|retry| !retry.is_incomplete_listing()) {
        (retry.reason, message_of(o, retry).to_owned())
    } else {
        // A takeover writes nothing first: until the first look is done, what stands in the status is as good as what could be said.
        let Some(message) = unanswered(o, unknown, name) else { return Step::RequeueAfter(requeue_after) };
        (Reason::OutcomeUnknown, message)
    };
    let next = DatabaseBackupStatus { create_outcome: Some(CreateOutcome::Unknown), ..o.status.clone() };
    report(o, next, o.status.phase.unwrap_or(Phase::Pending), reason, &message, requeue_after)
}

/// Why the outcome is unknown, if that is known or there was a look. What the status says already stays: whoever sent the call knew it best, and two
/// processes that each wrote what they remember would overwrite each other for ever.
fn unanswered(o: &Observed<'_>, unknown: &UnknownOutcome, name: &str) -> Option<String> {
    let said = ready_message(o, Reason::OutcomeUnknown).filter(|_| is_kept(Rule::MessageOfTheStatus));
    let is_said = said.filter(|said| said.contains(name) && o.status.create_outcome == Some(CreateOutcome::Unknown));
    if let Some(said) = is_said {
        return Some(said.to_owned());
    }
    let happened = match o.memory.own_intent(o.status).map(|own| &own.stage) {
        Some(Stage::Unanswered { what, .. }) => what.as_str(),
        _ => (unknown.looks > 0).then_some("the operator stopped before the cloud's answer was stored")?,
    };
    Some(format!("looking for {name} before asking again: {happened}"))
}

/// Whatever the instance has.
fn scope(o: &Observed<'_>) -> ListScope {
    ListScope::Instance { instance_id: o.spec.source.instance_id.clone(), automatic: false }
}
