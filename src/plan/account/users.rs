//! Who needs an account.

use crate::{
    api::{
        FINALIZER,
        backup::DatabaseBackup,
        status::{DatabaseBackupStatus, Phase},
    },
    plan::notice::Notice,
};
use kube::ResourceExt;

/// How many objects need an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Users {
    /// That name it.
    pub all: usize,
    /// Whose backup in the cloud it still has to delete.
    pub for_deletion: usize,
}

/// Whether a backup still needs its account for a deletion in the cloud: with `deletionPolicy: Delete` when its object is deleted, and when it expires.
pub fn needs_for_deletion(backup: &DatabaseBackup) -> bool {
    let expires = |status: &DatabaseBackupStatus| status.expiration_time.is_some() || status.delete_reason.is_some();
    let phase = backup.status.as_ref().and_then(|status| status.phase);
    // Of the first two the cloud has nothing any more, or never had.
    !matches!(phase, Some(Phase::Expired | Phase::Lapsed))
        && (backup.finalizers().iter().any(|finalizer| finalizer == FINALIZER) || backup.status.as_ref().is_some_and(expires))
}

/// What is published when an account is deleted that backups still need.
pub fn left_behind(users: Users) -> Option<Notice> {
    let note = match users.for_deletion {
        0 => return None,
        1 => "a backup still needs this account to be deleted from the cloud: create it again, or set the backup to deletionPolicy Retain"
            .to_owned(),
        several => {
            format!(
                "{several} backups still need this account to be deleted from the cloud: create it again, or set them to deletionPolicy Retain"
            )
        }
    };
    Some(Notice { reason: "AccountStillNeeded", action: "Forget", is_warning: true, note })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn needs(finalizers: &[&str], status: &Value) -> bool {
        let backup = json!({
            "apiVersion": "dbbackup.dev/v1alpha1", "kind": "DatabaseBackup", "metadata": { "name": "b", "finalizers": finalizers },
            "spec": { "source": { "engine": "DCS", "instanceId": "i-1" } }, "status": status,
        });
        needs_for_deletion(&serde_json::from_value(backup).unwrap())
    }

    #[test]
    fn a_backup_needs_its_account_until_there_is_nothing_left_to_delete() {
        let completed = json!({ "phase": "Completed", "conditions": [] });
        assert!(needs(&[FINALIZER], &completed) && !needs(&[], &completed) && !needs(&["another"], &completed));
        assert!(needs(&[], &json!({ "phase": "Completed", "expirationTime": "2026-01-01T00:00:00Z" })), "it expires");
        assert!(!needs(&[], &json!({ "phase": "Expired", "expirationTime": "2026-01-01T00:00:00Z", "deleteReason": "Expired" })));
        assert!(!needs(&[FINALIZER], &json!({ "phase": "Lapsed" })));
    }

    #[test]
    fn an_account_that_goes_is_missed_by_those_that_need_it_only() {
        assert_eq!(left_behind(Users { all: 5, for_deletion: 0 }), None);
        let note = |for_deletion| left_behind(Users { all: 5, for_deletion }).unwrap().note;
        assert!(note(1).starts_with("a backup still needs") && note(2).starts_with("2 backups still need"));
    }
}
