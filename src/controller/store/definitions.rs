//! Whether the API server serves the definitions of this version.

use tokio::sync::{Notify, watch::Sender};

/// What `/readyz` says where they are missing or older than this program.
pub const NOT_SERVED: &str = "the CRDs of this version are not served";

/// What is known of the served definitions.
pub struct Definitions {
    /// What is wrong with them; nothing while everything is served.
    problem: Sender<Option<String>>,
    suspected: Notify,
}

impl Default for Definitions {
    fn default() -> Self {
        Self { problem: Sender::new(Some("the CRDs are being compared with this version's".to_owned())), suspected: Notify::new() }
    }
}

impl Definitions {
    /// Whether everything that this program needs was served when they were compared last. While it is not, no backup is asked for.
    pub fn are_served(&self) -> bool {
        self.problem.borrow().is_none()
    }

    /// What is wrong with them, in one line, for `/readyz`.
    pub fn problem(&self) -> Option<String> {
        self.problem.borrow().clone()
    }

    /// They were compared, with this problem or none. Answers with whether they are served now and were not before, or the other way round.
    pub fn compared(&self, problem: Option<String>) -> bool {
        let is_served = problem.is_none();
        self.problem.send_replace(problem).is_none() != is_served
    }

    /// A stored object lacks what was written. Nothing new is begun before they were compared again.
    pub fn suspect(&self) {
        self.problem.send_replace(Some(NOT_SERVED.to_owned()));
        self.suspected.notify_one();
    }

    /// Waits until they are suspected.
    pub async fn suspected(&self) {
        self.suspected.notified().await;
    }

    /// Waits until everything is served.
    pub async fn served(&self) {
        // An error would say that the sender is gone, which this holds.
        let _ = self.problem.subscribe().wait_for(Option::is_none).await;
    }
}
