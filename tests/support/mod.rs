//! What the system tests and the demonstration stand on: a real control plane, and the real operator.

#![allow(dead_code, unreachable_pub, reason = "each includer uses a part")]
#![allow(clippy::expect_used, clippy::panic, reason = "a test stops where its ground is missing")]

pub mod child;
pub mod control_plane;
pub mod operator;

use std::{ffi::OsStr, time::Duration};
use tokio::time::{Instant, sleep, timeout_at};

/// Waits for a condition. Panics with the condition's last word when the time is over.
pub async fn eventually<T>(what: &str, within: Duration, mut condition: impl AsyncFnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + within;
    let mut last = "the first look did not end".to_owned();
    loop {
        match timeout_at(deadline, condition()).await {
            Ok(Ok(value)) => return value,
            Ok(Err(reason)) => last = reason,
            Err(_) => panic!("{what}: not within {within:?}: {last}"),
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// Everything is on loopback: no proxy of the surroundings may get in between.
const NO_PROXY: [(&str, Option<&OsStr>); 6] =
    [("HTTP_PROXY", None), ("http_proxy", None), ("HTTPS_PROXY", None), ("https_proxy", None), ("ALL_PROXY", None), ("all_proxy", None)];
