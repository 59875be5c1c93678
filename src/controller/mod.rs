//! The only users of kube's client: observe, carry out what the plan says, write status.
//!
//! | room | what lives there |
//! |---|---|
//! | [`backups`] | one reconcile of a `DatabaseBackup`: observe → plan → carry out → write |
//! | [`accounts`], [`verify`] | accounts kept verified, and what backups see of them |
//! | [`fleet`] | every backup object in memory: newest version, what this process knows of it, the queue of its instance |
//! | [`listings`] | listings of the cloud, shared by everything that waits for them |
//! | [`writes`] | status by compare-and-swap, and Events |
//! | [`watching`] | watches that feed the memory before they cause a reconcile |
//! | [`served`] | the definitions that the API server serves, compared with this program's |
//! | [`metrics`] | what is counted |

pub mod accounts;
pub mod backups;
pub mod context;
pub mod fleet;
pub mod listings;
pub mod metrics;
pub mod served;
pub mod verify;
pub mod watching;
pub mod writes;

use crate::api::{
    account::{CloudAccount, ClusterCloudAccount},
    backup::{AccountKind, DatabaseBackup},
};
use accounts::keeper;
use context::Context;
use kube::{Api, core::DeserializeGuard};
use std::{collections::BTreeSet, sync::Arc};

/// Runs every controller until the context's stop token is cancelled, and everything that was under way has ended.
pub async fn run(ctx: Arc<Context>, namespaces: &[String]) {
    let polls = tokio::spawn(listings::poll(ctx.clone()));
    // Each namespace once: two controllers of one object would work on it at the same time.
    let once: BTreeSet<&str> = namespaces.iter().map(String::as_str).collect();
    let scopes: Vec<Option<&str>> = if once.is_empty() { vec![None] } else { once.into_iter().map(Some).collect() };
    ctx.accounts.expect(AccountKind::CloudAccount, scopes.len());
    ctx.accounts.expect(AccountKind::ClusterCloudAccount, 1);
    let in_namespaces = scopes.iter().map(|scope| {
        let (accounts, backups) = (api::<CloudAccount>(&ctx, *scope), api::<DatabaseBackup>(&ctx, *scope));
        futures::future::join(keeper::run(ctx.clone(), accounts, *scope), backups::run(ctx.clone(), backups, *scope))
    });
    let cluster = keeper::run_if_allowed(ctx.clone(), Api::<DeserializeGuard<ClusterCloudAccount>>::all(ctx.watcher.clone()));
    futures::future::join(futures::future::join_all(in_namespaces), cluster).await;
    polls.abort();
}

fn api<K>(ctx: &Context, namespace: Option<&str>) -> Api<DeserializeGuard<K>>
where
    K: kube::Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>,
{
    match namespace {
        Some(namespace) => Api::namespaced(ctx.watcher.clone(), namespace),
        None => Api::all(ctx.watcher.clone()),
    }
}
