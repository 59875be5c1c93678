//! A backup as asked for, as created and as listed, in one shape for every service.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The file format of a DCS backup.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackupFormat {
    /// Redis snapshot file.
    RDB,
    /// Redis append-only file.
    AOF,
}

/// What a new backup is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewBackup {
    /// The instance, as the user wrote it.
    pub instance_id: String,
    /// By what the backup is found again: its name, or for DCS the first word of its remark.
    pub mark: String,
    /// Free text sent along; checked by the API server to be legal for every service.
    pub description: String,
    /// Only with DCS; absent means the cloud's default.
    pub backup_format: Option<BackupFormat>,
}

/// What the cloud answered to a create call.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CreatedBackup {
    /// The cloud's id of the backup; never empty.
    pub backup_id: String,
    /// The cloud's id of the job, where the service has one.
    pub job_id: Option<String>,
    /// When the cloud says it began, where it does.
    pub start_time: Option<Timestamp>,
    /// The state in the cloud's own word, where the answer has one.
    pub cloud_status: Option<String>,
}

/// Where a backup stands, in one vocabulary for every service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RemoteState {
    /// Being taken; also every word that the service's table does not know.
    Running,
    /// Taken and usable.
    Completed,
    /// The cloud gave up.
    Failed,
    /// Being removed by the cloud (`DELETING`); neither usable nor gone yet.
    Deleting,
    /// The record is still listed, but the cloud says that the backup is `deleted` or `expired`.
    Gone,
}

/// What a backup is of, and who asked for it, in one vocabulary for every service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum BackupKind {
    /// The whole instance; somebody asked for it.
    Manual,
    /// The whole instance; the cloud's own schedule took it.
    Automatic,
    /// Only what changed since another one (`incremental`, `fragment`), or a type that no table has: good for nothing alone.
    #[default]
    Partial,
}

/// A backup as a listing shows it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RemoteBackup {
    /// The cloud's id of the backup.
    pub id: String,
    /// The instance that it is a backup of.
    pub instance_id: String,
    /// Its name, or for DCS the first word of its remark; compared exactly.
    pub mark: String,
    /// What it is of, and who asked for it.
    pub kind: BackupKind,
    /// Whether the service says that nothing can be restored from it (DCS).
    pub is_unusable: bool,
    /// Where it stands.
    pub state: RemoteState,
    /// The state in the cloud's own word, cleaned and cut.
    pub cloud_status: String,
    /// When the cloud began to take it.
    pub start_time: Option<Timestamp>,
    /// When the cloud had taken it; absent while it runs.
    pub completion_time: Option<Timestamp>,
    /// Bytes.
    pub size: Option<i64>,
    /// The database's version in the cloud's own words, where the listing has it.
    pub engine_version: Option<String>,
    /// Why it failed, where the listing says so (DCS has an error code), cleaned and cut.
    pub failure: Option<String>,
}

/// A span of time; the services want both ends or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// From.
    pub begin: Timestamp,
    /// To.
    pub end: Timestamp,
}

/// Which backups a listing is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ListScope {
    /// Backups of the whole project that began within `window`; everything where it is absent. Not for services that list per instance.
    Project {
        /// When the backups began.
        window: Option<Window>,
        /// Backups of the cloud's own schedule, too; else those only that somebody asked for.
        automatic: bool,
    },
    /// All backups of one instance.
    Instance {
        /// The instance.
        instance_id: String,
        /// Backups of the cloud's own schedule, too; else those only that somebody asked for. The API of DCS does not tell them apart.
        automatic: bool,
    },
    /// One backup by its id, of whatever type. Not for DCS, whose API cannot.
    Backup {
        /// The instance that it is a backup of, as far as the asker knows.
        instance_id: String,
        /// The cloud's id of the backup.
        backup_id: String,
    },
}
