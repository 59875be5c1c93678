//! Before a create call whose object may have lived before: a listing of its instance, in which none of its names may stand.
//!
//! An API server's store that was put back to an earlier state knows nothing of what was asked for since. A process that saw an object come into being,
//! or that wrote its latest intent, knows all of that object's life; any other has to look.

use super::{
    gate::retry_state,
    listing_result::ListingResult,
    name::{MAX_ATTEMPTS, backup_name, own_marks},
    observed::Observed,
    reason::Reason,
    report::{hold, message_of},
    rule::{Rule, is_kept},
    step::Step,
    unknown, watch,
};
use crate::{
    api::status::{CreateOutcome, DatabaseBackupStatus, FailedAttempt, Origin},
    cloud::backup::{ListScope, RemoteBackup},
    plan::place::Place,
};
use std::time::Duration;

/// The look before a create call, or what it found; `None` once it is certain that there is no backup of this attempt.
pub(super) fn plan(o: &Observed<'_>, place: &Place) -> Option<Step> {
    if knows_its_life(o) || !is_kept(Rule::LookFirst) {
        return None;
    }
    let Some(survey) = o.memory.survey.as_ref().filter(|survey| *survey.place == *place && is_late_enough(o, survey)) else {
        return Some(look(o));
    };
    let attempt = (o.attempt()..=MAX_ATTEMPTS).rev().find(|attempt| survey.found.iter().any(|backup| backup.mark == mark(o, *attempt)))?;
    let mark = mark(o, attempt);
    let found: Vec<&RemoteBackup> = survey.found.iter().filter(|backup| backup.mark == mark).collect();
    match found.as_slice() {
        [backup] => Some(adopt(o, survey, attempt, backup)),
        several => Some(unknown::ambiguous(o, &mark, several)),
    }
}

/// Whether this process knows that no call for the current attempt is on its way or was made that it has no record of.
fn knows_its_life(o: &Observed<'_>) -> bool {
    let young = o.settings.young();
    let is_young = o.object.born.is_some_and(|born| o.now.since(born) < young) && o.now.since_wall(o.object.created) < young;
    let was_searched_for = o.memory.unknown_outcome.as_ref().is_some_and(|unknown| unknown.is_settled(o.settings));
    is_young || was_searched_for || o.memory.own_intent(o.status).is_some()
}

/// Whether an object may be let go without a listing: nothing was asked for under this status, and this process knows all of its life, or has no account to
/// look with.
pub(super) fn never_asked(o: &Observed<'_>) -> bool {
    o.status.backup_name.is_none() && (knows_its_life(o) || o.account.place().is_none())
}

/// A call that was sent right before the store was put back may take a settle delay to show up.
fn is_late_enough(o: &Observed<'_>, survey: &ListingResult) -> bool {
    o.put_back.is_none_or(|noticed| survey.started.since(noticed) >= o.settings.settle_delay)
}

fn look(o: &Observed<'_>) -> Step {
    if let Some(retry) = retry_state(o) {
        return hold(o, retry.reason, message_of(o, retry), Some(o.now.until(retry.retry_at)));
    }
    let settles_in = o.put_back.map_or(Duration::ZERO, |noticed| o.now.until(noticed.plus(o.settings.settle_delay)));
    if settles_in.is_zero() && !o.memory.looks.under_way {
        return Step::Look(ListScope::Instance { instance_id: o.spec.source.instance_id.clone(), automatic: false });
    }
    let requeue_after = Some(settles_in).filter(|left| !left.is_zero());
    if !o.status.conditions.is_empty() && requeue_after.is_none() {
        return Step::RequeueAfter(None);
    }
    hold(o, Reason::Submitting, "looking whether the cloud has a backup of this object already", requeue_after)
}

fn mark(o: &Observed<'_>, attempt: i32) -> String {
    let source = &o.spec.source;
    backup_name(source.engine, o.object.name, o.object.uid, &source.instance_id, attempt)
}

/// Whether a name is one of this object's.
pub(super) fn is_own(o: &Observed<'_>, wanted: &str) -> bool {
    let source = &o.spec.source;
    wanted.starts_with("dbb-") && own_marks(source.engine, o.object.name, o.object.uid, &source.instance_id).any(|mark| mark == wanted)
}

/// The object adopts its backup from an earlier life. Attempts before it must have failed, or it would not have been made.
fn adopt(o: &Observed<'_>, survey: &ListingResult, attempt: i32, backup: &RemoteBackup) -> Step {
    let mut failed_attempts = o.status.failed_attempts.clone();
    for earlier in o.attempt()..attempt {
        let backup_name = mark(o, earlier);
        let record = survey.found.iter().find(|backup| backup.mark == backup_name);
        let message = "failed before the cluster's state was put back".to_owned();
        failed_attempts.push(FailedAttempt { backup_id: record.map(|record| record.id.clone()), backup_name, message });
    }
    let project = &survey.place.project;
    let next = DatabaseBackupStatus {
        backup_name: Some(mark(o, attempt)),
        backup_id: Some(backup.id.clone()),
        attempts: Some(attempt),
        failed_attempts,
        create_outcome: Some(CreateOutcome::Accepted),
        origin: Some(Origin::Reattached),
        cloud: Some(project.cloud.as_str().into()),
        region: Some(project.region.clone()),
        project_id: Some(project.project_id.clone()),
        endpoint: Some(survey.place.endpoint.clone()).filter(|host| !host.is_empty()),
        ..o.status.clone()
    };
    watch::follow(o, next, backup)
}
