//! How well the instance is protected.

use super::*;
use crate::{
    cloud::backup::{BackupKind, RemoteBackup, RemoteState},
    plan::schedule::objective::taken_by,
};

/// A record of a listing.
fn record(id: &str, kind: BackupKind, state: RemoteState, minute: i64) -> RemoteBackup {
    RemoteBackup {
        id: id.into(),
        instance_id: INSTANCE.into(),
        mark: id.into(),
        kind,
        is_unusable: false,
        state,
        cloud_status: String::new(),
        start_time: None,
        completion_time: Timestamp::from_second(60 * minute).ok(),
        size: None,
        engine_version: None,
        failure: None,
    }
}

fn daily(now: &str) -> World {
    World::new(&json!({ "schedule": "0 2 * * *", "objective": { "maxAgeSeconds": 90_000 } }), now)
}

fn newest(world: &mut World, hours: i64, taken_by: TakenBy) {
    let newest = Some(Good { backup_id: "b".into(), completed: ago(world.now, hours), taken_by });
    world.cloud = Some(Found { newest, ..Found::default() });
}

fn within(world: &World) -> (String, String) {
    world.condition(types::WITHIN_OBJECTIVE)
}

#[test]
fn a_fresh_backup_meets_it_whoever_took_it_also_while_the_schedule_is_suspended_or_wrong() {
    for (suspend, schedule) in [(false, "0 2 * * *"), (true, "0 2 * * *"), (false, "nonsense")] {
        let mut world = daily("2026-01-01T12:00:00Z");
        (world.spec.suspend, world.spec.schedule) = (suspend, schedule.into());
        newest(&mut world, 3, TakenBy::Cloud);
        world.run();
        assert_eq!(within(&world), pair("True", "Fresh"));
        let objective = world.status.objective.as_ref().expect("an objective");
        assert_eq!((objective.taken_by, objective.last_met_time.as_ref()), (Some(TakenBy::Cloud), None));
    }
}

#[test]
fn it_is_missed_only_when_two_listings_apart_say_that_the_newest_is_too_old() {
    let mut world = daily("2026-01-01T12:00:00Z");
    world.spec.suspend = true;
    newest(&mut world, 24, TakenBy::Operator);
    world.run();
    assert_eq!(within(&world), pair("True", "Fresh"));
    let surveys = world.surveys;
    world.run_at("2026-01-01T13:00:01Z");
    assert_eq!((within(&world), world.surveys - surveys), (pair("True", "Fresh"), 1), "one listing is not enough");
    world.run_at("2026-01-01T13:09:00Z");
    assert_eq!(within(&world), pair("True", "Fresh"));
    world.run_at("2026-01-01T13:10:02Z");
    assert_eq!(within(&world), pair("False", "TooOld"));
    let met = world.status.objective.as_ref().and_then(|objective| objective.last_met_time.as_ref()).map(|time| time.0);
    assert_eq!(met, Some(at("2026-01-01T13:00:00Z")));
    newest(&mut world, 0, TakenBy::Other);
    world.pass(Duration::from_secs(24 * 3600));
    world.run();
    assert_eq!(within(&world), pair("True", "Fresh"));
    assert_eq!(world.status.objective.as_ref().and_then(|objective| objective.last_met_time.as_ref()), None);
}

#[test]
fn a_first_day_without_a_backup_is_no_objective_that_was_met_before() {
    let mut world = daily("2026-01-01T12:00:00Z");
    world.run();
    assert_eq!(within(&world), pair("False", "NoBackup"));
    assert_eq!(world.status.objective.as_ref().and_then(|objective| objective.last_met_time.as_ref()), None);
    assert_eq!(world.ready(), pair("True", "Scheduled"), "it is no part of Ready");
}

#[test]
fn backups_that_cannot_be_restored_do_not_count() {
    let mut world = daily("2026-01-01T12:00:00Z");
    world.cloud = Some(Found { has_unusable: true, ..Found::default() });
    world.run();
    assert_eq!(within(&world), pair("False", "NotRestorable"));
}

#[test]
fn a_listing_that_fails_says_nothing_until_the_newest_known_one_is_too_old() {
    let mut world = daily("2026-01-01T12:00:00Z");
    world.spec.suspend = true;
    world.cloud = None;
    world.run();
    assert_eq!(within(&world), pair("Unknown", "ListingFailed"));
    newest(&mut world, 24, TakenBy::Operator);
    world.pass(Duration::from_secs(60));
    world.run();
    assert_eq!(within(&world), pair("True", "Fresh"));
    world.cloud = None;
    world.run_at("2026-01-01T12:59:00Z");
    assert_eq!(within(&world), pair("True", "Fresh"));
    world.run_at("2026-01-01T13:30:00Z");
    assert_eq!(within(&world), pair("Unknown", "ListingFailed"));
    let listings = world.surveys;
    for _ in 0..60 {
        world.pass(Duration::from_secs(60));
        world.run();
    }
    assert!(world.surveys - listings <= 12, "{} listings in an hour", world.surveys - listings);
}

#[test]
fn a_listing_that_fails_while_the_newest_known_one_is_young_changes_nothing() {
    let mut world = daily("2026-01-01T01:59:00Z");
    newest(&mut world, 3, TakenBy::Cloud);
    world.run();
    world.run_at("2026-01-01T02:00:00Z");
    world.end("202601010200", Phase::Completed);
    world.cloud = None;
    let surveys = world.surveys;
    world.run_at("2026-01-01T02:00:30Z");
    assert_eq!((within(&world), world.surveys - surveys), (pair("True", "Fresh"), 1));
}

#[test]
fn an_end_of_a_backup_has_it_looked_at_and_a_quiet_day_costs_two_listings() {
    let mut world = daily("2026-01-01T01:59:00Z");
    newest(&mut world, 3, TakenBy::Cloud);
    world.run();
    world.run_at("2026-01-01T02:00:00Z");
    let before = world.surveys;
    world.pass(Duration::from_secs(300));
    world.end("202601010200", Phase::Completed);
    world.pass(Duration::from_secs(2));
    world.run();
    assert_eq!(world.surveys - before, 1);
    assert_eq!(world.status.objective.as_ref().and_then(|it| it.backup_id.as_deref()), Some("id-202601010200"));
    let (before, writes) = (world.surveys, world.writes);
    for _ in 0..140 {
        world.pass(Duration::from_secs(600));
        world.run();
    }
    assert!(world.surveys - before <= 3, "{}", world.surveys - before);
    assert!(world.writes - writes <= 3, "{}", world.writes - writes);
}

#[test]
fn an_edit_that_names_another_instance_has_that_one_looked_at_at_once() {
    for is_down in [false, true] {
        let mut world = daily("2026-01-01T12:00:00Z");
        newest(&mut world, 3, TakenBy::Cloud);
        world.run();
        assert_eq!(within(&world), pair("True", "Fresh"));
        (world.spec.backup_template.spec.source.instance_id, world.generation) = ("i-2".into(), 2);
        world.cloud = Some(Found::default());
        world.pass(Duration::from_secs(60));
        if is_down {
            world.restart();
        }
        let surveys = world.surveys;
        world.run();
        assert_eq!(world.surveys - surveys, 1);
        if !is_down {
            assert_eq!(within(&world), pair("False", "NoBackup"));
            assert_eq!(world.status.objective.as_ref().and_then(|objective| objective.last_met_time.as_ref()), None);
        }
    }
}

#[test]
fn what_was_said_before_a_restart_stays_until_a_listing_says_otherwise() {
    let mut world = daily("2026-01-01T12:00:00Z");
    world.spec.suspend = true;
    newest(&mut world, 3, TakenBy::Cloud);
    world.run();
    let (status, surveys) = (world.status.clone(), world.surveys);
    world.restart();
    world.account = Account::Verifying;
    world.pass(Duration::from_secs(60));
    world.run();
    assert_eq!((&world.status, world.surveys), (&status, surveys), "nothing is known, so nothing is written");
    world.account = ready(world.now.wall);
    world.run();
    assert_eq!(world.surveys, surveys, "and a thousand schedules do not list at once");
}

#[test]
fn the_newest_of_an_instance_is_full_finished_usable_and_its_own() {
    let listed = [
        record("other", BackupKind::Manual, RemoteState::Completed, 9),
        RemoteBackup { is_unusable: true, ..record("broken", BackupKind::Manual, RemoteState::Completed, 8) },
        record("part", BackupKind::Partial, RemoteState::Completed, 7),
        record("failed", BackupKind::Manual, RemoteState::Failed, 6),
        record("runs", BackupKind::Manual, RemoteState::Running, 5),
        record("good", BackupKind::Automatic, RemoteState::Completed, 4),
        record("old", BackupKind::Manual, RemoteState::Completed, 3),
    ];
    let mut listed = listed.to_vec();
    listed[0].instance_id = "i-2".into();
    let found = Found::read(&listed, INSTANCE, None, |backup| taken_by(backup, false));
    assert_eq!(found.newest.map(|good| (good.backup_id, good.taken_by)), Some(("good".into(), TakenBy::Cloud)));
    assert!(
        found.has_unusable && found.finished.contains("part") && !found.finished.contains("other") && !found.finished.contains("failed")
    );
}

#[test]
fn who_took_a_backup_is_read_off_its_mark_and_its_type() {
    for (mark, kind, is_ours, expected) in [
        ("dbb-a", BackupKind::Manual, true, TakenBy::Operator),
        ("nightly", BackupKind::Automatic, true, TakenBy::Operator),
        ("dbb-a", BackupKind::Manual, false, TakenBy::OperatorElsewhere),
        ("GaussDB-x", BackupKind::Automatic, false, TakenBy::Cloud),
        ("by-hand", BackupKind::Manual, false, TakenBy::Other),
    ] {
        assert_eq!(taken_by(&record(mark, kind, RemoteState::Completed, 1), is_ours), expected, "{mark}");
    }
}
