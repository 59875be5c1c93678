//! Sets a controller up and runs it, for any kind.

use super::{
    Runtime,
    places::Places,
    readable::Readable,
    slots::Slot,
    watch::{Change, watch},
};
use crate::controller::{
    api_error::explained,
    kind::Kind,
    store::{
        health::Subject,
        queue::{Key, Queue},
        waker::Waker,
    },
};
use futures::{StreamExt, stream::FuturesUnordered};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Api, ResourceExt};
use std::{error::Error, future::Future, panic::resume_unwind, sync::Arc, time::Duration};
use tokio::task::{JoinError, coop::consume_budget};
use tokio_util::task::AbortOnDropHandle;

/// What a controller does with the objects of its kind.
pub trait Reconciler: Send + Sync + 'static {
    /// The kind.
    type Kind: Kind;
    /// Why a reconcile did not come to an end. It is tried again.
    type Error: Error + Send + Sync + 'static;

    /// The namespace whose objects it reconciles; absent for all, and for a kind without.
    fn namespace(&self) -> Option<&str>;

    /// Through what its objects are woken.
    fn waker(&self) -> &Waker;

    /// By what the store knows an object.
    fn key(meta: &ObjectMeta) -> Key;

    /// The newest version of an object; absent once it is gone.
    fn find(&self, key: &Key) -> Option<Arc<Self::Kind>>;

    /// The watch showed something: it goes into the stores before a reconcile sees it. Answers with what has to be reconciled for it.
    fn seen(&self, change: Change<Self::Kind>) -> Vec<Key>;

    /// Brings an object one step further, until something has to be waited for; and answers with after how long it is to be looked at again if nothing happens
    /// before. What takes long is done outside the slot.
    fn reconcile(&self, object: Arc<Self::Kind>, slot: Slot) -> impl Future<Output = Result<Option<Duration>, Self::Error>> + Send;

    /// Before a reconcile that did not come to an end is tried again.
    fn retry_after(&self, object: &Self::Kind) -> Duration;
}

/// Runs a controller until the process stops.
pub async fn drive<R: Reconciler>(runtime: Arc<Runtime>, reconciler: Arc<R>) {
    let namespace = reconciler.namespace().map(ToOwned::to_owned);
    let queue = reconciler.waker().open(namespace.as_deref());
    let api = <R::Kind as Kind>::api(runtime.watcher.clone(), namespace.as_deref());
    let subject = Subject { kind: R::Kind::NAME, namespace };
    let slots = Places::new(runtime.concurrency.into());
    let driven = Arc::new(Driven { runtime, reconciler, queue, slots });
    // What is seen is not held up by what is reconciled, nor the other way round, nor the lease by either: each has a task of its own, and all reconciles are
    // one.
    let watching = AbortOnDropHandle::new(tokio::spawn(feed(driven.clone(), subject, api)));
    let serving = AbortOnDropHandle::new(tokio::spawn(serve(driven)));
    tokio::select! {
        ended = serving => pass_on(ended),
        ended = watching => pass_on(ended),
    }
}

/// Puts what the watch shows into the stores, and what has to be reconciled for it into the queue.
async fn feed<R: Reconciler>(driven: Arc<Driven<R>>, subject: Subject, api: Api<Readable<R::Kind>>) {
    let Driven { runtime, reconciler, queue, .. } = driven.as_ref();
    let known = |meta: &ObjectMeta| reconciler.find(&R::key(meta));
    let hear = |change: Change<R::Kind>| {
        let is_complete = matches!(change, Change::Listed);
        for key in reconciler.seen(change) {
            queue.add(key);
        }
        if is_complete {
            queue.open();
        }
    };
    watch(runtime, &subject, api, known, hear).await;
}

struct Driven<R> {
    runtime: Arc<Runtime>,
    reconciler: Arc<R>,
    queue: Arc<Queue>,
    slots: Places,
}

/// Reconciles what is in the queue, in one task, so that however much there is to decide takes one processor and no more. When the process stops nothing new is
/// begun, and what is under way comes to its end.
async fn serve<R: Reconciler>(driven: Arc<Driven<R>>) {
    let mut running = FuturesUnordered::new();
    loop {
        tokio::select! {
            () = driven.runtime.stop.cancelled() => break,
            Some(()) = running.next() => {}
            key = driven.queue.next() => running.push(one(driven.clone(), key)),
        }
        // There may always be a next one.
        consume_budget().await;
    }
    running.collect::<()>().await;
}

/// A bug in a controller ends the process, and does not leave its objects alone for ever.
fn pass_on(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && let Ok(panic) = error.try_into_panic()
    {
        resume_unwind(panic);
    }
}

async fn one<R: Reconciler>(driven: Arc<Driven<R>>, key: Key) {
    let Driven { runtime, reconciler, queue, slots } = driven.as_ref();
    let slot = tokio::select! {
        slot = Slot::take(slots, key.namespace.as_deref().unwrap_or_default().to_owned()) => slot,
        // What has not begun is left to the next process.
        () = runtime.stop.cancelled() => return,
    };
    // Deleted while it was queued.
    let Some(object) = reconciler.find(&key) else { return queue.done(&key, None) };
    let begun = runtime.clock.now();
    // Thousands may wait for a slot at once: what a reconcile needs is made only when it has one.
    let result = Box::pin(reconciler.reconcile(object.clone(), slot)).await;
    runtime.metrics.took(R::Kind::NAME, runtime.clock.now().since(begun));
    runtime.metrics.reconciled(R::Kind::NAME, if result.is_ok() { "ok" } else { "error" });
    let again_after = result.unwrap_or_else(|error| {
        let (error, namespace, name) = (explained(&error), object.namespace(), object.name_any());
        tracing::warn!(error, kind = R::Kind::NAME, namespace, name, "a reconcile failed and is tried again");
        Some(reconciler.retry_after(&object))
    });
    queue.done(&key, again_after);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::backup::DatabaseBackup,
        controller::{
            clock::Clock,
            runtime::{ANSWERS, events::Events},
            store::{health::Health, metrics::Metrics, refusals::Refusals, revisions::Revisions},
        },
    };
    use std::{
        convert::Infallible,
        sync::atomic::{AtomicUsize, Ordering},
    };
    use tokio::task::yield_now;
    use tokio_util::sync::CancellationToken;

    /// There is always something to do for each object, and it never takes long.
    struct Busy {
        object: Arc<DatabaseBackup>,
        waker: Waker,
        reconciles: AtomicUsize,
        stop: CancellationToken,
    }

    /// After so many reconciles the process stops, should they have let nobody else do it.
    const MOST: usize = 100_000;

    impl Reconciler for Busy {
        type Kind = DatabaseBackup;
        type Error = Infallible;

        fn namespace(&self) -> Option<&str> {
            None
        }

        fn waker(&self) -> &Waker {
            &self.waker
        }

        fn key(meta: &ObjectMeta) -> Key {
            Key::new(None, meta.name.as_deref().unwrap_or_default())
        }

        fn find(&self, _key: &Key) -> Option<Arc<DatabaseBackup>> {
            Some(self.object.clone())
        }

        fn seen(&self, _change: Change<DatabaseBackup>) -> Vec<Key> {
            Vec::new()
        }

        async fn reconcile(&self, _object: Arc<DatabaseBackup>, _slot: Slot) -> Result<Option<Duration>, Infallible> {
            if self.reconciles.fetch_add(1, Ordering::Relaxed) > MOST {
                self.stop.cancel();
            }
            Ok(Some(Duration::ZERO))
        }

        fn retry_after(&self, _object: &DatabaseBackup) -> Duration {
            Duration::ZERO
        }
    }

    fn runtime(stop: CancellationToken) -> Runtime {
        let config = kube::Config::new("http://127.0.0.1:1".parse().unwrap());
        let client = || kube::Client::try_from(config.clone()).unwrap();
        Runtime {
            client: client(),
            watcher: client(),
            events: Events::new(client(), None, Places::new(1)).0,
            clock: Clock::start(),
            concurrency: 64,
            answers: Places::new(ANSWERS),
            stop,
            metrics: Arc::new(Metrics::new()),
            health: Health::default(),
            refusals: Refusals::default(),
            revisions: Revisions::default(),
        }
    }

    /// The test has one thread, as a container with little of a processor has. The lease and the watches are such others.
    #[tokio::test]
    async fn reconciles_without_end_leave_the_processor_to_other_tasks_again_and_again() {
        let stop = CancellationToken::new();
        let spec = serde_json::json!({ "source": { "engine": "DCS", "instanceId": "i-1" } });
        let object = Arc::new(DatabaseBackup::new("a", serde_json::from_value(spec).unwrap()));
        let busy = Busy { object, waker: Waker::default(), reconciles: AtomicUsize::new(0), stop: stop.clone() };
        let (reconciler, queue) = (Arc::new(busy), Arc::new(Queue::default()));
        queue.open();
        (0..100).for_each(|nth| queue.add(Key::new(None, &nth.to_string())));
        let slots = Places::new(64);
        let driven = Driven { runtime: Arc::new(runtime(stop.clone())), reconciler: reconciler.clone(), queue, slots };
        let serving = tokio::spawn(serve(Arc::new(driven)));
        for _ in 0..100 {
            yield_now().await;
        }
        stop.cancel();
        serving.await.unwrap();
        let reconciles = reconciler.reconciles.load(Ordering::Relaxed);
        assert!((100..MOST).contains(&reconciles), "{reconciles} in a hundred turns");
    }
}
