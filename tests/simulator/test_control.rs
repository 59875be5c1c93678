//! What is observed and what can be set, by Rust and over the admin API.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    GEMINI, PROJECT, RDS, TAURUS, TOKEN, dcs_line, gemini_list, line,
    probe::{Answer, Probe},
    simulator::{
        PASSWORD, Simulator,
        faults::{Fault, FaultKind},
    },
    stage, taurus_list,
};

#[tokio::test]
async fn what_is_not_published_is_404_with_a_request_id_in_header_and_body() {
    let stage = stage().await;
    let lines = [
        "GET /".to_owned(),
        format!("PUT /v3/{PROJECT}/backups"),
        format!("GET /v3/{PROJECT}/backups/"),
        format!("GET /v2/{PROJECT}/backups"),
    ];
    for line in lines {
        for probe in [&stage.gemini, &stage.taurus, &stage.dcs, &stage.iam] {
            let answer = probe.ask(&line, None).await;
            assert_eq!(answer.error(), (404, "APIGW.0101".to_owned()), "{line}");
            assert_eq!(answer.json()["request_id"], answer.headers["x-request-id"].as_str());
        }
    }
    assert_eq!(stage.gemini.ask(&gemini_list(""), None).await.status, 200);
    stage.cloud.unpublish("geminidb", "GET /v4/");
    assert_eq!(stage.gemini.ask(&gemini_list(""), None).await.error(), (404, "APIGW.0101".to_owned()));
    assert_eq!(stage.gemini.ask(&gemini_list("").replace("/v4/", "/v3.1/"), None).await.status, 200);
}

#[tokio::test]
async fn calls_are_counted_and_hold_no_secrets() {
    let stage = stage().await;
    stage.create_dcs("one").await;
    stage.dcs.ask(&dcs_line("GET", "?limit=5"), None).await;
    stage.dcs.ask(&dcs_line("GET", "?limit=5"), None).await;
    assert_eq!((stage.cloud.count(Some("dcs"), "create"), stage.cloud.count(None, "list")), (1, 2));
    assert_eq!(stage.cloud.count(Some("taurusdb"), "list"), 0);
    assert_eq!(stage.cloud.max_requests_in_a_second(), 3);
    let calls = stage.cloud.calls();
    assert_eq!((calls[0].method.as_str(), calls[0].status), ("POST", Some(200)));
    assert!(calls[1].path_and_query.ends_with("/backups?limit=5"));
    let text = format!("{calls:?}");
    assert!(!text.contains(TOKEN) && !text.contains(PASSWORD));
    stage.cloud.reset_calls();
    assert_eq!(stage.cloud.calls().len(), 0);
}

#[tokio::test]
async fn the_admin_api_turns_the_dials_too() {
    let stage = stage().await;
    let admin = Probe::new(stage.cloud.admin_url());
    let ask = async |line: &str, body: Option<Value>| {
        let answer = admin.send(line, body.map(|body| body.to_string()).as_deref()).await.unwrap();
        assert_eq!(answer.status, 200, "{line}: {answer:?}");
        answer.json()
    };
    assert_eq!(ask("GET /endpoints", None).await["gaussdbformysql"], stage.cloud.endpoints().taurusdb);
    let settings = ask("POST /settings", Some(json!({ "backup_duration_ms": 0, "backup_size": 42 }))).await;
    assert_eq!((&settings["backup_duration_ms"], &settings["delete_duration_ms"]), (&json!(0), &json!(300)));
    assert_eq!(admin.send("POST /settings", Some(r#"{"misspelt":1}"#)).await.unwrap().status, 400);
    ask("POST /instances", Some(json!({ "engine": "gaussdbformysql", "id": "another", "project": "eu-nl" }))).await;
    assert_eq!(ask("GET /instances", None).await.as_array().unwrap().len(), 7);
    ask("POST /fail-next", Some(json!({ "count": 1, "engine": "taurusdb" }))).await;
    stage.create_taurus("failing").await;
    assert_eq!(ask("GET /backups", None).await[0]["status"], "FAILED");
    let id =
        ask("POST /backups", Some(json!({ "engine": "dcs", "instance": super::REDIS, "text": "older", "age_ms": 3_600_000 }))).await["id"]
            .clone();
    assert_eq!(stage.dcs.ask(&dcs_line("GET", ""), None).await.json()["backup_record_response"][0]["backup_id"], id);
    ask(&format!("DELETE /backups/{}", id.as_str().unwrap()), None).await;
    assert_eq!(stage.dcs.ask(&dcs_line("GET", ""), None).await.status, 204);
    ask(
        "POST /faults",
        Some(json!({ "service": "dcs", "operation": "create", "kind": { "status": { "status": 500, "code": "DCS.5000" } } })),
    )
    .await;
    ask("POST /faults", Some(json!({ "kind": "lose_answer", "times": 2 }))).await;
    assert_eq!(ask("GET /faults", None).await.as_array().unwrap().len(), 2);
    assert_eq!(stage.create_dcs("x").await.error(), (500, "DCS.5000".to_owned()));
    ask("DELETE /faults", None).await;
    ask("POST /chaos", Some(json!({ "seed": 1, "percent": [[{ "delay": 1 }, 50], ["cut_before", 0]] }))).await;
    ask("POST /chaos", Some(Value::Null)).await;
    ask("POST /deny", Some(json!({ "service": "dcs", "deny": true }))).await;
    assert_eq!(stage.create_dcs("x").await.status, 403);
    ask("POST /deny", Some(json!({ "service": "dcs", "deny": false }))).await;
    ask("POST /refuse", Some(json!({ "service": "dcs", "refuse": true }))).await;
    stage.dcs.send(&dcs_line("GET", ""), None).await.unwrap_err();
    ask("POST /refuse", Some(json!({ "service": "dcs", "refuse": false }))).await;
    assert_eq!(stage.create_dcs("x").await.status, 200);
    assert_eq!(ask("GET /count?operation=create&service=taurusdb", None).await, json!({ "requests": 1 }));
    assert!(ask("GET /calls", None).await.as_array().unwrap().len() > 5);
    ask("DELETE /calls", None).await;
    ask("DELETE /tokens", None).await;
    assert_eq!(stage.taurus.ask(&taurus_list(""), None).await.status, 403);
    ask("POST /tokens", Some(json!({ "value": TOKEN }))).await;
    assert_eq!(stage.taurus.ask(&taurus_list(""), None).await.status, 200);
}

#[tokio::test]
async fn backups_can_be_put_in_and_lost_behind_everybodys_back() {
    let stage = stage().await;
    let id = stage.cloud.add_backup("taurusdb", TAURUS, "from-before");
    stage.cloud.add_automatic_backup("taurusdb", TAURUS, "automatic", Duration::from_secs(86_400));
    let manual = stage.taurus.ask(&taurus_list("?backup_type=manual"), None).await.json();
    assert_eq!((&manual["total_count"], &manual["backups"][0]["id"]), (&json!(1), &json!(id)));
    assert_eq!(stage.taurus.ask(&taurus_list(""), None).await.json()["backups"][1]["type"], "auto");
    assert!(stage.cloud.lose_backup(&id));
    assert!(!stage.cloud.lose_backup(&id));
    assert_eq!(stage.taurus.ask(&taurus_list("?backup_type=manual"), None).await.json()["total_count"], 0);
}

#[tokio::test]
async fn every_answer_tells_the_clouds_own_time() {
    let stage = stage().await;
    let told = |answer: &Answer| {
        let text = &answer.headers["date"];
        assert!(text.ends_with(" GMT"), "{text}");
        jiff::fmt::rfc2822::parse(text).unwrap().timestamp()
    };
    let line = dcs_line("GET", "");
    let year = jiff::SignedDuration::from_hours(365 * 24);
    for offset in [year, -year, jiff::SignedDuration::ZERO] {
        stage.cloud.set_clock_offset(offset);
        let before = jiff::Timestamp::now() + offset - jiff::SignedDuration::from_secs(1);
        stage.cloud.inject(Fault::new(FaultKind::Throttle { retry_after: None }).on("dcs"));
        for answer in [
            stage.dcs.ask(&line, None).await,
            stage.dcs.ask(&line, None).await,
            stage.iam.ask("GET /v3/projects", None).await,
            stage.gemini.ask("GET /nowhere", None).await,
        ] {
            let date = told(&answer);
            assert!(before <= date && date <= jiff::Timestamp::now() + offset, "{offset:?}: {date}");
        }
    }
}

#[tokio::test]
async fn the_newer_dials_are_on_the_admin_api_too() {
    let stage = stage().await;
    let admin = Probe::new(stage.cloud.admin_url());
    let ask = async |line: &str, body: Value| {
        let answer = admin.send(line, Some(&body.to_string())).await.unwrap();
        assert_eq!(answer.status, 200, "{line}: {answer:?}");
        answer.json()
    };
    let made = ask("POST /backups", json!({ "engine": "taurusdb", "instance": TAURUS, "text": "many", "count": 3 })).await;
    assert_eq!(made["ids"].as_array().map(Vec::len), Some(3));
    ask("POST /instances", json!({ "engine": "rds", "id": "replica", "read_replica": true })).await;
    let replica = json!({ "instance_id": "replica", "name": "of-a-replica" }).to_string();
    assert_eq!(stage.rds.ask(&line("POST", ""), Some(&replica)).await.status, 400);
    ask("POST /backups", json!({ "engine": "rds", "instance": RDS, "text": "part", "kind": "fragment" })).await;
    assert_eq!(stage.rds.ask(&line("GET", &format!("?instance_id={RDS}")), None).await.json()["backups"][0]["type"], "fragment");
    ask("POST /settings", json!({ "restless": true, "total_offset": -2, "clock_offset_seconds": 86_400 })).await;
    let listed = stage.taurus.ask(&taurus_list(""), None).await;
    assert_eq!((&listed.json()["total_count"], listed.json()["backups"].as_array().map(Vec::len)), (&json!(2), Some(4)));
    let date = jiff::fmt::rfc2822::parse(&listed.headers["date"]).unwrap().timestamp();
    assert!(date.duration_since(jiff::Timestamp::now()) > jiff::SignedDuration::from_hours(23), "{date}");
}

#[tokio::test]
async fn a_project_can_be_filled_with_many_backups_at_once() {
    let stage = stage().await;
    stage.cloud.settings(|settings| settings.fail_percent = 100);
    let ids = stage.cloud.add_backups("geminidb", GEMINI, 1_000);
    assert_eq!(ids.iter().collect::<std::collections::BTreeSet<_>>().len(), 1_000);
    let page = stage.gemini.ask(&gemini_list("?offset=900"), None).await.json();
    assert_eq!((&page["total_count"], page["backups"].as_array().map(Vec::len)), (&json!(1_000), Some(100)));
    assert!(stage.cloud.backups().iter().all(|backup| backup.status == "COMPLETED"), "whoever puts one in says how it went");
}

#[tokio::test(start_paused = true)]
async fn a_test_may_stop_its_own_clock_without_stopping_the_cloud() {
    let stage = stage().await;
    stage.cloud.set_backup_duration(Duration::from_millis(100));
    stage.create_gemini("real-time").await;
    assert!(stage.cloud.wait_until(Duration::from_secs(10), |cloud| cloud.backups()[0].status == "COMPLETED"));
}

#[test]
fn dropping_the_simulator_closes_its_ports() {
    let cloud = Simulator::launch();
    let address = cloud.endpoints().iam.trim_start_matches("http://").to_owned();
    assert!(std::net::TcpStream::connect(&address).is_ok());
    drop(cloud);
    assert!(std::net::TcpStream::connect(&address).is_err());
}
