//! From a slot to a backup, or to a count.

use super::*;

fn hourly(now: &str) -> World {
    World::new(&json!({ "schedule": "0 * * * *" }), now)
}

#[test]
fn a_slot_makes_one_backup_and_two_writes_tell_of_it() {
    let mut world = hourly("2026-01-01T00:30:00Z");
    let pause = world.run();
    assert!(world.created.is_empty() && pause <= Duration::from_secs(600), "creating fires nothing");
    assert_eq!(world.ready(), pair("True", "Scheduled"));
    let writes = world.writes;
    world.run_at("2026-01-01T01:00:00Z");
    assert_eq!(world.created, ["nightly-202601010100"]);
    assert_eq!((world.writes - writes, world.told("BackupCreated")), (1, 1));
    world.run_at("2026-01-01T01:10:00Z");
    world.end("202601010100", Phase::Completed);
    world.run();
    assert_eq!(world.writes - writes, 2);
    assert_eq!(world.condition(types::LAST_BACKUP_SUCCEEDED), pair("True", "Completed"));
    let status = &world.status;
    assert_eq!(status.last_backup_name.as_deref(), Some("nightly-202601010100"));
    assert_eq!((status.active_backup_name.as_deref(), status.missed_runs), (None, 0));
    assert_eq!(status.next_schedule_time.as_ref().map(|next| next.0), Some(at("2026-01-01T02:00:00Z")));
    assert_eq!(status.last_successful_time.as_ref().map(|last| last.0), Some(at("2026-01-01T01:10:00Z")));
}

#[test]
fn a_process_that_is_killed_between_the_child_and_the_status_does_not_count_the_slot_as_missed() {
    let mut world = hourly("2026-01-01T00:30:00Z");
    world.run();
    world.pass(Duration::from_secs(1800));
    assert!(matches!(world.decide(), Step::Create { .. }));
    world.step();
    world.restart();
    world.pass(Duration::from_secs(3 * 3600));
    world.end("202601010100", Phase::Completed);
    for _ in 0..30 {
        world.run();
        world.pass(Duration::from_secs(10));
    }
    assert_eq!(world.created, ["nightly-202601010100", "nightly-202601010400"]);
    assert_eq!(world.status.missed_runs, 2, "02:00 and 03:00, and not 01:00");
}

#[test]
fn a_week_of_downtime_is_one_backup_and_a_count_of_the_rest() {
    let mut world = hourly("2026-01-01T00:30:00Z");
    world.run();
    world.pass(Duration::from_secs(7 * 24 * 3600));
    world.restart();
    for _ in 0..40 {
        world.run();
        world.pass(Duration::from_secs(10));
    }
    assert_eq!(world.created, ["nightly-202601080000"]);
    assert_eq!((world.status.missed_runs, world.told("SlotSkipped")), (167, 1));
}

#[test]
fn suspended_slots_are_no_missed_ones_and_resuming_fires_nothing() {
    let mut world = hourly("2026-01-01T00:30:00Z");
    world.run();
    (world.spec.suspend, world.generation) = (true, 2);
    world.run();
    assert_eq!(world.ready(), pair("True", "Suspended"));
    assert_eq!(world.status.next_schedule_time, None);
    world.run_at("2026-01-01T09:30:00Z");
    (world.spec.suspend, world.generation) = (false, 3);
    world.run();
    assert!(world.created.is_empty() && world.status.missed_runs == 0);
    world.run_at("2026-01-01T10:00:00Z");
    assert_eq!(world.created, ["nightly-202601011000"]);
}

#[test]
fn what_is_wrong_with_a_schedule_is_said_and_mending_it_fires_nothing() {
    for (field, wrong) in
        [("schedule", "61 * * * *"), ("schedule", "@every 5m"), ("schedule", "0 0 31 2 *"), ("timeZone", "Europe/Atlantis")]
    {
        let mut world = hourly("2026-01-01T00:30:00Z");
        world.run();
        let mut spec = serde_json::to_value(&world.spec).expect("JSON");
        spec[field] = json!(wrong);
        world.spec = serde_json::from_value(spec).expect("a spec");
        world.generation = 2;
        world.run_at("2026-01-01T03:30:00Z");
        assert_eq!((world.ready(), world.condition(types::STALLED)), (pair("False", "InvalidSchedule"), pair("True", "InvalidSchedule")));
        let message = &find(&world.status.conditions, types::READY).expect("Ready").message;
        assert!(message.starts_with(&format!("spec.{field} {wrong:?}")), "{message}");
        world.spec = hourly("2026-01-01T00:30:00Z").spec;
        world.generation = 3;
        world.run_at("2026-01-01T06:30:00Z");
        assert!(world.created.is_empty() && world.status.missed_runs == 0);
        assert_eq!((world.ready(), world.condition(types::STALLED)), (pair("True", "Scheduled"), pair("", "")));
    }
}

#[test]
fn a_backup_that_is_on_its_way_delays_the_next_one_and_the_newest_slot_runs_when_it_ends() {
    let mut world = hourly("2026-01-01T00:30:00Z");
    world.run();
    world.run_at("2026-01-01T01:00:00Z");
    world.run_at("2026-01-01T03:30:00Z");
    assert_eq!(world.created.len(), 1, "one that nobody has looked at yet delays, too");
    world.child_mut("202601010100").phase = Some(Phase::Running);
    world.run();
    let message = &find(&world.status.conditions, types::READY).expect("Ready").message;
    assert_eq!(message, "the next backup waits for nightly-202601010100 to come to its end");
    world.end("202601010100", Phase::Completed);
    world.run();
    assert_eq!(world.created, ["nightly-202601010100", "nightly-202601010300"]);
    assert_eq!(world.status.missed_runs, 1);
}

#[test]
fn a_backup_that_is_stuck_delays_nothing_and_lapses_if_the_cloud_was_never_asked() {
    let mut world = hourly("2026-01-01T00:30:00Z");
    world.run();
    world.run_at("2026-01-01T01:00:00Z");
    for hour in 1..60 {
        let slot = world.created.last().expect("a backup").trim_start_matches("nightly-").to_owned();
        world.stall(&slot);
        world.pass(Duration::from_secs(3600));
        world.run();
        assert_eq!(world.created.len(), hour + 1);
    }
    let open = world.children.iter().filter(|child| !child.has_ended()).count();
    assert_eq!((open, world.status.lapsed_runs, world.status.missed_runs), (1, 59, 0));
    assert_eq!(world.children.len(), 1 + 3, "failedHistoryLimit keeps three of them");
    world.restart();
    world.run();
    assert_eq!(world.status.lapsed_runs, 59, "each is counted once, also by another process");
}

#[test]
fn one_that_may_be_in_the_cloud_stays_as_it_is() {
    let mut world = hourly("2026-01-01T00:30:00Z");
    world.run();
    world.run_at("2026-01-01T01:00:00Z");
    world.stall("202601010100");
    world.child_mut("202601010100").is_replaceable = false;
    world.run_at("2026-01-01T02:00:00Z");
    assert_eq!((world.created.len(), world.status.lapsed_runs), (2, 0));
}

#[test]
fn another_object_of_the_slots_name_costs_the_slot_and_the_next_one_comes() {
    let mut world = hourly("2026-01-01T00:30:00Z");
    world.run();
    world.pass(Duration::from_secs(1800));
    let Step::Create { slot, .. } = world.decide() else { panic!("it is due") };
    world.memory.collision = Some(slot);
    world.run();
    assert_eq!((world.status.missed_runs, world.told("NameCollision"), world.created.len()), (1, 1, 0));
    world.run_at("2026-01-01T02:00:00Z");
    assert_eq!(world.created, ["nightly-202601010200"]);
}

#[test]
fn what_the_api_server_does_not_take_is_said_and_tried_again() {
    let mut world = hourly("2026-01-01T00:30:00Z");
    world.run();
    world.refuses = true;
    world.run_at("2026-01-01T01:00:00Z");
    assert_eq!((world.ready(), world.condition(types::RECONCILING)), (pair("False", "BackupNotCreated"), pair("True", "BackupNotCreated")));
    let pause = world.run_at("2026-01-01T01:06:00Z");
    assert_eq!(world.condition(types::STALLED), pair("True", "BackupNotCreated"));
    assert!(pause <= Duration::from_secs(60), "{pause:?}");
    world.refuses = false;
    world.run_at("2026-01-01T01:08:00Z");
    assert_eq!(world.created, ["nightly-202601010100"]);
    assert_eq!(world.ready(), pair("True", "Scheduled"));
}

#[test]
fn a_slot_is_satisfied_by_a_fresh_backup_whoever_took_it_and_by_nothing_less() {
    let fresh = |world: &World, hours| Good { backup_id: "b".into(), completed: ago(world.now, hours), taken_by: TakenBy::Cloud };
    for (age, cloud_answers, is_satisfied) in [(1, true, true), (3, true, false), (1, false, false)] {
        let mut world = World::new(&json!({ "schedule": "0 * * * *", "skipIfFresherThanSeconds": 7200 }), "2026-01-01T00:30:00Z");
        world.run();
        world.pass(Duration::from_secs(1800));
        let newest = fresh(&world, age);
        world.cloud = cloud_answers.then(|| Found { newest: Some(newest), ..Found::default() });
        world.run();
        assert_eq!(world.created.is_empty(), is_satisfied, "{age} {cloud_answers}");
        assert_eq!((world.status.satisfied_runs, world.told("SlotSatisfied")), (i64::from(is_satisfied), usize::from(is_satisfied)));
        let told = world.status.last_satisfied.as_ref().map(|last| (last.slot.0, last.taken_by));
        assert_eq!(told, is_satisfied.then(|| (at("2026-01-01T01:00:00Z"), TakenBy::Cloud)));
        assert_eq!(world.status.next_schedule_time.as_ref().map(|next| next.0), Some(at("2026-01-01T02:00:00Z")));
    }
}

#[test]
fn what_was_listed_before_a_slot_says_nothing_of_it() {
    let mut world = World::new(
        &json!({ "schedule": "0 * * * *", "skipIfFresherThanSeconds": 7200, "objective": { "maxAgeSeconds": 86400 } }),
        "2026-01-01T00:59:00Z",
    );
    world.cloud = Some(Found {
        newest: Some(Good { backup_id: "b".into(), completed: ago(world.now, 0), taken_by: TakenBy::Other }),
        ..Found::default()
    });
    world.run();
    world.cloud = Some(Found::default());
    world.run_at("2026-01-01T01:00:00Z");
    assert_eq!(world.created.len(), 1, "it is gone since");
}

#[test]
fn a_listing_that_takes_a_while_decides_the_slot_that_it_was_begun_for() {
    let mut world = World::new(&json!({ "schedule": "0 * * * *", "skipIfFresherThanSeconds": 7200 }), "2026-01-01T00:30:00Z");
    world.run();
    world.survey_takes = Duration::from_secs(20);
    world.run_at("2026-01-01T01:00:00Z");
    assert_eq!((world.created.len(), world.surveys), (1, 1));
}

#[test]
fn a_backup_that_is_being_deleted_keeps_no_slot_waiting() {
    let mut world = hourly("2026-01-01T00:30:00Z");
    world.run();
    world.run_at("2026-01-01T01:00:00Z");
    let child = world.child_mut("202601010100");
    (child.phase, child.is_deleting, child.is_replaceable) = (Some(Phase::Running), true, false);
    world.run_at("2026-01-01T02:00:00Z");
    assert_eq!(world.created.len(), 2, "that may take for ever");
}

#[test]
fn a_clock_that_is_set_back_before_an_edit_brings_no_slot_back() {
    let mut world = hourly("2026-01-01T00:30:00Z");
    world.run();
    world.run_at("2026-01-01T02:00:00Z");
    world.end("202601010200", Phase::Completed);
    world.now.wall = at("2026-01-01T00:50:00Z");
    (world.spec.schedule, world.generation) = ("0,30 * * * *".into(), 2);
    world.run();
    assert_eq!(world.status.next_schedule_time.as_ref().map(|next| next.0), Some(at("2026-01-01T02:30:00Z")));
}

#[test]
fn a_next_time_that_is_no_slot_begins_anew() {
    let mut world = hourly("2026-01-01T00:30:00Z");
    world.run();
    world.status.next_schedule_time = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(at("2026-01-01T00:07:00Z")));
    world.run();
    assert!(world.created.is_empty());
    assert_eq!(world.status.next_schedule_time.as_ref().map(|next| next.0), Some(at("2026-01-01T01:00:00Z")));
}

#[test]
fn how_the_newest_backup_did_is_not_forgotten_for_an_older_one() {
    let mut world = hourly("2026-01-01T00:30:00Z");
    world.run();
    world.run_at("2026-01-01T01:00:00Z");
    world.end("202601010100", Phase::Failed);
    world.run_at("2026-01-01T02:00:00Z");
    world.end("202601010200", Phase::Completed);
    world.run();
    assert_eq!(world.condition(types::LAST_BACKUP_SUCCEEDED), pair("True", "Completed"));
    // Somebody deletes the newest object.
    world.children.retain(|child| child.name != "nightly-202601010200");
    world.run();
    assert_eq!(world.condition(types::LAST_BACKUP_SUCCEEDED), pair("True", "Completed"));
}

#[test]
fn an_account_that_cannot_be_used_satisfies_nothing_and_is_said() {
    let mut world = World::new(&json!({ "schedule": "0 * * * *", "skipIfFresherThanSeconds": 7200 }), "2026-01-01T00:30:00Z");
    world.account = blocked();
    world.run();
    assert_eq!((world.ready(), world.condition(types::RECONCILING)), (pair("False", "AccountNotReady"), pair("True", "AccountNotReady")));
    world.run_at("2026-01-01T01:00:00Z");
    assert_eq!((world.created.len(), world.surveys), (1, 0), "the backup is made, and says itself what it waits for");
    assert_eq!(world.condition(types::STALLED), pair("True", "AccountNotReady"));
    (world.spec.suspend, world.generation) = (true, 2);
    world.run();
    assert_eq!(world.ready(), pair("True", "Suspended"), "whatever its account says");
}

#[test]
fn a_fresh_schedule_is_not_ready_before_its_account_was_looked_at_and_a_known_one_stays_as_it_is() {
    let mut world = hourly("2026-01-01T00:30:00Z");
    world.account = Account::Verifying;
    world.run();
    assert_eq!((world.ready(), world.condition(types::RECONCILING)), (pair("False", "AccountNotReady"), pair("True", "AccountNotReady")));
    world.account = ready(world.now.wall);
    world.run();
    assert_eq!(world.ready(), pair("True", "Scheduled"));
    world.restart();
    world.account = Account::Verifying;
    world.run();
    assert_eq!(world.ready(), pair("True", "Scheduled"));
}

#[test]
fn a_backup_has_the_templates_labels_and_the_schedules_name_and_no_owner() {
    let metadata = json!({ "labels": { "team": "orders", "dbbackup.dev/schedule": "another" }, "annotations": { "why": "nightly" } });
    let template = json!({ "metadata": metadata, "spec": { "source": { "engine": "TaurusDB", "instanceId": INSTANCE } } });
    let world = World::new(&json!({ "schedule": "0 * * * *", "backupTemplate": template }), "2026-01-01T00:30:00Z");
    let made = child::new("nightly", "shop", &world.spec, at("2026-01-01T01:00:00Z"), world.now.wall);
    let metadata = serde_json::to_value(&made.metadata).expect("JSON");
    let expected = json!({
        "name": "nightly-202601010100", "namespace": "shop", "labels": { "team": "orders", "dbbackup.dev/schedule": "nightly" },
        "annotations": { "why": "nightly" },
    });
    assert_eq!(metadata, expected);
}

#[test]
fn editing_the_time_fires_nothing_and_editing_anything_else_leaves_the_slots_alone() {
    let mut world = hourly("2026-01-01T00:30:00Z");
    world.run();
    (world.spec.backup_template.spec.backoff_limit, world.generation) = (5, 2);
    world.run_at("2026-01-01T01:00:00Z");
    assert_eq!(world.created.len(), 1);
    world.end("202601010100", Phase::Completed);
    (world.spec.schedule, world.generation) = ("*/20 * * * *".into(), 3);
    world.run_at("2026-01-01T01:50:00Z");
    assert_eq!((world.created.len(), world.status.missed_runs), (1, 0));
    world.run_at("2026-01-01T02:00:00Z");
    assert_eq!(world.created.last().map(String::as_str), Some("nightly-202601010200"));
}

#[test]
fn a_store_that_was_put_back_runs_no_slot_again_that_this_process_knows_of() {
    let mut world = hourly("2026-01-01T00:30:00Z");
    world.run();
    let before = world.status.clone();
    world.run_at("2026-01-01T01:00:00Z");
    world.status = before;
    world.children.clear();
    let now = world.now;
    world.memory.put_back(now);
    world.run();
    assert_eq!(world.created.len(), 1);
    assert_eq!(world.status.next_schedule_time.as_ref().map(|next| next.0), Some(at("2026-01-01T02:00:00Z")));
    assert_eq!(world.status.missed_runs, 0);
}

#[test]
fn failures_are_kept_as_far_as_the_limit_says_once_they_are_counted() {
    let mut world = World::new(&json!({ "schedule": "0 * * * *", "failedHistoryLimit": 0 }), "2026-01-01T00:30:00Z");
    world.run();
    world.run_at("2026-01-01T01:00:00Z");
    world.end("202601010100", Phase::Failed);
    world.run();
    assert_eq!(world.deleted, ["nightly-202601010100"]);
    assert_eq!(world.condition(types::LAST_BACKUP_SUCCEEDED), pair("False", "Failed"), "although its object is gone");
    world.run_at("2026-01-01T02:00:00Z");
    assert_eq!(world.condition(types::LAST_BACKUP_SUCCEEDED), pair("False", "Failed"));
    world.child_mut("202601010200").is_held = true;
    world.end("202601010200", Phase::Lapsed);
    world.run();
    assert_eq!((world.deleted.len(), world.status.lapsed_runs), (1, 1), "one that is held stays");
}

#[test]
fn an_object_that_only_looks_like_a_backup_of_the_schedule_is_told_of_once_and_left_alone() {
    let mut world = hourly("2026-01-01T00:30:00Z");
    world.add_completed(at("2025-12-31T01:00:00Z"));
    world.child_mut("202512310100").is_labelled = false;
    world.run();
    world.run();
    assert_eq!((world.told("StrayChild"), world.status.last_successful_time.as_ref()), (1, None));
}

#[test]
fn a_name_of_the_form_says_schedule_and_slot_and_nothing_else_does() {
    assert_eq!(child::parse("a-b-202601010200"), Some(("a-b", at("2026-01-01T02:00:00Z"))));
    for other in
        ["a-20260101020", "a-2026010102000", "a-202613010200", "a-20260101020x", "-202601010200", "a202601010200", "a-+02601010200"]
    {
        assert_eq!(child::parse(other), None, "{other}");
    }
}

#[test]
fn a_backup_may_be_taken_for_as_long_as_its_deadline_says_and_a_late_one_has_an_hour() {
    let slot = at("2026-01-01T02:00:00Z");
    assert_eq!(child::take_before(slot, Some(SignedDuration::from_secs(90)), slot), at("2026-01-01T02:01:30Z"));
    assert_eq!(child::take_before(slot, None, slot), at("2026-01-02T02:00:00Z"));
    assert_eq!(child::take_before(slot, None, at("2026-01-05T00:00:00Z")), at("2026-01-05T01:00:00Z"));
}

#[test]
fn a_schedule_is_not_written_for_other_words_alone_and_what_is_written_anyway_brings_them_along() {
    let mut world = hourly("2026-01-01T00:30:00Z");
    world.spec.objective = Some(serde_json::from_value(json!({ "maxAgeSeconds": 86_400 })).expect("an objective"));
    world.run();
    world.run_at("2026-01-01T01:00:00Z");
    world.run_at("2026-01-01T01:10:00Z");
    world.end("202601010100", Phase::Completed);
    world.run();
    let words = "in the words of an earlier version";
    for condition in &mut world.status.conditions {
        let backup = condition.message.split_once(':').filter(|_| condition.type_ == types::LAST_BACKUP_SUCCEEDED);
        condition.message = backup.map_or_else(|| words.to_owned(), |(name, _)| format!("{name}: {words}"));
    }
    let (before, writes) = (world.status.clone(), world.writes);
    assert_eq!(before.conditions.len(), 3);
    world.restart();
    world.run();
    assert_eq!((&world.status, world.writes), (&before, writes));
    world.run_at("2026-01-01T02:00:00Z");
    assert!(
        world.status.conditions.iter().all(|condition| condition.type_ == types::WITHIN_OBJECTIVE || !condition.message.contains(words))
    );
}

#[test]
fn what_a_schedule_waits_for_is_more_than_words() {
    let mut world = hourly("2026-01-01T00:30:00Z");
    world.run();
    world.run_at("2026-01-01T01:00:00Z");
    world.run_at("2026-01-01T02:00:00Z");
    let ready = |world: &World| find(&world.status.conditions, types::READY).map(|ready| ready.message.clone()).expect("a condition");
    assert!(ready(&world).contains("waits for nightly-202601010100"), "{}", ready(&world));
    let waits = world.status.clone();
    for condition in &mut world.status.conditions {
        condition.message = "the next slot is at some time".into();
    }
    world.restart();
    world.run();
    assert_eq!(world.status, waits);
}
