//! Whether this process may act.

use crate::plan::clock::Moment;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// Whether this process may act: always, or while it holds the Lease.
#[derive(Clone, Debug)]
pub struct Leadership {
    /// Milliseconds of the process's own clock.
    held_until: Arc<AtomicU64>,
}

impl Leadership {
    /// Nobody else is there.
    pub fn always() -> Self {
        Self { held_until: Arc::new(AtomicU64::new(u64::MAX)) }
    }

    /// Until it is won.
    pub fn none() -> Self {
        Self { held_until: Arc::default() }
    }

    /// Whether it is held at this moment.
    pub fn is_held(&self, now: Moment) -> bool {
        now.mono.as_millis() < u128::from(self.held_until.load(Ordering::SeqCst))
    }

    /// It is held until then.
    pub fn hold_until(&self, until: Moment) {
        self.held_until.store(u64::try_from(until.mono.as_millis()).unwrap_or(u64::MAX), Ordering::SeqCst);
    }

    /// It is held no longer.
    pub fn lose(&self) {
        self.held_until.store(0, Ordering::SeqCst);
    }
}
