//! What the system tests and the demonstration stand on: a real control plane, and the real operator.

// Each includer uses a part.
#![allow(dead_code, unreachable_pub)]

pub mod child;
pub mod control_plane;
pub mod operator;

use std::{future::Future, time::Duration};
use tokio::time::{Instant, sleep};

/// Waits for a condition. Panics with the condition's last word when the time is over.
pub async fn eventually<T, F>(what: &str, within: Duration, mut condition: impl FnMut() -> F) -> T
where
    F: Future<Output = Result<T, String>>,
{
    let deadline = Instant::now() + within;
    loop {
        match condition().await {
            Ok(value) => return value,
            Err(reason) if Instant::now() >= deadline => panic!("{what}: not within {within:?}: {reason}"),
            Err(_) => sleep(Duration::from_millis(50)).await,
        }
    }
}
