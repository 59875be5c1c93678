//! The cloud's time, by the `Date` of its answers (RFC 9110, section 6.6.1), and how long something is good by it.

use http::{HeaderMap, header};
use jiff::{Timestamp, fmt::rfc2822::DateTimeParser};
use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The cloud's time as its latest answer told it, carried on by this process's monotonic clock. It does not depend on this machine's wall clock, which
/// may jump.
#[derive(Debug, Default)]
pub struct CloudClock(Mutex<Option<(Timestamp, Age)>>);

/// How long ago something was, by this process's monotonic clock.
#[derive(Clone, Copy, Debug)]
pub struct Age(Instant);

impl Age {
    /// Of what happens now.
    pub fn begin() -> Self {
        Self(Instant::now())
    }

    /// How long ago it was.
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// How long something is good that was handed out with an end. It is counted by the monotonic clock from two times of the clock that gave it, so a wrong wall
/// clock here neither wears it out nor keeps what has ended.
#[derive(Clone, Copy, Debug)]
pub struct Life {
    begun: Age,
    lifetime: Duration,
}

impl Life {
    /// Of something that ends at `end`, where it is `now`; `None` if it has ended.
    pub fn until(end: Timestamp, now: Timestamp) -> Option<Self> {
        let lifetime = Duration::try_from(end.duration_since(now)).ok().filter(|lifetime| !lifetime.is_zero())?;
        Some(Self { begun: Age::begin(), lifetime })
    }

    /// How long it is still good.
    pub fn left(&self) -> Duration {
        self.lifetime.saturating_sub(self.begun.elapsed())
    }

    /// With how much of its life left it has to be renewed: 40 minutes, as the vendor's SDK does it, or a quarter of it, whichever is less.
    pub fn margin(&self) -> Duration {
        (self.lifetime / 4).min(Duration::from_secs(40 * 60))
    }
}

impl CloudClock {
    /// An answer carried this `Date`; one without says nothing.
    pub fn heard(&self, date: Option<Timestamp>) {
        if let Some(date) = date {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((date, Age::begin()));
        }
    }

    /// The cloud's time now; absent until an answer carried a `Date`. Exact to a few seconds.
    pub fn now(&self) -> Option<Timestamp> {
        let (date, heard) = (*self.0.lock().unwrap_or_else(PoisonError::into_inner))?;
        date.checked_add(heard.elapsed()).ok()
    }
}

/// The `Date` of an answer; absent where there is none that can be read.
pub fn date(headers: &HeaderMap) -> Option<Timestamp> {
    DateTimeParser::new().parse_timestamp(headers.get(header::DATE)?.to_str().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn of(text: &'static str) -> Option<Timestamp> {
        date(&HeaderMap::from_iter([(header::DATE, HeaderValue::from_static(text))]))
    }

    #[test]
    fn the_date_of_an_answer_is_read_and_one_that_is_none_is_absent() {
        assert_eq!(of("Sun, 06 Nov 1994 08:49:37 GMT"), "1994-11-06T08:49:37Z".parse().ok());
        for text in ["", "yesterday", "1994-11-06T08:49:37Z", "Sun, 99 Nov 1994 08:49:37 GMT"] {
            assert_eq!(of(text), None, "{text}");
        }
        assert_eq!(date(&HeaderMap::new()), None);
    }

    #[test]
    fn an_answer_without_a_date_does_not_forget_an_earlier_one() {
        let clock = CloudClock::default();
        assert_eq!(clock.now(), None);
        let told: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        clock.heard(Some(told));
        clock.heard(None);
        assert!(clock.now().is_some_and(|now| now >= told));
    }
}
