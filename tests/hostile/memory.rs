//! How much memory something takes, from the kernel's own books.

use std::fs;
use tokio::sync::{Mutex, MutexGuard};

/// What hostile answers may cost beside what the process has already: one of 8 MB, or all together 32, as often again for the allocator, and what a
/// test's server holds. What has no bound takes a hundred and more.
const ROOM_MB: u64 = 96;

/// One at a time, since the kernel counts for the whole process.
static TURN: Mutex<()> = Mutex::const_new(());

/// The memory of this process from one moment on.
pub struct Measured {
    before: Option<u64>,
    _turn: MutexGuard<'static, ()>,
}

/// Begins to measure.
pub async fn measured() -> Measured {
    let turn = TURN.lock().await;
    // Sets the peak back to what is held now; where that is not allowed, the peak so far is what later ones are compared with.
    let _ = fs::write("/proc/self/clear_refs", "5");
    Measured { before: peak_mb(), _turn: turn }
}

impl Measured {
    /// The peak since then was within its bound. Without `/proc` there is nothing to say.
    pub fn check(&self, what: &str) {
        if let (Some(before), Some(after)) = (self.before, peak_mb()) {
            assert!(after <= before + ROOM_MB, "{what}: {before} MB before, {after} MB at the peak");
        }
    }
}

fn peak_mb() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kilobytes| kilobytes / 1024)
}
