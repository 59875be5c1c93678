//! How well an instance is protected: by the cloud's own listing, whoever took its backups.

use crate::{
    api::schedule::TakenBy,
    cloud::backup::{BackupKind, RemoteBackup, RemoteState},
    plan::clock::Moment,
};
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// A full backup that the cloud has finished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Good {
    /// The cloud's id of it.
    pub backup_id: String,
    /// When the cloud had taken it.
    pub completed: Timestamp,
    /// Who took it.
    pub taken_by: TakenBy,
}

/// What a complete listing of an instance says of its protection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// The newest good backup is young enough.
    Fresh,
    /// It is too old.
    TooOld,
    /// The cloud says of finished backups that nothing can be restored from them, and no good one is young enough.
    NotRestorable,
    /// There is none.
    NoBackup,
}

/// The objective seems to be missed: listings in a row have said so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suspicion {
    /// What they said.
    pub protection: Protection,
    /// Start of the first of them.
    pub first: Moment,
    /// Start of the latest.
    pub last: Moment,
}

impl Suspicion {
    /// The next listing says the same, or something else.
    pub fn prolonged(before: Option<Self>, protection: Protection, started: Moment) -> Self {
        let same = before.filter(|before| before.protection == protection);
        Self { protection, first: same.map_or(started, |before| before.first), last: started }
    }

    /// Whether two listings that say so are far enough apart to count.
    pub fn is_long(&self, gone_after: Duration) -> bool {
        self.last.since(self.first) >= gone_after
    }
}

/// The newest backup that is full, finished and usable.
pub fn newest(listed: &[RemoteBackup], instance_id: &str, taken_by: impl Fn(&RemoteBackup) -> TakenBy) -> Option<Good> {
    let good = listed.iter().filter(|backup| backup.instance_id == instance_id && is_full(backup) && !backup.is_unusable);
    let newest =
        good.filter_map(|backup| Some((backup.completion_time?, backup))).max_by_key(|(completed, backup)| (*completed, &backup.id));
    newest.map(|(completed, backup)| Good { backup_id: backup.id.clone(), completed, taken_by: taken_by(backup) })
}

pub(super) fn is_full(backup: &RemoteBackup) -> bool {
    backup.state == RemoteState::Completed && backup.kind != BackupKind::Partial
}

/// Who took a backup. `is_ours`: whether an object here has it.
pub fn taken_by(backup: &RemoteBackup, is_ours: bool) -> TakenBy {
    match backup.kind {
        _ if is_ours => TakenBy::Operator,
        _ if backup.mark.starts_with("dbb-") => TakenBy::OperatorElsewhere,
        BackupKind::Automatic => TakenBy::Cloud,
        BackupKind::Manual | BackupKind::Partial => TakenBy::Other,
    }
}

/// Judges what a complete listing showed, at the time at which it was begun: the newest good backup, and whether there is one that cannot be restored.
pub fn judge(newest: Option<&Good>, has_unusable: bool, most: SignedDuration, at: Timestamp) -> Protection {
    match newest {
        Some(good) if at.duration_since(good.completed) <= most => Protection::Fresh,
        _ if has_unusable => Protection::NotRestorable,
        Some(_) => Protection::TooOld,
        None => Protection::NoBackup,
    }
}
