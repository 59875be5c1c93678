//! About each schedule. What is counted is in its status, so that it is counted on after a restart.

use crate::api::{
    conditions::{find, types},
    schedule::{DatabaseBackupSchedule, DatabaseBackupScheduleStatus, TakenBy},
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};
use std::sync::Arc;

/// A schedule, and how many objects only seem to be its backups.
pub type Schedule = (Arc<DatabaseBackupSchedule>, usize);

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BySchedule {
    namespace: String,
    schedule: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByObjective {
    namespace: String,
    schedule: String,
    engine: &'static str,
    instance_id: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByTaker {
    namespace: String,
    schedule: String,
    engine: &'static str,
    instance_id: String,
    taken_by: &'static str,
}

/// Name, help, and the value where there is one.
type ScheduleGauge = (&'static str, &'static str, fn(&DatabaseBackupSchedule, &DatabaseBackupScheduleStatus) -> Option<i64>);

const GAUGES: [ScheduleGauge; 5] = [
    ("schedule_last_success_timestamp_seconds", "When the newest backup of the schedule was completed", |_, status| {
        seconds(status.last_successful_time.as_ref())
    }),
    ("schedule_last_result", "Whether the newest backup of the schedule that came to an end did so well", |_, status| {
        find(&status.conditions, types::LAST_BACKUP_SUCCEEDED).map(|last| i64::from(last.status == "True"))
    }),
    ("schedule_next_run_timestamp_seconds", "When the oldest slot is that nobody has decided", |_, status| {
        seconds(status.next_schedule_time.as_ref())
    }),
    ("schedule_suspended", "Whether the schedule takes no backups for the time being", |object, _| Some(i64::from(object.spec.suspend))),
    ("objective_met", "Whether the instance has a backup that is young enough, whoever took it", |_, status| {
        let within = find(&status.conditions, types::WITHIN_OBJECTIVE)?;
        matches!(within.status.as_str(), "True" | "False").then(|| i64::from(within.status == "True"))
    }),
];

/// Name, help, and the value.
type ScheduleCounter = (&'static str, &'static str, fn(&DatabaseBackupScheduleStatus) -> i64);

const COUNTERS: [ScheduleCounter; 3] = [
    ("schedule_missed_runs", "Slots for which no backup could be begun in time", |status| status.missed_runs),
    ("schedule_lapsed_runs", "Backups of the schedule that lapsed before anything was taken", |status| status.lapsed_runs),
    ("schedule_satisfied_runs", "Slots that needed no backup, since there was a fresh one", |status| status.satisfied_runs),
];

/// Registers what is said of schedules.
pub(super) fn register(registry: &mut Registry, schedules: &[Schedule]) {
    let unseen = DatabaseBackupScheduleStatus::default();
    let each = || schedules.iter().map(|(object, strays)| (object.as_ref(), object.status.as_ref().unwrap_or(&unseen), *strays));
    for (name, help, value) in GAUGES {
        let family = Family::<BySchedule, Gauge>::default();
        for (object, status, _) in each() {
            if let Some(value) = value(object, status) {
                family.get_or_create(&by_schedule(object)).set(value);
            }
        }
        registry.register(name, help, family);
    }
    for (name, help, value) in COUNTERS {
        let family = Family::<BySchedule, Counter>::default();
        for (object, status, _) in each() {
            family.get_or_create(&by_schedule(object)).inc_by(u64::try_from(value(status)).unwrap_or_default());
        }
        registry.register(name, help, family);
    }
    let strays = Family::<BySchedule, Gauge>::default();
    for (object, _, count) in each() {
        strays.get_or_create(&by_schedule(object)).set(i64::try_from(count).unwrap_or(i64::MAX));
    }
    registry.register("schedule_strays", "Objects that have the label of the schedule or a name of its form, and not both", strays);
    register_objectives(registry, each());
}

fn register_objectives<'a>(
    registry: &mut Registry,
    schedules: impl Iterator<Item = (&'a DatabaseBackupSchedule, &'a DatabaseBackupScheduleStatus, usize)>,
) {
    let (most, newest) = (Family::<ByObjective, Gauge>::default(), Family::<ByTaker, Gauge>::default());
    for (object, status, _) in schedules {
        let Some(objective) = &object.spec.objective else { continue };
        let BySchedule { namespace, schedule } = by_schedule(object);
        let source = &object.spec.backup_template.spec.source;
        let (engine, instance_id) = (source.engine.as_str(), source.instance_id.clone());
        let labels = ByObjective { namespace: namespace.clone(), schedule: schedule.clone(), engine, instance_id: instance_id.clone() };
        most.get_or_create(&labels).set(objective.max_age_seconds.into());
        let known = status.objective.as_ref();
        if let Some((time, taken_by)) = known.and_then(|known| Some((known.newest_completion_time.as_ref()?, known.taken_by?))) {
            let labels = ByTaker { namespace, schedule, engine, instance_id, taken_by: name(taken_by) };
            newest.get_or_create(&labels).set(time.0.as_second());
        }
    }
    registry.register("objective_max_age_seconds", "How old the newest backup of the instance may be", most);
    registry.register(
        "newest_backup_timestamp_seconds",
        "When the newest full backup of the instance was completed, whoever took it",
        newest,
    );
}

fn name(taken_by: TakenBy) -> &'static str {
    taken_by.into()
}

fn by_schedule(object: &DatabaseBackupSchedule) -> BySchedule {
    BySchedule { namespace: object.namespace().unwrap_or_default(), schedule: object.name_any() }
}

fn seconds(time: Option<&Time>) -> Option<i64> {
    time.map(|time| time.0.as_second())
}
