//! A queue in which namespaces take turns.

use std::collections::{HashMap, VecDeque};
use tokio::sync::oneshot;

/// A queue in which namespaces take turns; within a namespace it is first come, first served. Whoever waits in place is handed a `T`; `S` is for what.
#[derive(Debug)]
pub struct Turns<T, S = ()> {
    queues: HashMap<String, VecDeque<Waiter<T, S>>>,
    /// Every namespace that has a queue, the next one first.
    order: VecDeque<String>,
}

/// Somebody who waits.
#[derive(Debug)]
pub struct Waiter<T, S = ()> {
    /// On whose behalf.
    pub namespace: String,
    /// For which service.
    pub service: S,
    /// Who it is.
    pub who: Who<T>,
}

/// Who waits.
#[derive(Debug)]
pub enum Who<T> {
    /// Is woken, and asks again.
    Key(String),
    /// Waits in place.
    Task(oneshot::Sender<T>),
}

impl<T, S> Default for Turns<T, S> {
    fn default() -> Self {
        Self { queues: HashMap::new(), order: VecDeque::new() }
    }
}

impl<T, S> Turns<T, S> {
    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.queues.values().map(VecDeque::len).sum()
    }

    /// Whether the key waits in the queue of the namespace.
    pub fn has(&self, namespace: &str, key: &str) -> bool {
        self.queues.get(namespace).is_some_and(|queue| queue.iter().any(|waiter| waiter.is(key)))
    }

    /// Puts somebody at the end of the queue of their namespace.
    pub fn push(&mut self, namespace: &str, service: S, who: Who<T>) {
        if !self.queues.contains_key(namespace) {
            self.order.push_back(namespace.to_owned());
        }
        self.queues.entry(namespace.to_owned()).or_default().push_back(Waiter { namespace: namespace.to_owned(), service, who });
    }

    /// The first one of the first namespace whose call may begin. The namespace goes to the end. Whoever `may_begin` says yes to is taken, so it says so once.
    pub fn take(&mut self, may_begin: &mut impl FnMut(&Waiter<T, S>) -> bool) -> Option<Waiter<T, S>> {
        self.retain(|waiter| !waiter.has_gone());
        let (place, at) = self.order.iter().enumerate().find_map(|(place, namespace)| {
            let at = self.queues.get(namespace)?.iter().position(&mut *may_begin)?;
            Some((place, at))
        })?;
        let namespace = self.order.remove(place)?;
        let queue = self.queues.get_mut(&namespace)?;
        let waiter = queue.remove(at);
        if queue.is_empty() {
            self.queues.remove(&namespace);
        } else {
            self.order.push_back(namespace);
        }
        waiter
    }

    /// The key no longer waits.
    pub fn withdraw(&mut self, key: &str) {
        self.retain(|waiter| !waiter.is(key));
    }

    fn retain(&mut self, keep: impl Fn(&Waiter<T, S>) -> bool) {
        self.queues.retain(|_, queue| {
            queue.retain(&keep);
            !queue.is_empty()
        });
        self.order.retain(|namespace| self.queues.contains_key(namespace));
    }
}

impl<T, S> Waiter<T, S> {
    fn is(&self, key: &str) -> bool {
        matches!(&self.who, Who::Key(queued) if queued == key)
    }

    /// Nobody waits at the other end any more.
    fn has_gone(&self) -> bool {
        matches!(&self.who, Who::Task(task) if task.is_closed())
    }
}
