//! The examples of schedules. The API server takes any text as a cron expression and as a time zone; whether they are some is said here.

use crate::render::{parse, path};
use database_backup_operator::{
    api::{backup::DatabaseBackup, schedule::DatabaseBackupSchedule},
    plan::schedule::calendar::Calendar,
};
use jiff::Timestamp;
use serde_json::Value;
use std::fs;

/// The objects of every example, and those that the chart shows.
fn objects() -> Vec<Value> {
    let folder = fs::read_dir(path("deploy/examples")).expect("examples");
    let files = folder.map(|file| fs::read_to_string(file.expect("a file").path()).expect("text"));
    let mut objects: Vec<Value> = files.flat_map(|text| parse(&text)).collect();
    let chart = fs::read_to_string(path("deploy/helm/database-backup-operator/Chart.yaml")).expect("a chart");
    let shown = parse(&chart)[0]["annotations"]["artifacthub.io/crdsExamples"].as_str().expect("text").to_owned();
    objects.extend(parse(&shown).remove(0).as_array().expect("a list").clone());
    objects
}

fn schedules() -> Vec<DatabaseBackupSchedule> {
    let is_one = |object: &Value| object["kind"] == "DatabaseBackupSchedule";
    objects().into_iter().filter(is_one).map(|object| serde_json::from_value(object).expect("a schedule")).collect()
}

#[test]
fn every_schedule_that_is_shown_has_slots() {
    let all = schedules();
    assert!(all.len() >= 4, "{all:?}");
    for DatabaseBackupSchedule { metadata, spec, .. } in all {
        let calendar = Calendar::parse(&spec.schedule, &spec.time_zone, Timestamp::UNIX_EPOCH);
        assert!(calendar.is_ok(), "{:?}: {calendar:?}", metadata.name);
    }
}

#[test]
fn a_migrations_backup_is_young_enough_for_the_slot_that_it_satisfies_and_of_the_same_instance() {
    let text = fs::read_to_string(path("deploy/examples/schedule-before-migration.yaml")).expect("an example");
    let objects = parse(&text);
    let backup: DatabaseBackup = serde_json::from_value(objects[0].clone()).expect("a backup");
    let schedule: DatabaseBackupSchedule = serde_json::from_value(objects[1].clone()).expect("a schedule");
    let template = schedule.spec.backup_template.spec;
    assert_eq!((&backup.spec.source, &backup.spec.account_ref), (&template.source, &template.account_ref));
    assert!(schedule.spec.skip_if_fresher_than_seconds.is_some());
}
