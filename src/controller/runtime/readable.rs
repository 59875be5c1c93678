//! Objects as they are read from the API server: of their metadata what somebody reads. And those that cannot be read: the API server takes times that nobody
//! else does, and another version may have written one. Such an object is left alone, and does not keep the others from being seen.
//!
//! kube's `DeserializeGuard` does the latter, and copies each object twice on the way.

use crate::{
    cloud::parse::clean,
    controller::{kind::Kind, object},
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{
    Resource,
    core::PartialObjectMeta,
    runtime::{reflector::ObjectRef, watcher::Event},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use serde_json::value::RawValue;
use std::{borrow::Cow, sync::Arc};

/// An object, or what is known of one that cannot be read.
#[derive(Clone, Debug)]
pub struct Readable<K>(Result<K, Unread>);

/// An object that cannot be read.
#[derive(Clone, Debug)]
struct Unread {
    error: String,
    metadata: ObjectMeta,
}

#[derive(Deserialize)]
struct Parts<P, S> {
    #[serde(deserialize_with = "object::metadata")]
    metadata: ObjectMeta,
    spec: P,
    status: Option<S>,
}

impl<'de, K: Kind> Deserialize<'de> for Readable<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Not copied: kube reads from texts, which hold the whole of it.
        let raw = <&RawValue>::deserialize(deserializer)?;
        let read = serde_json::from_str::<Parts<K::Spec, K::Status>>(raw.get());
        let unread = |error: serde_json::Error| {
            let PartialObjectMeta::<K> { metadata, .. } = serde_json::from_str(raw.get()).map_err(de::Error::custom)?;
            Ok(Self(Err(Unread { error: error.to_string(), metadata })))
        };
        read.map_or_else(unread, |Parts { metadata, spec, status }| Ok(Self(Ok(K::of(metadata, spec, status)))))
    }
}

impl<K: Kind> Serialize for Readable<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.as_ref().map_err(|unread| <S::Error as ser::Error>::custom(&unread.error))?.serialize(serializer)
    }
}

impl<K: Kind> From<K> for Readable<K> {
    fn from(object: K) -> Self {
        Self(Ok(object))
    }
}

impl<K: Kind> Readable<K> {
    /// The object.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn read(self) -> Result<K, kube::Error> {
        self.0.map_err(|unread| kube::Error::SerdeError(de::Error::custom(unread.error)))
    }
}

impl<K: Resource> Resource for Readable<K> {
    type DynamicType = K::DynamicType;
    type Scope = K::Scope;

    fn kind(dt: &K::DynamicType) -> Cow<'_, str> {
        K::kind(dt)
    }

    fn group(dt: &K::DynamicType) -> Cow<'_, str> {
        K::group(dt)
    }

    fn version(dt: &K::DynamicType) -> Cow<'_, str> {
        K::version(dt)
    }

    fn plural(dt: &K::DynamicType) -> Cow<'_, str> {
        K::plural(dt)
    }

    fn meta(&self) -> &ObjectMeta {
        self.0.as_ref().map_or_else(|unread| &unread.metadata, K::meta)
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        self.0.as_mut().map_or_else(|unread| &mut unread.metadata, K::meta_mut)
    }
}

/// An event about an object that can be read. One that can no longer be read is as good as gone until it can. `known`: the last version of an object.
pub(super) fn readable<K>(event: Event<Readable<K>>, known: impl Fn(&ObjectMeta) -> Option<Arc<K>>) -> Option<Event<K>>
where
    K: Resource<DynamicType = ()> + Clone,
{
    use Event::{Apply, Delete, Init, InitApply, InitDone};
    let gone = |unread: &Unread| known(&unread.metadata).map(|last| Delete((*last).clone()));
    match event {
        Init => Some(Init),
        InitDone => Some(InitDone),
        InitApply(Readable(read)) => read.inspect_err(unreadable::<K>).ok().map(InitApply),
        Apply(Readable(Ok(object))) => Some(Apply(object)),
        Delete(Readable(Ok(object))) => Some(Delete(object)),
        Apply(Readable(Err(unread))) => {
            unreadable::<K>(&unread);
            gone(&unread)
        }
        Delete(Readable(Err(unread))) => gone(&unread),
    }
}

fn reference<K: Resource<DynamicType = ()>>(unread: &Unread) -> ObjectRef<K> {
    let reference = ObjectRef::new(unread.metadata.name.as_deref().unwrap_or_default());
    match &unread.metadata.namespace {
        Some(namespace) => reference.within(namespace),
        None => reference,
    }
}

fn unreadable<K: Resource<DynamicType = ()>>(unread: &Unread) {
    let error = clean(&unread.error, 200);
    tracing::warn!(error, object = %reference::<K>(unread), "an object cannot be read and is left alone until it can");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::backup::DatabaseBackup;
    use kube::{ResourceExt, api::WatchEvent, core::ObjectList};
    use serde_json::json;

    fn backup(name: &str, instance: &serde_json::Value) -> serde_json::Value {
        let source = json!({ "engine": "DCS", "instanceId": instance });
        let managed = json!([{ "manager": "kubectl", "fieldsV1": { "f:spec": {} } }]);
        json!({ "metadata": { "name": name, "uid": "u", "managedFields": managed }, "spec": { "source": source } })
    }

    #[test]
    fn one_that_cannot_be_read_keeps_nobody_from_the_others_in_a_listing_and_in_a_watch() {
        let (good, bad) = (backup("good", &json!("i-1")), backup("bad", &json!(7)));
        let list = json!({ "apiVersion": "v1", "kind": "DatabaseBackupList", "metadata": {}, "items": [good, bad] }).to_string();
        let list: ObjectList<Readable<DatabaseBackup>> = serde_json::from_str(&list).expect("a list");
        let names: Vec<_> = list.items.iter().map(|object| (object.name_any(), object.0.is_ok())).collect();
        assert_eq!(names, [("good".to_owned(), true), ("bad".to_owned(), false)]);
        // The API server writes the type first.
        let event = |object: &serde_json::Value| format!(r#"{{"type":"ADDED","object":{object}}}"#);
        for (object, is_read) in [(&good, true), (&bad, false)] {
            let event = event(object);
            let Ok(WatchEvent::Added(object)) = serde_json::from_str::<WatchEvent<Readable<DatabaseBackup>>>(&event) else { panic!() };
            assert_eq!(object.0.is_ok(), is_read);
        }
        let kept = || Arc::new(serde_json::from_value::<DatabaseBackup>(good.clone()).expect("an object"));
        let last = |meta: &ObjectMeta| (meta.uid.as_deref() == Some("u")).then(kept);
        let unread = || list.items[1].clone();
        assert!(matches!(readable(Event::Apply(unread()), last), Some(Event::Delete(_))), "as good as gone");
        assert!(readable(Event::Apply(unread()), |_| None).is_none() && readable(Event::InitApply(unread()), last).is_none());
        assert!(matches!(unread().read(), Err(kube::Error::SerdeError(_))), "an answer that cannot be read is an error");
    }

    #[test]
    fn of_the_metadata_is_read_what_is_kept() {
        let text = backup("a", &json!("i-1")).to_string();
        let read: Readable<DatabaseBackup> = serde_json::from_str(&text).expect("an object");
        let mut whole: DatabaseBackup = serde_json::from_str(&text).expect("an object");
        assert!(whole.metadata.managed_fields.is_some());
        object::keep(&mut whole.metadata);
        assert_eq!(read.read().expect("an object"), whole);
    }
}
