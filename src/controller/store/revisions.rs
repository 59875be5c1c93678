//! The API server's newest revision, and whether its storage was put back to an earlier state, as by a restored etcd snapshot.
//!
//! Versions only grow (`resourceVersion` is the storage's revision), and a read begins after everything that was answered before it. So a version lower than
//! one that was known before the read says that the storage was put back. A watch does not say so by itself: it waits for a version that lies in the future.

use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::watch::{Receiver, Sender};

/// What is known of the API server's revisions.
pub struct Revisions {
    /// The highest version that anybody was answered with.
    highest: AtomicU64,
    /// How often the storage was put back.
    put_back: Sender<u64>,
}

impl Default for Revisions {
    fn default() -> Self {
        Self { highest: AtomicU64::new(0), put_back: Sender::new(0) }
    }
}

impl Revisions {
    /// Hears whenever the storage was put back.
    pub fn subscribe(&self) -> Receiver<u64> {
        self.put_back.subscribe()
    }

    /// An object of this version was seen.
    pub fn saw(&self, version: Option<u64>) {
        if let Some(version) = version {
            self.highest.fetch_max(version, Ordering::SeqCst);
        }
    }

    /// The highest version that was seen.
    pub fn highest(&self) -> u64 {
        self.highest.load(Ordering::SeqCst)
    }

    /// The storage was put back: what was known of its revisions is void.
    pub fn forget(&self) {
        self.highest.store(0, Ordering::SeqCst);
        self.put_back.send_modify(|times| *times += 1);
    }
}
