//! `/healthz`, `/readyz` and `/metrics`.

use crate::controller::context::Context;
use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use tokio::net::TcpListener;

/// The default address, where it may fall back to IPv4.
const ANY: &str = "[::]:8080";

/// Opens the port.
pub async fn bind(address: &str) -> Result<TcpListener, String> {
    let bound = match TcpListener::bind(address).await {
        Err(_) if address == ANY => TcpListener::bind("0.0.0.0:8080").await,
        bound => bound,
    };
    let listener = bound.map_err(|error| format!("cannot listen on {address}: {error} (see --listen)"))?;
    if let Ok(addr) = listener.local_addr() {
        tracing::info!(%addr, "listening");
    }
    Ok(listener)
}

#[derive(Clone)]
struct Served {
    ctx: Arc<Context>,
    crds: Arc<AtomicBool>,
}

/// Serves until it is aborted. `crds`: the API server serves everything that this program needs.
pub async fn serve(listener: TcpListener, ctx: Arc<Context>, crds: Arc<AtomicBool>) {
    let router = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(Served { ctx, crds });
    if let Err(error) = axum::serve(listener, router).await {
        tracing::error!(%error, "the HTTP server ended");
    }
}

async fn ready(State(served): State<Served>) -> (StatusCode, &'static str) {
    if !served.crds.load(Ordering::Relaxed) {
        return (StatusCode::SERVICE_UNAVAILABLE, "the CRDs of this version are not served\n");
    }
    if !served.ctx.accounts.are_synced() {
        return (StatusCode::SERVICE_UNAVAILABLE, "accounts are being listed\n");
    }
    (StatusCode::OK, "ok\n")
}

async fn metrics(State(served): State<Served>) -> impl IntoResponse {
    let backups = served.ctx.fleet.count_by_phase().into_iter().map(|(phase, count)| (phase.as_str(), count));
    let text = served.ctx.metrics.text(backups);
    ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text)
}
