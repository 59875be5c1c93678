//! The process: flags, telemetry, HTTP, signals. Everything is wired here and nowhere else.

mod authorities;
mod check;
mod cluster;
pub mod config;
mod http;
mod lease;
pub mod panics;
mod scrape;
mod server;
mod shutdown;
mod telemetry;
mod usage;
mod wait;

use crate::{
    cloud::{self, client::agents::Agents, client::authorities::Authorities},
    controller::{
        self,
        checks::{definitions, permissions::LeaseName, readiness::Readiness},
        clock::Clock,
        context::Context,
        runtime::{
            ANSWERS, Runtime,
            events::{Events, Writer},
            places::Places,
        },
        store::{
            accounts::Accounts, backups::Backups, definitions::Definitions, health::Health, leadership::Leadership, logins::Logins,
            metrics::Metrics, refusals::Refusals, revisions::Revisions, schedules::Schedules,
        },
    },
};
pub use check::check;
use config::Run;
use kube::Config;
use lease::Election;
use std::{error::Error, sync::Arc, time::Duration};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use usage::Usage;
pub use wait::wait;

/// A watch is renewed every 120 s.
const WATCH_TIMEOUT: Duration = Duration::from_secs(150);

/// Runs the operator until SIGTERM or SIGINT.
///
/// # Errors
/// What keeps it from starting: no cluster to talk to, no port to listen on, no TLS roots. A lost lease: somebody else acts from now on. A part of the
/// process that ended by itself: a restart mends that, and going on without it would not be noticed.
pub async fn run(flags: Run) -> Result<(), Box<dyn Error>> {
    telemetry::start(flags.log_format, &flags.log_level)?;
    let stop = shutdown::on_signal()?;
    let listener = http::bind(&flags.listen).await?;
    for problem in cluster::unusable_proxies() {
        tracing::warn!(problem, "a proxy of the environment cannot be used");
    }
    let authorities = authorities::read(flags.ca_bundle.as_deref())?;
    let config = cluster::config()?;
    let (ctx, granted, events) = context(&flags, &config, &authorities, stop)?;
    let events = events.start();
    let http = AbortOnDropHandle::new(tokio::spawn(http::serve(listener, ctx.clone(), Readiness::new(ctx.clone()))));
    let _definitions = AbortOnDropHandle::new(tokio::spawn(definitions::watch(ctx.clone())));
    let result = tokio::select! {
        result = work(&flags, &config, &ctx, granted) => result,
        ended = http => Err(format!("a bug: the HTTP server ended by itself: {ended:?}").into()),
    };
    events.finish().await;
    tracing::info!("stopped");
    result
}

async fn work(flags: &Run, config: &Config, ctx: &Arc<Context>, granted: Granted) -> Result<(), Box<dyn Error>> {
    tokio::select! {
        () = ctx.definitions.served() => {}
        () = ctx.runtime.stop.cancelled() => {}
    }
    match flags.lease(&config.default_namespace) {
        Some(lease) => lead(&lease, flags.lease_duration, config, ctx, granted).await,
        None => act(ctx, granted).await,
    }
}

fn context(
    flags: &Run,
    config: &Config,
    authorities: &Authorities,
    stop: CancellationToken,
) -> Result<(Arc<Context>, Granted, Writer), Box<dyn Error>> {
    let client = cluster::client(config.clone(), cluster::REQUEST_TIMEOUT)?;
    let answers = Places::new(ANSWERS);
    let (events, writer) = Events::new(client, std::env::var("HOSTNAME").ok(), answers.clone());
    let metrics = Arc::new(Metrics::new().with(Box::new(Usage)));
    let runtime = Runtime {
        client: cluster::client(config.clone(), cluster::REQUEST_TIMEOUT)?,
        watcher: cluster::client(config.clone(), WATCH_TIMEOUT)?,
        events,
        clock: Clock::start(),
        concurrency: flags.concurrency,
        answers,
        stop,
        metrics: metrics.clone(),
        health: Health::default(),
        refusals: Refusals::default(),
        revisions: Revisions::default(),
    };
    let (accounts, granted) = Accounts::new();
    let ctx = Context {
        runtime: Arc::new(runtime),
        cloud: Arc::new(cloud::client::Client::trusting(authorities, metrics)?),
        agents: Agents::new()?,
        options: flags.options(config.default_namespace.clone()),
        backups: Backups::default(),
        schedules: Schedules::default(),
        accounts,
        logins: Logins::default(),
        definitions: Definitions::default(),
        leadership: if flags.leader_elect { Leadership::none() } else { Leadership::always() },
    };
    Ok((Arc::new(ctx), granted, writer))
}

async fn act(ctx: &Arc<Context>, granted: Granted) -> Result<(), Box<dyn Error>> {
    if !ctx.runtime.stop.is_cancelled() {
        tracing::info!(version = env!("CARGO_PKG_VERSION"), "started");
        controller::run(ctx.clone(), granted).await?;
    }
    Ok(())
}

/// Acts while this process holds the lease. What was under way when it is lost is left to whoever holds it then.
async fn lead(lease: &LeaseName, duration: Duration, config: &Config, ctx: &Arc<Context>, granted: Granted) -> Result<(), Box<dyn Error>> {
    let own_client = cluster::client(config.clone(), duration / 5)?;
    let clock = ctx.runtime.clock.clone();
    let mut election = Election::new(own_client, &lease.namespace, &lease.name, duration, clock, ctx.leadership.clone());
    tokio::select! {
        () = election.win() => {}
        () = ctx.runtime.stop.cancelled() => return Ok(()),
    }
    let ended = tokio::select! {
        ended = act(ctx, granted) => ended,
        () = election.keep() => Err("the lease was lost: another replica acts from now on".into()),
    };
    election.release().await;
    ended
}

/// Says why the process ends: in the log where there is one, so that each line of it has the same form.
pub fn ended(error: &dyn Error) {
    if tracing::enabled!(tracing::Level::ERROR) {
        tracing::error!("{error}");
    } else {
        eprintln!("database-backup-operator: {error}");
    }
}

/// The UIDs of the objects that permits were granted to.
type Granted = UnboundedReceiver<String>;
