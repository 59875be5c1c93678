//! A moment by both clocks.

use jiff::{SignedDuration, Timestamp};
use std::{cmp::Ordering, time::Duration};

/// How far this machine's clock and the cloud's may be apart before nothing is deleted any more.
pub const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_mins(5);

/// A moment by the wall clock, which other processes share and which may jump, and by this process's monotonic clock, which never does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Moment {
    /// Wall clock.
    pub wall: Timestamp,
    /// Time since the process started.
    pub mono: Duration,
}

/// By the monotonic clock: what came later came later, although the wall clock may have been set back in between.
impl Ord for Moment {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.mono, self.wall).cmp(&(other.mono, other.wall))
    }
}

impl PartialOrd for Moment {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
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

    /// Whether the wall clock and another clock's time for the same moment are so close that something irreversible may rest on both.
    pub fn agrees_with(self, other: Timestamp) -> bool {
        self.wall.duration_since(other).abs() <= CLOCK_TOLERANCE
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
