//! What the status says of a schedule: its conditions, and what is read off its backups.

use super::{
    calendar::InvalidSchedule,
    child::{self, Child},
    draft::Draft,
    memory::Memory,
    seen::Seen,
};
use crate::{
    api::{
        conditions::{self, Blocked, Kstatus, Verdict, condition, conditions, find, types},
        schedule::DatabaseBackupScheduleStatus,
        status::Phase,
    },
    plan::{
        backup::{memory::BlockedSince, seen::Account, status::stored},
        notice::ready,
        wording,
    },
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use std::time::Duration;

/// Reads off the backups how the schedule gets on.
pub(super) fn read_children(s: &Seen<'_>, draft: &mut Draft) {
    let succeeded = s.own().filter_map(|child| child.completed).map(stored).max_by_key(|time| time.0);
    let before = draft.status.last_successful_time.take();
    draft.status.last_successful_time = [before, succeeded].into_iter().flatten().max_by_key(|time| time.0);
    let active = s.own().filter(|child| !child.has_ended()).max_by_key(|child| child.slot);
    draft.status.active_backup_name = active.map(|child| child.name.clone());
}

/// Concludes the draft with the conditions.
pub(super) fn conclude(s: &Seen<'_>, memory: &mut Memory, draft: &mut Draft, invalid: Option<&InvalidSchedule>, within: Option<Condition>) {
    let (kstatus, reason, message) = verdict(s, memory, draft, invalid);
    let blocked = blocked(s, memory, draft, kstatus);
    let mut next = conditions(&s.status.conditions, Verdict { kstatus, reason, message: &message }, blocked, s.generation, s.now.wall);
    next.extend(last_backup(s));
    next.extend(within);
    draft.status.conditions = next;
    draft.status.observed_generation = s.generation.unwrap_or_default();
}

/// Whether the draft says anything new. Other words, as of another version of this program, are no news: the next write brings them along.
pub(super) fn is_news(s: &Seen<'_>, draft: &Draft) -> bool {
    let (stored, next) = (&s.status.conditions, &draft.status.conditions);
    draft.status != *s.status
        && !(wording::says_the_same(stored, next, fact)
            && draft.status == DatabaseBackupScheduleStatus { conditions: next.clone(), ..s.status.clone() })
}

/// What the message of a condition says beyond its reason and the rest of the status.
fn fact(condition: &Condition) -> Option<&str> {
    let message = condition.message.as_str();
    match (condition.type_.as_str(), condition.reason.as_str()) {
        // What it waits for.
        (types::READY, "Scheduled" | "Suspended") => Some(message).filter(|message| message.contains(WAITS)),
        // Which backup it is.
        (types::LAST_BACKUP_SUCCEEDED, _) => message.split(':').next(),
        (types::WITHIN_OBJECTIVE, "Fresh" | "TooOld" | "NotRestorable" | "NoBackup" | "NotCheckedYet") => None,
        _ => Some(message),
    }
}

/// In every message that says what a schedule waits for.
const WAITS: &str = " waits";

fn verdict(s: &Seen<'_>, memory: &Memory, draft: &Draft, invalid: Option<&InvalidSchedule>) -> (Kstatus, &'static str, String) {
    if let Some(invalid) = invalid {
        return (Kstatus::Failed, "InvalidSchedule", invalid.to_string());
    }
    if s.spec.suspend {
        return (Kstatus::Current, "Suspended", "no backups are taken until spec.suspend is false".to_owned() + &note(memory));
    }
    if let Some(refusal) = &draft.refusal {
        return (Kstatus::Blocked, "BackupNotCreated", format!("the backup of the slot that is due could not be created: {refusal}"));
    }
    match s.account {
        Account::Blocked { message, .. } => return (Kstatus::Blocked, "AccountNotReady", message.clone()),
        Account::Verifying => {
            if let Some(message) = unverified(s) {
                return (Kstatus::Blocked, "AccountNotReady", message);
            }
        }
        Account::Ready { .. } => {}
    }
    let next = draft.status.next_schedule_time.as_ref().map(|next| next.0);
    let message = match (&draft.waits_for, next) {
        (Some(child), _) => format!("the next backup{WAITS} for {child} to come to its end"),
        (None, Some(next)) => format!("the next slot is at {next}"),
        (None, None) => "there is no slot any more".to_owned(),
    };
    (Kstatus::Current, "Scheduled", message + &note(memory))
}

/// What to say while nothing is known of the account, as after a start: what was said of it before may still be so, and of a fresh schedule nothing was said.
fn unverified(s: &Seen<'_>) -> Option<String> {
    match ready(&s.status.conditions) {
        ("", _) => Some(format!("{} is being verified", s.target().account)),
        ("AccountNotReady", message) => Some(message.to_owned()),
        _ => None,
    }
}

fn note(memory: &Memory) -> String {
    memory.retention_note.as_ref().map(|why| format!("; retention{WAITS}: {why}")).unwrap_or_default()
}

fn blocked(s: &Seen<'_>, memory: &mut Memory, draft: &mut Draft, kstatus: Kstatus) -> Blocked {
    if kstatus != Kstatus::Blocked {
        memory.blocked = None;
        return Blocked::WithinGrace;
    }
    let stalled_before = conditions::is_true(&s.status.conditions, types::STALLED);
    let since = *memory.blocked.get_or_insert(BlockedSince { since: s.now, stalled_before });
    match since.grace_left(s.settings, s.now) {
        Duration::ZERO => Blocked::PastGrace,
        left => {
            draft.wake_in(left);
            Blocked::WithinGrace
        }
    }
}

/// How the newest backup that came to an end did. What was said of one that is gone since stays until a newer one ends.
fn last_backup(s: &Seen<'_>) -> Option<Condition> {
    let before = find(&s.status.conditions, types::LAST_BACKUP_SUCCEEDED);
    let said = before.and_then(|before| slot_in(&before.message));
    let newest =
        s.own().filter(|child| child.has_ended() && !child.is_retired).max_by_key(|child| child.slot).filter(|child| child.slot >= said);
    match newest {
        Some(child) => {
            let (status, reason) = result(child);
            let message = format!("{}: {}", child.name, child.message);
            Some(condition(&s.status.conditions, types::LAST_BACKUP_SUCCEEDED, status, reason, &message, s.generation, s.now.wall))
        }
        None => before.map(|before| Condition { observed_generation: s.generation, ..before.clone() }),
    }
}

fn result(child: &Child) -> (&'static str, &'static str) {
    match child.phase {
        Some(Phase::Failed) => ("False", "Failed"),
        Some(Phase::Lapsed) => ("False", "Lapsed"),
        Some(Phase::Missing) => ("False", "Missing"),
        _ => ("True", "Completed"),
    }
}

/// The slot of the backup that a message begins with.
fn slot_in(message: &str) -> Option<Timestamp> {
    message.split(':').next().and_then(child::parse).map(|(_, slot)| slot)
}
