//! The controller of `DatabaseBackup`.
//!
//! | file | what it does |
//! |---|---|
//! | `act` | one reconcile: observe → decide → act, step by step |
//! | [`listings`] | listings of the cloud, shared by everything that waits for them |

mod act;
pub mod listings;

use super::{
    context::Context,
    object::version,
    runtime::{
        drive::{Reconciler, drive},
        slots::Slot,
        watch::Change,
    },
    store::waker::Waker,
};
use crate::api::backup::DatabaseBackup;
pub(super) use act::PAUSE;
use act::{Error, Reconcile};
use kube::{ResourceExt, runtime::controller::Action};
use std::{sync::Arc, time::Duration};

/// The controller of the backups of a namespace.
struct BackupController {
    ctx: Arc<Context>,
    namespace: Option<String>,
}

/// Reconciles the backups of a namespace (absent: all) until the process stops.
pub async fn run(ctx: Arc<Context>, namespace: Option<String>) {
    let runtime = ctx.runtime.clone();
    drive(runtime, Arc::new(BackupController { ctx, namespace })).await;
}

impl Reconciler for BackupController {
    type Kind = DatabaseBackup;
    type Error = Error;

    fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    fn waker(&self) -> &Waker<DatabaseBackup> {
        &self.ctx.backups.waker
    }

    fn seen(&self, change: Change<DatabaseBackup>) {
        let ctx = &self.ctx;
        match change {
            Change::Applied(object) => {
                ctx.runtime.revisions.saw(version(object.as_ref()));
                ctx.backups.track(object.clone(), ctx.now());
                ctx.schedules.wake_parents(&object);
            }
            Change::Deleted(object) => {
                ctx.accounts.withdraw(&object);
                ctx.backups.forget(&object.uid().unwrap_or_default());
                ctx.schedules.wake_parents(&object);
            }
            Change::ListBegins => ctx.backups.begin_listing(self.namespace()),
            Change::Listed(objects) => self.listed(objects),
        }
    }

    async fn reconcile(&self, object: Arc<DatabaseBackup>, slot: Slot) -> Result<Action, Error> {
        let ctx = &self.ctx;
        let object = ctx.backups.newest(object);
        let uid = object.uid().unwrap_or_default();
        let result = Reconcile::new(ctx, &uid, slot).run(object).await;
        ctx.backups.leave_queue(&uid, result.is_ok(), |key| ctx.accounts.project(key), ctx.now());
        result
    }

    fn retry_after(&self, object: &DatabaseBackup) -> Duration {
        let before = self.ctx.backups.failed(&object.uid().unwrap_or_default());
        PAUSE * (1 << before.min(4))
    }
}

impl BackupController {
    /// A listing showed exactly these objects.
    fn listed(&self, objects: Vec<Arc<DatabaseBackup>>) {
        let ctx = &self.ctx;
        let highest = objects.iter().filter_map(|object| version(object.as_ref())).max();
        // Before they are stored: what comes later must not replace them by something older.
        if ctx.backups.are_older(&objects) {
            ctx.storage_was_put_back();
        }
        ctx.backups.replace(self.namespace(), objects);
        ctx.runtime.revisions.saw(highest);
        ctx.schedules.backups_are_listed(self.namespace());
    }
}
