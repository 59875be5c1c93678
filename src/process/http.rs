//! `/healthz`, `/readyz` and `/metrics`.

use crate::controller::{checks::readiness::Readiness, context::Context};
use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use std::{io, sync::Arc};
use tokio::net::TcpListener;

/// Every address; where there is no IPv6, every one of IPv4.
const ANY: &str = "[::]:";

/// Opens the port.
pub async fn bind(address: &str) -> Result<TcpListener, String> {
    let bound = match (TcpListener::bind(address).await, address.strip_prefix(ANY)) {
        (Err(_), Some(port)) => TcpListener::bind(format!("0.0.0.0:{port}")).await,
        (bound, _) => bound,
    };
    let listener = bound.map_err(|error| format!("cannot listen on {address}: {error} (see --listen)"))?;
    if let Ok(addr) = listener.local_addr() {
        tracing::info!(%addr, "listening");
    }
    Ok(listener)
}

/// Serves until it is aborted; that it ends otherwise is an error. `/healthz` has nothing to weigh: a part of the process that ends, ends the process.
pub async fn serve(listener: TcpListener, ctx: Arc<Context>, readiness: Readiness) -> io::Result<()> {
    let router = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready).with_state(Arc::new(readiness)))
        .route("/metrics", get(metrics).with_state(ctx));
    axum::serve(listener, router).await
}

async fn ready(State(readiness): State<Arc<Readiness>>) -> (StatusCode, String) {
    match readiness.problem().await {
        Some(problem) => (StatusCode::SERVICE_UNAVAILABLE, format!("{problem}\n")),
        None => (StatusCode::OK, "ok\n".to_owned()),
    }
}

async fn metrics(State(ctx): State<Arc<Context>>) -> impl IntoResponse {
    let text = ctx.runtime.metrics.text(&ctx.snapshot());
    ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text)
}
