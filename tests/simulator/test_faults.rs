//! Trouble on demand does what it says, and does the work exactly when it says so.

use std::{io::ErrorKind, time::Duration};

use tokio::{io::AsyncReadExt, time::timeout};

use super::{
    PROJECT, REDIS, dcs_line, gemini_list,
    probe::Probe,
    simulator::{
        faults::{Chaos, Fault, FaultKind},
        service::Service,
    },
    stage, taurus_list,
};

const PATIENCE: Duration = Duration::from_secs(10);

fn dcs_create() -> String {
    dcs_line("POST", "")
}

#[tokio::test]
async fn a_lost_answer_does_the_work_and_says_not_one_byte() {
    let stage = stage().await;
    stage.cloud.inject(Fault::new(FaultKind::LoseAnswer).on("dcs").at("create"));
    let lost = stage.dcs.send(&dcs_create(), Some("{}")).await.unwrap_err();
    assert!([ErrorKind::UnexpectedEof, ErrorKind::ConnectionReset].contains(&lost.kind()), "{lost}");
    assert_eq!(stage.cloud.backups().len(), 1);
    assert_eq!(stage.cloud.calls()[0].status, None);
    assert_eq!(stage.create_dcs("again").await.error(), (400, "DCS.4096".to_owned()), "the fault is used up, the backup runs");
}

#[tokio::test]
async fn a_connection_cut_before_does_no_work() {
    let stage = stage().await;
    stage.cloud.inject(Fault::new(FaultKind::CutBefore));
    stage.dcs.send(&dcs_create(), Some("{}")).await.unwrap_err();
    assert_eq!(stage.cloud.backups(), []);
    assert_eq!(stage.cloud.count(Some("dcs"), "create"), 1, "it did arrive");
}

#[tokio::test]
async fn an_error_can_come_before_or_after_the_work() {
    let stage = stage().await;
    let before = FaultKind::Status { status: 500, code: "DCS.5000".into(), message: "broken".into(), retry_after: Some(7) };
    stage.cloud.inject(Fault::new(before));
    let answer = stage.create_dcs("x").await;
    assert_eq!(answer.error(), (500, "DCS.5000".to_owned()));
    assert_eq!(answer.headers["retry-after"], "7");
    assert_eq!(stage.cloud.backups().len(), 0);
    stage.cloud.inject(Fault::new(FaultKind::FailAfter { status: 504, code: "APIGW.0201".into() }));
    let answer = stage.create_dcs("x").await;
    assert_eq!(answer.error(), (504, "APIGW.0201".to_owned()));
    assert_eq!(answer.json()["request_id"], answer.headers["x-request-id"].as_str());
    assert_eq!(stage.cloud.backups().len(), 1);
}

#[tokio::test]
async fn throttling_names_a_time_to_wait() {
    let stage = stage().await;
    stage.cloud.inject(Fault::new(FaultKind::Throttle { retry_after: Some(3) }).times(2));
    for _ in 0..2 {
        let answer = stage.create_taurus("slower").await;
        assert_eq!(answer.error(), (429, "APIGW.0308".to_owned()));
        assert_eq!(answer.headers["retry-after"], "3");
    }
    assert_eq!(stage.create_taurus("slower").await.status, 201);
}

#[tokio::test]
async fn garbage_can_be_answered_with_and_without_the_work() {
    let stage = stage().await;
    let raw = |status: u16| (status, "<html>".to_owned(), "text/html".to_owned());
    let (status, body, content_type) = raw(200);
    stage.cloud.inject(Fault::new(FaultKind::Raw { status, body, content_type }));
    let answer = stage.create_dcs("x").await;
    assert_eq!((answer.status, answer.text.as_str(), answer.headers["content-type"].as_str()), (200, "<html>", "text/html"));
    assert!(stage.cloud.backups().is_empty());
    let (status, body, content_type) = raw(200);
    stage.cloud.inject(Fault::new(FaultKind::RawAfter { status, body, content_type }));
    assert_eq!(stage.create_dcs("x").await.text, "<html>");
    assert_eq!(stage.cloud.backups().len(), 1);
}

#[tokio::test]
async fn a_huge_body_is_really_that_big() {
    let stage = stage().await;
    stage.cloud.inject(Fault::new(FaultKind::HugeBody(3_000_000)));
    let answer = stage.gemini.ask(&gemini_list(""), None).await;
    assert!(answer.text.len() >= 3_000_000);
}

#[tokio::test]
async fn an_endless_body_goes_on_and_the_work_is_done() {
    let stage = stage().await;
    stage.cloud.inject(Fault::new(FaultKind::Endless { head: "{\"a\":[".into(), again: "1,".into() }));
    let mut connection = stage.dcs.open(&dcs_create(), Some("{}")).await.unwrap();
    let mut text = vec![0; 3_000_000];
    connection.read_exact(&mut text).await.unwrap();
    assert!(String::from_utf8_lossy(&text).contains("{\"a\":["));
    assert_eq!(stage.cloud.backups().len(), 1);
}

#[tokio::test]
async fn a_delayed_request_is_carried_out_even_when_the_sender_has_left() {
    let stage = stage().await;
    stage.cloud.inject(Fault::new(FaultKind::Delay(Duration::from_millis(500))));
    let connection = stage.dcs.open(&dcs_create(), Some("{}")).await.unwrap();
    assert!(stage.cloud.wait_until(PATIENCE, |cloud| cloud.count(Some("dcs"), "create") == 1));
    drop(connection);
    assert!(stage.cloud.backups().is_empty());
    assert!(stage.cloud.wait_until(PATIENCE, |cloud| cloud.backups().len() == 1));
}

#[tokio::test]
async fn an_answer_can_be_late_though_the_work_is_done() {
    let stage = stage().await;
    stage.cloud.inject(Fault::new(FaultKind::DelayAnswer(Duration::from_millis(500))));
    let mut connection = stage.dcs.open(&dcs_create(), Some("{}")).await.unwrap();
    assert!(stage.cloud.wait_until(Duration::from_millis(400), |cloud| cloud.backups().len() == 1));
    let mut text = String::new();
    connection.read_to_string(&mut text).await.unwrap();
    assert!(text.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_hanging_request_is_never_answered() {
    let stage = stage().await;
    stage.cloud.inject(Fault::new(FaultKind::Hang));
    stage.cloud.inject(Fault::new(FaultKind::HangAfter));
    assert!(timeout(Duration::from_millis(300), stage.dcs.send(&dcs_create(), Some("{}"))).await.is_err());
    assert_eq!(stage.cloud.backups().len(), 0);
    assert!(timeout(Duration::from_millis(300), stage.dcs.send(&dcs_create(), Some("{}"))).await.is_err());
    assert_eq!(stage.cloud.backups().len(), 1);
}

#[tokio::test]
async fn a_fault_strikes_only_what_it_is_meant_for() {
    let stage = stage().await;
    let broken = || FaultKind::Status { status: 503, code: "X.1".into(), message: String::new(), retry_after: None };
    stage.cloud.inject(Fault::new(broken()).on("dcs").at("list").containing(REDIS));
    assert_eq!(stage.create_dcs("x").await.status, 200);
    assert_eq!(stage.taurus.ask(&taurus_list(""), None).await.status, 200);
    assert_eq!(stage.dcs.ask(&format!("GET /v2/{PROJECT}/instances/other/backups"), None).await.status, 404);
    assert_eq!(stage.dcs.ask(&dcs_line("GET", ""), None).await.status, 503);
    assert_eq!(stage.dcs.ask(&dcs_line("GET", ""), None).await.status, 200);
    stage.cloud.inject(Fault::new(broken()).times(9));
    stage.cloud.faults.clear();
    assert_eq!(stage.taurus.ask(&taurus_list(""), None).await.status, 200);
}

#[tokio::test]
async fn a_refusal_can_last_until_it_is_taken_back() {
    let stage = stage().await;
    let refusal = FaultKind::Status { status: 400, code: "DBS.290000".into(), message: "said the cloud".into(), retry_after: None };
    stage.cloud.inject(Fault::new(refusal).at("create").always());
    for nth in 0..20 {
        let refused = stage.create_taurus(&format!("refused-{nth}")).await;
        assert_eq!((refused.error(), &refused.json()["error_msg"]), ((400, "DBS.290000".to_owned()), &"said the cloud".into()));
    }
    assert!(stage.cloud.backups().is_empty());
    assert_eq!(stage.cloud.faults.waiting()[0].times, u32::MAX);
    stage.cloud.faults.clear();
    assert_eq!(stage.create_taurus("taken").await.status, 201);
}

#[tokio::test]
async fn the_same_seed_gives_the_same_trouble() {
    let stage = stage().await;
    let dice = Chaos {
        seed: 42,
        services: vec![Service::TaurusDb],
        operations: vec!["list".to_owned()],
        percent: vec![
            (FaultKind::Status { status: 500, code: "DBS.108000".into(), message: String::new(), retry_after: None }, 30),
            (FaultKind::Throttle { retry_after: None }, 20),
        ],
    };
    let mut rounds = Vec::new();
    for _ in 0..2 {
        stage.cloud.faults.chaos(Some(dice.clone()));
        let mut seen = Vec::new();
        for _ in 0..40 {
            seen.push(stage.taurus.ask(&taurus_list(""), None).await.status);
        }
        rounds.push(seen);
    }
    assert_eq!(rounds[0], rounds[1]);
    for status in [200, 429, 500] {
        assert!(rounds[0].contains(&status), "{status} is missing in {:?}", rounds[0]);
    }
    assert_eq!(stage.gemini.ask(&gemini_list(""), None).await.status, 200);
}

#[tokio::test]
async fn each_operation_can_have_dice_of_its_own_and_what_struck_is_counted() {
    let stage = stage().await;
    let always = |operations: &[&str], kind| Chaos {
        seed: 1,
        services: vec![],
        operations: operations.iter().map(|name| (*name).to_owned()).collect(),
        percent: vec![(kind, 100)],
    };
    let late = FaultKind::Delay(Duration::from_millis(1));
    stage.cloud.faults.chaos([always(&["create"], FaultKind::Throttle { retry_after: None }), always(&[], late)]);
    assert_eq!(stage.create_dcs("x").await.status, 429);
    for _ in 0..2 {
        assert_eq!(stage.gemini.ask(&gemini_list(""), None).await.status, 200);
    }
    stage.cloud.faults.clear();
    assert_eq!(stage.create_dcs("x").await.status, 200);
    let struck: Vec<(&str, usize)> = stage.cloud.faults.struck().into_iter().collect();
    assert_eq!(struck, [("delay", 2), ("throttled", 1)]);
}

#[tokio::test]
async fn a_share_of_new_backups_can_be_made_to_fail() {
    let stage = stage().await;
    stage.cloud.settings(|settings| settings.fail_percent = 50);
    for n in 0..20 {
        stage.create_dcs(&format!("n-{n}")).await;
        stage.cloud.complete_all();
    }
    let failed = stage.cloud.backups().iter().filter(|backup| backup.status == "failed").count();
    assert!((1..20).contains(&failed), "{failed} of 20");
}

#[tokio::test]
async fn a_service_can_refuse_connections_and_come_back_on_the_same_port() {
    let stage = stage().await;
    stage.cloud.inject(Fault::new(FaultKind::Hang).on("dcs"));
    let mut hanging = stage.dcs.open(&dcs_line("GET", ""), None).await.unwrap();
    let mut idle = tokio::net::TcpStream::connect(stage.dcs.host()).await.unwrap();
    assert!(stage.cloud.wait_until(PATIENCE, |cloud| cloud.count(Some("dcs"), "list") == 1));
    stage.cloud.refuse_connections("dcs", true);
    stage.cloud.refuse_connections("dcs", true);
    assert_eq!(stage.dcs.send(&dcs_create(), Some("{}")).await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
    for connection in [&mut hanging, &mut idle] {
        let mut rest = Vec::new();
        let ended = timeout(PATIENCE, connection.read_to_end(&mut rest)).await.expect("open connections are cut");
        assert!(ended.is_err() || rest.is_empty());
    }
    assert_eq!(stage.create_taurus("others-go-on").await.status, 201);
    stage.cloud.refuse_connections("dcs", false);
    stage.cloud.refuse_connections("dcs", false);
    assert_eq!(stage.create_dcs("back").await.status, 200);
    assert_eq!(Probe::new(&stage.cloud.endpoints().dcs).host(), stage.dcs.host());
}
