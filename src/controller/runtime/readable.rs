//! Objects that cannot be read: the API server takes times that nobody else does, and another version may have written one. Such an object is left alone,
//! and does not keep the others from being seen.

use crate::cloud::parse::clean;
use kube::{
    Resource,
    core::{DeserializeGuard, error_boundary::InvalidObject},
    runtime::{
        reflector::{ObjectRef, Store},
        watcher::Event,
    },
};

/// An event about an object that can be read. One that can no longer be read is as good as gone until it can.
pub(super) fn readable<K>(event: Event<DeserializeGuard<K>>, known: &Store<K>) -> Option<Event<K>>
where
    K: Resource<DynamicType = ()> + Clone,
{
    use Event::{Apply, Delete, Init, InitApply, InitDone};
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
