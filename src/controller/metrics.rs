//! What is counted. Labels come from fixed sets, never from an object's name or an id.

use crate::cloud::client::Observer;
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info},
    registry::Registry,
};
use std::time::Duration;

/// What is counted.
pub struct Metrics {
    registry: Registry,
    reconciles: Family<Reconcile, Counter>,
    cloud_requests: Family<CloudRequest, Counter>,
    cloud_seconds: Family<CloudOperation, Histogram, fn() -> Histogram>,
    backups: Family<ByPhase, Gauge>,
    /// Second backups in the cloud under one object's mark.
    pub duplicate_remotes: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reconcile {
    kind: &'static str,
    result: &'static str,
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
struct ByPhase {
    phase: &'static str,
}

/// Seconds: from an answer out of a cache to the create call's own timeout and beyond.
const CLOUD_BUCKETS: [f64; 10] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0];

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Everything at zero.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("dbbackup");
        let reconciles = Family::default();
        registry.register("reconciles", "Reconciles by kind and result", reconciles.clone());
        let cloud_requests = Family::default();
        registry.register("cloud_requests", "Requests to the cloud by service, operation and code", cloud_requests.clone());
        let cloud_seconds: Family<_, _, fn() -> Histogram> = Family::new_with_constructor(|| Histogram::new(CLOUD_BUCKETS));
        registry.register("cloud_request_duration_seconds", "Seconds that requests to the cloud took", cloud_seconds.clone());
        let backups = Family::default();
        registry.register("backups", "DatabaseBackup objects by phase", backups.clone());
        let duplicate_remotes = Counter::default();
        registry.register("duplicate_remotes", "Second backups found in the cloud under one object's mark", duplicate_remotes.clone());
        registry.register("build", "Version of this program", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        Self { registry, reconciles, cloud_requests, cloud_seconds, backups, duplicate_remotes }
    }

    /// A reconcile of a kind ended with `ok` or `error`.
    pub fn reconciled(&self, kind: &'static str, result: &'static str) {
        self.reconciles.get_or_create(&Reconcile { kind, result }).inc();
    }

    /// The text that Prometheus scrapes, in the OpenMetrics format.
    pub fn text(&self, backups: impl IntoIterator<Item = (&'static str, usize)>) -> String {
        for (phase, count) in backups {
            self.backups.get_or_create(&ByPhase { phase }).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

impl Observer for Metrics {
    fn call(&self, service: &'static str, operation: &'static str, code: &str, elapsed: Duration) {
        self.cloud_requests.get_or_create(&CloudRequest { service, operation, code: code.to_owned() }).inc();
        self.cloud_seconds.get_or_create(&CloudOperation { service, operation }).observe(elapsed.as_secs_f64());
    }
}
