//! What the cloud allows each user, beside the rate of the account: RDS takes 60 calls a minute, of whatever kind; and a key is locked after a few wrong
//! signatures in a row.
//!
//! The calls are spread over the minute, since a burst that spends it all keeps the next create waiting for the rest of it.

use crate::cloud::api::Api;
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;

/// Calls under way that are signed with one key. Should it have become wrong, they are all refused, and the login that looks into it after them: five in a
/// row, and a sixth would lock the key for five minutes for everybody who has it (the vendor's page on signing, `devg-apisign`).
pub const SIGNED_UNDER_WAY: usize = 4;
/// Before it is asked again whether another account has ended a call that was signed with the same key.
const KEY_RETRY: Duration = Duration::from_millis(20);

/// Whether a call goes before or after others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// Somebody waits for exactly this.
    Urgent,
    /// It is made from time to time.
    Poll,
}

/// Tokens that come back at a steady rate, up to a most.
#[derive(Debug)]
pub(super) struct Bucket {
    per_second: f64,
    most: f64,
    tokens: f64,
    refilled: Instant,
}

impl Bucket {
    /// A full one.
    pub(super) fn new(per_second: f64, most: f64, now: Instant) -> Self {
        Self { per_second, most, tokens: most, refilled: now }
    }

    /// One that had a single token at this moment.
    fn since(begun: Instant, per_second: f64, most: f64) -> Self {
        Self { per_second, most, tokens: 1.0, refilled: begun }
    }

    /// Another rate and another most from now on.
    pub(super) fn change(&mut self, per_second: f64, most: f64, now: Instant) {
        self.refill(now);
        (self.per_second, self.most, self.tokens) = (per_second, most, self.tokens.min(most));
    }

    fn refill(&mut self, now: Instant) {
        self.tokens = (self.tokens + now.duration_since(self.refilled).as_secs_f64() * self.per_second).min(self.most);
        self.refilled = now;
    }

    pub(super) fn take(&mut self) {
        self.tokens -= 1.0;
    }

    /// Whether there are so many tokens now.
    #[allow(clippy::cast_precision_loss, reason = "there are no queues of 2^52")]
    pub(super) fn has(&mut self, count: usize, now: Instant) -> bool {
        self.refill(now);
        self.tokens >= count as f64
    }

    /// In how long there is a token; zero if there is one now.
    pub(super) fn next_in(&mut self, now: Instant) -> Duration {
        self.refill(now);
        if self.tokens >= 1.0 {
            return Duration::ZERO;
        }
        // Rounded up: a timer that fires too early would find no token.
        Duration::from_secs_f64((1.0 - self.tokens) / self.per_second).max(Duration::from_millis(1))
    }
}

/// The calls that one user may make of services that count them. Accounts with the same user share it.
#[derive(Debug, Default)]
pub struct Pace {
    /// Since when calls are counted. What an earlier process did is not known.
    counted_since: OnceLock<Instant>,
    limits: Mutex<HashMap<&'static str, Limit>>,
    signed_under_way: AtomicUsize,
}

/// A call under way that the user may make. It is over when this is dropped.
#[derive(Debug)]
pub(super) struct Begun(Option<Arc<Pace>>);

impl Drop for Begun {
    fn drop(&mut self) {
        if let Some(pace) = &self.0 {
            pace.signed_under_way.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// The calls of one service.
#[derive(Debug)]
struct Limit {
    calls: Bucket,
    polls: Bucket,
}

impl Limit {
    /// A twelfth of the minute's calls at once, and five sixths of them evenly: so eleven twelfths are the most in any minute, and one more for each start of
    /// this process within it. Polls have half of the minute's, and never two at once.
    fn new(calls_per_minute: u32, begun: Instant) -> Self {
        let per_minute = f64::from(calls_per_minute.max(1));
        Self {
            calls: Bucket::since(begun, per_minute / 60.0 * 5.0 / 6.0, (per_minute / 12.0).max(1.0)),
            polls: Bucket::since(begun, per_minute / 60.0 / 2.0, 1.0),
        }
    }
}

impl Pace {
    /// Calls are counted from now on, if they were not before.
    pub(super) fn count_from(&self, now: Instant) {
        self.counted_since.get_or_init(|| now);
    }

    /// Begins a call of the service, or answers in how long it may be allowed. Both at once: another account of the same user may ask at the same moment.
    pub(super) fn begin(self: &Arc<Self>, api: &Api, signs: bool, urgency: Urgency, now: Instant) -> Result<Begun, Duration> {
        let begun = if signs { self.begin_signed()? } else { Begun(None) };
        self.count(api, urgency, now).map(|()| begun)
    }

    fn begin_signed(self: &Arc<Self>) -> Result<Begun, Duration> {
        let one_more = |under_way: usize| (under_way < SIGNED_UNDER_WAY).then_some(under_way + 1);
        let has_begun = self.signed_under_way.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok();
        has_begun.then(|| Begun(Some(self.clone()))).ok_or(KEY_RETRY)
    }

    /// Counts a call where the service counts them, or answers in how long it allows one.
    fn count(&self, api: &Api, urgency: Urgency, now: Instant) -> Result<(), Duration> {
        let Some(calls_per_minute) = api.calls_per_minute else { return Ok(()) };
        let mut limits = self.lock();
        let limit = limits.entry(api.label).or_insert_with(|| Limit::new(calls_per_minute, *self.counted_since.get_or_init(|| now)));
        let polls = if urgency == Urgency::Poll { limit.polls.next_in(now) } else { Duration::ZERO };
        let next_in = limit.calls.next_in(now).max(polls);
        if !next_in.is_zero() {
            return Err(next_in);
        }
        limit.calls.take();
        if urgency == Urgency::Poll {
            limit.polls.take();
        }
        Ok(())
    }

    /// Every change under the lock is complete in itself.
    fn lock(&self) -> MutexGuard<'_, HashMap<&'static str, Limit>> {
        self.limits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
