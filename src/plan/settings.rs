//! The timings. Everything scales with the six flags, so that tests can be quick without changing a rule.

use std::time::Duration;

/// The timing flags of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Settings {
    /// Between two looks at running backups.
    pub poll_interval: Duration,
    /// How long a create call with an unknown outcome may take to show up in listings.
    pub settle_delay: Duration,
    /// Between two looks at settled backups.
    pub resync_interval: Duration,
    /// How long a blocked object stays Reconciling before it is Stalled.
    pub blocked_grace: Duration,
    /// How far apart two listings must lack a backup before it counts as gone.
    pub gone_after: Duration,
    /// Before the next attempt after the first FAILED; then 4 and 16 times that.
    pub retry_backoff: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            poll_interval: Duration::from_secs(15),
            settle_delay: Duration::from_secs(300),
            resync_interval: Duration::from_secs(12 * 3600),
            blocked_grace: Duration::from_secs(300),
            gone_after: Duration::from_secs(600),
            retry_backoff: Duration::from_secs(60),
        }
    }
}

impl Settings {
    /// How old an intent may be when its create call is sent (F of the protocol).
    pub fn intent_lifetime(&self) -> Duration {
        Duration::from_secs(10).min(self.settle_delay / 5)
    }

    /// When the `nth` look (from 0) for a lost backup is due, counted from when its intent was first seen: 1/60, 1/20 and 1/5 of the settle delay,
    /// then every further fifth.
    pub fn look_due(&self, nth: u32) -> Duration {
        match nth {
            0 => self.settle_delay / 60,
            1 => self.settle_delay / 20,
            later => self.settle_delay / 5 * (later - 1),
        }
    }

    /// Before a blocked object is looked at again, after so many failures in a row (from 1): 2 polls, doubling to 120 (30 s to 30 min).
    pub fn blocked_retry(&self, failures: u32) -> Duration {
        (self.poll_interval * 2).saturating_mul(1 << failures.saturating_sub(1).min(6)).min(self.poll_interval * 120)
    }

    /// Before a login that was refused is tried again with the same credential, after so many refusals in a row (from 1): the settle delay (5 min), doubling up
    /// to the verification interval (6 h). Clouds lock a key for 5 minutes after a few wrong signatures in a row, and a user after a few wrong passwords
    /// within 15 minutes.
    pub fn login_retry(&self, refusals: u32) -> Duration {
        self.settle_delay.saturating_mul(1 << refusals.saturating_sub(1).min(16)).min(self.verification_interval().max(self.settle_delay))
    }

    /// Between two verifications of an account that works: half the resync interval (6 h).
    pub fn verification_interval(&self) -> Duration {
        self.resync_interval / 2
    }

    /// Before a failure that may pass is tried again, after so many failures in a row (from 1): a third of a poll, doubling to 4 polls (5 s to 1 min).
    pub fn passing_retry(&self, failures: u32) -> Duration {
        (self.poll_interval / 3).saturating_mul(1 << failures.saturating_sub(1).min(6)).min(self.poll_interval * 4)
    }

    /// Between two look-ups that one object causes, whatever was decided: a third of a poll (5 s).
    pub fn look_pause(&self) -> Duration {
        self.poll_interval / 3
    }

    /// Between two changes of an object's annotations that count: two thirds of a poll (10 s).
    pub fn annotation_pause(&self) -> Duration {
        self.poll_interval * 2 / 3
    }

    /// For how long nothing is written to an object that Velero restored without its status: 4 polls (60 s).
    pub fn restore_pause(&self) -> Duration {
        self.poll_interval * 4
    }

    /// How old an object may be, at most, whose first create call is not preceded by a listing: 40 polls (10 min).
    pub fn young(&self) -> Duration {
        self.poll_interval * 40
    }

    /// Before the next attempt, after so many FAILED ones (from 1).
    pub fn attempt_backoff(&self, failed: usize) -> Duration {
        let factor = match failed {
            0 | 1 => 1,
            2 => 4,
            _ => 16,
        };
        self.retry_backoff * factor
    }

    /// Between two looks at a backup that has been running for so long: a poll for the first 40 (10 min), then four times that.
    pub fn poll_after(&self, running_for: Duration) -> Duration {
        if running_for < self.young() { self.poll_interval } else { self.poll_interval * 4 }
    }

    /// Between two looks at a settled backup: the resync interval, 20 % more or less by the number `lot`, which differs from object to object, so that a thousand do not come at once.
    pub fn resync_after(&self, lot: u64) -> Duration {
        let percent = 80 + u32::try_from(lot % 41).unwrap_or_default();
        self.resync_interval * percent / 100
    }

    /// Between two readings of an account's Secret: 2 polls while blocked (30 s), 20 otherwise (5 min).
    pub fn secret_reread(&self, blocked: bool) -> Duration {
        if blocked { self.poll_interval * 2 } else { self.poll_interval * 20 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_give_the_figures_of_the_documentation() {
        let s = Settings::default();
        let secs = Duration::from_secs;
        assert_eq!(s.intent_lifetime(), secs(10));
        assert_eq!((0..5).map(|n| s.look_due(n)).collect::<Vec<_>>(), [secs(5), secs(15), secs(60), secs(120), secs(180)]);
        assert_eq!([1, 2, 7, 99].map(|n| s.blocked_retry(n)), [secs(30), secs(60), secs(1800), secs(1800)]);
        assert_eq!([1, 2, 9].map(|n| s.passing_retry(n)), [secs(5), secs(10), secs(60)]);
        assert_eq!([1, 2, 3, 7, 8, 99].map(|n| s.login_retry(n)), [300, 600, 1200, 19_200, 21_600, 21_600].map(secs));
        assert_eq!(s.verification_interval(), secs(6 * 3600));
        assert_eq!([1, 2, 3, 10].map(|n| s.attempt_backoff(n)), [secs(60), secs(240), secs(960), secs(960)]);
        assert_eq!((s.poll_after(secs(599)), s.poll_after(secs(600))), (secs(15), secs(60)));
        assert_eq!((s.secret_reread(true), s.secret_reread(false)), (secs(30), secs(300)));
        assert_eq!((s.look_pause(), s.annotation_pause(), s.restore_pause(), s.young()), (secs(5), secs(10), secs(60), secs(600)));
    }

    #[test]
    fn settled_backups_are_spread_over_a_fifth_around_the_interval() {
        let s = Settings::default();
        let hours = |lot| s.resync_after(lot).as_secs_f64() / 3600.0;
        assert_eq!((hours(0), hours(20), hours(40), hours(41)), (9.6, 12.0, 14.4, 9.6));
    }

    #[test]
    fn an_intent_lives_at_most_a_fifth_of_the_settle_delay() {
        let s = Settings { settle_delay: Duration::from_secs(5), ..Settings::default() };
        assert_eq!(s.intent_lifetime(), Duration::from_secs(1));
    }
}
