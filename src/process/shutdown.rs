//! The one owner of signals.

use super::Stop;
use tokio::signal::unix::{SignalKind, signal};

/// A token that is cancelled by SIGTERM or SIGINT.
pub fn on_signal() -> std::io::Result<Stop> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let stop = Stop::new();
    let cancel = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping: nothing new is started, calls under way end");
        cancel.cancel();
    });
    Ok(stop)
}
