//! Brings the slots of a schedule to their end, one after the other: suspended → missed → satisfied → older ones lapse → child.

use super::{
    calendar::Calendar,
    child,
    draft::Draft,
    memory::Memory,
    objective::Good,
    seen::Seen,
    slot::{self, SlotStep},
    step::Step,
};
use crate::{
    api::schedule::Satisfied,
    cloud::permits::Urgency,
    plan::backup::{seen::Account, status::stored},
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use std::time::Duration;

/// The longest that a schedule is not looked at: timers stand still while a machine sleeps, and its clock does not.
pub(super) const LONGEST_REST: Duration = Duration::from_secs(600);

/// Decides on the slots, in the draft; or answers with what has to be done first.
pub(super) fn advance(s: &Seen<'_>, memory: &mut Memory, calendar: &Calendar, draft: &mut Draft) -> Option<Step> {
    let current = format!("{} {}", s.spec.schedule, s.spec.time_zone);
    let is_current = s.status.observed_schedule.as_ref() == Some(&current);
    // What is no slot, by this version's time zones, is none that could be decided.
    let is_slot = |next: &Timestamp| is_current && calendar.has(*next);
    let cursor = s.status.next_schedule_time.as_ref().map(|next| next.0).filter(is_slot);
    if let Some(decided) = memory.newest_slot.filter(|decided| cursor.is_some_and(|cursor| cursor <= *decided)) {
        draft.move_on(decided, calendar.next(decided));
        return None;
    }
    if cursor.is_some_and(|cursor| !s.spec.suspend && record(s, calendar, draft, cursor)) {
        return None;
    }
    let delaying = s.own().find(|child| child.delays());
    let seen = slot::Seen {
        calendar,
        suspended: s.spec.suspend,
        cursor,
        last: memory.newest_slot,
        deadline: s.spec.starting_deadline().and_then(|deadline| Duration::try_from(deadline).ok()),
        is_delayed: delaying.is_some(),
        born: memory.born.wall,
        lot: s.lot(),
        now: s.now.wall,
    };
    draft.status.observed_schedule = (!s.spec.suspend).then_some(current);
    match slot::decide(&seen) {
        SlotStep::Suspend => draft.status.next_schedule_time = None,
        SlotStep::Begin { cursor } => draft.status.next_schedule_time = cursor.map(Time),
        SlotStep::Wait(at) => draft.wake_at(at),
        SlotStep::Delayed => {
            draft.waits_for = delaying.map(|child| child.name.clone());
            draft.wake_in(LONGEST_REST.min(seen.deadline.unwrap_or(LONGEST_REST)));
        }
        SlotStep::Miss { newest, missed, cursor } => {
            draft.move_on(newest, cursor);
            draft.miss(missed, newest, "it was too late to begin it, by startingDeadlineSeconds");
        }
        SlotStep::Run { slot, missed, cursor } => return run(s, memory, draft, &Due { slot, missed, cursor }),
    }
    None
}

/// What was done for slots that the status does not know of yet is read off the children: the process may have been killed between a child and its status.
fn record(s: &Seen<'_>, calendar: &Calendar, draft: &mut Draft, cursor: Timestamp) -> bool {
    let is_due = |slot: &Timestamp| *slot >= cursor && *slot <= s.now.wall && calendar.has(*slot);
    let mut ran: Vec<Timestamp> = s.own().filter_map(|child| child.slot).filter(is_due).collect();
    ran.sort_unstable();
    let Some(newest) = ran.last().copied() else { return false };
    let due = calendar.due(cursor, newest).map_or(0, |due| due.count);
    for slot in &ran {
        let name = child::name(s.name, *slot);
        draft.tell("BackupCreated", "Schedule", false, format!("made DatabaseBackup {name} for the slot of {slot}"));
        draft.status.last_backup_name = Some(name);
    }
    draft.move_on(newest, calendar.next(newest));
    draft.miss(due.saturating_sub(ran.len() as u64), newest, "the operator was down, or an earlier backup was on its way");
    true
}

/// The slot that is due.
struct Due {
    slot: Timestamp,
    /// How many were missed before it.
    missed: u64,
    cursor: Option<Timestamp>,
}

fn run(s: &Seen<'_>, memory: &mut Memory, draft: &mut Draft, due: &Due) -> Option<Step> {
    let name = child::name(s.name, due.slot);
    if memory.collision == Some(due.slot) {
        draft.move_on(due.slot, due.cursor);
        let note =
            format!("there is a DatabaseBackup {name} which is not of this schedule: no backup is made for the slot of {}", due.slot);
        draft.tell("NameCollision", "Schedule", true, note);
        draft.miss(due.missed + 1, due.slot, "another object has the name of its backup, or the slots before it were too late");
        return None;
    }
    match freshness(s, memory, due.slot) {
        Freshness::Fresh(good) => {
            satisfy(draft, due, good);
            return None;
        }
        Freshness::Look => return Some(Step::Survey { target: s.target(), urgency: Urgency::Urgent }),
        Freshness::Wait(pause) => {
            draft.wake_in(pause);
            return None;
        }
        Freshness::Stale => {}
    }
    if let Some(refusal) = memory.refusal.as_ref().filter(|refusal| refusal.slot == due.slot) {
        draft.refusal = Some(refusal.message.clone());
        let pause = s.settings.passing_retry(refusal.times).saturating_sub(s.now.since(refusal.at));
        if !pause.is_zero() {
            draft.wake_in(pause);
            return None;
        }
    }
    // Only now, when nothing stands in the way of the newer one.
    if let Some(older) = s.own().find(|child| child.is_replaceable && child.slot < Some(due.slot)) {
        return Some(Step::Supersede { uid: older.uid.clone(), newer: name });
    }
    let object = child::new(s.name, s.namespace, s.spec, due.slot, s.now.wall);
    Some(Step::Create { slot: due.slot, object: Box::new(object) })
}

/// Whether the instance has a backup that is so fresh that the slot needs none.
enum Freshness {
    Fresh(Good),
    /// There is none; or nobody asked; or the cloud does not say, and then a backup is taken rather than not.
    Stale,
    Look,
    Wait(Duration),
}

fn freshness(s: &Seen<'_>, memory: &mut Memory, slot: Timestamp) -> Freshness {
    let Some(seconds) = s.spec.skip_if_fresher_than_seconds else { return Freshness::Stale };
    let since = memory.due_since(slot, s.now);
    match s.account {
        Account::Blocked { .. } => return Freshness::Stale,
        // As in the first moments after a start.
        Account::Verifying => {
            let left = s.settings.blocked_grace.saturating_sub(s.now.since(since));
            return if left.is_zero() { Freshness::Stale } else { Freshness::Wait(left) };
        }
        Account::Ready { .. } => {}
    }
    let Some(survey) = memory.survey_since(&s.target(), since) else {
        return match memory.survey_pause(s.settings, s.now) {
            Some(Duration::ZERO) => Freshness::Look,
            pause => Freshness::Wait(pause.unwrap_or(LONGEST_REST)),
        };
    };
    let newest = survey.result.as_ref().ok().and_then(|found| found.newest.clone());
    let most = SignedDuration::from_secs(seconds.into());
    newest.filter(|good| s.cloud_now().duration_since(good.completed) < most).map_or(Freshness::Stale, Freshness::Fresh)
}

fn satisfy(draft: &mut Draft, due: &Due, good: Good) {
    draft.move_on(due.slot, due.cursor);
    draft.status.satisfied_runs = draft.status.satisfied_runs.saturating_add(1);
    let taken_by: &'static str = good.taken_by.into();
    let note =
        format!("the slot of {} needs no backup: {} was completed at {} (taken by: {taken_by})", due.slot, good.backup_id, good.completed);
    draft.tell("SlotSatisfied", "Schedule", false, note);
    draft.status.last_satisfied = Some(Satisfied {
        slot: Time(due.slot),
        backup_id: good.backup_id,
        completion_time: stored(good.completed),
        taken_by: good.taken_by,
    });
    draft.miss(due.missed, due.slot, "the operator was down, or an earlier backup was on its way");
}
