//! The only file that sends bytes to the cloud.

use super::{
    codes::Class,
    endpoints::Endpoint,
    errors::{Error, NotSent},
    parse::clean,
    request::{Hints, Operation, REQUEST_ID_CHARS, Reply, Request},
    sign,
};
use authorities::Authorities;
use body::{Awaited, Caller};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header, uri::Scheme};
use hyper_util::client::proxy::matcher::Matcher;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{net::TcpStream, sync::Semaphore, time::timeout};

/// Before a connection stands.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection is kept that nothing uses: shorter than the gateways keep it, so that no create call is lost on one they just closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest headers over HTTP/2: the library's 16 KB are too few for the token of a user with many roles.
const HEADER_BYTES: u32 = 256 * 1024;
/// How long an HTTP/2 connection is silent under a call before it is asked for a sign of life, and how long that may take. All calls to a host share a connection,
/// and one that leads nowhere any more would take each of them along until its time is over, for minutes.
const PING_INTERVAL: Duration = Duration::from_secs(5);
/// See [`PING_INTERVAL`].
const PING_TIMEOUT: Duration = Duration::from_secs(5);
/// A create call as a whole; the protocol's settle delay counts on it.
const CREATE_TIMEOUT: Duration = Duration::from_secs(20);
/// Any other call as a whole.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest body of a listing: a thousand records of some KB each.
const LIST_BYTES: usize = 8 * 1024 * 1024;
/// Longest body of anything else.
const BODY_BYTES: usize = 1024 * 1024;
/// What every body may have.
const SHORT_BYTES: usize = 64 * 1024;
/// Room for what longer bodies have beyond that, for all calls together, in KB: many long answers at once are as bad as an endless one.
const ROOM_KB: usize = 32 * 1024;

/// Longest message about a connection: a status has 256 characters, for the account's name, too.
const MESSAGE_CHARS: usize = 160;

/// Hears of every call.
pub trait Observer: Send + Sync {
    /// A call ended.
    fn call(&self, call: &Call<'_>);
}

/// A call that ended.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// The service's name.
    pub service: &'static str,
    /// What was asked of it.
    pub operation: &'static str,
    /// `ok`, a code from the known tables, or one of a few words.
    pub code: &'a str,
    /// The cloud turned it away as one too many.
    pub is_throttled: bool,
    /// How long it took.
    pub elapsed: Duration,
}

/// How a request is authenticated.
#[derive(Clone, Copy, Debug)]
pub enum Auth<'a> {
    /// Not at all: asking for a token.
    Nothing,
    /// `X-Auth-Token`.
    Token(&'a SecretString),
    /// `SDK-HMAC-SHA256`.
    Keys {
        /// The access key.
        access_key: &'a str,
        /// The secret key.
        secret_key: &'a SecretString,
        /// With temporary keys.
        security_token: Option<&'a SecretString>,
        /// Sent and signed as `X-Project-Id`, once it is known.
        project_id: Option<&'a str>,
    },
}

/// Sends requests.
pub struct Client {
    http: reqwest::Client,
    /// Those of the environment, which the library goes by, too.
    proxies: Matcher,
    room: Semaphore,
    observer: Arc<dyn Observer>,
}

impl Client {
    /// A client for all calls, which trusts whom the machine trusts.
    pub fn new(observer: Arc<dyn Observer>) -> Result<Self, reqwest::Error> {
        Self::trusting(&Authorities::default(), observer)
    }

    /// One that trusts these authorities, too.
    pub fn trusting(authorities: &Authorities, observer: Arc<dyn Observer>) -> Result<Self, reqwest::Error> {
        Self::built(authorities.trusted_by(builder())?, observer)
    }

    fn built(builder: reqwest::ClientBuilder, observer: Arc<dyn Observer>) -> Result<Self, reqwest::Error> {
        Ok(Self { http: builder.build()?, proxies: Matcher::from_env(), room: Semaphore::new(ROOM_KB), observer })
    }

    /// Whether a host can be connected to, and if not, why. It is sent nothing, unless a proxy is on the way, which has to be asked by a request.
    pub async fn reach(&self, endpoint: &Endpoint) -> Result<(), String> {
        let url = format!("{}://{}/", endpoint.scheme, endpoint.host);
        let is_behind_a_proxy = url.parse().is_ok_and(|uri| self.proxies.intercept(&uri).is_some());
        let why = if is_behind_a_proxy {
            match self.http.get(url).timeout(CONNECT_TIMEOUT).send().await {
                Ok(_) => return Ok(()),
                Err(error) if error.is_connect() => connection::why(&endpoint.host, &error),
                Err(_) => format!("{} does not answer", endpoint.host),
            }
        } else {
            match timeout(CONNECT_TIMEOUT, TcpStream::connect(with_port(endpoint))).await {
                Ok(Ok(_)) => return Ok(()),
                Ok(Err(error)) => format!("no connection to {}: {error}", endpoint.host),
                Err(_) => format!("no connection to {} in time", endpoint.host),
            }
        };
        Err(clean(&why, MESSAGE_CHARS))
    }

    /// Sends a request and reads its reply, all within one timeout. `check` is asked last before the socket; if it says no, nothing is sent.
    pub async fn send(
        &self,
        endpoint: &Endpoint,
        request: &Request,
        auth: Auth<'_>,
        now: Timestamp,
        check: impl FnOnce() -> bool,
    ) -> Result<Reply, Error> {
        let started = Instant::now();
        let result = self.exchange(endpoint, request, auth, now, check).await;
        let elapsed = started.elapsed();
        let label = result.as_ref().map_or_else(Error::label, |_| "ok".into());
        let is_throttled = result.as_ref().is_err_and(|error| error.class() == Class::Throttled);
        let (service, operation) = (request.api.label, request.operation.as_str());
        self.observer.call(&Call { service, operation, code: &label, is_throttled, elapsed });
        let (status, request_id) = match &result {
            Ok(reply) => (Some(reply.status), reply.request_id.as_deref()),
            Err(error) => (error.status(), error.request_id()),
        };
        tracing::debug!(
            cloud.service = service,
            cloud.operation = operation,
            cloud.code = &*label,
            http.response.status_code = status,
            cloud.request_id = request_id,
            duration_ms = elapsed.as_millis(),
            "cloud request"
        );
        result
    }

    async fn exchange(
        &self,
        endpoint: &Endpoint,
        request: &Request,
        auth: Auth<'_>,
        now: Timestamp,
        check: impl FnOnce() -> bool,
    ) -> Result<Reply, Error> {
        // The caller waits until this returns, or is dropped.
        let (prepared, _caller) = prepare(&self.http, endpoint, request, auth, now)?;
        if !check() {
            let message = "it was decided too long ago, or the process is stopping";
            return Err(Error::not_sent(request.api, request.operation, NotSent::Cancelled, message));
        }
        let response = self.http.execute(prepared).await.map_err(|error| no_answer(endpoint, request, &error))?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let hints = hints(&headers);
        let body = read(response, endpoint, request, &self.room).await;
        if !(200..300).contains(&status) {
            // A refusal whose body broke off is still a refusal.
            return Err(Error::refused(request, status, hints, &body.unwrap_or_default()));
        }
        let subject_token = headers.get("x-subject-token").and_then(|value| value.to_str().ok()).map(SecretString::from);
        Ok(Reply { status, subject_token, request_id: hints.request_id, date: hints.date, body: body? })
    }
}

/// The host of an endpoint with its port.
fn with_port(endpoint: &Endpoint) -> String {
    let has_port = endpoint.host.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'));
    let implied = if endpoint.scheme == Scheme::HTTPS { 443 } else { 80 };
    if has_port { endpoint.host.clone() } else { format!("{}:{implied}", endpoint.host) }
}

/// A client that follows no redirects and retries nothing: whether a call may be repeated is not for a library to decide. Without `retry`, reqwest sends a
/// request again that an HTTP/2 server says it has not processed (GOAWAY, REFUSED_STREAM); what stands before a service may say so after it passed the call on.
/// hyper-util takes another connection where the one from its pool closed before it wrote any of the request, and only then.
fn builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .user_agent(concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .http2_max_header_list_size(HEADER_BYTES)
        .http2_keep_alive_interval(PING_INTERVAL)
        .http2_keep_alive_timeout(PING_TIMEOUT)
        .tls_version_min(reqwest::tls::Version::TLS_1_2)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
}

fn prepare(
    http: &reqwest::Client,
    endpoint: &Endpoint,
    request: &Request,
    auth: Auth<'_>,
    now: Timestamp,
) -> Result<(reqwest::Request, Arc<Caller>), Error> {
    if !is_plain(&request.path) {
        return Err(unsendable(request));
    }
    let (query, body) = (sign::query(&request.query), request.body.as_ref().map(ToString::to_string).unwrap_or_default());
    let separator = if query.is_empty() { "" } else { "?" };
    let url = format!("{}://{}{}{separator}{query}", endpoint.scheme, endpoint.host, request.path);
    let headers = headers(endpoint, request, auth, &query, &body, now).map_err(|_| unsendable(request))?;
    let timeout = if request.operation == Operation::Create { CREATE_TIMEOUT } else { CALL_TIMEOUT };
    let (awaited, caller) = Awaited::new(body);
    let builder = http.request(request.method.clone(), url).headers(headers).timeout(timeout);
    // What only reads may come late; and there are gateways that take offence at a GET with a body, however empty.
    let builder = if request.method == Method::GET { builder } else { builder.body(reqwest::Body::wrap(awaited)) };
    Ok((builder.build().map_err(|_| unsendable(request))?, caller))
}

/// Whether a path is sent as it is written. The ids in it come from the cloud's answers, too, and none may lead to another address.
fn is_plain(path: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._~".contains(c);
    path.strip_prefix('/')
        .is_some_and(|path| path.split('/').all(|segment| !["", ".", ".."].contains(&segment) && segment.chars().all(plain)))
}

/// Ids and credentials are checked before they come here, so this is a matter of an address that only looks like one.
fn unsendable(request: &Request) -> Error {
    let message = "its address or a credential cannot be written as HTTP";
    Error::not_sent(request.api, request.operation, NotSent::Misconfigured, message)
}

fn headers(
    endpoint: &Endpoint,
    request: &Request,
    auth: Auth<'_>,
    query: &str,
    body: &str,
    now: Timestamp,
) -> Result<HeaderMap, header::InvalidHeaderValue> {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(request.api.content_type));
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    for (name, value) in &request.headers {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value)?);
    }
    match auth {
        Auth::Nothing => {}
        Auth::Token(token) => {
            headers.insert(HeaderName::from_static("x-auth-token"), secret(token.expose_secret())?);
        }
        Auth::Keys { access_key, secret_key, security_token, project_id } => {
            let date = sign::sdk_date(now);
            let mut signed =
                vec![("content-type", request.api.content_type), ("host", endpoint.host.as_str()), ("x-sdk-date", date.as_str())];
            headers.insert(HeaderName::from_static("x-sdk-date"), HeaderValue::from_str(&date)?);
            if let Some(project_id) = project_id {
                signed.push(("x-project-id", project_id));
                headers.insert(HeaderName::from_static("x-project-id"), HeaderValue::from_str(project_id)?);
            }
            if let Some(token) = security_token {
                signed.push(("x-security-token", token.expose_secret()));
                headers.insert(HeaderName::from_static("x-security-token"), secret(token.expose_secret())?);
            }
            let signable = sign::Signable { method: &request.method, path: &request.path, query, headers: signed, body: body.as_bytes() };
            headers.insert(header::AUTHORIZATION, secret(&sign::authorization(&signable, access_key, secret_key, &date))?);
        }
    }
    Ok(headers)
}

/// A header value that no library shows.
fn secret(value: &str) -> Result<HeaderValue, header::InvalidHeaderValue> {
    let mut value = HeaderValue::from_str(value)?;
    value.set_sensitive(true);
    Ok(value)
}

fn hints(headers: &HeaderMap) -> Hints {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    Hints {
        request_id: text("x-request-id").map(|id| clean(id, REQUEST_ID_CHARS)).filter(|id| !id.is_empty()),
        // An hour is more than any throttling window; a longer one is cut to it.
        retry_after: text("retry-after")
            .and_then(|value| value.trim().parse().ok())
            .map(|seconds: u32| Duration::from_secs(seconds.min(3600).into())),
        date: super::clock::date(headers),
    }
}

/// The body, read piece by piece so that an endless one stops at its bound, and a long one where there is no room for it now.
async fn read(mut response: reqwest::Response, endpoint: &Endpoint, request: &Request, room: &Semaphore) -> Result<Vec<u8>, Error> {
    let bound = if request.operation == Operation::List { LIST_BYTES } else { BODY_BYTES };
    let (status, request_id) = (response.status().as_u16(), hints(response.headers()).request_id);
    let refuse = |what: &str, body: &[u8]| Error::unreadable(request, status, request_id.clone(), what, body);
    let (mut body, mut taken) = (Vec::new(), Vec::new());
    while let Some(piece) = response.chunk().await.map_err(|error| no_answer(endpoint, request, &error))? {
        if body.len() + piece.len() > bound {
            return Err(refuse(&format!("the answer is longer than {} KB", bound / 1024), &body));
        }
        let missing = kilobytes(body.len() + piece.len()) - kilobytes(body.len());
        if missing > 0 {
            taken.push(room.try_acquire_many(missing).map_err(|_| refuse("too many long answers at once", &body))?);
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

/// The room that a body of this length takes, in KB.
fn kilobytes(length: usize) -> u32 {
    u32::try_from(length.saturating_sub(SHORT_BYTES).div_ceil(1024)).unwrap_or(u32::MAX)
}

/// A connection that never stood (name, route, proxy, TLS) means that nothing was sent; after that, anything may have been.
fn no_answer(endpoint: &Endpoint, request: &Request, error: &reqwest::Error) -> Error {
    let (api, operation) = (request.api, request.operation);
    let one_line = |message: String| clean(&message, MESSAGE_CHARS);
    if error.is_connect() {
        return Error::not_sent(api, operation, NotSent::NoConnection, one_line(connection::why(&endpoint.host, error)));
    }
    let message = if error.is_timeout() {
        "no answer in time".to_owned()
    } else {
        format!("the connection broke: {}", connection::root_cause(error))
    };
    Error::no_answer(api, operation, one_line(message))
}

pub mod agents;
pub mod authorities;
mod body;
mod connection;
#[cfg(test)]
mod tests;
