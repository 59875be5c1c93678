//! Asks for the API server's revision again and again, and compares it with what was seen before.

use crate::{
    api::backup::DatabaseBackup,
    controller::{context::Context, kind::Kind},
};
use kube::{
    Api,
    api::{ListParams, PartialObjectMeta},
};
use std::sync::Arc;
use tokio::time::sleep;

/// Watches until it is aborted whether the API server's storage was put back to an earlier state.
pub async fn watch(ctx: Arc<Context>) -> ! {
    loop {
        sleep(ctx.options.settings.poll_interval).await;
        let known = ctx.runtime.revisions.highest();
        if revision(&ctx).await.is_some_and(|revision| revision < known) {
            ctx.storage_was_put_back();
        }
    }
}

/// The storage's revision, as a listing of one object's metadata has it; absent where the API server does not answer.
async fn revision(ctx: &Context) -> Option<u64> {
    let listed = one_backup(ctx).list_metadata(&ListParams::default().limit(1)).await.ok()?;
    listed.metadata.resource_version?.parse().ok()
}

/// What is asked about whenever it matters only that the API server answers: backups, in a namespace that this operator may list.
pub(super) fn one_backup(ctx: &Context) -> Api<PartialObjectMeta<DatabaseBackup>> {
    let may_list = |namespace: &&String| ctx.runtime.health.failing(DatabaseBackup::NAME, Some(namespace)).is_none();
    match ctx.options.namespaces.iter().find(may_list).or(ctx.options.namespaces.first()) {
        Some(namespace) => Api::namespaced(ctx.runtime.client.clone(), namespace),
        None => Api::all(ctx.runtime.client.clone()),
    }
}
