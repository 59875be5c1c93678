//! The state machine of a schedule: from what was observed to the next step.

use super::{
    calendar::Calendar,
    child::Child,
    draft::Draft,
    history,
    memory::Memory,
    pass, protection,
    seen::Seen,
    slots::{LONGEST_REST, advance},
    status,
    step::{Report, Step},
};
use crate::cloud::permits::Urgency;
use std::{collections::BTreeSet, time::Duration};

/// Brings the memory in line with what is seen, and decides on the next step. What the status has to say comes first, since what follows may be lost with it.
pub fn decide(seen: &Seen<'_>, memory: &mut Memory) -> Step {
    if seen.deleting {
        return Step::RequeueAfter(None);
    }
    memory.notice(seen);
    let mut draft = Draft::of(seen);
    let calendar = Calendar::parse(&seen.spec.schedule, &seen.spec.time_zone, seen.now.wall);
    if let Ok(calendar) = &calendar {
        if let Some(step) = advance(seen, memory, calendar, &mut draft) {
            return step;
        }
    } else {
        // Whoever mends it begins anew.
        (draft.status.observed_schedule, draft.status.next_schedule_time) = (None, None);
    }
    history::count_lapsed(seen, &mut draft);
    status::read_children(seen, &mut draft);
    tell_of_strays(seen, memory, &mut draft);
    tell_of_retired(memory, &mut draft);
    let retire = pass::plan(seen, &mut draft).map(|pass| pass::step(seen, memory, &mut draft, &pass));
    if retire.is_none() {
        (memory.decided, memory.retention_note) = (None, None);
    }
    let within = protection::assess(seen, memory, &mut draft);
    status::conclude(seen, memory, &mut draft, calendar.as_ref().err(), within);
    if status::is_news(seen, &draft) || !draft.notices.is_empty() {
        return Step::Report(Box::new(Report { status: draft.status, notices: draft.notices }));
    }
    retire
        .flatten()
        .or_else(|| tell_of_room(seen, memory))
        .or_else(|| Some(history::surplus(seen)).filter(|failed| !failed.is_empty()).map(Step::Delete))
        .or_else(|| look_at_protection(seen, memory, &mut draft))
        .unwrap_or_else(|| Step::RequeueAfter(Some(draft.wake().unwrap_or(LONGEST_REST).min(LONGEST_REST))))
}

/// Objects that have the label or the form of the name, but not both, are nobody's children: they are counted, and never touched.
fn tell_of_strays(s: &Seen<'_>, memory: &mut Memory, draft: &mut Draft) {
    let strays: BTreeSet<String> = s.children.iter().filter(|child| !child.is_of_the_schedule()).map(|child| child.name.clone()).collect();
    for name in strays.difference(&memory.strays) {
        let is_labelled = s.children.iter().any(|child: &Child| child.name == *name && child.is_labelled);
        let what = if is_labelled {
            "has the label of this schedule, but not a name of its form"
        } else {
            "has a name of this schedule's form, but not its label"
        };
        draft.tell(
            "StrayChild",
            "Schedule",
            true,
            format!("DatabaseBackup {name} {what}: it is no backup of this schedule, and retention leaves it"),
        );
    }
    memory.strays = strays;
}

/// Retention has come to its end for some.
fn tell_of_retired(memory: &mut Memory, draft: &mut Draft) {
    let retired: Vec<String> = std::mem::take(&mut memory.retired).into_iter().collect();
    if retired.is_empty() {
        return;
    }
    memory.is_room = true;
    let note = format!("retention has deleted {} backup(s), and their objects: {}", retired.len(), retired.join(", "));
    draft.tell("RetentionDeleted", "Retain", false, note);
}

/// Retention has made room in the cloud: who waits for it is told, once.
fn tell_of_room(s: &Seen<'_>, memory: &mut Memory) -> Option<Step> {
    let waiting: Vec<String> = s.own().filter(|child| child.waits_for_room()).map(|child| child.uid.clone()).collect();
    let is_room = std::mem::take(&mut memory.is_room);
    (is_room && !waiting.is_empty()).then_some(Step::TellOfRoom(waiting))
}

fn look_at_protection(s: &Seen<'_>, memory: &Memory, draft: &mut Draft) -> Option<Step> {
    match protection::look_in(s, memory)? {
        Duration::ZERO => Some(Step::Survey { target: s.target(), urgency: Urgency::Poll }),
        pause => {
            draft.wake_in(pause);
            None
        }
    }
}
