//! Status and finalizers by compare-and-swap, and Events, for any kind.

use super::Runtime;
use crate::{api::MANAGER, controller::kind::Kind, plan::backup::events::Notice};
use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams, PostParams},
    runtime::events::{Event, EventType},
};
use serde_json::json;

/// What became of a write.
pub enum Written<K> {
    /// Stored; this is the object now.
    Stored(K),
    /// The object had changed meanwhile, and nothing was stored.
    Conflict,
    /// The object is gone.
    Gone,
}

/// Writes the status of `next` over the version that it has: if anybody else wrote in between, nothing is stored.
///
/// # Errors
/// The API server refused it for another reason, or did not answer: then it may be stored or not.
pub async fn status<K: Kind>(runtime: &Runtime, next: &K) -> Result<Written<K>, kube::Error> {
    let params = PostParams { field_manager: Some(MANAGER.into()), ..PostParams::default() };
    written(next.own_api(runtime.client.clone()).replace_status(&next.name_any(), &params, next).await)
}

/// Puts a finalizer on an object, or takes it off, in the same way; the other finalizers are not this operator's business.
///
/// # Errors
/// As for [`status`].
pub async fn finalizer<K: Kind>(runtime: &Runtime, object: &K, name: &str, present: bool) -> Result<Written<K>, kube::Error> {
    let mut finalizers: Vec<&str> = object.finalizers().iter().map(String::as_str).filter(|other| *other != name).collect();
    if present {
        finalizers.push(name);
    }
    let patch = json!({ "metadata": { "resourceVersion": object.resource_version(), "finalizers": finalizers } });
    let params = PatchParams { field_manager: Some(MANAGER.into()), ..PatchParams::default() };
    written(object.own_api(runtime.client.clone()).patch(&object.name_any(), &params, &Patch::Merge(&patch)).await)
}

fn written<K: Kind>(answer: Result<K, kube::Error>) -> Result<Written<K>, kube::Error> {
    match answer {
        Ok(stored) => Ok(Written::Stored(without_managed_fields(stored))),
        Err(kube::Error::Api(refused)) if refused.is_conflict() => Ok(Written::Conflict),
        Err(kube::Error::Api(refused)) if refused.is_not_found() => Ok(Written::Gone),
        Err(error) => Err(error),
    }
}

/// Reads the newest version of an object; absent if it is gone, or another one under its name.
///
/// # Errors
/// The API server refused it, or did not answer.
pub async fn newest<K: Kind>(runtime: &Runtime, object: &K) -> Result<Option<K>, kube::Error> {
    let api: Api<K> = object.own_api(runtime.client.clone());
    let found = api.get_opt(&object.name_any()).await?.filter(|now| now.uid() == object.uid());
    Ok(found.map(without_managed_fields))
}

/// Nobody reads them, and they take half the memory.
fn without_managed_fields<K: Kind>(mut object: K) -> K {
    object.managed_fields_mut().clear();
    object
}

/// Publishes Events. They are for people: one that cannot be written is logged, and nothing waits for it.
pub async fn publish<K: Kind>(runtime: &Runtime, object: &K, notices: Vec<Notice>) {
    let reference = object.object_ref(&());
    for notice in notices {
        let event = Event {
            type_: if notice.is_warning { EventType::Warning } else { EventType::Normal },
            reason: notice.reason.into(),
            note: Some(notice.note),
            action: notice.action.into(),
            secondary: None,
        };
        if let Err(error) = runtime.recorder.publish(&event, &reference).await {
            tracing::warn!(%error, reason = notice.reason, "an Event could not be written");
        }
    }
}
