//! What the system tests and the demonstration stand on: a real control plane, and the real operator.

#![allow(dead_code, unreachable_pub, reason = "each includer uses a part")]
#![allow(clippy::expect_used, clippy::panic, reason = "a test stops where its ground is missing")]

pub mod api_proxy;
pub mod argo_health;
pub mod child;
pub mod connect_proxy;
pub mod control_plane;
pub mod helm;
pub mod json_lines;
pub mod operator;
pub mod prometheus;
pub mod tools;

use std::{ffi::OsStr, time::Duration};
use tokio::time::{Instant, sleep, timeout_at};

/// Waits for a condition. Panics with the condition's last word when the time is over.
pub async fn eventually<T>(what: &str, within: Duration, mut condition: impl AsyncFnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + within;
    let mut last = "the first look did not end".to_owned();
    // One more look at the end, and a look that does not come back is not waited for.
    loop {
        let is_last = Instant::now() >= deadline;
        let Ok(look) = timeout_at(deadline.max(Instant::now() + LOOK), condition()).await else {
            panic!("{what}: not within {within:?}: a look hangs; before it: {last}")
        };
        match look {
            Ok(value) => return value,
            Err(reason) if is_last => panic!("{what}: not within {within:?}: {reason}"),
            Err(reason) => last = reason,
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// How long a single look may take when the time is over.
const LOOK: Duration = Duration::from_secs(10);

/// Everything is on loopback: no proxy of the surroundings may get in between.
const NO_PROXY: [(&str, Option<&OsStr>); 8] = [
    ("HTTP_PROXY", None),
    ("http_proxy", None),
    ("HTTPS_PROXY", None),
    ("https_proxy", None),
    ("ALL_PROXY", None),
    ("all_proxy", None),
    ("NO_PROXY", None),
    ("no_proxy", None),
];
