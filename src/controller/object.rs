//! What is read off an object's metadata, and what is kept of it.

use crate::{
    api::{FINALIZER, HOLD, SCHEDULE, backup::DatabaseBackup},
    plan::backup::seen::Restored,
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::ResourceExt;
use serde::{Deserialize, Deserializer};
use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
};

/// A person's word on an object that Velero restored.
const RESTORED: &str = "dbbackup.dev/restored";
/// On every object that Velero restored (its documentation).
const VELERO: &str = "velero.io/restore-name";
/// In memory alone: a hash in the place of all annotations.
const HASH: &str = "dbbackup.dev/annotations-hash";

/// The metadata that somebody reads. What is not here is skipped as text: who manages which field is most of the metadata, and a tree of many small maps.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
    generation: Option<i64>,
    creation_timestamp: Option<Time>,
    deletion_timestamp: Option<Time>,
    annotations: Option<BTreeMap<String, String>>,
    labels: Option<BTreeMap<String, String>>,
    finalizers: Option<Vec<String>>,
}

/// Reads an object's metadata as [`keep`] leaves them.
pub fn metadata<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ObjectMeta, D::Error> {
    let read = Metadata::deserialize(deserializer)?;
    let mut kept = ObjectMeta {
        name: read.name,
        namespace: read.namespace,
        uid: read.uid,
        resource_version: read.resource_version,
        generation: read.generation,
        creation_timestamp: read.creation_timestamp,
        deletion_timestamp: read.deletion_timestamp,
        annotations: read.annotations,
        labels: read.labels,
        finalizers: read.finalizers,
        ..ObjectMeta::default()
    };
    keep(&mut kept);
    Ok(kept)
}

/// Keeps of an object's metadata what somebody reads. Its owner may hang more than a megabyte on its metadata: of the annotations a hash is enough, which changes when
/// they do; of labels and finalizers, those that mean something here.
pub fn keep(metadata: &mut ObjectMeta) {
    let meta = std::mem::take(metadata);
    let mut annotations = meta.annotations.unwrap_or_default();
    let hash = hash(&annotations);
    annotations.retain(|name, _| name == RESTORED || name == HOLD);
    // Why it is held may be a long story, and is nobody's business here.
    annotations.entry(HOLD.to_owned()).and_modify(String::clear);
    annotations.insert(HASH.to_owned(), hash);
    let mut labels = meta.labels.unwrap_or_default();
    labels.retain(|name, _| name == VELERO || name == SCHEDULE);
    let mut finalizers = meta.finalizers.unwrap_or_default();
    finalizers.retain(|name| name == FINALIZER);
    *metadata = ObjectMeta {
        name: meta.name,
        namespace: meta.namespace,
        uid: meta.uid,
        resource_version: meta.resource_version,
        generation: meta.generation,
        creation_timestamp: meta.creation_timestamp,
        deletion_timestamp: meta.deletion_timestamp,
        annotations: Some(annotations),
        labels: Some(labels).filter(|labels| !labels.is_empty()),
        finalizers: Some(finalizers).filter(|finalizers| !finalizers.is_empty()),
        ..ObjectMeta::default()
    };
}

fn hash(annotations: &BTreeMap<String, String>) -> String {
    let mut hasher = DefaultHasher::new();
    annotations.hash(&mut hasher);
    format!("{:x}", hasher.finish())
}

/// An object's version as a number, where it is one: versions of one kind are comparable numbers (Kubernetes 1.35, before that by what etcd gives).
pub fn version(object: &impl ResourceExt) -> Option<u64> {
    object.meta().resource_version.as_deref()?.parse().ok()
}

/// When an object was created; every stored object has the time.
pub fn created(object: &impl ResourceExt) -> Timestamp {
    object.meta().creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0)
}

/// A number that changes whenever the annotations of an object do, which is kept as [`keep`] leaves it.
pub fn annotations_hash(object: &impl ResourceExt) -> u64 {
    object.annotations().get(HASH).and_then(|hash| u64::from_str_radix(hash, 16).ok()).unwrap_or_default()
}

/// Whether somebody holds a backup: neither retention nor expiry may touch it.
pub fn is_held(object: &DatabaseBackup) -> bool {
    object.annotations().contains_key(HOLD)
}

/// The schedule that a backup says it is of.
pub fn schedule(object: &DatabaseBackup) -> Option<&str> {
    object.labels().get(SCHEDULE).map(String::as_str)
}

/// Whether Velero restored an object, and what a person said to that.
pub fn restored(object: &DatabaseBackup) -> Restored {
    let answer = object.annotations().get(RESTORED).map(String::as_str);
    match (object.labels().contains_key(VELERO), answer) {
        (false, _) => Restored::No,
        (true, Some("take-another")) => Restored::TakeAnother,
        (true, _) => Restored::Yes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn kept(metadata: &Value) -> DatabaseBackup {
        let mut object: DatabaseBackup = serde_json::from_value(json!({
            "apiVersion": "dbbackup.dev/v1alpha1", "kind": "DatabaseBackup", "metadata": metadata,
            "spec": { "source": { "engine": "DCS", "instanceId": "i-1" } },
        }))
        .expect("an object");
        keep(&mut object.metadata);
        object
    }

    #[test]
    fn what_an_owner_hangs_on_an_object_is_not_kept_whatever_it_is() {
        let long = "x".repeat(100_000);
        let object = kept(&json!({
            "name": "a", "namespace": "shop", "uid": "u", "resourceVersion": "7", "generation": 3, "creationTimestamp": "2026-01-01T00:00:00Z",
            "annotations": { "a": long, "dbbackup.dev/annotations-hash": long, HOLD: long }, "labels": { "b": long, SCHEDULE: "nightly" }, "finalizers": [long, FINALIZER],
            "ownerReferences": [{ "apiVersion": "v1", "kind": "ConfigMap", "name": long, "uid": "o" }],
            "managedFields": [{ "manager": long, "operation": "Update" }], "generateName": long,
        }));
        let text = serde_json::to_string(&object).expect("JSON");
        assert!(text.len() < 600, "{text}");
        assert!(is_held(&object) && schedule(&object) == Some("nightly"));
        assert!(object.finalizers() == [FINALIZER] && version(&object) == Some(7) && object.metadata.generation == Some(3));
    }

    #[test]
    fn a_change_of_any_annotation_is_seen() {
        let hash = |annotations: Value| annotations_hash(&kept(&json!({ "name": "a", "annotations": annotations })));
        let all = [hash(json!({})), hash(json!({ "a": "1" })), hash(json!({ "a": "2" })), hash(json!({ "b": "1" }))];
        assert!((1..4).all(|n| !all[..n].contains(&all[n])), "{all:?}");
        assert_eq!(hash(json!({ "a": "1", "b": "2" })), hash(json!({ "b": "2", "a": "1" })));
    }

    #[test]
    fn what_velero_and_a_person_say_is_kept() {
        let object = |answer: &str| kept(&json!({ "name": "a", "labels": { VELERO: "r" }, "annotations": { RESTORED: answer } }));
        assert_eq!(restored(&object("take-another")), Restored::TakeAnother);
        assert_eq!(restored(&object("")), Restored::Yes);
        assert_eq!(restored(&kept(&json!({ "name": "a" }))), Restored::No);
    }
}
