//! A control plane and a cloud through which time goes in steps.

use crate::{
    inside::Inside,
    ledger::Plan,
    world::{PATIENCE, World},
};
use jiff::{SignedDuration, Timestamp};
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// How far the clock goes at most while something is waited for: less than slots are apart. After that only the machine's time goes on, so a slow
/// machine changes nothing.
const MOST: Duration = Duration::from_secs(25 * 60);
/// The first step: shorter than a look at the cloud may be old.
const LEAST: Duration = Duration::from_millis(200);
/// The longest step while something is waited for.
const STEP: Duration = Duration::from_secs(60);
/// Nothing happened for so many looks in a row: then the clock goes on.
const QUIET: u32 = 3;

/// A control plane, a cloud, and an operator that is there or not; all at the same moment.
pub struct Travel {
    pub world: World,
    operator: Option<Inside>,
    now: Timestamp,
    pub crashes: usize,
}

impl Travel {
    /// Everything but the operator, at this moment.
    pub async fn begin(now: Timestamp, plans: &[Plan]) -> Self {
        let world = World::without_operator().await;
        world.cloud.stop_clock_at(now);
        world.cloud.set_backup_duration(Duration::ZERO);
        world.cloud.settings(|settings| settings.delete_duration_ms = 0);
        for plan in plans {
            world.cloud.add_instance(&plan.service(), &plan.instance());
        }
        world.account("cloud", 1000).await;
        Self { world, operator: None, now, crashes: 0 }
    }

    pub fn now(&self) -> Timestamp {
        self.now
    }

    pub async fn start_operator(&mut self) {
        self.operator = Some(Inside::start(&self.world.kubeconfig, self.now).await);
    }

    /// The operator is gone at once.
    pub fn crash(&mut self) {
        self.crashes += usize::from(self.operator.take().is_some());
    }

    /// It is gone at once, and another one comes.
    pub async fn restart(&mut self) {
        self.crash();
        self.start_operator().await;
    }

    /// Everybody's clock goes on.
    pub fn advance(&mut self, by: Duration) {
        self.now += SignedDuration::try_from(by).expect("a short time");
        self.world.cloud.stop_clock_at(self.now);
        if let Some(operator) = &self.operator {
            operator.advance(by);
        }
    }

    /// It is this moment now, if it was an earlier one.
    pub fn go_to(&mut self, at: Timestamp) {
        if let Ok(by) = Duration::try_from(at.duration_since(self.now)) {
            self.advance(by);
        }
    }

    pub fn wake(&self) {
        if let Some(operator) = &self.operator {
            operator.wake();
        }
    }

    /// Waits for a condition, and lets the clock go on whenever nothing happens any more. Answers with what the condition said last where it does not come true.
    pub async fn settle(&mut self, what: &str, mut condition: impl AsyncFnMut(&World, Timestamp) -> Result<(), String>) {
        let (mut step, mut gone, mut quiet) = (LEAST, Duration::ZERO, 0);
        let (patience, mut before) = (Instant::now() + PATIENCE, String::new());
        self.wake();
        loop {
            let said = match condition(&self.world, self.now).await {
                Ok(()) => return,
                Err(reason) => reason,
            };
            assert!(Instant::now() < patience, "{what}, at {}, {gone:?} after it could have been: {said}", self.now);
            let calls = self.world.cloud.cloud().calls.len();
            let seen = format!("{said} {calls}");
            // What is under way may not be outdated by a long step.
            (quiet, step) = if seen == before { (quiet + 1, step) } else { (0, LEAST) };
            before = seen;
            if quiet >= QUIET && gone < MOST {
                quiet = 0;
                gone += step;
                self.advance(step);
                // What waits for a moment does so by the machine's clock.
                self.wake();
                step = (step * 2).min(STEP);
            }
            sleep(Duration::from_millis(5)).await;
        }
    }
}
