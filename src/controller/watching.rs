//! Watches that feed the memory before they cause a reconcile, and what comes out at the other end.

use super::context::Context;
use crate::cloud::parse::clean;
use futures::{Stream, StreamExt, TryStreamExt, future};
use kube::{
    Api, Resource, ResourceExt,
    core::{DeserializeGuard, error_boundary::InvalidObject},
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
/// An object that cannot be read (the API server takes times that nobody else does, and another version may have written it) is left alone, and does
/// not keep the others from being seen.
pub fn watch<K>(
    api: Api<DeserializeGuard<K>>,
    tell: impl Fn(Seen<K>) + Send + 'static,
) -> (impl Stream<Item = Result<K, watcher::Error>> + Send, Store<K>)
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    let (reader, writer) = reflector::store();
    let (store, known) = (reader.clone(), reader.clone());
    let stream = watcher(api, watcher::Config::default())
        .default_backoff()
        .try_filter_map(move |event| future::ok(readable(event, &known)))
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

/// An event about an object that can be read. One that can no longer be read is as good as gone until it can.
fn readable<K>(event: watcher::Event<DeserializeGuard<K>>, known: &Store<K>) -> Option<watcher::Event<K>>
where
    K: Resource<DynamicType = ()> + Clone,
{
    use watcher::Event::{Apply, Delete, Init, InitApply, InitDone};
    let gone = |unread: &InvalidObject| known.get(&reference(unread)).map(|last| Delete((*last).clone()));
    match event {
        Init => Some(Init),
        InitDone => Some(InitDone),
        InitApply(DeserializeGuard(read)) => read.inspect_err(unreadable::<K>).ok().map(InitApply),
        Apply(DeserializeGuard(Ok(object))) => Some(Apply(object)),
        Delete(DeserializeGuard(Ok(object))) => Some(Delete(object)),
        Apply(DeserializeGuard(Err(unread))) => {
            unreadable::<K>(&unread);
            gone(&unread)
        }
        Delete(DeserializeGuard(Err(unread))) => gone(&unread),
    }
}

fn reference<K: Resource<DynamicType = ()>>(unread: &InvalidObject) -> ObjectRef<K> {
    let reference = ObjectRef::new(unread.metadata.name.as_deref().unwrap_or_default());
    match &unread.metadata.namespace {
        Some(namespace) => reference.within(namespace),
        None => reference,
    }
}

fn unreadable<K: Resource<DynamicType = ()>>(unread: &InvalidObject) {
    let error = clean(&unread.error, 200);
    tracing::warn!(error, object = %reference::<K>(unread), "an object cannot be read and is left alone until it can");
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
