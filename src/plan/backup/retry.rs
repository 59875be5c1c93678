//! What an error of the cloud means for a backup, and when it is tried again: the one place where reasons and delays are chosen.

use super::reason::Reason;
use crate::{
    api::conditions::Kstatus,
    cloud::{codes::Class, errors::Error, listing::Gap},
    plan::{clock::Moment, settings::Settings},
};

/// What stands in the way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RetryState {
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
    /// Until when the cloud asks not to be asked again (`Retry-After`): nothing beats that.
    pub not_before: Option<Moment>,
    /// The generation of the account's credentials when it happened: newly verified ones are worth another try.
    pub credentials_generation: Option<u64>,
    /// What had counted of the object's annotations when it happened: a change is worth another try.
    pub annotations: u64,
    /// What every message of the same failure has in it: the cloud's code, say. A message holds the id of one request, which changes each time.
    pub token: String,
}

/// What the token of a listing is that does not hold together.
const INCOMPLETE: &str = "does not hold together";

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
        Class::NotSent
        | Class::Cancelled
        | Class::Unavailable
        | Class::Unreadable
        | Class::BackupNotFound
        | Class::NameExists
        | Class::AsUnknown => Again(Reason::CloudUnavailable),
    }
}

/// The state after a create call that made nothing. What no table has is not known to be final.
pub fn refused(error: &Error, before: Option<&RetryState>, annotations: u64, context: AttemptContext<'_>) -> RetryState {
    let outcome = match error.unsure_refusal() {
        Some(_) if error.class() == Class::Misconfigured => Outcome::Again(Reason::EndpointMisconfigured),
        Some(_) if !error.is_known() => Outcome::Again(Reason::RequestRefused),
        _ => outcome(error.class()),
    };
    retry(outcome, error, before, annotations, context)
}

/// The state after a listing that failed. Reading is never given up: what would be final for a create call is a matter of the address here.
pub fn unreadable(error: &Error, before: Option<&RetryState>, annotations: u64, context: AttemptContext<'_>) -> RetryState {
    let outcome = match outcome(error.class()) {
        Outcome::Final(_) => Outcome::Again(Reason::EndpointMisconfigured),
        // Where a service lists per instance, nothing can be listed without it, whether its backups are still there or not.
        Outcome::Again(Reason::InstanceNotFound) if error.tells_of_a_missing_instance() => Outcome::Again(Reason::InstanceNotFound),
        // Elsewhere the instance of a backup may be gone while the backup stays; only what listings show counts.
        Outcome::Again(Reason::InstanceBusy | Reason::InstanceNotFound) => Outcome::Again(Reason::CloudUnavailable),
        again @ Outcome::Again(_) => again,
    };
    retry(outcome, error, before, annotations, context)
}

/// The state after a DELETE call that was refused or not answered. It is never given up.
pub fn undeleted(error: &Error, before: Option<&RetryState>, annotations: u64, context: AttemptContext<'_>) -> RetryState {
    let outcome = match outcome(error.class()) {
        Outcome::Final(reason) => Outcome::Again(reason),
        again @ Outcome::Again(_) => again,
    };
    // What to do about the object comes behind it, and has to fit in.
    RetryState { message: error.to_string(), ..retry(outcome, error, before, annotations, context) }
}

/// The state after a listing that did not hold together.
pub fn incomplete(gap: Gap, before: Option<&RetryState>, annotations: u64, context: AttemptContext<'_>) -> RetryState {
    let failures = failures(before, Reason::CloudUnavailable);
    RetryState {
        reason: Reason::CloudUnavailable,
        message: format!("the cloud's listing {INCOMPLETE} ({gap}), and is read again"),
        is_final: false,
        failures,
        retry_at: context.now.plus(context.settings.passing_retry(failures)),
        not_before: None,
        credentials_generation: context.credentials_generation,
        annotations,
        token: INCOMPLETE.to_owned(),
    }
}

/// When something was tried, and with what.
#[derive(Clone, Copy, Debug)]
pub struct AttemptContext<'a> {
    /// When.
    pub now: Moment,
    /// The generation of the account's credentials.
    pub credentials_generation: Option<u64>,
    /// The timing flags.
    pub settings: &'a Settings,
}

fn retry(outcome: Outcome, error: &Error, before: Option<&RetryState>, annotations: u64, context: AttemptContext<'_>) -> RetryState {
    let (reason, is_final) = match outcome {
        Outcome::Final(reason) => (reason, true),
        Outcome::Again(reason) => (reason, false),
    };
    let failures = failures(before, reason);
    let delay = match reason.kstatus() {
        Kstatus::Blocked => context.settings.blocked_retry(failures),
        _ => context.settings.passing_retry(failures),
    };
    let delay = error.retry_after().map_or(delay, |asked| asked.max(delay));
    RetryState {
        reason,
        message: said(reason, error),
        is_final,
        failures,
        retry_at: context.now.plus(delay),
        not_before: error.retry_after().map(|asked| context.now.plus(asked)),
        credentials_generation: context.credentials_generation,
        annotations,
        token: error.token(),
    }
}

/// The error in its own words, behind what to do where the address is wrong. In some regions the vendor's sources disagree about a service's host (the region
/// files of its SDK and those of its Terraform provider), and one host is TaurusDB's here and GaussDB's there.
fn said(reason: Reason, error: &Error) -> String {
    if reason == Reason::EndpointMisconfigured && error.status() == Some(404) {
        return format!("this host does not serve it: set endpoints.{} of a ClusterCloudAccount: {error}", error.api.label);
    }
    error.to_string()
}

fn failures(before: Option<&RetryState>, reason: Reason) -> u32 {
    before.filter(|before| before.reason == reason).map_or(0, |before| before.failures).saturating_add(1)
}

impl RetryState {
    /// Whether it still stands in the way. A changed annotation or a newly verified account ends it early, but not before the cloud wants to be asked
    /// again; a second refusal of the credentials in a row does not end with a new verification, or a token that only IAM likes would be tried without pause.
    pub fn is_current(&self, credentials_generation: Option<u64>, annotations: u64, now: Moment) -> bool {
        if self.is_final || self.not_before.is_some_and(|at| now.mono < at.mono) {
            return true;
        }
        let renewed =
            credentials_generation != self.credentials_generation && (self.reason != Reason::AuthenticationFailed || self.failures < 2);
        now.mono < self.retry_at.mono && annotations == self.annotations && !renewed
    }

    /// A listing did not hold together; the cloud is there all the same.
    pub fn is_incomplete_listing(&self) -> bool {
        self.token == INCOMPLETE
    }
}
