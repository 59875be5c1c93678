//! Against a small server on loopback that answers with exactly what a test says.

use super::*;
use crate::cloud::{
    backup::{ListScope, NewBackup},
    engine::Engine,
    errors::Failure,
};
use http::uri::Scheme;
use std::sync::Mutex;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

#[path = "../../../tests/support/authority.rs"]
mod authority;
mod http1;
mod http2;
mod peer;
mod proxy;
mod tls;

#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl Observer for Heard {
    fn call(&self, call: &Call<'_>) {
        self.0.lock().unwrap().push(format!("{} {} {}", call.service, call.operation, call.code));
    }
}

fn client() -> (Client, Arc<Heard>) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let heard = Arc::new(Heard::default());
    (Client::new(heard.clone()).unwrap(), heard)
}

/// Answers each connection with the bytes, after reading the request's head.
async fn server(answer: Vec<u8>) -> Endpoint {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut head = [0; 8192];
            let _ = socket.read(&mut head).await;
            let _ = socket.write_all(&answer).await;
            let _ = socket.shutdown().await;
        }
    });
    Endpoint { scheme: Scheme::HTTP, host }
}

fn http(status: &str, headers: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n{body}", body.len()).into_bytes()
}

fn create() -> Request {
    let new = NewBackup { instance_id: "i-1".into(), mark: "dbb-x".into(), description: "d".into(), backup_format: None };
    Engine::TaurusDB.service().create("p-1", &new)
}

async fn send(answer: Vec<u8>) -> Result<Reply, Error> {
    let endpoint = server(answer).await;
    client().0.send(&endpoint, &create(), Auth::Token(&SecretString::from("t0p-secret")), Timestamp::now(), || true).await
}

#[tokio::test]
async fn a_reply_is_read_with_its_request_id() {
    let reply = send(http("201 Created", "X-Request-Id: r-1\r\n", "{}")).await.unwrap();
    assert_eq!((reply.status, reply.request_id.as_deref(), reply.body.as_slice()), (201, Some("r-1"), b"{}".as_slice()));
}

#[tokio::test]
async fn a_refusal_carries_its_code_and_how_long_to_wait() {
    let error =
        send(http("429 Too Many Requests", "Retry-After: 7\r\n", r#"{"error_code":"APIGW.0308","error_msg":"slow"}"#)).await.unwrap_err();
    assert_eq!((error.class(), error.retry_after()), (Class::Throttled, Some(Duration::from_secs(7))));
}

#[tokio::test]
async fn a_cut_connection_leaves_the_outcome_unknown() {
    for answer in [vec![], b"HTTP/1.1 201 Created\r\ncontent-length: 100\r\n\r\n{".to_vec(), b"nonsense\r\n\r\n".to_vec()] {
        let error = send(answer).await.unwrap_err();
        assert!(matches!(error.failure, Failure::NoAnswer { .. }), "{error}");
        assert!(!error.is_definite_rejection());
    }
}

#[tokio::test]
async fn a_refused_connection_means_that_nothing_was_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = Endpoint { scheme: Scheme::HTTP, host: listener.local_addr().unwrap().to_string() };
    drop(listener);
    let error = client().0.send(&endpoint, &create(), Auth::Nothing, Timestamp::now(), || true).await.unwrap_err();
    assert!(matches!(error.failure, Failure::NotSent { cause: NotSent::NoConnection, .. }), "{error}");
    assert!(error.is_definite_rejection());
}

#[tokio::test]
async fn nothing_is_sent_if_the_last_check_says_no() {
    let endpoint = server(http("201 Created", "", "{}")).await;
    let error = client().0.send(&endpoint, &create(), Auth::Nothing, Timestamp::now(), || false).await.unwrap_err();
    assert!(matches!(error.failure, Failure::NotSent { cause: NotSent::Cancelled, .. }), "{error}");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let error = send(http("302 Found", "Location: http://127.0.0.1:1/\r\n", "")).await.unwrap_err();
    assert_eq!(error.status(), Some(302));
    assert!(!error.is_definite_rejection());
}

#[tokio::test]
async fn a_body_without_end_is_cut_off_at_its_bound() {
    let error = send(http("201 Created", "", &"x".repeat(BODY_BYTES + 1))).await.unwrap_err();
    assert_eq!(error.class(), Class::Unreadable);
    assert!(error.to_string().contains("longer than 1024 KB"), "{error}");
    assert!(!error.is_definite_rejection());
}

#[tokio::test]
async fn an_id_that_would_lead_to_another_address_is_not_sent() {
    let endpoint = server(http("200 OK", "", "{}")).await;
    for id in ["", ".", "..", "../instances/i-1", "a//b", "a?b", "a#b", "a%2fb", "a b", "ä"] {
        let request = Engine::TaurusDB.service().delete("p-1", "i-1", id).unwrap();
        let sent = client().0.send(&endpoint, &request, Auth::Nothing, Timestamp::now(), || true).await;
        assert!(
            matches!(&sent, Err(error) if matches!(error.failure, Failure::NotSent { cause: NotSent::Misconfigured, .. })),
            "{id:?}: {sent:?}"
        );
    }
}

/// The first request that a server hears, head and body.
async fn heard(request: &Request, auth: Auth<'_>, now: Timestamp) -> (Endpoint, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = Endpoint { scheme: Scheme::HTTP, host: listener.local_addr().unwrap().to_string() };
    let hearing = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut head = vec![0; 8192];
        let read = socket.read(&mut head).await.unwrap();
        let _ = socket.write_all(&http("200 OK", "", "{}")).await;
        String::from_utf8_lossy(&head[..read]).into_owned()
    });
    client().0.send(&endpoint, request, auth, now, || true).await.unwrap();
    (endpoint, hearing.await.unwrap())
}

#[tokio::test]
async fn what_is_signed_is_what_is_sent() {
    let (secret_key, token) = (SecretString::from("sk-secret"), SecretString::from("temporary=="));
    let auth = Auth::Keys { access_key: "AK", secret_key: &secret_key, security_token: Some(&token), project_id: Some("p-1") };
    let window =
        crate::cloud::backup::Window { begin: "2025-01-02T03:04:05Z".parse().unwrap(), end: "2025-01-03T03:04:05Z".parse().unwrap() };
    let scope = ListScope::Project { window: Some(window), automatic: false };
    let request = Engine::TaurusDB.service().list("p-1", &scope, 99);
    let now = "2025-01-02T03:04:05Z".parse().unwrap();
    let (endpoint, head) = heard(&request, auth, now).await;
    let query = "backup_type=manual&begin_time=2025-01-02T03%3A04%3A05%2B0000&end_time=2025-01-03T03%3A04%3A05%2B0000&limit=100&offset=99";
    assert!(head.starts_with(&format!("GET /v3/p-1/backups?{query} HTTP/1.1\r\n")), "{head}");
    let date = "20250102T030405Z";
    let signable = sign::Signable {
        method: &request.method,
        path: "/v3/p-1/backups",
        query,
        headers: vec![
            ("content-type", request.api.content_type),
            ("host", &endpoint.host),
            ("x-project-id", "p-1"),
            ("x-sdk-date", date),
            ("x-security-token", "temporary=="),
        ],
        body: b"",
    };
    let authorization = sign::authorization(&signable, "AK", &secret_key, date);
    for line in [
        format!("authorization: {authorization}"),
        format!("host: {}", endpoint.host),
        format!("content-type: {}", request.api.content_type),
        "x-project-id: p-1".into(),
        "x-sdk-date: 20250102T030405Z".into(),
        "x-security-token: temporary==".into(),
    ] {
        assert!(head.lines().any(|sent| sent == line), "{line} is not in {head}");
    }
}

#[tokio::test]
async fn a_token_is_asked_for_without_authentication_and_its_password_shows_nowhere_else() {
    let request = crate::cloud::iam::token("d", "u", &SecretString::from("hunter2"), None, "eu-de");
    assert!(!format!("{request:?}").contains("hunter2"));
    let (_, head) = heard(&request, Auth::Nothing, Timestamp::now()).await;
    assert!(head.starts_with("POST /v3/auth/tokens?nocatalog=1 HTTP/1.1\r\n"), "{head}");
    assert!(!head.contains("x-auth-token") && !head.contains("authorization"), "{head}");
}

#[tokio::test]
async fn a_long_token_fits_into_the_answers_headers() {
    let token = "t".repeat(60_000);
    let reply = send(http("201 Created", &format!("X-Subject-Token: {token}\r\n"), "{}")).await.unwrap();
    assert_eq!(reply.subject_token.as_ref().map(|token| token.expose_secret().len()), Some(60_000));
    assert!(!format!("{reply:?}").contains("ttt"));
}

#[tokio::test]
async fn no_secret_shows_in_an_error() {
    for answer in [http("401 Unauthorized", "", "{}"), vec![], http("500 Oops", "", "<html>")] {
        let error = send(answer).await.unwrap_err();
        assert!(!format!("{error} {error:?}").contains("t0p-secret"));
    }
}

#[tokio::test]
async fn every_call_is_heard_of_by_service_operation_and_code() {
    let (client, heard) = client();
    let endpoint = server(http("409 Conflict", "", r#"{"error_code":"DBS.201205","error_msg":"busy"}"#)).await;
    let _ = client.send(&endpoint, &create(), Auth::Nothing, Timestamp::now(), || true).await;
    assert_eq!(*heard.0.lock().unwrap(), ["taurusdb create DBS.201205"]);
}
