//! Which backups of a schedule go, and that nothing else does.

use crate::{
    scheduled::{
        YEARLY, age, child, children, completed, events, manifest, metric, patch, status, until, until_children, until_event, world_with,
    },
    simulator::faults::next,
    support::eventually,
    world::{PATIENCE, World, message},
};
use database_backup_operator::api::status::{DatabaseBackupStatus, Phase};
use std::{collections::BTreeSet, time::Duration};

/// A pass a second.
const OFTEN: &str = "--resync-interval=1s";
const FOUR: [&str; 4] = ["202601010000", "202601020000", "202601030000", "202601040000"];

/// Ids of a schedule's backups, by slot.
async fn id(world: &World, schedule: &str, slot: &str) -> String {
    world.status(&format!("{schedule}-{slot}")).await.backup_id.expect("it has one")
}

#[tokio::test]
async fn the_oldest_beyond_the_count_go_from_cluster_and_cloud_once_whatever_the_deletion_policy() {
    let world = world_with(&[OFTEN]).await;
    for (schedule, engine, policy) in [("kept", "GeminiDB", "Retain"), ("along", "TaurusDB", "Delete")] {
        completed(&world, schedule, engine, &FOUR, &format!("deletionPolicy: {policy}")).await;
        let going = [id(&world, schedule, FOUR[0]).await, id(&world, schedule, FOUR[1]).await];
        world.plane.apply(&manifest(schedule, YEARLY, engine, "retention: {maxCount: 2}")).await;
        until_children(&world, schedule, &FOUR[2..]).await;
        until_event(&world, schedule, "RetentionDeleted").await;
        for id in going {
            assert!(world.cloud.backups().iter().any(|backup| backup.id == id && backup.deleted), "{schedule}");
            assert_eq!(world.cloud.deletes().get(&id), Some(&1), "{schedule}");
        }
        let left =
            world.cloud.backups().into_iter().filter(|backup| backup.instance == format!("i-{}", engine.to_lowercase()) && !backup.deleted);
        assert_eq!(left.count(), 2, "{schedule}");
    }
}

#[tokio::test]
async fn what_is_held_adopted_or_only_looks_like_a_backup_of_the_schedule_stays() {
    let world = world_with(&[OFTEN]).await;
    let slots = ["202601010000", "202601020000", "202601030000", "202601040000", "202601050000"];
    completed(&world, "few", "DDS", &slots, "").await;
    world.annotate(&format!("few-{}", slots[0]), "dbbackup.dev/hold=audit").await;
    let adopted = id(&world, "few", slots[1]).await;
    let source = format!("instanceId: i-dds, existingBackupId: {adopted}");
    world.plane.apply(&World::manifest("adopter", "DDS", "i-dds", "deletionPolicy: Retain").replace("instanceId: i-dds", &source)).await;
    world.until_phase("adopter", Phase::Completed).await;
    let stray = child("few", "first", "DDS", "");
    world.plane.apply(&stray).await;
    world.until_phase("few-first", Phase::Completed).await;
    world.plane.apply(&World::manifest("few-202512310000", "DDS", "i-dds", "")).await;
    world.until_phase("few-202512310000", Phase::Completed).await;
    world.plane.apply(&manifest("few", YEARLY, "DDS", "retention: {maxCount: 1}")).await;
    until_children(&world, "few", &[slots[0], slots[1], slots[4], "first"]).await;
    assert_eq!(world.status("few-202512310000").await.phase, Some(Phase::Completed));
    until_event(&world, "few", "StrayChild").await;
    assert_eq!(metric(&world, "dbbackup_schedule_strays", "schedule=\"few\"").await, Some(2.0));
    assert_eq!(metric(&world, "dbbackup_backups_held", "instance_id=\"i-dds\"").await, Some(1.0));
    let gone = world.cloud.backups().into_iter().filter(|backup| backup.deleted).count();
    assert_eq!(gone, 2);
}

#[tokio::test]
async fn an_edit_that_lets_fewer_stay_only_plans_and_the_pass_after_it_deletes() {
    let world = world_with(&["--resync-interval=8s"]).await;
    completed(&world, "edited", "GaussDB", &FOUR, "").await;
    world.plane.apply(&manifest("edited", YEARLY, "GaussDB", "retention: {maxCount: 4}")).await;
    until(&world, "edited", "is seen", |status| status.next_schedule_time.is_some()).await;
    patch(&world, "edited", r#"{"spec": {"retention": {"maxCount": 1}}}"#).await;
    until(&world, "edited", "has planned", |status| status.retention_planned_time.is_some()).await;
    until_event(&world, "edited", "RetentionPlanned").await;
    assert_eq!(children(&world, "edited").await.len(), 4, "nothing goes yet");
    patch(&world, "edited", r#"{"spec": {"retention": {"maxCount": 3}}}"#).await;
    until_children(&world, "edited", &FOUR[1..]).await;
    assert_eq!(status(&world, "edited").await.retention_planned_time, None);
    assert_eq!(events(&world, "edited", "RetentionDeleted").await, 1);
}

#[tokio::test]
async fn age_counts_down_to_the_floor_also_while_the_schedule_rests() {
    let world = world_with(&[OFTEN]).await;
    completed(&world, "aged", "GeminiDB", &FOUR, "").await;
    let old = jiff::SignedDuration::from_hours(24 * 30);
    age(&world, "i-geminidb", old);
    let is_old = |status: &DatabaseBackupStatus| status.completion_time.as_ref().is_some_and(|time| time.0 < jiff::Timestamp::now() - old);
    for slot in FOUR {
        world.until(&format!("aged-{slot}"), "is old", is_old).await;
    }
    world.plane.apply(&manifest("aged", YEARLY, "GeminiDB", "suspend: true\n  retention: {maxAgeDays: 7, minCount: 2}")).await;
    until_children(&world, "aged", &FOUR[2..]).await;
}

#[tokio::test]
async fn a_backup_whose_time_is_up_stays_as_long_as_it_is_held_and_says_so() {
    let world = world_with(&[OFTEN]).await;
    for name in ["held", "free"] {
        world.plane.apply(&World::manifest(name, "DCS", "i-dcs", "expireAfterDays: 1")).await;
        world.until_phase(name, Phase::Completed).await;
    }
    world.annotate("held", "dbbackup.dev/hold=audit").await;
    // A day later. An end before the request would be taken for a mistake of the cloud's.
    let day = jiff::SignedDuration::from_hours(25);
    let requested = (jiff::Timestamp::now() - day * 2).strftime("%Y-%m-%dT%H:%M:%S.000000Z");
    for name in ["held", "free"] {
        world.patch_status(name, &format!(r#"{{"status": {{"requestTime": "{requested}"}}}}"#)).await;
    }
    age(&world, "i-dcs", day);
    world.until_phase("free", Phase::Expired).await;
    let words = "its time is up, but it is held: remove the annotation dbbackup.dev/hold";
    let told = world.until_seen("held", "told that it stays", |status| message(status).contains(words)).await;
    assert_eq!((told.phase, told.delete_reason), (Some(Phase::Completed), None), "{told:?}");
    assert_eq!(world.left(), [told.backup_id.expect("an id")]);
    world.annotate("held", "dbbackup.dev/hold-").await;
    world.until_phase("held", Phase::Expired).await;
    assert_eq!(world.phases("held").last(), Some(&"Expired"));
    assert!(world.left().is_empty());
    assert!(world.cloud.deletes().values().all(|calls| *calls == 1), "{:?}", world.cloud.deletes());
}

#[tokio::test]
async fn of_those_that_failed_only_the_newest_stay_and_their_records_in_the_cloud_stay_under_retain() {
    let world = world_with(&[OFTEN]).await;
    world.cloud.fail_next_backups(4, None);
    for slot in FOUR {
        world.plane.apply(&child("bad", slot, "TaurusDB", "backoffLimit: 0")).await;
        world.until_phase(&format!("bad-{slot}"), Phase::Failed).await;
    }
    world.plane.apply(&manifest("bad", YEARLY, "TaurusDB", "failedHistoryLimit: 1")).await;
    until_children(&world, "bad", &FOUR[3..]).await;
    assert_eq!(world.left().len(), 4);
    let told = until(&world, "bad", "tells of it", |status| crate::scheduled::says(status, "LastBackupSucceeded", "False", "Failed")).await;
    assert_eq!(told.last_successful_time, None);
}

#[tokio::test]
async fn a_quota_that_is_full_makes_room_at_once_where_retention_allows_it() {
    let world = world_with(&["--resync-interval=1h", "--blocked-grace=1h"]).await;
    world.cloud.settings(|settings| settings.manual_backups_per_project = Some(2));
    completed(&world, "full", "DDS", &FOUR[..2], "").await;
    world.plane.apply(&manifest("full", YEARLY, "DDS", "retention: {maxCount: 2}")).await;
    until(&world, "full", "is seen", |status| status.next_schedule_time.is_some()).await;
    world.plane.apply(&child("full", FOUR[2], "DDS", "")).await;
    world.until_phase(&format!("full-{}", FOUR[2]), Phase::Completed).await;
    until_children(&world, "full", &FOUR[1..3]).await;
    // Not below the floor, and nothing where no limit is set.
    completed(&world, "free", "GaussDB", &FOUR[..2], "").await;
    world.plane.apply(&manifest("free", YEARLY, "GaussDB", "retention: {minCount: 1}")).await;
    until(&world, "free", "is seen", |status| status.next_schedule_time.is_some()).await;
    world.plane.apply(&child("free", FOUR[2], "GaussDB", "")).await;
    world.until_reason(&format!("free-{}", FOUR[2]), "QuotaExceeded").await;
    assert_eq!(children(&world, "free").await.len(), 3);
}

#[tokio::test]
async fn deleting_a_schedule_leaves_its_backups_and_one_of_its_name_goes_on_with_them() {
    let world = world_with(&[OFTEN]).await;
    world.plane.apply(&manifest("again", YEARLY, "GeminiDB", "retention: {maxCount: 4}")).await;
    completed(&world, "again", "GeminiDB", &FOUR, "").await;
    // Another one of the same instance counts its own.
    world.plane.apply(&manifest("again-too", YEARLY, "GeminiDB", "retention: {maxCount: 1}")).await;
    completed(&world, "again-too", "GeminiDB", &FOUR[..2], "").await;
    until_children(&world, "again-too", &FOUR[1..2]).await;
    world.plane.kubectl_ok(&["delete", "dbbs", "again"]).await;
    assert_eq!(children(&world, "again").await.len(), 4);
    world.plane.apply(&manifest("again", YEARLY, "GeminiDB", "retention: {maxCount: 3}")).await;
    until_children(&world, "again", &FOUR[1..]).await;
    assert_eq!(children(&world, "again-too").await.len(), 1);
}

/// Rounds of the test of kills. More find more.
const ROUNDS: u64 = 12;

#[tokio::test]
async fn kills_in_the_middle_of_passes_lose_nothing_more_leak_nothing_and_delete_nothing_twice() {
    let mut world = world_with(&[OFTEN]).await;
    let mut seed = u64::from(std::process::id());
    println!("seed {seed}");
    world.plane.apply(&manifest("killed", YEARLY, "GeminiDB", "retention: {maxCount: 2}")).await;
    completed(&world, "killed", "GeminiDB", &["202501010000"], "").await;
    world.annotate("killed-202501010000", "dbbackup.dev/hold=forever").await;
    let mut slots = vec![];
    for round in 0..ROUNDS {
        let fresh: Vec<String> = (1..=3).map(|day| format!("2026{:02}{day:02}0000", round + 1)).collect();
        for slot in &fresh {
            world.plane.apply(&child("killed", slot, "GeminiDB", "")).await;
        }
        for slot in &fresh {
            // Retention may have taken it already.
            eventually(&format!("{slot} was completed"), PATIENCE, async || {
                let is_completed = world.history(&format!("killed-{slot}")).iter().any(|status| status.phase == Some(Phase::Completed));
                if is_completed { Ok(()) } else { Err(world.newest_lines()) }
            })
            .await;
        }
        slots.extend(fresh);
        // A moment of a pass: so many deletes later, and a little.
        let calls = world.cloud.count(None, "delete") + usize::try_from(next(&mut seed) % 3).expect("small");
        let deadline = tokio::time::Instant::now() + Duration::from_secs(3);
        while world.cloud.count(None, "delete") < calls && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        tokio::time::sleep(Duration::from_millis(next(&mut seed) % 30)).await;
        world.kill_operator();
        world.start_operator_with(&[OFTEN]);
    }
    // Two objects of one second come to their turn in any order: the newest are those that were completed last.
    let completion = |slot: &String| world.history(&format!("killed-{slot}")).into_iter().rev().find_map(|status| status.completion_time);
    slots.sort_by_key(|slot| (completion(slot).map(|time| time.0), slot.clone()));
    let mut expected = vec!["202501010000", &slots[slots.len() - 2], &slots[slots.len() - 1]];
    expected.sort_unstable();
    until_children(&world, "killed", &expected).await;
    let mut named = BTreeSet::new();
    for slot in &expected {
        named.insert(id(&world, "killed", slot).await);
    }
    eventually("the cloud has the same", PATIENCE, async || {
        let left: BTreeSet<String> = world.left().into_iter().collect();
        if left == named { Ok(()) } else { Err(format!("{left:?}, and the objects name {named:?}")) }
    })
    .await;
    let twice: Vec<_> = world.cloud.deletes().into_iter().filter(|(_, calls)| *calls > 1).collect();
    let accepted = |id: &str| {
        world
            .cloud
            .calls()
            .iter()
            .filter(|call| call.path_and_query.contains(id) && call.operation == "delete" && call.status.is_some_and(|status| status < 300))
            .count()
    };
    assert!(twice.iter().all(|(id, _)| accepted(id) <= 1), "{twice:?}");
}
