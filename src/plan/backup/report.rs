//! Reports: a status with one reason, and when the object is looked at again.

use super::{
    observed::Observed,
    reason::Reason,
    retry::RetryState,
    rule::{Rule, is_kept},
    status::{STILL_WATCHING, conclude, grace_left, restated, time_left},
    step::{Report, Step},
};
use crate::api::{
    conditions::{Kstatus, types},
    status::{CreateOutcome, DatabaseBackupStatus, Phase},
};
use std::time::Duration;

/// Nothing happens to the object any more, but its status names the newest generation.
pub(super) fn settled(o: &Observed<'_>) -> Step {
    Step::Report(Box::new(Report { status: restated(o), reason: None, is_settled: true, requeue_after: None }))
}

/// A report with one reason; it is looked at again when `wake`, the grace or the deadline is over, whichever comes first.
pub(super) fn report(
    o: &Observed<'_>,
    next: DatabaseBackupStatus,
    phase: Phase,
    reason: Reason,
    message: &str,
    requeue_after: Option<Duration>,
) -> Step {
    let timer = match reason.kstatus() {
        Kstatus::InProgress => Some(time_left(o)),
        Kstatus::Blocked => Some(grace_left(o)),
        _ => None,
    };
    let requeue_after = [requeue_after, timer.filter(|left| !left.is_zero())].into_iter().flatten().min();
    Step::Report(Box::new(Report {
        status: conclude(o, next, phase, reason, message),
        reason: Some(reason),
        is_settled: false,
        requeue_after,
    }))
}

/// The object stays in its phase and says why it does not get on.
pub(super) fn hold(o: &Observed<'_>, reason: Reason, message: &str, requeue_after: Option<Duration>) -> Step {
    report(o, o.status.clone(), o.status.phase.unwrap_or(Phase::Pending), reason, message, requeue_after)
}

/// The message of a failure that is retried: what the status says already, if that is about the same failure. Another request has another id, and another process may have
/// met it first; neither is news.
pub(super) fn message_of<'a>(o: &Observed<'a>, retry: &'a RetryState) -> &'a str {
    let said = ready_message(o, retry.reason).filter(|said| said.contains(&retry.token));
    said.filter(|_| is_kept(Rule::MessageOfTheStatus)).unwrap_or(&retry.message)
}

/// What the status says for this reason, if that is its reason.
pub(super) fn ready_message<'a>(o: &Observed<'a>, reason: Reason) -> Option<&'a str> {
    let ready = o.seen.status.conditions.iter().find(|condition| condition.type_ == types::READY)?;
    if ready.reason == Reason::ProgressDeadlineExceeded.as_str() && reason.kstatus() == Kstatus::InProgress {
        return ready.message.split_once(STILL_WATCHING).map(|(_, said)| said);
    }
    (ready.reason == reason.as_str()).then_some(ready.message.as_str())
}

/// Marks the latest create call as having made nothing.
pub(super) fn rejected(o: &Observed<'_>) -> DatabaseBackupStatus {
    DatabaseBackupStatus { create_outcome: Some(CreateOutcome::Rejected), ..o.status.clone() }
}
