//! Which backups go, and when.

use super::*;

fn keeping(retention: &Value) -> World {
    World::new(&json!({ "schedule": "0 2 * * *", "retention": retention }), "2026-01-10T12:00:00Z")
}

/// With backups of these days of January, and a status that has seen the present spec.
fn with_days(retention: &Value, days: std::ops::RangeInclusive<i8>) -> World {
    let mut world = keeping(retention);
    for day in days {
        world.add_completed(at(&format!("2026-01-{day:02}T02:00:00Z")));
    }
    world.status.observed_generation = 1;
    world
}

#[test]
fn a_backup_that_ends_lets_the_oldest_go_once_a_listing_shows_the_ones_that_stay() {
    let mut world = with_days(&json!({ "maxCount": 3 }), 7..=10);
    world.run();
    assert_eq!((world.retired.as_slice(), world.surveys), (["nightly-202601070200".to_owned()].as_slice(), 1));
    world.run();
    assert_eq!(world.retired.len(), 1, "it is on its way");
}

#[test]
fn nothing_goes_while_the_cloud_does_not_show_the_floor() {
    let mut world = with_days(&json!({ "maxCount": 2, "minCount": 2 }), 7..=10);
    world.cloud.as_mut().expect("a cloud").finished.remove("id-202601100200");
    world.run();
    assert!(world.retired.is_empty());
    let message = &find(&world.status.conditions, types::READY).expect("Ready").message;
    assert!(message.contains("retention waits: the cloud shows 1 of the 2 backups that have to stay"), "{message}");
    world.cloud.as_mut().expect("a cloud").finished.insert("id-202601100200".into());
    world.pass(Duration::from_secs(301));
    world.run();
    assert_eq!(world.retired.len(), 2);
    assert!(!find(&world.status.conditions, types::READY).expect("Ready").message.contains("retention"));
}

#[test]
fn what_was_listed_before_the_decision_proves_nothing() {
    let retention = json!({ "maxCount": 3 });
    let mut world = with_days(&retention, 8..=10);
    world.spec.objective = serde_json::from_value(json!({ "maxAgeSeconds": 90_000 })).expect("an objective");
    world.run();
    let surveys = world.surveys;
    assert!(surveys > 0);
    // The objective has just had the instance listed when one backup more turns up, and then the cloud loses all of them.
    world.add_completed(at("2026-01-07T02:00:00Z"));
    world.cloud = Some(Found::default());
    world.pass(Duration::from_secs(6));
    world.run();
    assert!(world.retired.is_empty() && world.surveys > surveys);
}

#[test]
fn a_listing_that_fails_deletes_nothing() {
    let mut world = with_days(&json!({ "maxCount": 1 }), 7..=10);
    world.cloud = None;
    world.run();
    world.pass(Duration::from_secs(3600));
    world.run();
    assert!(world.retired.is_empty() && world.surveys >= 2);
}

#[test]
fn nothing_goes_while_the_clocks_disagree_nor_by_this_machines_clock_alone() {
    let mut world = with_days(&json!({ "maxAgeDays": 2 }), 7..=10);
    world.cloud.as_mut().expect("a cloud").cloud_time = Some(ago(world.now, 1));
    world.run();
    assert!(world.retired.is_empty());
    let mut ahead = with_days(&json!({ "maxAgeDays": 2 }), 8..=10);
    ahead.now.wall = at("2026-01-10T02:00:30Z");
    ahead.cloud.as_mut().expect("a cloud").cloud_time = Some(at("2026-01-10T01:59:30Z"));
    ahead.run();
    assert!(ahead.retired.is_empty(), "the cloud says that it is not two days old yet");
}

#[test]
fn an_edit_that_shrinks_retention_is_announced_and_the_next_pass_deletes() {
    let mut world = with_days(&json!({ "maxCount": 5 }), 6..=10);
    world.run();
    (world.spec.retention.as_mut().expect("retention").max_count, world.generation) = (Some(2), 2);
    world.run();
    world.pass(Duration::from_secs(60));
    world.restart();
    world.run();
    assert!(world.retired.is_empty(), "also after a restart");
    let planned: Vec<&String> = world.notices.iter().filter(|notice| notice.starts_with("RetentionPlanned")).collect();
    assert!(planned.len() == 1 && planned[0].contains("nightly-202601060200, nightly-202601070200, nightly-202601080200"), "{planned:?}");
    assert!(world.status.retention_planned_time.is_some());
    world.run_at("2026-01-11T02:00:00Z");
    assert_eq!(world.retired.len(), 3, "twelve hours have passed");
    assert_eq!(world.status.retention_planned_time, None);
}

#[test]
fn a_backup_that_ends_after_the_announcement_is_the_next_pass() {
    let mut world = with_days(&json!({ "maxCount": 5 }), 6..=10);
    world.run();
    (world.spec.retention.as_mut().expect("retention").max_count, world.generation) = (Some(2), 2);
    world.run_at("2026-01-11T01:59:00Z");
    world.run_at("2026-01-11T02:00:00Z");
    assert!(world.retired.is_empty());
    world.pass(Duration::from_secs(300));
    world.end("202601110200", Phase::Completed);
    world.run();
    assert_eq!(world.retired.len(), 4);
}

#[test]
fn a_schedule_that_is_made_anew_picks_its_backups_up_and_announces_first() {
    let mut world = with_days(&json!({ "maxCount": 2 }), 6..=10);
    world.status = DatabaseBackupScheduleStatus::default();
    world.run();
    assert_eq!((world.told("RetentionPlanned"), world.retired.len()), (1, 0));
}

#[test]
fn what_is_held_imported_adopted_or_not_its_own_stays_and_is_not_counted() {
    for exempt in 0..3 {
        let mut world = with_days(&json!({ "maxCount": 2 }), 7..=10);
        match exempt {
            0 => world.child_mut("202601070200").is_held = true,
            1 => world.child_mut("202601070200").is_own = false,
            _ => drop(world.adopted.insert("id-202601070200".into())),
        }
        world.run();
        assert_eq!(world.retired, ["nightly-202601080200"], "{exempt}");
    }
}

#[test]
fn retention_goes_on_while_the_schedule_is_suspended() {
    let mut world = with_days(&json!({ "maxCount": 3 }), 7..=10);
    world.spec.suspend = true;
    world.run();
    assert_eq!(world.retired.len(), 1);
}

#[test]
fn the_oldest_goes_when_it_turns_too_old_and_not_before() {
    let mut world = with_days(&json!({ "maxAgeDays": 4 }), 7..=10);
    world.spec.suspend = true;
    world.run_at("2026-01-11T01:59:59Z");
    assert!(world.retired.is_empty());
    let pause = world.run_at("2026-01-11T02:00:00Z");
    assert!(pause <= Duration::from_secs(1), "{pause:?}");
    world.pass(pause);
    world.run();
    assert_eq!(world.retired, ["nightly-202601070200"]);
}

#[test]
fn a_backup_that_waits_for_room_has_the_oldest_go_at_once_and_is_told_when_there_is_room() {
    let mut world = with_days(&json!({ "maxCount": 4 }), 7..=10);
    world.run();
    assert!(world.retired.is_empty());
    world.run_at("2026-01-11T02:00:00Z");
    let child = world.child_mut("202601110200");
    (child.phase, child.reason) = (Some(Phase::Pending), Reason::QuotaExceeded.as_str().into());
    world.run();
    assert_eq!(world.retired, ["nightly-202601070200"]);
    world.run();
    assert_eq!((world.retired.len(), world.told_of_room), (1, 0), "one goes, not one after the other");
    world.children.retain(|child| !child.is_retired);
    world.run();
    assert_eq!(world.told_of_room, 1);
    world.run();
    assert_eq!(world.told_of_room, 1, "once");
}

#[test]
fn each_instance_has_a_count_of_its_own() {
    let mut world = with_days(&json!({ "maxCount": 3 }), 6..=10);
    for day in ["202601060200", "202601070200"] {
        world.child_mut(day).instance.id = "i-2".into();
    }
    world.run();
    assert!(world.retired.is_empty());
}

#[test]
fn a_kill_in_the_middle_of_a_pass_takes_nothing_more() {
    let mut world = with_days(&json!({ "maxCount": 2 }), 5..=10);
    while world.retired.is_empty() {
        world.step();
    }
    // Two of the four were marked when the process was killed.
    for day in ["202601070200", "202601080200"] {
        world.child_mut(day).is_retired = false;
    }
    world.restart();
    world.run();
    let marked = world.children.iter().filter(|child| child.is_retired).count();
    assert_eq!((marked, world.children.len()), (4, 6));
}
