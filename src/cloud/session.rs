//! One verified account: signs, takes permits, sends, reads.

use super::{
    backup::{CreatedBackup, ListScope, NewBackup, RemoteBackup},
    client::{Auth, Client},
    clock::{Age, CloudClock},
    credentials::Credentials,
    endpoints::Endpoints,
    engine::{Cloud, Engine},
    errors::{Class, Delivery, Error},
    iam,
    listing::{Gap, Listing, Progress},
    permits::Permits,
    request::{Operation, Reply, Request},
};
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
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
    #[error("the cloud's listing does not hold together: {0}")]
    Incomplete(Gap),
}

/// What a listing came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// What its pages showed, in the order of ids. It is true whatever the end was.
    pub backups: Vec<RemoteBackup>,
    /// Whether that is everything that there is.
    pub end: Result<(), ListError>,
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
    clock: CloudClock,
}

/// How the session authenticates itself.
enum Identity {
    /// A token of its own, and for how long it is good by the cloud's clock.
    OwnToken { token: SecretString, issued: Age, lifetime: Duration },
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
        let clock = CloudClock::default();
        let iam = Iam { client: &client, target: &target, clock: &clock, now };
        let (identity, project_id) = match credentials {
            Credentials::Password { domain_name, username, password } => {
                let request = iam::token(&domain_name, &username, &password, target.project_id.as_deref(), &target.region);
                iam.own_token(&request).await?
            }
            Credentials::Token { token } => iam.with_project(Identity::GivenToken(token)).await?,
            Credentials::AccessKey { access_key, secret_key, security_token } => {
                iam.with_project(Identity::Keys { access_key, secret_key, security_token }).await?
            }
        };
        let Target { cloud, region, endpoints, .. } = target;
        Ok(Self { client, cloud, region, endpoints, project_id, identity, permits, refused: AtomicBool::new(false), clock })
    }

    /// The cloud's time, as its latest answer to this session told it and this process's monotonic clock carried it on; absent where no answer had a `Date`.
    pub fn cloud_now(&self) -> Option<Timestamp> {
        self.clock.now()
    }

    /// The host that serves an engine, with its port if there is one; absent where the region has none.
    pub fn host(&self, engine: Engine) -> Option<&str> {
        self.endpoints.engine(engine).map(|endpoint| endpoint.host.as_str())
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

    /// In how long its token has to be renewed: with 40 minutes or a quarter of its life left, whichever is less. Never, if there is none of its own.
    /// Counted by the monotonic clock from the cloud's own times, so a wrong wall clock neither wears a token out nor keeps one that has expired.
    pub fn renew_in(&self) -> Option<Duration> {
        let Identity::OwnToken { issued, lifetime, .. } = &self.identity else { return None };
        let margin = (*lifetime / 4).min(Duration::from_secs(40 * 60));
        Some(lifetime.saturating_sub(margin).saturating_sub(issued.elapsed()))
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

    /// Reads a listing to its end, with a permit for each page. What the pages showed before something went wrong is answered, too.
    pub async fn list(&self, engine: Engine, scope: &ListScope, urgency: Urgency, now: impl Fn() -> Timestamp) -> Listed {
        let mut listing = Listing::new(engine.service().page_size());
        let failed = self.read_pages(engine, scope, urgency, now, &mut listing).await;
        let (backups, gap) = listing.into_parts();
        let end = match (failed, gap) {
            (Err(error), _) => Err(ListError::Cloud(error)),
            (Ok(()), Some(gap)) => Err(ListError::Incomplete(gap)),
            (Ok(()), None) => Ok(()),
        };
        Listed { backups, end }
    }

    async fn read_pages(
        &self,
        engine: Engine,
        scope: &ListScope,
        urgency: Urgency,
        now: impl Fn() -> Timestamp,
        listing: &mut Listing,
    ) -> Result<(), Error> {
        let service = engine.service();
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
                Progress::End => return Ok(()),
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
        // Signatures carry a time, which the cloud compares with its own.
        let now = self.cloud_now().unwrap_or(now);
        let result = self.client.send(endpoint, request, self.identity.auth(Some(&self.project_id)), now, check).await;
        self.clock.heard(date(&result));
        if result.as_ref().is_err_and(|error| error.class == Class::Unauthenticated) {
            self.refused.store(true, Ordering::Relaxed);
        }
        result
    }
}

/// The date of an answer, well or not.
fn date(result: &Result<Reply, Error>) -> Option<Timestamp> {
    result.as_ref().map_or_else(|error| error.date, |reply| reply.date)
}

/// What is asked of IAM while a session is being opened.
struct Iam<'a> {
    client: &'a Client,
    target: &'a Target,
    clock: &'a CloudClock,
    now: Timestamp,
}

impl Iam<'_> {
    async fn own_token(&self, request: &Request) -> Result<(Identity, String), OpenError> {
        let reply = self.ask(request, Auth::Nothing).await?;
        let facts = iam::read_token(&reply.body).map_err(|error| unreadable(request, &reply, &error.0))?;
        let project_id = self.target.project_id.clone().or(facts.project_id);
        // Two times of the same clock, where the answer has a date.
        let lifetime = Duration::try_from(facts.expires_at.duration_since(reply.date.unwrap_or(self.now))).unwrap_or_default();
        let (request_id, status) = (reply.request_id, reply.status);
        // The body is not quoted: nothing of a token's answer belongs into a message.
        let unusable = |what| Error::unreadable(request.service, Operation::Token, status, request_id.clone(), what, b"");
        let token = reply.subject_token.ok_or_else(|| unusable("the answer has no X-Subject-Token header"))?;
        // It would be renewed without a pause.
        if lifetime.is_zero() {
            return Err(unusable("the token had expired when it came; compare this machine's clock with the cloud's").into());
        }
        let project_id = project_id.ok_or(OpenError::ProjectNotFound { found: 0 })?;
        Ok((Identity::OwnToken { token, issued: Age::begin(), lifetime }, project_id))
    }

    /// Tries an identity on the list of projects. Who may not read that list, but says which project it is, is authenticated all the same.
    async fn with_project(&self, identity: Identity) -> Result<(Identity, String), OpenError> {
        let request = iam::projects(&self.target.region);
        let given = self.target.project_id.as_deref();
        let mut answer = self.ask(&request, identity.auth(given)).await;
        // A signature is refused when its time is off by more than 15 minutes. The refusal says what time it is, and reading may be repeated.
        let is_refused = answer.as_ref().is_err_and(|error| error.class == Class::Unauthenticated);
        if is_refused && matches!(identity, Identity::Keys { .. }) && self.is_skewed() {
            answer = self.ask(&request, identity.auth(given)).await;
        }
        let reply = match answer {
            Ok(reply) => reply,
            Err(error) => {
                return match given {
                    Some(project_id) if error.class == Class::Forbidden => Ok((identity, project_id.to_owned())),
                    _ => Err(error.into()),
                };
            }
        };
        if let Some(project_id) = given {
            return Ok((identity, project_id.to_owned()));
        }
        let found = iam::read_projects(&reply.body, &self.target.region).map_err(|error| unreadable(&request, &reply, &error.0))?;
        match found.as_slice() {
            [project_id] => Ok((identity, project_id.clone())),
            other => Err(OpenError::ProjectNotFound { found: other.len() }),
        }
    }

    fn is_skewed(&self) -> bool {
        self.clock.now().is_some_and(|cloud| cloud.duration_since(self.now).abs() > SIGNATURE_TOLERANCE)
    }

    async fn ask(&self, request: &Request, auth: Auth<'_>) -> Result<Reply, Error> {
        let now = self.clock.now().unwrap_or(self.now);
        let result = self.client.send(&self.target.endpoints.iam, request, auth, now, || true).await;
        self.clock.heard(date(&result));
        result
    }
}

/// How far a signature's time may be off before it can be the reason for a refusal.
const SIGNATURE_TOLERANCE: SignedDuration = SignedDuration::from_mins(5);

fn unreadable(request: &Request, reply: &Reply, what: &str) -> Error {
    let body: &[u8] = if request.operation == Operation::Token { b"" } else { &reply.body };
    Error::unreadable(request.service, request.operation, reply.status, reply.request_id.clone(), what, body)
}

#[cfg(test)]
mod tests;
