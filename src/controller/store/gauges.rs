//! What is read off the memory at each scrape: it needs no upkeep, and goes with what it is about.

mod schedules;

use crate::{
    api::status::Phase,
    plan::{
        account::AccountKey,
        summary::{Instance, Summary},
    },
};
use jiff::Timestamp;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{family::Family, gauge::Gauge},
    registry::Registry,
};
pub use schedules::Schedule;
use std::{collections::BTreeMap, sync::Arc};

/// The state of things at a scrape.
pub struct Snapshot {
    /// Objects in each phase.
    pub phases: Vec<(Phase, usize)>,
    /// How the backups of each instance stand.
    pub summaries: Arc<BTreeMap<Instance, Summary>>,
    /// The accounts, and whether each is ready.
    pub accounts: BTreeMap<AccountKey, bool>,
    /// The schedules.
    pub schedules: Vec<Schedule>,
    /// Whether this replica acts.
    pub leads: bool,
    /// Watches that cannot list.
    pub failing_watches: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByPhase {
    phase: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByInstance {
    namespace: String,
    engine: &'static str,
    instance_id: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByAccount {
    kind: &'static str,
    namespace: String,
    name: String,
}

/// Name, help, and the value where there is one.
type InstanceGauge = (&'static str, &'static str, fn(&Summary) -> Option<i64>);

/// About each instance.
const INSTANCE: [InstanceGauge; 11] = [
    ("last_success_timestamp_seconds", "When the newest backup of the instance was completed", |it| seconds(it.last_success)),
    ("last_attempt_timestamp_seconds", "When a backup of the instance was last asked for", |it| seconds(it.last_attempt)),
    ("last_failure_timestamp_seconds", "When the newest backup that failed for good was asked for", |it| seconds(it.last_failure)),
    ("last_status", "Whether the newest backup that came to an end did so well", |it| it.last_status.map(i64::from)),
    ("backup_size_bytes", "Size of the newest backup that is there", |it| it.size.map(number)),
    ("oldest_backup_timestamp_seconds", "When the oldest backup that is there was completed", |it| seconds(it.oldest)),
    ("backups_retained", "Backups of the instance that are there", |it| Some(number(it.retained))),
    ("backups_stalled", "Objects that are blocked or past their deadline", |it| Some(number(it.stalled))),
    ("backups_missing", "Backups that were there and are gone in the cloud", |it| Some(number(it.missing))),
    ("backups_deleting", "Objects that are deleted once their backups in the cloud are", |it| Some(number(it.deleting))),
    ("backups_held", "Backups of the instance that are there, and that somebody holds by an annotation", |it| Some(number(it.held))),
];

/// A registry with what a snapshot holds.
pub fn registry(snapshot: &Snapshot) -> Registry {
    let mut registry = Registry::with_prefix("dbbackup");
    let leader = Gauge::<i64>::default();
    leader.set(i64::from(snapshot.leads));
    registry.register("leader", "Whether this replica acts: it leads, or there is no election, and the definitions are served", leader);

    let watches = Gauge::<i64>::default();
    watches.set(number(snapshot.failing_watches));
    registry.register("watches_failing", "Watches that cannot list, so that changes of their objects are not seen", watches);

    let phases = Family::<ByPhase, Gauge>::default();
    for (phase, count) in &snapshot.phases {
        phases.get_or_create(&ByPhase { phase: phase.as_str() }).set(number(*count));
    }
    registry.register("backups", "DatabaseBackup objects by phase", phases);

    for (name, help, value) in INSTANCE {
        let family = Family::<ByInstance, Gauge>::default();
        for (instance, summary) in snapshot.summaries.as_ref() {
            if let Some(value) = value(summary) {
                let Instance { namespace, engine, instance_id } = instance.clone();
                family.get_or_create(&ByInstance { namespace, engine: engine.as_str(), instance_id }).set(value);
            }
        }
        registry.register(name, help, family);
    }

    let accounts = Family::<ByAccount, Gauge>::default();
    for (key, is_ready) in &snapshot.accounts {
        let AccountKey { kind, namespace, name } = key.clone();
        let labels = ByAccount { kind: kind.as_str(), namespace: namespace.unwrap_or_default(), name };
        accounts.get_or_create(&labels).set(i64::from(*is_ready));
    }
    registry.register("account_ready", "Whether the cloud accepts the account's credentials", accounts);
    schedules::register(&mut registry, &snapshot.schedules);
    registry
}

fn seconds(time: Option<Timestamp>) -> Option<i64> {
    time.map(Timestamp::as_second)
}

fn number(value: impl TryInto<i64>) -> i64 {
    value.try_into().unwrap_or(i64::MAX)
}
