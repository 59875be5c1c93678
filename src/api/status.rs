//! `DatabaseBackup.status`: what the operator observed and did. Everything that must survive a crash is here.

use k8s_openapi::apimachinery::pkg::{
    api::resource::Quantity,
    apis::meta::v1::{Condition, MicroTime, Time},
};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::VariantArray;

/// What the operator observed and did.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct DatabaseBackupStatus {
    /// The `metadata.generation` that this status speaks of; -1 until the operator has seen the object.
    #[serde(default = "unseen")]
    pub observed_generation: i64,

    /// One word for people: `Pending`, `Running`, `Completed`, `Failed`, `Missing` (gone in the cloud), `Expired` or `Lapsed` (not taken, since it was too late or a newer one took its place). Programs read `conditions`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,

    /// Name of the latest attempt in the cloud; for DCS the first word of the backup's remark. Written before the cloud is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup_name: Option<String>,

    /// The cloud's id of the backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup_id: Option<String>,

    /// The cloud's id of the job; absent where the service has none (GaussDBforMySQL, DCS, RDS).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_id: Option<String>,

    /// How many backup names were used so far. More than one only after the cloud reported a backup as FAILED.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<i32>,

    /// When the latest create call was decided, taken before the decision was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_time: Option<MicroTime>,

    /// What is known of the latest create call: `Accepted`, `Rejected`, or `Unknown` (the answer was lost; the operator looks the backup up before it asks again). Absent: not answered yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub create_outcome: Option<CreateOutcome>,

    /// Attempts that the cloud reported as FAILED, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 11))]
    pub failed_attempts: Vec<FailedAttempt>,

    /// The cloud that holds the backup; fixed when the cloud is first asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud: Option<String>,

    /// The region that holds the backup; fixed when the cloud is first asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,

    /// The project that holds the backup; fixed when the cloud is first asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_id: Option<String>,

    /// The host of the service that holds the backup; fixed when the cloud is first asked, and changed only once the backup was seen at another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,

    /// When the cloud began to take the backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Time>,

    /// When the cloud had taken the backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion_time: Option<Time>,

    /// When the backup in the cloud is due to be deleted; only with `spec.expireAfterDays`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiration_time: Option<Time>,

    /// When the cloud was last read for what this status says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_sync_time: Option<Time>,

    /// Size of the backup, exactly, such as `1536Mi`; whatever unit the cloud uses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<Quantity>,

    /// The database and its version in the cloud's own words, such as `MySQL 8.0`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine_version: Option<String>,

    /// The backup's state in the cloud's own word, for support cases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud_status: Option<String>,

    /// How the operator came by the backup: `Created`, `Reattached` (found by its name after an answer was lost) or `Imported` (`spec.source.existingBackupId`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,

    /// Why the operator deletes or deleted the backup in the cloud: `Expired`, `Retention` or `ObjectDeleted`. Written before the cloud is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delete_reason: Option<DeleteReason>,

    /// `Ready`, `Reconciling` and `Stalled`, as kstatus, Argo CD, Flux and `kubectl wait` read them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

pub(super) fn unseen() -> i64 {
    -1
}

impl Default for DatabaseBackupStatus {
    fn default() -> Self {
        Self {
            observed_generation: unseen(),
            phase: None,
            backup_name: None,
            backup_id: None,
            job_id: None,
            attempts: None,
            request_time: None,
            create_outcome: None,
            failed_attempts: Vec::new(),
            cloud: None,
            region: None,
            project_id: None,
            endpoint: None,
            start_time: None,
            completion_time: None,
            expiration_time: None,
            last_sync_time: None,
            size: None,
            engine_version: None,
            cloud_status: None,
            origin: None,
            delete_reason: None,
            conditions: Vec::new(),
        }
    }
}

impl DatabaseBackupStatus {
    /// Whether the latest intent is without a definite answer: the cloud may or may not have a backup for it.
    pub fn intent_is_open(&self) -> bool {
        let is_current = usize::try_from(self.attempts.unwrap_or_default()).unwrap_or_default() > self.failed_attempts.len();
        let is_undecided = !matches!(self.create_outcome, Some(CreateOutcome::Rejected | CreateOutcome::Accepted));
        is_current && is_undecided && self.backup_id.is_none() && self.backup_name.is_some()
    }
}

/// One word for people.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Hash, strum::IntoStaticStr, strum::VariantArray)]
pub enum Phase {
    /// Not taken on by the cloud yet.
    Pending,
    /// The cloud is taking it.
    Running,
    /// Taken and usable.
    Completed,
    /// Given up; final.
    Failed,
    /// It was there, and the cloud no longer has it.
    Missing,
    /// Deleted in the cloud because its time was up.
    Expired,
    /// Not taken, since `spec.takeBefore` had passed or a newer run of its schedule took its place; final.
    Lapsed,
}

impl Phase {
    /// Every phase.
    pub const ALL: &[Self] = Self::VARIANTS;

    /// The phase as written in status and metric labels.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// What is known of the latest create call.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreateOutcome {
    /// It may or may not have reached the cloud.
    Unknown,
    /// It made nothing: refused by the cloud, or never sent.
    Rejected,
    /// The backup exists.
    Accepted,
}

/// An attempt that the cloud reported as FAILED.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct FailedAttempt {
    /// The name it had in the cloud.
    pub backup_name: String,
    /// The cloud's id of it, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup_id: Option<String>,
    /// What the cloud said of it.
    pub message: String,
}

/// How the operator came by the backup.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The create call was answered.
    Created,
    /// The answer was lost, and the backup was found by its name.
    Reattached,
    /// It existed before the object.
    Imported,
}

/// Why the operator deletes a backup in the cloud.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeleteReason {
    /// `expireAfterDays` is over.
    Expired,
    /// A schedule keeps fewer.
    Retention,
    /// The object was deleted under `deletionPolicy: Delete`.
    ObjectDeleted,
}
