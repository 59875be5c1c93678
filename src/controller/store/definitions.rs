//! Whether the API server serves the definitions of this version.

use tokio::sync::{Notify, watch::Sender};

/// What is known of the served definitions.
pub struct Definitions {
    served: Sender<bool>,
    suspected: Notify,
}

impl Default for Definitions {
    fn default() -> Self {
        Self { served: Sender::new(false), suspected: Notify::new() }
    }
}

impl Definitions {
    /// Whether everything that this program needs was served when they were compared last. While it is not, no backup is asked for.
    pub fn are_served(&self) -> bool {
        *self.served.borrow()
    }

    /// They were compared. Answers with whether that is news.
    pub fn compared(&self, served: bool) -> bool {
        self.served.send_replace(served) != served
    }

    /// A stored object lacks what was written. Nothing new is begun before they were compared again.
    pub fn suspect(&self) {
        self.served.send_replace(false);
        self.suspected.notify_one();
    }

    /// Waits until they are suspected.
    pub async fn suspected(&self) {
        self.suspected.notified().await;
    }

    /// Waits until everything is served.
    pub async fn served(&self) {
        // An error would say that the sender is gone, which this holds.
        let _ = self.served.subscribe().wait_for(|served| *served).await;
    }
}
