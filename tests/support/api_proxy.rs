//! A proxy between an operator and the real API server, with trouble on demand.

use super::control_plane::ControlPlane;
use axum::{
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::{HeaderName, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use futures::stream;
use kube::config::Kubeconfig;
use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{net::TcpListener, runtime::Runtime, sync::broadcast};

/// One kind of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Answers this status; the work is not done. A 429 comes with `Retry-After: 1`.
    Answer(u16),
    /// Does the work, then answers this status.
    AnswerAfter(u16),
    /// Cuts the connection; the work is not done.
    Cut,
    /// Does the work, then cuts the connection.
    LoseAnswer,
    /// Waits, then does the work.
    Delay(Duration),
    /// Does the work, and hands on the first half of the answer as if it were the whole.
    Halve,
}

/// Trouble that waits for matching requests.
#[derive(Clone, Debug)]
pub struct Fault {
    trouble: Trouble,
    method: Option<&'static str>,
    containing: Vec<String>,
    watches: Option<bool>,
    left: u32,
}

impl Fault {
    /// It strikes the next request, whichever it is.
    pub fn new(trouble: Trouble) -> Self {
        Self { trouble, method: None, containing: Vec::new(), watches: None, left: 1 }
    }

    /// Only requests with this method.
    pub fn on(self, method: &'static str) -> Self {
        Self { method: Some(method), ..self }
    }

    /// Only requests whose path, query or body contains this, too.
    pub fn containing(mut self, text: &str) -> Self {
        self.containing.push(text.to_owned());
        self
    }

    /// Only requests to watch, or only others.
    pub fn watches(self, watches: bool) -> Self {
        Self { watches: Some(watches), ..self }
    }

    /// It strikes this often.
    pub fn times(self, times: u32) -> Self {
        Self { left: times, ..self }
    }

    /// It strikes until it is taken back.
    pub fn always(self) -> Self {
        self.times(u32::MAX)
    }

    fn strikes(&self, asked: &Asked) -> bool {
        self.left > 0
            && self.method.is_none_or(|method| method == asked.method)
            && self.watches.is_none_or(|watches| watches == asked.is_watch())
            && self.containing.iter().all(|text| asked.target.contains(text) || asked.body.contains(text))
    }
}

/// A request that came.
#[derive(Clone, Debug)]
struct Asked {
    method: String,
    target: String,
    body: String,
}

impl Asked {
    fn is_watch(&self) -> bool {
        self.target.contains("watch=")
    }
}

/// What happens to the watches that run.
#[derive(Clone, Copy, Debug)]
enum Interruption {
    Cut,
    Expire,
}

struct Shared {
    client: reqwest::Client,
    upstream: String,
    faults: Mutex<Vec<Fault>>,
    asked: Mutex<Vec<Asked>>,
    watches: broadcast::Sender<Interruption>,
}

/// A running proxy, on a thread of its own; it ends when it is dropped.
pub struct ApiProxy {
    shared: Arc<Shared>,
    kubeconfig: PathBuf,
    runtime: Option<Runtime>,
}

impl ApiProxy {
    /// Starts one in front of a control plane, with the administrator's rights.
    pub fn start(plane: &ControlPlane) -> Self {
        Self::start_with(plane, plane.kubeconfig())
    }

    /// The same with somebody else's rights.
    pub fn start_with(plane: &ControlPlane, kubeconfig: &Path) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a thread");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("a socket");
        let address = listener.local_addr().expect("a bound socket has an address");
        let (upstream, client, kubeconfig) = between(plane, kubeconfig, &format!("http://{address}"));
        let shared =
            Arc::new(Shared { client, upstream, faults: Mutex::default(), asked: Mutex::default(), watches: broadcast::channel(16).0 });
        let app = axum::Router::new().fallback(pass).with_state(shared.clone());
        runtime.spawn(async move { axum::serve(TcpListener::from_std(listener).expect("a socket"), app).await });
        Self { shared, kubeconfig, runtime: Some(runtime) }
    }

    /// How to get at the API server through it.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Adds a fault behind those that wait already.
    pub fn inject(&self, fault: Fault) {
        lock(&self.shared.faults).push(fault);
    }

    /// Takes all faults back.
    pub fn clear(&self) {
        lock(&self.shared.faults).clear();
    }

    /// How often faults have still to strike; those that always do are left out.
    pub fn waiting(&self) -> u32 {
        lock(&self.shared.faults).iter().map(|fault| fault.left).filter(|left| *left < u32::MAX / 2).sum()
    }

    /// How many requests with this method came whose path, query or body contains all of these.
    pub fn count(&self, method: &str, containing: &[&str]) -> usize {
        let has = |asked: &Asked| containing.iter().all(|text| asked.target.contains(text) || asked.body.contains(text));
        lock(&self.shared.asked).iter().filter(|asked| asked.method == method && has(asked)).count()
    }

    /// Cuts every watch that runs.
    pub fn cut_watches(&self) {
        let _ = self.shared.watches.send(Interruption::Cut);
    }

    /// Tells every watch that runs that its version is too old.
    pub fn expire_watches(&self) {
        let _ = self.shared.watches.send(Interruption::Expire);
    }
}

impl Drop for ApiProxy {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// The API server's address, a client for it, and a kubeconfig that leads to `address` instead.
fn between(plane: &ControlPlane, kubeconfig: &Path, address: &str) -> (String, reqwest::Client, PathBuf) {
    let mut kubeconfig = Kubeconfig::read_from(kubeconfig).expect("a kubeconfig");
    let cluster = kubeconfig.clusters.first_mut().and_then(|named| named.cluster.as_mut()).expect("a cluster");
    let upstream = cluster.server.replace(address.to_owned()).expect("an address");
    let certificate = std::fs::read(cluster.certificate_authority.take().expect("a certificate")).expect("a certificate");
    let certificate = reqwest::Certificate::from_pem(&certificate).expect("a certificate");
    let client = reqwest::Client::builder().tls_certs_only([certificate]).no_proxy().build().expect("a client");
    let path = plane.folder().join("kubeconfig-proxy");
    std::fs::write(&path, serde_json::to_string(&kubeconfig).expect("text")).expect("the folder is there");
    (upstream, client, path)
}

async fn pass(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let Ok(body) = to_bytes(body, usize::MAX).await else { return cut() };
    let target = head.uri.to_string();
    let asked = Asked { method: head.method.to_string(), target, body: String::from_utf8_lossy(&body).into_owned() };
    lock(&shared.asked).push(asked.clone());
    match take(&shared, &asked) {
        None => forward(&shared, &asked, &head, body).await,
        Some(Trouble::Answer(code)) => refusal(code),
        Some(Trouble::Cut) => cut(),
        Some(Trouble::Delay(delay)) => {
            tokio::time::sleep(delay).await;
            forward(&shared, &asked, &head, body).await
        }
        Some(trouble) => {
            let answer = forward(&shared, &asked, &head, body).await;
            // Read to its end: the work is done then.
            let content = to_bytes(answer.into_body(), usize::MAX).await;
            match (trouble, content) {
                (Trouble::AnswerAfter(code), _) => refusal(code),
                (Trouble::Halve, Ok(content)) => {
                    ([(header::CONTENT_TYPE, "application/json")], content.slice(..content.len() / 2)).into_response()
                }
                _ => cut(),
            }
        }
    }
}

fn take(shared: &Shared, asked: &Asked) -> Option<Trouble> {
    let mut faults = lock(&shared.faults);
    let fault = faults.iter_mut().find(|fault| fault.strikes(asked))?;
    fault.left -= 1;
    Some(fault.trouble)
}

/// What belongs to a connection and not to a request, or is made anew.
const OWN: [HeaderName; 4] = [header::HOST, header::CONTENT_LENGTH, header::CONNECTION, header::ACCEPT_ENCODING];

async fn forward(shared: &Shared, asked: &Asked, head: &Parts, body: Bytes) -> Response {
    let mut request = shared.client.request(head.method.clone(), format!("{}{}", shared.upstream, asked.target)).body(body);
    for (name, value) in head.headers.iter().filter(|(name, _)| !OWN.contains(name)) {
        request = request.header(name, value);
    }
    // Heard from now on: an interruption while the answer is on its way counts, too.
    let interruptions = asked.is_watch().then(|| shared.watches.subscribe());
    let Ok(answer) = request.send().await else { return cut() };
    let mut response = Response::builder().status(answer.status());
    for name in [header::CONTENT_TYPE, header::RETRY_AFTER] {
        if let Some(value) = answer.headers().get(&name) {
            response = response.header(name, value);
        }
    }
    response.body(relay(answer, interruptions)).unwrap_or_else(|_| cut())
}

fn relay(answer: reqwest::Response, interruptions: Option<broadcast::Receiver<Interruption>>) -> Body {
    Body::from_stream(stream::try_unfold((Some(answer), interruptions), async |(answer, mut interruptions)| {
        let Some(mut answer) = answer else { return Ok(None) };
        let interrupted = async {
            match &mut interruptions {
                Some(interruptions) => interruptions.recv().await.unwrap_or(Interruption::Cut),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            piece = answer.chunk() => Ok(piece.map_err(io::Error::other)?.map(|piece| (piece, (Some(answer), interruptions)))),
            interruption = interrupted => match interruption {
                Interruption::Cut => Err(io::Error::from(io::ErrorKind::ConnectionReset)),
                Interruption::Expire => Ok(Some((Bytes::from(expired()), (None, interruptions)))),
            },
        }
    }))
}

/// What a watch says before it ends when its version is too old.
fn expired() -> String {
    format!("{{\"type\":\"ERROR\",\"object\":{}}}\n", status(410))
}

fn status(code: u16) -> String {
    let reason = match code {
        404 => "NotFound",
        409 => "Conflict",
        410 => "Expired",
        429 => "TooManyRequests",
        503 => "ServiceUnavailable",
        _ => "InternalError",
    };
    let (message, kind) = ("trouble on demand", "Status");
    serde_json::json!({ "kind": kind, "apiVersion": "v1", "status": "Failure", "reason": reason, "message": message, "code": code })
        .to_string()
}

fn refusal(code: u16) -> Response {
    let mut response = ([(header::CONTENT_TYPE, "application/json")], status(code)).into_response();
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if code == 429 {
        response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
    }
    response
}

/// An answer that breaks off before its first byte of content.
fn cut() -> Response {
    Response::new(Body::from_stream(stream::once(async { Err::<Bytes, _>(io::Error::from(io::ErrorKind::ConnectionReset)) })))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
