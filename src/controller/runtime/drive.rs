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
