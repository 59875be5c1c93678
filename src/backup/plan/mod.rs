//! The state machine of a backup: from what was observed to the next step.
//!
//! | where the object is | file |
//! |---|---|
//! | the cloud has to be asked for a backup | `submit` |
//! | the cloud was asked and did not answer | `doubt` |
//! | the backup's id is known | `watch` |
//! | a backup that exists is to be adopted | `import` |
//! | the backup is to be deleted | `removal` |
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

mod doubt;
mod import;
#[cfg(test)]
mod model;
mod removal;
mod submit;
#[cfg(test)]
mod tests;
mod watch;

use super::{
    observed::{Account, Observed, Place},
    outcome::Trouble,
    reason::Reason,
    rule::{Rule, is_kept},
    settings::Settings,
    status::{conclude, grace_left, restated, says_the_same, time_left},
};
use crate::{
    api::{
        conditions::Standing,
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
    /// Put the finalizer on the object, or take it off, and plan again.
    SetFinalizer(bool),
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

/// The next step for an object.
pub fn plan(o: &Observed<'_>) -> Step {
    if o.object.deleting {
        return removal::of_object(o);
    }
    // Before the first intent: what is in the cloud must not outlive an object that wants it deleted.
    if removal::wants_finalizer(o) != o.object.has_finalizer {
        return Step::SetFinalizer(removal::wants_finalizer(o));
    }
    if removal::is_expired(o) {
        return removal::expire(o);
    }
    match o.status.phase {
        Some(Phase::Failed | Phase::Expired) => settled(o),
        _ if o.status.backup_id.is_some() => watch::plan(o),
        _ if o.spec.source.existing_backup_id.is_some() => import::plan(o),
        _ => submit::plan(o),
    }
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
    match o.account {
        Account::Verifying => Err(Gate::Verifying),
        Account::Blocked { reason, message } => Err(Gate::Closed(*reason, message.clone())),
        Account::Ready { place, .. } => match elsewhere(o.status, place) {
            None => Ok(place),
            Some(there) => Err(Gate::Closed(
                Reason::AccountMismatch,
                format!(
                    "{} {} now points to project {} in {}, but this backup belongs to {there}; point it back, or create a new DatabaseBackup",
                    o.spec.account_ref.kind.as_str(),
                    o.spec.account_ref.name,
                    place.project_id,
                    place.region
                ),
            )),
        },
    }
}

/// Where the status says the backup is, if that is not `place`.
fn elsewhere(status: &DatabaseBackupStatus, place: &Place) -> Option<String> {
    let (cloud, region, project) = (status.cloud.as_deref()?, status.region.as_deref()?, status.project_id.as_deref()?);
    let same = cloud == place.cloud.as_str() && region == place.region && project == place.project_id;
    (!same).then(|| format!("project {project} in {region}"))
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
    o.memory.trouble.as_ref().filter(|trouble| trouble.is_current(epoch(o.account), o.object.nudge, o.now))
}

/// The account's epoch, if it is ready.
pub fn epoch(account: &Account) -> Option<u64> {
    match account {
        Account::Ready { epoch, .. } => Some(*epoch),
        Account::Verifying | Account::Blocked { .. } => None,
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
            && stored.failed_attempts == meant.failed_attempts
            && stored.backup_id.is_none()
    })
}

/// Marks the latest create call as having made nothing.
fn rejected(o: &Observed<'_>) -> DatabaseBackupStatus {
    DatabaseBackupStatus { create_outcome: Some(CreateOutcome::Rejected), ..o.status.clone() }
}
