//! Objects at rest: nothing is to be done for them until somebody changes them, or a time comes. They are by far the most, so they are neither reconciled nor
//! kept as they are used.

use super::{
    memory::{Memory, OwnIntent, Stage},
    reason::Reason,
    removal::needs_finalizer,
};
use crate::{
    api::{
        FINALIZER,
        backup::DatabaseBackup,
        status::{DatabaseBackupStatus, Phase},
    },
    plan::clock::Moment,
};
use jiff::Timestamp;
use kube::ResourceExt;
use std::time::Duration;

/// What ends the rest of an object that nobody touches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rest {
    /// Its time is up; absent without `expireAfterDays`.
    pub expires: Option<Timestamp>,
    /// When the cloud was last read for it; absent where the cloud is not read any more.
    pub synced: Option<Timestamp>,
}

/// Whether an object is at rest as far as its stored version says: [`super::decide::decide`], with an empty memory, would neither write nor ask anything,
/// whatever its account. Absent where that is not certain.
pub fn rest(object: &DatabaseBackup, now: Timestamp) -> Option<Rest> {
    let (meta, status) = (&object.metadata, object.status.as_ref()?);
    let is_known = meta.deletion_timestamp.is_none() && meta.generation == Some(status.observed_generation);
    let has_finalizer = object.finalizers().iter().any(|name| name == FINALIZER);
    if !is_known || has_finalizer != needs_finalizer(&object.spec, status.phase) {
        return None;
    }
    let created = meta.creation_timestamp.as_ref().map(|time| time.0).unwrap_or_default();
    let synced = Some(status.last_sync_time.as_ref().map_or(created, |time| time.0));
    match status.phase? {
        Phase::Completed if status.backup_id.is_some() && status.delete_reason.is_none() => {
            let expires = status.expiration_time.as_ref().map(|time| time.0);
            expires.is_none_or(|expires| expires > now).then_some(Rest { expires, synced })
        }
        Phase::Missing if status.backup_id.is_some() && status.delete_reason.is_none() => Some(Rest { expires: None, synced }),
        Phase::Failed | Phase::Expired | Phase::Lapsed => Some(Rest::default()),
        _ => None,
    }
}

/// What is left of the memory of an object at rest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Residue {
    /// Since when this process has known the backup's id.
    identified: Option<Duration>,
    /// When it last wrote a status of this object.
    wrote: Option<Duration>,
    /// The reason reported last.
    reported: Option<Reason>,
}

impl Residue {
    /// The memory of an object whose rest ends.
    pub fn revived(self, status: &DatabaseBackupStatus) -> Memory {
        // Only the time by this process's own clock counts of them.
        let moment = |mono| Moment { wall: Timestamp::UNIX_EPOCH, mono };
        let identified = status.backup_id.clone().zip(self.identified.map(moment));
        Memory { identified, wrote: self.wrote.map(moment), reported: self.reported, ..Memory::default() }
    }
}

impl Memory {
    /// What is left of it when the object comes to rest.
    pub fn residue(&self, now: Moment) -> Residue {
        let identified = self.identified.as_ref().map_or(now, |(_, since)| *since);
        Residue { identified: Some(identified.mono), wrote: self.wrote.map(|wrote| wrote.mono), reported: self.reported }
    }

    /// Whether nothing would be lost with it, for an object whose stored version is at rest: there is no call, no look and no doubt about which it knows more.
    pub fn is_calm(&self, status: &DatabaseBackupStatus) -> bool {
        let is_stored = |own: &OwnIntent| match &own.stage {
            Stage::Accepted(created) => status.backup_id.as_ref() == Some(&created.backup_id),
            Stage::Rejected => true,
            Stage::Written | Stage::Sending | Stage::Unanswered { .. } => false,
        };
        // That it is missing, the status says.
        let is_doubted = self.absence.is_some() && status.phase != Some(Phase::Missing);
        self.own.as_ref().is_none_or(is_stored)
            && self.unknown_outcome.is_none()
            && self.retry.is_none()
            && self.removal.is_none()
            && self.queued.is_none()
            && !self.looks.under_way
            && !is_doubted
            && self.overlooked == 0
            && self.duplicates == 0
    }
}
