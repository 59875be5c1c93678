//! A storm over everything at once: objects are asked for, deleted and flipped, and slots of schedules fall due, while the operator is killed and paused,
//! the API server comes and goes, and the cloud loses, delays and refuses. Then it ends, and everything has to be true: each object, each slot, each backup,
//! and nothing beside them.
//!
//! `STORM_OBJECTS`, `STORM_KILLS` and `STORM_SEED` change it; `make storm` is the big one. The dice are repeatable, what the processes make of them is not.

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

mod crew;
mod lives;
mod population;
mod runs;
mod schedules;
mod size;
mod verdict;
mod weather;

use crew::Crew;
use size::{Dice, Size};
use std::{
    io::Write,
    sync::atomic::{AtomicUsize, Ordering},
    time::Instant,
};
use world::World;

#[tokio::test(flavor = "multi_thread")]
async fn after_any_storm_each_object_has_its_one_backup_and_says_truthfully_how_it_went() {
    let size = Size::from_environment();
    let mut dice = Dice::new(size.seed);
    say(&format!("storm: seed {}, {} objects, {} kills (STORM_SEED={} repeats the dice)", size.seed, size.objects, size.kills, size.seed));
    let world = World::without_operator().await;
    let accounts = population::accounts(&world).await;
    let strangers = population::strangers(&world, &mut dice);
    let wishes = population::wishes(&world, &size, &accounts, &mut dice);
    weather::begin(&world, &mut dice);
    // With dice of their own: a seed means the same storm with and without them.
    let scheduled = schedules::plan(&world, &size, &accounts, Dice::new(!size.seed));
    schedules::create(&world, &scheduled).await;
    let (wanderers, away) = (weather::wanderers(&wishes), AtomicUsize::new(0));

    let (killed, progress) = tokio::sync::watch::channel(0);
    let mut crew = Crew::new(&world, dice.fork());
    let began = Instant::now();
    let storm = async {
        tokio::join!(
            crew.weather(&size, killed),
            lives::live(&world, wishes, progress.clone()),
            schedules::live(&world, &size, scheduled, progress.clone()),
            weather::restarts(&world, &size, progress.clone()),
        )
    };
    let ((), asked, scheduled, restarts) = tokio::select! {
        ended = storm => ended,
        never = weather::changes(&world, dice.fork()) => never,
        never = weather::moves(&world, wanderers, dice.fork(), &away) => never,
    };
    weather::end(&world).await;
    lives::let_go(&world, &asked).await;
    schedules::calm(&world, &scheduled).await;
    let (raged, calm) = (began.elapsed(), Instant::now());
    let last = verdict::until_settled(&world, &asked, &scheduled, &size).await;
    let (took, tally) = (calm.elapsed(), crew.retire().await);
    let (found, runs) = verdict::of(&world, &asked, &scheduled, &strangers, raged + took).await;
    say(&format!(
        "storm: seed {}, {}, {}, {} in {:.0} s, {restarts} API server restarts, an account away {} times, {} faults ({}), {} creates and {} list calls seen by the cloud, {} duplicates, {} lost, all true {:.1} s \
         after the faults ended (last: {last}), peak memory {:.0} MiB",
        size.seed,
        population::told(&asked),
        runs.told(&scheduled),
        tally.told(),
        raged.as_secs_f64(),
        away.load(Ordering::Relaxed),
        weather::strikes(&world),
        weather::told(&world),
        world.cloud.count(None, "create"),
        world.cloud.count(None, "list"),
        found.duplicates,
        found.lost,
        took.as_secs_f64(),
        tally.peak_mib(),
    ));
    let wrong: Vec<String> = found.wrong.into_iter().chain(tally.strange).collect();
    assert!(wrong.is_empty(), "seed {}, logs in {}:\n{}", size.seed, crew::logs().display(), wrong.join("\n"));
}

/// Says something that the test harness does not keep to itself.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
