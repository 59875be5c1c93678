//! From an HTTP request to an answer: read it, log it, let a fault strike, do the work, send what is left of the answer.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::ConnectInfo,
    response::Response,
};
use http::{HeaderValue, header};
use serde_json::json;
use uuid::Uuid;

use super::{
    dcs, dds,
    faults::{FaultKind, Faults},
    gaussdb, geminidb, iam,
    message::{Reply, Request},
    mysql, rds, rules,
    service::{Operation, Service},
    state::Cloud,
    wire::Cut,
};

/// The gateway refuses larger bodies.
const BODY_LIMIT: usize = 12 * 1024 * 1024;

/// What all doors share.
pub struct Shared {
    cloud: Mutex<Cloud>,
    /// Trouble that waits.
    pub faults: Faults,
}

impl Shared {
    /// A fresh cloud.
    pub fn new() -> Self {
        Self { cloud: Mutex::new(Cloud::new()), faults: Faults::default() }
    }

    /// The cloud, with time passed.
    pub fn cloud(&self) -> MutexGuard<'_, Cloud> {
        let mut cloud = self.cloud.lock().unwrap_or_else(PoisonError::into_inner);
        cloud.settle();
        cloud
    }
}

/// The HTTP application of one service.
pub fn app(shared: &Arc<Shared>, service: Service) -> Router {
    let shared = Arc::clone(shared);
    Router::new().fallback(move |ConnectInfo(cut): ConnectInfo<Cut>, incoming: axum::extract::Request| {
        let shared = Arc::clone(&shared);
        async move { Visit::receive(shared, service, incoming).await.answer(&cut).await }
    })
}

/// One request on its way through.
struct Visit {
    shared: Arc<Shared>,
    service: Service,
    operation: Operation,
    arrived: Instant,
    request: Arc<Request>,
    too_large: bool,
    too_fast: bool,
}

impl Visit {
    async fn receive(shared: Arc<Shared>, service: Service, incoming: axum::extract::Request) -> Self {
        let (mut parts, body) = incoming.into_parts();
        // Over HTTP/2 the host is no header; a gateway makes one of it before anything is checked (RFC 9113, 8.3.1).
        if let (false, Some(authority)) = (parts.headers.contains_key(header::HOST), parts.uri.authority()) {
            parts.headers.extend(HeaderValue::from_str(authority.as_str()).map(|host| (header::HOST, host)));
        }
        let body = to_bytes(body, BODY_LIMIT).await;
        let too_large = body.is_err();
        let request = Request {
            method: parts.method.as_str().to_owned(),
            path: parts.uri.path().to_owned(),
            raw_query: parts.uri.query().unwrap_or_default().to_owned(),
            headers: parts.headers,
            body: body.map(Vec::from).unwrap_or_default(),
        };
        let operation = operation(service, &request);
        let (arrived, too_fast) = {
            let mut cloud = shared.cloud();
            let arrived = cloud.note(service, operation, &request.method, &request.target());
            (arrived, !cloud.admits(service, &request, arrived))
        };
        Self { shared, service, operation, arrived, too_large, too_fast, request: Arc::new(request) }
    }

    async fn answer(self, cut: &Cut) -> Response {
        // The gateway counts before anything behind it can go wrong, so a refused call uses up no fault.
        if self.too_fast {
            return self.send(Reply::throttled());
        }
        let text = format!("{} {}", self.request.target(), String::from_utf8_lossy(&self.request.body));
        let Some(fault) = self.shared.faults.take(self.service, self.operation, &text) else {
            return self.send(self.work());
        };
        match fault {
            FaultKind::Status { status, code, message, retry_after } => {
                let message = if message.is_empty() { "Simulated failure." } else { &message };
                self.send(envelope(self.service, status, &code, message, retry_after))
            }
            FaultKind::Throttle { retry_after } => {
                let mut reply = Reply::throttled();
                reply.headers.extend(retry_after.map(|seconds| ("Retry-After", seconds.to_string())));
                self.send(reply)
            }
            FaultKind::Raw { status, body, content_type } => self.send_raw(status, body, &content_type),
            FaultKind::HugeBody(bytes) => self.send_huge(bytes),
            FaultKind::Endless { head, again } => {
                self.work();
                self.send_endless(head, &again)
            }
            FaultKind::Hang => std::future::pending().await,
            FaultKind::CutBefore => sever(cut),
            FaultKind::LoseAnswer => {
                self.work();
                sever(cut)
            }
            FaultKind::FailAfter { status, code } => {
                self.work();
                self.send(envelope(self.service, status, &code, "Simulated failure after the work was done.", None))
            }
            FaultKind::RawAfter { status, body, content_type } => {
                self.work();
                self.send_raw(status, body, &content_type)
            }
            FaultKind::HangAfter => {
                self.work();
                std::future::pending().await
            }
            FaultKind::Delay(wait) => self.delayed(wait).await,
            FaultKind::DelayAnswer(wait) => {
                let reply = self.work();
                tokio::time::sleep(wait).await;
                self.send(reply)
            }
        }
    }

    /// In a task of its own: what is on its way arrives, also when the sender has gone.
    async fn delayed(self, wait: Duration) -> Response {
        let late = tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            let reply = self.work();
            self.send(reply)
        });
        late.await.unwrap_or_default()
    }

    fn work(&self) -> Reply {
        if self.too_large {
            return Reply::gateway_error(413, "APIGW.0201", "Request entity too large");
        }
        let request = self.request.as_ref();
        let segments = request.segments();
        let path: Vec<&str> = segments.iter().map(String::as_str).collect();
        let mut cloud = self.shared.cloud();
        if self.operation == Operation::Unknown || !cloud.published(self.service, &request.method, &request.path) {
            return Reply::not_published();
        }
        let answer = match self.service {
            Service::Iam => iam::answer,
            Service::GeminiDb => geminidb::answer,
            Service::TaurusDb => mysql::answer,
            Service::Dcs => dcs::answer,
            Service::Rds => rds::answer,
            Service::Dds => dds::answer,
            Service::GaussDb => gaussdb::answer,
        };
        answer(&mut cloud, request, self.operation, &path).unwrap_or_else(|refusal| refusal)
    }

    fn send(&self, mut reply: Reply) -> Response {
        let id = Uuid::new_v4().simple().to_string();
        if let Some(slot) = reply.body.as_mut().and_then(|body| body.get_mut("request_id")) {
            *slot = json!(id);
        }
        let body = reply.body.map_or(Body::empty(), |body| Body::from(body.to_string()));
        let media = (!is_bodyless(reply.status)).then_some("application/json;charset=UTF-8");
        self.finish(reply.status, body, media, &id, &reply.headers)
    }

    fn send_raw(&self, status: u16, body: String, media: &str) -> Response {
        self.finish(status, Body::from(body), Some(media), &Uuid::new_v4().simple().to_string(), &[])
    }

    fn send_huge(&self, bytes: u64) -> Response {
        const PIECE: u64 = 64 * 1024;
        let pieces = (0..bytes.div_ceil(PIECE)).map(move |piece| {
            let length = usize::try_from(PIECE.min(bytes - piece * PIECE)).unwrap_or(0);
            Ok::<_, Infallible>(Bytes::from(vec![b'['; length]))
        });
        self.send_pieces(futures::stream::iter(pieces))
    }

    fn send_endless(&self, head: String, again: &str) -> Response {
        let pieces = Bytes::from(again.repeat(1 + 64 * 1024 / again.len().max(1)));
        self.send_pieces(futures::stream::iter(std::iter::once(Bytes::from(head)).chain(std::iter::repeat(pieces)).map(Ok)))
    }

    fn send_pieces(&self, pieces: impl futures::Stream<Item = Result<Bytes, Infallible>> + Send + 'static) -> Response {
        self.finish(200, Body::from_stream(pieces), Some("application/json"), &Uuid::new_v4().simple().to_string(), &[])
    }

    fn finish(&self, status: u16, body: Body, media: Option<&str>, id: &str, extra: &[(&'static str, String)]) -> Response {
        let now = {
            let mut cloud = self.shared.cloud();
            cloud.note_answer(self.arrived, &self.request.target(), status);
            cloud.now()
        };
        // The server below adds a date of its own only where there is none.
        let date = rules::http_date(now);
        let mut response = Response::builder().status(status).header("X-Request-Id", id).header(header::DATE, date);
        if self.service == Service::Iam {
            response = response.header("X-IAM-Trace-Id", format!("token_simulated_null_{id}"));
        }
        if let Some(media) = media.and_then(|media| HeaderValue::from_str(media).ok()) {
            response = response.header(header::CONTENT_TYPE, media);
        }
        for (name, value) in extra {
            response = response.header(*name, value);
        }
        response.body(body).unwrap_or_default()
    }
}

fn is_bodyless(status: u16) -> bool {
    status == 204
}

/// Nothing of this response is ever written.
fn sever(cut: &Cut) -> Response {
    cut.pull();
    Response::default()
}

fn operation(service: Service, request: &Request) -> Operation {
    let segments = request.segments();
    let path: Vec<&str> = segments.iter().map(String::as_str).collect();
    match service {
        Service::Iam => iam::operation(&request.method, &path),
        Service::GeminiDb => geminidb::operation(&request.method, &path),
        Service::TaurusDb => mysql::operation(&request.method, &path),
        Service::Dcs => dcs::operation(&request.method, &path),
        Service::Rds => rds::operation(&request.method, &path),
        Service::Dds => dds::operation(&request.method, &path),
        Service::GaussDb => gaussdb::operation(&request.method, &path),
    }
}

/// An error as this service, or the gateway before it, would write it.
fn envelope(service: Service, status: u16, code: &str, message: &str, retry_after: Option<u64>) -> Reply {
    let mut reply = match service {
        _ if code.starts_with("APIG") => Reply::gateway_error(status, code, message),
        Service::Iam if code.is_empty() => Reply::iam_error(status, "Error", message),
        Service::Iam => Reply::json(status, json!({ "error": { "code": code, "message": message, "title": "Error" } })),
        Service::Dcs => Reply::dcs_error(status, code, message),
        Service::GeminiDb | Service::TaurusDb | Service::Rds | Service::Dds | Service::GaussDb => Reply::error(status, code, message),
    };
    reply.headers.extend(retry_after.map(|seconds| ("Retry-After", seconds.to_string())));
    reply
}
