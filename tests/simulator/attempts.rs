//! Bad signatures and bad passwords: who made how many, and whom they lock out.
//!
//! An access key is locked after more than five bad signatures in a row (`cloud-apis.md` §10), a user after so many bad passwords within a
//! while (IAM's "account lockout"). Locks last by the cloud's
//! clock. What is counted outlives the lock, the access key and a test's `unlock_access_keys`.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::settings::Settings;

/// Bad signatures in a row that an access key survives.
const STRIKES: usize = 5;

fn millis(count: u64) -> SignedDuration {
    SignedDuration::from_millis(i64::try_from(count).unwrap_or(i64::MAX))
}

/// What was counted of one access key or one user.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Attempts {
    /// Bad signatures or passwords in total.
    pub bad: usize,
    /// The most of them in a row, with no good one between.
    pub worst_run: usize,
    /// How often that led to a lock.
    pub locks: usize,
    /// Attempts that were refused unseen, because of a lock.
    pub refused_while_locked: usize,
    #[serde(skip)]
    run: usize,
    /// Those that count towards a lock.
    #[serde(skip)]
    strikes: Vec<Timestamp>,
    #[serde(skip)]
    locked_until: Option<Timestamp>,
}

impl Attempts {
    /// Whether it is locked now, and notes the attempt that asks. A lock that is over is forgotten.
    fn refuses(&mut self, now: Timestamp) -> bool {
        match self.locked_until {
            Some(until) if until > now => {
                self.refused_while_locked += 1;
                true
            }
            Some(_) => {
                self.unlock();
                false
            }
            None => false,
        }
    }

    fn good(&mut self) {
        self.run = 0;
        self.strikes.clear();
    }

    /// Notes a bad one. `most` within `window` (none: however old) lock for `lock`; 0 of them never do.
    fn bad(&mut self, now: Timestamp, most: usize, window: Option<SignedDuration>, lock: SignedDuration) {
        self.bad += 1;
        self.run += 1;
        self.worst_run = self.worst_run.max(self.run);
        self.strikes.retain(|at| window.is_none_or(|window| now.duration_since(*at) < window));
        self.strikes.push(now);
        if most > 0 && self.strikes.len() >= most {
            self.locks += 1;
            self.locked_until = Some(now.checked_add(lock).unwrap_or(Timestamp::MAX));
        }
    }

    fn unlock(&mut self) {
        self.strikes.clear();
        self.locked_until = None;
    }
}

/// The attempts of everybody who has a name here.
#[derive(Default, Serialize)]
pub struct Ledger {
    /// By access key.
    pub access_keys: BTreeMap<String, Attempts>,
    /// By user name.
    pub users: BTreeMap<String, Attempts>,
}

impl Ledger {
    /// Whether an access key is locked.
    pub fn key_is_locked(&mut self, access: &str, now: Timestamp) -> bool {
        self.access_keys.get_mut(access).is_some_and(|attempts| attempts.refuses(now))
    }

    /// Notes how a signature was found.
    pub fn signature(&mut self, access: &str, is_good: bool, now: Timestamp, settings: &Settings) {
        let attempts = self.access_keys.entry(access.to_owned()).or_default();
        if is_good {
            attempts.good();
        } else {
            attempts.bad(now, STRIKES + 1, None, millis(settings.access_key_lock_ms));
        }
    }

    /// Whether a user is locked.
    pub fn user_is_locked(&mut self, user: &str, now: Timestamp) -> bool {
        self.users.get_mut(user).is_some_and(|attempts| attempts.refuses(now))
    }

    /// Notes how a password was found.
    pub fn password(&mut self, user: &str, is_good: bool, now: Timestamp, settings: &Settings) {
        let attempts = self.users.entry(user.to_owned()).or_default();
        if is_good {
            attempts.good();
        } else {
            let (window, lock) = (millis(settings.user_lock_window_ms), millis(settings.user_lock_ms));
            attempts.bad(now, settings.user_lock_after, Some(window), lock);
        }
    }

    /// Lifts the locks of access keys.
    pub fn unlock_keys(&mut self) {
        self.access_keys.values_mut().for_each(Attempts::unlock);
    }

    /// Lifts the locks of users.
    pub fn unlock_users(&mut self) {
        self.users.values_mut().for_each(Attempts::unlock);
    }

    fn all(&self) -> impl Iterator<Item = &Attempts> {
        self.access_keys.values().chain(self.users.values())
    }

    /// How many locks there ever were.
    pub fn locks(&self) -> usize {
        self.all().map(|attempts| attempts.locks).sum()
    }

    /// The most bad attempts in a row that one access key or user ever made.
    pub fn worst_run(&self) -> usize {
        self.all().map(|attempts| attempts.worst_run).max().unwrap_or_default()
    }
}
