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
    store::{queue::Key, waker::Waker},
};
use crate::api::backup::DatabaseBackup;
pub(super) use act::PAUSE;
use act::{Error, Reconcile};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;
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

    fn waker(&self) -> &Waker {
        &self.ctx.backups.waker
    }

    fn key(meta: &ObjectMeta) -> Key {
        Key::new(meta.namespace.as_deref(), meta.uid.as_deref().unwrap_or_default())
    }

    fn find(&self, key: &Key) -> Option<Arc<DatabaseBackup>> {
        self.ctx.backups.find(&key.id)
    }

    fn seen(&self, change: Change<DatabaseBackup>) -> Vec<Key> {
        let ctx = &self.ctx;
        match change {
            Change::Applied(object) => {
                ctx.runtime.revisions.saw(version(object.as_ref()));
                let is_news = ctx.backups.track(object.clone(), ctx.now());
                ctx.schedules.wake_parents(&object);
                // What an own write came back as was decided on when it was answered.
                return is_news.then(|| Self::key(&object.metadata)).into_iter().collect();
            }
            Change::Deleted(object) => {
                ctx.accounts.withdraw(&object);
                ctx.backups.forget(&object.uid().unwrap_or_default());
                ctx.schedules.wake_parents(&object);
            }
            Change::ListBegins => ctx.backups.begin_listing(self.namespace()),
            Change::Shown(object) => {
                // Before it is stored: what comes later must not replace it by something older.
                if ctx.backups.is_put_back_by(&object) {
                    ctx.storage_was_put_back();
                }
                ctx.runtime.revisions.saw(version(object.as_ref()));
                ctx.backups.shown(object, &ctx.options.settings, ctx.now());
            }
            Change::Listed => {
                let keys = ctx.backups.end_listing(self.namespace());
                // Their backups are known now.
                ctx.schedules.wake_namespace(self.namespace());
                return keys;
            }
        }
        Vec::new()
    }

    async fn reconcile(&self, object: Arc<DatabaseBackup>, slot: Slot) -> Result<Option<Duration>, Error> {
        let ctx = &self.ctx;
        let uid = object.uid().unwrap_or_default();
        let result = Reconcile::new(ctx, &uid, slot).run(object).await;
        ctx.backups.leave_queue(&uid, result.is_ok(), |key| ctx.accounts.project(key), ctx.now());
        let again_after = result?;
        let rests = ctx.backups.rest(&uid, again_after, &ctx.options.settings, ctx.now());
        Ok(again_after.filter(|_| !rests))
    }

    fn retry_after(&self, object: &DatabaseBackup) -> Duration {
        let before = self.ctx.backups.failed(&object.uid().unwrap_or_default());
        PAUSE * (1 << before.min(4))
    }
}
