//! A backup that exists is adopted: never created, never deleted.

use super::{Step, hold, place, trouble, wait_at, watch};
use crate::{
    api::status::{DatabaseBackupStatus, Origin},
    backup::{
        observed::{Observed, Place},
        reason::Reason,
        status::blocked_pause,
    },
    cloud::backup::RemoteBackup,
};

pub(super) fn plan(o: &Observed<'_>) -> Step {
    let id = o.spec.source.existing_backup_id.as_deref().unwrap_or_default();
    let place = match place(o) {
        Ok(place) => place,
        Err(gate) => return wait_at(o, gate),
    };
    if let Some(backup) = o.memory.sighting.iter().flat_map(|sighting| &sighting.found).find(|backup| backup.id == id) {
        return found(o, place, backup);
    }
    if let Some(trouble) = trouble(o) {
        return hold(o, trouble.reason, &trouble.message, Some(o.now.until(trouble.retry_at)));
    }
    let message = format!("{} has no backup {id} of instance {} in this project", o.spec.source.engine.as_str(), o.spec.source.instance_id);
    look_or(o, id, Reason::ImportNotFound, &message)
}

/// Looks at once if nothing was seen yet, and again after a blocked object's delay.
fn look_or(o: &Observed<'_>, id: &str, reason: Reason, message: &str) -> Step {
    let Some(sighting) = &o.memory.sighting else {
        return match o.memory.looking {
            false => Step::Look(watch::lookup(o, id)),
            true if o.status.conditions.is_empty() => hold(o, Reason::Submitting, &format!("looking for backup {id}"), None),
            true => Step::Rest(None),
        };
    };
    let pause = blocked_pause(o);
    let age = o.now.since(sighting.started);
    if age >= pause && !o.memory.looking {
        return Step::Look(watch::lookup(o, id));
    }
    hold(o, reason, message, Some(pause.saturating_sub(age)))
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
        cloud: Some(place.cloud.as_str().into()),
        region: Some(place.region.clone()),
        project_id: Some(place.project_id.clone()),
        ..o.status.clone()
    };
    watch::follow(o, next, backup)
}
