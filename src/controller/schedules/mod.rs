//! The controller of `DatabaseBackupSchedule`.
//!
//! | file | what it does |
//! |---|---|
//! | `act` | one reconcile: observe → decide → act, step by step |
//! | `children` | what is done to the schedule's backups |
//! | `survey` | complete listings of an instance, for freshness, objective and retention |

mod act;
mod children;
mod survey;

use super::{
    backups::PAUSE,
    context::Context,
    runtime::{
        drive::{Reconciler, drive},
        slots::Slot,
        watch::Change,
    },
    store::{queue::Key, waker::Waker},
};
use crate::api::schedule::DatabaseBackupSchedule;
use act::{Error, Reconcile};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use std::{sync::Arc, time::Duration};

/// The controller of the schedules of a namespace.
struct ScheduleController {
    ctx: Arc<Context>,
    namespace: Option<String>,
}

/// Reconciles the schedules of a namespace (absent: all) until the process stops.
pub async fn run(ctx: Arc<Context>, namespace: Option<String>) {
    let runtime = ctx.runtime.clone();
    drive(runtime, Arc::new(ScheduleController { ctx, namespace })).await;
}

impl Reconciler for ScheduleController {
    type Kind = DatabaseBackupSchedule;
    type Error = Error;

    fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    fn waker(&self) -> &Waker {
        &self.ctx.schedules.waker
    }

    fn key(meta: &ObjectMeta) -> Key {
        Key::new(meta.namespace.as_deref(), meta.name.as_deref().unwrap_or_default())
    }

    fn find(&self, key: &Key) -> Option<Arc<DatabaseBackupSchedule>> {
        self.ctx.schedules.find(key)
    }

    fn seen(&self, change: Change<DatabaseBackupSchedule>) -> Vec<Key> {
        let (ctx, now) = (&self.ctx, self.ctx.now());
        match change {
            Change::Applied(object) => {
                let key = Self::key(&object.metadata);
                ctx.schedules.newest(object, now);
                return vec![key];
            }
            Change::Deleted(object) => ctx.schedules.forget(&object),
            Change::ListBegins => ctx.schedules.begin_listing(self.namespace()),
            Change::Shown(object) => ctx.schedules.shown(object, now),
            Change::Listed => return ctx.schedules.end_listing(self.namespace()),
        }
        Vec::new()
    }

    async fn reconcile(&self, object: Arc<DatabaseBackupSchedule>, _slot: Slot) -> Result<Option<Duration>, Error> {
        // Its backups are needed for every decision; it is woken when they are known.
        if !self.ctx.backups.are_listed(self.namespace()) {
            return Ok(None);
        }
        Reconcile::new(&self.ctx).run(object).await
    }

    fn retry_after(&self, _object: &DatabaseBackupSchedule) -> Duration {
        PAUSE * 4
    }
}
