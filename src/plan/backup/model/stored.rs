//! A status as the model keeps it.

use crate::api::{conditions::types, status::DatabaseBackupStatus};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use std::hash::{Hash, Hasher};

/// A status in a plain form: of the conditions only the reason, no texts, and no times that nothing depends on.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Stored(pub DatabaseBackupStatus);

impl Eq for Stored {}

impl Hash for Stored {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let status = &self.0;
        (status.phase, &status.backup_name, &status.backup_id, status.attempts).hash(state);
        (status.request_time.as_ref().map(|t| t.0), status.last_sync_time.as_ref().map(|t| t.0)).hash(state);
        (status.create_outcome.map(|o| o as u8), status.origin.map(|o| o as u8), status.delete_reason.map(|r| r as u8)).hash(state);
        (status.failed_attempts.len(), status.conditions.first().map(|condition| &condition.reason)).hash(state);
        (&status.endpoint, &status.project_id).hash(state);
    }
}

impl Stored {
    pub fn plain(mut status: DatabaseBackupStatus) -> Self {
        let reason = status.conditions.iter().find(|condition| condition.type_ == types::READY).map(|ready| ready.reason.clone());
        status.conditions = reason.into_iter().map(plain_condition).collect();
        for attempt in &mut status.failed_attempts {
            attempt.message.clear();
        }
        // Only the pause before the next attempt is counted from it.
        if status.backup_id.is_some() || status.failed_attempts.is_empty() {
            status.last_sync_time = None;
        }
        Self(status)
    }
}

fn plain_condition(reason: String) -> Condition {
    Condition {
        type_: types::READY.into(),
        status: "False".into(),
        reason,
        message: String::new(),
        observed_generation: Some(1),
        last_transition_time: Time(Timestamp::UNIX_EPOCH),
    }
}
