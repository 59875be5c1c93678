//! The metadata service of a node (`cloud-apis.md` §11.3): a token of its own, and the access key of the node's agency.

use std::sync::Arc;

use axum::Router;
use http::{HeaderMap, Method, StatusCode, Uri};
use jiff::SignedDuration;
use serde_json::json;

use super::{
    agents::{AgentReply, NO_AGENCY, Which, attend},
    rules,
    serve::Shared,
    settings::MetadataTokens,
    state::Cloud,
};

const TOKEN: &str = "/meta-data/latest/api/token";
const SECURITY_KEY: &str = "/openstack/latest/securitykey";
const TEXT: &str = "text/plain; charset=utf-8";
/// How long a token may be asked for, in seconds.
const LIFETIMES: std::ops::RangeInclusive<i64> = 1..=21_600;

/// The metadata service as an HTTP application.
pub fn app(shared: Arc<Shared>) -> Router {
    Router::new().fallback(move |method: Method, uri: Uri, headers: HeaderMap| {
        let shared = Arc::clone(&shared);
        async move {
            let (method, path) = (method.as_str(), uri.path());
            attend(shared, Which::Metadata, method, path, |cloud| answer(cloud, method, path, &headers)).await
        }
    })
}

fn plain(status: StatusCode, text: &str) -> AgentReply {
    (status, TEXT, text.to_owned())
}

fn answer(cloud: &mut Cloud, method: &str, path: &str, headers: &HeaderMap) -> AgentReply {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    match (method, path) {
        ("PUT", TOKEN) => token(cloud, text("x-metadata-token-ttl-seconds")),
        ("GET", SECURITY_KEY) => security_key(cloud, text("x-metadata-token")),
        (_, TOKEN | SECURITY_KEY) => plain(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed"),
        _ => plain(StatusCode::NOT_FOUND, "Not Found"),
    }
}

fn token(cloud: &mut Cloud, seconds: Option<&str>) -> AgentReply {
    if cloud.settings.metadata.tokens == MetadataTokens::None {
        let status = StatusCode::from_u16(cloud.settings.metadata.no_tokens_status).unwrap_or(StatusCode::NOT_FOUND);
        return plain(status, "there is no such thing here");
    }
    let seconds = seconds.and_then(|text| text.parse::<i64>().ok()).filter(|seconds| LIFETIMES.contains(seconds));
    let end = seconds.and_then(|seconds| cloud.now().checked_add(SignedDuration::from_secs(seconds)).ok());
    match end {
        Some(end) => plain(StatusCode::OK, &cloud.agents.add_metadata_token(end)),
        None => plain(StatusCode::BAD_REQUEST, "X-Metadata-Token-Ttl-Seconds must be from 1 to 21600"),
    }
}

fn security_key(cloud: &mut Cloud, token: Option<&str>) -> AgentReply {
    let is_known = token.is_some_and(|token| cloud.agents.knows_metadata_token(token, cloud.now()));
    let lets_in = match (cloud.settings.metadata.tokens, token) {
        (MetadataTokens::None, _) | (MetadataTokens::Optional, None) => true,
        // That a bad token is refused where none is needed is a guess.
        (MetadataTokens::Optional, Some(_)) | (MetadataTokens::Required, _) => is_known,
    };
    if !lets_in {
        return plain(StatusCode::UNAUTHORIZED, "the metadata token is missing, unknown or expired");
    }
    let Some(domain) = cloud.settings.metadata.agency.clone() else { return plain(StatusCode::UNAUTHORIZED, NO_AGENCY) };
    let key = cloud.agency_key(Which::Metadata, &domain);
    let credential = json!({ "credential": {
        "access": key.access, "secret": key.secret, "securitytoken": key.security_token, "expires_at": rules::micros_time(key.expires),
    }});
    (StatusCode::OK, "application/json", credential.to_string())
}
