//! Against a small server on loopback that is IAM and every service at once, and answers in the order of a script.

use super::*;
use crate::cloud::{
    api::Api,
    client::{Call, Observer},
    endpoints::{EndpointPolicy, Overrides},
    errors::Failure,
    login::{access_key::AccessKey, password::Password, token::Token},
    permits::Asked,
};
use secrecy::SecretString;
use std::sync::Mutex;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

struct Silent;

impl Observer for Silent {
    fn call(&self, _call: &Call<'_>) {}
}

/// What the server heard: of each request its first line and whether it carried a token or a signature.
type Heard = Arc<Mutex<Vec<String>>>;

/// A server that answers each connection with the next of the answers: status, headers, body.
async fn server(script: Vec<(&'static str, &'static str, String)>) -> (String, Heard) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (url, heard) = (format!("http://{}", listener.local_addr().unwrap()), Heard::default());
    let hearing = heard.clone();
    tokio::spawn(async move {
        for (status, headers, body) in script {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut buffer = vec![0; 8192];
            let read = socket.read(&mut buffer).await.unwrap();
            let request = String::from_utf8_lossy(&buffer[..read]).into_owned();
            let how = if request.contains("x-auth-token: ") {
                "token"
            } else if request.contains("authorization: SDK-HMAC-SHA256 ") {
                "signature"
            } else {
                "nothing"
            };
            let line = request.lines().next().unwrap_or_default().trim_end_matches(" HTTP/1.1");
            hearing.lock().unwrap().push(format!("{line} with {how}"));
            let answer = format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
            let _ = socket.write_all(answer.as_bytes()).await;
            let _ = socket.shutdown().await;
        }
    });
    (url, heard)
}

fn client() -> Arc<Client> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Arc::new(Client::new(Arc::new(Silent)).unwrap())
}

fn at(time: &str) -> Timestamp {
    time.parse().unwrap()
}

/// Serves everything but GeminiDB, which no table has in this region.
async fn open(url: &str, project_id: Option<&str>, credentials: Credentials) -> Result<Session, LoginError> {
    open_with_services_at(url, url, project_id, credentials).await
}

/// The same with the services elsewhere than IAM.
async fn open_with_services_at(
    services: &str,
    iam: &str,
    project_id: Option<&str>,
    credentials: Credentials,
) -> Result<Session, LoginError> {
    let given = || Some(services.to_owned());
    let overrides =
        Overrides { iam: Some(iam.to_owned()), gaussdbformysql: given(), taurusdb: given(), dcs: given(), ..Overrides::default() };
    let policy = EndpointPolicy { allow_insecure: true, ..EndpointPolicy::default() };
    let endpoints = Endpoints::resolve(Cloud::OpenTelekomCloud, "eu-xx", &overrides, &policy).unwrap();
    let target = Target { cloud: Cloud::OpenTelekomCloud, region: "eu-xx".into(), project_id: project_id.map(Into::into), endpoints };
    Session::open(client(), target, credentials, Arc::new(Permits::new(1000)), at("2025-01-01T00:00:00Z")).await
}

fn password() -> Credentials {
    Credentials::Password(Password { domain_name: "d".into(), username: "u".into(), password: SecretString::from("hunter2") })
}

fn keys() -> Credentials {
    Credentials::AccessKey(AccessKey { access_key: "AK".into(), secret_key: SecretString::from("sk"), security_token: None, life: None })
}

fn given_token() -> Credentials {
    Credentials::Token(Token { token: SecretString::from("t") })
}

const ISSUED: &str = r#"{"token":{"expires_at":"2025-01-02T00:00:00.000000Z","project":{"id":"p-1","name":"eu-xx"}}}"#;
const TOKEN: &str = "X-Subject-Token: t\r\n";

fn projects(ids: &[&str]) -> String {
    let projects: Vec<_> = ids.iter().map(|id| serde_json::json!({ "id": id, "name": "eu-xx" })).collect();
    serde_json::json!({ "projects": projects }).to_string()
}

/// A session with an explicit project and a given token, after its first call, and what the rest of the script hears.
async fn opened(script: Vec<(&'static str, &'static str, String)>) -> (Session, Heard) {
    let script = std::iter::once(("200 OK", "", projects(&["p-1"]))).chain(script).collect();
    let (url, heard) = server(script).await;
    let session = open(&url, Some("p-1"), given_token()).await.unwrap();
    heard.lock().unwrap().clear();
    (session, heard)
}

#[tokio::test]
async fn a_password_becomes_a_token_which_is_renewed_before_it_expires() {
    let (url, heard) = server(vec![("201 Created", TOKEN, ISSUED.into())]).await;
    let session = open(&url, None, password()).await.unwrap();
    assert_eq!(session.project_id(), "p-1");
    assert!((24 * 60 - 60..=24 * 60 - 40).contains(&renewed_after(&session).unwrap()), "with 40 to 60 minutes left");
    assert_eq!(*heard.lock().unwrap(), ["POST /v3/auth/tokens?nocatalog=1 with nothing"]);
}

#[tokio::test]
async fn a_short_token_is_renewed_with_a_quarter_of_its_life_left() {
    let issued = ISSUED.replace("2025-01-02T00:00:00", "2025-01-01T00:20:00");
    let (url, _) = server(vec![("201 Created", TOKEN, issued)]).await;
    let after = renewed_after(&open(&url, None, password()).await.unwrap()).unwrap();
    assert!((12..=15).contains(&after), "{after}");
}

/// In how many minutes the token is renewed; a few seconds may have passed.
fn renewed_after(session: &Session) -> Option<u64> {
    session.renew_in().map(|left| (left.as_secs() + 30) / 60)
}

#[tokio::test]
async fn a_wall_clock_that_is_a_year_ahead_neither_wears_a_token_out_nor_makes_it_last() {
    // The session is opened at the beginning of 2025 by this machine's clock; the cloud's says 2024.
    let issued = ISSUED.replace("2025-01-02", "2024-01-02");
    let headers = "X-Subject-Token: t\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\n";
    let (url, _) = server(vec![("201 Created", headers, issued)]).await;
    let session = open(&url, None, password()).await.unwrap();
    assert!((24 * 60 - 60..=24 * 60 - 40).contains(&renewed_after(&session).unwrap()));
    let ahead = session.cloud_now().unwrap().duration_since(at("2024-01-01T00:00:00Z"));
    assert!(ahead.as_secs() < 60, "{ahead}");
}

#[tokio::test]
async fn a_signature_that_is_refused_for_its_time_is_made_once_more_with_the_clouds() {
    let refusal = r#"{"error_code":"APIGW.0301","error_msg":"the time is off"}"#;
    let date = "Date: Mon, 01 Jan 2024 00:00:00 GMT\r\n";
    let (url, heard) = server(vec![("401 Unauthorized", date, refusal.into()), ("200 OK", date, projects(&["p-1"]))]).await;
    assert_eq!(open(&url, None, keys()).await.unwrap().project_id(), "p-1");
    assert_eq!(heard.lock().unwrap().len(), 2);
    // With clocks that agree the keys are wrong, and not tried again: clouds lock them.
    let (url, heard) = server(vec![("401 Unauthorized", "Date: Wed, 01 Jan 2025 00:00:00 GMT\r\n", refusal.into())]).await;
    assert!(open(&url, None, keys()).await.is_err());
    assert_eq!(heard.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_token_that_had_expired_when_it_came_is_not_renewed_without_a_pause() {
    let issued = ISSUED.replace("2025-01-02", "2025-01-01");
    let (url, _) = server(vec![("201 Created", TOKEN, issued)]).await;
    let error = open(&url, None, password()).await.err().unwrap();
    assert!(matches!(&error, LoginError::Cloud(error) if error.class() == Class::Unreadable), "{error}");
    assert!(error.to_string().contains("compare this machine's clock with the cloud's"), "{error}");
}

#[tokio::test]
async fn a_wrong_password_is_unauthenticated_and_shows_nowhere() {
    let body = r#"{"error":{"code":401,"message":"The username or password is wrong.","title":"Unauthorized"}}"#;
    let (url, _) = server(vec![("401 Unauthorized", "", body.into())]).await;
    let error = open(&url, None, password()).await.err().unwrap();
    assert!(matches!(&error, LoginError::Cloud(error) if error.class() == Class::Unauthenticated), "{error}");
    assert!(error.to_string().contains("The username or password is wrong.") && !format!("{error:?}").contains("hunter2"));
}

#[tokio::test]
async fn an_answer_without_a_token_is_unreadable_and_not_quoted() {
    let (url, _) = server(vec![("201 Created", "", ISSUED.into())]).await;
    let error = open(&url, None, password()).await.err().unwrap();
    assert!(matches!(&error, LoginError::Cloud(error) if error.class() == Class::Unreadable), "{error}");
    assert!(!error.to_string().contains("expires_at"), "{error}");
}

#[tokio::test]
async fn the_project_is_looked_up_by_region_and_there_must_be_one() {
    let (url, heard) = server(vec![("200 OK", "", projects(&["p-7"]))]).await;
    let session = open(&url, None, keys()).await.unwrap();
    assert_eq!((session.project_id(), session.renew_in()), ("p-7", None));
    assert_eq!(*heard.lock().unwrap(), ["GET /v3/auth/projects with signature"], "the list that needs no permission");
    let (url, _) = server(vec![("200 OK", "", projects(&["a", "b"]))]).await;
    assert_eq!(open(&url, None, given_token()).await.err(), Some(LoginError::ProjectNotFound { found: 2 }));
}

#[tokio::test]
async fn a_project_that_is_not_listed_is_looked_up_by_name_where_that_is_allowed() {
    let forbidden = || ("403 Forbidden", "", r#"{"error":{"code":"403","message":"no"}}"#.to_owned());
    let not_there = || ("404 Not Found", "", r#"{"error_code":"APIGW.0101","error_msg":"The API does not exist"}"#.to_owned());
    let listed = |ids| ("200 OK", "", projects(ids));
    for first in [listed(&[]), forbidden(), not_there()] {
        let (url, heard) = server(vec![first, listed(&["p-7"])]).await;
        assert_eq!(open(&url, None, given_token()).await.unwrap().project_id(), "p-7");
        assert_eq!(*heard.lock().unwrap(), ["GET /v3/auth/projects with token", "GET /v3/projects?name=eu-xx with token"]);
    }
    let (url, _) = server(vec![listed(&[]), forbidden()]).await;
    assert_eq!(open(&url, None, given_token()).await.err(), Some(LoginError::ProjectNotFound { found: 0 }), "the first answer says more");
}

#[tokio::test]
async fn credentials_that_are_refused_or_an_iam_that_fails_are_asked_once() {
    for (status, class) in [("401 Unauthorized", Class::Unauthenticated), ("503 Service Unavailable", Class::Unavailable)] {
        let (url, heard) = server(vec![(status, "", r#"{"error":{"code":401,"message":"no"}}"#.into()), (status, "", String::new())]).await;
        let error = open(&url, None, given_token()).await.err().unwrap();
        assert!(matches!(&error, LoginError::Cloud(error) if error.class() == class), "{error:?}");
        assert_eq!(heard.lock().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn who_may_not_list_projects_but_names_one_is_authenticated() {
    let refusal = r#"{"error":{"code":"403","message":"no"}}"#;
    let (url, _) = server(vec![("403 Forbidden", "", refusal.into()), ("403 Forbidden", "", refusal.into())]).await;
    assert_eq!(open(&url, Some("p-1"), keys()).await.unwrap().project_id(), "p-1");
    assert!(open(&url, None, keys()).await.is_err());
}

#[tokio::test]
async fn a_listing_is_read_to_its_end_page_by_page() {
    let page = |from: usize, to: usize| {
        let records: Vec<_> =
            (from..to).map(|n| serde_json::json!({ "backup_id": format!("b-{n:04}"), "backup_type": "Manual" })).collect();
        serde_json::json!({ "total_num": 1001, "backup_record_response": records }).to_string()
    };
    let (session, heard) = opened(vec![("200 OK", "", page(0, 1000)), ("200 OK", "", page(999, 1001))]).await;
    let scope = ListScope::Instance { instance_id: "i-1".into(), automatic: false };
    let Listed { backups, end } = session.list(Engine::DCS, &scope, Urgency::Poll, "shop", Timestamp::now).await;
    assert_eq!(end, Ok(()));
    assert_eq!(backups.len(), 1001);
    assert!(backups.iter().all(|backup| backup.instance_id == "i-1"));
    let path = "GET /v2/p-1/instances/i-1/backups";
    assert_eq!(
        *heard.lock().unwrap(),
        [format!("{path}?limit=1000&offset=0 with token"), format!("{path}?limit=1000&offset=999 with token")]
    );
}

#[tokio::test]
async fn a_listing_that_does_not_hold_together_says_so_and_what_it_showed() {
    let body = r#"{"backups":[{"id":"b-1","name":"dbb-x","status":"COMPLETED"}],"total_count":3}"#;
    let (session, _) = opened(vec![("200 OK", "", body.into())]).await;
    let Listed { backups, end } = session.list(Engine::TaurusDB, &everything(), Urgency::Urgent, "shop", Timestamp::now).await;
    assert_eq!(end, Err(ListError::Incomplete(Gap::RecordsMissing)));
    assert_eq!(backups[0].id, "b-1");
}

#[tokio::test]
async fn what_a_page_showed_counts_although_the_next_one_failed() {
    let records: Vec<_> = (0..100).map(|n| serde_json::json!({ "id": format!("b-{n}"), "name": "n", "status": "COMPLETED" })).collect();
    let page = serde_json::json!({ "backups": records, "total_count": 150 }).to_string();
    let (session, _) = opened(vec![("200 OK", "", page), ("503 Service Unavailable", "", String::new())]).await;
    let Listed { backups, end } = session.list(Engine::TaurusDB, &everything(), Urgency::Urgent, "shop", Timestamp::now).await;
    assert_eq!(backups.len(), 100);
    assert!(matches!(end, Err(ListError::Cloud(error)) if error.status() == Some(503)));
}

async fn permit(session: &Session) -> CallPermit {
    session.permits().wait(Purpose { namespace: "shop", api: Engine::DCS.api() }, Urgency::Urgent).await.unwrap()
}

#[tokio::test]
async fn a_service_that_asks_to_wait_is_left_alone_by_everybody_who_uses_the_account() {
    let throttled = |status| (status, "Retry-After: 120\r\n", r#"{"error_code":"APIGW.0308","error_msg":"slow down"}"#.to_owned());
    for status in ["429 Too Many Requests", "503 Service Unavailable"] {
        let (session, _) = opened(vec![throttled(status)]).await;
        let listed = session.list(Engine::TaurusDB, &everything(), Urgency::Poll, "shop", Timestamp::now).await;
        assert!(listed.end.is_err());
        let ask = |api: &'static Api| session.permits().try_urgent(api.label, Purpose { namespace: "billing", api });
        assert!(matches!(ask(Engine::TaurusDB.api()), Asked::Paused), "{status}");
        let other = session.permits();
        other.withdraw(Engine::TaurusDB.api().label);
        assert!(matches!(ask(Engine::DCS.api()), Asked::Granted(_)), "{status}: other services are asked");
    }
}

#[tokio::test]
async fn a_listing_whose_account_goes_while_it_waits_asks_nothing() {
    let (session, heard) = opened(vec![]).await;
    session.permits().close();
    let listed = session.list(Engine::TaurusDB, &everything(), Urgency::Urgent, "shop", Timestamp::now).await;
    assert!(matches!(&listed.end, Err(ListError::Cloud(error)) if error.class() == Class::Cancelled), "{listed:?}");
    assert!(heard.lock().unwrap().is_empty());
}

fn everything() -> ListScope {
    ListScope::Project { window: None, automatic: false }
}

#[tokio::test]
async fn a_deletion_is_asked_for_where_the_service_has_one() {
    let (session, heard) = opened(vec![("204 No Content", "", String::new())]).await;
    let cancelled =
        session.delete(Engine::DCS, ("i-1", "b-1"), permit(&session).await, at("2025-01-01T00:00:00Z"), || false).await.unwrap_err();
    assert!(matches!(cancelled.failure, Failure::NotSent { cause: NotSent::Cancelled, .. }), "the last check said no");
    session.delete(Engine::DCS, ("i-1", "b-1"), permit(&session).await, at("2025-01-01T00:00:00Z"), || true).await.unwrap();
    assert_eq!(*heard.lock().unwrap(), ["DELETE /v2/p-1/instances/i-1/backups/b-1 with token"]);
    let error = session
        .delete(Engine::GaussDBforMySQL, ("i-1", "b-1"), permit(&session).await, at("2025-01-01T00:00:00Z"), || true)
        .await
        .unwrap_err();
    assert!(matches!(error.failure, Failure::NotSent { cause: NotSent::Unsupported, .. }), "{error}");
}

#[tokio::test]
async fn a_refused_token_is_remembered_for_who_keeps_the_account() {
    let (session, _) = opened(vec![("401 Unauthorized", "", r#"{"error_code":"APIGW.0307","error_msg":"renew"}"#.into())]).await;
    assert!(!session.refused());
    let new = NewBackup { instance_id: "i-1".into(), mark: "dbb-x".into(), description: "d".into(), backup_format: None };
    let error = session.create(Engine::TaurusDB, &new, permit(&session).await, Timestamp::now(), || true).await.unwrap_err();
    assert!(error.is_definite_rejection() && session.refused());
}

#[tokio::test]
async fn an_accepted_create_without_an_id_leaves_the_outcome_unknown() {
    let (session, heard) = opened(vec![("201 Created", "", r#"{"backup":{}}"#.into())]).await;
    let new = NewBackup { instance_id: "i-1".into(), mark: "dbb-x".into(), description: "d".into(), backup_format: None };
    let error = session.create(Engine::TaurusDB, &new, permit(&session).await, Timestamp::now(), || true).await.unwrap_err();
    assert!(error.class() == Class::Unreadable && !error.is_definite_rejection(), "{error}");
    assert_eq!(heard.lock().unwrap().len(), 1, "nothing is sent twice");
}

#[tokio::test]
async fn an_engine_without_an_endpoint_is_an_error_only_when_it_is_used() {
    let (session, _) = opened(vec![]).await;
    let error = session.list(Engine::GeminiDB, &everything(), Urgency::Urgent, "shop", Timestamp::now).await.end.unwrap_err();
    assert!(error.to_string().contains("eu-xx"), "{error}");
    assert!(matches!(error, ListError::Cloud(error) if matches!(error.failure, Failure::NotSent { cause: NotSent::Misconfigured, .. })));
}

#[tokio::test]
async fn sessions_that_are_opened_together_are_not_renewed_together() {
    let mut seconds = std::collections::BTreeSet::new();
    for _ in 0..8 {
        let (url, _) = server(vec![("201 Created", TOKEN, ISSUED.into())]).await;
        seconds.insert(open(&url, None, password()).await.unwrap().renew_in().unwrap().as_secs() / 20);
    }
    assert!(seconds.len() > 2, "{seconds:?}");
}

#[tokio::test]
async fn once_it_is_refused_nothing_more_is_sent_until_it_is_verified_again() {
    let refused =
        || ("401 Unauthorized", "", r#"{"error_code":"APIGW.0301","error_msg":"Incorrect IAM authentication information"}"#.to_owned());
    let (session, heard) = opened(vec![refused()]).await;
    let list = async || {
        let listed = session.list(Engine::TaurusDB, &everything(), Urgency::Poll, "shop", || at("2025-01-01T00:00:00Z")).await;
        match listed.end.unwrap_err() {
            ListError::Cloud(error) => error,
            incomplete @ ListError::Incomplete(_) => panic!("{incomplete:?}"),
        }
    };
    assert_eq!(list().await.class(), Class::Unauthenticated);
    assert!(session.refused() && !session.is_usable() && session.refusal().unwrap().contains("APIGW.0301"));
    assert!(matches!(list().await.failure, Failure::NotSent { cause: NotSent::Cancelled, .. }));
    assert_eq!(heard.lock().unwrap().len(), 1, "the second was not sent");
}

#[tokio::test]
async fn what_is_refused_to_one_that_signs_is_refused_to_all_with_the_key_and_a_token_is_only_itself() {
    let shared = || Arc::new(AtomicBool::new(true));
    let script = || vec![("200 OK", "", projects(&["p-1"]))];
    let (url, _) = server(script()).await;
    assert!(open(&url, Some("p-1"), keys()).await.unwrap().sharing_refusals(shared()).refused());
    let (url, _) = server(script()).await;
    assert!(!open(&url, Some("p-1"), given_token()).await.unwrap().sharing_refusals(shared()).refused());
}

#[tokio::test]
async fn what_a_service_says_of_a_project_says_nothing_of_another_with_the_same_key() {
    let gateway = ("401 Unauthorized", "", r#"{"error_code":"APIGW.0301","error_msg":"verify aksk signature fail"}"#);
    let project = ("400 Bad Request", "", r#"{"error_code":"DBS.280056","error_msg":"The tenant does not match the project."}"#);
    let unknown = ("401 Unauthorized", "", "");
    for ((status, headers, body), is_shared) in [(gateway, true), (project, false), (unknown, true)] {
        let (url, _) = server(vec![("200 OK", "", projects(&["p-1"])), (status, headers, body.to_owned())]).await;
        let shared = Arc::new(AtomicBool::new(false));
        let session = open(&url, Some("p-1"), keys()).await.unwrap().sharing_refusals(shared.clone());
        session.list(Engine::TaurusDB, &everything(), Urgency::Poll, "shop", || at("2025-01-01T00:00:00Z")).await.end.unwrap_err();
        assert!(session.refused() && session.refusal().is_some(), "{body}");
        assert_eq!(shared.load(Ordering::Relaxed), is_shared, "{body}");
    }
}

#[tokio::test]
async fn a_service_that_cannot_be_reached_is_named_and_nobody_is_told_who_asks() {
    let nothing = || ("200 OK", "", String::new());
    let (url, heard) = server(vec![("200 OK", "", projects(&["p-1"])), nothing(), nothing(), nothing()]).await;
    let session = open(&url, Some("p-1"), given_token()).await.unwrap();
    assert_eq!(session.unreached().await, [], "it listens");
    assert!(heard.lock().unwrap()[1..].iter().all(|line| line == " with nothing"), "nothing is sent: {:?}", heard.lock().unwrap());
    // A port that is taken, and at which nobody listens.
    let silent = tokio::net::TcpSocket::new_v4().unwrap();
    silent.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let services = format!("http://{}", silent.local_addr().unwrap());
    let (iam, _) = server(vec![("200 OK", "", projects(&["p-1"]))]).await;
    let session = open_with_services_at(&services, &iam, Some("p-1"), given_token()).await.unwrap();
    let unreached = session.unreached().await;
    assert_eq!(unreached.len(), 3, "{unreached:?}");
    assert!(unreached.iter().all(|service| services.ends_with(&service.host) && service.why.contains("refused")), "{unreached:?}");
}
