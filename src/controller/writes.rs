//! Status by compare-and-swap, and Events.

use super::{context::Context, fleet::version};
use crate::{
    api::{FINALIZER, MANAGER, backup::DatabaseBackup, status::DatabaseBackupStatus},
    plan::backup::events::Notice,
};
use kube::{
    Api, Resource, ResourceExt,
    api::{Patch, PatchParams, PostParams},
    runtime::events::{Event, EventType},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;
use std::{fmt::Debug, sync::Arc};

/// What became of a write.
pub enum Written {
    /// Stored; this is the object now.
    Stored(Arc<DatabaseBackup>),
    /// The object had changed meanwhile; this is it now. Nothing was stored.
    Conflict(Arc<DatabaseBackup>),
    /// The object is gone.
    Gone,
}

/// Writes a status with the resourceVersion that was read: if anybody else wrote in between, nothing is stored.
pub async fn status(ctx: &Context, object: &DatabaseBackup, status: DatabaseBackupStatus) -> Result<Written, kube::Error> {
    let (name, api) = (object.name_any(), api_of(ctx, object));
    let mut next = object.clone();
    next.status = Some(status);
    match api.replace_status(&name, &params(), &next).await {
        Ok(stored) => Ok(Written::Stored(remember(ctx, stored))),
        Err(kube::Error::Api(refused)) if refused.is_conflict() => changed_meanwhile(ctx, object).await,
        Err(kube::Error::Api(refused)) if refused.is_not_found() => Ok(Written::Gone),
        Err(error) => Err(error),
    }
}

fn remember(ctx: &Context, mut object: DatabaseBackup) -> Arc<DatabaseBackup> {
    object.managed_fields_mut().clear();
    ctx.store.saw(version(&object));
    ctx.fleet.newest(Arc::new(object))
}

fn api_of(ctx: &Context, object: &DatabaseBackup) -> Api<DatabaseBackup> {
    Api::namespaced(ctx.client.clone(), &object.namespace().unwrap_or_default())
}

/// Puts the finalizer on an object, or takes it off, in the same way; the other finalizers are not this operator's business.
pub async fn finalizer(ctx: &Context, object: &DatabaseBackup, present: bool) -> Result<Written, kube::Error> {
    let mut finalizers: Vec<&str> = object.finalizers().iter().map(String::as_str).filter(|name| *name != FINALIZER).collect();
    if present {
        finalizers.push(FINALIZER);
    }
    let patch = json!({ "metadata": { "resourceVersion": object.resource_version(), "finalizers": finalizers } });
    let (name, api) = (object.name_any(), api_of(ctx, object));
    match api.patch(&name, &PatchParams { field_manager: Some(MANAGER.into()), ..PatchParams::default() }, &Patch::Merge(&patch)).await {
        Ok(stored) => Ok(Written::Stored(remember(ctx, stored))),
        Err(kube::Error::Api(refused)) if refused.is_conflict() => changed_meanwhile(ctx, object).await,
        Err(kube::Error::Api(refused)) if refused.is_not_found() => Ok(Written::Gone),
        Err(error) => Err(error),
    }
}

async fn changed_meanwhile(ctx: &Context, object: &DatabaseBackup) -> Result<Written, kube::Error> {
    Ok(newest(ctx, object).await?.map_or(Written::Gone, Written::Conflict))
}

/// The newest version of an object; absent if it is gone, or another one under its name. One that is older than what was known before the question says
/// that the store was put back.
async fn newest(ctx: &Context, object: &DatabaseBackup) -> Result<Option<Arc<DatabaseBackup>>, kube::Error> {
    let found = api_of(ctx, object).get_opt(&object.name_any()).await?.filter(|now| now.uid() == object.uid());
    let is_older = |found: &DatabaseBackup| version(found).zip(version(object)).is_some_and(|(found, known)| found < known);
    if found.as_ref().is_some_and(is_older) {
        ctx.store_was_put_back();
    }
    Ok(found.map(|now| remember(ctx, now)))
}

/// Writes the status of an account in the same way. A conflict is no error: the newer version is reconciled anyway.
pub async fn account_status<K>(api: &Api<K>, next: &K) -> Result<(), kube::Error>
where
    K: Resource<DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned,
{
    match api.replace_status(&next.name_any(), &params(), next).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(refused)) if refused.is_conflict() || refused.is_not_found() => Ok(()),
        Err(error) => Err(error),
    }
}

fn params() -> PostParams {
    PostParams { field_manager: Some(MANAGER.into()), ..PostParams::default() }
}

/// Publishes Events. They are for people: one that cannot be written is logged, and nothing waits for it.
pub async fn tell<K: Resource<DynamicType = ()>>(ctx: &Context, object: &K, notices: Vec<Notice>) {
    let reference = object.object_ref(&());
    for notice in notices {
        let event = Event {
            type_: if notice.is_warning { EventType::Warning } else { EventType::Normal },
            reason: notice.reason.into(),
            note: Some(notice.note),
            action: notice.action.into(),
            secondary: None,
        };
        if let Err(error) = ctx.recorder.publish(&event, &reference).await {
            tracing::warn!(%error, reason = notice.reason, "an Event could not be written");
        }
    }
}
