//! Every interleaving, within bounds, of two operators that work on one object at once: the real [`plan`](super::plan) and the real memory, driven by
//! a model checker. Operators pause and die between any two steps; answers of the Kubernetes API and of the cloud are lost; calls are late, refused,
//! fail before and after the work; listings lag, fail and take their time; backups fail; a person deletes the object and flips its policy.
//!
//! | file | what |
//! |---|---|
//! | `bounds` | what may go wrong, and how often |
//! | `world`, `stored` | the state: the stored object and its status, the cloud, what is on its way, the operators |
//! | `operator` | what the controller does around a decision, step by step |
//! | `events` | what can happen next |
//! | `lives` | the same events thrown by dice, with the real timings, which are too long for every interleaving |
//!
//! There is no leader election here: both act all the time, since no safety rests on the lease. `make model` goes deeper.

mod bounds;
mod events;
mod lives;
mod operator;
mod stored;
mod world;

use super::rule::{Rule, without};
use crate::{
    api::{
        backup::DeletionPolicy,
        status::{Origin, Phase},
    },
    cloud::engine::Engine,
};
use bounds::{Bounds, quick};
use events::Event;
use stateright::{Checker, HasDiscoveries, Model, Property};
use std::{
    collections::HashSet,
    io::Write,
    sync::{Mutex, PoisonError},
    time::Instant,
};
use world::{Spot, World};

type Scene = fn(&World) -> bool;

/// All lives of one object within bounds.
struct Lives {
    bounds: Bounds,
    /// The rule that is taken away.
    removed: Option<Rule>,
    /// What has to happen in some life, or the model shows less than it seems to.
    shown: Vec<(&'static str, Scene)>,
    /// Fingerprints of worlds from which the end is known to be reached.
    good: Mutex<HashSet<u64>>,
}

const ONE_BACKUP: &str = "no attempt has two backups";
const ONLY_OWN: &str = "nothing of others is deleted";
const TRUE: &str = "a final phase is what the cloud says";
const CLEAN: &str = "an object under Delete leaves nothing behind";
const NOT_GONE: &str = "nothing that the cloud holds is called gone";
const NO_REPEAT: &str = "no step is repeated while neither time nor knowledge moves";
const IN_TIME: &str = "nothing is deleted before its time";
const NOT_HELD: &str = "nothing that is held is deleted";
const DELETED_ONCE: &str = "nothing is deleted twice";
const ASKED_ONCE: &str = "a person's haste does not reach the cloud";
const ALIVE: &str = "once the faults stop it comes to its end";

impl Lives {
    fn new(bounds: Bounds) -> Self {
        Self { bounds, removed: None, shown: Vec::new(), good: Mutex::default() }
    }

    fn showing(mut self, what: &'static str, scene: Scene) -> Self {
        self.shown.push((what, scene));
        self
    }

    /// Whether it is enough that others come to their end: a decision and waiting lead from here to a world on the last tick, or to one where the story ends.
    fn goes_on(&self, world: &World) -> bool {
        world.now < self.bounds.horizon && (self.bounds.watching || !world.is_created())
    }

    /// From here on nothing goes wrong any more, and everybody gets a turn: the object comes to its end.
    fn comes_to_its_end(&self, world: &World) -> bool {
        let mut world = world.clone();
        let mut trail = Vec::new();
        for _ in 0..100 {
            let fingerprint = world.fingerprint();
            trail.push(fingerprint);
            if world.is_at_its_end() || self.good.lock().unwrap_or_else(PoisonError::into_inner).contains(&fingerprint) {
                self.good.lock().unwrap_or_else(PoisonError::into_inner).extend(trail);
                return true;
            }
            world.calm_round(&self.bounds);
        }
        false
    }

    fn check(self, name: &str) -> impl Checker<Self> + use<> {
        let began = Instant::now();
        let checker = self.checker().threads(2).finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
        let (states, depth, seconds) = (checker.unique_state_count(), checker.max_depth(), began.elapsed().as_secs_f64());
        // For whoever reads the log of a run; the test harness would keep it to itself.
        let _ = writeln!(std::io::stderr(), "model check, {name}: {states} states, up to {depth} steps, {seconds:.1} s");
        checker
    }

    fn holds(self, name: &str) {
        self.check(name).assert_properties();
    }

    /// Without a rule the check has to find this wrong, long before the last tick.
    fn shows_that_without(self, rule: Rule, property: &'static str) {
        // Whether it comes to its end is asked of the worlds on the last tick.
        let bounds = Bounds { horizon: if property == ALIVE { 5 } else { 20 }, ..self.bounds };
        let lives = Self { removed: Some(rule), bounds, ..self };
        let checker = lives.check(&format!("without the rule {rule:?}"));
        let path = checker.discovery(property).unwrap_or_else(|| panic!("not noticed without {rule:?}: {property}"));
        let steps: Vec<String> = path.into_actions().iter().map(|event| format!("{event:?}")).collect();
        let _ = writeln!(std::io::stderr(), "  not \"{property}\": {}", steps.join(", "));
    }
}

impl Model for Lives {
    type State = World;
    type Action = Event;

    fn init_states(&self) -> Vec<World> {
        vec![World::new(&self.bounds)]
    }

    fn actions(&self, world: &World, events: &mut Vec<Event>) {
        world.possible(&self.bounds, events);
    }

    fn next_state(&self, world: &World, event: Event) -> Option<World> {
        let mut next = world.clone();
        without(self.removed, || next.happen(event, &self.bounds));
        // What takes a fault and changes nothing did not happen.
        let changed = World { left: world.left, ..next.clone() } != *world;
        changed.then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always(ONE_BACKUP, |_, world: &World| !world.has_doubles()),
            Property::always(ONLY_OWN, |_, world: &World| !world.wrongs.deleted_anothers),
            Property::always(TRUE, |_, world: &World| !world.is_untrue()),
            Property::always(CLEAN, |_, world: &World| !world.wrongs.left_behind),
            Property::always(NOT_GONE, |_, world: &World| !world.wrongs.called_gone),
            Property::always(NO_REPEAT, |_, world: &World| !world.wrongs.repeated),
            // What a deletion rests on is the object's own wish, or a time that does not come within the story.
            Property::always(IN_TIME, |_, world: &World| !world.wrongs.deleted_early),
            Property::always(NOT_HELD, |_, world: &World| !world.wrongs.deleted_held),
            Property::always(DELETED_ONCE, |_, world: &World| !world.wrongs.deleted_again),
            // One call when it is due, and one for a changed annotation.
            Property::always(ASKED_ONCE, |_, world: &World| world.sent_now.iter().all(|sent| *sent <= 2)),
            Property::always(ALIVE, |lives: &Self, world: &World| {
                lives.goes_on(world) || without(lives.removed, || lives.comes_to_its_end(world))
            }),
        ];
        // A property's function cannot hold anything, so what is shown is found by its place.
        let places: [fn(&Self, &World) -> bool; 3] =
            [|lives, world| (lives.shown[0].1)(world), |lives, world| (lives.shown[1].1)(world), |lives, world| (lives.shown[2].1)(world)];
        properties.extend(self.shown.iter().zip(places).map(|((what, _), place)| Property::sometimes(what, place)));
        properties
    }
}

/// Further faults, crashes and ticks in `make model`.
fn deeper(bounds: Bounds) -> Bounds {
    match std::env::var("MODEL").as_deref() {
        Ok("deep") => Bounds { faults: bounds.faults + 1, horizon: bounds.horizon + 1, ..bounds },
        _ => bounds,
    }
}

#[test]
fn however_two_operators_interleave_no_attempt_has_two_backups() {
    Lives::new(deeper(Bounds { horizon: 4, ..Bounds::creation() }))
        .showing("a lost answer is adopted", |world| world.status.0.origin == Some(Origin::Reattached))
        .showing("a call that was lost is sent again", |world| world.now > 0 && world.status.0.origin == Some(Origin::Created))
        .holds("creation");
}

#[test]
fn a_backup_that_fails_is_tried_again_and_the_end_is_what_the_cloud_says() {
    let bounds = Bounds { failures: 1, crashes: 0, watching: true, horizon: 3, ..Bounds::creation() };
    Lives::new(deeper(bounds))
        .showing("the second attempt completes", |world| {
            world.status.0.failed_attempts.len() == 1 && world.status.0.phase == Some(Phase::Completed)
        })
        .holds("failures");
    let bounds = Bounds { operators: 1, failures: 2, watching: true, horizon: 5, ..Bounds::creation() };
    Lives::new(deeper(bounds))
        .showing("every attempt fails", |world| world.status.0.phase == Some(Phase::Failed))
        .holds("failures up to the limit, one operator after the other");
}

#[test]
fn whenever_the_object_is_deleted_its_backups_go_with_it_and_nothing_else_does() {
    let deletion = Bounds { policy: DeletionPolicy::Delete, deletion: true, watching: true, ..Bounds::creation() };
    Lives::new(deeper(Bounds { operators: 1, failures: 1, horizon: 4, ..deletion.clone() }))
        .showing("two backups go", |world| world.backups.len() == 2 && !world.object.is_there)
        .holds("deletion, one operator after the other");
    Lives::new(deeper(Bounds { settings: quick(2), delivery: 0, lag: 0, crashes: 0, faults: 0, horizon: 2, ..deletion }))
        .showing("a backup goes", |world| world.backups.len() == 1 && !world.object.is_there)
        .holds("deletion by two operators at once");
}

#[test]
fn whenever_the_policy_is_flipped_the_object_is_let_go_by_the_policy_that_it_has_then() {
    let bounds = Bounds { operators: 1, deletion: true, flips: 2, watching: true, horizon: 4, ..Bounds::creation() };
    Lives::new(deeper(bounds))
        .showing("a backup stays", |world| !world.object.is_there && !world.deletes() && !world.backups.is_empty())
        .showing("a backup goes", |world| !world.object.is_there && world.deletes() && !world.backups.is_empty())
        .holds("flips of the policy");
}

#[test]
fn wherever_the_account_moves_and_back_nothing_is_doubled_lost_or_called_gone() {
    let moving = Bounds { operators: 1, moves: 2, watching: true, horizon: 5, crashes: 0, ..Bounds::creation() };
    Lives::new(deeper(Bounds { engine: Engine::DCS, ..moving.clone() })).holds("an account that moves, with DCS");
    Lives::new(deeper(moving.clone()))
        .showing("an account that moved away has come back, and the backup is complete", |world| {
            world.left.moves == 0 && world.spot == Spot::Home && world.status.0.phase == Some(Phase::Completed)
        })
        .holds("an account that moves");
    Lives::new(deeper(Bounds { is_alias: true, horizon: 4, ..moving }))
        .showing("the backup was seen at the other host", |world| world.status.0.endpoint.as_deref() == Some("other"))
        .holds("an account whose host has another name");
}

#[test]
fn however_the_store_is_put_back_no_attempt_has_two_backups() {
    let bounds =
        Bounds { operators: 1, rollbacks: 1, failures: 1, watching: true, faults: 0, crashes: 0, horizon: 6, ..Bounds::creation() };
    Lives::new(deeper(bounds))
        .showing("a backup of before is adopted", |world| world.put_back.is_some() && world.status.0.origin == Some(Origin::Reattached))
        .holds("a store that is put back");
    let bounds = Bounds { rollbacks: 1, faults: 0, crashes: 0, horizon: 3, ..Bounds::creation() };
    Lives::new(deeper(bounds)).holds("a store that is put back under two operators");
}

#[test]
fn an_object_that_is_made_anew_deletes_nothing_of_its_earlier_life() {
    let bounds = Bounds {
        operators: 1,
        policy: DeletionPolicy::Retain,
        flips: 1,
        deletion: true,
        recreations: 1,
        watching: true,
        crashes: 0,
        faults: 0,
        horizon: 4,
        ..Bounds::creation()
    };
    Lives::new(deeper(bounds))
        .showing("it says that its backup is another's", |world| {
            world.status.0.conditions.first().is_some_and(|ready| ready.reason == "DeleteBlocked")
        })
        .holds("an object that is made anew");
}

#[test]
fn an_object_that_somebody_elses_finalizer_holds_is_followed_to_its_end() {
    let bounds =
        Bounds { operators: 1, held: true, deletion: true, failures: 1, watching: true, crashes: 0, horizon: 4, ..Bounds::creation() };
    Lives::new(deeper(bounds.clone()))
        .showing("it completes while it is being deleted", |world| world.object.deleting && world.status.0.phase == Some(Phase::Completed))
        .holds("a finalizer of others");
    Lives::new(deeper(Bounds { policy: DeletionPolicy::Delete, faults: 0, ..bounds })).holds("a finalizer of others, under Delete");
}

#[test]
fn where_no_listing_ever_holds_together_what_its_pages_show_is_enough() {
    let bounds = Bounds { operators: 1, never_complete: true, watching: true, crashes: 0, horizon: 4, ..Bounds::creation() };
    Lives::new(deeper(bounds))
        .showing("a lost answer is adopted", |world| world.status.0.origin == Some(Origin::Reattached))
        .showing("a backup completes", |world| world.status.0.phase == Some(Phase::Completed))
        .holds("listings that are never complete");
}

#[test]
fn however_the_wall_clocks_jump_nothing_is_deleted_before_its_time() {
    let bounds = Bounds { operators: 1, jumps: 2, expires: true, watching: true, crashes: 0, horizon: 4, ..Bounds::creation() };
    Lives::new(deeper(bounds))
        .showing("a complete backup looks a year old", |world| world.is_ahead[1] && world.status.0.phase == Some(Phase::Completed))
        .holds("wall clocks that jump");
    let bounds = Bounds { jumps: 1, faults: 1, crashes: 0, horizon: 3, ..Bounds::creation() };
    Lives::new(deeper(bounds)).holds("wall clocks of two operators that jump");
}

#[test]
fn a_backup_whose_time_is_up_is_deleted_and_the_object_says_so_when_it_is_gone() {
    let bounds = Bounds { expires: true, years: 1, watching: true, horizon: 3, ..Bounds::creation() };
    Lives::new(deeper(Bounds { operators: 1, ..bounds.clone() }))
        .showing("a backup expires", |world| world.status.0.phase == Some(Phase::Expired))
        .showing("its time is up and it is still there", |world| world.is_year_over && world.status.0.phase == Some(Phase::Completed))
        .holds("expiry, one operator after the other");
    let deleted = Bounds { operators: 1, deletion: true, policy: DeletionPolicy::Delete, faults: 0, horizon: 2, ..bounds.clone() };
    Lives::new(deeper(deleted))
        .showing("the object is deleted after its backup has expired", |world| {
            world.object.deleting && world.status.0.phase == Some(Phase::Expired)
        })
        .holds("expiry of a backup whose object is deleted");
    Lives::new(deeper(Bounds { settings: quick(2), delivery: 0, lag: 0, crashes: 0, faults: 0, horizon: 2, ..bounds }))
        .showing("a backup expires", |world| world.status.0.phase == Some(Phase::Expired))
        .holds("expiry under two operators at once");
}

#[test]
fn retention_takes_the_backup_and_then_the_object_unless_somebody_holds_it() {
    let bounds = Bounds { operators: 1, surpluses: 1, holds: 2, watching: true, faults: 0, crashes: 0, horizon: 2, ..Bounds::creation() };
    Lives::new(deeper(Bounds { crashes: 1, faults: 1, ..bounds.clone() }))
        .showing("backup and object go", |world| !world.backups.is_empty() && !world.object.is_there)
        .showing("a hold saves it", |world| world.object.on_hold && world.left.surpluses == 0 && world.status.0.delete_reason.is_none())
        .holds("retention and holds, one operator after the other");
    Lives::new(deeper(Bounds { policy: DeletionPolicy::Delete, deletion: true, holds: 1, horizon: 3, ..bounds.clone() }))
        .showing("backup and object go", |world| !world.backups.is_empty() && !world.object.is_there)
        .holds("retention under Delete, and a person who deletes the object");
    Lives::new(deeper(Bounds { jumps: 1, holds: 0, horizon: 3, ..bounds.clone() })).holds("retention while a wall clock jumps");
    Lives::new(deeper(Bounds { expires: true, years: 1, holds: 1, surpluses: 0, ..bounds.clone() }))
        .showing("its time is up, and somebody holds it", |world| world.is_year_over && world.object.on_hold)
        .holds("expiry and holds");
    let two = Bounds { operators: 2, settings: quick(2), delivery: 0, lag: 0, holds: 1, ..bounds };
    Lives::new(deeper(two))
        .showing("backup and object go", |world| !world.backups.is_empty() && !world.object.is_there)
        .holds("retention under two operators at once");
}

#[test]
fn a_newer_run_takes_the_place_only_of_one_that_has_nothing_in_the_cloud() {
    let bounds = Bounds { superseded: true, failures: 1, watching: true, crashes: 0, horizon: 2, ..Bounds::creation() };
    Lives::new(deeper(Bounds { operators: 1, crashes: 1, horizon: 4, ..bounds.clone() }))
        .showing("one lapses", |world| world.status.0.phase == Some(Phase::Lapsed))
        .showing("one whose attempt failed has failed", |world| {
            world.status.0.phase == Some(Phase::Failed) && world.status.0.failed_attempts.len() == 1
        })
        .holds("a newer run, one operator after the other");
    Lives::new(deeper(Bounds { watching: false, failures: 0, ..bounds })).holds("a newer run, under two operators at once");
}

#[test]
fn a_backup_to_adopt_that_appears_late_is_found_and_a_refusal_that_nobody_knows_comes_to_its_end() {
    let bounds = Bounds { operators: 1, import: true, crashes: 0, faults: 1, horizon: 6, watching: true, ..Bounds::creation() };
    Lives::new(deeper(bounds)).holds("an import that appears late");
    let bounds = Bounds { operators: 1, refused: true, crashes: 0, faults: 3, horizon: 5, annotations: 2, ..Bounds::creation() };
    Lives::new(deeper(bounds))
        .showing("it says that the request is refused", |world| {
            world.status.0.conditions.first().is_some_and(|ready| ready.reason == "RequestRefused")
        })
        .holds("a refusal that nobody knows");
}

#[test]
fn a_call_that_is_sent_before_its_intent_is_stored_is_noticed() {
    Lives::new(Bounds::creation()).shows_that_without(Rule::IntentFirst, ONE_BACKUP);
}

#[test]
fn a_single_listing_that_is_trusted_is_noticed() {
    Lives::new(Bounds::creation()).shows_that_without(Rule::TwoListings, ONE_BACKUP);
}

#[test]
fn a_last_check_that_is_skipped_is_noticed() {
    Lives::new(Bounds::creation()).shows_that_without(Rule::LastCheck, ONE_BACKUP);
}

#[test]
fn a_deletion_of_whatever_is_listed_is_noticed() {
    let bounds = Bounds { policy: DeletionPolicy::Delete, deletion: true, watching: true, ..Bounds::creation() };
    Lives::new(bounds).shows_that_without(Rule::OwnMarks, ONLY_OWN);
}

#[test]
fn each_of_the_faults_that_were_found_in_the_field_is_noticed_when_it_is_put_back() {
    let one = Bounds { operators: 1, watching: true, crashes: 0, faults: 0, ..Bounds::creation() };
    let anew = Bounds { flips: 1, deletion: true, recreations: 1, ..one.clone() };
    let bounds = |rule| match rule {
        Rule::ResultHasAPlace => Bounds { engine: Engine::DCS, moves: 2, ..one.clone() },
        Rule::LookFirst => Bounds { rollbacks: 1, ..one.clone() },
        Rule::EarlierLife => anew.clone(),
        Rule::DeletedIsNotGone => Bounds { held: true, deletion: true, ..one.clone() },
        Rule::PagesAreTrue => Bounds { never_complete: true, ..one.clone() },
        Rule::TwoClocks => Bounds { jumps: 2, expires: true, ..one.clone() },
        Rule::SearchesEnd => Bounds { jumps: 2, faults: 1, ..one.clone() },
        Rule::PauseSinceTheLook => Bounds { import: true, ..one.clone() },
        Rule::RefusalsEnd => Bounds { refused: true, faults: 3, ..one.clone() },
        Rule::Hold => Bounds { surpluses: 1, holds: 1, ..one.clone() },
        Rule::AnnotationPause => Bounds { annotations: 3, faults: 4, watching: false, ..one.clone() },
        _ => Bounds { faults: 2, ..Bounds::creation() },
    };
    for (rule, property) in [
        (Rule::LookPause, NO_REPEAT),
        (Rule::MessageOfTheStatus, NO_REPEAT),
        (Rule::ResultHasAPlace, NOT_GONE),
        (Rule::LookFirst, ONE_BACKUP),
        (Rule::EarlierLife, CLEAN),
        (Rule::DeletedIsNotGone, ALIVE),
        (Rule::PagesAreTrue, ALIVE),
        (Rule::TwoClocks, IN_TIME),
        (Rule::Hold, NOT_HELD),
        (Rule::SearchesEnd, ALIVE),
        (Rule::PauseSinceTheLook, ALIVE),
        (Rule::RefusalsEnd, ALIVE),
        (Rule::AnnotationPause, ASKED_ONCE),
    ] {
        Lives::new(bounds(rule)).shows_that_without(rule, property);
    }
}

#[test]
fn beyond_the_bound_of_the_documentation_there_are_doubles_so_the_bound_is_no_empty_word() {
    let bounds = Bounds { delivery: 2, lag: 2, crashes: 0, ..Bounds::creation() };
    assert!(Lives::new(bounds).check("beyond the bound").discovery(ONE_BACKUP).is_some());
}
