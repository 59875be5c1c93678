//! `DatabaseBackup`: what somebody asks for.

use super::status::DatabaseBackupStatus;
use crate::cloud::{backup::BackupFormat, engine::Engine};
use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What is backed up, with which account, and what becomes of the backup later.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "dbbackup.dev",
    version = "v1alpha1",
    kind = "DatabaseBackup",
    plural = "databasebackups",
    shortname = "dbb",
    category = "dbbackup",
    namespaced,
    doc = "One backup of one managed cloud database instance. It is taken exactly once, when this object is created; status says how it went.",
    status = "DatabaseBackupStatus",
    derive = "PartialEq",
    selectable = ".spec.source.engine",
    selectable = ".spec.source.instanceId",
    selectable = ".status.phase",
    printcolumn(name = "Engine", type_ = "string", json_path = ".spec.source.engine"),
    printcolumn(name = "Instance", type_ = "string", json_path = ".spec.source.instanceId"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Size", type_ = "string", json_path = ".status.size"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Account", type_ = "string", json_path = ".spec.accountRef.name", priority = 1),
    printcolumn(name = "Backup-ID", type_ = "string", json_path = ".status.backupId", priority = 1),
    printcolumn(name = "Job-ID", type_ = "string", json_path = ".status.jobId", priority = 1),
    printcolumn(name = "Completed", type_ = "date", json_path = ".status.completionTime", priority = 1),
    printcolumn(name = "Policy", type_ = "string", json_path = ".spec.deletionPolicy", priority = 1),
    printcolumn(name = "Expires", type_ = "string", json_path = ".status.expirationTime", priority = 1),
    printcolumn(name = "Hold", type_ = "string", json_path = ".metadata.annotations.dbbackup\\.dev/hold", priority = 1),
    printcolumn(name = "Attempts", type_ = "integer", json_path = ".status.attempts", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].message", priority = 1)
)]
#[x_kube(
    validation = Rule::new("!has(self.source.existingBackupId) || self.deletionPolicy == 'Retain'")
        .message("with source.existingBackupId the deletionPolicy must be Retain: the operator never deletes a backup that it did not take")
        .field_path(".deletionPolicy"),
    validation = Rule::new("!has(self.source.existingBackupId) || !has(self.expireAfterDays)")
        .message("expireAfterDays cannot be set with source.existingBackupId: the operator never deletes a backup that it did not take")
        .field_path(".expireAfterDays"),
    validation = Rule::new("self.source.engine != 'GaussDBforMySQL' || self.deletionPolicy == 'Retain'")
        .message("with engine GaussDBforMySQL the deletionPolicy must be Retain: its API cannot delete backups (engine TaurusDB can)")
        .field_path(".deletionPolicy"),
    validation = Rule::new("self.source.engine != 'GaussDBforMySQL' || !has(self.expireAfterDays)")
        .message("expireAfterDays cannot be set with engine GaussDBforMySQL: its API cannot delete backups (engine TaurusDB can)")
        .field_path(".expireAfterDays"),
    validation = Rule::new("has(self.takeBefore) == has(oldSelf.takeBefore) && (!has(self.takeBefore) || self.takeBefore == oldSelf.takeBefore)")
        .message("takeBefore is immutable: create a new DatabaseBackup instead")
        .field_path(".takeBefore")
)]
#[cfg_attr(test, kube(cel))]
#[serde(rename_all = "camelCase")]
pub struct DatabaseBackupSpec {
    /// The account whose credentials and project are used. Default: the `CloudAccount` named `default` in this namespace. Immutable.
    #[serde(default)]
    #[x_kube(validation = Rule::new("self == oldSelf").message("accountRef is immutable: create a new DatabaseBackup instead"))]
    pub account_ref: AccountRef,

    /// What is backed up. Immutable: one object is one backup.
    #[x_kube(validation = Rule::new("self == oldSelf").message("source is immutable: create a new DatabaseBackup instead"))]
    pub source: BackupSource,

    /// What happens to the backup in the cloud when this object is deleted. `Retain` (default) leaves it, `Delete` removes it too.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,

    /// Delete the backup in the cloud this many days after it was completed, 1 to 3650. The object stays, with phase `Expired`. Default: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 3650))]
    pub expire_after_days: Option<i32>,

    /// Take no backup after this time (RFC 3339): an object for which the cloud has made nothing by then becomes `Lapsed`. It belongs into manifests that lie
    /// in Git, since a new cluster applies all of them at once. Without effect with `source.existingBackupId`. Immutable. Default: any time will do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub take_before: Option<Time>,

    /// How many more backups are tried, each under a new name, after the cloud reported one as FAILED: 0 to 10, default 2.
    #[serde(default = "default_backoff_limit")]
    #[schemars(range(min = 0, max = 10))]
    pub backoff_limit: i32,

    /// Seconds from creation after which a backup that is not Completed is reported as overdue (`Stalled`, reason `ProgressDeadlineExceeded`),
    /// at least 60, default 7200. It is still watched, and still completes.
    #[serde(default = "default_progress_deadline")]
    #[schemars(range(min = 60))]
    pub progress_deadline_seconds: i32,
}

impl DatabaseBackupSpec {
    /// How many attempts there are in all: the first, and those that `backoffLimit` allows.
    pub fn attempts_allowed(&self) -> usize {
        usize::try_from(self.backoff_limit).unwrap_or_default().saturating_add(1)
    }

    /// How long after its creation a backup that is not Completed is overdue.
    pub fn progress_deadline(&self) -> Duration {
        Duration::from_secs(u64::try_from(self.progress_deadline_seconds).unwrap_or_default())
    }

    /// How long after its completion the backup is deleted in the cloud; absent for never.
    pub fn expires_after(&self) -> Option<SignedDuration> {
        self.expire_after_days.map(|days| SignedDuration::from_hours(i64::from(days) * 24))
    }
}

pub(super) fn default_backoff_limit() -> i32 {
    2
}

pub(super) fn default_progress_deadline() -> i32 {
    7200
}

/// The account that a backup is taken with.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Hash)]
#[serde(rename_all = "camelCase")]
pub struct AccountRef {
    /// `CloudAccount` (default), in the namespace of the backup, or `ClusterCloudAccount`.
    #[serde(default)]
    pub kind: AccountKind,
    /// Name of the account; default `default`.
    #[serde(default = "default_account_name")]
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

fn default_account_name() -> String {
    "default".into()
}

impl Default for AccountRef {
    fn default() -> Self {
        Self { kind: AccountKind::default(), name: default_account_name() }
    }
}

/// The two kinds of account.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, strum::IntoStaticStr)]
pub enum AccountKind {
    /// In the namespace of the backup.
    #[default]
    CloudAccount,
    /// For the namespaces that it allows.
    ClusterCloudAccount,
}

impl AccountKind {
    /// The kind as written in manifests.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// The instance that is backed up.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[x_kube(
    validation = Rule::new("!has(self.dcs) || self.engine == 'DCS'").message("dcs can only be set with engine DCS").field_path(".dcs"),
    validation = Rule::new("!has(self.existingBackupId) || !has(self.description)")
        .message("description cannot be set with existingBackupId: the backup exists already").field_path(".description"),
    validation = Rule::new("!has(self.existingBackupId) || !has(self.dcs)")
        .message("dcs cannot be set with existingBackupId: the backup exists already").field_path(".dcs")
)]
#[serde(rename_all = "camelCase")]
pub struct BackupSource {
    /// The database service that the instance belongs to: `GeminiDB`, `GaussDBforMySQL` (the older API of GaussDB(for MySQL)), `TaurusDB`, `DCS`, `RDS`, `DDS`
    /// or `GaussDB` (openGauss).
    pub engine: Engine,

    /// The instance's id as the cloud shows it, for example `07033b125fd94a8a96896f8bcfee6ddain07`; compared exactly.
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[A-Za-z0-9-]+$"))]
    pub instance_id: String,

    /// Adopt this backup, which exists in the cloud already, instead of taking one. It is watched, and never deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[A-Za-z0-9-]+$"))]
    pub existing_backup_id: Option<String>,

    /// Text stored with the backup in the cloud: up to 100 printable ASCII characters, none of `> ! < " & ' =`. Default: namespace and name of this object, and the name of the cluster where the operator has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100), regex(pattern = r"^[ #-%(-;?-~]*$"))]
    pub description: Option<String>,

    /// Options that only DCS has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dcs: Option<DcsOptions>,
}

/// Options that only DCS has.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct DcsOptions {
    /// File format of the backup, `RDB` or `AOF`. Default: the cloud's own, which is RDB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup_format: Option<BackupFormat>,
}

/// What happens to the backup in the cloud when the object is deleted.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DeletionPolicy {
    /// It stays.
    #[default]
    Retain,
    /// It is deleted too.
    Delete,
}
