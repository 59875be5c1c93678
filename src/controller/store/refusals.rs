//! Writes that the API server refused, as far as people were told of them.

use crate::plan::clock::Moment;
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// How long nobody is told again of the same refusal, however often the write is tried. The API server keeps Events for an hour.
const PAUSE: Duration = Duration::from_secs(3600);

/// Refusals that people were told of in the last hour.
#[derive(Default)]
pub struct Refusals {
    told: Mutex<HashMap<Refusal, Moment>>,
}

/// A refusal, without its words: those may differ from try to try.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Refusal {
    /// The object's UID.
    pub uid: String,
    /// What was to be written.
    pub part: &'static str,
    /// HTTP status.
    pub code: u16,
}

impl Refusals {
    /// Whether nobody has been told of it lately; whoever asks tells of it.
    pub fn is_news(&self, refusal: Refusal, now: Moment) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.retain(|_, since| now.since(*since) < PAUSE);
        let is_news = !told.contains_key(&refusal);
        if is_news {
            told.insert(refusal, now);
        }
        is_news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_refusal_is_told_of_once_in_an_hour_and_another_at_once() {
        let refusals = Refusals::default();
        let start = Moment { wall: "2026-01-01T00:00:00Z".parse().unwrap(), mono: Duration::ZERO };
        let refusal = |uid: &str, part, code| Refusal { uid: uid.into(), part, code };
        let told = |refusal, seconds| refusals.is_news(refusal, start.plus(Duration::from_secs(seconds)));
        assert!(told(refusal("u-1", "status", 422), 0));
        assert!((1..3600).step_by(16).all(|second| !told(refusal("u-1", "status", 422), second)));
        assert!(told(refusal("u-2", "status", 422), 1), "another object");
        assert!(told(refusal("u-1", "finalizers", 422), 1), "another part of it");
        assert!(told(refusal("u-1", "status", 403), 1), "another cause");
        assert!(told(refusal("u-1", "status", 422), 3600), "an hour later it still is");
    }
}
