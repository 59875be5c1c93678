//! Logins by credential: one at a time, and what is remembered of them; and the calls that each user may make of services that count them.

use crate::{
    cloud::{clock::CloudClock, login::fingerprint::Fingerprint, permits::pace::Pace},
    plan::{clock::Moment, login::LoginMemory},
};
use jiff::Timestamp;
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex as Lock, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::sync::{Mutex, OwnedMutexGuard};

/// Logins by credential.
#[derive(Default)]
pub struct Logins {
    known: Lock<HashMap<Fingerprint, Arc<Mutex<LoginMemory>>>>,
    paces: Lock<HashMap<Fingerprint, Weak<Pace>>>,
    refusals: Lock<HashMap<Fingerprint, Weak<AtomicBool>>>,
    /// What time it is at each IAM, by its host.
    clocks: Lock<HashMap<String, CloudClock>>,
}

impl Logins {
    /// Waits until nobody else logs in with this credential, and keeps others from it as long as the answer is held: twelve accounts with one wrong Secret
    /// would be refused twelve times before the first of them heard of it.
    pub async fn turn(&self, credential: &Fingerprint, now: Moment) -> OwnedMutexGuard<LoginMemory> {
        self.of(credential, now).lock_owned().await
    }

    /// What services allow a user, for all accounts of that user together; it is kept as long as one of them has it.
    pub fn pace(&self, user: Fingerprint) -> Arc<Pace> {
        let mut paces = self.paces.lock().unwrap_or_else(PoisonError::into_inner);
        paces.retain(|_, pace| pace.strong_count() > 0);
        let known = paces.get(&user).and_then(Weak::upgrade);
        known.unwrap_or_else(|| {
            let pace = Arc::default();
            paces.insert(user, Arc::downgrade(&pace));
            pace
        })
    }

    /// What sessions with this credential share that are opened from now on: whether the cloud has refused one of them. Those that it has refused have one of
    /// their own.
    pub fn refusals(&self, credential: &Fingerprint) -> Arc<AtomicBool> {
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        refusals.retain(|_, refused| refused.strong_count() > 0);
        let known = refusals.get(credential).and_then(Weak::upgrade).filter(|refused| !refused.load(Ordering::Relaxed));
        known.unwrap_or_else(|| {
            let refused = Arc::default();
            refusals.insert(credential.clone(), Arc::downgrade(&refused));
            refused
        })
    }

    /// An answer of an IAM carried this `Date`.
    pub fn heard(&self, iam: &str, date: Option<Timestamp>) {
        if date.is_some() {
            self.clocks.lock().unwrap_or_else(PoisonError::into_inner).entry(iam.to_owned()).or_default().heard(date);
        }
    }

    /// What time it is at an IAM, as far as it has ever answered. A login that signs with another time is refused, which counts towards a lock of the key.
    pub fn time_at(&self, iam: &str) -> Option<Timestamp> {
        self.clocks.lock().unwrap_or_else(PoisonError::into_inner).get(iam).and_then(CloudClock::now)
    }

    fn of(&self, credential: &Fingerprint, now: Moment) -> Arc<Mutex<LoginMemory>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, login| Arc::strong_count(login) > 1 || login.try_lock().map_or(true, |memory| !memory.is_over(now)));
        known.entry(credential.clone()).or_default().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{
        account::{AccountError, AccountReason},
        settings::Settings,
    };
    use std::time::Duration;
    use tokio::time::timeout;

    fn at(second: u64) -> Moment {
        Moment { wall: "2026-01-01T00:00:00Z".parse().expect("a time"), mono: Duration::from_secs(second) }
    }

    #[tokio::test(start_paused = true)]
    async fn one_credential_is_tried_by_one_at_a_time_and_another_meanwhile() {
        let logins = Logins::default();
        let (one, other) = (Fingerprint::of(&["one"]), Fingerprint::of(&["other"]));
        let first = logins.turn(&one, at(0)).await;
        assert!(timeout(Duration::from_secs(3600), logins.turn(&one, at(0))).await.is_err());
        assert!(timeout(Duration::from_secs(3600), logins.turn(&other, at(0))).await.is_ok());
        drop(first);
        assert!(timeout(Duration::from_secs(3600), logins.turn(&one, at(0))).await.is_ok());
    }

    #[test]
    fn accounts_of_one_user_share_what_services_allow_a_user() {
        let logins = Logins::default();
        let pace = |user: &str| logins.pace(Fingerprint::of(&[user]));
        let (one, other) = (pace("one"), pace("other"));
        assert!(Arc::ptr_eq(&one, &pace("one")) && !Arc::ptr_eq(&one, &other));
        drop((one, other));
        drop(pace("one"));
        assert_eq!(logins.paces.lock().expect("the lock").len(), 1, "what nobody has any more is forgotten");
    }

    #[test]
    fn the_time_at_an_iam_is_what_it_told_last_and_not_what_another_one_did() {
        let (logins, told) = (Logins::default(), at(0).wall);
        logins.heard("iam.example.com", None);
        assert_eq!(logins.time_at("iam.example.com"), None);
        logins.heard("iam.example.com", Some(told));
        logins.heard("iam.example.com", None);
        assert!(logins.time_at("iam.example.com").is_some_and(|now| now >= told));
        assert_eq!(logins.time_at("iam.example.org"), None);
    }

    #[tokio::test]
    async fn a_refusal_is_remembered_for_the_next_and_only_as_long_as_it_matters() {
        let (logins, credential) = (Logins::default(), Fingerprint::of(&["one"]));
        let error = AccountError::new(AccountReason::AuthenticationFailed, "no");
        logins.turn(&credential, at(0)).await.failed("eu-de", &error, None, &Settings::default(), at(0));
        assert_eq!(logins.turn(&credential, at(1)).await.must_wait("eu-de", at(1)), Some(&error));
        logins.turn(&Fingerprint::of(&["other"]), at(1_000_000)).await;
        assert_eq!(logins.known.lock().expect("the lock").len(), 1, "the other one, which is in use");
    }
}
