//! Hundreds of lives thrown by dice, with the real timings: the same events as in the model check, and more faults than every interleaving could have.
//! Each life is told by its seed.

use super::{bounds::Bounds, events::Event, world::World};
use crate::{
    api::status::{Origin, Phase},
    plan::settings::Settings,
};

/// A small generator (SplitMix64): the same seed tells the same life.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % bound as u64).unwrap()
    }
}

/// Delivery 150 + lag 130 stay under the settle delay of 300 less 10.
fn bounds() -> Bounds {
    Bounds {
        settings: Settings::default(),
        delivery: 150,
        lag: 130,
        horizon: 2_000,
        crashes: 20,
        faults: 40,
        failures: 2,
        watching: true,
        ..Bounds::creation()
    }
}

/// Until the object is at its end.
fn live(seed: u64, bounds: &Bounds) -> Result<World, String> {
    let mut dice = Dice(seed);
    let mut world = World::new(bounds);
    let mut events = Vec::new();
    for _ in 0..20_000 {
        events.clear();
        world.possible(bounds, &mut events);
        let Some(event) = pick(&mut dice, &events) else { break };
        world.happen(event, bounds);
        wrong(&world)?;
    }
    for _ in 0..2_000 {
        if world.is_at_its_end() {
            return Ok(world);
        }
        world.calm_round(bounds);
        wrong(&world)?;
    }
    Err(format!("it never ends: {:?}", world.status))
}

/// Half of the time passes; faults and crashes are rare, or nothing would ever get done.
fn pick(dice: &mut Dice, events: &[Event]) -> Option<Event> {
    if events.contains(&Event::Tick) && dice.below(2) == 0 {
        return Some(Event::Tick);
    }
    let is_rare = |event: &Event| event.is_fault() || matches!(event, Event::Crash(_));
    let rare = dice.below(12) == 0;
    let wanted: Vec<&Event> = events.iter().filter(|event| is_rare(event) == rare).collect();
    let pool: Vec<&Event> = if wanted.is_empty() { events.iter().collect() } else { wanted };
    (!pool.is_empty()).then(|| *pool[dice.below(pool.len())])
}

fn wrong(world: &World) -> Result<(), String> {
    for (is_wrong, what) in [
        (world.has_doubles(), super::ONE_BACKUP),
        (world.wrongs.deleted_anothers, super::ONLY_OWN),
        (world.is_untrue(), super::TRUE),
        (world.wrongs.left_behind, super::CLEAN),
        (world.wrongs.called_gone, super::NOT_GONE),
        (world.wrongs.repeated, super::NO_REPEAT),
        (world.wrongs.deleted_early, super::IN_TIME),
        (world.wrongs.deleted_held, super::NOT_HELD),
    ] {
        if is_wrong {
            return Err(format!("not \"{what}\": {world:?}"));
        }
    }
    Ok(())
}

#[test]
fn in_hundreds_of_lives_no_attempt_ever_has_two_backups_and_every_object_comes_to_its_end() {
    let (mut completed, mut reattached, mut retried) = (0, 0, 0);
    for seed in 0..400 {
        let world = live(seed, &bounds()).unwrap_or_else(|wrong| panic!("seed {seed}: {wrong}"));
        let status = &world.status.0;
        let is_complete = status.phase == Some(Phase::Completed);
        completed += u32::from(is_complete);
        reattached += u32::from(status.origin == Some(Origin::Reattached));
        retried += u32::from(!status.failed_attempts.is_empty());
        // Everything in the cloud is known to the object: the one that it holds, and its failed attempts.
        assert_eq!(world.backups.len(), status.failed_attempts.len() + usize::from(is_complete), "seed {seed}");
    }
    assert!(completed > 200 && reattached > 20 && retried > 20, "lives worth telling: {completed} {reattached} {retried}");
}

#[test]
fn beyond_the_bound_some_of_the_same_lives_have_two_backups() {
    let bounds = Bounds { lag: 1_500, ..bounds() };
    assert!((0..100).any(|seed| live(seed, &bounds).is_err_and(|wrong| wrong.contains(super::ONE_BACKUP))));
}
