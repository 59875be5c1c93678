//! Years of schedules on a real control plane in a minute: the controllers run in this process with a driven clock, the simulated cloud's clock goes with
//! it, and dice fail calls, crash the operator, keep it away and suspend the schedules. After every step what is in the cluster and in the cloud has to be
//! exactly what the slots and the retention allow.
//!
//! `YEAR_SEED` throws other dice. A run of all tests lives through some weeks of it; `make year` through all of it.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    clippy::match_wild_err_arm,
    reason = "a test ends where something is not as it has to be"
)]

#[path = "../simulator/mod.rs"]
mod simulator;
#[path = "../support/mod.rs"]
mod support;
#[allow(dead_code, reason = "the system tests' world, of which this uses a part")]
#[path = "../system/world.rs"]
mod world;

mod broken;
mod inside;
mod ledger;
mod time;
mod weather;

use jiff::{SignedDuration, Timestamp};
use ledger::Plan;
use std::time::{Duration, Instant};
use time::Travel;
use weather::{Dice, Events};

/// A number of the environment.
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

/// How many days a test lives through: `short` for every run of the tests, or what somebody wants, up to `whole`.
fn days(short: u64, whole: u64) -> u64 {
    number("YEAR_DAYS").map_or(short, |days| days.clamp(1, whole))
}

/// The dice of one test: the same in each run, unless somebody wants others.
fn dice() -> Dice {
    Dice::new(number("YEAR_SEED").unwrap_or(1))
}

/// The first moment of a year that has not begun: whatever the API server stamps is earlier than every moment of the driven clock.
fn new_year() -> Timestamp {
    let year = jiff::Zoned::now().year() + 1;
    format!("{year}-01-01T00:00:00Z").parse().expect("a time")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_year_leaves_exactly_what_retention_allows_and_accounts_for_every_slot() {
    let days = days(60, 365);
    let plans = vec![
        Plan { max_count: Some(7), max_age_days: Some(9), min_count: 2, ..Plan::new("nightly", "GeminiDB", "30 2 * * *", "Europe/Berlin") },
        Plan {
            max_age_days: Some(60),
            min_count: 3,
            deadline: Some(Duration::from_secs(7_200)),
            deletion_policy: "Delete",
            ..Plan::new("weekly", "TaurusDB", "0 3 * * SUN", "America/New_York")
        },
    ];
    live(plans, new_year(), SignedDuration::from_hours(24 * i64::try_from(days).expect("a few days"))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn weeks_of_hours_across_a_change_of_half_an_hour_leave_the_newest_and_account_for_every_slot() {
    let days = days(8, 60);
    // Lord Howe Island's clocks are changed on the first Sundays of April and October.
    let begin = new_year() + SignedDuration::from_hours(24 * 88);
    let hourly = Plan { max_count: Some(5), ..Plan::new("hourly", "DDS", "15 * * * *", "Australia/Lord_Howe") };
    live(vec![hourly], begin, SignedDuration::from_hours(24 * i64::try_from(days).expect("a few days"))).await;
}

/// Lives from slot to slot, and checks everything after each.
async fn live(plans: Vec<Plan>, begin: Timestamp, long: SignedDuration) {
    let began = Instant::now();
    let mut dice = dice();
    let mut travel = Travel::begin(begin, &plans).await;
    let mut ledger = ledger::Ledger::new(plans, travel.world.backups_here());
    travel.start_operator().await;
    ledger.begin(&mut travel).await;
    let mut events = Events::new(&mut dice);
    let end = begin + long;
    while let Some(slot) = ledger.next_slot(travel.now()).filter(|slot| *slot < end) {
        events.one(&mut travel, &mut ledger, slot, &mut dice).await;
    }
    events.calm(&mut travel, &mut ledger).await;
    ledger.verdict(&mut travel).await;
    eprintln!("year: {}, {}, {:.0} s", ledger.told(), events.told(&travel), began.elapsed().as_secs_f64());
}
