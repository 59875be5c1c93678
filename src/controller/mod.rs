//! The only users of kube's client: observe, carry out what the plan says, write status.
//!
//! | room | what lives there |
//! |---|---|
//! | [`backups`] | one reconcile of a `DatabaseBackup`: observe → plan → carry out → write |
//! | [`accounts`], [`verify`] | accounts kept verified, and what backups see of them |
//! | [`fleet`] | every backup object in memory: newest version, what this process knows of it, the queue of its instance |
//! | [`listings`] | listings of the cloud, shared by everything that waits for them |
//! | [`writes`] | status by compare-and-swap, and Events |
//! | [`watching`], `readable` | watches that feed the memory before they cause a reconcile; objects that cannot be read |
//! | [`store`] | whether the API server's store was put back to an earlier state |
//! | [`served`] | the definitions that the API server serves, compared with this program's |
//! | [`health`] | whether the operator can do its work now |
//! | [`rights`] | what the operator does with the Kubernetes API, and whether it may |
//! | [`metrics`] | what is counted |

pub mod accounts;
pub mod backups;
pub mod context;
pub mod fleet;
pub mod health;
pub mod listings;
pub mod metrics;
mod readable;
pub mod rights;
pub mod served;
pub mod store;
pub mod verify;
pub mod watching;
pub mod writes;

use crate::api::{
    account::{CloudAccount, ClusterCloudAccount},
    backup::{AccountKind, DatabaseBackup},
};
use accounts::keeper;
use context::Context;
use futures::future::{BoxFuture, FutureExt, try_join_all};
use kube::{Api, core::DeserializeGuard};
use std::{collections::BTreeSet, future::Future, sync::Arc};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use watching::Subject;

/// A controller ended although the process was not to stop: nothing of its kind would be seen any more.
#[derive(Debug, thiserror::Error)]
#[error("a bug: the controller of {0} ended by itself")]
pub struct Ended(Subject);

/// Runs every controller until the context's stop token is cancelled, and everything that was under way has ended.
///
/// # Errors
/// One of them ended before that.
pub async fn run(ctx: Arc<Context>) -> Result<(), Ended> {
    let _polls = AbortOnDropHandle::new(tokio::spawn(listings::poll(ctx.clone())));
    let _revisions = AbortOnDropHandle::new(tokio::spawn(store::watch(ctx.clone())));
    // Each namespace once: two controllers of one object would work on it at the same time.
    let once: BTreeSet<String> = ctx.options.namespaces.iter().cloned().collect();
    let scopes: Vec<Option<String>> = if once.is_empty() { vec![None] } else { once.into_iter().map(Some).collect() };
    ctx.accounts.expect(AccountKind::CloudAccount, scopes.len());
    ctx.accounts.expect(AccountKind::ClusterCloudAccount, 1);
    let mut controllers: Vec<BoxFuture<'_, Result<(), Ended>>> = Vec::new();
    for namespace in scopes {
        let subject = |kind| Subject { kind, namespace: namespace.clone() };
        let accounts = keeper::run(ctx.clone(), api::<CloudAccount>(&ctx, namespace.as_deref()), namespace.clone());
        let backups = backups::run(ctx.clone(), api::<DatabaseBackup>(&ctx, namespace.as_deref()), namespace.clone());
        controllers.push(to_the_end(&ctx.stop, subject(AccountKind::CloudAccount.as_str()), accounts).boxed());
        controllers.push(to_the_end(&ctx.stop, subject(backups::KIND), backups).boxed());
    }
    let cluster = keeper::run_if_allowed(ctx.clone(), Api::<DeserializeGuard<ClusterCloudAccount>>::all(ctx.watcher.clone()));
    let subject = Subject { kind: AccountKind::ClusterCloudAccount.as_str(), namespace: None };
    controllers.push(to_the_end(&ctx.stop, subject, cluster).boxed());
    try_join_all(controllers).await.map(drop)
}

async fn to_the_end(stop: &CancellationToken, subject: Subject, controller: impl Future<Output = ()>) -> Result<(), Ended> {
    controller.await;
    if stop.is_cancelled() { Ok(()) } else { Err(Ended(subject)) }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_controller_that_ends_before_the_process_stops_is_an_error_that_names_it() {
        let stop = CancellationToken::new();
        let subject = || Subject { kind: backups::KIND, namespace: Some("shop".into()) };
        let ended = to_the_end(&stop, subject(), async {}).await.expect_err("it ended by itself");
        assert_eq!(ended.to_string(), "a bug: the controller of DatabaseBackup of namespace shop ended by itself");
        stop.cancel();
        assert!(to_the_end(&stop, subject(), async {}).await.is_ok(), "as it should");
    }
}
