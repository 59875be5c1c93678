//! Places of which there are a few, and in which namespaces take turns.

use crate::cloud::permits::turns::{Turns, Who};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// A few places. Those who wait for one take turns by namespace, so that one with a thousand objects keeps another's from none of them for long.
#[derive(Clone, Debug)]
pub struct Places(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    free: usize,
    waiting: Turns<Place>,
}

/// A place that is taken; it is given on when it is dropped.
#[derive(Debug)]
pub struct Place(Places);

impl Places {
    /// So many, all of them free.
    pub fn new(count: usize) -> Self {
        Self(Arc::new(Mutex::new(State { free: count, waiting: Turns::default() })))
    }

    /// Waits for a place on behalf of a namespace (empty for objects without).
    pub async fn take(&self, namespace: &str) -> Option<Place> {
        let granted = {
            let mut state = self.lock();
            if state.free > 0 {
                state.free -= 1;
                return Some(Place(self.clone()));
            }
            let (sender, granted) = oneshot::channel();
            state.waiting.push(namespace, (), Who::Task(sender));
            granted
        };
        // Those who wait are only forgotten with the places themselves.
        granted.await.ok()
    }

    /// Whether all are taken.
    pub fn are_taken(&self) -> bool {
        self.lock().free == 0
    }

    /// Every change under the lock is complete in itself.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let next = {
            let mut state = self.0.lock();
            let next = state.waiting.take(&mut |_| true);
            if next.is_none() {
                state.free += 1;
            }
            next
        };
        // Not under the lock: one that no longer waits drops the place, which goes to the one after it.
        if let Some(Who::Task(task)) = next.map(|waiter| waiter.who) {
            drop(task.send(Place(self.0.clone())));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::{sync::mpsc::unbounded_channel, task::yield_now, time::timeout};

    #[tokio::test(start_paused = true)]
    async fn one_of_a_namespace_waits_for_one_of_another_and_not_for_a_hundred() {
        let places = Places::new(1);
        let first = places.take("noisy").await;
        let (done, mut order) = unbounded_channel();
        for namespace in std::iter::repeat_n("noisy", 100).chain(["quiet"]) {
            let (places, done) = (places.clone(), done.clone());
            tokio::spawn(async move {
                let place = places.take(namespace).await;
                let _ = done.send(namespace);
                drop(place);
            });
            yield_now().await;
        }
        drop(first);
        assert_eq!([order.recv().await, order.recv().await], [Some("noisy"), Some("quiet")]);
        for _ in 0..99 {
            order.recv().await;
        }
        assert!(timeout(Duration::from_secs(1), places.take("noisy")).await.is_ok(), "it is free again");
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_that_is_given_up_takes_no_place_from_others() {
        let places = Places::new(1);
        let first = places.take("shop").await;
        assert!(timeout(Duration::ZERO, places.take("shop")).await.is_err());
        drop(first);
        assert!(timeout(Duration::from_secs(1), places.take("shop")).await.is_ok());
    }
}
