//! A year of a schedule, with everything that may happen to it: kills between any two steps, downtimes, clocks that are set back, suspensions, backups that
//! fail, hang and are blocked, holds, and a cloud that does not answer.

use super::*;
use crate::plan::schedule::calendar::Calendar;

/// Repeatable dice (SplitMix64, Steele et al. 2014).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }
}

/// A stretch of time in which the slots counted: its first slot, and the first that nobody has decided.
struct Stretch {
    first: Timestamp,
    open: Timestamp,
}

struct Year {
    world: World,
    dice: Dice,
    stretches: Vec<Stretch>,
    is_counting: bool,
}

impl Year {
    fn new(seed: u64, spec: &Value) -> Self {
        Self { world: World::new(spec, "2026-01-01T00:30:00Z"), dice: Dice(seed), stretches: Vec::new(), is_counting: false }
    }

    /// Runs to the end of what there is to do, with a kill now and then between two steps.
    fn run(&mut self) {
        for _ in 0..400 {
            let retired = self.world.retired.len();
            let is_over = self.world.step().is_some();
            self.note_slots();
            if self.world.retired.len() > retired {
                self.check_floor(retired);
            }
            if is_over {
                return;
            }
            if self.dice.roll(12) == 0 {
                self.world.restart();
            }
        }
        panic!("it never rests");
    }

    fn note_slots(&mut self) {
        let status = &self.world.status;
        let next = status.next_schedule_time.as_ref().map(|next| next.0);
        match (status.observed_schedule.is_some(), next) {
            (true, Some(next)) if self.is_counting => {
                let stretch = self.stretches.last_mut().expect("a stretch");
                assert!(next >= stretch.open, "the cursor went back");
                stretch.open = next;
            }
            (true, Some(next)) => self.stretches.push(Stretch { first: next, open: next }),
            _ => {}
        }
        self.is_counting = status.observed_schedule.is_some();
    }

    /// Whatever was just chosen, enough stays, and what stays is newer.
    fn check_floor(&self, retired_before: usize) {
        let world = &self.world;
        let (most, floor) = (3, 2);
        let staying: Vec<&Child> =
            world.children.iter().filter(|child| child.completed.is_some() && !child.is_retired && !child.is_held).collect();
        assert!(staying.len() >= floor.min(most), "{} stay", staying.len());
        let oldest = staying.iter().filter_map(|child| child.completed).min();
        for name in &world.retired[retired_before..] {
            let gone = world.children.iter().find(|child| child.name == *name).expect("a child");
            assert!(!gone.is_held && gone.completed <= oldest);
        }
    }

    /// Something happens, and some time passes.
    fn live(&mut self) {
        let slot = |child: &Child| child.name.trim_start_matches("nightly-").to_owned();
        let open: Vec<String> = self.world.children.iter().filter(|child| !child.has_ended()).map(slot).collect();
        for slot in open {
            match self.dice.roll(8) {
                0 => self.world.stall(&slot),
                1 => self.world.end(&slot, Phase::Failed),
                2 => {
                    let child = self.world.child_mut(&slot);
                    (child.phase, child.is_replaceable) = (Some(Phase::Running), false);
                }
                3 => {}
                _ => self.world.end(&slot, Phase::Completed),
            }
        }
        let (now, minute) = (self.world.now, 60);
        match self.dice.roll(40) {
            0 => {
                self.world.restart();
                let hours = self.dice.roll(200);
                self.world.pass(Duration::from_secs(hours * 3600));
                self.world.restart();
            }
            1 => self.world.now = Moment { wall: ago(now, 5), ..now },
            2 | 3 => {
                self.world.spec.suspend ^= true;
                self.world.generation += 1;
            }
            4 => self.world.cloud = None,
            5 | 6 => self.world.cloud = Some(self.cloud()),
            7 => {
                let count = self.world.children.len().max(1) as u64;
                let chosen = usize::try_from(self.dice.roll(count)).expect("an index");
                if let Some(child) = self.world.children.get_mut(chosen) {
                    child.is_held ^= true;
                }
            }
            8 => self.world.account = blocked(),
            9..=12 => self.world.account = ready(now.wall),
            _ => {}
        }
        // The backup's controller deletes what retention has chosen.
        self.world.children.retain(|child| !child.is_retired);
        let pause = self.dice.roll(150) + 1;
        self.world.pass(Duration::from_secs(pause * minute));
    }

    fn cloud(&self) -> Found {
        let finished = self.world.children.iter().filter(|child| child.completed.is_some()).filter_map(|child| child.backup_id.clone());
        Found { finished: finished.collect(), ..Found::default() }
    }
}

#[test]
fn in_any_year_each_slot_is_decided_once_and_retention_keeps_to_its_floor() {
    for seed in 0..12 {
        let spec = json!({
            "schedule": "0 */3 * * *", "timeZone": "Europe/Berlin", "retention": { "maxCount": 3, "minCount": 2 }, "failedHistoryLimit": 2,
            "skipIfFresherThanSeconds": if seed % 3 == 0 { Some(3600) } else { None },
            "startingDeadlineSeconds": if seed % 2 == 0 { Some(5400) } else { None },
        });
        let spec: Value = spec.as_object().expect("an object").clone().into_iter().filter(|(_, value)| !value.is_null()).collect();
        let mut year = Year::new(seed, &spec);
        let months = if seed == 0 { 12 } else { 1 };
        let end = ago(year.world.now, -730 * months);
        while year.world.now.wall < end {
            year.run();
            year.live();
        }
        year.check(seed);
    }
}

impl Year {
    fn check(mut self, seed: u64) {
        let now = self.world.now.wall;
        let calendar = Calendar::parse("0 */3 * * *", "Europe/Berlin", now).expect("a calendar");
        let count = |stretch: &Stretch| -> u64 {
            let before = stretch.open.checked_sub(SignedDuration::from_secs(1)).expect("a time");
            calendar.due(stretch.first, before).map_or(0, |due| due.count)
        };
        let decided: u64 = self.stretches.iter().map(count).sum();
        let status = &self.world.status;
        let (made, counted) = (self.world.created.len() as u64, status.missed_runs + status.satisfied_runs);
        assert_eq!(decided, made + u64::try_from(counted).expect("a count"), "seed {seed}");
        let mut once = self.world.created.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len() as u64, made, "seed {seed}: two backups for one slot");
        assert!(made > 5 && status.missed_runs > 0, "seed {seed}: nothing happened: {made} made, {} missed", status.missed_runs);
        // Then all is well again, and what is left is what retention and the history allow.
        for child in &mut self.world.children {
            child.is_held = false;
        }
        (self.world.account, self.world.cloud, self.world.spec.suspend) = (ready(now), Some(self.cloud()), true);
        for _ in 0..4 {
            self.world.pass(Duration::from_secs(13 * 3600));
            self.world.run();
            self.world.children.retain(|child| !child.is_retired);
        }
        let left =
            |phases: &[Phase]| self.world.children.iter().filter(|child| child.phase.is_some_and(|phase| phases.contains(&phase))).count();
        assert!((2..=3).contains(&left(&[Phase::Completed])) && left(&[Phase::Failed, Phase::Lapsed]) <= 2, "seed {seed}");
    }
}
