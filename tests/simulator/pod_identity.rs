//! The pod identity agent of a node (`cloud-apis.md` §11.4): the access key of the agency that is bound to a Pod's service account.

use std::sync::Arc;

use axum::{
    Router,
    body::{Bytes, to_bytes},
    extract::Request,
};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::{
    agents::{AgentReply, NO_AGENCY, Which, attend},
    door::Door,
    keys::Temporary,
    rules,
    serve::Shared,
    settings::{Spelling, Wrapping},
    state::Cloud,
};

const BODY_LIMIT: usize = 64 * 1024;

/// The full URI that a Pod is told of. The agent answers at any path: no document says which one it has.
pub fn uri(door: &Door) -> String {
    format!("{}/v1/credentials", door.url())
}

/// The agent as an HTTP application.
pub fn app(shared: Arc<Shared>) -> Router {
    Router::new().fallback(move |request: Request| {
        let shared = Arc::clone(&shared);
        async move {
            let (parts, body) = request.into_parts();
            let body = to_bytes(body, BODY_LIMIT).await.unwrap_or_default();
            let (method, path) = (parts.method.as_str(), parts.uri.path());
            attend(shared, Which::PodIdentity, method, path, |cloud| answer(cloud, method, &parts.headers, &body)).await
        }
    })
}

fn refusal(status: StatusCode, why: &str) -> AgentReply {
    (status, "application/json", json!({ "message": why }).to_string())
}

fn answer(cloud: &mut Cloud, method: &str, headers: &HeaderMap, body: &Bytes) -> AgentReply {
    if method != "POST" {
        return refusal(StatusCode::METHOD_NOT_ALLOWED, "only POST is allowed");
    }
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    // The content of the file and nothing else: no `Bearer`, no end of line.
    if text("authorization") != Some(cloud.agents.pod_token()) {
        return refusal(StatusCode::UNAUTHORIZED, "the token is missing, wrong or expired");
    }
    let is_json = text("content-type").is_some_and(|media| media.starts_with("application/json"));
    if !is_json || !serde_json::from_slice::<Value>(body).is_ok_and(|body| body == json!({})) {
        return refusal(StatusCode::BAD_REQUEST, "the body must be an empty JSON object");
    }
    let Some(domain) = cloud.settings.pod_identity.agency.clone() else {
        let status = StatusCode::from_u16(cloud.settings.pod_identity.no_agency_status).unwrap_or(StatusCode::UNAUTHORIZED);
        return refusal(status, NO_AGENCY);
    };
    let key = cloud.agency_key(Which::PodIdentity, &domain);
    let fields = spelled(&key, cloud.settings.pod_identity.spelling);
    let credential = match cloud.settings.pod_identity.wrapping {
        Wrapping::Credential => json!({ "credential": fields }),
        Wrapping::Credentials => json!({ "credentials": fields }),
        Wrapping::Bare => fields,
    };
    (StatusCode::OK, "application/json", credential.to_string())
}

fn spelled(key: &Temporary, spelling: Spelling) -> Value {
    let [access, secret, token, end] = match spelling {
        Spelling::Snake => ["access_key_id", "secret_access_key", "security_token", "expiration"],
        Spelling::Camel => ["accessKeyId", "secretAccessKey", "securityToken", "expiration"],
        Spelling::Short => ["access", "secret", "securitytoken", "expires_at"],
    };
    json!({ access: key.access, secret: key.secret, token: key.security_token, end: rules::micros_time(key.expires) })
}
