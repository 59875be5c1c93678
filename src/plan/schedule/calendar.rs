//! When a schedule's slots are: a cron expression in a time zone.
//!
//! A slot is an instant. Where clocks are put forward, a local time that does not exist is the first instant after the gap; where they are put back, a fixed
//! time that comes twice is a slot the first time only, and a wildcard hour has one in each real hour.

use croner::{
    Cron,
    parser::{CronParser, Seconds},
};
use jiff::{Timestamp, tz::TimeZone};

/// More slots than these are not counted: two months of one each minute.
pub const MOST_COUNTED: u64 = 100_000;

/// The slots of a schedule.
#[derive(Clone, Debug)]
pub struct Calendar {
    cron: Cron,
    zone: TimeZone,
}

/// Why there are no slots. The texts are for the person who wrote the schedule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSchedule {
    /// Not a cron expression.
    #[error(
        "spec.schedule {schedule:?} is no cron expression of 5 fields, nor one of @hourly, @daily, @midnight, @weekly, @monthly, @yearly, @annually: {why}"
    )]
    Expression {
        /// As it was written.
        schedule: String,
        /// What is wrong with it.
        why: String,
    },
    /// Nobody knows the zone.
    #[error("spec.timeZone {zone:?} is no IANA time zone such as Europe/Berlin")]
    Zone {
        /// As it was written.
        zone: String,
    },
    /// It has no slot.
    #[error("spec.schedule {schedule:?} never comes, like the 31st of February")]
    Never {
        /// As it was written.
        schedule: String,
    },
}

/// Slots that have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// The newest of them.
    pub newest: Timestamp,
    /// How many there are, the newest among them; never more than `MOST_COUNTED`.
    pub count: u64,
}

impl Calendar {
    /// The slots of an expression in a zone, seen from `now`.
    pub fn parse(schedule: &str, zone: &str, now: Timestamp) -> Result<Self, InvalidSchedule> {
        let expression = if schedule.trim() == "@midnight" { "@daily" } else { schedule };
        let invalid = |why: String| InvalidSchedule::Expression { schedule: schedule.to_owned(), why };
        let parsed = CronParser::builder().seconds(Seconds::Disallowed).build().parse(expression);
        let cron = parsed.map_err(|error| invalid(error.to_string()))?;
        // The library knows more names of zones than IANA: it would take an offset, and the machine's own zone.
        let zone = TimeZone::get(zone)
            .ok()
            .filter(|found| found.iana_name().is_some())
            .ok_or_else(|| InvalidSchedule::Zone { zone: zone.to_owned() })?;
        let calendar = Self { cron, zone };
        match calendar.next(now) {
            Some(_) => Ok(calendar),
            None => Err(InvalidSchedule::Never { schedule: schedule.to_owned() }),
        }
    }

    /// The first slot after a moment; none if there never is one.
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let after = after.to_zoned(self.zone.clone());
        self.cron.find_next_occurrence(&after, false).ok().map(|slot| slot.timestamp())
    }

    /// Whether a slot is at this very moment.
    pub fn has(&self, slot: Timestamp) -> bool {
        slot.checked_sub(jiff::SignedDuration::from_nanos(1)).is_ok_and(|before| self.next(before) == Some(slot))
    }

    /// The slots from `first`, which is one, up to `now`.
    pub fn due(&self, first: Timestamp, now: Timestamp) -> Option<Due> {
        if first > now {
            return None;
        }
        let mut due = Due { newest: first, count: 1 };
        while let Some(slot) = self.next(due.newest).filter(|slot| *slot <= now) {
            if due.count == MOST_COUNTED {
                return Some(Due { newest: self.newest(now).unwrap_or(slot), ..due });
            }
            due = Due { newest: slot, count: due.count + 1 };
        }
        Some(due)
    }

    fn newest(&self, now: Timestamp) -> Option<Timestamp> {
        let now = now.to_zoned(self.zone.clone());
        self.cron.find_previous_occurrence(&now, true).ok().map(|slot| slot.timestamp())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    fn slots(schedule: &str, zone: &str, from: &str, count: usize) -> Vec<String> {
        let calendar = Calendar::parse(schedule, zone, at(from)).expect("a calendar");
        let mut after = at(from);
        let mut slots = Vec::new();
        for _ in 0..count {
            after = calendar.next(after).expect("a slot");
            slots.push(after.strftime("%m-%dT%H:%MZ").to_string());
        }
        slots
    }

    #[test]
    fn a_time_that_does_not_exist_is_the_first_instant_after_the_gap() {
        assert_eq!(slots("30 2 * * *", "Europe/Berlin", "2026-03-28T00:00:00Z", 3), ["03-28T01:30Z", "03-29T01:00Z", "03-30T00:30Z"]);
        assert_eq!(slots("15 2 * * *", "Australia/Lord_Howe", "2026-10-02T00:00:00Z", 3), ["10-02T15:45Z", "10-03T15:30Z", "10-04T15:15Z"]);
    }

    #[test]
    fn a_fixed_time_that_comes_twice_is_one_slot_and_each_real_hour_has_its_own() {
        assert_eq!(slots("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 2), ["10-25T00:30Z", "10-26T01:30Z"]);
        assert_eq!(slots("30 1 * * *", "America/New_York", "2026-10-31T12:00:00Z", 2), ["11-01T05:30Z", "11-02T06:30Z"]);
        assert_eq!(
            slots("30 * * * *", "Europe/Berlin", "2026-10-25T00:00:00Z", 4),
            ["10-25T00:30Z", "10-25T01:30Z", "10-25T02:30Z", "10-25T03:30Z"]
        );
        assert_eq!(slots("30 * * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", 3), ["03-29T00:30Z", "03-29T01:30Z", "03-29T02:30Z"]);
    }

    #[test]
    fn what_is_no_schedule_or_no_zone_says_so_and_nothing_panics() {
        let now = at("2026-01-01T00:00:00Z");
        for schedule in [
            "",
            "* * * * * *",
            "@every 5m",
            "@reboot",
            "TZ=UTC 0 0 * * *",
            "60 * * * *",
            "0 0 * * Frog",
            "\u{0}",
            "🦀 * * * *",
            &"*".repeat(10_000),
        ] {
            assert!(matches!(Calendar::parse(schedule, "Etc/UTC", now), Err(InvalidSchedule::Expression { .. })), "{schedule}");
        }
        for zone in ["", "Mars/Olympus", "+02:00", "local", "Local", "../etc/passwd", "europe/berlin\n"] {
            assert!(matches!(Calendar::parse("0 0 * * *", zone, now), Err(InvalidSchedule::Zone { .. })), "{zone}");
        }
        assert!(matches!(Calendar::parse("0 0 31 2 *", "Etc/UTC", now), Err(InvalidSchedule::Never { .. })));
        for schedule in ["@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually", "0 0 * * MON-FRI", "0 0 29 2 *"] {
            assert!(Calendar::parse(schedule, "Europe/Berlin", now).is_ok(), "{schedule}");
        }
    }

    #[test]
    fn slots_that_have_come_are_counted_and_more_than_anybody_wants_to_know_are_not() {
        let calendar = Calendar::parse("0 * * * *", "Etc/UTC", at("2026-01-01T00:00:00Z")).expect("a calendar");
        assert_eq!(calendar.due(at("2026-01-01T05:00:00Z"), at("2026-01-01T04:59:59Z")), None);
        let five = Due { newest: at("2026-01-01T09:00:00Z"), count: 5 };
        assert_eq!(calendar.due(at("2026-01-01T05:00:00Z"), at("2026-01-01T09:59:00Z")), Some(five));
        let minutely = Calendar::parse("* * * * *", "Etc/UTC", at("2026-01-01T00:00:00Z")).expect("a calendar");
        let due = minutely.due(at("2026-01-01T05:00:00Z"), at("2027-01-01T00:00:30Z")).expect("many");
        assert_eq!(due, Due { newest: at("2027-01-01T00:00:00Z"), count: MOST_COUNTED });
        assert!(calendar.has(at("2026-01-01T05:00:00Z")) && !calendar.has(at("2026-01-01T05:00:01Z")));
    }
}
