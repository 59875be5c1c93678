//! The operator's controllers in this process, with a clock that a test moves; put together as `process` does.

use database_backup_operator::{
    cloud::{
        client::{
            Client,
            agents::{AgencyOptions, Agents},
            authorities::Authorities,
        },
        endpoints::EndpointPolicy,
    },
    controller::{
        self,
        clock::Clock,
        context::{Context, Options},
        runtime::{ANSWERS, Runtime, events::Events, places::Places},
        store::{
            accounts::Accounts, backups::Backups, definitions::Definitions, health::Health, leadership::Leadership, logins::Logins,
            metrics::Metrics, refusals::Refusals, revisions::Revisions, schedules::Schedules,
        },
    },
    plan::{backup::description::ClusterName, clock::Moment, settings::Settings},
};
use jiff::Timestamp;
use kube::config::{KubeConfigOptions, Kubeconfig};
use std::{path::Path, sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// A running operator. When it is dropped it is gone as after a kill: whatever was under way ends where it stands.
pub struct Inside {
    pub ctx: Arc<Context>,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Drop for Inside {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Short ones: the clock goes on in steps of seconds.
fn settings() -> Settings {
    Settings {
        poll_interval: Duration::from_millis(200),
        settle_delay: Duration::from_secs(5),
        resync_interval: Duration::from_secs(6 * 3600),
        blocked_grace: Duration::from_secs(2),
        gone_after: Duration::from_secs(2),
        retry_backoff: Duration::from_millis(500),
    }
}

impl Inside {
    /// Starts one at this moment of the driven clock.
    pub async fn start(kubeconfig: &Path, now: Timestamp) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
        let kubeconfig = Kubeconfig::read_from(kubeconfig).expect("a kubeconfig");
        let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.expect("a configuration");
        config.proxy_url = None;
        let (send, receive) = tokio::sync::oneshot::channel();
        runtime.spawn(async move {
            let (ctx, granted) = context(&config, now);
            let ctx = Arc::new(ctx);
            let _ = send.send(ctx.clone());
            controller::run(ctx, granted).await.expect("the controllers go on");
        });
        Self { ctx: receive.await.expect("it starts"), runtime: Some(runtime) }
    }

    /// Moves its clock.
    pub fn advance(&self, by: Duration) {
        self.ctx.runtime.clock.advance(by);
    }

    /// Has everything looked at again: what waits for a moment does so by the machine's clock.
    pub fn wake(&self) {
        self.ctx.schedules.wake_all();
        self.ctx.backups.wake_unfinished();
    }
}

fn context(config: &kube::Config, now: Timestamp) -> (Context, tokio::sync::mpsc::UnboundedReceiver<String>) {
    let client = || kube::Client::try_from(config.clone()).expect("a client");
    let metrics = Arc::new(Metrics::new());
    let runtime = Runtime {
        client: client(),
        watcher: client(),
        // Nobody reads them.
        events: Events::new(client(), None, Places::new(1)).0,
        clock: Clock::driven(Moment { wall: now, mono: Duration::ZERO }),
        concurrency: 16,
        answers: Places::new(ANSWERS),
        stop: CancellationToken::new(),
        metrics: metrics.clone(),
        health: Health::default(),
        refusals: Refusals::default(),
        revisions: Revisions::default(),
    };
    let options = Options {
        namespaces: vec![],
        settings: settings(),
        cluster_resource_namespace: "operator".into(),
        endpoint_policy: EndpointPolicy { allow_insecure: true, ..EndpointPolicy::default() },
        agencies: AgencyOptions::default(),
        cluster_name: ClusterName::default(),
    };
    let (accounts, granted) = Accounts::new();
    let ctx = Context {
        runtime: Arc::new(runtime),
        cloud: Arc::new(Client::trusting(&Authorities::default(), metrics).expect("a client of the cloud")),
        options,
        agents: Agents::new().expect("a client"),
        backups: Backups::default(),
        schedules: Schedules::default(),
        accounts,
        logins: Logins::default(),
        definitions: Definitions::default(),
        leadership: Leadership::always(),
    };
    // The definitions that are served are those of this build.
    ctx.definitions.compared(None);
    (ctx, granted)
}
