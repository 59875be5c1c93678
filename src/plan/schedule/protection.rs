//! Reports how well the instance is protected: the condition `WithinObjective`, and what it rests on.

use super::{
    draft::Draft,
    memory::Memory,
    objective::{Protection, Suspicion, judge},
    seen::Seen,
    survey::{Found, Survey},
};
use crate::{
    api::{
        conditions::{condition, find, types},
        schedule::ObjectiveStatus,
    },
    plan::{
        backup::{seen::Account, status::stored},
        clock::Moment,
    },
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use std::time::Duration;

/// What the condition says.
struct Verdict {
    status: &'static str,
    reason: &'static str,
    message: String,
}

fn verdict(status: &'static str, reason: &'static str, message: impl Into<String>) -> Verdict {
    Verdict { status, reason, message: message.into() }
}

/// Brings the objective's part of the draft up to date, and answers with its condition.
pub(super) fn assess(s: &Seen<'_>, memory: &mut Memory, draft: &mut Draft) -> Option<Condition> {
    let Some(most) = s.spec.objective.as_ref().map(|objective| SignedDuration::from_secs(objective.max_age_seconds.into())) else {
        draft.status.objective = None;
        memory.suspicion = None;
        return None;
    };
    if memory.is_elsewhere {
        (draft.status.objective, memory.suspicion) = (None, None);
        return Some(made(s, not_checked_yet()));
    }
    let before = find(&s.status.conditions, types::WITHIN_OBJECTIVE);
    let survey = memory.survey.clone().filter(|survey| survey.target == s.target());
    let verdict = match &survey {
        Some(Survey { result: Ok(found), started, .. }) => Some(by_listing(s, memory, draft, found, *started, most)),
        Some(Survey { result: Err(why), .. }) => Some(unread(s, before, most, why)),
        None => None,
    }
    .flatten();
    let verdict = match (verdict, s.account) {
        (Some(verdict), _) => Some(verdict),
        (None, Account::Blocked { message, .. }) => unread(s, before, most, message),
        (None, _) => None,
    };
    Some(match (verdict, before) {
        (Some(verdict), _) => made(s, verdict),
        (None, Some(before)) => Condition { observed_generation: s.generation, ..before.clone() },
        (None, None) => made(s, not_checked_yet()),
    })
}

fn made(s: &Seen<'_>, verdict: Verdict) -> Condition {
    let Verdict { status, reason, message } = verdict;
    condition(&s.status.conditions, types::WITHIN_OBJECTIVE, status, reason, &message, s.generation, s.now.wall)
}

fn not_checked_yet() -> Verdict {
    verdict("Unknown", "NotCheckedYet", "the cloud's backups of the instance have not been looked at yet")
}

/// A complete listing says how it is; that the objective is missed, only if another one said so before.
fn by_listing(
    s: &Seen<'_>,
    memory: &mut Memory,
    draft: &mut Draft,
    found: &Found,
    started: Moment,
    most: SignedDuration,
) -> Option<Verdict> {
    let protection = judge(found.newest.as_ref(), found.has_unusable, most, found.cloud_time.unwrap_or(started.wall));
    let was_met = find(&s.status.conditions, types::WITHIN_OBJECTIVE).is_some_and(|before| before.status == "True");
    if protection == Protection::Fresh {
        memory.suspicion = None;
    } else {
        let suspicion = match memory.suspicion {
            Some(known) if known.last == started && known.protection == protection => known,
            before => Suspicion::prolonged(before, protection, started),
        };
        memory.suspicion = Some(suspicion);
        let needs_two = was_met || protection == Protection::TooOld;
        if needs_two && !suspicion.is_long(s.settings.gone_after) {
            return None;
        }
    }
    take_over(s, draft, found, started, protection, was_met.then_some(most));
    Some(match (protection, &found.newest) {
        (Protection::Fresh, Some(good)) => {
            verdict("True", "Fresh", format!("backup {} was completed at {}", good.backup_id, good.completed))
        }
        (Protection::TooOld, Some(good)) => verdict(
            "False",
            "TooOld",
            format!("the newest full backup was completed at {}; none may be older than {most:#}", good.completed),
        ),
        (Protection::NotRestorable, _) => {
            verdict("False", "NotRestorable", "the cloud says that nothing can be restored from the newest backups of the instance")
        }
        _ => verdict("False", "NoBackup", "the cloud has no finished full backup of the instance"),
    })
}

fn take_over(s: &Seen<'_>, draft: &mut Draft, found: &Found, started: Moment, protection: Protection, ended: Option<SignedDuration>) {
    let before = s.status.objective.clone().unwrap_or_default();
    let turned = ended.and_then(|most| before.newest_completion_time.as_ref()?.0.checked_add(most).ok());
    let last_met_time = match (protection, ended) {
        (Protection::Fresh, _) => None,
        (_, Some(_)) => Some(stored(turned.unwrap_or(started.wall).min(started.wall))),
        (_, None) => before.last_met_time.clone(),
    };
    let next = ObjectiveStatus {
        newest_completion_time: found.newest.as_ref().map(|good| stored(good.completed)),
        backup_id: found.newest.as_ref().map(|good| good.backup_id.clone()),
        taken_by: found.newest.as_ref().map(|good| good.taken_by),
        checked_time: before.checked_time.clone(),
        last_met_time,
    };
    // When the cloud was asked is worth a write only now and then, or beside something else.
    let age = before.checked_time.as_ref().map(|checked| started.since_wall(checked.0));
    let is_old = age.is_none_or(|age| age >= s.settings.resync_interval / 2);
    let checked_time = if is_old || next != before { Some(stored(started.wall)) } else { before.checked_time };
    draft.status.objective = Some(ObjectiveStatus { checked_time, ..next });
}

/// The listing could not be read. What is known still holds until the newest known backup turns too old.
fn unread(s: &Seen<'_>, before: Option<&Condition>, most: SignedDuration, why: &str) -> Option<Verdict> {
    let is_known = match before.map(|before| before.status.as_str()) {
        Some("True") => turn(s, most).is_some_and(|turn| turn >= s.now.wall),
        Some("False") => true,
        _ => false,
    };
    (!is_known).then(|| verdict("Unknown", "ListingFailed", format!("the cloud's backups of the instance could not be listed: {why}")))
}

/// When the newest known backup turns too old.
fn turn(s: &Seen<'_>, most: SignedDuration) -> Option<Timestamp> {
    s.status.objective.as_ref()?.newest_completion_time.as_ref()?.0.checked_add(most).ok()
}

/// How long until the objective is to be looked at; zero if it is time.
pub(super) fn look_in(s: &Seen<'_>, memory: &Memory) -> Option<Duration> {
    let most = SignedDuration::from_secs(s.spec.objective.as_ref()?.max_age_seconds.into());
    if matches!(s.account, Account::Blocked { .. } | Account::Verifying) {
        return None;
    }
    let until = |time: Timestamp| Duration::try_from(time.duration_since(s.now.wall)).unwrap_or_default();
    let survey = memory.survey.as_ref().filter(|survey| survey.target == s.target());
    let checked = survey.map(|survey| survey.started.wall).or(s
        .status
        .objective
        .as_ref()
        .and_then(|objective| objective.checked_time.as_ref())
        .map(|time| time.0));
    let Some(checked) = checked.filter(|_| !memory.is_unseen) else {
        return Some(memory.survey_pause(s.settings, s.now).unwrap_or(Duration::MAX));
    };
    let after = |pause: Duration| SignedDuration::try_from(pause).ok().and_then(|pause| checked.checked_add(pause).ok());
    let failed = survey.filter(|survey| survey.result.is_err()).map(|_| checked);
    // Conditions have whole seconds: a listing that began in the second in which a backup ended may have been too early for it.
    let second = SignedDuration::from_secs(1);
    let ends = s.own().filter(|child| child.has_ended()).filter_map(|child| child.since?.checked_add(second).ok());
    let ended = ends.filter(|end| *end > checked).min();
    let turned = turn(s, most).filter(|turn| *turn >= checked);
    let suspected =
        memory.suspicion.filter(|suspicion| !suspicion.is_long(s.settings.gone_after)).and_then(|_| after(s.settings.gone_after));
    let due = [after(s.settings.resync_after(s.lot())), failed, ended, turned, suspected].into_iter().flatten().min()?;
    Some(until(due).max(memory.survey_pause(s.settings, s.now).unwrap_or(Duration::MAX)))
}
