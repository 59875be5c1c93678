//! The only users of kube's client: observe, carry out what was decided, write status.
//!
//! | room | what lives there |
//! |---|---|
//! | [`backups`] | the controller of `DatabaseBackup`, and the listings that it shares |
//! | [`schedules`] | the controller of `DatabaseBackupSchedule` |
//! | [`accounts`] | the controllers of both kinds of account |
//! | [`checks`] | what the operator finds out about its surroundings |
//! | [`context`] | everything that these share; the only file that knows every store |
//! | [`runtime`] | the machinery of a controller, for any kind |
//! | [`store`] | what is kept in memory |
//! | [`wait`] | what whoever waits for a backup gets to see of it; no part of the operator itself |
//! | [`kind`], [`object`], [`clock`], [`api_error`] | what a kind has to say of itself; what is read off an object's metadata; the time; what is said of an error of
//! the Kubernetes API |

pub mod accounts;
pub mod api_error;
pub mod backups;
pub mod checks;
pub mod clock;
pub mod context;
pub mod kind;
pub mod object;
pub mod runtime;
pub mod schedules;
pub mod store;
pub mod wait;

use crate::api::{
    account::{CloudAccount, ClusterCloudAccount},
    backup::{AccountKind, DatabaseBackup},
    schedule::DatabaseBackupSchedule,
};
use context::Context;
use futures::future::{BoxFuture, FutureExt, try_join_all};
use kind::Kind;
use std::{future::Future, sync::Arc};
use store::health::Subject;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

/// A controller ended although the process was not to stop: nothing of its kind would be seen any more.
#[derive(Debug, thiserror::Error)]
#[error("a bug: the controller of {0} ended by itself")]
pub struct Ended(Subject);

/// Runs every controller until the process is to stop, and everything that was under way has ended. `granted`: the UIDs of the objects that permits were
/// granted to.
///
/// # Errors
/// One of them ended before that.
pub async fn run(ctx: Arc<Context>, granted: UnboundedReceiver<String>) -> Result<(), Ended> {
    let _polls = background(backups::listings::poll(ctx.clone()));
    let _revisions = background(checks::revisions::watch(ctx.clone()));
    let _grants = background(wake_granted(ctx.clone(), granted));
    let scopes = ctx.options.scopes();
    ctx.accounts.expect(AccountKind::CloudAccount, &scopes);
    ctx.accounts.expect(AccountKind::ClusterCloudAccount, &[None]);
    let mut controllers: Vec<BoxFuture<'_, Result<(), Ended>>> = Vec::new();
    for scope in scopes {
        controllers.push(to_the_end::<CloudAccount>(&ctx, scope.clone(), accounts::run::<CloudAccount>(ctx.clone(), scope.clone())));
        controllers.push(to_the_end::<DatabaseBackup>(&ctx, scope.clone(), backups::run(ctx.clone(), scope.clone())));
        controllers.push(to_the_end::<DatabaseBackupSchedule>(&ctx, scope.clone(), schedules::run(ctx.clone(), scope)));
    }
    controllers.push(to_the_end::<ClusterCloudAccount>(&ctx, None, accounts::run_if_allowed(ctx.clone())));
    try_join_all(controllers).await.map(drop)
}

fn background<T: Send + 'static>(task: impl Future<Output = T> + Send + 'static) -> AbortOnDropHandle<T> {
    AbortOnDropHandle::new(tokio::spawn(task))
}

/// Wakes whoever queued for a permit and was granted one. UIDs are unique, so every kind that queues is asked whether it has that object.
async fn wake_granted(ctx: Arc<Context>, mut granted: UnboundedReceiver<String>) {
    while let Some(uid) = granted.recv().await {
        ctx.backups.wake(&uid);
    }
}

fn to_the_end<K: Kind>(
    ctx: &Context,
    namespace: Option<String>,
    controller: impl Future<Output = ()> + Send + 'static,
) -> BoxFuture<'static, Result<(), Ended>> {
    let (stop, subject) = (ctx.runtime.stop.clone(), Subject { kind: K::NAME, namespace });
    async move {
        controller.await;
        ended(&stop, subject)
    }
    .boxed()
}

fn ended(stop: &CancellationToken, subject: Subject) -> Result<(), Ended> {
    if stop.is_cancelled() { Ok(()) } else { Err(Ended(subject)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_controller_that_ends_before_the_process_stops_is_an_error_that_names_it() {
        let stop = CancellationToken::new();
        let subject = || Subject { kind: DatabaseBackup::NAME, namespace: Some("shop".into()) };
        let error = ended(&stop, subject()).expect_err("it ended by itself");
        assert_eq!(error.to_string(), "a bug: the controller of DatabaseBackup of namespace shop ended by itself");
        stop.cancel();
        assert!(ended(&stop, subject()).is_ok(), "as it should");
    }
}
