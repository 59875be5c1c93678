//! `/healthz`, `/readyz` and `/metrics`.

use super::{
    scrape::Scrape,
    server::{self, BOUNDS},
};
use crate::controller::{checks::readiness::Readiness, context::Context};
use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use std::sync::Arc;
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

/// Serves until it is aborted. `/healthz` has nothing to weigh: a part of the process that ends, ends the process.
pub async fn serve(listener: TcpListener, ctx: Arc<Context>, readiness: Readiness) -> ! {
    let clock = ctx.runtime.clock.clone();
    let scrape = Scrape::new(clock.clone(), move || ctx.runtime.metrics.text(&ctx.snapshot()));
    let router = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready).with_state(Arc::new(readiness)))
        .route("/metrics", get(metrics).with_state(Arc::new(scrape)));
    server::serve(listener, router, BOUNDS, clock).await
}

async fn ready(State(readiness): State<Arc<Readiness>>) -> (StatusCode, String) {
    match readiness.problem().await {
        Some(problem) => (StatusCode::SERVICE_UNAVAILABLE, format!("{problem}\n")),
        None => (StatusCode::OK, "ok\n".to_owned()),
    }
}

async fn metrics(State(scrape): State<Arc<Scrape>>) -> Response {
    match scrape.text().await {
        Ok(text) => ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}
