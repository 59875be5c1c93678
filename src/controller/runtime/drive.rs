//! Sets a controller up and runs it, for any kind.

use super::{
    Runtime,
    places::Places,
    slots::Slot,
    watch::{Change, watch},
};
use crate::controller::{
    api_error::explained,
    kind::Kind,
    store::{health::Subject, waker::Waker},
};
use futures::{FutureExt, StreamExt};
use kube::{
    ResourceExt,
    runtime::{
        Controller,
        controller::{self, Action},
        reflector::{ObjectRef, Store},
        watcher,
    },
};
use std::{error::Error, future::Future, sync::Arc, time::Duration};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tokio_util::sync::CancellationToken;

/// What a controller does with the objects of its kind.
pub trait Reconciler: Send + Sync + 'static {
    /// The kind.
    type Kind: Kind;
    /// Why a reconcile did not come to an end. It is tried again.
    type Error: Error + Send + Sync + 'static;

    /// The namespace whose objects it reconciles; absent for all, and for a kind without.
    fn namespace(&self) -> Option<&str>;

    /// Through what its objects are woken.
    fn waker(&self) -> &Waker<Self::Kind>;

    /// The watch showed something: it goes into the stores before a reconcile sees it.
    fn seen(&self, change: Change<Self::Kind>);

    /// Brings an object one step further, until something has to be waited for. What takes long is done outside the slot.
    fn reconcile(&self, object: Arc<Self::Kind>, slot: Slot) -> impl Future<Output = Result<Action, Self::Error>> + Send;

    /// Before a reconcile that did not come to an end is tried again.
    fn retry_after(&self, object: &Self::Kind) -> Duration;
}

/// Runs a controller until the process stops.
pub async fn drive<R: Reconciler>(runtime: Arc<Runtime>, reconciler: Arc<R>) {
    let namespace = reconciler.namespace().map(ToOwned::to_owned);
    let woken = UnboundedReceiverStream::new(reconciler.waker().open(namespace.clone()));
    let api = <R::Kind as Kind>::api(runtime.watcher.clone(), namespace.as_deref());
    let hearing = reconciler.clone();
    let subject = Subject { kind: R::Kind::NAME, namespace };
    let (stream, store) = watch(runtime.clone(), subject, api, move |change| hearing.seen(change));
    let unready = ended_unready(runtime.stop.clone(), store.clone());
    let controller = Controller::for_stream(stream, store)
        .reconcile_on(woken)
        .graceful_shutdown_on(runtime.stop.clone().cancelled_owned())
        .run(
            timed::<R>,
            retry::<R>,
            Arc::new(Driven { slots: Places::new(runtime.concurrency.into()), runtime: runtime.clone(), reconciler }),
        )
        .for_each(|result| note(&runtime, result));
    tokio::select! {
        () = controller => {}
        () = unready => {}
    }
}

/// Ends when the process stops before a watch has shown everything. kube's controller would wait for that for ever, although the watch is over (`Runner` in
/// kube-runtime: nothing ends while it is not ready to execute); it has reconciled nothing yet.
async fn ended_unready<K: Kind>(stop: CancellationToken, store: Store<K>) {
    stop.cancelled().await;
    if store.wait_until_ready().now_or_never().is_some() {
        std::future::pending::<()>().await;
    }
}

struct Driven<R> {
    runtime: Arc<Runtime>,
    reconciler: Arc<R>,
    /// kube's own limit would count a reconcile that waits for the cloud.
    slots: Places,
}

async fn timed<R: Reconciler>(object: Arc<R::Kind>, driven: Arc<Driven<R>>) -> Result<Action, R::Error> {
    let Driven { runtime, reconciler, slots } = driven.as_ref();
    let slot = tokio::select! {
        slot = Slot::take(slots, object.namespace().unwrap_or_default()) => slot,
        // What has not begun is left to the next process.
        () = runtime.stop.cancelled() => return Ok(Action::await_change()),
    };
    let begun = runtime.clock.now();
    // Thousands may wait for a slot at once: what a reconcile needs is made only when it has one.
    let result = Box::pin(reconciler.reconcile(object, slot)).await;
    runtime.metrics.took(R::Kind::NAME, runtime.clock.now().since(begun));
    result
}

#[allow(clippy::needless_pass_by_value)] // the signature is kube's
fn retry<R: Reconciler>(object: Arc<R::Kind>, _error: &R::Error, driven: Arc<Driven<R>>) -> Action {
    Action::requeue(driven.reconciler.retry_after(&object))
}

/// Counts and logs what a controller's stream says, at the one place where it is handled.
fn note<K: Kind, E: Error + 'static>(
    runtime: &Runtime,
    result: Result<(ObjectRef<K>, Action), controller::Error<E, watcher::Error>>,
) -> std::future::Ready<()> {
    match result {
        Ok(_) => runtime.metrics.reconciled(K::NAME, "ok"),
        // Deleted while it was queued.
        Err(controller::Error::ObjectNotFound(_)) => {}
        Err(controller::Error::ReconcilerFailed(error, object)) => {
            runtime.metrics.reconciled(K::NAME, "error");
            tracing::warn!(error = explained(&error), object = %object, "a reconcile failed and is tried again");
        }
        Err(error) => tracing::warn!(error = explained(&error), kind = K::NAME, "the controller"),
    }
    std::future::ready(())
}
