//! A backup that exists is adopted: never created, never deleted.

use super::{
    gate::{look_again_in, place, retry_state, wait_at},
    observed::Observed,
    reason::Reason,
    report::{hold, message_of},
    step::Step,
    watch,
};
use crate::{
    api::status::{DatabaseBackupStatus, Origin},
    cloud::backup::RemoteBackup,
    plan::place::Place,
};
use std::time::Duration;

pub(super) fn plan(o: &Observed<'_>) -> Step {
    let id = o.spec.source.existing_backup_id.as_deref().unwrap_or_default();
    let place = match place(o) {
        Ok(place) => place,
        Err(gate) => return wait_at(o, gate),
    };
    // What was seen while the account pointed elsewhere says nothing.
    let latest = o.memory.latest_result.as_ref().filter(|latest| *latest.place == *place);
    if let Some(backup) = latest.and_then(|latest| latest.found.iter().find(|backup| backup.id == id)) {
        return found(o, place, backup);
    }
    if let Some(retry) = retry_state(o) {
        return hold(o, retry.reason, message_of(o, retry), Some(o.now.until(retry.retry_at)));
    }
    let message = format!("{} has no backup {id} of instance {} in this project", o.spec.source.engine.as_str(), o.spec.source.instance_id);
    match latest {
        Some(_) => look_or(o, id, Reason::ImportNotFound, &message),
        None if !o.memory.looks.under_way => Step::Look(watch::lookup(o, id)),
        None if o.status.conditions.is_empty() => hold(o, Reason::Submitting, &format!("looking for backup {id}"), None),
        None => Step::RequeueAfter(None),
    }
}

/// Looks again after a blocked object's pause, and reports until then.
fn look_or(o: &Observed<'_>, id: &str, reason: Reason, message: &str) -> Step {
    match look_again_in(o) {
        Duration::ZERO if !o.memory.looks.under_way => Step::Look(watch::lookup(o, id)),
        wait => hold(o, reason, message, Some(wait).filter(|wait| !wait.is_zero())),
    }
}

fn found(o: &Observed<'_>, place: &Place, backup: &RemoteBackup) -> Step {
    let instance = &o.spec.source.instance_id;
    if backup.instance_id != *instance {
        let message = format!("backup {} is one of instance {}, not of {instance}", backup.id, backup.instance_id);
        return look_or(o, &backup.id, Reason::InstanceMismatch, &message);
    }
    let next = DatabaseBackupStatus {
        backup_id: Some(backup.id.clone()),
        origin: Some(Origin::Imported),
        cloud: Some(place.project.cloud.as_str().into()),
        region: Some(place.project.region.clone()),
        project_id: Some(place.project.project_id.clone()),
        endpoint: Some(place.endpoint.clone()).filter(|host| !host.is_empty()),
        ..o.status.clone()
    };
    watch::follow(o, next, backup)
}
