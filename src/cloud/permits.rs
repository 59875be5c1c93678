//! The calls of one account: how many a second, how many at once, and whose turn it is.
//!
//! Every call takes a permit before it is made, and holds it until it has ended. Namespaces take turns, so that one with a thousand objects delays
//! another's one by a call or two; within a namespace it is first come, first served. Creates and look-ups go before polls.

pub mod pace;
pub mod turns;

use super::api::Api;
pub use pace::Urgency;
use pace::{Begun, Bucket, Pace};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{Notify, oneshot},
    time::{Instant, timeout},
};
use turns::{Turns, Waiter, Who};

/// A grant that nobody came for lapses, and its token with it.
const GRANT_LIFETIME: Duration = Duration::from_secs(5);
/// After so many urgent permits in a row a waiting poll gets one, so that polling never starves.
const URGENT_IN_A_ROW: u32 = 3;
/// Calls of an account that are under way at once.
pub const UNDER_WAY: usize = 8;

/// What a call is for.
#[derive(Clone, Copy, Debug)]
pub struct Purpose<'a> {
    /// The namespace on whose behalf it is made, and whose turn it takes.
    pub namespace: &'a str,
    /// The service that it goes to.
    pub api: &'static Api,
}

/// The calls of one account.
#[derive(Debug)]
pub struct Permits {
    state: Mutex<State>,
    /// Something changed on which a grant may depend.
    changed: Notify,
}

#[derive(Debug)]
struct State {
    rate: u32,
    calls: Bucket,
    /// What the cloud allows the account's user.
    pace: Arc<Pace>,
    /// Whether calls are signed with a key of that user.
    signs: bool,
    urgent: Turns<CallPermit, &'static Api>,
    polls: Turns<CallPermit, &'static Api>,
    urgent_in_a_row: u32,
    /// Granted to a key that did not come for it yet.
    granted: HashMap<String, Grant>,
    /// Calls under way by namespace, and what was granted for calls that have not begun.
    under_way: HashMap<String, usize>,
    /// Until when a service wants to be left alone (`Retry-After`).
    not_before: HashMap<&'static str, Instant>,
    /// Nobody hands out permits any more.
    closed: bool,
}

#[derive(Debug)]
struct Grant {
    namespace: String,
    begun: Begun,
    at: Instant,
}

/// The right to one call. It is given back when it is dropped, which is when the call has ended.
#[derive(Debug)]
pub struct CallPermit {
    permits: Arc<Permits>,
    namespace: String,
    _begun: Begun,
}

impl Drop for CallPermit {
    fn drop(&mut self) {
        self.permits.lock().end(&self.namespace);
        self.permits.changed.notify_one();
    }
}

/// What came of asking for a permit.
#[derive(Debug)]
pub enum Asked {
    /// Here it is.
    Granted(CallPermit),
    /// The key is queued behind more calls than there may be now.
    Queued,
    /// The key is queued until calls that are under way have ended: there may be as many calls now as anybody waits for.
    Crowded,
    /// The key is queued, and the cloud wants to be left alone for a while.
    Paused,
}

/// What the pump does next.
enum PumpStep {
    /// A key was granted a permit.
    Key(String),
    /// Whoever waits at the other end is granted one, on behalf of a namespace.
    Task(oneshot::Sender<CallPermit>, String, Begun),
    /// Nothing, for so long or until something changes.
    Wait(Option<Duration>),
}

impl Permits {
    /// A full bucket of `rate` requests a second; it holds a second's worth.
    pub fn new(rate: u32) -> Self {
        let (rate, now, pace) = (rate.max(1), Instant::now(), Arc::<Pace>::default());
        pace.count_from(now);
        let state = State {
            rate,
            calls: Bucket::new(f64::from(rate), f64::from(rate), now),
            pace,
            signs: false,
            urgent: Turns::default(),
            polls: Turns::default(),
            urgent_in_a_row: 0,
            granted: HashMap::new(),
            under_way: HashMap::new(),
            not_before: HashMap::new(),
            closed: false,
        };
        Self { state: Mutex::new(state), changed: Notify::new() }
    }

    /// Another rate from now on.
    pub fn set_rate(&self, rate: u32) {
        let mut state = self.lock();
        if state.rate != rate.max(1) {
            state.rate = rate.max(1);
            let rate = f64::from(state.rate);
            state.calls.change(rate, rate, Instant::now());
            self.changed.notify_one();
        }
    }

    /// Counts the calls that the cloud counts by user together with those of other accounts of the same user; `signs`: whether they are signed with a key.
    pub fn share_pace(&self, pace: Arc<Pace>, signs: bool) {
        pace.count_from(Instant::now());
        let mut state = self.lock();
        (state.pace, state.signs) = (pace, signs);
        drop(state);
        self.changed.notify_one();
    }

    /// Requests a second.
    pub fn rate(&self) -> u32 {
        self.lock().rate
    }

    /// A service wants to be left alone for so long, whoever asks.
    pub fn pause(&self, service: &'static str, pause: Duration) {
        let until = Instant::now() + pause;
        let mut state = self.lock();
        let not_before = state.not_before.entry(service).or_insert(until);
        *not_before = until.max(*not_before);
    }

    /// A permit for `key` without waiting: there is one now, or one was granted to the key since it queued. Otherwise the key is queued, and
    /// [`Permits::granted`] says when to ask again. Once they are closed it never does.
    pub fn try_urgent(self: &Arc<Self>, key: &str, purpose: Purpose<'_>) -> Asked {
        let (mut state, now) = (self.lock(), Instant::now());
        if state.closed {
            return Asked::Queued;
        }
        state.lapse(now);
        if let Some(grant) = state.granted.remove(key) {
            return Asked::Granted(self.permit(grant.namespace, grant.begun));
        }
        if let Some(begun) = state.take_if_free(purpose, Urgency::Urgent, now) {
            return Asked::Granted(self.permit(purpose.namespace.to_owned(), begun));
        }
        if !state.urgent.has(purpose.namespace, key) {
            state.urgent.push(purpose.namespace, purpose.api, Who::Key(key.to_owned()));
            self.changed.notify_one();
        }
        state.why_queued(purpose.api, now)
    }

    /// The key no longer wants a permit: it leaves the queue, and a grant that it did not come for is lost.
    pub fn withdraw(&self, key: &str) {
        let mut state = self.lock();
        if let Some(grant) = state.granted.remove(key) {
            state.end(&grant.namespace);
            self.changed.notify_one();
        }
        state.urgent.withdraw(key);
    }

    /// Nobody hands out permits any more, since the account is gone: whoever waits hears that there is none, and so does whoever comes.
    pub fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        (state.urgent, state.polls) = (Turns::default(), Turns::default());
    }

    /// Waits for a permit: a poll behind everything urgent, though not for ever. `None` once they are closed.
    pub async fn wait(self: &Arc<Self>, purpose: Purpose<'_>, urgency: Urgency) -> Option<CallPermit> {
        let granted = {
            let (mut state, now) = (self.lock(), Instant::now());
            if state.closed {
                return None;
            }
            if let Some(begun) = state.take_if_free(purpose, urgency, now) {
                return Some(self.permit(purpose.namespace.to_owned(), begun));
            }
            let (sender, granted) = oneshot::channel();
            let queue = if urgency == Urgency::Urgent { &mut state.urgent } else { &mut state.polls };
            queue.push(purpose.namespace, purpose.api, Who::Task(sender));
            granted
        };
        self.changed.notify_one();
        // An error says that they were closed.
        granted.await.ok()
    }

    fn permit(self: &Arc<Self>, namespace: String, begun: Begun) -> CallPermit {
        CallPermit { permits: self.clone(), namespace, _begun: begun }
    }

    /// Hands out permits as they become free, and answers with the next queued key that was granted one. One task per account runs this in a loop.
    pub async fn granted(self: &Arc<Self>) -> String {
        loop {
            let step = self.lock().next(Instant::now());
            match step {
                PumpStep::Key(key) => return key,
                // One that no longer waits drops the permit.
                PumpStep::Task(task, namespace, begun) => drop(task.send(self.permit(namespace, begun))),
                PumpStep::Wait(None) => self.changed.notified().await,
                // An error says that the time has passed.
                PumpStep::Wait(Some(pause)) => drop(timeout(pause, self.changed.notified()).await),
            }
        }
    }

    /// Every change under the lock is complete in itself.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Gives back what was granted to keys that did not come for it in time.
    fn lapse(&mut self, now: Instant) {
        let lapsed: Vec<Grant> =
            self.granted.extract_if(|_, grant| now.duration_since(grant.at) >= GRANT_LIFETIME).map(|(_, grant)| grant).collect();
        for grant in lapsed {
            self.end(&grant.namespace);
        }
    }

    /// A permit was given back.
    fn end(&mut self, namespace: &str) {
        if let Some(under_way) = self.under_way.get_mut(namespace) {
            *under_way -= 1;
            if *under_way == 0 {
                self.under_way.remove(namespace);
            }
        }
    }

    /// A call begins that its service allows.
    fn begin(&mut self, namespace: &str) {
        self.calls.take();
        *self.under_way.entry(namespace.to_owned()).or_default() += 1;
    }

    /// What somebody waits for who is queued.
    fn why_queued(&mut self, api: &Api, now: Instant) -> Asked {
        if self.is_paused(api, now) {
            Asked::Paused
        } else if api.calls_per_minute.is_none() && self.calls.has(self.urgent.len(), now) {
            Asked::Crowded
        } else {
            Asked::Queued
        }
    }

    fn is_paused(&self, api: &Api, now: Instant) -> bool {
        self.not_before.get(api.label).is_some_and(|until| now < *until)
    }

    /// Takes a permit if there is one and nobody queues for it.
    fn take_if_free(&mut self, purpose: Purpose<'_>, urgency: Urgency, now: Instant) -> Option<Begun> {
        let Purpose { namespace, api } = purpose;
        let is_free = self.urgent.is_empty()
            && self.polls.is_empty()
            && self.calls.next_in(now).is_zero()
            && !self.is_paused(api, now)
            && has_room(&self.under_way, namespace);
        let begun = is_free.then(|| self.pace.begin(api, self.signs, urgency, now).ok()).flatten()?;
        self.begin(namespace);
        Some(begun)
    }

    fn next(&mut self, now: Instant) -> PumpStep {
        self.lapse(now);
        self.not_before.retain(|_, until| now < *until);
        if self.urgent.is_empty() && self.polls.is_empty() {
            return PumpStep::Wait(None);
        }
        let next_in = self.calls.next_in(now);
        if !next_in.is_zero() {
            return PumpStep::Wait(Some(next_in));
        }
        let (waiter, begun) = match self.take_waiter(now) {
            Ok(taken) => taken,
            Err(pace) => return PumpStep::Wait(self.next_change(pace, now)),
        };
        self.begin(&waiter.namespace);
        match waiter.who {
            Who::Key(key) => {
                self.granted.insert(key.clone(), Grant { namespace: waiter.namespace, begun, at: now });
                PumpStep::Key(key)
            }
            Who::Task(task) => PumpStep::Task(task, waiter.namespace, begun),
        }
    }

    /// Whose turn it is among those whose call may begin now, which its service counts from here on. If it is nobody's: in how long the cloud allows one of
    /// them, where that is what they wait for.
    fn take_waiter(&mut self, now: Instant) -> Result<(Waiter<CallPermit, &'static Api>, Begun), Option<Duration>> {
        let Self { urgent, polls, under_way, not_before, urgent_in_a_row, pace, signs, .. } = self;
        let mut soonest: Option<Duration> = None;
        let mut take = |queue: &mut Turns<CallPermit, &'static Api>, urgency| {
            let mut taken = None;
            let mut may_begin = |waiter: &Waiter<CallPermit, &'static Api>| {
                if !has_room(under_way, &waiter.namespace) || not_before.contains_key(waiter.service.label) {
                    return false;
                }
                // The last question, since a yes is counted: the queue takes the first one that may begin.
                match pace.begin(waiter.service, *signs, urgency, now) {
                    Ok(begun) => {
                        taken = Some(begun);
                        true
                    }
                    Err(next_in) => {
                        soonest = Some(soonest.map_or(next_in, |other| other.min(next_in)));
                        false
                    }
                }
            };
            let waiter = queue.take(&mut may_begin)?;
            Some((waiter, taken?))
        };
        if *urgent_in_a_row < URGENT_IN_A_ROW
            && let Some(taken) = take(urgent, Urgency::Urgent)
        {
            *urgent_in_a_row += 1;
            return Ok(taken);
        }
        // A poll whose service allows no call just now keeps its turn.
        if let Some(taken) = take(polls, Urgency::Poll) {
            *urgent_in_a_row = 0;
            return Ok(taken);
        }
        take(urgent, Urgency::Urgent).ok_or(soonest)
    }

    /// When somebody who waits may be able to begin without anything else happening; `pace`: in how long a service allows it.
    fn next_change(&self, pace: Option<Duration>, now: Instant) -> Option<Duration> {
        let lapses = self.granted.values().map(|grant| grant.at + GRANT_LIFETIME);
        let changes = lapses.chain(self.not_before.values().copied()).map(|at| at.saturating_duration_since(now));
        changes.chain(pace).min().map(|next| next.max(Duration::from_millis(1)))
    }
}

/// Whether a namespace may have another call under way: it may have as many as are free after them. So calls that hang leave room for others, however many
/// a namespace has of them: four of eight at most, then two of another one, then one and one.
fn has_room(under_way: &HashMap<String, usize>, namespace: &str) -> bool {
    let free = UNDER_WAY.saturating_sub(under_way.values().sum());
    under_way.get(namespace).copied().unwrap_or_default() < free
}

#[cfg(test)]
mod tests;
