//! What is read off an object's metadata.

use crate::{api::backup::DatabaseBackup, plan::backup::seen::Restored};
use jiff::Timestamp;
use kube::ResourceExt;
use std::hash::{DefaultHasher, Hash, Hasher};

/// An object's version as a number, where it is one: versions of one kind are comparable numbers (Kubernetes 1.35, before that by what etcd gives).
pub fn version(object: &impl ResourceExt) -> Option<u64> {
    object.meta().resource_version.as_deref()?.parse().ok()
}

/// When an object was created; every stored object has the time.
pub fn created(object: &impl ResourceExt) -> Timestamp {
    object.meta().creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0)
}

/// A hash that changes whenever the object's annotations do.
pub fn annotations_hash(object: &impl ResourceExt) -> u64 {
    let mut hasher = DefaultHasher::new();
    object.annotations().hash(&mut hasher);
    hasher.finish()
}

/// Whether Velero restored an object (its documentation: every restored object has the label), and what a person said to that.
pub fn restored(object: &DatabaseBackup) -> Restored {
    let answer = object.annotations().get("dbbackup.dev/restored").map(String::as_str);
    match (object.labels().contains_key("velero.io/restore-name"), answer) {
        (false, _) => Restored::No,
        (true, Some("take-another")) => Restored::TakeAnother,
        (true, _) => Restored::Yes,
    }
}
