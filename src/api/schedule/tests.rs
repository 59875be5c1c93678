//! What the definition refuses, by its own rules and schema.

use super::*;
use crate::api::crds;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::JSONSchemaProps;
use serde_json::{Value, json};

/// A schedule with a spec that is a good one but for some fields, which are merged into it.
fn schedule(name: &str, changes: Value) -> DatabaseBackupSchedule {
    let mut spec = json!({
        "schedule": "0 2 * * *",
        "backupTemplate": { "spec": { "source": { "engine": "TaurusDB", "instanceId": "i-1" } } },
    });
    merge(&mut spec, changes);
    let object =
        json!({ "apiVersion": "dbbackup.dev/v1alpha1", "kind": "DatabaseBackupSchedule", "metadata": { "name": name }, "spec": spec });
    serde_json::from_value(object).unwrap()
}

fn merge(into: &mut Value, changes: Value) {
    match (into, changes) {
        (Value::Object(into), Value::Object(changes)) => {
            for (name, change) in changes {
                merge(into.entry(name).or_insert(Value::Null), change);
            }
        }
        (into, change) => *into = change,
    }
}

fn source(changes: &Value) -> Value {
    json!({ "backupTemplate": { "spec": { "source": changes } } })
}

/// What the rules say of a schedule; empty for nothing.
fn refusal(schedule: &DatabaseBackupSchedule) -> String {
    schedule.validate_cel().map_or_else(|errors| errors.to_string(), |()| String::new())
}

#[test]
fn a_name_leaves_room_for_the_time_of_a_slot() {
    assert_eq!(refusal(&schedule(&"x".repeat(50), json!({}))), "");
    let refused = refusal(&schedule(&"x".repeat(51), json!({})));
    assert!(refused.contains("at most 50 characters"), "{refused}");
}

#[test]
fn what_can_never_work_is_refused() {
    let retention = json!({ "retention": { "maxCount": 14 } });
    let mut old_api = source(&json!({ "engine": "GaussDBforMySQL" }));
    assert_eq!(refusal(&schedule("nightly", old_api.clone())), "");
    assert_eq!(refusal(&schedule("nightly", retention.clone())), "");
    merge(&mut old_api, retention);
    for (changes, expected) in [
        (old_api, "retention cannot be set with engine GaussDBforMySQL"),
        (
            json!({ "backupTemplate": { "spec": { "deletionPolicy": "Delete", "source": { "engine": "GaussDBforMySQL" } } } }),
            "with engine GaussDBforMySQL the deletionPolicy must be Retain",
        ),
        (json!({ "backupTemplate": { "metadata": { "annotations": { "why": "x".repeat(1025) } } } }), "a text of at most 1024"),
        (json!({ "backupTemplate": { "metadata": { "labels": { "x".repeat(318): "a" } } } }), "a name of at most 317 characters"),
        (source(&json!({ "existingBackupId": "b-1" })), "source.existingBackupId cannot be set"),
        (source(&json!({ "dcs": { "backupFormat": "AOF" } })), "dcs can only be set with engine DCS"),
    ] {
        let refused = refusal(&schedule("nightly", changes.clone()));
        assert!(refused.contains(expected), "{changes}: {refused:?}");
    }
    assert_eq!(refusal(&schedule("nightly", source(&json!({ "engine": "DCS", "dcs": { "backupFormat": "AOF" } })))), "");
}

#[test]
fn everything_can_be_edited() {
    let old = schedule("nightly", json!({ "retention": { "maxCount": 14 }, "objective": { "maxAgeSeconds": 90_000 } }));
    for changes in [
        json!({ "schedule": "@hourly", "timeZone": "Europe/Berlin", "suspend": true }),
        source(&json!({ "engine": "RDS", "instanceId": "i-2", "description": "another" })),
        json!({ "backupTemplate": { "spec": { "accountRef": { "kind": "ClusterCloudAccount", "name": "platform" }, "deletionPolicy": "Delete" } } }),
        json!({ "backupTemplate": { "metadata": { "labels": { "team": "orders" }, "annotations": { "why": "nightly" } } } }),
    ] {
        let edited = schedule("nightly", changes.clone()).validate_cel_update(&old);
        assert!(edited.is_ok(), "{changes}: {edited:?}");
    }
}

/// The schema at a path of fields.
fn field(path: &str) -> JSONSchemaProps {
    let crd = crds::all().into_iter().find(|crd| crd.spec.names.kind == "DatabaseBackupSchedule").unwrap();
    let root = crd.spec.versions[0].schema.clone().and_then(|schema| schema.open_api_v3_schema).unwrap();
    path.split('.').fold(root, |schema, name| schema.properties.unwrap().remove(name).unwrap_or_else(|| panic!("{path}: no {name}")))
}

#[test]
fn numbers_have_their_ranges() {
    for (path, least, most) in [
        ("spec.startingDeadlineSeconds", 60.0, None),
        ("spec.failedHistoryLimit", 0.0, Some(100.0)),
        ("spec.skipIfFresherThanSeconds", 60.0, Some(31_536_000.0)),
        ("spec.objective.maxAgeSeconds", 3600.0, None),
        ("spec.retention.maxCount", 1.0, None),
        ("spec.retention.maxAgeDays", 1.0, Some(3650.0)),
        ("spec.retention.minCount", 1.0, None),
        ("spec.backupTemplate.spec.backoffLimit", 0.0, Some(10.0)),
        ("spec.backupTemplate.spec.progressDeadlineSeconds", 60.0, None),
    ] {
        assert_eq!((field(path).minimum, field(path).maximum), (Some(least), most), "{path}");
    }
    for (path, least, most) in [("spec.schedule", 1, 200), ("spec.timeZone", 1, 64)] {
        assert_eq!((field(path).min_length, field(path).max_length), (Some(least), Some(most)), "{path}");
    }
}

#[test]
fn what_is_not_said_has_a_default_and_nobody_has_seen_a_fresh_one() {
    let default = |path: &str| field(path).default.map(|default| default.0);
    for (path, expected) in [
        ("status", json!({ "observedGeneration": -1 })),
        ("spec.timeZone", json!("Etc/UTC")),
        ("spec.suspend", json!(false)),
        ("spec.failedHistoryLimit", json!(3)),
        ("spec.retention.minCount", json!(1)),
        ("spec.backupTemplate.spec.accountRef", json!({ "kind": "CloudAccount", "name": "default" })),
        ("spec.backupTemplate.spec.deletionPolicy", json!("Retain")),
    ] {
        assert_eq!(default(path), Some(expected), "{path}");
    }
}

/// Both would be the same for every backup of a schedule: the schedule sets `takeBefore` of each, and retention says when one goes. The API server drops fields
/// that it does not know and says so to whoever asks for strict validation, as kubectl does.
#[test]
fn a_template_knows_no_time_of_a_single_backup() {
    let known = field("spec.backupTemplate.spec").properties.unwrap();
    for unknown in ["takeBefore", "expireAfterDays"] {
        assert!(!known.contains_key(unknown), "{unknown}");
    }
    let own: Vec<&str> = known.keys().map(String::as_str).collect();
    assert_eq!(own, ["accountRef", "backoffLimit", "deletionPolicy", "progressDeadlineSeconds", "source"]);
}
