//! The kinds: what users write and what the operator reports. Their doc comments are what `kubectl explain` prints.

pub mod account;
pub mod backup;
pub mod conditions;
pub mod crds;
pub mod schedule;
pub mod status;

/// API group of every kind.
pub const GROUP: &str = "dbbackup.dev";

/// Field manager and reporter of everything the operator writes.
pub const MANAGER: &str = "database-backup-operator";

/// Keeps an object until its backup in the cloud is gone; there only under `deletionPolicy: Delete`.
pub const FINALIZER: &str = "dbbackup.dev/remote-backup";

/// On a backup, an annotation with any text: neither retention nor expiry touches it, and retention does not count it. Whoever sets it says why.
pub const HOLD: &str = "dbbackup.dev/hold";

/// On a backup, a label: the name of the schedule that made it.
pub const SCHEDULE: &str = "dbbackup.dev/schedule";
