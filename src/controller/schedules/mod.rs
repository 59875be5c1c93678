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
    store::waker::Waker,
};
use crate::api::schedule::DatabaseBackupSchedule;
use act::{Error, Reconcile};
use kube::runtime::controller::Action;
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

    fn waker(&self) -> &Waker<DatabaseBackupSchedule> {
        &self.ctx.schedules.waker
    }

    fn seen(&self, change: Change<DatabaseBackupSchedule>) {
        let (ctx, now) = (&self.ctx, self.ctx.now());
        match change {
            Change::Applied(object) => drop(ctx.schedules.newest(object, now)),
            Change::Deleted(object) => ctx.schedules.forget(&object),
            Change::ListBegins => {}
            Change::Listed(objects) => ctx.schedules.replace(self.namespace(), objects, now),
        }
    }

    async fn reconcile(&self, object: Arc<DatabaseBackupSchedule>, _slot: Slot) -> Result<Action, Error> {
        // Its backups are needed for every decision; it is woken when they are known.
        if !self.ctx.schedules.know_their_backups(self.namespace()) {
            return Ok(Action::await_change());
        }
        Reconcile::new(&self.ctx).run(self.ctx.schedules.newest(object, self.ctx.now())).await
    }

    fn retry_after(&self, _object: &DatabaseBackupSchedule) -> Duration {
        PAUSE * 4
    }
}
