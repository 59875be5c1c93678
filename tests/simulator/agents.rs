//! What a node has beside the cloud: the metadata service, which hands out the access keys of the node's agency, and the pod identity agent,
//! which hands out those of a Pod's. Here is what they know; [`super::metadata`] and [`super::pod_identity`] are how they answer.

use std::sync::Arc;

use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use uuid::Uuid;

use super::{keys::Temporary, serve::Shared, state::Cloud};

/// What a node without an agency is told. The vendor's SDK looks for these words.
pub const NO_AGENCY: &str = "Please configure Cloud Service Agency first";

/// One request to an agent. Headers and bodies are not kept, so no secret is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AgentCall {
    /// HTTP method.
    pub method: String,
    /// Path as sent.
    pub path: String,
    /// The status that was answered; none where it hung.
    pub status: Option<u16>,
    /// When it arrived, by our clock.
    pub at: Timestamp,
}

/// One of the two.
#[derive(Default)]
pub struct Agent {
    calls: Vec<AgentCall>,
    /// What it hands out, and whose it is.
    current: Option<(String, Temporary)>,
}

impl Agent {
    /// The requests so far.
    pub fn calls(&self) -> &[AgentCall] {
        &self.calls
    }

    /// Notes a request that was answered, or was left hanging.
    pub fn note(&mut self, method: &str, path: &str, status: Option<u16>) {
        self.calls.push(AgentCall { method: method.to_owned(), path: path.to_owned(), status, at: Timestamp::now() });
    }
}

/// Both of them.
pub struct Agents {
    /// The metadata service.
    pub metadata: Agent,
    /// The pod identity agent.
    pub pod_identity: Agent,
    /// What is in the token file of the Pod.
    pod_token: String,
    /// Tokens of the metadata service, and when they end.
    metadata_tokens: Vec<(String, Timestamp)>,
}

/// An answer of an agent: status, media type and text.
pub type AgentReply = (StatusCode, &'static str, String);

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The metadata service.
    Metadata,
    /// The pod identity agent.
    PodIdentity,
}

impl Agents {
    /// Agents that nobody has asked yet.
    pub fn new() -> Self {
        let (metadata, pod_identity) = (Agent::default(), Agent::default());
        Self { metadata, pod_identity, pod_token: Uuid::new_v4().to_string(), metadata_tokens: Vec::new() }
    }

    /// The one that is meant.
    pub fn agent(&mut self, which: Which) -> &mut Agent {
        match which {
            Which::Metadata => &mut self.metadata,
            Which::PodIdentity => &mut self.pod_identity,
        }
    }

    /// What the Pod's token file has to hold.
    pub fn pod_token(&self) -> &str {
        &self.pod_token
    }

    /// Replaces it: the old one is good for nothing from now on.
    pub fn set_pod_token(&mut self, token: &str) {
        token.trim().clone_into(&mut self.pod_token);
    }

    /// Gives out a token of the metadata service.
    pub fn add_metadata_token(&mut self, end: Timestamp) -> String {
        let token = format!("{}==", Uuid::new_v4().simple());
        self.metadata_tokens.push((token.clone(), end));
        token
    }

    /// Whether this is such a token, and still good.
    pub fn knows_metadata_token(&self, token: &str, now: Timestamp) -> bool {
        self.metadata_tokens.iter().any(|(known, end)| known == token && *end > now)
    }

    /// Ends all tokens of the metadata service before their time.
    pub fn expire_metadata_tokens(&mut self) {
        self.metadata_tokens.clear();
    }
}

impl Cloud {
    /// The access key that an agent hands out for this account: the same one until a quarter of its time is left, for the platform renews it before
    /// it ends. (When exactly, no document says.)
    pub fn agency_key(&mut self, which: Which, domain: &str) -> Temporary {
        let now = self.now();
        if let Some((owner, key)) = &self.agents.agent(which).current {
            let left = key.expires.duration_since(now);
            if owner == domain && left > key.lifetime / 4 {
                return key.clone();
            }
        }
        let millis = match which {
            Which::Metadata => self.settings.metadata.key_lifetime_ms,
            Which::PodIdentity => self.settings.pod_identity.key_lifetime_ms,
        };
        let lifetime = SignedDuration::from_millis(i64::try_from(millis).unwrap_or(i64::MAX));
        let key = self.temporary_key(domain, lifetime);
        self.agents.agent(which).current = Some((domain.to_owned(), key.clone()));
        key
    }

    /// Takes back what the agents handed out: the services refuse it at once, and the next one who asks gets something new.
    pub fn revoke_agency_keys(&mut self) {
        for which in [Which::Metadata, Which::PodIdentity] {
            self.agents.agent(which).current = None;
        }
        // Only temporary keys of an agency begin like this.
        self.access_keys.retain(|key| !key.access.starts_with("HST"));
    }
}

/// Answers a request, or never does, and notes it.
pub async fn attend(
    shared: Arc<Shared>,
    which: Which,
    method: &str,
    path: &str,
    answer: impl FnOnce(&mut Cloud) -> AgentReply + Send,
) -> axum::response::Response {
    let reply = {
        let mut cloud = shared.cloud();
        let hangs = match which {
            Which::Metadata => cloud.settings.metadata.hangs,
            Which::PodIdentity => cloud.settings.pod_identity.hangs,
        };
        let reply = if hangs { None } else { Some(answer(&mut cloud)) };
        cloud.agents.agent(which).note(method, path, reply.as_ref().map(|(status, ..)| status.as_u16()));
        reply
    };
    let Some((status, media, text)) = reply else { return std::future::pending().await };
    axum::response::IntoResponse::into_response((status, [(http::header::CONTENT_TYPE, media)], text))
}
