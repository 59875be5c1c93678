//! What keeps an object from the cloud: its account, a failure that is retried later, a pause.

use super::{
    observed::Observed,
    reason::Reason,
    report::hold,
    retry::RetryState,
    rule::{Rule, is_kept},
    seen::Account,
    status::blocked_pause,
    step::Step,
};
use crate::plan::place::{Place, Whereabouts};
use std::time::Duration;

/// Why the object cannot get at its account.
pub(super) enum Gate {
    /// Not known yet, as in the first moments after a start: what the status says may still be so. Nothing is written, unless the object has no status yet.
    Verifying {
        /// For how long it has not been known.
        since: Duration,
        /// How long to wait at most.
        left: Duration,
    },
    /// To be reported.
    Closed(Reason, String),
}

/// The place to work in, if the account is ready and still points to where the backup is.
pub(super) fn place<'a>(o: &Observed<'a>) -> Result<&'a Place, Gate> {
    let place = match o.seen.account {
        Account::Verifying => return Err(verifying(o)),
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

/// Nothing is known of the account. When that lasts for longer than the grace, its watch shows nothing, or its login hangs.
fn verifying(o: &Observed<'_>) -> Gate {
    let (kind, name) = (o.spec.account_ref.kind.as_str(), &o.spec.account_ref.name);
    let since = o.memory.verifying.map(|since| o.now.since(since)).unwrap_or_default();
    match o.settings.blocked_grace.saturating_sub(since) {
        Duration::ZERO => {
            let message = format!("nothing is known of {kind} {name} yet: the operator's /readyz and its log say what it waits for");
            Gate::Closed(Reason::AccountNotReady, message)
        }
        left => Gate::Verifying { since, left },
    }
}

/// A host as it stands in messages.
pub(super) fn host(endpoint: &str) -> &str {
    if endpoint.is_empty() { "no host" } else { endpoint }
}

/// For how long something passes before a status says so. At a start most accounts are known sooner, and most who queue get a permit sooner; a write for each
/// would cost the API server more than it tells anybody.
pub(super) const SAID_AFTER: Duration = Duration::from_millis(500);

/// What to do at a closed gate.
pub(super) fn wait_at(o: &Observed<'_>, gate: Gate) -> Step {
    match gate {
        Gate::Verifying { since, .. } if o.status.conditions.is_empty() && since < SAID_AFTER => {
            Step::RequeueAfter(Some(SAID_AFTER.saturating_sub(since)))
        }
        Gate::Verifying { left, .. } if o.status.conditions.is_empty() => {
            let account = &o.spec.account_ref;
            hold(o, Reason::AccountNotReady, &format!("{} {} is being verified", account.kind.as_str(), account.name), Some(left))
        }
        Gate::Verifying { left, .. } => Step::RequeueAfter(Some(left)),
        Gate::Closed(reason, message) => hold(o, reason, &message, None),
    }
}

/// What stands in the way of another try, if it is not time for one.
pub(super) fn retry_state<'a>(o: &Observed<'a>) -> Option<&'a RetryState> {
    let memory = o.memory;
    memory.retry.as_ref().filter(|retry| retry.is_current(o.account.credentials_generation(), memory.counted_annotations(), o.now))
}

/// How long until a blocked object looks again that its last look left blocked; zero if it is due. The pause was chosen at that look, and grows with each
/// further one; a changed annotation or a newly verified account ends it.
pub(super) fn look_again_in(o: &Observed<'_>) -> Duration {
    let looks = &o.memory.looks;
    let is_changed =
        looks.credentials_generation != o.account.credentials_generation() || looks.annotations != o.memory.counted_annotations();
    match looks.last {
        Some(last) if !is_changed => {
            let pause = if is_kept(Rule::PauseSinceTheLook) { o.settings.blocked_retry(looks.in_a_row) } else { blocked_pause(o) };
            pause.saturating_sub(o.now.since(last))
        }
        _ => Duration::ZERO,
    }
}
