//! The alerts, by Prometheus's own tool: each fires when it should, with the words that a person reads, and is silent in the near miss.

use crate::{
    render::{objects, of_kind, path, run},
    support::tools::Tools,
};
use database_backup_operator::{
    api::{backup::AccountKind, schedule::DatabaseBackupSchedule, status::Phase},
    cloud::{
        client::{Call, Observer},
        engine::Engine,
    },
    controller::store::{gauges::Snapshot, metrics::Metrics},
    plan::{
        account::AccountKey,
        summary::{Instance, Summary},
    },
};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    sync::Arc,
    time::Duration,
};

const ON: &str = "metrics.prometheusRule.enabled=true,metrics.prometheusRule.renderMode=alwaysRender";

/// The groups of the PrometheusRule.
fn groups(more: &str) -> Value {
    let rendered = objects(&["--set", &format!("{ON}{more}")]);
    of_kind(&rendered, "PrometheusRule")[0]["spec"].clone()
}

fn every_alert() -> BTreeMap<String, Value> {
    let spec = groups(",metrics.prometheusRule.backupTooOld.maxAge=26h");
    let rules = spec["groups"].as_array().expect("groups").iter().flat_map(|group| group["rules"].as_array().expect("rules").clone());
    rules.map(|rule| (rule["alert"].as_str().expect("an alert").to_owned(), rule)).collect()
}

/// The cases of each alert.
fn cases() -> BTreeMap<String, Value> {
    let files = fs::read_dir(path("tests/deploy/alerts")).expect("cases").map(|file| file.expect("a file").path());
    files
        .map(|file| {
            let text = fs::read_to_string(&file).expect("text");
            let cases = serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            (file.file_stem().expect("a name").to_string_lossy().into_owned(), cases)
        })
        .collect()
}

fn promtool(args: &[&str]) -> String {
    run(&Tools::Prometheus.program("promtool"), args).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn each_alert_fires_when_it_should_and_is_silent_otherwise() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = |name: &str| folder.path().join(name).display().to_string();
    let spec = groups(",metrics.prometheusRule.backupTooOld.maxAge=26h");
    fs::write(place("rules.yml"), spec.to_string()).expect("written");
    promtool(&["check", "rules", "--lint=all", "--lint-fatal", &place("rules.yml")]);
    for (alert, cases) in cases() {
        let tests = json!({ "rule_files": ["rules.yml"], "tests": cases["tests"] });
        fs::write(place(&format!("{alert}.yml")), tests.to_string()).expect("written");
        promtool(&["test", "rules", &place(&format!("{alert}.yml"))]);
    }
}

#[test]
fn each_alert_has_cases_of_both_kinds_a_severity_words_and_a_section_in_the_runbook() {
    let (alerts, cases) = (every_alert(), cases());
    assert_eq!(alerts.keys().collect::<Vec<_>>(), cases.keys().collect::<Vec<_>>(), "alerts, and those with cases");
    let runbook = fs::read_to_string(path("docs/runbook.md")).expect("the runbook");
    for (name, alert) in &alerts {
        assert!(runbook.contains(&format!("\n## {name}\n")), "{name} has no section in docs/runbook.md");
        assert!(["critical", "warning"].contains(&alert["labels"]["severity"].as_str().unwrap_or_default()), "{name}");
        for text in ["summary", "description"] {
            assert!(alert["annotations"][text].as_str().is_some_and(|text| text.len() > 20), "{name} has no {text}");
        }
        let tests = cases[name]["tests"].as_array().expect("tests");
        let expectations: Vec<&Value> = tests.iter().flat_map(|test| test["alert_rule_test"].as_array().expect("expectations")).collect();
        assert!(expectations.iter().all(|expected| expected["alertname"] == name.as_str()), "{name}");
        let fires = |expected: &&Value| expected["exp_alerts"].as_array().is_some_and(|alerts| !alerts.is_empty());
        assert!(expectations.iter().any(fires) && !expectations.iter().all(fires), "{name} needs a case that fires and one that does not");
    }
}

#[test]
fn settings_reach_the_rules() {
    let rendered = objects(&["-f", &path("deploy/helm/database-backup-operator/ci/everything-values.yaml").display().to_string()]);
    let spec = of_kind(&rendered, "PrometheusRule")[0]["spec"].to_string();
    for expected in [
        r#"dbbackup_last_success_timestamp_seconds{namespace=~\"shop|billing\"} or dbbackup_newest_backup_timestamp_seconds{namespace=~\"shop|billing\"})"#,
        r#" * 0 + 95400)""#,
        r#""runbook_url":"https://wiki.example.org/database-backups#databasebackupstuck""#,
        r#""severity":"info""#,
        r#""team":"platform""#,
        "dbbackup:example",
    ] {
        assert!(spec.contains(expected), "{expected} in {spec}");
    }
    assert!(!spec.contains("DatabaseBackupCloudThrottled"), "it is disabled");
    assert!(!groups("").to_string().contains("DatabaseBackupTooOld"), "nobody promised anything");
    let elsewhere = groups(",metrics.podMonitor.namespace=monitoring").to_string();
    let jobs = "database-backup-operator-metrics|monitoring/database-backup-operator";
    assert!(elsewhere.contains(jobs), "a PodMonitor's job has its own namespace, not the operator's: {elsewhere}");
}

/// Every name of a series of the operator in an expression.
fn series(text: &str) -> BTreeSet<String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text.split(|c| !is_name(c)).filter(|word| word.starts_with("dbbackup_") || word.starts_with("process_"));
    words.map(str::to_owned).collect()
}

/// A schedule to which everything has happened.
fn schedule() -> DatabaseBackupSchedule {
    let time = "2026-01-01T00:00:00Z";
    let condition = |kind: &str| json!({ "type": kind, "status": "True", "reason": "Because", "message": "", "lastTransitionTime": time });
    let status = json!({
        "lastSuccessfulTime": time,
        "nextScheduleTime": time,
        "objective": { "newestCompletionTime": time, "backupId": "b-1", "takenBy": "Cloud" },
        "conditions": [condition("LastBackupSucceeded"), condition("WithinObjective")],
    });
    let spec = json!({
        "schedule": "@daily",
        "backupTemplate": { "spec": { "source": { "engine": "DCS", "instanceId": "i-1" } } },
        "objective": { "maxAgeSeconds": 93_600 },
    });
    let metadata = json!({ "name": "nightly", "namespace": "shop" });
    let object = json!({
        "apiVersion": "dbbackup.dev/v1alpha1", "kind": "DatabaseBackupSchedule", "metadata": metadata, "spec": spec, "status": status,
    });
    serde_json::from_value(object).expect("a schedule")
}

/// What an operator exposes to which everything has happened.
fn everything_exposed() -> String {
    let now = Some(Timestamp::UNIX_EPOCH);
    let summary = Summary {
        last_success: now,
        last_attempt: now,
        last_failure: now,
        last_status: Some(true),
        size: Some(1),
        oldest: now,
        ..Summary::default()
    };
    let instance = Instance { namespace: "shop".into(), engine: Engine::DCS, instance_id: "i-1".into() };
    let account = AccountKey { kind: AccountKind::CloudAccount, namespace: Some("shop".into()), name: "default".into() };
    let metrics = Metrics::new();
    metrics.reconciled("DatabaseBackup", "ok");
    metrics.took("DatabaseBackup", Duration::ZERO);
    metrics.call(&Call { service: "dcs", operation: "list", code: "ok", is_throttled: false, elapsed: Duration::ZERO });
    metrics.text(&Snapshot {
        phases: vec![(Phase::Completed, 1)],
        summaries: std::sync::Arc::new([(instance, summary)].into()),
        accounts: [(account, true)].into(),
        schedules: vec![(Arc::new(schedule()), 1)],
        leads: true,
        failing_watches: 0,
    })
}

#[test]
fn rules_dashboard_and_runbook_speak_of_series_that_there_are() {
    let exposed = everything_exposed();
    let mut known: BTreeSet<String> =
        ["cpu_seconds_total", "resident_memory_bytes", "open_fds", "start_time_seconds"].map(|it| format!("process_{it}")).into();
    for (family, kind) in exposed.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')) {
        let endings: &[&str] = match kind {
            "counter" => &["_total"],
            "histogram" => &["_bucket", "_sum", "_count", ""],
            "info" => &["_info"],
            _ => &[""],
        };
        known.extend(endings.iter().map(|ending| format!("{family}{ending}")));
    }
    let rules = groups(",metrics.prometheusRule.backupTooOld.maxAge=26h").to_string();
    let read = |file: &str| fs::read_to_string(path(file)).expect(file);
    for (what, text) in [
        ("the rules", rules),
        ("the dashboard", read("deploy/helm/database-backup-operator/files/dashboard.json")),
        ("the runbook", read("docs/runbook.md")),
    ] {
        let unknown: Vec<_> = series(&text).difference(&known).cloned().collect();
        assert!(unknown.is_empty(), "{what}: {unknown:?}");
    }
    let documented = series(&read("docs/runbook.md"));
    let families: Vec<_> = known.iter().filter(|name| !["_bucket", "_sum", "_count"].iter().any(|end| name.ends_with(end))).collect();
    let missing: Vec<_> = families.into_iter().filter(|name| !documented.contains(*name)).collect();
    assert!(missing.is_empty(), "docs/runbook.md lists every metric, but not {missing:?}");
}
