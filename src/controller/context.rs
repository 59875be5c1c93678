//! What every reconcile shares.

use super::{accounts::Accounts, fleet::Fleet, health::Health, metrics::Metrics, served::Definitions, store::Store};
use crate::{
    cloud,
    plan::{clock::Moment, settings::Settings},
};
use jiff::Timestamp;
use kube::runtime::events::Recorder;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
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
    /// What is known of the API server's store.
    pub store: Store,
    /// What is known of the way to the Kubernetes API.
    pub health: Health,
    /// What is known of the served definitions.
    pub definitions: Definitions,
    /// Cancelled when the process is about to end: nothing new is started.
    pub stop: CancellationToken,
    /// Whether this process may act.
    pub leadership: Leadership,
}

impl Context {
    /// Whether something new may be started now. An older definition would drop what has to be stored first.
    pub fn may_act(&self) -> bool {
        self.leads() && self.definitions.are_served()
    }

    /// Whether the cloud may be asked to change anything now: the process is not about to end, and holds the lease.
    pub fn leads(&self) -> bool {
        !self.stop.is_cancelled() && self.leadership.is_held(self.clock.now())
    }
}

/// Whether this process may act: always, or while it holds the Lease.
#[derive(Clone, Debug)]
pub struct Leadership {
    /// Milliseconds of the process's own clock.
    held_until: Arc<AtomicU64>,
}

impl Leadership {
    /// Nobody else is there.
    pub fn always() -> Self {
        Self { held_until: Arc::new(AtomicU64::new(u64::MAX)) }
    }

    /// Until it is won.
    pub fn none() -> Self {
        Self { held_until: Arc::default() }
    }

    /// Whether it is held at this moment.
    pub fn is_held(&self, now: Moment) -> bool {
        now.mono.as_millis() < u128::from(self.held_until.load(Ordering::SeqCst))
    }

    /// It is held until then.
    pub fn hold_until(&self, until: Moment) {
        self.held_until.store(u64::try_from(until.mono.as_millis()).unwrap_or(u64::MAX), Ordering::SeqCst);
    }

    /// It is held no longer.
    pub fn lose(&self) {
        self.held_until.store(0, Ordering::SeqCst);
    }
}

/// The flags that reconciles depend on.
#[derive(Clone, Debug)]
pub struct Options {
    /// The namespaces to watch; empty for all.
    pub namespaces: Vec<String>,
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
