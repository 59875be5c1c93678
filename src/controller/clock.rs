//! The process's clocks; or one that stands still until a test moves it.

use crate::plan::clock::Moment;
use jiff::Timestamp;
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// Tells the time by both clocks.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System { started: Instant },
    Driven(Arc<Mutex<Moment>>),
}

impl Clock {
    /// The machine's clocks; the monotonic one starts now.
    pub fn start() -> Self {
        Self(Source::System { started: Instant::now() })
    }

    /// A clock that stands at `now` until it is moved by [`Clock::advance`]: a year passes in a test as fast as it can be decided.
    pub fn driven(now: Moment) -> Self {
        Self(Source::Driven(Arc::new(Mutex::new(now))))
    }

    /// Moves a driven clock; the machine's clocks are moved by nobody.
    pub fn advance(&self, by: Duration) {
        if let Source::Driven(now) = &self.0 {
            let mut now = now.lock().unwrap_or_else(PoisonError::into_inner);
            *now = now.plus(by);
        }
    }

    /// Now.
    pub fn now(&self) -> Moment {
        match &self.0 {
            Source::System { started } => Moment { wall: Timestamp::now(), mono: started.elapsed() },
            Source::Driven(now) => *now.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_driven_clock_stands_still_until_it_is_moved_for_everybody_who_has_it() {
        let then = Moment { wall: "2026-01-01T00:00:00Z".parse().expect("a time"), mono: Duration::from_secs(7) };
        let clock = Clock::driven(then);
        let other = clock.clone();
        assert_eq!((clock.now(), other.now()), (then, then));
        clock.advance(Duration::from_secs(365 * 86_400));
        assert_eq!(other.now(), then.plus(Duration::from_secs(365 * 86_400)));
    }
}
