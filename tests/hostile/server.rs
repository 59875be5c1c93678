//! A server on loopback that answers as a test says, byte by byte, and an account that asks it.

use database_backup_operator::cloud::{
    backup::{CreatedBackup, ListScope, NewBackup, RemoteBackup},
    client::{Call, Client, Observer},
    endpoints::{EndpointPolicy, Endpoints, Overrides},
    engine::{Cloud, Engine},
    errors::Error,
    login::{
        Credentials,
        identity::{LoginError, Target},
        password::Password,
        token::Token,
    },
    permits::{Permits, Purpose, Urgency},
    session::{ListError, Listed, Session},
};
use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::json;
use std::{collections::BTreeMap, io, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// Longest time of a call: 30 s, and a little for the machine.
pub const LONGEST: Duration = Duration::from_secs(31);

struct Silent;

impl Observer for Silent {
    fn call(&self, call: &Call<'_>) {
        assert!(call.code.len() <= 20 && call.code.is_ascii(), "a label out of an answer: {}", call.code);
    }
}

/// The client of the operator.
pub fn client() -> Arc<Client> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Arc::new(Client::new(Arc::new(Silent)).expect("a client"))
}

/// Where connections are answered by `answer`, after the beginning of the request was read.
pub async fn server<F: Future<Output = io::Result<()>> + Send + 'static>(answer: impl Fn(TcpStream) -> F + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let host = listener.local_addr().expect("an address").to_string();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut head = vec![0; 16 * 1024];
            let read = socket.read(&mut head).await.unwrap_or_default();
            // The account's own question, which is not what a test is about.
            if head[..read].starts_with(b"GET /v3/auth/projects") {
                let _ = socket.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
                continue;
            }
            // It ends when the client has had enough.
            tokio::spawn(answer(socket));
        }
    });
    host
}

/// A verified account whose every address is this one.
pub async fn session(host: &str) -> Session {
    session_of(client(), host).await
}

/// The same with a client that others have, too.
pub async fn session_of(client: Arc<Client>, host: &str) -> Session {
    let token = Credentials::Token(Token { token: SecretString::from("t0p-secret") });
    opened(client, host, Some("p-1"), token).await.expect("an account")
}

/// An account by password.
pub async fn opened_by_password(host: &str) -> Result<Session, LoginError> {
    let password = SecretString::from("hunter2");
    opened(client(), host, None, Credentials::Password(Password { domain_name: "d".into(), username: "u".into(), password })).await
}

async fn opened(client: Arc<Client>, host: &str, project_id: Option<&str>, credentials: Credentials) -> Result<Session, LoginError> {
    let services = Engine::all().map(|engine| engine.api().label).chain(["iam"]);
    let given: BTreeMap<&str, String> = services.map(|service| (service, format!("http://{host}"))).collect();
    let overrides: Overrides = serde_json::from_value(json!(given)).expect("a field for each service");
    let policy = EndpointPolicy { allow_insecure: true, ..EndpointPolicy::default() };
    let endpoints = Endpoints::resolve(Cloud::OpenTelekomCloud, "eu-de", &overrides, &policy).expect("addresses");
    let project_id = project_id.map(ToOwned::to_owned);
    let target = Target { cloud: Cloud::OpenTelekomCloud, region: "eu-de".into(), project_id, endpoints };
    Session::open(client, target, credentials, Arc::new(Permits::new(1000)), Timestamp::UNIX_EPOCH).await
}

/// A create call, and how long it took.
pub async fn create(session: &Session, engine: Engine) -> (Result<CreatedBackup, Error>, Duration) {
    let new = NewBackup { instance_id: "i-1".into(), mark: "dbb-x".into(), description: "d".into(), backup_format: None };
    let started = tokio::time::Instant::now();
    let permit = session.permits().wait(Purpose { namespace: "shop", api: engine.api() }, Urgency::Urgent).await.expect("a permit");
    let answer = session.create(engine, &new, permit, Timestamp::UNIX_EPOCH, || true).await;
    (answer, started.elapsed())
}

/// A listing, and how long it took.
pub async fn list(session: &Session, engine: Engine) -> (Result<Vec<RemoteBackup>, ListError>, Duration) {
    let scope = ListScope::Instance { instance_id: "i-1".into(), automatic: false };
    let started = tokio::time::Instant::now();
    let Listed { backups, end } = session.list(engine, &scope, Urgency::Urgent, "shop", || Timestamp::UNIX_EPOCH).await;
    (end.map(|()| backups), started.elapsed())
}

/// A whole answer.
pub fn answer(status: &str, body: &[u8]) -> Vec<u8> {
    let head =
        format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// The message of an error: one line that a person can read, without what is secret.
pub fn check_message(message: &str) {
    assert!((10..=256).contains(&message.chars().count()), "{message:?}");
    assert!(!message.chars().any(char::is_control), "{message:?}");
    assert!(!message.contains("t0p-secret"), "{message}");
}
