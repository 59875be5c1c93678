//! How many calls a minute RDS takes from a user.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{
    PROJECT, RDS, REDIS, TOKEN, dcs_line, line,
    probe::Probe,
    simulator::{
        OTHER_PROJECTS,
        faults::{Fault, FaultKind},
        pace::Pace,
    },
    stage,
};

fn list() -> String {
    line("GET", &format!("?instance_id={RDS}"))
}

#[tokio::test]
async fn the_61st_call_of_a_user_within_a_minute_is_refused_whatever_it_asks_for() {
    let stage = stage().await;
    assert_eq!(stage.create_rds("first").await.status, 200);
    stage.rds.ask(&line("DELETE", "/unknown"), None).await;
    for _ in 0..58 {
        assert_eq!(stage.rds.ask(&list(), None).await.status, 200);
    }
    assert_eq!((stage.cloud.rds_calls_refused(), stage.cloud.rds_busiest_minute()), (0, 60));
    for refused in [
        stage.rds.ask(&list(), None).await,
        stage.create_rds("second").await,
        stage.rds.ask(&line("DELETE", "/unknown"), None).await,
        stage.rds.ask(&format!("GET /v3/{PROJECT}/instances"), None).await,
    ] {
        assert_eq!(refused.error(), (429, "APIGW.0308".to_owned()));
        assert!(!refused.headers.contains_key("retry-after"), "{refused:?}");
    }
    assert_eq!((stage.cloud.rds_calls_refused(), stage.cloud.rds_busiest_minute()), (4, 64));
    assert_eq!(stage.cloud.backups().len(), 1, "a refused call does nothing");
    assert_eq!(stage.cloud.calls().last().unwrap().status, Some(429));
}

#[tokio::test]
async fn other_users_other_services_and_no_limit_are_let_in() {
    let stage = stage().await;
    stage.cloud.settings(|settings| settings.rds_calls_per_minute = 1);
    assert_eq!(stage.rds.ask(&list(), None).await.status, 200);
    assert_eq!(stage.rds.ask(&list(), None).await.status, 429);
    let (_, other) = OTHER_PROJECTS[0];
    stage.cloud.add_token_in(other, "a-token-of-another-user");
    stage.cloud.add_token_in("eu-nl", "another-token-of-this-user");
    let other_line = list().replace(PROJECT, other);
    let ask = async |token: &str, line: &str| Probe::new(&stage.cloud.endpoints().rds).token(token).ask(line, None).await.status;
    assert_eq!(ask("a-token-of-another-user", &other_line).await, 200);
    assert_eq!(ask("another-token-of-this-user", &list()).await, 429, "tokens and projects of one user share the limit");
    assert_eq!(ask("nobody", &list()).await, 403, "who is not known is not counted");
    for _ in 0..3 {
        assert_eq!(stage.dcs.ask(&dcs_line("GET", ""), None).await.status, 204, "{REDIS}");
    }
    stage.cloud.settings(|settings| settings.rds_calls_per_minute = 0);
    assert_eq!(stage.rds.ask(&list(), None).await.status, 200);
    assert_eq!(stage.cloud.rds_calls_refused(), 2);
}

#[tokio::test]
async fn a_call_that_is_refused_uses_up_no_fault() {
    let stage = stage().await;
    stage.cloud.settings(|settings| settings.rds_calls_per_minute = 1);
    stage.rds.ask(&list(), None).await;
    stage.cloud.inject(Fault::new(FaultKind::Status { status: 500, code: "DBS.280005".into(), message: String::new(), retry_after: None }));
    assert_eq!(stage.rds.ask(&list(), None).await.status, 429);
    assert_eq!(stage.cloud.faults.waiting().len(), 1);
    stage.cloud.settings(|settings| settings.rds_calls_per_minute = 0);
    assert_eq!(stage.rds.ask(&list(), None).await.error(), (500, "DBS.280005".to_owned()));
    assert_eq!(stage.cloud.rds_busiest_minute(), 3, "a call that a fault strikes is a call");
}

#[tokio::test]
async fn the_admin_api_tells_how_fast_rds_was_called() {
    let stage = stage().await;
    let admin = Probe::new(stage.cloud.admin_url());
    let ask = async |line: &str, body: Option<Value>| {
        let answer = admin.send(line, body.map(|body| body.to_string()).as_deref()).await.unwrap();
        assert_eq!(answer.status, 200, "{line}: {answer:?}");
        answer.json()
    };
    ask("POST /settings", Some(json!({ "rds_calls_per_minute": 2 }))).await;
    for _ in 0..3 {
        stage.rds.ask(&list(), None).await;
    }
    assert_eq!(ask("GET /rds-pace", None).await, json!({ "refused": 1, "busiest_minute": 3 }));
    ask("DELETE /calls", None).await;
    assert_eq!(ask("GET /rds-pace", None).await, json!({ "refused": 0, "busiest_minute": 0 }));
    assert_eq!(stage.rds.ask(&list(), None).await.status, 429, "RDS itself forgets nothing");
    stage.cloud.revoke_tokens();
    stage.cloud.add_token(TOKEN);
    assert_eq!(stage.rds.ask(&list(), None).await.status, 429, "nor does a new token help");
}

#[test]
fn the_minute_slides() {
    let start = Instant::now();
    let at = |seconds: u64| start + Duration::from_secs(seconds);
    let mut pace = Pace::default();
    for seconds in [0, 30, 31] {
        assert!(pace.admit("user", 3, at(seconds)));
    }
    assert!(!pace.admit("user", 3, at(59)));
    assert!(pace.admit("user", 3, at(60)), "the first call is a minute old");
    assert!(!pace.admit("user", 3, at(89)), "those of the minute's second half still count, and a refused one does not");
    assert!(pace.admit("user", 3, at(90)));
    assert!(pace.admit("other", 3, at(90)));
    assert_eq!((pace.refused(), pace.busiest_minute()), (2, 5));
}
