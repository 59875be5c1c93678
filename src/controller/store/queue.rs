//! What a controller has to reconcile, and when: each object at once at most, by one reconcile at a time. What client-go calls a delaying work queue.
//!
//! kube's `Controller` keeps what waits in a `DelayQueue`, whose ticks are milliseconds: each object would wait for the next one or two of them.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    fmt::{self, Display, Formatter},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until, timeout},
};

/// Which object of its kind.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// Its namespace; absent for one of the cluster.
    pub namespace: Option<Arc<str>>,
    /// What the store of its kind knows it by: a UID, or a name.
    pub id: Arc<str>,
}

impl Key {
    /// The key of an object in a namespace, if it has one.
    pub fn new(namespace: Option<&str>, id: &str) -> Self {
        Self { namespace: namespace.map(Into::into), id: id.into() }
    }
}

impl Display for Key {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let Some(namespace) = &self.namespace {
            write!(f, "{namespace}/")?;
        }
        f.write_str(&self.id)
    }
}

/// What a controller has to reconcile. Nothing is lost: what is added while it is reconciled is reconciled once more.
#[derive(Debug, Default)]
pub struct Queue {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Nothing is given out before the watch has shown everything.
    is_open: bool,
    stands: HashMap<Key, Stand>,
    /// Those that are `Ready`, first come first served.
    ready: VecDeque<Key>,
    /// Those that are `Later`, earliest first.
    later: BTreeSet<(Instant, Key)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stand {
    Ready,
    Later(Instant),
    /// Whether it was added meanwhile.
    Running(bool),
}

/// No sleep is longer: a timer that lies years ahead is no use to anybody.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

impl Queue {
    /// From now on it gives out what it has.
    pub fn open(&self) {
        self.lock().is_open = true;
        self.changed.notify_one();
    }

    /// An object has to be reconciled now.
    pub fn add(&self, key: Key) {
        self.lock().add(key);
        self.changed.notify_one();
    }

    /// The next object to reconcile; [`Queue::done`] has to be told when that is over. Only one task may wait here.
    pub async fn next(&self) -> Key {
        loop {
            let due = match self.take() {
                Ok(key) => return key,
                Err(due) => due,
            };
            // Whoever adds something after `take` leaves a permit, so nothing is missed.
            let wait = self.changed.notified();
            match due {
                Some(due) => drop(
                    timeout(LONGEST, async {
                        tokio::select! { () = wait => {}, () = sleep_until(due) => {} }
                    })
                    .await,
                ),
                None => wait.await,
            }
        }
    }

    /// The next object that is ready, or when the first one will be.
    fn take(&self) -> Result<Key, Option<Instant>> {
        let mut state = self.lock();
        state.mature(Instant::now());
        let ready = if state.is_open { state.ready.pop_front() } else { None };
        let Some(key) = ready else { return Err(state.later.first().map(|(due, _)| *due)) };
        state.stands.insert(key.clone(), Stand::Running(false));
        Ok(key)
    }

    /// A reconcile is over. The object is reconciled again after so long, or now if it was added meanwhile.
    pub fn done(&self, key: &Key, again_after: Option<Duration>) {
        let mut state = self.lock();
        let was_added = state.stands.remove(key) == Some(Stand::Running(true));
        if was_added {
            state.add(key.clone());
        } else if let Some(due) = again_after.and_then(|after| Instant::now().checked_add(after)) {
            state.stands.insert(key.clone(), Stand::Later(due));
            state.later.insert((due, key.clone()));
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Everything that is ready, as if it were reconciled at once.
    #[cfg(test)]
    pub fn drain(&self) -> Vec<Key> {
        self.open();
        let taken: Vec<Key> = std::iter::from_fn(|| self.take().ok()).collect();
        for key in &taken {
            self.done(key, None);
        }
        taken
    }

    /// Every change under the lock is complete in itself.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn add(&mut self, key: Key) {
        match self.stands.get_mut(&key) {
            Some(Stand::Ready) => return,
            Some(Stand::Running(again)) => {
                *again = true;
                return;
            }
            Some(Stand::Later(due)) => {
                let due = *due;
                self.later.remove(&(due, key.clone()));
            }
            None => {}
        }
        self.stands.insert(key.clone(), Stand::Ready);
        self.ready.push_back(key);
    }

    /// Those whose time has come are ready.
    fn mature(&mut self, now: Instant) {
        while self.later.first().is_some_and(|(due, _)| *due <= now)
            && let Some((_, key)) = self.later.pop_first()
        {
            self.stands.insert(key.clone(), Stand::Ready);
            self.ready.push_back(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn key(id: &str) -> Key {
        Key::new(Some("shop"), id)
    }

    fn opened() -> Queue {
        let queue = Queue::default();
        queue.open();
        queue
    }

    /// Whether there is nothing to reconcile for so long.
    async fn is_silent_for(queue: &Queue, long: Duration) -> bool {
        timeout(long, queue.next()).await.is_err()
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_given_out_before_it_is_opened_and_then_everything_once() {
        let queue = Queue::default();
        for id in ["a", "b", "a"] {
            queue.add(key(id));
        }
        assert!(is_silent_for(&queue, SECOND * 3600).await);
        queue.open();
        assert_eq!((queue.next().await, queue.next().await), (key("a"), key("b")));
        assert!(is_silent_for(&queue, SECOND * 3600).await);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_added_while_it_is_reconciled_waits_for_the_end_and_comes_once_more() {
        let queue = opened();
        queue.add(key("a"));
        let running = queue.next().await;
        queue.add(key("a"));
        queue.add(key("a"));
        assert!(is_silent_for(&queue, SECOND * 3600).await, "one reconcile of an object at a time");
        queue.done(&running, Some(SECOND * 3600));
        assert_eq!(timeout(SECOND, queue.next()).await, Ok(key("a")), "and not an hour later");
        queue.done(&running, None);
        assert!(is_silent_for(&queue, SECOND * 86_400).await);
    }

    #[tokio::test(start_paused = true)]
    async fn it_comes_again_when_it_is_due_and_earlier_if_it_is_added() {
        let queue = opened();
        for id in ["late", "early"] {
            queue.add(key(id));
        }
        let (late, early) = (queue.next().await, queue.next().await);
        queue.done(&late, Some(SECOND * 20));
        queue.done(&early, Some(SECOND * 10));
        assert!(is_silent_for(&queue, SECOND * 9).await);
        assert_eq!(timeout(SECOND * 2, queue.next()).await, Ok(early));
        queue.add(late.clone());
        assert_eq!(timeout(SECOND, queue.next()).await, Ok(late.clone()));
        queue.done(&late, None);
        assert!(is_silent_for(&queue, SECOND * 3600).await, "the later time is forgotten");
    }

    #[tokio::test(start_paused = true)]
    async fn an_hour_of_another_centurys_is_waited_for_without_harm() {
        let queue = opened();
        queue.add(key("a"));
        let running = queue.next().await;
        queue.done(&running, Some(Duration::MAX));
        queue.add(key("b"));
        let other = queue.next().await;
        queue.done(&other, Some(SECOND * 100 * 365 * 86_400));
        assert!(is_silent_for(&queue, SECOND * 86_400 * 3).await);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_hears_of_what_is_added() {
        let queue = Arc::new(opened());
        let adding = queue.clone();
        tokio::spawn(async move {
            tokio::time::sleep(SECOND).await;
            adding.add(key("a"));
        });
        assert_eq!(timeout(SECOND * 2, queue.next()).await, Ok(key("a")));
    }
}
