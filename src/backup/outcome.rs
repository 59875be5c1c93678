//! What an error of the cloud means for a backup: the one place where reasons and delays are chosen.

use super::{clock::Moment, reason::Reason, settings::Settings};
use crate::{
    api::conditions::Standing,
    cloud::errors::{Class, Error},
};

/// What stands in the way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Trouble {
    /// The reason to report.
    pub reason: Reason,
    /// The message to report.
    pub message: String,
    /// It will not pass: the object fails for good.
    pub is_final: bool,
    /// Failures in a row.
    pub failures: u32,
    /// When it is tried again.
    pub retry_at: Moment,
    /// The account's epoch when it happened: a newly verified account is worth another try.
    pub epoch: Option<u64>,
    /// The object's nudge when it happened: a changed annotation is worth another try.
    pub nudge: u64,
}

/// What to do after an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// It will not pass.
    Final(Reason),
    /// It is tried again, and shown as this.
    Again(Reason),
}

fn outcome(class: Class) -> Outcome {
    use Outcome::{Again, Final};
    match class {
        Class::Invalid => Final(Reason::InvalidRequest),
        Class::Unsupported => Final(Reason::Unsupported),
        Class::Busy | Class::DeleteLater => Again(Reason::InstanceBusy),
        Class::Throttled => Again(Reason::RateLimited),
        Class::Unauthenticated => Again(Reason::AuthenticationFailed),
        Class::Forbidden => Again(Reason::AccessDenied),
        Class::Quota => Again(Reason::QuotaExceeded),
        Class::InstanceNotFound => Again(Reason::InstanceNotFound),
        Class::Misconfigured => Again(Reason::EndpointMisconfigured),
        Class::NotSent | Class::Withheld | Class::Unavailable | Class::Unreadable | Class::BackupNotFound | Class::NameExists => {
            Again(Reason::CloudUnavailable)
        }
    }
}

/// The trouble after a create call that made nothing.
pub fn refused(error: &Error, before: Option<&Trouble>, place: Circumstances<'_>) -> Trouble {
    let outcome = outcome(error.class);
    trouble(outcome, error, before, place)
}

/// The trouble after a listing that failed. Reading is never given up: what would be final for a create call is a matter of the address here.
pub fn unreadable(error: &Error, before: Option<&Trouble>, place: Circumstances<'_>) -> Trouble {
    let outcome = match outcome(error.class) {
        Outcome::Final(_) => Outcome::Again(Reason::EndpointMisconfigured),
        // Where a service lists per instance, nothing can be listed without it.
        Outcome::Again(Reason::InstanceNotFound) if error.tells_of_a_missing_instance() => Outcome::Again(Reason::InstanceNotFound),
        // Elsewhere the instance of a backup may be gone while the backup stays; only what listings show counts.
        Outcome::Again(Reason::InstanceBusy | Reason::InstanceNotFound) => Outcome::Again(Reason::CloudUnavailable),
        again @ Outcome::Again(_) => again,
    };
    trouble(outcome, error, before, place)
}

/// The trouble after a DELETE call that was refused or not answered. It is never given up.
pub fn undeleted(error: &Error, before: Option<&Trouble>, place: Circumstances<'_>) -> Trouble {
    let outcome = match outcome(error.class) {
        Outcome::Final(reason) => Outcome::Again(reason),
        again @ Outcome::Again(_) => again,
    };
    trouble(outcome, error, before, place)
}

/// The trouble after a listing that did not hold together.
pub fn incomplete(message: &str, before: Option<&Trouble>, place: Circumstances<'_>) -> Trouble {
    let failures = failures(before, Reason::CloudUnavailable);
    Trouble {
        reason: Reason::CloudUnavailable,
        message: format!("the cloud's listing did not hold together and is read again: {message}"),
        is_final: false,
        failures,
        retry_at: place.now.plus(place.settings.passing_retry(failures)),
        epoch: place.epoch,
        nudge: place.nudge,
    }
}

/// When and under which circumstances something failed.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances<'a> {
    /// When.
    pub now: Moment,
    /// The account's epoch.
    pub epoch: Option<u64>,
    /// The object's nudge.
    pub nudge: u64,
    /// The timing flags.
    pub settings: &'a Settings,
}

fn trouble(outcome: Outcome, error: &Error, before: Option<&Trouble>, place: Circumstances<'_>) -> Trouble {
    let (reason, is_final) = match outcome {
        Outcome::Final(reason) => (reason, true),
        Outcome::Again(reason) => (reason, false),
    };
    let failures = failures(before, reason);
    let delay = match reason.standing() {
        Standing::Blocked => place.settings.blocked_retry(failures),
        _ => place.settings.passing_retry(failures),
    };
    let delay = error.retry_after.map_or(delay, |asked| asked.max(delay));
    Trouble {
        reason,
        message: error.to_string(),
        is_final,
        failures,
        retry_at: place.now.plus(delay),
        epoch: place.epoch,
        nudge: place.nudge,
    }
}

fn failures(before: Option<&Trouble>, reason: Reason) -> u32 {
    before.filter(|before| before.reason == reason).map_or(0, |before| before.failures).saturating_add(1)
}

impl Trouble {
    /// Whether it still stands in the way. A changed annotation or a newly verified account ends it early; a second refusal of the credentials in
    /// a row does not end with a new verification, or a token that only IAM likes would be tried without pause.
    pub fn is_current(&self, epoch: Option<u64>, nudge: u64, now: Moment) -> bool {
        if self.is_final {
            return true;
        }
        let renewed = epoch != self.epoch && (self.reason != Reason::AuthenticationFailed || self.failures < 2);
        now < self.retry_at && nudge == self.nudge && !renewed
    }
}
