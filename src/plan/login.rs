//! When a login may be tried: clouds lock a user or a key after a few refusals, however many accounts name it.

use super::{
    account::{AccountError, AccountReason},
    clock::Moment,
    settings::Settings,
};
use std::{collections::HashMap, time::Duration};

/// What is remembered of the logins with one credential, whichever accounts they were for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoginMemory {
    /// Refused or not answered, whatever it was tried for. A login that succeeded ends it.
    credential: Option<Failure>,
    /// The same for one project or region. A user may be refused for one and not for another.
    scopes: HashMap<String, Failure>,
}

/// Logins that failed in a row.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Failure {
    count: u32,
    /// When the latest came back.
    at: Moment,
    /// How long nobody tries again.
    pause: Duration,
    error: AccountError,
}

impl Failure {
    /// When it may be tried again for the same scope. After a refusal that is a tenth later than for others, so that these have their turn.
    fn ends(&self) -> Moment {
        self.at.plus(if self.is_refusal() { self.pause + self.pause / 10 } else { self.pause })
    }

    /// When it may be tried for another scope. A refusal counts against the user or the key, whatever was asked for.
    fn ends_for_others(&self) -> Moment {
        self.at.plus(if self.is_refusal() { self.pause } else { self.pause / 2 })
    }

    fn is_refusal(&self) -> bool {
        self.error.reason == AccountReason::AuthenticationFailed
    }
}

impl LoginMemory {
    /// What the latest login came to, if it is not time for another one for this project or region (`scope`).
    pub fn must_wait(&self, scope: &str, now: Moment) -> Option<&AccountError> {
        let own = self.scopes.get(scope).filter(|failure| !now.until(failure.ends()).is_zero());
        // When it is over, another scope comes before the one that failed, and may be what is right.
        let any = self.credential.as_ref().filter(|failure| !now.until(failure.ends_for_others()).is_zero());
        own.or(any).map(|failure| &failure.error)
    }

    /// A person asks for another try: pauses that have grown are as short as the first one again, and no shorter.
    pub fn asked_again(&mut self, settings: &Settings) {
        for failure in self.scopes.values_mut().chain(&mut self.credential) {
            failure.count = 1;
            failure.pause = failure.pause.min(settings.login_retry(1));
        }
    }

    /// A login succeeded: what is refused for other scopes has to do with them.
    pub fn succeeded(&mut self, scope: &str) {
        self.credential = None;
        self.scopes.remove(scope);
    }

    /// A login failed; `retry_after` is how long the cloud wants to be left alone.
    pub fn failed(&mut self, scope: &str, error: &AccountError, retry_after: Option<Duration>, settings: &Settings, now: Moment) {
        let failure = |before: Option<&Failure>| {
            let count = before.filter(|before| before.error.reason == error.reason).map_or(0, |before| before.count).saturating_add(1);
            let pause = match error.reason {
                AccountReason::AuthenticationFailed => settings.login_retry(count),
                _ => settings.passing_retry(count),
            };
            Failure { count, at: now, pause: pause.max(retry_after.unwrap_or_default()), error: error.clone() }
        };
        let own = failure(self.scopes.get(scope));
        self.scopes.insert(scope.to_owned(), own);
        if matches!(error.reason, AccountReason::AuthenticationFailed | AccountReason::CloudUnavailable) {
            self.credential = Some(failure(self.credential.as_ref()));
        }
    }

    /// Whether nothing is remembered that matters any more: whoever comes an hour after the last failure begins anew.
    pub fn is_over(&self, now: Moment) -> bool {
        let failures = self.scopes.values().chain(&self.credential);
        failures.into_iter().all(|failure| now.since(failure.ends()) > FORGOTTEN_AFTER)
    }
}

/// How long a failure is remembered beyond its pause.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u64) -> Moment {
        Moment { wall: "2026-01-01T00:00:00Z".parse().unwrap(), mono: Duration::from_secs(second) }
    }

    fn failed(memory: &mut LoginMemory, scope: &str, reason: AccountReason, second: u64) {
        memory.failed(scope, &AccountError::new(reason, "no"), None, &Settings::default(), at(second));
    }

    /// From which second on a login may be tried.
    fn free_from(memory: &LoginMemory, scope: &str) -> u64 {
        (0..100_000).find(|second| memory.must_wait(scope, at(*second)).is_none()).unwrap()
    }

    #[test]
    fn a_refusal_keeps_every_account_with_the_credential_from_trying_for_a_growing_pause() {
        let mut memory = LoginMemory::default();
        failed(&mut memory, "eu-de", AccountReason::AuthenticationFailed, 0);
        assert_eq!((free_from(&memory, "eu-nl"), free_from(&memory, "eu-de")), (300, 330));
        failed(&mut memory, "eu-de", AccountReason::AuthenticationFailed, 330);
        assert_eq!((free_from(&memory, "eu-nl"), free_from(&memory, "eu-de")), (330 + 600, 330 + 660));
    }

    #[test]
    fn one_for_another_project_gets_its_turn_before_the_one_that_was_refused() {
        let mut memory = LoginMemory::default();
        failed(&mut memory, "eu-de", AccountReason::AuthenticationFailed, 0);
        assert_eq!((free_from(&memory, "p-1"), free_from(&memory, "eu-de")), (300, 330));
        memory.succeeded("p-1");
        assert_eq!((free_from(&memory, "p-2"), free_from(&memory, "eu-de")), (0, 330), "the credential is good, the scope is not");
    }

    #[test]
    fn many_projects_with_one_wrong_credential_do_not_try_it_without_end() {
        let (mut memory, mut second) = (LoginMemory::default(), 0);
        let mut tries = Vec::new();
        for scope in (0..6).map(|n| n.to_string()) {
            second = second.max(free_from(&memory, &scope));
            failed(&mut memory, &scope, AccountReason::AuthenticationFailed, second);
            tries.push(second / 60);
        }
        // A key is locked after more than five wrong signatures in a row; nobody says within what time.
        assert_eq!(tries, [0, 5, 15, 35, 75, 155]);
    }

    #[test]
    fn a_person_who_asks_for_another_try_does_not_wait_for_hours_and_not_less_than_the_cloud_locks_for() {
        let mut memory = LoginMemory::default();
        for second in [0, 330, 1000, 3000] {
            failed(&mut memory, "eu-de", AccountReason::AuthenticationFailed, second);
        }
        assert!(free_from(&memory, "eu-de") > 5000);
        memory.asked_again(&Settings::default());
        assert_eq!((free_from(&memory, "eu-nl"), free_from(&memory, "eu-de")), (3300, 3330));
    }

    #[test]
    fn an_iam_that_cannot_be_reached_is_not_asked_by_each_account_at_once() {
        let mut memory = LoginMemory::default();
        failed(&mut memory, "eu-de", AccountReason::CloudUnavailable, 0);
        assert_eq!((free_from(&memory, "eu-de"), free_from(&memory, "eu-nl")), (5, 3));
        memory.succeeded("eu-de");
        assert_eq!(memory, LoginMemory::default());
    }

    #[test]
    fn a_permission_that_is_missing_for_one_project_says_nothing_of_another() {
        let mut memory = LoginMemory::default();
        failed(&mut memory, "eu-de", AccountReason::AccessDenied, 0);
        assert_eq!((free_from(&memory, "eu-de"), free_from(&memory, "eu-nl")), (5, 0));
    }

    #[test]
    fn iam_is_left_alone_for_as_long_as_it_asks() {
        let mut memory = LoginMemory::default();
        let error = AccountError::new(AccountReason::CloudUnavailable, "slow down");
        memory.failed("eu-de", &error, Some(Duration::from_secs(120)), &Settings::default(), at(0));
        assert_eq!(free_from(&memory, "eu-de"), 120);
    }

    #[test]
    fn what_is_long_past_is_forgotten_and_what_is_not_is_kept() {
        let mut memory = LoginMemory::default();
        assert!(memory.is_over(at(0)));
        failed(&mut memory, "eu-de", AccountReason::AuthenticationFailed, 0);
        assert!(!memory.is_over(at(3930)) && memory.is_over(at(3931)));
    }
}
