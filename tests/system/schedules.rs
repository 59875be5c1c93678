//! Slots of a schedule: what becomes of each.

use crate::{
    scheduled::{
        EVERY_MINUTE, YEARLY, api, children, early_in_a_minute, events, fell_due, manifest, metric, patch, patch_status, says, status,
        suspend, template, until, until_child, until_event, world_with,
    },
    simulator::{
        backup::{Given, Kind, Stage},
        faults::{Fault, FaultKind},
    },
    support::eventually,
    world::{PATIENCE, World, ready},
};
use database_backup_operator::api::{schedule::TakenBy, status::Phase};
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use std::time::Duration;

/// A catch-up begins within a quarter of what is left of it.
const SOON: &str = "startingDeadlineSeconds: 110";

#[tokio::test]
async fn a_slot_makes_one_object_of_its_own_that_nobody_prunes_and_the_columns_tell_of_it() {
    let world = world_with(&[]).await;
    early_in_a_minute().await;
    world.plane.apply(&manifest("night", EVERY_MINUTE, "DCS", SOON)).await;
    until(&world, "night", "is seen", |status| status.next_schedule_time.is_some()).await;
    fell_due(&world, "night", SignedDuration::ZERO).await;
    let made = until_child(&world, "night").await;
    let name = made.name_any();
    let slot = Timestamp::strptime("%Y%m%d%H%M%z", format!("{}+0000", name.trim_start_matches("night-"))).expect("a slot in its name");
    let labels: Vec<(&str, &str)> = made.labels().iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!(labels, [("dbbackup.dev/schedule", "night"), ("team", "blue")], "none of the schedule's own");
    let annotations: Vec<&String> = made.annotations().keys().collect();
    assert_eq!(annotations, ["note"], "none of the schedule's own");
    assert!(made.owner_references().is_empty());
    assert_eq!(made.spec.take_before.as_ref().map(|time| time.0), Some(slot + SignedDuration::from_secs(110)));
    world.until_phase(&name, Phase::Completed).await;
    let told = until(&world, "night", "tells of its success", |status| says(status, "LastBackupSucceeded", "True", "Completed")).await;
    suspend(&world, "night").await;
    assert_eq!(told.last_schedule_time.as_ref().map(|time| time.0), Some(slot));
    assert_eq!(told.last_backup_name.as_deref(), Some(&*name));
    assert_eq!(told.last_successful_time, world.status(&name).await.completion_time);
    assert_eq!(told.next_schedule_time.as_ref().map(|time| time.0), Some(slot + SignedDuration::from_mins(1)));
    assert!(says(&told, "Ready", "True", "Scheduled"), "{told:?}");
    until_event(&world, "night", "BackupCreated").await;
    let columns = world.plane.kubectl_ok(&["get", "dbbs"]).await;
    let (head, row) = columns.split_once('\n').expect("two lines");
    assert_eq!(
        head.split_whitespace().collect::<Vec<_>>(),
        ["NAME", "SCHEDULE", "ZONE", "SUSPEND", "LAST-SUCCESS", "NEXT", "PROTECTED", "AGE"]
    );
    assert!(row.starts_with("night") && row.contains("* * * * *") && row.contains("Etc/UTC") && row.contains("true"), "{columns}");
    let wide = world.plane.kubectl_ok(&["get", "dbbs", "-o", "wide"]).await;
    assert!(wide.contains("ACTIVE") && wide.contains("MISSED") && wide.contains(&name), "{wide}");
}

#[tokio::test]
async fn creating_resuming_and_editing_fire_nothing() {
    let world = world_with(&[]).await;
    world.plane.apply(&manifest("year", YEARLY, "DCS", "")).await;
    let first = until(&world, "year", "is seen", |status| status.next_schedule_time.is_some()).await;
    assert!(first.next_schedule_time.as_ref().is_some_and(|next| next.0 > Timestamp::now()), "{first:?}");
    suspend(&world, "year").await;
    assert_eq!(status(&world, "year").await.next_schedule_time, None);
    patch(&world, "year", r#"{"spec": {"suspend": false}}"#).await;
    until(&world, "year", "goes on", |status| status.next_schedule_time == first.next_schedule_time).await;
    patch(&world, "year", r#"{"spec": {"schedule": "0 0 1 2 *"}}"#).await;
    let edited = until(&world, "year", "has seen the edit", |status| {
        status.observed_schedule.as_deref().is_some_and(|seen| seen.starts_with("0 0 1 2 *"))
    })
    .await;
    assert!(edited.next_schedule_time.as_ref().is_some_and(|next| next.0 > Timestamp::now()), "{edited:?}");
    assert_eq!((children(&world, "year").await.len(), edited.missed_runs, edited.last_schedule_time), (0, 0, None));
    assert_eq!(metric(&world, "dbbackup_schedule_suspended", "schedule=\"year\"").await, Some(0.0));
    world.plane.kubectl_ok(&["delete", "dbbs", "year"]).await;
    eventually("its series are gone", PATIENCE, async || match metric(&world, "dbbackup_schedule_suspended", "schedule=\"year\"").await {
        None => Ok(()),
        Some(value) => Err(value.to_string()),
    })
    .await;
}

#[tokio::test]
async fn slots_of_a_downtime_are_missed_and_told_of_once_and_the_newest_is_caught_up_only_within_the_deadline() {
    let world = world_with(&[]).await;
    early_in_a_minute().await;
    world.plane.apply(&manifest("minutes", EVERY_MINUTE, "DCS", SOON)).await;
    world.plane.apply(&manifest("year", YEARLY, "GeminiDB", SOON)).await;
    until(&world, "minutes", "is seen", |status| status.next_schedule_time.is_some()).await;
    let next = until(&world, "year", "is seen", |status| status.next_schedule_time.is_some()).await.next_schedule_time;
    patch_status(&world, "year", r#"{"status": {"nextScheduleTime": "2020-01-01T00:00:00Z"}}"#).await;
    fell_due(&world, "minutes", SignedDuration::from_mins(30)).await;
    let caught_up = until_child(&world, "minutes").await;
    suspend(&world, "minutes").await;
    let told = status(&world, "minutes").await;
    let here = i64::try_from(children(&world, "minutes").await.len()).expect("a few");
    assert!(told.missed_runs >= 30 && told.missed_runs + here <= 34, "{told:?}");
    assert!(told.last_backup_name >= Some(caught_up.name_any()));
    until_event(&world, "minutes", "SlotSkipped").await;
    assert_eq!(events(&world, "minutes", "SlotSkipped").await, 1, "one for all of them");
    let year = until(&world, "year", "has missed them", |status| status.missed_runs > 0).await;
    let years = i64::from(jiff::Zoned::now().year()) - 2019;
    assert_eq!((year.missed_runs, children(&world, "year").await.len(), year.next_schedule_time), (years, 0, next));
    assert_eq!(
        metric(&world, "dbbackup_schedule_missed_runs_total", "schedule=\"year\"").await,
        Some(f64::from(i32::try_from(years).expect("few")))
    );
}

#[tokio::test]
async fn a_name_that_somebody_else_has_is_left_alone_and_the_slot_is_missed() {
    let world = world_with(&[]).await;
    early_in_a_minute().await;
    world.plane.apply(&manifest("taken", EVERY_MINUTE, "DCS", SOON)).await;
    until(&world, "taken", "is seen", |status| status.next_schedule_time.is_some()).await;
    for minutes in 0..4 {
        let slot = Timestamp::now() + SignedDuration::from_mins(minutes);
        world.plane.apply(&World::manifest(&format!("taken-{}", slot.strftime("%Y%m%d%H%M")), "DCS", "i-elsewhere", "")).await;
    }
    fell_due(&world, "taken", SignedDuration::ZERO).await;
    until_event(&world, "taken", "NameCollision").await;
    until(&world, "taken", "counts it", |status| status.missed_runs >= 1).await;
    suspend(&world, "taken").await;
    assert_eq!(children(&world, "taken").await.len(), 0);
}

#[tokio::test]
async fn a_fresh_backup_satisfies_a_slot_whoever_took_it_and_what_is_no_good_does_not() {
    let world = world_with(&[]).await;
    let fresh = format!("{SOON}\n  skipIfFresherThanSeconds: 3600");
    let old = Duration::from_secs(600);
    let given = |kind, stage, is_useless| Given { kind, stage, age: old, is_useless };
    world.cloud.give_backup("geminidb", "i-geminidb", "by-hand", given(Kind::Manual, Stage::Completed, false));
    world.cloud.give_backup("taurusdb", "i-taurusdb", "by-night", given(Kind::Auto, Stage::Completed, false));
    world.ask("presync", "DDS", "i-dds").await;
    world.until_phase("presync", Phase::Completed).await;
    world.cloud.give_backup("gaussdb", "i-gaussdb", "broken", given(Kind::Manual, Stage::Failed, false));
    world.cloud.give_backup("rds", "i-rds", "part", given(Kind::Incremental, Stage::Completed, false));
    world.cloud.give_backup("dcs", "i-dcs", "useless", given(Kind::Auto, Stage::Completed, true));
    let all = ["GeminiDB", "TaurusDB", "DDS", "GaussDB", "RDS", "DCS"];
    for engine in all {
        world.plane.apply(&manifest(&engine.to_lowercase(), EVERY_MINUTE, engine, &fresh)).await;
        until(&world, &engine.to_lowercase(), "is seen", |status| status.next_schedule_time.is_some()).await;
    }
    for engine in all {
        fell_due(&world, &engine.to_lowercase(), SignedDuration::ZERO).await;
    }
    for (name, taken_by) in [("geminidb", TakenBy::Other), ("taurusdb", TakenBy::Cloud), ("dds", TakenBy::Operator)] {
        let told = until(&world, name, "is satisfied", |status| status.satisfied_runs >= 1).await;
        assert_eq!(told.last_satisfied.map(|last| last.taken_by), Some(taken_by), "{name}");
        until_event(&world, name, "SlotSatisfied").await;
        assert_eq!(children(&world, name).await.len(), 0, "{name}");
    }
    for name in ["gaussdb", "rds", "dcs"] {
        let made = until_child(&world, name).await;
        world.until_phase(&made.name_any(), Phase::Completed).await;
    }
}

#[tokio::test]
async fn a_listing_that_fails_or_is_not_complete_satisfies_nothing() {
    let world = world_with(&[]).await;
    world.cloud.give_backup("geminidb", "i-geminidb", "fresh", Given::default());
    world.plane.apply(&manifest("blind", EVERY_MINUTE, "GeminiDB", &format!("{SOON}\n  skipIfFresherThanSeconds: 3600"))).await;
    until(&world, "blind", "is seen", |status| status.next_schedule_time.is_some()).await;
    let error = FaultKind::Status { status: 500, code: String::new(), message: String::new(), retry_after: None };
    world.cloud.inject(Fault::new(error).on("geminidb").at("list").always());
    fell_due(&world, "blind", SignedDuration::ZERO).await;
    until_child(&world, "blind").await;
    assert_eq!(status(&world, "blind").await.satisfied_runs, 0);
}

#[tokio::test]
async fn a_running_backup_delays_the_next_and_the_newest_slot_runs_when_it_ends() {
    let world = world_with(&[]).await;
    world.cloud.hold_backups(true);
    world.plane.apply(&manifest("busy", EVERY_MINUTE, "DCS", "")).await;
    let first = until_child(&world, "busy").await.name_any();
    world.until_phase(&first, Phase::Running).await;
    eventually("two more slots have fallen due", PATIENCE * 2, async || {
        let due =
            status(&world, "busy").await.next_schedule_time.is_some_and(|next| Timestamp::now() > next.0 + SignedDuration::from_secs(62));
        if due { Ok(()) } else { Err("not yet".into()) }
    })
    .await;
    assert_eq!(children(&world, "busy").await, [&*first]);
    assert_eq!(status(&world, "busy").await.active_backup_name.as_deref(), Some(&*first));
    world.cloud.hold_backups(false);
    eventually("the newest slot runs", PATIENCE, async || match children(&world, "busy").await.len() {
        1 => Err(world.newest_lines()),
        _ => Ok(()),
    })
    .await;
    let told = until(&world, "busy", "counts what was missed", |status| status.missed_runs >= 1).await;
    assert_eq!(told.missed_runs, 1, "{told:?}");
}

#[tokio::test]
async fn a_blocked_backup_delays_nothing_and_lapses_when_the_next_is_made_so_one_is_taken_in_the_end() {
    let world = world_with(&[]).await;
    let source = "source: {engine: RDS, instanceId: i-late}";
    world.plane.apply(&template("late", EVERY_MINUTE, source, "")).await;
    let first = until_child(&world, "late").await.name_any();
    world.until_reason(&first, "InstanceNotFound").await;
    let lapsed = world.until_phase(&first, Phase::Lapsed).await;
    assert_eq!(ready(&lapsed).map(|ready| &*ready.reason), Some("Superseded"), "{lapsed:?}");
    suspend(&world, "late").await;
    world.cloud.add_instance("rds", "i-late");
    let newest = children(&world, "late").await.pop().expect("the one that is not lapsed");
    world.until_phase(&newest, Phase::Completed).await;
    assert_eq!(world.own_backups().len(), 1);
    let told = until(&world, "late", "counts it", |status| status.lapsed_runs >= 1).await;
    assert_eq!(told.lapsed_runs + 1, i64::try_from(children(&world, "late").await.len()).expect("few"), "{told:?}");
    assert!(api(&world).get("late").await.is_ok());
}

#[tokio::test]
async fn an_edit_while_a_backup_runs_changes_nothing_of_it_and_fires_nothing() {
    let world = world_with(&[]).await;
    world.cloud.hold_backups(true);
    world.plane.apply(&manifest("edited", EVERY_MINUTE, "DCS", "")).await;
    let name = until_child(&world, "edited").await.name_any();
    world.until_phase(&name, Phase::Running).await;
    let before = world.object(&name).await;
    // Everything that its template and its slots can be.
    let spec = "source: {engine: GeminiDB, instanceId: i-geminidb}, deletionPolicy: Delete, backoffLimit: 7, progressDeadlineSeconds: 60";
    world.plane.apply(&template("edited", YEARLY, spec, "retention: {maxCount: 3}").replace("team: blue", "team: green")).await;
    let seen = until(&world, "edited", "has seen the edit", |status| status.next_schedule_time.is_some()).await;
    assert!(seen.next_schedule_time.is_some_and(|next| next.0 > Timestamp::now()), "the new slots count");
    assert_eq!(seen.active_backup_name.as_deref(), Some(&*name));
    world.cloud.hold_backups(false);
    world.cloud.complete_all();
    world.until_phase(&name, Phase::Completed).await;
    let told = until(&world, "edited", "tells of its success", |status| says(status, "LastBackupSucceeded", "True", "Completed")).await;
    let after = world.object(&name).await;
    assert_eq!((&after.spec, after.labels(), after.annotations()), (&before.spec, before.labels(), before.annotations()));
    assert_eq!(after.labels().get("team").map(String::as_str), Some("blue"));
    assert!(world.own_backups().iter().all(|backup| backup.instance == "i-dcs"));
    assert_eq!((children(&world, "edited").await, told.missed_runs), (vec![name], 0));
}
