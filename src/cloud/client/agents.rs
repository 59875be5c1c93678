//! What hands out temporary keys to whoever runs on a machine of the cloud: the node's metadata service (the vendor's SDK, `MetadataAccessor`), and the agent of
//! CCE Pod Identity (its `PodIdentityAccessor`). Both are asked by plain http, without any proxy, and are given little time.

use super::connection;
use crate::cloud::{
    clock::{self, Life},
    json::object,
    parse::{clean, time},
};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use std::{path::PathBuf, time::Duration};

/// For one call of the metadata service: 3 s, as the SDK has it.
const METADATA_TIMEOUT: Duration = Duration::from_secs(3);
/// For one call of the agent: 5 s, as the SDK has it.
const POD_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest answer.
const BODY_BYTES: usize = 64 * 1024;
/// How long a token of the metadata service is good that is asked for; it is used once.
const TOKEN_SECONDS: HeaderValue = HeaderValue::from_static("60");
/// What the metadata service says where nobody has given the node an agency (the SDK compares with it, too).
const NO_AGENCY: &str = "Please configure Cloud Service Agency first";
/// Longest words of an answer in a message.
const QUOTED_CHARS: usize = 80;

/// What this process knows of agencies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AgencyOptions {
    /// Address of the node's metadata service.
    pub metadata_endpoint: String,
    /// What CCE Pod Identity has put into the Pod's environment, if it has.
    pub pod: Option<PodAgent>,
}

/// The agent of CCE Pod Identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodAgent {
    /// Its address: `HC_CONTAINER_CREDENTIALS_FULL_URI`.
    pub uri: String,
    /// The file with the token that it asks for, which is renewed: `HC_CONTAINER_AUTHORIZATION_TOKEN_FILE`.
    pub token_file: PathBuf,
}

/// Asks for keys on the operator's own machine.
#[derive(Clone, Debug)]
pub struct Agents {
    http: reqwest::Client,
}

/// Keys that end.
#[derive(Debug)]
pub struct TemporaryKeys {
    /// The access key (AK).
    pub access_key: String,
    /// The secret key (SK).
    pub secret_key: SecretString,
    /// The token that goes with them.
    pub security_token: SecretString,
    /// How long they are good.
    pub life: Life,
}

/// Why there are no keys.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AgentError {
    /// Nobody answers there.
    #[error("{0}")]
    Unreachable(String),
    /// It answers, and the machine has no agency.
    #[error("it says that no agency is configured")]
    NoAgency,
    /// It answers with something else than keys.
    #[error("it answered with {0}")]
    Unusable(String),
}

impl Agents {
    /// A client that goes through no proxy, follows no redirect and repeats nothing.
    ///
    /// # Errors
    /// The library cannot be set up.
    pub fn new() -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            // There is no TLS here, and reading every authority would delay each start.
            .tls_certs_only([])
            .pool_max_idle_per_host(0)
            .build()?;
        Ok(Self { http })
    }

    /// The keys of the node's agency. `metadata` is the address of the metadata service; where it protects them by a token, that is fetched first. `now`, by this
    /// machine's clock, counts where the answer has no date.
    ///
    /// # Errors
    /// It cannot be reached, has no agency, or answers with something else.
    pub async fn keys_of_instance(&self, metadata: &str, now: Timestamp) -> Result<TemporaryKeys, AgentError> {
        let token = self.http.request(Method::PUT, format!("{metadata}/meta-data/latest/api/token"));
        let token = token.header("x-metadata-token-ttl-seconds", TOKEN_SECONDS).timeout(METADATA_TIMEOUT);
        let token = match answer(token).await? {
            answer if answer.status == StatusCode::OK => Some(secret(&answer.body)?),
            // An older metadata service, which has none.
            answer if [404, 405, 503].contains(&answer.status.as_u16()) => None,
            answer => return Err(answer.unusable()),
        };
        let mut keys = self.http.get(format!("{metadata}/openstack/latest/securitykey")).timeout(METADATA_TIMEOUT);
        if let Some(token) = token {
            keys = keys.header(HeaderName::from_static("x-metadata-token"), token);
        }
        read(&answer(keys).await?, now)
    }

    /// The keys of the agency that is associated with the operator's Pod, from the agent at `uri`, which asks for the content of a token file.
    ///
    /// # Errors
    /// As for [`Agents::keys_of_instance`].
    pub async fn keys_of_pod(&self, uri: &str, token: &SecretString, now: Timestamp) -> Result<TemporaryKeys, AgentError> {
        let request = self.http.post(uri).header("content-type", "application/json").body("{}").timeout(POD_TIMEOUT);
        let request = request.header("authorization", secret(token.expose_secret().as_bytes())?);
        read(&answer(request).await?, now)
    }
}

struct Answer {
    status: StatusCode,
    date: Option<Timestamp>,
    body: Vec<u8>,
}

impl Answer {
    /// Its body may hold keys, so it is not quoted.
    fn unusable(&self) -> AgentError {
        AgentError::Unusable(format!("HTTP {}", self.status.as_u16()))
    }
}

async fn answer(request: reqwest::RequestBuilder) -> Result<Answer, AgentError> {
    let unreachable = |error: reqwest::Error| {
        let why = if error.is_timeout() { "no answer in time".to_owned() } else { connection::root_cause(&error) };
        AgentError::Unreachable(clean(&why, QUOTED_CHARS))
    };
    let mut response = request.send().await.map_err(unreachable)?;
    let (status, date, mut body) = (response.status(), clock::date(response.headers()), Vec::new());
    while let Some(piece) = response.chunk().await.map_err(unreachable)? {
        if body.len() + piece.len() > BODY_BYTES {
            return Err(AgentError::Unusable("more than 64 KB".into()));
        }
        body.extend_from_slice(&piece);
    }
    Ok(Answer { status, date, body })
}

/// A header value that no library shows.
fn secret(bytes: &[u8]) -> Result<HeaderValue, AgentError> {
    let mut value = HeaderValue::from_bytes(bytes.trim_ascii()).map_err(|_| AgentError::Unusable("a token that is no header".into()))?;
    value.set_sensitive(true);
    Ok(value)
}

fn read(answer: &Answer, now: Timestamp) -> Result<TemporaryKeys, AgentError> {
    if answer.status == StatusCode::UNAUTHORIZED && String::from_utf8_lossy(&answer.body).contains(NO_AGENCY) {
        return Err(AgentError::NoAgency);
    }
    if !answer.status.is_success() {
        return Err(answer.unusable());
    }
    read_keys(&answer.body, answer.date.unwrap_or(now))
}

/// Reads keys in any spelling that the SDK takes: `access`, `accessKeyId` or `access_key_id`, alone or inside `credential` or `credentials`.
///
/// # Errors
/// Something is missing, cannot be sent, or has ended by `now`.
pub fn read_keys(body: &[u8], now: Timestamp) -> Result<TemporaryKeys, AgentError> {
    let unusable = |what: &str| AgentError::Unusable(what.to_owned());
    let answer = object(body).map_err(|_| unusable("something that is no JSON object"))?;
    let inner = ["credential", "credentials"].iter().find_map(|name| answer.get(*name).and_then(Value::as_object));
    let all = inner.unwrap_or(&answer);
    let (access, secret, token, end) = (
        first(all, &["access", "accessKeyId", "access_key_id"]).ok_or_else(|| unusable("keys without an access key"))?,
        first(all, &["secret", "secretAccessKey", "secret_access_key"]).ok_or_else(|| unusable("keys without a secret key"))?,
        first(all, &["securitytoken", "securityToken", "security_token"]).ok_or_else(|| unusable("keys without a security token"))?,
        first(all, &["expires_at", "expiration"]).and_then(time).ok_or_else(|| unusable("keys without a time at which they end"))?,
    );
    if ![access, secret, token].iter().all(|value| value.bytes().all(|byte| byte.is_ascii_graphic())) {
        return Err(unusable("keys that cannot be sent"));
    }
    let life = Life::until(end, now).ok_or_else(|| unusable("keys that had ended already"))?;
    Ok(TemporaryKeys {
        access_key: access.to_owned(),
        secret_key: SecretString::from(secret),
        security_token: SecretString::from(token),
        life,
    })
}

fn first<'a>(all: &'a Map<String, Value>, names: &[&str]) -> Option<&'a str> {
    names.iter().find_map(|name| all.get(*name)?.as_str()).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2026-01-01T00:00:00Z";

    fn read(body: &str) -> Result<TemporaryKeys, AgentError> {
        read_keys(body.as_bytes(), NOW.parse().unwrap())
    }

    #[test]
    fn keys_are_read_in_every_spelling_of_the_sdk() {
        for body in [
            r#"{"credential":{"access":"AK","secret":"SK","securitytoken":"T","expires_at":"2026-01-01T06:00:00.000000Z"}}"#,
            r#"{"credentials":{"accessKeyId":"AK","secretAccessKey":"SK","securityToken":"T","expiration":"2026-01-01T06:00:00.5Z"}}"#,
            r#"{"access_key_id":"AK","secret_access_key":"SK","security_token":"T","expiration":"2026-01-01T06:00:00Z"}"#,
        ] {
            let keys = read(body).unwrap();
            let token = keys.security_token.expose_secret();
            assert_eq!((keys.access_key.as_str(), keys.secret_key.expose_secret(), token), ("AK", "SK", "T"), "{body}");
            let left = keys.life.left().as_secs();
            assert!((6 * 3600 - 10..=6 * 3600).contains(&left), "{body}: {left}");
        }
    }

    #[test]
    fn keys_that_lack_something_or_have_ended_are_no_keys_and_none_is_quoted() {
        let whole = r#"{"access":"AK","secret":"hunter2","securitytoken":"T","expires_at":"2026-01-01T06:00:00Z"}"#;
        for (from, to, what) in [
            ("access\"", "x\"", "without an access key"),
            ("secret\"", "x\"", "without a secret key"),
            ("securitytoken", "x", "without a security token"),
            ("expires_at", "x", "without a time"),
            ("2026-01-01T06", "2025-01-01T06", "had ended"),
            ("hunter2", "hunter\\n2", "cannot be sent"),
            ("{", "[{", "no JSON object"),
        ] {
            let error = read(&whole.replace(from, to)).unwrap_err().to_string();
            assert!(error.contains(what) && !error.contains("hunter"), "{from}: {error}");
        }
    }
}
