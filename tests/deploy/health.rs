//! Argo CD's health checks: the cases in the layout that Argo CD takes upstream, objects that nobody would write, and the entry for `argocd-cm`.

use crate::{
    render::{path, same_as_committed},
    support::argo_health::{Health, SCRIPTS, health, script},
};
use database_backup_operator::api::crds;
use serde::Deserialize;
use serde_json::{Value, json};
use std::{collections::BTreeSet, fs};

const KINDS: [&str; 4] = ["ClusterCloudAccount", "CloudAccount", "DatabaseBackup", "DatabaseBackupSchedule"];

#[derive(Deserialize)]
struct Tests {
    tests: Vec<Test>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Test {
    health_status: Health,
    input_path: String,
}

#[test]
fn every_kind_has_a_script_and_each_of_its_cases_comes_out_as_written() {
    let kinds: BTreeSet<String> = crds::all().iter().map(|crd| crd.spec.names.kind.clone()).collect();
    assert_eq!(kinds, KINDS.map(str::to_owned).into());
    for kind in KINDS {
        let folder = format!("{SCRIPTS}/{kind}");
        let tests = fs::read_to_string(format!("{folder}/health_test.yaml")).expect("health_test.yaml");
        let Tests { tests } = serde_saphyr::from_str(&tests).expect("tests");
        let files: BTreeSet<String> = fs::read_dir(format!("{folder}/testdata"))
            .expect("testdata")
            .map(|file| format!("testdata/{}", file.expect("a file").file_name().to_string_lossy()))
            .collect();
        assert_eq!(tests.iter().map(|test| test.input_path.clone()).collect::<BTreeSet<_>>(), files, "{kind}: each file is a case");
        let mut seen = BTreeSet::new();
        for Test { health_status, input_path } in tests {
            let text = fs::read_to_string(format!("{folder}/{input_path}")).expect("an object");
            let object: Value = serde_saphyr::from_str(&text).expect("an object");
            assert_eq!(object["kind"], kind, "{input_path}");
            assert_eq!(health(&script(kind), &object).expect("a health"), health_status, "{kind} {input_path}");
            seen.insert(health_status.status);
        }
        assert!(
            seen.contains("Progressing") && seen.contains("Degraded") && (seen.contains("Healthy") || kind == "CloudAccount"),
            "{kind}: {seen:?}"
        );
    }
}

/// Argo CD wants a file for each kind; `make generate` copies the one that people edit.
#[test]
fn the_kinds_have_the_same_conditions_and_so_the_same_script() {
    let script = fs::read_to_string(path("deploy/argocd/health.lua")).expect("the script");
    for kind in KINDS {
        let copy = path(&format!("deploy/argocd/resource_customizations/dbbackup.dev/{kind}/health.lua"));
        same_as_committed(&copy, &script);
    }
}

#[test]
fn no_object_makes_the_script_fail_and_none_that_is_odd_is_healthy() {
    let metadata = json!({ "name": "odd", "generation": 1 });
    let conditions = |conditions: Value| json!({ "metadata": metadata, "status": { "observedGeneration": 1, "conditions": conditions } });
    let odd = [
        json!({}),
        json!({ "metadata": metadata }),
        json!({ "metadata": metadata, "status": null }),
        json!({ "metadata": metadata, "status": {} }),
        json!({ "metadata": metadata, "status": "Completed" }),
        json!({ "metadata": metadata, "status": [1, 2] }),
        json!({ "metadata": null, "status": { "conditions": null } }),
        json!({ "metadata": null, "status": { "observedGeneration": 1, "conditions": [{ "type": "Ready", "status": "True" }] } }),
        json!({ "metadata": "odd", "status": { "conditions": [{ "type": "Ready", "status": "True" }] } }),
        json!({ "metadata": { "name": "odd" }, "status": { "conditions": [{ "type": "Ready", "status": "True" }] } }),
        json!({ "metadata": metadata, "status": { "conditions": [{ "type": "Ready", "status": "True" }] } }),
        json!({ "metadata": metadata, "status": { "observedGeneration": "1", "conditions": [{ "type": "Ready", "status": "True" }] } }),
        json!({ "metadata": metadata, "status": { "observedGeneration": 0, "conditions": [{ "type": "Ready", "status": "True" }] } }),
        conditions(json!(null)),
        conditions(json!("Ready")),
        conditions(json!([])),
        conditions(json!([null, 1, "Ready", [], {}])),
        conditions(json!([{ "type": 1, "status": "True" }])),
        conditions(json!([{ "type": "Ready" }])),
        conditions(json!([{ "type": "Ready", "status": true }])),
        conditions(json!([{ "type": "Ready", "status": "Unknown", "message": { "a": 1 } }])),
        conditions(json!({ "Ready": { "type": "Ready", "status": "True" } })),
    ];
    for object in odd {
        let said = health(&script("DatabaseBackup"), &object).unwrap_or_else(|error| panic!("{object}: {error}"));
        assert_eq!(said.status, "Progressing", "{object}");
    }
    let fine = conditions(json!([{ "type": "Ready", "status": "True", "message": null }]));
    assert_eq!(health(&script("DatabaseBackup"), &fine).expect("a health").status, "Healthy");
}

#[test]
fn of_several_conditions_that_are_true_the_one_that_kstatus_reads_first_counts_and_its_message_is_shown() {
    let both = |types: &[&str]| {
        let condition = |kind: &&str| json!({ "type": kind, "status": "True", "message": kind });
        let conditions: Vec<Value> = types.iter().map(condition).collect();
        let object = json!({ "metadata": { "generation": 2 }, "status": { "observedGeneration": 2, "conditions": conditions } });
        let said = health(&script("DatabaseBackup"), &object).expect("a health");
        (said.status, said.message)
    };
    let pair = |status: &str, message: &str| (status.to_owned(), message.to_owned());
    assert_eq!(both(&["Ready", "Stalled", "Reconciling"]), pair("Progressing", "Reconciling"));
    assert_eq!(both(&["Ready", "Stalled"]), pair("Degraded", "Stalled"));
    assert_eq!(both(&["Stalled"]), pair("Degraded", "Stalled"));
    assert_eq!(both(&["Ready"]), pair("Healthy", "Ready"));
}

#[test]
fn a_schedule_is_degraded_for_its_objective_only_once_it_was_met_and_never_for_one_backup_that_failed() {
    let said = |reason: &str, objective: Value, within: Option<&str>, last: Option<&str>| {
        let condition =
            |kind: &str, status: &str, reason: &str| json!({ "type": kind, "status": status, "reason": reason, "message": kind });
        let mut conditions = vec![condition("Ready", "True", reason)];
        conditions.extend(within.map(|status| condition("WithinObjective", status, "TooOld")));
        conditions.extend(last.map(|status| condition("LastBackupSucceeded", status, "Failed")));
        let status = json!({ "observedGeneration": 2, "objective": objective, "conditions": conditions });
        let said =
            health(&script("DatabaseBackupSchedule"), &json!({ "metadata": { "generation": 2 }, "status": status })).expect("a health");
        (said.status, said.message)
    };
    let pair = |status: &str, message: &str| (status.to_owned(), message.to_owned());
    let (met, never) = (json!({ "lastMetTime": "2026-01-01T00:00:00Z" }), json!({ "checkedTime": "2026-01-01T00:00:00Z" }));
    assert_eq!(said("Scheduled", met.clone(), Some("False"), Some("True")), pair("Degraded", "WithinObjective"));
    assert_eq!(said("Suspended", met.clone(), Some("False"), Some("True")), pair("Degraded", "WithinObjective"));
    assert_eq!(said("Scheduled", never.clone(), Some("False"), None), pair("Healthy", "WithinObjective"));
    assert_eq!(said("Scheduled", json!("odd"), Some("False"), None), pair("Healthy", "WithinObjective"));
    assert_eq!(said("Scheduled", met.clone(), Some("Unknown"), Some("True")), pair("Healthy", "Ready"));
    assert_eq!(said("Scheduled", met.clone(), Some("True"), Some("False")), pair("Healthy", "LastBackupSucceeded"));
    assert_eq!(said("Suspended", met, Some("True"), Some("False")), pair("Healthy", "suspended"));
}

#[test]
fn a_hook_that_is_deleted_while_it_runs_ends_the_sync_instead_of_keeping_it_waiting() {
    let deleted = |case: &str, finalizers: &[&str]| {
        let text = fs::read_to_string(format!("{SCRIPTS}/DatabaseBackup/testdata/{case}.yaml")).expect("an object");
        let mut object: Value = serde_saphyr::from_str(&text).expect("an object");
        // As the API server does: the generation moves on, and nobody writes a status any more.
        let metadata = &mut object["metadata"];
        metadata["generation"] = (metadata["generation"].as_i64().expect("a generation") + 1).into();
        metadata["deletionTimestamp"] = "2026-03-01T00:00:00Z".into();
        metadata["finalizers"] = finalizers.into();
        let said = health(&script("DatabaseBackup"), &object).expect("a health");
        (said.status, said.message)
    };
    let hook = &["somebody.else/finalizer", "argocd.argoproj.io/hook-finalizer"][..];
    for (case, expected, why) in [
        ("healthy_completed", "Healthy", "holds backup"),
        ("progressing_running", "Degraded", "Deleted before it was completed"),
        ("progressing_fresh", "Degraded", "Deleted before it was completed"),
        ("degraded_failed", "Degraded", "attempts failed"),
    ] {
        let (status, message) = deleted(case, hook);
        assert!(status == expected && message.contains(why), "{case}: {status} {message}");
    }
    let (status, _) = deleted("progressing_running", &["somebody.else/finalizer"]);
    assert_eq!(status, "Progressing", "Argo CD itself says so of what is no hook");
}

#[test]
fn the_entry_for_argocd_cm_is_made_of_the_scripts() {
    let head = "\
# For an Argo CD that does not know these kinds. Merge `data` into the ConfigMap argocd-cm of its namespace; it is read at once.
# Made from resource_customizations/ by `make generate`.
apiVersion: v1
kind: ConfigMap
metadata:
  name: argocd-cm
  namespace: argocd
  labels:
    app.kubernetes.io/name: argocd-cm
    app.kubernetes.io/part-of: argocd
data:
";
    let indented = |line: &str| if line.is_empty() { "\n".to_owned() } else { format!("    {line}\n") };
    let entry = |kind| {
        let lines: String = script(kind).lines().map(indented).collect();
        format!("  resource.customizations.health.dbbackup.dev_{kind}: |\n{lines}")
    };
    let text = head.to_owned() + &KINDS.map(entry).concat();
    same_as_committed(&path("deploy/argocd/argocd-cm.yaml"), &text);
    let parsed: Value = serde_saphyr::from_str(&text).expect("YAML");
    for kind in KINDS {
        let entry = parsed["data"][format!("resource.customizations.health.dbbackup.dev_{kind}")].as_str().expect("an entry");
        assert_eq!(entry.trim(), script(kind).trim());
    }
}
