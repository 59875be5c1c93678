//! What is published as an Event: the steps of a backup's life, read off two statuses.

use crate::{
    api::{
        conditions::{is_true, types},
        status::{DatabaseBackupStatus, Origin, Phase},
    },
    plan::notice::{Notice, ready},
};

/// What happened between two statuses, in order.
pub fn notices(before: &DatabaseBackupStatus, after: &DatabaseBackupStatus) -> Vec<Notice> {
    let mut notices = Vec::new();
    let (_, message) = ready(&after.conditions);
    let mut publish = |reason, action, is_warning, note: &str| {
        notices.push(Notice { reason, action, is_warning, note: note.to_owned() });
    };
    if let Some(id) = after.backup_id.as_deref().filter(|_| before.backup_id.is_none()) {
        match after.origin {
            Some(Origin::Reattached) => publish("Reattached", "LookUp", false, &format!("found backup {id} after its answer was lost")),
            Some(Origin::Imported) => publish("Imported", "Import", false, &format!("adopted backup {id}")),
            _ => publish("Submitted", "CreateBackup", false, &format!("the cloud took on backup {id}")),
        }
    }
    for attempt in after.failed_attempts.iter().skip(before.failed_attempts.len()) {
        publish("AttemptFailed", "CreateBackup", true, &attempt.message);
    }
    if before.phase != after.phase {
        match after.phase {
            Some(Phase::Completed) => publish("Completed", "CreateBackup", false, message),
            Some(Phase::Failed) => publish("Failed", "CreateBackup", true, message),
            Some(Phase::Missing) => publish("RemoteMissing", "Watch", true, message),
            Some(Phase::Expired) => publish("Expired", "DeleteBackup", false, message),
            _ => {}
        }
    }
    let stalled = |status: &DatabaseBackupStatus| is_true(&status.conditions, types::STALLED);
    if stalled(after) && !stalled(before) && !matches!(after.phase, Some(Phase::Failed | Phase::Missing)) {
        publish("Stalled", "Reconcile", true, message);
    }
    notices
}
