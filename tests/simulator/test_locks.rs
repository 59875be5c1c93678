//! What bad signatures and bad passwords lead to, and what else ends an access.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{
    PROJECT, Stage, dcs_line,
    probe::{Answer, Probe},
    simulator::{ACCESS_KEY, DOMAIN, OTHER_ACCESS_KEY, OTHER_DOMAIN, OTHER_PASSWORD, OTHER_USER, PASSWORD, PROJECTS, SECRET_KEY, USER},
    stage, taurus_list,
    test_access::{body_of, sign_with},
};

impl Stage {
    async fn signed(&self, access: &str, secret: &str) -> Answer {
        let line = dcs_line("GET", "");
        sign_with(&Probe::new(&self.cloud.endpoints().dcs), &line, access, secret, Timestamp::now()).ask(&line, None).await
    }

    async fn login(&self, [domain, user, password]: [&str; 3]) -> Answer {
        self.iam.ask("POST /v3/auth/tokens", Some(&body_of([domain, user, password], &json!({ "name": "eu-de" })))).await
    }
}

#[tokio::test]
async fn bad_signatures_are_counted_per_access_key_and_so_are_locks() {
    let stage = stage().await;
    assert_eq!((stage.cloud.locks(), stage.cloud.worst_run()), (0, 0));
    for _ in 0..4 {
        stage.signed(ACCESS_KEY, "wrong").await;
    }
    assert_eq!(stage.signed(ACCESS_KEY, SECRET_KEY).await.status, 204);
    stage.signed(ACCESS_KEY, "wrong").await;
    let seen = stage.cloud.key_attempts(ACCESS_KEY);
    assert_eq!((seen.bad, seen.worst_run, seen.locks), (5, 4, 0));
    assert_eq!(stage.cloud.key_attempts(OTHER_ACCESS_KEY).bad, 0);
    assert_eq!(stage.signed("UNKNOWN", "wrong").await.status, 401);
    assert_eq!(stage.cloud.key_attempts("UNKNOWN").bad, 0, "a key that does not exist cannot be locked");
    for _ in 0..7 {
        assert_eq!(stage.signed(ACCESS_KEY, "wrong").await.error(), (401, "APIGW.0301".to_owned()));
    }
    let seen = stage.cloud.key_attempts(ACCESS_KEY);
    assert_eq!((seen.bad, seen.worst_run, seen.locks, seen.refused_while_locked), (10, 6, 1, 2));
    stage.cloud.unlock_access_keys();
    assert_eq!(stage.signed(ACCESS_KEY, SECRET_KEY).await.status, 204);
    assert_eq!((stage.cloud.locks(), stage.cloud.worst_run()), (1, 6), "what was counted stays");
}

#[tokio::test]
async fn five_bad_passwords_lock_a_user_out_for_a_while() {
    let stage = stage().await;
    let (right, wrong) = ([DOMAIN, USER, PASSWORD], [DOMAIN, USER, "wrong"]);
    for _ in 0..4 {
        assert_eq!(stage.login(wrong).await.error(), (401, "401".to_owned()));
    }
    assert_eq!(stage.login(right).await.status, 201, "four are forgiven by a good one");
    for _ in 0..5 {
        assert_eq!(stage.login(wrong).await.error(), (401, "401".to_owned()));
    }
    let locked = stage.login(right).await;
    assert_eq!(locked.error(), (401, "IAM.0061".to_owned()));
    assert!(!locked.headers.contains_key("x-subject-token"));
    assert_eq!(stage.login([OTHER_DOMAIN, OTHER_USER, OTHER_PASSWORD]).await.status, 201, "nobody else is locked out");
    let seen = stage.cloud.user_attempts(USER);
    assert_eq!((seen.bad, seen.worst_run, seen.locks, seen.refused_while_locked), (9, 5, 1, 1));
    assert_eq!((stage.cloud.locks(), stage.cloud.worst_run()), (1, 5));
    for (minutes, status) in [(14, 401), (16, 201)] {
        stage.cloud.set_clock_offset(SignedDuration::from_mins(minutes));
        assert_eq!(stage.login(right).await.status, status, "after {minutes} minutes of the cloud's clock");
    }
}

#[tokio::test]
async fn the_lock_of_users_has_dials_and_can_be_lifted() {
    let stage = stage().await;
    let (right, wrong) = ([DOMAIN, USER, PASSWORD], [DOMAIN, USER, "wrong"]);
    stage.cloud.settings(|dials| dials.user_lock_after = 2);
    stage.login(wrong).await;
    stage.login(wrong).await;
    assert_eq!(stage.login(right).await.error(), (401, "IAM.0061".to_owned()));
    stage.cloud.unlock_users();
    assert_eq!(stage.login(right).await.status, 201);
    // Those that are older than the window do not count.
    for minutes in [0, 16, 32] {
        stage.cloud.set_clock_offset(SignedDuration::from_mins(minutes));
        stage.login(wrong).await;
    }
    assert_eq!(stage.login(right).await.status, 201);
    stage.cloud.settings(|dials| (dials.user_lock_after, dials.user_lock_window_ms) = (0, 1_800_000));
    for _ in 0..6 {
        stage.login(wrong).await;
    }
    assert_eq!(stage.login(right).await.status, 201);
    assert_eq!(stage.cloud.user_attempts(USER).locks, 1);
    assert_eq!(stage.login([DOMAIN, "nobody", "wrong"]).await.status, 401);
    assert_eq!(stage.cloud.user_attempts("nobody").bad, 0);
}

#[tokio::test]
async fn a_secret_key_can_be_replaced_and_an_access_key_switched_off() {
    let stage = stage().await;
    stage.cloud.set_secret_key(ACCESS_KEY, "another secret");
    assert_eq!(stage.signed(ACCESS_KEY, SECRET_KEY).await.error(), (401, "APIGW.0301".to_owned()));
    assert_eq!(stage.signed(ACCESS_KEY, "another secret").await.status, 204);
    stage.cloud.disable_access_key(ACCESS_KEY, true);
    let bad = stage.cloud.key_attempts(ACCESS_KEY).bad;
    let off = stage.signed(ACCESS_KEY, "another secret").await;
    assert_eq!(off.error(), (401, "APIGW.0301".to_owned()));
    assert_eq!(off.json()["error_msg"], stage.signed("UNKNOWN", "x").await.json()["error_msg"]);
    assert_eq!(stage.cloud.key_attempts(ACCESS_KEY).bad, bad);
    stage.cloud.disable_access_key(ACCESS_KEY, false);
    assert_eq!(stage.signed(ACCESS_KEY, "another secret").await.status, 204);
}

#[tokio::test]
async fn a_permission_can_be_withdrawn_for_one_project() {
    let stage = stage().await;
    let token = stage.login([DOMAIN, USER, PASSWORD]).await;
    let bearer = Probe::new(&stage.cloud.endpoints().dcs).token(&token.headers["x-subject-token"]);
    assert_eq!(bearer.ask(&dcs_line("GET", ""), None).await.status, 204);
    stage.cloud.deny_project(PROJECT, true);
    assert_eq!(bearer.ask(&dcs_line("GET", ""), None).await.error(), (403, "DCS.2003".to_owned()));
    assert_eq!(stage.signed(ACCESS_KEY, SECRET_KEY).await.error(), (403, "DCS.2003".to_owned()));
    assert_eq!(stage.login([DOMAIN, USER, PASSWORD]).await.status, 403);
    let (region, other) = PROJECTS[1];
    let elsewhere = taurus_list("").replace(PROJECT, other);
    let bought = stage.iam.ask("POST /v3/auth/tokens", Some(&body_of([DOMAIN, USER, PASSWORD], &json!({ "name": region })))).await;
    let bearer_there = Probe::new(&stage.cloud.endpoints().taurusdb).token(&bought.headers["x-subject-token"]);
    assert_eq!(bearer_there.ask(&elsewhere, None).await.status, 200);
    stage.cloud.deny_project(PROJECT, false);
    assert_eq!(bearer.ask(&dcs_line("GET", ""), None).await.status, 204);
}

#[tokio::test]
async fn locks_and_keys_are_on_the_admin_api_too() {
    let stage = stage().await;
    let admin = Probe::new(stage.cloud.admin_url());
    let send = async |line: &str, body: Value| {
        let body = (!body.is_null()).then(|| body.to_string());
        admin.send(line, body.as_deref()).await.unwrap()
    };
    assert_eq!(send("POST /access-keys", json!({ "access": ACCESS_KEY, "secret": "rotated" })).await.status, 200);
    assert_eq!((stage.signed(ACCESS_KEY, "rotated").await.status, stage.signed(ACCESS_KEY, SECRET_KEY).await.status), (204, 401));
    assert_eq!(send("POST /access-keys", json!({ "access": ACCESS_KEY, "disabled": true })).await.status, 200);
    assert_eq!(stage.signed(ACCESS_KEY, "rotated").await.status, 401);
    assert_eq!(send("POST /access-keys", json!({ "access": ACCESS_KEY, "disabled": false })).await.status, 200);
    assert_eq!(send("POST /access-keys", json!({ "access": "UNKNOWN", "secret": "x" })).await.status, 404);
    assert_eq!(send("POST /deny-project", json!({ "project": PROJECT, "deny": true })).await.status, 200);
    assert_eq!(stage.signed(ACCESS_KEY, "rotated").await.status, 403);
    assert_eq!(send("POST /deny-project", json!({ "project": PROJECT, "deny": false })).await.status, 200);
    send("POST /settings", json!({ "user_lock_after": 1 })).await;
    stage.login([DOMAIN, USER, "wrong"]).await;
    let seen = send("GET /attempts", Value::Null).await.json();
    assert_eq!((&seen["locks"], &seen["worst_run"]), (&json!(1), &json!(1)));
    assert_eq!(seen["users"][USER]["locks"], 1);
    assert_eq!(seen["access_keys"][ACCESS_KEY], json!({ "bad": 1, "worst_run": 1, "locks": 0, "refused_while_locked": 0 }));
    assert_eq!(send("POST /unlock-users", Value::Null).await.status, 200);
    assert_eq!(stage.login([DOMAIN, USER, PASSWORD]).await.status, 201);
}
