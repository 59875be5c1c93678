//! The cloud has to be asked for a backup: everything first, then the intent, then the call.

use super::{Step, doubt, hold, place, rejected, report, trouble, wait_at};
use crate::{
    api::status::{CreateOutcome, DatabaseBackupStatus, Origin, Phase},
    backup::{
        memory::{OwnIntent, Stage},
        name::{backup_name, default_description},
        observed::{Account, Observed, Permit, Place, Turn},
        reason::Reason,
        status::{blocked_pause, conclude, stored},
    },
    cloud::backup::{CreatedBackup, NewBackup},
};
use jiff::{Timestamp, TimestampRound, Unit};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use std::time::Duration;

pub(super) fn plan(o: &Observed<'_>) -> Step {
    if o.intent_is_open() {
        match o.memory.own_intent(o.status) {
            Some(OwnIntent { stage: Stage::Accepted(created), .. }) => return accepted(o, created),
            Some(own @ OwnIntent { stage: Stage::Written, .. }) if may_send(o, own) => return Step::Send(new_backup(o)),
            // This process sent nothing for it, or the cloud said no: it is free to decide anew.
            Some(OwnIntent { stage: Stage::Unconfirmed | Stage::Written | Stage::Rejected, .. }) => {}
            _ => {
                if let Some(step) = doubt::plan(o) {
                    return step;
                }
            }
        }
    }
    failed_for_good(o).or_else(|| backing_off(o)).or_else(|| in_trouble(o)).unwrap_or_else(|| ask(o))
}

/// Whether the intent that was just written may still be sent by what the decision knows; the last check before the socket repeats it.
fn may_send(o: &Observed<'_>, own: &OwnIntent) -> bool {
    !o.stopping && place(o).is_ok() && is_fresh(own, o)
}

fn is_fresh(own: &OwnIntent, o: &Observed<'_>) -> bool {
    own.is_fresh(o.settings.intent_lifetime(), o.now)
}

impl OwnIntent {
    /// Whether the intent is at most `lifetime` old by both clocks.
    pub fn is_fresh(&self, lifetime: Duration, now: crate::backup::clock::Moment) -> bool {
        now.since(self.begun) <= lifetime && now.since_wall(self.request_time) <= lifetime && now.wall >= self.begun.wall
    }
}

/// The cloud took it on.
fn accepted(o: &Observed<'_>, created: &CreatedBackup) -> Step {
    let next = DatabaseBackupStatus {
        backup_id: Some(created.backup_id.clone()),
        job_id: created.job_id.clone(),
        start_time: created.start_time.map(stored),
        cloud_status: created.cloud_status.clone(),
        create_outcome: Some(CreateOutcome::Accepted),
        origin: Some(Origin::Created),
        last_sync_time: Some(stored(o.now.wall)),
        ..o.status.clone()
    };
    report(o, next, Phase::Running, Reason::Running, &super::watch::running_message(o, &created.backup_id), None)
}

/// Every attempt that `backoffLimit` allows was reported as FAILED.
fn failed_for_good(o: &Observed<'_>) -> Option<Step> {
    let failed = &o.status.failed_attempts;
    let allowed = usize::try_from(o.spec.backoff_limit).unwrap_or_default();
    let last = failed.last().filter(|_| failed.len() > allowed)?;
    let message = format!("{} of {} attempts failed; the last: {}", failed.len(), allowed + 1, last.message);
    Some(report(o, o.status.clone(), Phase::Failed, Reason::BackupFailed, &message, None))
}

/// A failed attempt is followed by the next one only after a while, counted from when the failure was stored.
fn backing_off(o: &Observed<'_>) -> Option<Step> {
    let failed = &o.status.failed_attempts;
    let last = failed.last().filter(|_| !o.intent_is_current())?;
    let stored = o.status.last_sync_time.as_ref().map(|t| t.0)?;
    let left = o.settings.attempt_backoff(failed.len()).saturating_sub(o.now.since_wall(stored));
    let message = format!(
        "attempt {} failed ({}); the next one comes in {} s",
        failed.len(),
        last.message,
        o.settings.attempt_backoff(failed.len()).as_secs()
    );
    (!left.is_zero()).then(|| report(o, o.status.clone(), Phase::Pending, Reason::BackoffAfterFailure, &message, Some(left)))
}

impl Observed<'_> {
    /// Whether the current attempt has had an intent.
    fn intent_is_current(&self) -> bool {
        self.status.attempts == Some(self.attempt())
    }
}

/// The last try did not get through, and it is not time for another.
fn in_trouble(o: &Observed<'_>) -> Option<Step> {
    let trouble = trouble(o)?;
    let answered = o.intent_is_open() && o.memory.own_intent(o.status).is_some_and(|own| own.stage == Stage::Rejected);
    let next = if answered { rejected(o) } else { o.status.clone() };
    let phase = if trouble.is_final { Phase::Failed } else { Phase::Pending };
    let wake = (!trouble.is_final).then(|| o.now.until(trouble.retry_at));
    Some(report(o, next, phase, trouble.reason, &trouble.message, wake))
}

/// Everything first, then the intent.
fn ask(o: &Observed<'_>) -> Step {
    let place = match place(o) {
        Ok(place) => place,
        Err(gate) => return wait_at(o, gate),
    };
    if let Account::Ready { allowed: false, .. } = o.account {
        let message = format!(
            "ClusterCloudAccount {} does not allow namespace {}: see its allowedNamespaces",
            o.spec.account_ref.name, o.object.namespace
        );
        return hold(o, Reason::NamespaceNotAllowed, &message, Some(blocked_pause(o)));
    }
    if o.stopping {
        return Step::Rest(None);
    }
    match (o.turn, o.permit) {
        (Turn::NotAsked, _) => Step::TakeTurn,
        (Turn::Behind(other), _) => {
            let message = format!("waiting for the backup {other} of the same instance");
            hold(o, Reason::InstanceBusy, &message, None)
        }
        (Turn::Mine, Permit::NotAsked) => Step::TakePermit,
        (Turn::Mine, Permit::Queued) => {
            let account = &o.spec.account_ref;
            let message = format!("waiting for the request rate of {} {} (maxRequestsPerSecond)", account.kind.as_str(), account.name);
            hold(o, Reason::RateLimited, &message, None)
        }
        (Turn::Mine, Permit::Granted) => Step::WriteIntent(Box::new(intent(o, place))),
    }
}

/// The status that says what is about to be asked. While a trouble is being retried its reason stays, so that its grace goes on without a break.
fn intent(o: &Observed<'_>, place: &Place) -> DatabaseBackupStatus {
    let source = &o.spec.source;
    let name = backup_name(source.engine, o.object.name, o.object.uid, &source.instance_id, o.attempt());
    let message = format!("asking {} to back up instance {} as {name}", source.engine.as_str(), source.instance_id);
    let (reason, message) = match &o.memory.trouble {
        Some(trouble) => (trouble.reason, trouble.message.as_str()),
        None => (Reason::Submitting, message.as_str()),
    };
    let next = DatabaseBackupStatus {
        backup_name: Some(name),
        attempts: Some(o.attempt()),
        request_time: Some(MicroTime(microseconds(o.now.wall))),
        create_outcome: None,
        cloud: Some(place.cloud.as_str().into()),
        region: Some(place.region.clone()),
        project_id: Some(place.project_id.clone()),
        ..o.status.clone()
    };
    conclude(o, next, Phase::Pending, reason, message)
}

/// The API keeps microseconds; what is compared later must not hold more.
fn microseconds(time: Timestamp) -> Timestamp {
    time.round(TimestampRound::new().smallest(Unit::Microsecond).mode(jiff::RoundMode::Trunc)).unwrap_or(time)
}

/// The call that the stored intent stands for.
fn new_backup(o: &Observed<'_>) -> NewBackup {
    let source = &o.spec.source;
    let described = source.description.clone().filter(|text| !text.trim().is_empty());
    NewBackup {
        instance_id: source.instance_id.clone(),
        mark: o.status.backup_name.clone().unwrap_or_default(),
        description: described.unwrap_or_else(|| default_description(o.object.namespace, o.object.name)),
        backup_format: source.dcs.as_ref().and_then(|dcs| dcs.backup_format),
    }
}
