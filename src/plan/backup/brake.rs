//! What keeps an object from repeating itself, whatever was decided: a pause between two look-ups, and between two statuses that differ in words only.

use super::{
    observed::Observed,
    restored,
    rule::{Rule, is_kept},
    step::{Report, Step},
};
use crate::api::{conditions::types, status::DatabaseBackupStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use std::time::Duration;

/// The step, or a rest where it comes too soon; and never a rest beyond the next moment on which something depends.
pub(super) fn braked(o: &Observed<'_>, step: Step) -> Step {
    let step = match step {
        Step::Look(_) | Step::TakeInventory(_) => match look_pause(o) {
            Duration::ZERO => return step,
            left => Step::RequeueAfter(Some(left)),
        },
        Step::Report(report) => match words_pause(o, &report) {
            Duration::ZERO => Step::Report(report),
            left => Step::RequeueAfter(earliest(report.requeue_after, Some(left))),
        },
        other => other,
    };
    let timer = earliest(annotations_due(o), restored::too_late_in(o));
    match step {
        Step::RequeueAfter(requeue_after) => Step::RequeueAfter(earliest(requeue_after, timer)),
        Step::Report(report) => Step::Report(Box::new(Report { requeue_after: earliest(report.requeue_after, timer), ..*report })),
        other => other,
    }
}

fn earliest(one: Option<Duration>, other: Option<Duration>) -> Option<Duration> {
    [one, other].into_iter().flatten().min()
}

/// What is left of the pause after the latest look-up.
fn look_pause(o: &Observed<'_>) -> Duration {
    let last = o.memory.looks.last.filter(|_| is_kept(Rule::LookPause));
    last.map_or(Duration::ZERO, |last| o.settings.look_pause().saturating_sub(o.now.since(last)))
}

/// What is left of the pause before a status is written that changes nothing but words: only the message; or a reason that this process gave already, and
/// that somebody else changed, who sees something else and would change it again.
fn words_pause(o: &Observed<'_>, report: &Report) -> Duration {
    let Some(wrote) = o.memory.wrote else { return Duration::ZERO };
    let left = o.settings.poll_interval.saturating_sub(o.now.since(wrote));
    if left.is_zero() || !report.is_news(o.status, o.settings) || !differs_in_words(o.status, &report.status) {
        return Duration::ZERO;
    }
    let is_same_reason = reason(o.status) == reason(&report.status);
    let is_said_again = report.reason.is_some() && report.reason == o.memory.reported;
    if is_same_reason || is_said_again { left } else { Duration::ZERO }
}

/// Whether two statuses are the same but for the reasons and messages of their conditions.
fn differs_in_words(stored: &DatabaseBackupStatus, next: &DatabaseBackupStatus) -> bool {
    let wordless = |condition: &Condition| Condition { reason: String::new(), message: String::new(), ..condition.clone() };
    let bare = |status: &DatabaseBackupStatus| DatabaseBackupStatus {
        conditions: status.conditions.iter().map(wordless).collect(),
        last_sync_time: None,
        ..status.clone()
    };
    bare(stored) == bare(next)
}

fn reason(status: &DatabaseBackupStatus) -> Option<&str> {
    status.conditions.iter().find(|condition| condition.type_ == types::READY).map(|ready| ready.reason.as_str())
}

/// In how long a change of the annotations counts that came too soon.
fn annotations_due(o: &Observed<'_>) -> Option<Duration> {
    o.memory.annotations_due(o.object.annotations, o.settings).map(|due| o.now.until(due).max(Duration::from_millis(1)))
}
