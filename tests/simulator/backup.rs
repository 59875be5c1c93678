//! A backup: what the cloud keeps of it, what a test sees of it, what a new one is made of.

use std::time::Instant;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::service::Service;

/// How far a backup is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Being taken.
    Running,
    /// Taken.
    Completed,
    /// Not taken.
    Failed,
    /// Whatever a test wants the cloud to say.
    Said(String),
}

/// How a backup came about; the services write these words in cases of their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Somebody asked for it.
    #[default]
    Manual,
    /// The whole instance, taken by the cloud's own schedule.
    Auto,
    /// What changed since the last one of the whole instance (RDS).
    Fragment,
    /// What changed since the last one of any kind (RDS, DDS; a test may have it of others).
    Incremental,
}

/// How far a backup is that a test puts in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Taken.
    #[default]
    Completed,
    /// Not taken.
    Failed,
    /// Being taken, until somebody says another status.
    Running,
}

/// A backup that a test puts in: nobody asked for it over HTTP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Given {
    /// How it came about.
    pub kind: Kind,
    /// How far it is.
    pub stage: Stage,
    /// How long ago it began and ended, by the cloud's clock.
    pub age: std::time::Duration,
    /// Nothing can be restored from it (DCS says so).
    pub is_useless: bool,
}

impl Kind {
    /// Its word in lower case.
    pub fn word(self) -> &'static str {
        match self {
            Self::Manual => "manual",
            Self::Auto => "auto",
            Self::Fragment => "fragment",
            Self::Incremental => "incremental",
        }
    }
}

/// A backup, deleted ones included.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "independent facts")]
pub struct Backup {
    /// Its id.
    pub id: String,
    /// Whose it is.
    pub service: Service,
    /// Its project's id.
    pub project: String,
    /// Its instance's id.
    pub instance: String,
    /// The name: the caller's, for DCS the service's own.
    pub name: String,
    /// The caller's description; for DCS the remark.
    pub description: String,
    /// `aof` or `rdb`; empty outside DCS.
    pub format: String,
    /// Whether somebody asked for it or the cloud's own schedule took it.
    pub kind: Kind,
    /// Made through `/mysql/v3`.
    pub legacy: bool,
    /// A `GeminiDB` backup of some tables only.
    pub tables: Option<serde_json::Value>,
    /// The job that takes it.
    pub job: String,
    /// When it began, by the cloud's clock.
    pub created: Timestamp,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// How far it is.
    pub progress: Progress,
    /// Whether it will fail.
    pub doomed: bool,
    /// Bytes.
    pub size: u64,
    /// Nothing can be restored from it, although it was taken.
    pub is_useless: bool,
    /// No longer there.
    pub deleted: bool,
    pub(super) born: Instant,
    pub(super) due: Instant,
    pub(super) visible: Instant,
    pub(super) vanishes: Option<Instant>,
}

impl Backup {
    /// Whether an asynchronous delete is under way.
    pub fn vanishing(&self) -> bool {
        self.vanishes.is_some()
    }

    /// Whether the cloud's own schedule took it.
    pub fn automatic(&self) -> bool {
        self.kind != Kind::Manual
    }

    /// Whether it is being taken, and so occupies its instance.
    pub fn running(&self) -> bool {
        !self.deleted && self.progress == Progress::Running
    }

    /// The service's word for its state.
    pub fn status(&self) -> String {
        let dcs = self.service == Service::Dcs;
        match &self.progress {
            _ if self.deleted && dcs => "deleted",
            _ if self.vanishing() && self.service == Service::Dds => "DISABLED",
            _ if self.vanishing() && matches!(self.service, Service::Rds | Service::GaussDb) => "DELETING",
            Progress::Running if dcs => "backuping",
            Progress::Running => "BUILDING",
            Progress::Completed if dcs => "succeed",
            Progress::Completed => "COMPLETED",
            Progress::Failed if dcs => "failed",
            Progress::Failed => "FAILED",
            Progress::Said(word) => word,
        }
        .to_owned()
    }

    /// Ends it, well or not, at this moment of the cloud's clock.
    pub fn end(&mut self, at: Timestamp) {
        self.progress = if self.doomed { Progress::Failed } else { Progress::Completed };
        self.ended = Some(at);
        if self.doomed {
            self.size = 0;
        }
    }
}

/// What a test sees of a backup.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BackupRecord {
    /// Its id.
    pub id: String,
    /// Whose it is.
    pub service: Service,
    /// Its project's id.
    pub project: String,
    /// Its instance's id.
    pub instance: String,
    /// The caller's name; for DCS the service's own.
    pub name: String,
    /// The caller's description; empty for DCS.
    pub description: String,
    /// The caller's remark; empty outside DCS.
    pub remark: String,
    /// `aof` or `rdb`; empty outside DCS.
    pub format: String,
    /// Whether somebody asked for it or the cloud's own schedule took it.
    pub kind: Kind,
    /// The service's word for its state.
    pub status: String,
    /// When it began, by the cloud's clock.
    pub created: Timestamp,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// Bytes.
    pub size: u64,
    /// The job that takes it.
    pub job: String,
    /// Made through `/mysql/v3`.
    pub legacy: bool,
    /// No longer there.
    pub deleted: bool,
}

impl From<&Backup> for BackupRecord {
    fn from(backup: &Backup) -> Self {
        let (description, remark) = if backup.service == Service::Dcs {
            (String::new(), backup.description.clone())
        } else {
            (backup.description.clone(), String::new())
        };
        Self {
            id: backup.id.clone(),
            service: backup.service,
            project: backup.project.clone(),
            instance: backup.instance.clone(),
            name: backup.name.clone(),
            description,
            remark,
            format: backup.format.clone(),
            kind: backup.kind,
            status: backup.status(),
            created: backup.created,
            ended: backup.ended,
            size: backup.size,
            job: backup.job.clone(),
            legacy: backup.legacy,
            deleted: backup.deleted,
        }
    }
}

/// What a new backup is made of.
pub struct Order {
    /// Whose it is.
    pub service: Service,
    /// Its project's id.
    pub project: String,
    /// Its instance's id.
    pub instance: String,
    /// The caller's name; for DCS leave it empty.
    pub name: String,
    /// Description or remark.
    pub description: String,
    /// `aof` or `rdb` for DCS.
    pub format: String,
    /// Made through `/mysql/v3`.
    pub legacy: bool,
    /// Tables of a `GeminiDB` backup.
    pub tables: Option<serde_json::Value>,
}
