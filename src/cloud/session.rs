//! One verified account: signs, takes permits, sends, reads.

use super::{
    backup::{CreatedBackup, ListScope, NewBackup, RemoteBackup},
    client::{Auth, Client},
    credentials::Credentials,
    endpoints::{Endpoint, Endpoints},
    engine::{Cloud, Engine},
    errors::{Class, Delivery, Error},
    iam,
    listing::{Listing, Progress},
    permits::Permits,
    request::{Operation, Reply, Request},
};
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// Where an account points.
#[derive(Clone, Debug)]
pub struct Target {
    /// The cloud.
    pub cloud: Cloud,
    /// The region.
    pub region: String,
    /// The project, where it is given.
    pub project_id: Option<String>,
    /// The addresses.
    pub endpoints: Endpoints,
}

/// Why an account could not be verified.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The cloud, or the way there.
    #[error(transparent)]
    Cloud(#[from] Error),
    /// Not exactly one project of the region's name.
    #[error("{found} projects have the region's name")]
    ProjectNotFound {
        /// How many there are.
        found: usize,
    },
}

/// Why a listing could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// The cloud, or the way there.
    #[error(transparent)]
    Cloud(#[from] Error),
    /// Its pages do not hold together.
    #[error("{0}")]
    Incomplete(String),
}

/// Whether a listing goes before or after others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// Somebody waits for exactly this.
    Urgent,
    /// It is read from time to time.
    Poll,
}

/// A verified account. It does not change: new credentials mean a new session.
pub struct Session {
    client: Arc<Client>,
    cloud: Cloud,
    region: String,
    endpoints: Endpoints,
    project_id: String,
    identity: Identity,
    permits: Arc<Permits>,
    refused: AtomicBool,
}

/// How the session authenticates itself.
enum Identity {
    /// A token of its own, good from one time to another.
    OwnToken { token: SecretString, issued: Timestamp, expires: Timestamp },
    /// A token that somebody else keeps fresh.
    GivenToken(SecretString),
    /// Keys.
    Keys { access_key: String, secret_key: SecretString, security_token: Option<SecretString> },
}

impl Identity {
    fn auth<'a>(&'a self, project_id: Option<&'a str>) -> Auth<'a> {
        match self {
            Self::OwnToken { token, .. } | Self::GivenToken(token) => Auth::Token(token),
            Self::Keys { access_key, secret_key, security_token } => {
                Auth::Keys { access_key, secret_key, security_token: security_token.as_ref(), project_id }
            }
        }
    }
}

impl Session {
    /// Verifies an account: a password is traded for a token; keys and given tokens are tried on the list of projects. Where the project is not
    /// given, it is looked up by the region's name.
    pub async fn open(
        client: Arc<Client>,
        target: Target,
        credentials: Credentials,
        permits: Arc<Permits>,
        now: Timestamp,
    ) -> Result<Self, OpenError> {
        let (identity, project_id) = match credentials {
            Credentials::Password { domain_name, username, password } => {
                let request = iam::token(&domain_name, &username, &password, target.project_id.as_deref(), &target.region);
                own_token(&client, &target, &request, now).await?
            }
            Credentials::Token { token } => with_project(&client, &target, Identity::GivenToken(token), now).await?,
            Credentials::AccessKey { access_key, secret_key, security_token } => {
                with_project(&client, &target, Identity::Keys { access_key, secret_key, security_token }, now).await?
            }
        };
        let Target { cloud, region, endpoints, .. } = target;
        Ok(Self { client, cloud, region, endpoints, project_id, identity, permits, refused: AtomicBool::new(false) })
    }

    /// The project that everything is asked in.
    pub fn project_id(&self) -> &str {
        &self.project_id
    }

    /// The cloud.
    pub fn cloud(&self) -> Cloud {
        self.cloud
    }

    /// The region.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The account's request rate.
    pub fn permits(&self) -> Arc<Permits> {
        self.permits.clone()
    }

    /// Requests a second that the account allows.
    pub fn rate(&self) -> u32 {
        self.permits.rate()
    }

    /// Until when its token is good; keys and given tokens do not say.
    pub fn expires_at(&self) -> Option<Timestamp> {
        match &self.identity {
            Identity::OwnToken { expires, .. } => Some(*expires),
            Identity::GivenToken(_) | Identity::Keys { .. } => None,
        }
    }

    /// When its token has to be renewed: with 40 minutes or a quarter of its life left, whichever is less. Never, if there is none of its own.
    pub fn renew_at(&self) -> Option<Timestamp> {
        let Identity::OwnToken { issued, expires, .. } = &self.identity else { return None };
        let margin = (expires.duration_since(*issued) / 4).clamp(SignedDuration::ZERO, SignedDuration::from_mins(40));
        expires.checked_sub(margin).ok()
    }

    /// Whether the cloud has refused its credentials since it was opened.
    pub fn refused(&self) -> bool {
        self.refused.load(Ordering::Relaxed)
    }

    /// Asks for a backup, once. Takes no permit: the caller has it in hand before it decides. `check` is asked last before the socket.
    pub async fn create(
        &self,
        engine: Engine,
        new: &NewBackup,
        now: Timestamp,
        check: impl FnOnce() -> bool,
    ) -> Result<CreatedBackup, Error> {
        let request = engine.service().create(&self.project_id, new);
        let reply = self.send(engine, &request, now, check).await?;
        engine.service().read_created(&reply.body).map_err(|error| unreadable(&request, &reply, &error.0))
    }

    /// Reads a listing to its end, with a permit for each page.
    pub async fn list(
        &self,
        engine: Engine,
        scope: &ListScope,
        urgency: Urgency,
        now: impl Fn() -> Timestamp,
    ) -> Result<Vec<RemoteBackup>, ListError> {
        let service = engine.service();
        let mut listing = Listing::new(service.page_size());
        let mut offset = 0;
        loop {
            match urgency {
                Urgency::Urgent => self.permits.urgent().await,
                Urgency::Poll => self.permits.poll().await,
            }
            let request = service.list(&self.project_id, scope, offset);
            let reply = self.send(engine, &request, now(), || true).await?;
            let page = service.read_page(reply.status, &reply.body).map_err(|error| unreadable(&request, &reply, &error.0))?;
            match listing.take(page.asked_for(scope)) {
                Progress::More(next) => offset = next,
                Progress::Complete(backups) => return Ok(backups),
                Progress::Incomplete(message) => return Err(ListError::Incomplete(message)),
            }
        }
    }

    /// Asks for a backup's deletion. Takes no permit: a caller that waited here would keep others from their work. `check` is asked last before the
    /// socket. The services take their time: that it is gone, only a listing says.
    pub async fn delete(
        &self,
        engine: Engine,
        instance_id: &str,
        backup_id: &str,
        now: Timestamp,
        check: impl FnOnce() -> bool,
    ) -> Result<(), Error> {
        let Some(request) = engine.service().delete(&self.project_id, instance_id, backup_id) else {
            let message = format!("the API of {} has no delete", engine.as_str());
            return Err(Error::without_answer(engine.service_name(), Operation::Delete, Class::Unsupported, Delivery::NotSent, message));
        };
        self.send(engine, &request, now, check).await.map(|_| ())
    }

    async fn send(&self, engine: Engine, request: &Request, now: Timestamp, check: impl FnOnce() -> bool) -> Result<Reply, Error> {
        let Some(endpoint) = self.endpoints.engine(engine) else {
            let message = format!(
                "the endpoint table has no {} in region {}: use a ClusterCloudAccount with endpoints",
                engine.as_str(),
                self.region
            );
            return Err(Error::without_answer(request.service, request.operation, Class::Misconfigured, Delivery::NotSent, message));
        };
        let result = self.client.send(endpoint, request, self.identity.auth(Some(&self.project_id)), now, check).await;
        if result.as_ref().is_err_and(|error| error.class == Class::Unauthenticated) {
            self.refused.store(true, Ordering::Relaxed);
        }
        result
    }
}

async fn own_token(client: &Client, target: &Target, request: &Request, now: Timestamp) -> Result<(Identity, String), OpenError> {
    let reply = ask_iam(client, &target.endpoints.iam, request, Auth::Nothing, now).await?;
    let facts = iam::read_token(&reply.body).map_err(|error| unreadable(request, &reply, &error.0))?;
    let project_id = target.project_id.clone().or(facts.project_id);
    let (request_id, status) = (reply.request_id, reply.status);
    // The body is not quoted: nothing of a token's answer belongs into a message.
    let unusable = |what| Error::unreadable(request.service, Operation::Token, status, request_id.clone(), what, b"");
    let token = reply.subject_token.ok_or_else(|| unusable("the answer has no X-Subject-Token header"))?;
    // It would be renewed without a pause.
    if facts.expires_at <= now {
        return Err(unusable("the token had expired when it came; compare this machine's clock with the cloud's").into());
    }
    let project_id = project_id.ok_or(OpenError::ProjectNotFound { found: 0 })?;
    Ok((Identity::OwnToken { token, issued: now, expires: facts.expires_at }, project_id))
}

/// Tries an identity on the list of projects. Who may not read that list, but says which project it is, is authenticated all the same.
async fn with_project(client: &Client, target: &Target, identity: Identity, now: Timestamp) -> Result<(Identity, String), OpenError> {
    let request = iam::projects(&target.region);
    let auth = identity.auth(target.project_id.as_deref());
    let reply = match ask_iam(client, &target.endpoints.iam, &request, auth, now).await {
        Ok(reply) => reply,
        Err(error) => {
            return match &target.project_id {
                Some(project_id) if error.class == Class::Forbidden => Ok((identity, project_id.clone())),
                _ => Err(error.into()),
            };
        }
    };
    if let Some(project_id) = &target.project_id {
        return Ok((identity, project_id.clone()));
    }
    let found = iam::read_projects(&reply.body, &target.region).map_err(|error| unreadable(&request, &reply, &error.0))?;
    match found.as_slice() {
        [project_id] => Ok((identity, project_id.clone())),
        other => Err(OpenError::ProjectNotFound { found: other.len() }),
    }
}

async fn ask_iam(client: &Client, endpoint: &Endpoint, request: &Request, auth: Auth<'_>, now: Timestamp) -> Result<Reply, Error> {
    client.send(endpoint, request, auth, now, || true).await
}

fn unreadable(request: &Request, reply: &Reply, what: &str) -> Error {
    let body: &[u8] = if request.operation == Operation::Token { b"" } else { &reply.body };
    Error::unreadable(request.service, request.operation, reply.status, reply.request_id.clone(), what, body)
}

#[cfg(test)]
mod tests;
