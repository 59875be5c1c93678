//! A moment by both clocks.

use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// A moment by the wall clock, which other processes share and which may jump, and by this process's monotonic clock, which never does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Moment {
    /// Wall clock.
    pub wall: Timestamp,
    /// Time since the process started.
    pub mono: Duration,
}

impl Moment {
    /// How long ago `earlier` was by the monotonic clock; zero if it is later.
    pub fn since(self, earlier: Self) -> Duration {
        self.mono.saturating_sub(earlier.mono)
    }

    /// How long ago an instant of the wall clock was; zero if it lies ahead.
    pub fn since_wall(self, earlier: Timestamp) -> Duration {
        Duration::try_from(self.wall.duration_since(earlier)).unwrap_or_default()
    }

    /// This moment moved by `by` on both clocks.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        let wall = SignedDuration::try_from(by).ok().and_then(|by| self.wall.checked_add(by).ok()).unwrap_or(Timestamp::MAX);
        Self { wall, mono: self.mono.saturating_add(by) }
    }

    /// How long until `later` by the monotonic clock; zero if it has passed.
    pub fn until(self, later: Self) -> Duration {
        later.mono.saturating_sub(self.mono)
    }
}
