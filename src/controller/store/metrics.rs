//! What is counted, and what is read off the memory when it is scraped. Labels come from fixed sets, or name an instance or an account; never an
//! object, a backup's id, or what the cloud said.

use super::gauges::{self, Snapshot};
use crate::{
    api::{
        account::{CloudAccount, ClusterCloudAccount},
        backup::DatabaseBackup,
        schedule::DatabaseBackupSchedule,
        status::{DatabaseBackupStatus, Phase},
    },
    cloud::{
        client::{Call, Observer},
        engine::Engine,
        iam,
    },
    controller::kind::Kind,
};
use prometheus_client::{
    collector::Collector,
    encoding::{
        EncodeLabelSet,
        text::{encode_eof, encode_registry},
    },
    metrics::{counter::Counter, family::Family, histogram::Histogram, info::Info},
    registry::Registry,
};
use std::time::Duration;

/// What is counted.
pub struct Metrics {
    registry: Registry,
    reconciles: Family<ByKindAndResult, Counter>,
    reconcile_seconds: Histograms<ByKind>,
    cloud_requests: Family<CloudRequest, Counter>,
    cloud_seconds: Histograms<CloudOperation>,
    throttled: Family<ByService, Counter>,
    results: Family<ByResult, Counter>,
    deletions: Family<ByResult, Counter>,
    backup_seconds: Histograms<ByEngine>,
    writes_refused: Family<ByKind, Counter>,
    /// Second backups in the cloud under one object's mark.
    pub duplicate_remotes: Counter,
}

type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByKindAndResult {
    kind: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByKind {
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CloudRequest {
    service: &'static str,
    operation: &'static str,
    code: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CloudOperation {
    service: &'static str,
    operation: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByService {
    service: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByResult {
    engine: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByEngine {
    engine: &'static str,
}

/// Seconds: from an answer out of a cache to the create call's own timeout and beyond.
const CLOUD_BUCKETS: [f64; 10] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0];
/// Seconds: one write of a status to a create call that takes its time.
const RECONCILE_BUCKETS: [f64; 9] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0];
/// Seconds: a minute to a day.
const BACKUP_BUCKETS: [f64; 9] = [60.0, 300.0, 900.0, 1800.0, 3600.0, 7200.0, 14_400.0, 28_800.0, 86_400.0];

/// How a backup ended: those of [`Metrics::written`].
const RESULTS: [&str; 3] = ["completed", "failed", "attempt_failed"];
/// How a DELETE call ended: those of [`Metrics::deleted`].
const DELETIONS: [&str; 2] = ["accepted", "error"];

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Everything at zero, and there: what is absent until it first happens cannot be seen to grow.
    pub fn new() -> Self {
        let metrics = Self {
            registry: Registry::default(),
            reconciles: Family::default(),
            reconcile_seconds: Family::new_with_constructor(|| Histogram::new(RECONCILE_BUCKETS)),
            cloud_requests: Family::default(),
            cloud_seconds: Family::new_with_constructor(|| Histogram::new(CLOUD_BUCKETS)),
            throttled: Family::default(),
            results: Family::default(),
            deletions: Family::default(),
            backup_seconds: Family::new_with_constructor(|| Histogram::new(BACKUP_BUCKETS)),
            writes_refused: Family::default(),
            duplicate_remotes: Counter::default(),
        };
        for engine in Engine::all().map(Engine::as_str) {
            for result in RESULTS {
                metrics.results.get_or_create(&ByResult { engine, result }).inc_by(0);
            }
            for result in DELETIONS {
                metrics.deletions.get_or_create(&ByResult { engine, result }).inc_by(0);
            }
            drop(metrics.backup_seconds.get_or_create(&ByEngine { engine }));
        }
        for kind in [DatabaseBackup::NAME, DatabaseBackupSchedule::NAME, CloudAccount::NAME, ClusterCloudAccount::NAME] {
            for result in ["ok", "error"] {
                metrics.reconciles.get_or_create(&ByKindAndResult { kind, result }).inc_by(0);
            }
            metrics.writes_refused.get_or_create(&ByKind { kind }).inc_by(0);
        }
        for service in Engine::all().map(|engine| engine.api().label).chain([iam::API.label]) {
            metrics.throttled.get_or_create(&ByService { service }).inc_by(0);
        }
        metrics.registered()
    }

    fn registered(mut self) -> Self {
        let own = self.registry.sub_registry_with_prefix("dbbackup");
        own.register("reconciles", "Reconciles by kind and result", self.reconciles.clone());
        own.register("reconcile_duration_seconds", "Seconds that reconciles took", self.reconcile_seconds.clone());
        own.register("cloud_requests", "Requests to the cloud by service, operation and code", self.cloud_requests.clone());
        own.register("cloud_request_duration_seconds", "Seconds that requests to the cloud took", self.cloud_seconds.clone());
        own.register("cloud_throttled", "Requests that the cloud turned away as too many", self.throttled.clone());
        own.register("backup_results", "Backups that came to an end, and attempts that the cloud reported as failed", self.results.clone());
        own.register("deletions", "Calls that delete a backup in the cloud", self.deletions.clone());
        own.register(
            "backup_duration_seconds",
            "Seconds from a backup's start in the cloud to its completion",
            self.backup_seconds.clone(),
        );
        own.register("duplicate_remotes", "Second backups found in the cloud under one object's mark", self.duplicate_remotes.clone());
        own.register("writes_refused", "Writes of a status or a finalizer that the Kubernetes API refused", self.writes_refused.clone());
        own.register("build", "Version of this program", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        self
    }

    /// Adds what is collected elsewhere.
    #[must_use]
    pub fn with(mut self, collector: Box<dyn Collector>) -> Self {
        self.registry.register_collector(collector);
        self
    }

    /// A reconcile of a kind ended with `ok` or `error`.
    pub fn reconciled(&self, kind: &'static str, result: &'static str) {
        self.reconciles.get_or_create(&ByKindAndResult { kind, result }).inc();
    }

    /// A reconcile of a kind took so long.
    pub fn took(&self, kind: &'static str, elapsed: Duration) {
        self.reconcile_seconds.get_or_create(&ByKind { kind }).observe(elapsed.as_secs_f64());
    }

    /// The API server refused to store a part of an object of a kind.
    pub fn write_refused(&self, kind: &'static str) {
        self.writes_refused.get_or_create(&ByKind { kind }).inc();
    }

    /// A status was stored: counts what came to an end by it.
    pub fn written(&self, engine: Engine, before: &DatabaseBackupStatus, after: &DatabaseBackupStatus) {
        let engine = engine.as_str();
        let count = |result, by: usize| {
            self.results.get_or_create(&ByResult { engine, result }).inc_by(by as u64);
        };
        count("attempt_failed", after.failed_attempts.len().saturating_sub(before.failed_attempts.len()));
        match after.phase {
            phase if phase == before.phase => {}
            // A backup that was missing and turns up was counted before.
            Some(Phase::Completed) if before.phase != Some(Phase::Missing) => {
                count("completed", 1);
                if let Some(seconds) = duration(after) {
                    self.backup_seconds.get_or_create(&ByEngine { engine }).observe(seconds);
                }
            }
            Some(Phase::Failed) => count("failed", 1),
            _ => {}
        }
    }

    /// A DELETE call ended.
    pub fn deleted(&self, engine: Engine, is_accepted: bool) {
        let result = if is_accepted { "accepted" } else { "error" };
        self.deletions.get_or_create(&ByResult { engine: engine.as_str(), result }).inc();
    }

    /// The text that Prometheus scrapes, in the OpenMetrics format. No lock is held for what is about objects and accounts. The library holds that of a
    /// counter's family while it writes its lines; labels come from fixed sets, so these are few.
    pub fn text(&self, snapshot: &Snapshot) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = encode_registry(&mut text, &self.registry)
            .and_then(|()| encode_registry(&mut text, &gauges::registry(snapshot)))
            .and_then(|()| encode_eof(&mut text));
        text
    }
}

/// How long the cloud took, where both times are known and in order.
fn duration(status: &DatabaseBackupStatus) -> Option<f64> {
    let (start, end) = (status.start_time.as_ref()?.0, status.completion_time.as_ref()?.0);
    let elapsed = end.duration_since(start);
    (!elapsed.is_negative()).then(|| elapsed.as_secs_f64())
}

impl Observer for Metrics {
    fn call(&self, call: &Call<'_>) {
        let Call { service, operation, .. } = *call;
        self.cloud_requests.get_or_create(&CloudRequest { service, operation, code: call.code.to_owned() }).inc();
        self.cloud_seconds.get_or_create(&CloudOperation { service, operation }).observe(call.elapsed.as_secs_f64());
        if call.is_throttled {
            self.throttled.get_or_create(&ByService { service }).inc();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::{backup::AccountKind, status::FailedAttempt},
        plan::{
            account::AccountKey,
            summary::{Instance, Summary},
        },
    };
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use std::sync::Arc;

    fn instance(instance_id: &str) -> Instance {
        Instance { namespace: "shop".into(), engine: Engine::DCS, instance_id: instance_id.into() }
    }

    fn snapshot(summaries: &[(&str, Summary)]) -> Snapshot {
        let key = AccountKey { kind: AccountKind::CloudAccount, namespace: Some("shop".into()), name: "default".into() };
        Snapshot {
            phases: vec![(Phase::Completed, 1)],
            summaries: Arc::new(summaries.iter().map(|(id, summary)| (instance(id), summary.clone())).collect()),
            accounts: [(key, false)].into(),
            schedules: Vec::new(),
            leads: true,
            failing_watches: 0,
        }
    }

    #[test]
    fn series_come_and_go_with_what_they_are_about() {
        let metrics = Metrics::new();
        let summary = Summary { last_success: Some("2026-03-01T00:00:10Z".parse().unwrap()), retained: 2, held: 1, ..Summary::default() };
        let text = metrics.text(&snapshot(&[("i-1", summary)]));
        for line in [
            "dbbackup_last_success_timestamp_seconds{namespace=\"shop\",engine=\"DCS\",instance_id=\"i-1\"} 1772323210\n",
            "dbbackup_backups_retained{namespace=\"shop\",engine=\"DCS\",instance_id=\"i-1\"} 2\n",
            "dbbackup_backups_held{namespace=\"shop\",engine=\"DCS\",instance_id=\"i-1\"} 1\n",
            "dbbackup_account_ready{kind=\"CloudAccount\",namespace=\"shop\",name=\"default\"} 0\n",
            "dbbackup_leader 1\n",
            "dbbackup_watches_failing 0\n",
            "dbbackup_backups{phase=\"Completed\"} 1\n",
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
        assert!(!text.contains("dbbackup_last_status{"), "nothing came to an end: no series");
        let text = metrics.text(&snapshot(&[]));
        assert!(!text.contains("i-1"), "{text}");
        assert_eq!((text.matches("# EOF").count(), text.ends_with("# EOF\n")), (1, true));
    }

    #[test]
    fn no_family_is_there_twice_and_each_says_what_it_is() {
        let text = Metrics::new().text(&snapshot(&[]));
        let families: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
        let mut once = families.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), families.len(), "{families:?}");
        assert!(families.iter().all(|family| text.contains(&format!("# HELP {family} "))));
    }

    #[test]
    fn what_may_happen_is_there_before_it_does() {
        let text = Metrics::new().text(&snapshot(&[]));
        for line in [
            "dbbackup_backup_results_total{engine=\"TaurusDB\",result=\"failed\"} 0\n",
            "dbbackup_deletions_total{engine=\"DCS\",result=\"error\"} 0\n",
            "dbbackup_cloud_throttled_total{service=\"iam\"} 0\n",
            "dbbackup_duplicate_remotes_total 0\n",
            "dbbackup_reconciles_total{kind=\"ClusterCloudAccount\",result=\"error\"} 0\n",
            "dbbackup_writes_refused_total{kind=\"CloudAccount\"} 0\n",
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
    }

    #[test]
    fn each_end_is_counted_once() {
        let metrics = Metrics::new();
        let phase = |phase| DatabaseBackupStatus { phase: Some(phase), ..DatabaseBackupStatus::default() };
        let time = |text: &str| Some(Time(text.parse().unwrap()));
        let attempt = FailedAttempt { backup_name: "dbb-1".into(), backup_id: None, message: "no".into() };
        let retried = DatabaseBackupStatus { failed_attempts: vec![attempt], ..phase(Phase::Pending) };
        let done = DatabaseBackupStatus {
            start_time: time("2026-03-01T00:00:00Z"),
            completion_time: time("2026-03-01T00:20:00Z"),
            ..phase(Phase::Completed)
        };
        let lives = [phase(Phase::Pending), phase(Phase::Running), retried, phase(Phase::Running), done.clone(), done.clone()];
        for step in lives.windows(2) {
            metrics.written(Engine::DCS, &step[0], &step[1]);
        }
        metrics.written(Engine::DCS, &phase(Phase::Missing), &done);
        metrics.written(Engine::DCS, &phase(Phase::Pending), &phase(Phase::Failed));
        let text = metrics.text(&snapshot(&[]));
        for line in [
            "dbbackup_backup_results_total{engine=\"DCS\",result=\"completed\"} 1\n",
            "dbbackup_backup_results_total{engine=\"DCS\",result=\"attempt_failed\"} 1\n",
            "dbbackup_backup_results_total{engine=\"DCS\",result=\"failed\"} 1\n",
            "dbbackup_backup_duration_seconds_sum{engine=\"DCS\"} 1200.0\n",
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
    }
}
