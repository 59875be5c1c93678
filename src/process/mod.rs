//! The process: flags, telemetry, HTTP, signals. Everything is wired here and nowhere else.

pub mod config;
mod http;
mod shutdown;
mod telemetry;

use crate::{
    api::MANAGER,
    cloud,
    controller::{
        self,
        accounts::Accounts,
        context::{Clock, Context},
        fleet::Fleet,
        metrics::Metrics,
        served,
    },
};
use config::Run;
use kube::{
    Client, Config,
    runtime::events::{Recorder, Reporter},
};
use std::{
    error::Error,
    sync::{Arc, atomic::AtomicBool, atomic::Ordering},
    time::Duration,
};
use tokio_util::sync::CancellationToken;

/// Answers of the API server to single requests; a reconcile must not wait longer for one.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);
/// A watch is renewed by the server every 290 s at the latest.
const WATCH_TIMEOUT: Duration = Duration::from_secs(300);

/// Runs the operator until SIGTERM or SIGINT.
///
/// # Errors
/// What keeps it from starting: no cluster to talk to, no port to listen on, no TLS roots.
pub async fn run(flags: Run) -> Result<(), Box<dyn Error>> {
    telemetry::start(flags.log_format, &flags.log_level)?;
    if flags.leader_elect {
        return Err("--leader-elect=true is not there yet: run one replica with --leader-elect=false".into());
    }
    let stop = shutdown::on_signal()?;
    let listener = http::bind(&flags.listen).await?;
    let config = Config::infer()
        .await
        .map_err(|error| format!("no cluster to talk to: {error} (in a Pod, mount its ServiceAccount; outside, set KUBECONFIG)"))?;
    let own_namespace = config.default_namespace.clone();
    let metrics = Arc::new(Metrics::new());
    let ctx = Arc::new(Context {
        client: client(config.clone(), REQUEST_TIMEOUT)?,
        watcher: client(config.clone(), WATCH_TIMEOUT)?,
        cloud: Arc::new(cloud::client::Client::new(metrics.clone())?),
        recorder: Recorder::new(client(config, REQUEST_TIMEOUT)?, reporter()),
        clock: Clock::start(),
        options: flags.options(own_namespace),
        metrics,
        fleet: Fleet::default(),
        accounts: Accounts::default(),
        stop,
    });
    let served = Arc::new(AtomicBool::new(false));
    let http = tokio::spawn(http::serve(listener, ctx.clone(), served.clone()));
    served::wait(&ctx).await;
    served.store(true, Ordering::Relaxed);
    if !ctx.stop.is_cancelled() {
        tracing::info!(version = env!("CARGO_PKG_VERSION"), "started");
        controller::run(ctx.clone(), &flags.watch_namespaces).await;
    }
    tracing::info!("stopped");
    http.abort();
    Ok(())
}

fn client(mut config: Config, timeout: Duration) -> Result<Client, kube::Error> {
    config.read_timeout = Some(timeout);
    config.connect_timeout = Some(Duration::from_secs(5));
    config.reset_reader_on_write = true;
    Client::try_from(config)
}

fn reporter() -> Reporter {
    Reporter { controller: MANAGER.into(), instance: std::env::var("HOSTNAME").ok() }
}

/// The token that ends everything.
pub(crate) type Stop = CancellationToken;
