//! `DatabaseBackupSchedule`: backups of one instance, again and again.

use super::backup::{AccountRef, BackupSource, DeletionPolicy};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// When backups are taken, how many are kept, and how old the newest may be.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "dbbackup.dev",
    version = "v1alpha1",
    kind = "DatabaseBackupSchedule",
    plural = "databasebackupschedules",
    shortname = "dbbs",
    category = "dbbackup",
    namespaced,
    doc = "Takes backups of a managed cloud database instance at set times. Each is a DatabaseBackup, which stays when the schedule is deleted.",
    status = "DatabaseBackupScheduleStatus",
    derive = "PartialEq",
    selectable = ".spec.suspend",
    selectable = ".spec.backupTemplate.spec.source.engine",
    selectable = ".spec.backupTemplate.spec.source.instanceId",
    validation = Rule::new("self.metadata.name.size() <= 50")
        .message("the name of a DatabaseBackupSchedule has at most 50 characters: those of its backups have the time of the slot behind it"),
    printcolumn(name = "Schedule", type_ = "string", json_path = ".spec.schedule"),
    printcolumn(name = "Zone", type_ = "string", json_path = ".spec.timeZone"),
    printcolumn(name = "Suspend", type_ = "boolean", json_path = ".spec.suspend"),
    printcolumn(name = "Last-Success", type_ = "date", json_path = ".status.lastSuccessfulTime"),
    printcolumn(name = "Next", type_ = "string", json_path = ".status.nextScheduleTime"),
    printcolumn(name = "Protected", type_ = "string", json_path = ".status.conditions[?(@.type==\"WithinObjective\")].status"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Active", type_ = "string", json_path = ".status.activeBackupName", priority = 1),
    printcolumn(name = "Missed", type_ = "integer", json_path = ".status.missedRuns", priority = 1),
    printcolumn(name = "Last-Backup", type_ = "string", json_path = ".status.lastBackupName", priority = 1)
)]
#[x_kube(
    validation = Rule::new("!has(self.retention) || self.backupTemplate.spec.source.engine != 'GaussDBforMySQL'")
        .message("retention cannot be set with engine GaussDBforMySQL: its API cannot delete backups (engine TaurusDB can)")
        .field_path(".retention")
)]
#[cfg_attr(test, kube(cel))]
#[serde(rename_all = "camelCase")]
pub struct DatabaseBackupScheduleSpec {
    /// When, as a cron expression of 5 fields (`0 2 * * *`), or one of `@hourly`, `@daily`, `@midnight`, `@weekly`, `@monthly`, `@yearly`, `@annually`.
    #[schemars(length(min = 1, max = 200))]
    pub schedule: String,

    /// The IANA time zone of `schedule`, for example `Europe/Berlin`. Default: `Etc/UTC`.
    #[serde(default = "utc")]
    #[schemars(length(min = 1, max = 64))]
    pub time_zone: String,

    /// Take no backups for the time being. Slots that pass meanwhile are not missed ones. Retention goes on.
    #[serde(default)]
    pub suspend: bool,

    /// How late a backup may begin, in seconds, at least 60. A slot that could not be begun by then is missed. Default: any time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 60))]
    pub starting_deadline_seconds: Option<i32>,

    /// What each backup is made like. Those that exist keep what they were made with.
    pub backup_template: BackupTemplate,

    /// How many backups are kept, and for how long. Without it nothing is deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<Retention>,

    /// How many backups that failed or lapsed are kept as objects, 0 to 100, default 3. Under `deletionPolicy: Retain` nothing in the cloud goes with them.
    #[serde(default = "default_failed_history")]
    #[schemars(range(min = 0, max = 100))]
    pub failed_history_limit: i32,

    /// A slot needs no backup if the instance has a full one that ended less than so many seconds before, whoever took it: 60 to 31536000. Default: it always does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 60, max = 31_536_000))]
    pub skip_if_fresher_than_seconds: Option<i32>,

    /// How well the instance is to be protected, whoever takes its backups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objective: Option<Objective>,
}

fn utc() -> String {
    "Etc/UTC".into()
}

fn default_failed_history() -> i32 {
    3
}

/// What each backup of a schedule is made like.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct BackupTemplate {
    /// Labels and annotations of each backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<TemplateMetadata>,
    /// What is backed up, and with which account.
    pub spec: TemplateSpec,
}

/// Labels and annotations of each backup. The operator keeps them in memory, so there are bounds.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[x_kube(
    validation = Rule::new("!has(self.labels) || self.labels.all(name, name.size() <= 317 && self.labels[name].size() <= 63)")
        .message("a label has a name of at most 317 characters and a value of at most 63").field_path(".labels"),
    validation = Rule::new("!has(self.annotations) || self.annotations.all(name, name.size() <= 317 && self.annotations[name].size() <= 1024)")
        .message("an annotation has a name of at most 317 characters and, in a template, a text of at most 1024").field_path(".annotations")
)]
#[serde(rename_all = "camelCase")]
pub struct TemplateMetadata {
    /// Labels of each backup, at most 32. The schedule's own labels are not copied.
    #[schemars(extend("maxProperties" = 32))]
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations of each backup, at most 32 of at most 1024 characters each. The schedule's own annotations are not copied.
    #[schemars(extend("maxProperties" = 32))]
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// The spec of each backup: that of a `DatabaseBackup`, without what only a single one can have.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[x_kube(
    validation = Rule::new("!has(self.source.existingBackupId)")
        .message("a schedule takes backups, so source.existingBackupId cannot be set").field_path(".source.existingBackupId"),
    validation = Rule::new("self.source.engine != 'GaussDBforMySQL' || self.deletionPolicy == 'Retain'")
        .message("with engine GaussDBforMySQL the deletionPolicy must be Retain: its API cannot delete backups (engine TaurusDB can)")
        .field_path(".deletionPolicy")
)]
#[serde(rename_all = "camelCase")]
pub struct TemplateSpec {
    /// The account whose credentials and project are used. Default: the `CloudAccount` named `default` in this namespace.
    #[serde(default)]
    pub account_ref: AccountRef,
    /// What is backed up.
    pub source: BackupSource,
    /// What happens to a backup in the cloud when its object is deleted by somebody. Retention deletes the backup whatever this says.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
    /// How many more backups are tried, each under a new name, after the cloud reported one as FAILED: 0 to 10, default 2.
    #[serde(default = "super::backup::default_backoff_limit")]
    #[schemars(range(min = 0, max = 10))]
    pub backoff_limit: i32,
    /// Seconds after which a backup that is not Completed is reported as overdue, at least 60, default 7200.
    #[serde(default = "super::backup::default_progress_deadline")]
    #[schemars(range(min = 60))]
    pub progress_deadline_seconds: i32,
}

/// How many backups are kept, and for how long. Only backups of this schedule count, and only completed ones.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Retention {
    /// Keep this many; the oldest go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub max_count: Option<i32>,
    /// Keep them for so many days, 1 to 3650.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 3650))]
    pub max_age_days: Option<i32>,
    /// Keep at least this many, whatever the others say. Default 1.
    #[serde(default = "default_min_count")]
    #[schemars(range(min = 1))]
    pub min_count: i32,
}

fn default_min_count() -> i32 {
    1
}

/// How well an instance is to be protected.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Objective {
    /// How old the newest full backup of the instance may be, in seconds, at least 3600; whoever took it.
    #[schemars(range(min = 3600))]
    pub max_age_seconds: i32,
}

/// What the operator observed of a schedule and did for it.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct DatabaseBackupScheduleStatus {
    /// The `metadata.generation` that this status speaks of; -1 until the operator has seen the object.
    #[serde(default = "super::status::unseen")]
    pub observed_generation: i64,
    /// The schedule and the zone that `nextScheduleTime` belongs to; absent while it is suspended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_schedule: Option<String>,
    /// The newest slot that was decided: it ran, was satisfied, or was missed. It never goes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_schedule_time: Option<Time>,
    /// When the newest completed backup of this schedule was completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_successful_time: Option<Time>,
    /// The object of the newest slot that ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_backup_name: Option<String>,
    /// The next slot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_schedule_time: Option<Time>,
    /// The object of a backup that is not at its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active_backup_name: Option<String>,
    /// Slots for which no backup could be begun in time.
    #[serde(default)]
    pub missed_runs: i64,
    /// Backups that lapsed before anything was taken.
    #[serde(default)]
    pub lapsed_runs: i64,
    /// The backups that lapsed, are still there, and are counted in `lapsedRuns`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lapsed_backup_names: Vec<String>,
    /// Slots that needed no backup, since there was a fresh one.
    #[serde(default)]
    pub satisfied_runs: i64,
    /// The newest slot that needed no backup, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_satisfied: Option<Satisfied>,
    /// When it was announced which backups an edited retention would delete. The next pass deletes them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention_planned_time: Option<Time>,
    /// What the cloud holds of the instance; only with `spec.objective`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objective: Option<ObjectiveStatus>,
    /// `Ready`, `Stalled`, `LastBackupSucceeded` and `WithinObjective`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

impl Default for DatabaseBackupScheduleStatus {
    /// That of a schedule which nobody has looked at.
    fn default() -> Self {
        Self {
            observed_generation: super::status::unseen(),
            observed_schedule: None,
            last_schedule_time: None,
            last_successful_time: None,
            last_backup_name: None,
            next_schedule_time: None,
            active_backup_name: None,
            missed_runs: 0,
            lapsed_runs: 0,
            lapsed_backup_names: Vec::new(),
            satisfied_runs: 0,
            last_satisfied: None,
            retention_planned_time: None,
            objective: None,
            conditions: Vec::new(),
        }
    }
}

/// A slot that needed no backup.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Satisfied {
    /// The slot.
    pub slot: Time,
    /// The cloud's id of the backup that was fresh enough.
    pub backup_id: String,
    /// When the cloud had taken it.
    pub completion_time: Time,
    /// Who took it.
    pub taken_by: TakenBy,
}

/// What the cloud holds of the instance.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ObjectiveStatus {
    /// When the newest full backup was completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest_completion_time: Option<Time>,
    /// The cloud's id of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup_id: Option<String>,
    /// Who took it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken_by: Option<TakenBy>,
    /// When the cloud was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checked_time: Option<Time>,
    /// When the instance was last protected well enough; absent while it is, and if it never was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_met_time: Option<Time>,
}

/// Who took a backup.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Hash, strum::IntoStaticStr)]
pub enum TakenBy {
    /// This operator, and an object here has it.
    Operator,
    /// An operator, and no object here has it.
    OperatorElsewhere,
    /// The cloud's own schedule.
    Cloud,
    /// Somebody else.
    Other,
}

#[cfg(test)]
mod tests;
