//! What becomes of a schedule's slots: one runs, waits for the backup before it, or is missed. Each slot is decided once.
//!
//! The cursor is the oldest slot that nobody has decided (`status.nextScheduleTime`). Creating, resuming and editing a schedule set it to the first slot after
//! that moment, so they fire nothing and nothing before them is caught up. It only moves forward, so a clock that is set back runs no slot twice.

use super::calendar::Calendar;
use jiff::Timestamp;
use std::time::Duration;

/// The longest that a slot is caught up later than it could be, so that a thousand schedules do not come at once after a downtime.
const MOST_JITTER: Duration = Duration::from_secs(300);

/// What is known of a schedule.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// Its slots.
    pub calendar: &'a Calendar,
    /// The schedule takes no backups.
    pub suspended: bool,
    /// The oldest slot that nobody has decided; absent if this schedule, in this zone, was not seen going on before.
    pub cursor: Option<Timestamp>,
    /// The newest slot that was decided under any schedule.
    pub last: Option<Timestamp>,
    /// How late a slot may begin.
    pub deadline: Option<Duration>,
    /// Whether the backup of an earlier slot has not come to its end, and may.
    pub is_delayed: bool,
    /// Since when this process has looked after the schedule.
    pub born: Timestamp,
    /// Differs from schedule to schedule.
    pub lot: u64,
    /// Now.
    pub now: Timestamp,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotStep {
    /// No slot counts.
    Suspend,
    /// It goes on from now: the cursor is set.
    Begin {
        /// The first slot; absent if there is none any more.
        cursor: Option<Timestamp>,
    },
    /// Nothing is due before this moment.
    Wait(Timestamp),
    /// Slots are due, and the backup of an earlier one is not at its end.
    Delayed,
    /// This slot runs, or is satisfied; those before it were missed.
    Run {
        /// The slot.
        slot: Timestamp,
        /// How many were missed before it.
        missed: u64,
        /// The slot after it.
        cursor: Option<Timestamp>,
    },
    /// None of those that are due may begin any more.
    Miss {
        /// The newest of them.
        newest: Timestamp,
        /// How many.
        missed: u64,
        /// The slot after them.
        cursor: Option<Timestamp>,
    },
}

/// Decides.
pub fn decide(seen: &Seen<'_>) -> SlotStep {
    if seen.suspended {
        return SlotStep::Suspend;
    }
    let Some(cursor) = seen.cursor else {
        // A clock that was set back must not bring a slot back that was decided.
        let from = seen.last.map_or(seen.now, |last| last.max(seen.now));
        return SlotStep::Begin { cursor: seen.calendar.next(from) };
    };
    let Some(due) = seen.calendar.due(cursor, seen.now) else { return SlotStep::Wait(cursor) };
    let next = seen.calendar.next(due.newest);
    let left = seen.deadline.map(|deadline| deadline.checked_sub(since(due.newest, seen.now)));
    if left == Some(None) {
        return SlotStep::Miss { newest: due.newest, missed: due.count, cursor: next };
    }
    if seen.is_delayed {
        return SlotStep::Delayed;
    }
    match catch_up_at(seen, due.newest).filter(|at| *at > seen.now) {
        Some(at) => SlotStep::Wait(next.map_or(at, |next| next.min(at))),
        None => SlotStep::Run { slot: due.newest, missed: due.count - 1, cursor: next },
    }
}

/// When a slot is caught up that came before this process looked after the schedule.
fn catch_up_at(seen: &Seen<'_>, slot: Timestamp) -> Option<Timestamp> {
    if slot >= seen.born {
        return None;
    }
    let left = seen.deadline.map(|deadline| deadline.saturating_sub(since(slot, seen.born)) / 4);
    let most = left.map_or(MOST_JITTER, |left| left.min(MOST_JITTER));
    let jitter = most.mul_f64(f64::from(u32::try_from(seen.lot % 1000).unwrap_or_default()) / 1000.0);
    seen.born.checked_add(jitter).ok()
}

fn since(earlier: Timestamp, later: Timestamp) -> Duration {
    Duration::try_from(later.duration_since(earlier)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    fn hourly() -> Calendar {
        Calendar::parse("0 * * * *", "Etc/UTC", at("2026-01-01T00:00:00Z")).expect("a calendar")
    }

    fn seen<'a>(calendar: &'a Calendar, cursor: Option<&str>, now: &str) -> Seen<'a> {
        Seen {
            calendar,
            suspended: false,
            cursor: cursor.map(at),
            last: None,
            deadline: None,
            is_delayed: false,
            born: at("2026-01-01T00:00:00Z"),
            lot: 0,
            now: at(now),
        }
    }

    #[test]
    fn what_was_created_resumed_or_edited_fires_nothing_and_goes_on_with_the_next_slot() {
        let calendar = hourly();
        let begun = decide(&seen(&calendar, None, "2026-01-01T05:30:00Z"));
        assert_eq!(begun, SlotStep::Begin { cursor: Some(at("2026-01-01T06:00:00Z")) });
        assert_eq!(
            decide(&seen(&calendar, Some("2026-01-01T06:00:00Z"), "2026-01-01T05:59:59Z")),
            SlotStep::Wait(at("2026-01-01T06:00:00Z"))
        );
    }

    #[test]
    fn a_slot_runs_when_it_comes() {
        let calendar = hourly();
        let step = decide(&seen(&calendar, Some("2026-01-01T06:00:00Z"), "2026-01-01T06:00:00Z"));
        assert_eq!(step, SlotStep::Run { slot: at("2026-01-01T06:00:00Z"), missed: 0, cursor: Some(at("2026-01-01T07:00:00Z")) });
    }

    #[test]
    fn after_a_downtime_the_newest_slot_is_caught_up_and_the_others_were_missed() {
        let calendar = hourly();
        let late =
            Seen { born: at("2026-01-08T05:20:00Z"), lot: 500, ..seen(&calendar, Some("2026-01-01T06:00:00Z"), "2026-01-08T05:20:00Z") };
        assert_eq!(decide(&late), SlotStep::Wait(at("2026-01-08T05:22:30Z")), "not all schedules at once");
        let step = decide(&Seen { now: at("2026-01-08T05:22:30Z"), ..late });
        assert_eq!(step, SlotStep::Run { slot: at("2026-01-08T05:00:00Z"), missed: 167, cursor: Some(at("2026-01-08T06:00:00Z")) });
        let short = Seen { deadline: Some(Duration::from_secs(1300)), lot: 999, ..late };
        assert_eq!(decide(&short), SlotStep::Wait(at("2026-01-08T05:20:24.975Z")), "a quarter of the 100 s that are left");
        let too_late = Seen { deadline: Some(Duration::from_secs(1199)), ..late };
        let missed = SlotStep::Miss { newest: at("2026-01-08T05:00:00Z"), missed: 168, cursor: Some(at("2026-01-08T06:00:00Z")) };
        assert_eq!(decide(&too_late), missed);
    }

    #[test]
    fn a_backup_that_is_not_at_its_end_delays_the_next_one_and_the_newest_slot_runs_then_without_another_pause() {
        let calendar = hourly();
        let delayed = Seen { is_delayed: true, ..seen(&calendar, Some("2026-01-01T06:00:00Z"), "2026-01-01T08:30:00Z") };
        assert_eq!(decide(&delayed), SlotStep::Delayed);
        let ended = decide(&Seen { is_delayed: false, ..delayed });
        assert_eq!(ended, SlotStep::Run { slot: at("2026-01-01T08:00:00Z"), missed: 2, cursor: Some(at("2026-01-01T09:00:00Z")) });
        let late = Seen { is_delayed: true, deadline: Some(Duration::from_secs(60)), ..delayed };
        assert!(matches!(decide(&late), SlotStep::Miss { missed: 3, .. }), "a deadline passes while it waits");
    }

    #[test]
    fn a_clock_that_is_set_back_runs_no_slot_twice() {
        let calendar = hourly();
        let back = seen(&calendar, Some("2026-01-01T07:00:00Z"), "2026-01-01T05:59:00Z");
        assert_eq!(decide(&back), SlotStep::Wait(at("2026-01-01T07:00:00Z")));
        let edited = Seen { last: Some(at("2026-01-01T06:00:00Z")), cursor: None, ..back };
        assert_eq!(decide(&edited), SlotStep::Begin { cursor: Some(at("2026-01-01T07:00:00Z")) });
    }

    const SCHEDULES: [&str; 8] =
        ["0 2 * * *", "30 2 * * *", "0 * * * *", "*/20 * * * *", "15 1,2,3 * * *", "0 0 * * MON", "45 23 L * *", "0 12 1 * *"];
    const ZONES: [&str; 4] = ["Etc/UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]
        /// Whatever the schedule, the zone, the downtimes, the clock and the backups do: each slot is decided once, in order.
        #[test]
        fn every_slot_runs_once_or_is_counted_as_missed(
            schedule in 0..SCHEDULES.len(),
            zone in 0..ZONES.len(),
            begin in 1_767_225_600_i64..1_798_761_600,
            deadline in proptest::option::of(60_u64..90_000),
            events in proptest::collection::vec((0_i64..40_000, 0..6_u8, any::<u64>()), 1..120),
        ) {
            let begun = Timestamp::from_second(begin).expect("a time");
            let calendar = Calendar::parse(SCHEDULES[schedule], ZONES[zone], begun).expect("a calendar");
            let (mut now, mut born, mut delayed, mut cursor, mut last) = (begun, begun, false, None, None);
            let (mut decided, mut first): (Vec<(Timestamp, u64)>, Option<Timestamp>) = (Vec::new(), None);
            for (seconds, what, lot) in events {
                match what {
                    // The clock is set back.
                    0 => now = now.checked_sub(jiff::SignedDuration::from_secs(seconds / 10)).expect("a time"),
                    // A downtime.
                    1 => {
                        now = now.checked_add(jiff::SignedDuration::from_secs(seconds * 20)).expect("a time");
                        born = now;
                    }
                    2 => delayed = !delayed,
                    _ => now = now.checked_add(jiff::SignedDuration::from_secs(seconds)).expect("a time"),
                }
                for _ in 0..5 {
                    let seen = Seen {
                        calendar: &calendar, suspended: false, cursor, last, deadline: deadline.map(Duration::from_secs),
                        is_delayed: delayed, born, lot, now,
                    };
                    match decide(&seen) {
                        SlotStep::Begin { cursor: next } => (cursor, first) = (next, first.or(next)),
                        SlotStep::Run { slot, missed, cursor: next } => {
                            prop_assert!(!delayed && calendar.has(slot) && slot <= now);
                            prop_assert!(deadline.is_none_or(|deadline| since(slot, now) <= Duration::from_secs(deadline)));
                            decided.push((slot, missed + 1));
                            (cursor, last) = (next, Some(slot));
                        }
                        SlotStep::Miss { newest, missed, cursor: next } => {
                            decided.push((newest, missed));
                            (cursor, last) = (next, Some(newest));
                        }
                        SlotStep::Wait(_) | SlotStep::Delayed | SlotStep::Suspend => break,
                    }
                }
            }
            // Everything that is behind the cursor was decided, each slot once, and none was invented.
            prop_assert!(decided.windows(2).all(|pair| pair[0].0 < pair[1].0));
            if let (Some(first), Some((newest, _))) = (first, decided.last()) {
                let due = calendar.due(first, *newest).expect("slots");
                prop_assert_eq!(due.count, decided.iter().map(|(_, count)| count).sum::<u64>());
            }
        }
    }
}
