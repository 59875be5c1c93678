//! What happens in a year: calls that fail, an operator that crashes or is away, schedules that are suspended.

use crate::{
    ledger::Ledger,
    simulator::faults::{Chaos, FaultKind, next},
    time::Travel,
};
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// Repeatable dice.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        next(&mut self.0) % bound.max(1)
    }
}

/// What has happened.
#[derive(Default)]
pub struct Events {
    seed: u64,
    absences: usize,
    suspensions: usize,
}

impl Events {
    pub fn new(dice: &mut Dice) -> Self {
        Self { seed: dice.below(u64::MAX), ..Self::default() }
    }

    /// What happens up to and at a slot.
    pub async fn one(&mut self, travel: &mut Travel, ledger: &mut Ledger, slot: Timestamp, dice: &mut Dice) {
        match dice.below(100) {
            0..9 => self.stay_away(travel, ledger, slot, dice).await,
            9..17 => self.suspend(travel, ledger, slot, dice).await,
            17..28 => {
                self.rage(travel);
                travel.go_to(slot);
                // In the middle of whatever it does for this slot.
                travel.wake();
                let calls = travel.world.cloud.cloud().calls.len() + usize::try_from(dice.below(6)).unwrap_or_default();
                for _ in 0..dice.below(40) {
                    if travel.world.cloud.cloud().calls.len() >= calls {
                        break;
                    }
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                travel.restart().await;
                self.slot(travel, ledger, slot).await;
            }
            28..55 => {
                self.rage(travel);
                travel.go_to(slot);
                self.slot(travel, ledger, slot).await;
            }
            _ => {
                travel.world.cloud.faults.clear();
                travel.go_to(slot);
                self.slot(travel, ledger, slot).await;
            }
        }
    }

    /// Nothing goes wrong any more.
    pub async fn calm(&mut self, travel: &mut Travel, ledger: &mut Ledger) {
        travel.world.cloud.faults.clear();
        ledger.settle(travel, "it is calm").await;
    }

    async fn slot(&mut self, travel: &mut Travel, ledger: &mut Ledger, slot: Timestamp) {
        ledger.decide(travel.now(), travel.now());
        ledger.settle(travel, &format!("the slot {slot}")).await;
    }

    /// Nobody is there for a while, perhaps for several slots.
    async fn stay_away(&mut self, travel: &mut Travel, ledger: &mut Ledger, slot: Timestamp, dice: &mut Dice) {
        self.absences += 1;
        travel.world.cloud.faults.clear();
        travel.crash();
        let mut back = slot;
        for _ in 0..=dice.below(20) {
            back = ledger.next_slot(back).expect("a slot");
        }
        // Soon after a slot, or so late that one with a deadline is missed; and so long before the next that a catch-up ends before it.
        let some = SignedDuration::from_secs(i64::try_from(dice.below(600)).unwrap_or_default());
        travel.go_to(if dice.below(2) == 0 {
            back - SignedDuration::from_mins(30) - some
        } else {
            back + SignedDuration::from_mins(1) + some
        });
        ledger.decide(travel.now(), travel.now());
        travel.start_operator().await;
        ledger.settle(travel, "the operator is back").await;
    }

    /// The schedules rest for a while, perhaps for several slots.
    async fn suspend(&mut self, travel: &mut Travel, ledger: &mut Ledger, slot: Timestamp, dice: &mut Dice) {
        self.suspensions += 1;
        ledger.suspend(travel, true).await;
        let mut until = slot;
        for _ in 0..dice.below(20) {
            until = ledger.next_slot(until).expect("a slot");
        }
        travel.go_to(until);
        ledger.settle(travel, "retention goes on while the schedules rest").await;
        ledger.skip(travel.now());
        ledger.suspend(travel, false).await;
    }

    fn rage(&mut self, travel: &Travel) {
        let error = |status| FaultKind::Status { status, code: String::new(), message: String::new(), retry_after: None };
        let percent = vec![
            (FaultKind::LoseAnswer, 12),
            (FaultKind::FailAfter { status: 500, code: String::new() }, 5),
            (error(503), 8),
            (FaultKind::CutBefore, 5),
            (FaultKind::Throttle { retry_after: None }, 4),
        ];
        let operations = ["create", "list", "delete"].map(ToOwned::to_owned).to_vec();
        travel.world.cloud.faults.chaos([Chaos { seed: next(&mut self.seed), services: vec![], operations, percent }]);
        if self.seed.is_multiple_of(7) {
            travel.world.cloud.fail_next_backups(1, None);
        }
    }

    pub fn told(&self, travel: &Travel) -> String {
        let struck: usize = travel.world.cloud.faults.struck().values().sum();
        format!("{} crashes, {} absences, {} suspensions, {struck} faults", travel.crashes, self.absences, self.suspensions)
    }
}
