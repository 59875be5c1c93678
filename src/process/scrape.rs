//! The text of `/metrics`, made by one at a time.

use crate::{controller::clock::Clock, plan::clock::Moment};
use axum::body::Bytes;
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::Mutex,
    task::{JoinError, spawn_blocking},
};

/// How long a text is good for: several that scrape at once cost the time and the memory of one.
const GOOD_FOR: Duration = Duration::from_secs(1);

/// Makes the text of a scrape.
pub struct Scrape {
    clock: Clock,
    make: Arc<dyn Fn() -> String + Send + Sync>,
    latest: Arc<Mutex<Option<(Moment, Bytes)>>>,
}

impl Scrape {
    /// Nothing was made yet.
    pub fn new(clock: Clock, make: impl Fn() -> String + Send + Sync + 'static) -> Self {
        Self { clock, make: Arc::new(make), latest: Arc::default() }
    }

    /// The text now, or one of the last second.
    ///
    /// # Errors
    /// The process ends.
    pub async fn text(&self) -> Result<Bytes, JoinError> {
        // Whoever comes meanwhile waits for this text.
        let mut latest = self.latest.clone().lock_owned().await;
        if let Some((_, text)) = latest.as_ref().filter(|(begun, _)| self.clock.now().since(*begun) < GOOD_FOR) {
            return Ok(text.clone());
        }
        let (make, begun) = (self.make.clone(), self.clock.now());
        // The lock goes along: when whoever asked has gone away, the text is still being made, and no second one beside it.
        let making = move || {
            let text = Bytes::from(make());
            *latest = Some((begun, text.clone()));
            text
        };
        spawn_blocking(making).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc,
    };

    #[tokio::test(flavor = "multi_thread")]
    async fn many_that_scrape_at_once_get_one_text_even_if_the_first_of_them_goes_away() {
        let made = Arc::new(AtomicUsize::new(0));
        let (go, gate) = mpsc::channel::<()>();
        let (counter, gate) = (made.clone(), std::sync::Mutex::new(gate));
        let scrape = Arc::new(Scrape::new(Clock::start(), move || {
            counter.fetch_add(1, Ordering::SeqCst);
            gate.lock().expect("one at a time").recv().expect("somebody lets it go on");
            "text".repeat(1000)
        }));
        let ask = || {
            let scrape = scrape.clone();
            tokio::spawn(async move { scrape.text().await.expect("a text") })
        };
        let first = ask();
        while made.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        first.abort();
        let others: Vec<_> = (0..50).map(|_| ask()).collect();
        go.send(()).expect("it waits");
        let mut texts = Vec::new();
        for other in others {
            texts.push(other.await.expect("it ends"));
        }
        assert_eq!(made.load(Ordering::SeqCst), 1);
        let shared = texts[0].as_ptr();
        assert!(texts.iter().all(|text| text.as_ptr() == shared), "all of them hold the same bytes");
    }

    #[tokio::test]
    async fn a_text_is_made_anew_after_a_second() {
        let made = AtomicUsize::new(0);
        let clock = Clock::driven(Clock::start().now());
        let scrape = Scrape::new(clock.clone(), move || made.fetch_add(1, Ordering::SeqCst).to_string());
        assert_eq!(scrape.text().await.expect("a text"), "0");
        clock.advance(GOOD_FOR * 9 / 10);
        assert_eq!(scrape.text().await.expect("a text"), "0");
        clock.advance(GOOD_FOR / 10);
        assert_eq!(scrape.text().await.expect("a text"), "1");
    }
}
