//! How well an instance is protected: by the cloud's own listing, whoever took its backups.

use crate::{
    api::schedule::TakenBy,
    cloud::backup::{BackupKind, RemoteBackup, RemoteState},
};
use jiff::{SignedDuration, Timestamp};

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
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Protection {
    /// The newest good backup is young enough.
    Within(Good),
    /// It is too old.
    TooOld(Good),
    /// There are finished backups, and the cloud says of the newest that nothing can be restored from it; and no other is young enough.
    NotRestorable,
    /// There is none.
    NoBackup,
}

/// The newest backup that is full, finished and usable.
pub fn newest(listed: &[RemoteBackup], instance_id: &str, taken_by: impl Fn(&RemoteBackup) -> TakenBy) -> Option<Good> {
    let good = listed.iter().filter(|backup| backup.instance_id == instance_id && is_full(backup) && !backup.is_unusable);
    let newest =
        good.filter_map(|backup| Some((backup.completion_time?, backup))).max_by_key(|(completed, backup)| (*completed, &backup.id));
    newest.map(|(completed, backup)| Good { backup_id: backup.id.clone(), completed, taken_by: taken_by(backup) })
}

fn is_full(backup: &RemoteBackup) -> bool {
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

/// Judges what a complete listing showed.
pub fn judge(newest: Option<Good>, listed: &[RemoteBackup], most: SignedDuration, now: Timestamp) -> Protection {
    match newest {
        Some(good) if now.duration_since(good.completed) <= most => Protection::Within(good),
        _ if listed.iter().any(|backup| is_full(backup) && backup.is_unusable) => Protection::NotRestorable,
        Some(good) => Protection::TooOld(good),
        None => Protection::NoBackup,
    }
}
