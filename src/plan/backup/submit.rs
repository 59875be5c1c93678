//! The cloud has to be asked for a backup: everything first, then the intent, then the call.

use super::{
    description::default_description,
    first,
    gate::{SAID_AFTER, place, retry_state, wait_at},
    memory::{OwnIntent, Stage},
    name::backup_name,
    observed::Observed,
    queue::OLDEST,
    reason::Reason,
    report::{hold, message_of, ready_message, rejected, report},
    restored,
    rule::{Rule, is_kept},
    seen::{Account, Permit, Position, Seen},
    status::{blocked_pause, conclude, stored},
    step::Step,
    unknown, watch,
};
use crate::{
    api::status::{CreateOutcome, DatabaseBackupStatus, Origin, Phase},
    cloud::backup::{CreatedBackup, NewBackup},
    plan::place::Place,
};
use jiff::{SignedDuration, Timestamp, TimestampRound, Unit};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use std::time::Duration;

pub(super) fn plan(o: &Observed<'_>) -> Step {
    if let Some(step) = store_ids(o) {
        return step;
    }
    if o.intent_is_open() {
        match o.memory.own_intent(o.status) {
            Some(own @ OwnIntent { stage: Stage::Written, .. }) if may_send(o, own) => return Step::Send(new_backup(o, o.status)),
            // This process sent nothing for it, or the cloud said no: it is free to decide anew.
            Some(OwnIntent { stage: Stage::Written | Stage::Rejected, .. }) => {}
            _ => {
                if let Some(step) = unknown::plan(o) {
                    return step;
                }
            }
        }
    }
    if o.object.deleting {
        return nothing_more(o);
    }
    // Here it is certain that nothing is open or made in the cloud for this attempt.
    lapse(o).or_else(|| failed_for_good(o)).or_else(|| backing_off(o)).or_else(|| in_trouble(o)).unwrap_or_else(|| ask(o))
}

/// It is too late, and the cloud has made nothing: nothing is asked of it any more.
fn lapse(o: &Observed<'_>) -> Option<Step> {
    let before = o.spec.take_before.as_ref().filter(|_| restored::is_too_late(o))?;
    let is_made = !o.status.failed_attempts.is_empty() && !o.intent_is_current();
    let next = if o.intent_is_open() { rejected(o) } else { o.status.clone() };
    let message = format!("it is after takeBefore ({}), so no backup is asked for any more", before.0.strftime("%Y-%m-%dT%H:%M:%SZ"));
    (!is_made).then(|| report(o, next, Phase::Lapsed, Reason::TooLate, &message, None))
}

/// The object is being deleted, and somebody else's finalizer keeps it: no call is made for it any more. One whose call turned out to have made nothing says so.
fn nothing_more(o: &Observed<'_>) -> Step {
    if !o.intent_is_open() {
        return Step::RequeueAfter(None);
    }
    let message = "nothing was made in the cloud, and nothing is asked for any more: the object is being deleted";
    report(o, rejected(o), Phase::Pending, Reason::Deleting, message, None)
}

/// Whether the intent that was just written may still be sent by what the decision knows; the last check before the socket repeats it.
fn may_send(o: &Observed<'_>, own: &OwnIntent) -> bool {
    !o.stopping && !o.object.deleting && place(o).is_ok() && is_fresh(own, o)
}

fn is_fresh(own: &OwnIntent, o: &Observed<'_>) -> bool {
    own.is_fresh(o.settings.intent_lifetime(), o.now)
}

impl OwnIntent {
    /// Whether the intent is at most `lifetime` old by both clocks.
    pub fn is_fresh(&self, lifetime: Duration, now: crate::plan::clock::Moment) -> bool {
        !is_kept(Rule::LastCheck)
            || now.since(self.begun) <= lifetime && now.since_wall(self.request_time) <= lifetime && now.wall >= self.begun.wall
    }
}

/// The cloud took it on, and its ids are not stored yet: that comes before everything else.
pub(super) fn store_ids(o: &Observed<'_>) -> Option<Step> {
    match o.memory.own_intent(o.status) {
        Some(OwnIntent { stage: Stage::Accepted(created), .. }) if o.intent_is_open() => Some(accepted(o, created)),
        _ => None,
    }
}

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
    report(o, next, Phase::Running, Reason::Running, &watch::running_message(o, &created.backup_id), None)
}

/// Every attempt that `backoffLimit` allows was reported as FAILED; or one was, and it is too late for another.
fn failed_for_good(o: &Observed<'_>) -> Option<Step> {
    let failed = &o.status.failed_attempts;
    let allowed = o.spec.attempts_allowed();
    let is_too_late = restored::is_too_late(o) && !o.intent_is_current();
    let last = failed.last().filter(|_| failed.len() >= allowed || is_too_late)?;
    let late = if failed.len() >= allowed { "" } else { ", and takeBefore has passed" };
    let message = format!("{} of {} attempts failed{late}; the last: {}", failed.len(), allowed, last.message);
    Some(report(o, o.status.clone(), Phase::Failed, Reason::BackupFailed, &message, None))
}

/// A failed attempt is followed by the next one only after a while, counted from when the failure was stored.
fn backing_off(o: &Observed<'_>) -> Option<Step> {
    let failed = &o.status.failed_attempts;
    let last = failed.last().filter(|_| !o.intent_is_current())?;
    let stored = o.status.last_sync_time.as_ref().map(|t| t.0)?;
    let pause = o.settings.attempt_backoff(failed.len());
    // The clock that dated the failure may have been ahead: this process's own, since it knows of the failure, is enough.
    let known = o.memory.failures.map(|(_, since)| o.now.since(since)).unwrap_or_default();
    let left = pause.saturating_sub(o.now.since_wall(stored).max(known));
    let message = format!("attempt {} failed ({}); the next one comes in {} s", failed.len(), last.message, pause.as_secs());
    (!left.is_zero()).then(|| report(o, o.status.clone(), Phase::Pending, Reason::BackoffAfterFailure, &message, Some(left)))
}

impl Seen<'_> {
    /// Whether the current attempt has had an intent.
    fn intent_is_current(&self) -> bool {
        self.status.attempts == Some(self.attempt())
    }
}

/// The last try did not get through, and it is not time for another.
fn in_trouble(o: &Observed<'_>) -> Option<Step> {
    let retry = retry_state(o)?;
    let answered = o.intent_is_open() && o.memory.own_intent(o.status).is_some_and(|own| own.stage == Stage::Rejected);
    let next = if answered { rejected(o) } else { o.status.clone() };
    let phase = if retry.is_final { Phase::Failed } else { Phase::Pending };
    let requeue_after = (!retry.is_final).then(|| o.now.until(retry.retry_at));
    Some(report(o, next, phase, retry.reason, message_of(o, retry), requeue_after))
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
        return Step::RequeueAfter(None);
    }
    match (o.position, o.permit) {
        (Position::NotAsked, _) => Step::JoinQueue,
        (Position::Behind(other), _) => {
            let other = other.as_ref().map_or_else(|| "another backup".to_owned(), |name| format!("the backup {name}"));
            let message = format!("waiting for {other} of the same instance");
            hold(o, Reason::InstanceBusy, &message, None)
        }
        (Position::TooMany(count), _) => too_many(o, *count),
        (Position::First, permit) => first::plan(o, place).unwrap_or_else(|| submit(o, place, permit)),
    }
}

/// In the place of [`SAID_AFTER`] where an object only waits for the end of other calls. In a burst of a thousand each waits for a second or two, and one more
/// status of each would make all of them later.
const CROWD_SAID_AFTER: Duration = Duration::from_secs(5);

/// A permit, and then the intent.
fn submit(o: &Observed<'_>, place: &Place, permit: Permit) -> Step {
    match permit {
        Permit::NotAsked => Step::TakePermit,
        Permit::Queued => {
            let (account, api) = (&o.spec.account_ref, o.spec.source.engine.api());
            let rate = format!("the request rate of {} {} (maxRequestsPerSecond)", account.kind.as_str(), account.name);
            let or_service =
                api.calls_per_minute.map_or_else(String::new, |most| format!(", or for {}: {most} calls a minute for each user", api.name));
            queued(o, SAID_AFTER, &format!("waiting for {rate}{or_service}"))
        }
        Permit::Crowded => {
            let account = &o.spec.account_ref;
            let message =
                format!("waiting for other calls of {} {} to end: only a few are made at once", account.kind.as_str(), account.name);
            queued(o, CROWD_SAID_AFTER, &message)
        }
        Permit::Paused => {
            let engine = o.spec.source.engine.as_str();
            queued(o, SAID_AFTER, &format!("the cloud asked this account to wait before the next call for {engine} (Retry-After)"))
        }
        Permit::Granted if !is_kept(Rule::IntentFirst) => Step::Send(new_backup(o, &intent(o, place))),
        Permit::Granted => Step::WriteIntent(Box::new(intent(o, place))),
    }
}

/// While a failure is being retried its reason stays, so that its grace goes on without a break.
fn queued(o: &Observed<'_>, said_after: Duration, message: &str) -> Step {
    let since = o.memory.queued.map(|since| o.now.since(since)).unwrap_or_default();
    match (said_after.saturating_sub(since), &o.memory.retry) {
        (Duration::ZERO, Some(retry)) => hold(o, retry.reason, message_of(o, retry), None),
        (Duration::ZERO, None) => hold(o, Reason::RateLimited, message, None),
        (left, _) => Step::RequeueAfter(Some(left)),
    }
}

/// So many objects of the instance have not been asked for yet that somebody may not mean it: a new cluster is filled with everything that lies in Git.
/// The number in the first message stays: it changes all the time.
fn too_many(o: &Observed<'_>, count: usize) -> Step {
    let message = format!(
        "{count} DatabaseBackups of instance {} wait, and only the {OLDEST} oldest are in line: delete those that nobody needs, and give those in Git a \
         takeBefore",
        o.spec.source.instance_id
    );
    let said = ready_message(o, Reason::TooManyQueued).map(ToOwned::to_owned);
    hold(o, Reason::TooManyQueued, &said.unwrap_or(message), None)
}

/// The status that says what is about to be asked. While a failure is being retried its reason stays, so that its grace goes on without a break.
fn intent(o: &Observed<'_>, place: &Place) -> DatabaseBackupStatus {
    let source = &o.spec.source;
    let name = backup_name(source.engine, o.object.name, o.object.uid, &source.instance_id, o.attempt());
    let message = format!("asking {} to back up instance {} as {name}", source.engine.as_str(), source.instance_id);
    let (reason, message) = match &o.memory.retry {
        Some(retry) => (retry.reason, retry.message.as_str()),
        None => (Reason::Submitting, message.as_str()),
    };
    let next = DatabaseBackupStatus {
        backup_name: Some(name),
        attempts: Some(o.attempt()),
        request_time: Some(MicroTime(request_time(o))),
        create_outcome: None,
        cloud: Some(place.project.cloud.as_str().into()),
        region: Some(place.project.region.clone()),
        project_id: Some(place.project.project_id.clone()),
        endpoint: Some(place.endpoint.clone()).filter(|host| !host.is_empty()),
        ..o.status.clone()
    };
    conclude(o, next, Phase::Pending, reason, message)
}

/// Now, and later than every intent before: no two intents that were ever stored for an object have the same time, so the time identifies an intent.
fn request_time(o: &Observed<'_>) -> Timestamp {
    let now = microseconds(o.now.wall);
    let before = o.status.request_time.as_ref().and_then(|before| before.0.checked_add(SignedDuration::from_micros(1)).ok());
    before.map_or(now, |earliest| earliest.max(now))
}

/// The API keeps microseconds; what is compared later must not hold more.
fn microseconds(time: Timestamp) -> Timestamp {
    time.round(TimestampRound::new().smallest(Unit::Microsecond).mode(jiff::RoundMode::Trunc)).unwrap_or(time)
}

/// The call that the stored intent stands for.
fn new_backup(o: &Observed<'_>, intent: &DatabaseBackupStatus) -> NewBackup {
    let source = &o.spec.source;
    let described = source.description.clone().filter(|text| !text.trim().is_empty());
    NewBackup {
        instance_id: source.instance_id.clone(),
        mark: intent.backup_name.clone().unwrap_or_default(),
        description: described.unwrap_or_else(|| default_description(o.object.cluster, o.object.namespace, o.object.name)),
        backup_format: source.dcs.as_ref().and_then(|dcs| dcs.backup_format),
    }
}
