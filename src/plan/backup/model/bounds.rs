//! What may go wrong in a world, and how often; and its timings.

use crate::{
    api::backup::{AccountRef, BackupSource, DatabaseBackupSpec, DeletionPolicy},
    cloud::engine::Engine,
    plan::settings::Settings,
};
use std::time::Duration;

/// The instance that is backed up.
pub(super) const INSTANCE: &str = "i-1";
/// Others' backups of the same instance, which every listing of it shows: one made by hand, and one of an object of the same name in another cluster.
pub(super) const FOREIGN: [&str; 2] = ["made-by-hand", "dbb-o-00000000000000000000"];

/// What may go wrong, and how often. Time goes in ticks of a second.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools)] // each is a story of its own
pub(super) struct Bounds {
    /// The service; with DCS no backup can be asked for by its id.
    pub engine: Engine,
    /// How many operators work on it at once: one or two.
    pub operators: usize,
    /// The last tick on which anything goes wrong.
    pub horizon: u32,
    pub settings: Settings,
    /// Longest time from the last check to the call's arrival, and from there to its showing up in listings, in ticks.
    pub delivery: u32,
    pub lag: u32,
    pub crashes: u8,
    /// Answers that are lost or late, refusals, failures; of the cloud and of the Kubernetes API.
    pub faults: u8,
    /// Backups that the cloud reports as FAILED.
    pub failures: u8,
    pub backoff_limit: i32,
    pub policy: DeletionPolicy,
    /// How often the policy is flipped.
    pub flips: u8,
    /// Whether the object is deleted some time.
    pub deletion: bool,
    /// Whether it is told on once the backup is made and known.
    pub watching: bool,
    /// How often the account moves: to another project, to another host, or back.
    pub moves: u8,
    /// Whether the other host is only another name of the same cloud.
    pub is_alias: bool,
    /// How often the store is put back to what it held at a moment that was saved.
    pub rollbacks: u8,
    /// How often the object is made anew under another UID.
    pub recreations: u8,
    /// Somebody else's finalizer is on the object.
    pub held: bool,
    /// No listing ever holds together, though each shows what is there.
    pub never_complete: bool,
    /// How often the wall clock of an operator jumps ahead by a year, or back.
    pub jumps: u8,
    /// The backup is to expire a day after it was completed, which no number of ticks comes to.
    pub expires: bool,
    /// How often a year passes, by all clocks: then a backup that expires is due.
    pub years: u8,
    /// The object adopts a backup, which appears some time.
    pub import: bool,
    /// Every call is refused with a code that no table has.
    pub refused: bool,
    /// How often a person changes an annotation.
    pub annotations: u8,
    /// How often its schedule finds that it keeps fewer.
    pub surpluses: u8,
    /// How often a person holds the backup, or lets it go again.
    pub holds: u8,
    /// A newer run takes its place as soon as that may be.
    pub superseded: bool,
}

impl Bounds {
    /// The creation of a backup.
    pub fn creation() -> Self {
        Self {
            engine: Engine::TaurusDB,
            operators: 2,
            horizon: 6,
            settings: quick(3),
            delivery: 1,
            lag: 1,
            crashes: 1,
            faults: 1,
            failures: 0,
            backoff_limit: 1,
            policy: DeletionPolicy::Retain,
            flips: 0,
            deletion: false,
            watching: false,
            moves: 0,
            is_alias: false,
            rollbacks: 0,
            recreations: 0,
            held: false,
            never_complete: false,
            jumps: 0,
            expires: false,
            years: 0,
            import: false,
            refused: false,
            annotations: 0,
            surpluses: 0,
            holds: 0,
            superseded: false,
        }
    }

    pub fn spec(&self, policy: DeletionPolicy) -> DatabaseBackupSpec {
        let existing_backup_id = self.import.then(|| FOREIGN[0].to_owned());
        let source = BackupSource { engine: self.engine, instance_id: INSTANCE.into(), existing_backup_id, description: None, dcs: None };
        DatabaseBackupSpec {
            account_ref: AccountRef::default(),
            source,
            deletion_policy: policy,
            expire_after_days: self.expires.then_some(1),
            take_before: None,
            backoff_limit: self.backoff_limit,
            progress_deadline_seconds: 7200,
        }
    }
}

/// Timings of a few ticks.
pub(super) fn quick(settle_delay: u64) -> Settings {
    let second = Duration::from_secs(1);
    Settings {
        poll_interval: second,
        settle_delay: Duration::from_secs(settle_delay),
        resync_interval: second * 1000,
        blocked_grace: second,
        gone_after: second * 2,
        retry_backoff: second,
    }
}
