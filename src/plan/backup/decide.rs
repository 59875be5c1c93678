//! The state machine of a backup: from what was observed to the next step.

use super::{
    brake, import,
    memory::Memory,
    observed::Observed,
    removal,
    report::settled,
    restored, retention,
    rule::{Rule, is_kept},
    seen::Seen,
    status::restated,
    step::{Report, Step},
    submit, watch,
};
use crate::{
    api::status::{DatabaseBackupStatus, Phase},
    plan::place::Whereabouts,
};
use std::time::Duration;

/// Brings the memory in line with what is seen of the object, and decides on its next step.
pub fn decide(seen: &Seen<'_>, memory: &mut Memory) -> Step {
    let is_removed = removal::is_wanted(seen, memory);
    memory.notice(seen, is_removed);
    plan(&Observed { seen, memory })
}

fn plan(o: &Observed<'_>) -> Step {
    brake::braked(o, next(o))
}

/// The next step for an object.
fn next(o: &Observed<'_>) -> Step {
    if let Some(step) = restored::wait(o).or_else(|| rebound(o)) {
        return step;
    }
    if o.object.deleting && (o.object.has_finalizer || !is_kept(Rule::DeletedIsNotGone)) {
        return removal::of_object(o);
    }
    // Before the first intent: what is in the cloud must not outlive an object that wants it deleted.
    if !o.object.deleting && removal::wants_finalizer(o) != o.object.has_finalizer {
        return Step::SetFinalizer(removal::wants_finalizer(o));
    }
    if let Some(why) = retention::why(o, o.memory) {
        return removal::remove(o, why);
    }
    if retention::is_called_off(o) {
        return watch::call_off(o);
    }
    match o.status.phase {
        Some(Phase::Failed | Phase::Expired | Phase::Lapsed) => settled(o),
        _ if o.status.backup_id.is_some() => watch::plan(o),
        _ if o.spec.source.existing_backup_id.is_some() => import::plan(o),
        _ => submit::plan(o),
    }
}

/// The backup was seen at another host of the same project: from now on that is where it is.
fn rebound(o: &Observed<'_>) -> Option<Step> {
    let there = o.account.place().filter(|place| place.whereabouts(o.status) == Whereabouts::OtherHost)?;
    let latest = o.memory.latest_result.as_ref().filter(|latest| *latest.place == *there)?;
    let has_mark = |mark: &String| o.status.backup_name.as_ref() == Some(mark);
    let is_there = latest.record(o.status).is_some() || latest.found.iter().any(|backup| has_mark(&backup.mark));
    let next = DatabaseBackupStatus { endpoint: Some(there.endpoint.clone()), ..restated(o) };
    is_there.then(|| Step::Report(Box::new(Report { status: next, reason: None, is_settled: false, requeue_after: Some(Duration::ZERO) })))
}
