//! Complete listings of an instance, of all types of backup, outside reconciles.

use crate::{
    api::schedule::DatabaseBackupSchedule,
    cloud::{backup::ListScope, permits::Urgency},
    controller::{
        backups::listings::{after_listing, list},
        context::Context,
    },
    plan::schedule::{
        objective::taken_by,
        survey::{Found, Survey, Target},
    },
};
use kube::ResourceExt;
use std::sync::Arc;

/// Begins a listing. What it shows goes into the schedule's memory, and the schedule is woken.
pub(super) fn begin(ctx: &Arc<Context>, schedule: &Arc<DatabaseBackupSchedule>, target: Target, urgency: Urgency) {
    ctx.schedules.memory(schedule, |memory| memory.surveying = true);
    let (ctx, schedule) = (ctx.clone(), schedule.clone());
    tokio::spawn(async move {
        let survey = survey(&ctx, target, urgency, &schedule.namespace().unwrap_or_default()).await;
        ctx.schedules.memory(&schedule, |memory| memory.surveyed(survey));
        ctx.schedules.wake(&schedule);
    });
}

async fn survey(ctx: &Arc<Context>, target: Target, urgency: Urgency, namespace: &str) -> Survey {
    let Some(session) = ctx.accounts.session(&target.account) else {
        let why = format!("{} is not ready", target.account);
        return Survey { target, started: ctx.now(), result: Err(why) };
    };
    let (engine, instance_id) = (target.instance.engine, target.instance.id.clone());
    let scope = ListScope::Instance { instance_id: instance_id.clone(), automatic: true };
    let (listed, started) = list(ctx, &session, engine, &scope, urgency, namespace).await;
    after_listing(ctx, &session, &target.account);
    let cloud_time = session.cloud_now().and_then(|now| {
        let age = jiff::SignedDuration::try_from(ctx.now().since(started)).ok()?;
        now.checked_sub(age).ok()
    });
    let result = match listed.end {
        Ok(()) => {
            let known = ctx.backups.ids_of(&instance_id);
            Ok(Found::read(&listed.backups, &instance_id, cloud_time, |backup| taken_by(backup, known.contains(&backup.id))))
        }
        Err(error) => Err(error.to_string()),
    };
    Survey { target, started, result }
}
