//! What every reconcile shares.

use super::{accounts::Accounts, fleet::Fleet, metrics::Metrics};
use crate::{
    backup::{clock::Moment, settings::Settings},
    cloud,
};
use jiff::Timestamp;
use kube::runtime::events::Recorder;
use std::sync::Arc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// What every reconcile shares.
pub struct Context {
    /// For single requests: its short timeouts keep a silent API server from holding a reconcile.
    pub client: kube::Client,
    /// For watches.
    pub watcher: kube::Client,
    /// For the cloud.
    pub cloud: Arc<cloud::client::Client>,
    /// Writes Events.
    pub recorder: Recorder,
    /// Tells the time.
    pub clock: Clock,
    /// The flags that reconciles depend on.
    pub options: Options,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Every backup object in memory.
    pub fleet: Fleet,
    /// Every account in memory.
    pub accounts: Accounts,
    /// Cancelled when the process is about to end: nothing new is started.
    pub stop: CancellationToken,
}

/// The flags that reconciles depend on.
#[derive(Clone, Debug)]
pub struct Options {
    /// The timings.
    pub settings: Settings,
    /// Reconciles at once.
    pub concurrency: u16,
    /// Where the Secrets of cluster accounts live.
    pub cluster_resource_namespace: String,
    /// Whether endpoints may be plain HTTP.
    pub allow_insecure_endpoints: bool,
}

/// Both clocks of the process.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Instant,
}

impl Clock {
    /// A clock whose monotonic time starts now.
    pub fn start() -> Self {
        Self { started: Instant::now() }
    }

    /// Now.
    pub fn now(&self) -> Moment {
        Moment { wall: Timestamp::now(), mono: self.started.elapsed() }
    }
}
