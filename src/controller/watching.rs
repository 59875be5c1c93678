//! Watches that feed the memory before they cause a reconcile, and what comes out at the other end.

use super::context::Context;
use futures::{Stream, StreamExt, TryStreamExt};
use kube::{
    Api, Resource, ResourceExt,
    runtime::{
        WatchStreamExt,
        controller::{self, Action},
        reflector::{self, ObjectRef, Store},
        watcher,
    },
};
use serde::de::DeserializeOwned;
use std::{fmt::Debug, sync::Arc};

/// Something that a watch showed.
pub enum Seen<K> {
    /// A version of an object.
    Object(Arc<K>),
    /// An object that is gone.
    Gone(K),
    /// A complete listing, after a start or a break of the watch.
    All(Vec<Arc<K>>),
}

/// Watches a kind: `tell` hears everything before the stream does. Managed fields are dropped, since nobody reads them and they take half the memory.
pub fn watch<K>(api: Api<K>, tell: impl Fn(Seen<K>) + Send + 'static) -> (impl Stream<Item = Result<K, watcher::Error>> + Send, Store<K>)
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    let (reader, writer) = reflector::store();
    let store = reader.clone();
    let stream = watcher(api, watcher::Config::default())
        .default_backoff()
        .modify(|object| object.managed_fields_mut().clear())
        .reflect(writer)
        .inspect_ok(move |event| match event {
            watcher::Event::Apply(object) => {
                if let Some(object) = store.get(&ObjectRef::from_obj(object)) {
                    tell(Seen::Object(object));
                }
            }
            watcher::Event::Delete(object) => tell(Seen::Gone(object.clone())),
            watcher::Event::InitDone => tell(Seen::All(store.state())),
            watcher::Event::Init | watcher::Event::InitApply(_) => {}
        })
        .touched_objects()
        .boxed();
    (stream, reader)
}

/// Counts and logs what a controller's stream says, at the one place where it is handled.
pub fn note<K, E>(
    ctx: &Context,
    kind: &'static str,
    result: Result<(ObjectRef<K>, Action), controller::Error<E, watcher::Error>>,
) -> std::future::Ready<()>
where
    K: kube::Resource<DynamicType = ()>,
    E: std::error::Error + 'static,
{
    match result {
        Ok(_) => ctx.metrics.reconciled(kind, "ok"),
        // Deleted while it was queued.
        Err(controller::Error::ObjectNotFound(_)) => {}
        Err(controller::Error::ReconcilerFailed(error, object)) => {
            ctx.metrics.reconciled(kind, "error");
            tracing::warn!(%error, object = %object, "a reconcile failed and is tried again");
        }
        Err(error) => tracing::warn!(%error, kind, "the watch failed and is tried again"),
    }
    std::future::ready(())
}
