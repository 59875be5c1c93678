//! A queue in which namespaces take turns.

use super::{CallPermit, Purpose};
use std::collections::{HashMap, VecDeque};
use tokio::sync::oneshot;

/// A queue in which namespaces take turns; within a namespace it is first come, first served.
#[derive(Debug, Default)]
pub(super) struct Turns {
    queues: HashMap<String, VecDeque<Waiter>>,
    /// Every namespace that has a queue, the next one first.
    order: VecDeque<String>,
}

/// Somebody who waits for a permit.
#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) namespace: String,
    pub(super) service: &'static str,
    pub(super) who: Who,
}

#[derive(Debug)]
pub(super) enum Who {
    /// Woken through [`super::Permits::granted`].
    Key(String),
    /// Waits in place.
    Task(oneshot::Sender<CallPermit>),
}

impl Turns {
    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Whether the key waits in the queue of the namespace.
    pub(super) fn has(&self, namespace: &str, key: &str) -> bool {
        self.queues.get(namespace).is_some_and(|queue| queue.iter().any(|waiter| waiter.is(key)))
    }

    pub(super) fn push(&mut self, purpose: Purpose<'_>, who: Who) {
        let Purpose { namespace, service } = purpose;
        if !self.queues.contains_key(namespace) {
            self.order.push_back(namespace.to_owned());
        }
        self.queues.entry(namespace.to_owned()).or_default().push_back(Waiter { namespace: namespace.to_owned(), service, who });
    }

    /// The first one of the first namespace whose call may begin. The namespace goes to the end.
    pub(super) fn take(&mut self, may_begin: &mut impl FnMut(&Waiter) -> bool) -> Option<Waiter> {
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

    pub(super) fn withdraw(&mut self, key: &str) {
        self.retain(|waiter| !waiter.is(key));
    }

    fn retain(&mut self, keep: impl Fn(&Waiter) -> bool) {
        self.queues.retain(|_, queue| {
            queue.retain(&keep);
            !queue.is_empty()
        });
        self.order.retain(|namespace| self.queues.contains_key(namespace));
    }
}

impl Waiter {
    fn is(&self, key: &str) -> bool {
        matches!(&self.who, Who::Key(queued) if queued == key)
    }

    /// Nobody waits at the other end any more.
    fn has_gone(&self) -> bool {
        matches!(&self.who, Who::Task(task) if task.is_closed())
    }
}
