//! What is done to a schedule's backups. Each is a compare-and-swap on the version that was decided on, or a delete with it as a precondition: who was faster
//! wins, and everything is decided anew.

use crate::{
    api::{
        backup::DatabaseBackup,
        schedule::DatabaseBackupSchedule,
        status::{DatabaseBackupStatus, DeleteReason},
    },
    controller::{
        api_error::explained,
        context::Context,
        object,
        runtime::write::{self, Created, Written},
    },
    plan::backup::{
        events::notices,
        superseded::{Older, superseded},
    },
};
use jiff::Timestamp;
use kube::ResourceExt;
use std::sync::Arc;

/// Creates the backup of a slot. One that is there already was made before a crash, or is another's.
pub(super) async fn create(
    ctx: &Context,
    schedule: &DatabaseBackupSchedule,
    slot: Timestamp,
    child: DatabaseBackup,
) -> Result<(), kube::Error> {
    match write::create(&ctx.runtime, &child).await {
        Ok(Created::New(made)) => {
            let uid = made.uid().unwrap_or_default();
            ctx.backups.track(Arc::new(made), ctx.now());
            ctx.backups.wake(&uid);
        }
        Ok(Created::Exists(found)) if object::schedule(&found) == Some(&schedule.name_any()) => {
            let uid = found.uid().unwrap_or_default();
            ctx.backups.found(Arc::new(found));
            ctx.backups.wake(&uid);
        }
        Ok(Created::Exists(_)) => drop(ctx.schedules.memory(schedule, |memory| memory.collision = Some(slot))),
        Ok(Created::Gone) => {}
        // It is said of the schedule, and tried again.
        Err(error @ kube::Error::Api(_)) => {
            let (message, now) = (explained(&error), ctx.now());
            tracing::warn!(error = message, name = child.name_any(), "a backup of a schedule could not be created");
            ctx.schedules.memory(schedule, |memory| memory.refused(slot, message, now));
        }
        Err(error) => return Err(error),
    }
    Ok(())
}

/// Has an older backup lapse that the cloud was never asked for.
pub(super) async fn supersede(ctx: &Context, schedule: &DatabaseBackupSchedule, uid: &str, newer: &str) -> Result<(), kube::Error> {
    let Some(child) = child(ctx, schedule, uid) else { return Ok(()) };
    let unseen = DatabaseBackupStatus::default();
    let status = child.status.as_ref().unwrap_or(&unseen);
    let older = Older { status, generation: child.metadata.generation, deleting: child.metadata.deletion_timestamp.is_some() };
    let Some(next) = superseded(older, newer, ctx.now().wall) else { return Ok(()) };
    let (before, happened) = (status.clone(), notices(status, &next));
    if write_status(ctx, &child, next.clone()).await? {
        tracing::info!(name = child.name_any(), newer, "a newer backup takes the place of one that was never asked for");
        ctx.runtime.metrics.written(child.spec.source.engine, &before, &next);
        write::publish(&ctx.runtime, child.as_ref(), happened);
    }
    ctx.backups.wake(uid);
    Ok(())
}

/// Marks backups as to be deleted: the backup's controller deletes each in the cloud, and then the object.
pub(super) async fn retire(ctx: &Context, schedule: &DatabaseBackupSchedule, uids: &[String]) -> Result<(), kube::Error> {
    for uid in uids {
        let Some(child) = child(ctx, schedule, uid) else { continue };
        let Some(status) = child.status.clone() else { continue };
        if write_status(ctx, &child, DatabaseBackupStatus { delete_reason: Some(DeleteReason::Retention), ..status }).await? {
            tracing::info!(name = child.name_any(), schedule = schedule.name_any(), "retention deletes a backup");
        }
        ctx.backups.wake(uid);
    }
    Ok(())
}

/// Deletes objects as a user would: what becomes of the cloud's records is up to their `deletionPolicy`.
pub(super) async fn delete(ctx: &Context, schedule: &DatabaseBackupSchedule, uids: &[String]) -> Result<(), kube::Error> {
    for uid in uids {
        let Some(child) = child(ctx, schedule, uid) else { continue };
        let written = write::delete(&ctx.runtime, child.as_ref()).await?;
        if !matches!(written, Written::Conflict) {
            tracing::info!(name = child.name_any(), schedule = schedule.name_any(), "deleted beyond failedHistoryLimit");
        }
        after(ctx, &child, written).await?;
        ctx.backups.wake(uid);
    }
    Ok(())
}

/// There is room in the cloud now.
pub(super) fn tell_of_room(ctx: &Context, uids: &[String]) {
    let now = ctx.now();
    for uid in uids {
        ctx.backups.memory(uid, |memory, _| memory.room_was_made(now));
        ctx.backups.wake(uid);
    }
}

/// Answers whether it was stored.
async fn write_status(ctx: &Context, child: &DatabaseBackup, status: DatabaseBackupStatus) -> Result<bool, kube::Error> {
    let next = DatabaseBackup { status: Some(status), ..child.clone() };
    let written = write::status(&ctx.runtime, &next).await?;
    let is_stored = matches!(written, Written::Stored(_));
    after(ctx, child, written).await?;
    Ok(is_stored)
}

/// What a backup is after a write is known before its watch shows it: the next decision must not be the same again.
async fn after(ctx: &Context, child: &DatabaseBackup, written: Written<DatabaseBackup>) -> Result<(), kube::Error> {
    match written {
        Written::Stored(stored) => drop(ctx.newest_backup(Arc::new(stored))),
        Written::Conflict => {
            if let Some(found) = write::newest(&ctx.runtime, child).await? {
                ctx.notice_version(&found, child);
                drop(ctx.newest_backup(Arc::new(found)));
            } else {
                ctx.backups.forget(&child.uid().unwrap_or_default());
            }
        }
        Written::Gone => ctx.backups.forget(&child.uid().unwrap_or_default()),
    }
    Ok(())
}

fn child(ctx: &Context, schedule: &DatabaseBackupSchedule, uid: &str) -> Option<Arc<DatabaseBackup>> {
    ctx.backups.child(&schedule.namespace().unwrap_or_default(), &schedule.name_any(), uid)
}
