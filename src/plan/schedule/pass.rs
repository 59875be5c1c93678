//! Brings retention to its end: what goes is announced after an edit, proved to leave enough behind, and then marked on the backups themselves.

use super::{
    child::{Child, Instance},
    draft::Draft,
    memory::Memory,
    retention::{Kept, Retention, surplus},
    seen::Seen,
    step::Step,
    survey::{Found, Target},
};
use crate::{
    cloud::permits::Urgency,
    plan::{account::CLOCKS_DISAGREE, backup::status::stored, clock::Moment},
};
use jiff::{SignedDuration, Timestamp};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// What is to go of one instance.
#[derive(Clone, Debug)]
pub(super) struct Pass {
    retention: Retention,
    expected: u32,
    kept: Vec<Kept>,
    going: BTreeSet<String>,
    target: Target,
}

/// Decides in the draft what goes now; nothing if an edit was announced just now, or its pass has not come yet.
pub(super) fn plan(s: &Seen<'_>, draft: &mut Draft) -> Option<Pass> {
    let passes = passes(s, draft);
    let Some(first) = passes.first().cloned() else {
        draft.status.retention_planned_time = None;
        return None;
    };
    if s.generation.unwrap_or_default() != s.status.observed_generation {
        announce(s, draft, &passes);
        return None;
    }
    let Some(planned) = draft.status.retention_planned_time.as_ref().map(|planned| planned.0) else { return Some(first) };
    let resync = SignedDuration::try_from(s.settings.resync_interval).unwrap_or(SignedDuration::MAX);
    let next_pass = planned.checked_add(resync).unwrap_or(Timestamp::MAX);
    let has_one_ended = s.own().any(|child| child.has_ended() && child.since.is_some_and(|since| since > planned));
    if has_one_ended || first.expected > 0 || s.now.wall >= next_pass {
        return Some(first);
    }
    draft.wake_at(next_pass);
    None
}

fn announce(s: &Seen<'_>, draft: &mut Draft, passes: &[Pass]) {
    let names: Vec<&str> = passes.iter().flat_map(|pass| &pass.going).map(String::as_str).collect();
    let note = format!("the next retention pass deletes {} backup(s), with their objects: {}", names.len(), names.join(", "));
    draft.tell("RetentionPlanned", "Retain", true, note);
    draft.status.retention_planned_time = Some(stored(s.now.wall));
}

fn passes(s: &Seen<'_>, draft: &mut Draft) -> Vec<Pass> {
    let Some(retention) = s.spec.retention.as_ref().map(Retention::from) else { return Vec::new() };
    let mut instances: BTreeMap<&Instance, Vec<&Child>> = BTreeMap::new();
    for child in s.own().filter(|child| child.completed.is_some() && !child.is_deleting && !child.is_retired) {
        instances.entry(&child.instance).or_default().push(child);
    }
    let mut passes = Vec::new();
    for (instance, children) in instances {
        let kept: Vec<Kept> = children.iter().filter_map(|child| kept(s, child)).collect();
        let expected = u32::from(s.own().any(|child| child.instance == *instance && child.waits_for_room()));
        let going: BTreeSet<String> = surplus(&retention, &kept, expected, s.now.wall).into_iter().collect();
        if let Some(turn) = retention.next_turn(&kept, s.now.wall) {
            draft.wake_at(turn);
        }
        // Who may see the ones that go may delete them.
        let account = children.iter().find(|child| going.contains(&child.name)).map(|child| child.account.clone());
        let target = account.map(|account| Target { account, instance: instance.clone() });
        passes.extend(target.map(|target| Pass { retention, expected, kept, going, target }));
    }
    passes
}

fn kept(s: &Seen<'_>, child: &Child) -> Option<Kept> {
    let is_adopted = child.backup_id.as_ref().is_none_or(|id| s.adopted.contains(id));
    let is_exempt = child.is_held || !child.is_own || is_adopted;
    Some(Kept { name: child.name.clone(), completed: child.completed?, is_exempt })
}

/// The next step of a pass: a complete listing that was begun after the decision has to show the survivors, and both clocks have to agree.
pub(super) fn step(s: &Seen<'_>, memory: &mut Memory, draft: &mut Draft, pass: &Pass) -> Option<Step> {
    let decided = memory.decided_at(pass.going.clone(), s.now);
    let lifetime = s.settings.poll_interval * 4;
    let survey = memory.survey_since(&pass.target, decided).filter(|survey| s.now.since(survey.started) <= lifetime);
    let (started, verdict) = match survey.map(|survey| (survey.started, survey.result.as_ref())) {
        None => return look(s, memory, draft, &pass.target),
        Some((started, Err(why))) => (started, Err(format!("the cloud's listing could not be read ({why})"))),
        Some((started, Ok(found))) => (started, proved(s, pass, found, started)),
    };
    match verdict {
        // By the cloud's clock nothing is too old yet.
        Ok(going) if going.is_empty() => {
            draft.wake_in(s.settings.look_pause());
            None
        }
        Ok(going) => {
            memory.retention_note = None;
            Some(Step::Retire(s.own().filter(|child| going.contains(&child.name)).map(|child| child.uid.clone()).collect()))
        }
        Err(why) => {
            memory.retention_note = Some(why);
            let pause = s.settings.secret_reread(false).max(lifetime);
            draft.wake_in(pause.saturating_sub(s.now.since(started)).max(s.settings.look_pause()));
            None
        }
    }
}

fn look(s: &Seen<'_>, memory: &Memory, draft: &mut Draft, target: &Target) -> Option<Step> {
    match memory.survey_pause(s.settings, s.now) {
        Some(Duration::ZERO) => Some(Step::Survey { target: target.clone(), urgency: Urgency::Poll }),
        Some(pause) => {
            draft.wake_in(pause);
            None
        }
        None => None,
    }
}

/// What may go by what a complete listing shows, by both clocks.
fn proved(s: &Seen<'_>, pass: &Pass, found: &Found, started: Moment) -> Result<BTreeSet<String>, String> {
    let cloud_time = found.cloud_time.filter(|time| started.agrees_with(*time)).ok_or_else(|| CLOCKS_DISAGREE.to_owned())?;
    let since = SignedDuration::try_from(s.now.since(started)).unwrap_or_default();
    let earlier = cloud_time.saturating_add(since).unwrap_or(cloud_time).min(s.now.wall);
    let going: BTreeSet<String> = surplus(&pass.retention, &pass.kept, pass.expected, earlier).into_iter().collect();
    let survivors = pass.kept.iter().filter(|kept| !kept.is_exempt && !going.contains(&kept.name));
    let is_shown = |name: &str| {
        s.own().find(|child| child.name == name).and_then(|child| child.backup_id.as_ref()).is_some_and(|id| found.finished.contains(id))
    };
    let shown = survivors.filter(|kept| is_shown(&kept.name)).count();
    let floor = pass.retention.min_count as usize;
    if shown < floor {
        return Err(format!("the cloud shows {shown} of the {floor} backups that have to stay (minCount)"));
    }
    Ok(going)
}
