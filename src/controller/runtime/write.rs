//! Status, finalizers and deletions by compare-and-swap, for any kind; and Events, which tell people of it.

use super::{
    Runtime,
    places::Place,
    readable::Readable,
    refusal::{self, Part},
};
use crate::{api::MANAGER, controller::kind::Kind, plan::notice::Notice};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{
    Api, Resource, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions},
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
/// The API server refused it for another reason, of which an Event of the object tells; or it did not answer: then it may be stored or not.
pub async fn status<K: Kind>(runtime: &Runtime, next: &K) -> Result<Written<K>, kube::Error> {
    let params = PostParams { field_manager: Some(MANAGER.into()), ..PostParams::default() };
    let mut body = Readable::from(next.clone());
    *body.meta_mut() = identity(next);
    let answer = {
        let _room = room(runtime, next).await;
        api(runtime, next).replace_status(&next.name_any(), &params, &body).await
    };
    written(runtime, next, Part::Status, answer)
}

/// Which object it is, and which version of it; whatever else a write of a status says of its metadata, the API server ignores.
fn identity<K: Kind>(object: &K) -> ObjectMeta {
    let ObjectMeta { name, namespace, uid, resource_version, .. } = object.meta().clone();
    ObjectMeta { name, namespace, uid, resource_version, ..ObjectMeta::default() }
}

/// Room for one answer of the API server. Each holds a whole object, with all that its owner hung on it.
async fn room<K: Kind>(runtime: &Runtime, object: &K) -> Option<Place> {
    runtime.answers.take(&object.namespace().unwrap_or_default()).await
}

/// Puts a finalizer on an object, or takes it off, in the same way; the other finalizers are not this operator's business.
///
/// # Errors
/// As for [`status`].
pub async fn finalizer<K: Kind>(runtime: &Runtime, object: &K, name: &str, present: bool) -> Result<Written<K>, kube::Error> {
    let api = api(runtime, object);
    let _room = room(runtime, object).await;
    // Those of others are not kept, and have to stay.
    let Some(found) = api.get_metadata_opt(&object.name_any()).await? else { return Ok(Written::Gone) };
    if found.uid() != object.uid() {
        return Ok(Written::Gone);
    }
    let mut finalizers: Vec<&str> = found.finalizers().iter().map(String::as_str).filter(|other| *other != name).collect();
    if present {
        finalizers.push(name);
    }
    // With the version that was decided on: should the object have changed since, this is in conflict.
    let patch = json!({ "metadata": { "resourceVersion": object.resource_version(), "finalizers": finalizers } });
    let params = PatchParams { field_manager: Some(MANAGER.into()), ..PatchParams::default() };
    let answer = api.patch(&object.name_any(), &params, &Patch::Merge(&patch)).await;
    written(runtime, object, Part::Finalizers, answer)
}

/// What became of an object that was to be created.
pub enum Created<K> {
    /// It was, and this is it.
    New(K),
    /// An object of its name is there already: this one.
    Exists(K),
    /// There was one of its name, and it has gone since.
    Gone,
}

/// Creates an object, unless one of its name is there.
///
/// # Errors
/// The API server refused it, or did not answer: then it may be there or not.
pub async fn create<K: Kind>(runtime: &Runtime, object: &K) -> Result<Created<K>, kube::Error> {
    let params = PostParams { field_manager: Some(MANAGER.into()), ..PostParams::default() };
    let api = api(runtime, object);
    let _room = room(runtime, object).await;
    match api.create(&params, &object.clone().into()).await {
        Ok(made) => Ok(Created::New(made.read()?)),
        Err(kube::Error::Api(refused)) if refused.is_already_exists() => {
            let found = api.get_opt(&object.name_any()).await?;
            Ok(match found {
                Some(found) => Created::Exists(found.read()?),
                None => Created::Gone,
            })
        }
        Err(error) => Err(error),
    }
}

/// Deletes this version of an object: if anybody else wrote in between, it stays. Stored: it is being deleted, and finalizers keep it.
///
/// # Errors
/// As for [`status`].
pub async fn delete<K: Kind>(runtime: &Runtime, object: &K) -> Result<Written<K>, kube::Error> {
    let preconditions = Preconditions { uid: object.uid(), resource_version: object.resource_version() };
    let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
    let _room = room(runtime, object).await;
    match api(runtime, object).delete(&object.name_any(), &params).await {
        Ok(answer) => match answer.left() {
            Some(kept) => written(runtime, object, Part::Object, Ok(kept)),
            None => Ok(Written::Gone),
        },
        Err(error) => written(runtime, object, Part::Object, Err(error)),
    }
}

fn written<K: Kind>(
    runtime: &Runtime,
    object: &K,
    part: Part,
    answer: Result<Readable<K>, kube::Error>,
) -> Result<Written<K>, kube::Error> {
    match answer {
        Ok(stored) => Ok(Written::Stored(stored.read()?)),
        Err(kube::Error::Api(refused)) if refused.is_conflict() => Ok(Written::Conflict),
        Err(kube::Error::Api(refused)) if refused.is_not_found() => Ok(Written::Gone),
        Err(error) => {
            publish(runtime, object, refusal::note(runtime, object, part, &error));
            Err(error)
        }
    }
}

/// Reads the newest version of an object; absent if it is gone, or another one under its name.
///
/// # Errors
/// The API server refused it, or did not answer.
pub async fn newest<K: Kind>(runtime: &Runtime, object: &K) -> Result<Option<K>, kube::Error> {
    let _room = room(runtime, object).await;
    let found = api(runtime, object).get_opt(&object.name_any()).await?.filter(|now| now.uid() == object.uid());
    found.map(Readable::read).transpose()
}

fn api<K: Kind>(runtime: &Runtime, object: &K) -> Api<Readable<K>> {
    K::api(runtime.client.clone(), object.namespace().as_deref())
}

/// Has Events written after all that was said before of the object. They are for people: nothing waits for them.
pub fn publish<K: Kind>(runtime: &Runtime, object: &K, notices: impl IntoIterator<Item = Notice>) {
    for notice in notices {
        runtime.events.publish(object.object_ref(&()), notice, runtime.clock.now());
    }
}
