//! Backups that a test puts in, the clock that it sets, and what it counts: what schedules, retention and objectives are judged by.

use std::{collections::BTreeMap, time::Duration};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{
    DDS, ENGINES, GAUSS, GEMINI, PROJECT, RDS, REDIS, Stage, TAURUS, dcs_line, gemini_list, line,
    probe::Probe,
    simulator::backup::{self, Given, Kind},
    stage, taurus_list,
};

/// What a service lists of its instance, whole listings of that instance as the operator asks for them.
async fn listed(stage: &Stage, engine: &str) -> Vec<Value> {
    let of = |instance: &str| line("GET", &format!("?instance_id={instance}"));
    let (answer, key) = match engine {
        "geminidb" => (stage.gemini.ask(&gemini_list(&format!("?instance_id={GEMINI}")), None).await, "backups"),
        "taurusdb" => (stage.taurus.ask(&taurus_list(&format!("?instance_id={TAURUS}")), None).await, "backups"),
        "dcs" => (stage.dcs.ask(&dcs_line("GET", ""), None).await, "backup_record_response"),
        "rds" => (stage.rds.ask(&of(RDS), None).await, "backups"),
        "dds" => (stage.dds.ask(&of(DDS), None).await, "backups"),
        _ => (stage.gauss.ask(&of(GAUSS), None).await, "backups"),
    };
    assert_eq!(answer.status, 200, "{engine}: {answer:?}");
    answer.json()[key].as_array().cloned().unwrap_or_default()
}

fn word(record: &Value, names: [&str; 2]) -> String {
    names.iter().find_map(|name| record[name].as_str()).unwrap_or_default().to_ascii_lowercase()
}

fn begun(record: &Value) -> Timestamp {
    let text = word(record, ["begin_time", "created_at"]).to_ascii_uppercase();
    let parsed = Timestamp::strptime("%Y-%m-%dT%H:%M:%S%z", &text).or_else(|_| text.parse());
    parsed
        .or_else(|_| {
            jiff::civil::DateTime::strptime("%Y-%m-%d %H:%M:%S", &text)?.to_zoned(jiff::tz::TimeZone::UTC).map(|at| at.timestamp())
        })
        .unwrap()
}

#[tokio::test]
async fn each_service_shows_how_a_backup_came_about_and_how_far_it_is() {
    let stage = stage().await;
    for (engine, instance) in ENGINES {
        let give = |text: &str, given| stage.cloud.give_backup(engine, instance, text, given);
        give("automatic", Given { kind: Kind::Auto, ..Given::default() });
        give("failing", Given { stage: backup::Stage::Failed, ..Given::default() });
        give("running", Given { stage: backup::Stage::Running, ..Given::default() });
        give("whole", Given::default());
        let mut seen: Vec<(String, String)> = listed(&stage, engine)
            .await
            .iter()
            .map(|record| (word(record, ["type", "backup_type"]), word(record, ["status", "status"])))
            .collect();
        seen.sort();
        let words =
            if engine == "dcs" { ["succeed", "backuping", "failed", "succeed"] } else { ["completed", "building", "completed", "failed"] };
        let kinds = ["auto", "manual", "manual", "manual"];
        let expected: Vec<(String, String)> = kinds.iter().zip(words).map(|(kind, word)| ((*kind).to_owned(), word.to_owned())).collect();
        assert_eq!(seen, if engine == "dcs" { sorted(expected) } else { expected }, "{engine}");
    }
}

fn sorted(mut pairs: Vec<(String, String)>) -> Vec<(String, String)> {
    pairs.sort();
    pairs
}

#[tokio::test]
async fn what_is_no_backup_of_the_whole_instance_says_so_or_is_not_listed() {
    let stage = stage().await;
    for (engine, instance) in ENGINES {
        stage.cloud.give_backup(engine, instance, "part", Given { kind: Kind::Incremental, ..Given::default() });
        let kinds: Vec<String> = listed(&stage, engine).await.iter().map(|record| word(record, ["type", "backup_type"])).collect();
        let expected: &[&str] = if matches!(engine, "dds" | "gaussdb") { &[] } else { &["incremental"] };
        assert_eq!(kinds, expected, "{engine}");
    }
}

#[tokio::test]
async fn dcs_says_of_a_backup_that_nothing_can_be_restored_from_it() {
    let stage = stage().await;
    stage.cloud.give_backup("dcs", REDIS, "useless", Given { is_useless: true, ..Given::default() });
    assert_eq!(listed(&stage, "dcs").await[0]["is_support_restore"], "FALSE");
    stage.cloud.give_backup("dcs", REDIS, "useful", Given::default());
    let words: Vec<Value> = listed(&stage, "dcs").await.iter().map(|record| record["is_support_restore"].clone()).collect();
    assert_eq!(words, ["TRUE", "FALSE"]);
}

#[tokio::test]
async fn the_times_of_backups_follow_a_clock_that_is_moved_by_years_and_stands_between() {
    let stage = stage().await;
    stage.cloud.set_backup_duration(Duration::ZERO);
    let begin: Timestamp = "2031-03-30T00:59:30Z".parse().unwrap();
    for (nth, engine) in [(0, "taurusdb"), (1, "dcs"), (2, "taurusdb"), (3, "geminidb")] {
        let now = begin + SignedDuration::from_hours(nth * 24 * 300);
        stage.cloud.stop_clock_at(now);
        let name = format!("taken-{nth}");
        let answer = match engine {
            "taurusdb" => stage.create_taurus(&name).await,
            "dcs" => stage.create_dcs(&name).await,
            _ => stage.create_gemini(&name).await,
        };
        assert!(answer.status < 300, "{answer:?}");
        let newest = listed(&stage, engine).await.iter().map(begun).max().unwrap();
        assert_eq!(newest, now, "{engine}: neither a second earlier nor later: the clock stands");
        let date = jiff::fmt::rfc2822::parse(&answer.headers["date"]).unwrap().timestamp();
        assert_eq!(date, now);
    }
    let age = Duration::from_secs(86_400);
    stage.cloud.give_backup("rds", RDS, "older", Given { age, ..Given::default() });
    let last = begin + SignedDuration::from_hours(3 * 24 * 300);
    assert_eq!(begun(&listed(&stage, "rds").await[0]), last - SignedDuration::from_hours(24), "ages are by the cloud's clock");
    assert_eq!(stage.cloud.backups().iter().filter(|backup| backup.ended.is_none_or(|end| end < backup.created)).count(), 0);
}

#[tokio::test]
async fn deletes_are_counted_by_id_and_backups_found_by_name() {
    let stage = stage().await;
    let (one, other) = (stage.cloud.add_backup("taurusdb", TAURUS, "one"), stage.cloud.add_backup("dcs", REDIS, "other of somebody"));
    for _ in 0..2 {
        stage.taurus.ask(&format!("DELETE /v3/{PROJECT}/backups/{one}"), None).await;
    }
    stage.dcs.ask(&format!("DELETE /v2/{PROJECT}/instances/{REDIS}/backups/{other}"), None).await;
    assert_eq!(stage.cloud.deletes(), BTreeMap::from([(one.clone(), 2), (other.clone(), 1)]));
    assert_eq!(stage.cloud.backups_named(TAURUS, "one").iter().map(|backup| &backup.id).collect::<Vec<_>>(), [&one]);
    assert_eq!(stage.cloud.backups_named(REDIS, "other").iter().map(|backup| &backup.id).collect::<Vec<_>>(), [&other]);
    assert_eq!(stage.cloud.backups_named(REDIS, "one"), []);
}

#[tokio::test]
async fn the_admin_api_puts_in_backups_of_every_sort_and_stops_the_clock() {
    let stage = stage().await;
    let admin = Probe::new(stage.cloud.admin_url());
    let ask = async |line: &str, body: Option<Value>| {
        let answer = admin.send(line, body.map(|body| body.to_string()).as_deref()).await.unwrap();
        assert_eq!(answer.status, 200, "{line}: {answer:?}");
        answer.json()
    };
    ask("POST /settings", Some(json!({ "clock_stands_at": "2030-01-01T02:00:00Z" }))).await;
    let wish = json!({ "engine": "dcs", "instance": REDIS, "text": "night", "kind": "auto", "age_ms": 3_600_000, "is_useless": true });
    ask("POST /backups", Some(wish)).await;
    ask("POST /backups", Some(json!({ "engine": "rds", "instance": RDS, "text": "bad-one", "stage": "failed" }))).await;
    let night = &listed(&stage, "dcs").await[0];
    assert_eq!((&night["created_at"], &night["backup_type"]), (&json!("2030-01-01T01:00:00.000Z"), &json!("auto")));
    assert_eq!((&night["is_support_restore"], &listed(&stage, "rds").await[0]["status"]), (&json!("FALSE"), &json!("FAILED")));
    assert_eq!(ask("GET /deletes", None).await, json!({}));
}
