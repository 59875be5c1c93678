//! The state machine of a backup: from what was observed to the next step.
//!
//! | where the object is | file |
//! |---|---|
//! | another may know more of it: it was restored, or its time has passed | `restored` |
//! | the cloud has to be asked for a backup | `submit` |
//! | it may have a backup from an earlier life, and is looked for first | `first` |
//! | the cloud was asked and did not answer | `doubt` |
//! | the backup's id is known | `watch` |
//! | a backup that exists is to be adopted | `import` |
//! | the backup is to be deleted | `removal` |
//! | what keeps any of them from repeating itself | `brake` |
//!
//! # The protocol
//! 1. Everything first: a ready account, the instance's turn, a permit. Each is a step of its own, and each changes what is observed next.
//! 2. Then the intent ([`Step::WriteIntent`]), a compare-and-swap on the object.
//! 3. Then at once the call ([`Step::Send`]), whose last line before the socket checks the intent's age.
//! 4. A definite answer is stored. Anything else is a doubt: look until the backup is found, or until two complete listings a settle delay later
//!    lack it; only then is the same name sent again.
//!
//! # Guarantees
//! No two create calls of one attempt are under way while *pause + delivery delay + list lag + clock skew* stays under the settle delay less the
//! intent's lifetime.

mod brake;
mod doubt;
mod first;
mod import;
#[cfg(test)]
mod model;
mod removal;
mod restored;
mod submit;
#[cfg(test)]
mod tests;
mod watch;

use super::{
    memory::Memory,
    observed::{Account, Observed, Place, Seen, Whereabouts},
    outcome::Trouble,
    reason::Reason,
    rule::{Rule, is_kept},
    settings::Settings,
    status::{STILL_WATCHING, blocked_pause, conclude, grace_left, restated, says_the_same, time_left},
};
use crate::{
    api::{
        conditions::{Standing, types},
        status::{CreateOutcome, DatabaseBackupStatus, Phase},
    },
    cloud::backup::{ListScope, NewBackup},
};
use std::time::Duration;

/// What to do next.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Ask whether it is this object's turn on its instance, and plan again.
    TakeTurn,
    /// Ask for a permit for one create call, and plan again.
    TakePermit,
    /// Write this status, which holds the intent to create; if exactly this was stored, plan again at once.
    WriteIntent(Box<DatabaseBackupStatus>),
    /// Send the create call of the intent just written, unless the last check says no; keep the answer in memory, and plan again.
    Send(NewBackup),
    /// Start a complete listing for this object in the background; the object is woken when it is there.
    Look(ListScope),
    /// Put the finalizer on the object, or take it off since nothing in the cloud goes with it, and plan again.
    SetFinalizer(bool),
    /// Take the finalizer off: the cloud holds nothing of this object any more. Plan again.
    Release,
    /// Start a complete listing of everything that the object ever had in the cloud, in the background; the object is woken when it is there.
    TakeStock(ListScope),
    /// Delete this backup in the cloud, keep what comes of it in memory, and plan again.
    Delete {
        /// The cloud's id of the backup.
        backup_id: String,
    },
    /// Write this status if it says anything new, and rest.
    Report(Box<Report>),
    /// Nothing to do but wait, at most so long; absent: until something changes.
    Rest(Option<Duration>),
}

/// A status to write.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The status.
    pub status: DatabaseBackupStatus,
    /// The reason in its conditions; absent where an earlier one is restated.
    pub reason: Option<Reason>,
    /// Look again after so long, if nothing happens before.
    pub wake: Option<Duration>,
}

/// Brings the memory in line with what is seen of the object, and decides on its next step.
pub fn decide(seen: &Seen<'_>, memory: &mut Memory) -> Step {
    memory.notice(seen, removal::is_wanted(seen));
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
    if removal::is_expired(o) {
        return removal::expire(o);
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
    let sighting = o.memory.sighting.as_ref().filter(|sighting| *sighting.place == *there)?;
    let has_mark = |mark: &String| o.status.backup_name.as_ref() == Some(mark);
    let is_there = sighting.record(o.status).is_some() || sighting.found.iter().any(|backup| has_mark(&backup.mark));
    let next = DatabaseBackupStatus { endpoint: Some(there.endpoint.clone()), ..restated(o) };
    is_there.then(|| Step::Report(Box::new(Report { status: next, reason: None, wake: Some(Duration::ZERO) })))
}

/// Nothing happens to the object any more, but its status speaks of the newest generation.
fn settled(o: &Observed<'_>) -> Step {
    Step::Report(Box::new(Report { status: restated(o), reason: None, wake: None }))
}

/// A report with one reason; it is looked at again when `wake`, the grace or the deadline is over, whichever comes first.
fn report(o: &Observed<'_>, next: DatabaseBackupStatus, phase: Phase, reason: Reason, message: &str, wake: Option<Duration>) -> Step {
    let timer = match reason.standing() {
        Standing::OnItsWay => Some(time_left(o)),
        Standing::Blocked => Some(grace_left(o)),
        _ => None,
    };
    let wake = [wake, timer.filter(|left| !left.is_zero())].into_iter().flatten().min();
    Step::Report(Box::new(Report { status: conclude(o, next, phase, reason, message), reason: Some(reason), wake }))
}

/// The object stays in its phase and says why it does not get on.
fn hold(o: &Observed<'_>, reason: Reason, message: &str, wake: Option<Duration>) -> Step {
    report(o, o.status.clone(), o.status.phase.unwrap_or(Phase::Pending), reason, message, wake)
}

/// Why the object cannot get at its account.
enum Gate {
    /// Not known yet: wait without a word, unless the object has never been told anything.
    Verifying,
    /// To be reported.
    Closed(Reason, String),
}

/// The place to work in, if the account is ready and still points to where the backup is.
fn place<'a>(o: &Observed<'a>) -> Result<&'a Place, Gate> {
    let place = match o.seen.account {
        Account::Verifying => return Err(Gate::Verifying),
        Account::Blocked { reason, message } => return Err(Gate::Closed(*reason, message.clone())),
        Account::Ready { place, .. } => place,
    };
    let mismatch = |points: String, belongs: String| {
        let (kind, name) = (o.spec.account_ref.kind.as_str(), &o.spec.account_ref.name);
        let message = format!(
            "{kind} {name} now points to {points}, but this backup belongs to {belongs}; point it back, or create a new DatabaseBackup"
        );
        Err(Gate::Closed(Reason::AccountMismatch, message))
    };
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    match place.whereabouts(o.status) {
        Whereabouts::Here => Ok(place),
        Whereabouts::Elsewhere => mismatch(
            format!("project {} in {}", place.project.project_id, place.project.region),
            format!("project {} in {}", text(&o.status.project_id), text(&o.status.region)),
        ),
        Whereabouts::OtherHost => mismatch(
            format!("{}, where this backup was not seen", host(&place.endpoint)),
            host(o.status.endpoint.as_deref().unwrap_or_default()).to_owned(),
        ),
    }
}

/// A host as people are told of it.
fn host(endpoint: &str) -> &str {
    if endpoint.is_empty() { "no host" } else { endpoint }
}

/// What to do at a closed gate.
fn wait_at(o: &Observed<'_>, gate: Gate) -> Step {
    match gate {
        Gate::Verifying if o.status.conditions.is_empty() => {
            let account = &o.spec.account_ref;
            hold(o, Reason::AccountNotReady, &format!("{} {} is being verified", account.kind.as_str(), account.name), None)
        }
        Gate::Verifying => Step::Rest(None),
        Gate::Closed(reason, message) => hold(o, reason, &message, None),
    }
}

/// What stands in the way of another try, if it is not time for one.
fn trouble<'a>(o: &Observed<'a>) -> Option<&'a Trouble> {
    let memory = o.memory;
    memory.trouble.as_ref().filter(|trouble| trouble.is_current(o.account.epoch(), memory.counted_annotations(), o.now))
}

/// What is said of a trouble: what the status says already, if that is of the same trouble. Another request has another id, and another process may have
/// met it first; neither is news.
fn told<'a>(o: &Observed<'a>, trouble: &'a Trouble) -> &'a str {
    let said = ready_message(o, trouble.reason).filter(|said| said.contains(&trouble.token));
    said.filter(|_| is_kept(Rule::MessageOfTheStatus)).unwrap_or(&trouble.message)
}

/// What the status says for this reason, if that is its reason.
fn ready_message<'a>(o: &Observed<'a>, reason: Reason) -> Option<&'a str> {
    let ready = o.seen.status.conditions.iter().find(|condition| condition.type_ == types::READY)?;
    if ready.reason == Reason::ProgressDeadlineExceeded.as_str() && reason.standing() == Standing::OnItsWay {
        return ready.message.split_once(STILL_WATCHING).map(|(_, said)| said);
    }
    (ready.reason == reason.as_str()).then_some(ready.message.as_str())
}

/// How long until a blocked object looks again that its last look left blocked; zero if it is due. The pause was chosen at that look, and grows with each
/// further one; a changed annotation or a newly verified account ends it.
fn look_again_in(o: &Observed<'_>) -> Duration {
    let looks = &o.memory.looks;
    let is_changed = looks.epoch != o.account.epoch() || looks.annotations != o.memory.counted_annotations();
    match looks.last {
        Some(last) if !is_changed => {
            let pause = if is_kept(Rule::PauseSinceTheLook) { o.settings.blocked_retry(looks.in_a_row) } else { blocked_pause(o) };
            pause.saturating_sub(o.now.since(last))
        }
        _ => Duration::ZERO,
    }
}

impl Report {
    /// Whether writing it would change anything that is worth a write.
    pub fn is_news(&self, stored: &DatabaseBackupStatus, settings: &Settings) -> bool {
        !says_the_same(stored, &self.status, settings)
    }
}

/// Whether the stored status carries the intent exactly as it was meant to be written. A definition in the cluster that is older than this program
/// drops fields silently; nothing may be sent then.
pub fn carries_intent(stored: Option<&DatabaseBackupStatus>, meant: &DatabaseBackupStatus) -> bool {
    stored.is_some_and(|stored| {
        stored.backup_name == meant.backup_name
            && stored.attempts == meant.attempts
            && stored.request_time == meant.request_time
            && stored.create_outcome == meant.create_outcome
            && (&stored.cloud, &stored.region, &stored.project_id) == (&meant.cloud, &meant.region, &meant.project_id)
            && stored.endpoint == meant.endpoint
            && stored.failed_attempts == meant.failed_attempts
            && stored.backup_id.is_none()
    })
}

/// Marks the latest create call as having made nothing.
fn rejected(o: &Observed<'_>) -> DatabaseBackupStatus {
    DatabaseBackupStatus { create_outcome: Some(CreateOutcome::Rejected), ..o.status.clone() }
}
