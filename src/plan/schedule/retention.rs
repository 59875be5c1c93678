//! Which of a schedule's backups go.

use crate::api::schedule;
use jiff::{SignedDuration, Timestamp};

/// How many backups are kept, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// More than these go.
    pub max_count: Option<u32>,
    /// Older ones go.
    pub max_age: Option<SignedDuration>,
    /// The newest that stay whatever the others say.
    pub min_count: u32,
}

impl From<&schedule::Retention> for Retention {
    fn from(spec: &schedule::Retention) -> Self {
        let at_least_one = |count: i32| u32::try_from(count).unwrap_or(1).max(1);
        Self {
            max_count: spec.max_count.map(at_least_one),
            max_age: spec.max_age_days.map(|days| SignedDuration::from_hours(24 * i64::from(days))),
            min_count: at_least_one(spec.min_count),
        }
    }
}

impl Retention {
    /// When the next of these backups turns too old.
    pub fn next_turn(&self, backups: &[Kept], now: Timestamp) -> Option<Timestamp> {
        let turns = backups.iter().filter_map(|backup| backup.completed.checked_add(self.max_age?).ok());
        // It is too old after the turn, not at it.
        turns.filter(|turn| *turn >= now).min()?.checked_add(SignedDuration::from_secs(1)).ok()
    }
}

/// A completed backup of a schedule, of one engine and instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The object's name.
    pub name: String,
    /// When the cloud had taken it.
    pub completed: Timestamp,
    /// It is neither deleted nor counted: somebody holds it, another object adopts it, or this object did not make it.
    pub is_exempt: bool,
}

/// The backups that go, oldest first. `expected`: backups that count as if they were there already, since they wait for room.
pub fn surplus(retention: &Retention, backups: &[Kept], expected: u32, now: Timestamp) -> Vec<String> {
    let mut counted: Vec<&Kept> = backups.iter().filter(|backup| !backup.is_exempt).collect();
    counted.sort_by(|one, other| (other.completed, &other.name).cmp(&(one.completed, &one.name)));
    let is_beyond = |place: usize| retention.max_count.is_some_and(|most| place + expected as usize >= most as usize);
    let is_old = |backup: &Kept| retention.max_age.is_some_and(|most| now.duration_since(backup.completed) > most);
    let surplus = counted.iter().enumerate().skip(retention.min_count as usize);
    surplus.filter(|(place, backup)| is_beyond(*place) || is_old(backup)).map(|(_, backup)| backup.name.clone()).rev().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn day(day: i64) -> Timestamp {
        Timestamp::from_second(1_767_225_600 + day * 86_400).expect("a time")
    }

    fn backups(days: &[i64]) -> Vec<Kept> {
        days.iter().map(|n| Kept { name: format!("day-{n:02}"), completed: day(*n), is_exempt: false }).collect()
    }

    const NOTHING: Retention = Retention { max_count: None, max_age: None, min_count: 1 };

    #[test]
    fn nothing_goes_unless_a_limit_is_set() {
        assert!(surplus(&NOTHING, &backups(&[1, 2, 3]), 0, day(3650)).is_empty());
    }

    #[test]
    fn the_oldest_beyond_the_count_go_and_what_waits_for_room_counts() {
        let three = Retention { max_count: Some(3), ..NOTHING };
        assert_eq!(surplus(&three, &backups(&[5, 1, 3, 4, 2]), 0, day(6)), ["day-01", "day-02"]);
        assert!(surplus(&three, &backups(&[1, 2, 3]), 0, day(6)).is_empty());
        assert_eq!(surplus(&three, &backups(&[1, 2, 3]), 1, day(6)), ["day-01"]);
    }

    #[test]
    fn the_newest_stay_whatever_their_age() {
        let week = Retention { max_age: Some(SignedDuration::from_hours(7 * 24)), min_count: 2, ..NOTHING };
        assert_eq!(surplus(&week, &backups(&[1, 2, 3, 4]), 0, day(9)), ["day-01"]);
        assert_eq!(surplus(&week, &backups(&[1, 2, 3, 4]), 0, day(400)), ["day-01", "day-02"]);
        let one = Retention { max_count: Some(1), min_count: 1, ..NOTHING };
        assert!(surplus(&one, &backups(&[1]), 1, day(9)).is_empty(), "not even for one that waits for room");
    }

    #[test]
    fn what_is_held_stays_and_is_not_counted() {
        let mut held = backups(&[1, 2, 3, 4]);
        held[3].is_exempt = true;
        held[0].is_exempt = true;
        let one = Retention { max_count: Some(1), ..NOTHING };
        assert_eq!(surplus(&one, &held, 0, day(9)), ["day-02"]);
    }

    proptest! {
        #[test]
        fn there_are_never_fewer_than_the_floor_and_the_survivors_are_the_newest(
            days in proptest::collection::vec((0_i64..400, any::<bool>()), 0..40),
            max_count in proptest::option::of(1_u32..20),
            max_age in proptest::option::of(1_i64..400),
            min_count in 1_u32..10,
            expected in 0_u32..2,
            now in 0_i64..800,
        ) {
            let all: Vec<Kept> =
                days.iter().enumerate().map(|(n, (at, exempt))| Kept { name: format!("{n}"), completed: day(*at), is_exempt: *exempt }).collect();
            let retention = Retention { max_count, max_age: max_age.map(|days| SignedDuration::from_hours(days * 24)), min_count };
            let gone = surplus(&retention, &all, expected, day(now));
            let (out, left): (Vec<&Kept>, Vec<&Kept>) = all.iter().filter(|backup| !backup.is_exempt).partition(|backup| gone.contains(&backup.name));
            prop_assert_eq!(out.len(), gone.len(), "nothing that is exempt goes");
            let counted = out.len() + left.len();
            prop_assert!(left.len() >= counted.min(min_count as usize));
            let oldest_left = left.iter().map(|backup| backup.completed).min();
            prop_assert!(oldest_left.is_none_or(|oldest| out.iter().all(|backup| backup.completed <= oldest)));
            if let Some(most) = max_count {
                prop_assert!(left.len() <= (most.max(min_count)) as usize);
            }
        }
    }
}
