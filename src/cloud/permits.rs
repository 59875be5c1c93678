//! The request rate of one account: a token bucket with two queues, so that creates and look-ups go before polls.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{Notify, oneshot},
    time::{Instant, sleep},
};

/// A grant that nobody came for lapses, and its token with it.
const GRANT_LIFETIME: Duration = Duration::from_secs(5);
/// After so many urgent permits in a row a waiting poll gets one, so that polling never starves.
const URGENT_IN_A_ROW: u32 = 3;

/// The request rate of one account.
#[derive(Debug)]
pub struct Permits {
    state: Mutex<State>,
    /// Somebody queued, or the rate changed.
    changed: Notify,
}

#[derive(Debug)]
struct State {
    rate: u32,
    tokens: f64,
    refilled: Instant,
    urgent: VecDeque<Waiter>,
    polls: VecDeque<oneshot::Sender<()>>,
    urgent_in_a_row: u32,
    granted: HashMap<String, Instant>,
    /// Nobody hands out permits any more.
    closed: bool,
}

#[derive(Debug)]
enum Waiter {
    /// Woken through [`Permits::granted`].
    Key(String),
    /// Waits in place.
    Task(oneshot::Sender<()>),
}

/// What the pump does next.
enum PumpStep {
    Granted(String),
    Again,
    Sleep(Duration),
    Idle,
}

impl Permits {
    /// A full bucket of `rate` requests a second; it holds a second's worth.
    pub fn new(rate: u32) -> Self {
        let rate = rate.max(1);
        let state = State {
            rate,
            tokens: f64::from(rate),
            refilled: Instant::now(),
            urgent: VecDeque::new(),
            polls: VecDeque::new(),
            urgent_in_a_row: 0,
            granted: HashMap::new(),
            closed: false,
        };
        Self { state: Mutex::new(state), changed: Notify::new() }
    }

    /// Another rate from now on.
    pub fn set_rate(&self, rate: u32) {
        let mut state = self.lock();
        if state.rate != rate.max(1) {
            state.refill();
            state.rate = rate.max(1);
            state.tokens = state.tokens.min(f64::from(state.rate));
            self.changed.notify_one();
        }
    }

    /// Requests a second.
    pub fn rate(&self) -> u32 {
        self.lock().rate
    }

    /// A permit for `key` without waiting: true if there is one now, or if one was granted to the key since it queued. Otherwise the key is
    /// queued, and [`Permits::granted`] says when to ask again.
    pub fn try_urgent(&self, key: &str) -> bool {
        let mut state = self.lock();
        state.refill();
        if state.closed {
            return true;
        }
        if state.granted.remove(key).is_some_and(|at| at.elapsed() < GRANT_LIFETIME) || state.take_if_free() {
            return true;
        }
        if !state.urgent.iter().any(|waiter| matches!(waiter, Waiter::Key(queued) if queued == key)) {
            state.urgent.push_back(Waiter::Key(key.to_owned()));
            self.changed.notify_one();
        }
        false
    }

    /// The key no longer wants a permit: it leaves the queue, and a grant that it did not come for is lost.
    pub fn withdraw(&self, key: &str) {
        let mut state = self.lock();
        state.granted.remove(key);
        state.urgent.retain(|waiter| !matches!(waiter, Waiter::Key(queued) if queued == key));
    }

    /// Nobody hands out permits any more: whoever waits goes on without one, and so does whoever comes. Calls under way must not wait for ever for an
    /// account that is gone.
    pub fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.urgent.clear();
        state.polls.clear();
    }

    /// Waits for a permit in the urgent queue.
    pub async fn urgent(&self) {
        self.wait(|state, sender| state.urgent.push_back(Waiter::Task(sender))).await;
    }

    /// Waits for a permit behind everything urgent, though not for ever.
    pub async fn poll(&self) {
        self.wait(|state, sender| state.polls.push_back(sender)).await;
    }

    async fn wait(&self, queue: impl FnOnce(&mut State, oneshot::Sender<()>)) {
        let granted = {
            let mut state = self.lock();
            state.refill();
            if state.closed || state.take_if_free() {
                return;
            }
            let (sender, granted) = oneshot::channel();
            queue(&mut state, sender);
            granted
        };
        self.changed.notify_one();
        // An error says that they were closed.
        let _ = granted.await;
    }

    /// Hands out permits as they become free, and answers with the next queued key that was granted one. One task per account runs this in a loop.
    pub async fn granted(&self) -> String {
        loop {
            let step = self.lock().next();
            match step {
                PumpStep::Granted(key) => return key,
                PumpStep::Again => {}
                PumpStep::Sleep(pause) => sleep(pause).await,
                PumpStep::Idle => self.changed.notified().await,
            }
        }
    }

    /// Every change under the lock is complete in itself.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn refill(&mut self) {
        let now = Instant::now();
        let rate = f64::from(self.rate);
        self.tokens = (self.tokens + now.duration_since(self.refilled).as_secs_f64() * rate).min(rate);
        self.refilled = now;
    }

    /// Takes a token if there is one and nobody queues for it.
    fn take_if_free(&mut self) -> bool {
        let free = self.tokens >= 1.0 && self.urgent.is_empty() && self.polls.is_empty();
        if free {
            self.tokens -= 1.0;
        }
        free
    }

    fn next(&mut self) -> PumpStep {
        self.refill();
        self.granted.retain(|_, at| at.elapsed() < GRANT_LIFETIME);
        if self.urgent.is_empty() && self.polls.is_empty() {
            return PumpStep::Idle;
        }
        if self.tokens < 1.0 {
            return PumpStep::Sleep(Duration::from_secs_f64((1.0 - self.tokens) / f64::from(self.rate)).max(Duration::from_millis(1)));
        }
        let is_polls_turn = !self.polls.is_empty() && (self.urgent.is_empty() || self.urgent_in_a_row >= URGENT_IN_A_ROW);
        if is_polls_turn { self.grant_poll() } else { self.grant_urgent() }
    }

    fn grant_poll(&mut self) -> PumpStep {
        self.urgent_in_a_row = 0;
        // One that no longer waits costs nothing.
        if self.polls.pop_front().is_some_and(|poll| poll.send(()).is_ok()) {
            self.tokens -= 1.0;
        }
        PumpStep::Again
    }

    fn grant_urgent(&mut self) -> PumpStep {
        self.urgent_in_a_row += 1;
        match self.urgent.pop_front() {
            Some(Waiter::Key(key)) => {
                self.tokens -= 1.0;
                self.granted.insert(key.clone(), Instant::now());
                PumpStep::Granted(key)
            }
            Some(Waiter::Task(task)) => {
                if task.send(()).is_ok() {
                    self.tokens -= 1.0;
                }
                PumpStep::Again
            }
            None => PumpStep::Again,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[tokio::test(start_paused = true)]
    async fn a_full_bucket_grants_at_once_and_then_queues_in_order() {
        let permits = Permits::new(2);
        assert!(permits.try_urgent("a") && permits.try_urgent("b"));
        assert!(!permits.try_urgent("c") && !permits.try_urgent("d") && !permits.try_urgent("c"));
        assert_eq!(permits.granted().await, "c");
        assert!(permits.try_urgent("c"), "the grant is there");
        assert!(!permits.try_urgent("c"), "and good for one call");
        assert_eq!(permits.granted().await, "d");
    }

    #[tokio::test(start_paused = true)]
    async fn never_more_than_the_rate_and_a_seconds_worth_on_top() {
        let permits = Arc::new(Permits::new(5));
        let started = Instant::now();
        for n in 0..55 {
            if !permits.try_urgent(&n.to_string()) {
                permits.granted().await;
            }
        }
        assert!(started.elapsed() >= Duration::from_millis(9_900), "{:?}", started.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn urgent_calls_go_before_polls_but_polls_never_starve() {
        let permits = Arc::new(Permits::new(1));
        assert!(permits.try_urgent("first"));
        let polling = permits.clone();
        let poll = tokio::spawn(async move { polling.poll().await });
        tokio::task::yield_now().await;
        for n in 0..8 {
            assert!(!permits.try_urgent(&n.to_string()));
        }
        for n in 0..3 {
            assert_eq!(permits.granted().await, n.to_string());
            assert!(!poll.is_finished(), "urgent ones first");
        }
        assert_eq!(permits.granted().await, "3");
        poll.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_that_withdraws_loses_its_place_and_its_grant() {
        let permits = Permits::new(1);
        assert!(permits.try_urgent("a") && !permits.try_urgent("b") && !permits.try_urgent("c") && !permits.try_urgent("d"));
        permits.withdraw("c");
        assert_eq!(permits.granted().await, "b");
        permits.withdraw("b");
        assert!(!permits.try_urgent("b"), "b has to queue again");
        assert_eq!(permits.granted().await, "d");
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_that_is_given_up_takes_no_permit_from_others() {
        let permits = Arc::new(Permits::new(1));
        assert!(permits.try_urgent("first"));
        for _ in 0..50 {
            assert!(tokio::time::timeout(Duration::ZERO, permits.urgent()).await.is_err());
            assert!(tokio::time::timeout(Duration::ZERO, permits.poll()).await.is_err());
        }
        let started = Instant::now();
        assert!(!permits.try_urgent("a"));
        assert_eq!(permits.granted().await, "a");
        assert!(started.elapsed() <= Duration::from_millis(1_010), "{:?}", started.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_permits_that_are_closed() {
        let permits = Arc::new(Permits::new(1));
        assert!(permits.try_urgent("first"));
        let (urgent, poll) = (permits.clone(), permits.clone());
        let waiting = [tokio::spawn(async move { urgent.urgent().await }), tokio::spawn(async move { poll.poll().await })];
        tokio::task::yield_now().await;
        permits.close();
        for waits in waiting {
            tokio::time::timeout(Duration::from_secs(3600), waits).await.expect("it goes on").unwrap();
        }
        tokio::time::timeout(Duration::from_secs(3600), permits.urgent()).await.expect("and so does whoever comes");
        assert!(permits.try_urgent("a") && permits.try_urgent("b"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_grant_that_nobody_comes_for_lapses() {
        let permits = Permits::new(1);
        assert!(permits.try_urgent("a") && !permits.try_urgent("b"));
        assert_eq!(permits.granted().await, "b");
        tokio::time::advance(GRANT_LIFETIME).await;
        assert!(permits.try_urgent("c"), "the bucket has refilled meanwhile");
        assert!(!permits.try_urgent("b"), "b has to queue again");
    }
}
