//! One verified account: signs, takes permits, sends, reads.

use super::{
    backup::{CreatedBackup, ListScope, NewBackup, RemoteBackup},
    client::Client,
    clock::CloudClock,
    codes::Class,
    endpoints::Endpoints,
    engine::{Cloud, Engine},
    errors::{Error, NotSent},
    listing::{Gap, Listing, Progress},
    login::{
        Credentials,
        identity::{Identity, Login, LoginError, Target, date, unreadable},
    },
    permits::{CallPermit, Permits, Purpose, Urgency},
    request::{Operation, Reply, Request},
};
use jiff::Timestamp;
use std::{
    hash::{BuildHasher, Hasher, RandomState},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

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

/// A service that cannot be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreached {
    /// The engine that it serves.
    pub engine: Engine,
    /// Its host.
    pub host: String,
    /// Why, in one line.
    pub why: String,
}

/// What a listing came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// What its pages showed, in the order of ids. It is true whatever the end was.
    pub backups: Vec<RemoteBackup>,
    /// Whether that is everything that there is.
    pub end: Result<(), ListError>,
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
    refused: Arc<AtomicBool>,
    /// A service has refused this session for what says nothing of another one with the same key, such as its project.
    refused_alone: AtomicBool,
    refusal: OnceLock<String>,
    clock: CloudClock,
    is_verified: bool,
    /// By how many percent its renewal comes sooner than it must: those that were opened together are not all renewed together.
    earlier: u32,
}

impl Session {
    /// Verifies an account: logs in, and looks the project up by the region's name where it is not given.
    pub async fn open(
        client: Arc<Client>,
        target: Target,
        credentials: Credentials,
        permits: Arc<Permits>,
        now: Timestamp,
    ) -> Result<Self, LoginError> {
        let clock = CloudClock::default();
        let login = Login { client: &client, target: &target, clock: &clock, now };
        let (identity, project_id) = credentials.open(&login).await?;
        Ok(Self { is_verified: true, ..Self::new(client, target, identity, project_id, permits, clock) })
    }

    /// A session that was not verified; only where nothing has to be asked of IAM, neither a token nor the project.
    pub fn unverified(client: Arc<Client>, mut target: Target, credentials: Credentials, permits: Arc<Permits>) -> Option<Self> {
        let (identity, project_id) = (credentials.without_login()?, target.project_id.take()?);
        Some(Self::new(client, target, identity, project_id, permits, CloudClock::default()))
    }

    fn new(client: Arc<Client>, target: Target, identity: Identity, project_id: String, permits: Arc<Permits>, clock: CloudClock) -> Self {
        let Target { cloud, region, endpoints, .. } = target;
        let (refused, refused_alone) = (Arc::new(AtomicBool::new(false)), AtomicBool::new(false));
        let lot = RandomState::new().build_hasher().finish();
        let earlier = u32::try_from(lot % 51).unwrap_or_default();
        let refusal = OnceLock::new();
        let is_verified = false;
        Self {
            client,
            cloud,
            region,
            endpoints,
            project_id,
            identity,
            permits,
            refused,
            refused_alone,
            refusal,
            clock,
            is_verified,
            earlier,
        }
    }

    /// Counts a refusal of a signature that another session hears as its own, and the other way round: what is signed with one key is refused to all
    /// that have it, and each would try it a few times more. A token that is refused says nothing of another.
    #[must_use]
    pub fn sharing_refusals(mut self, refused: Arc<AtomicBool>) -> Self {
        if self.identity.signs() {
            self.refused = refused;
        }
        self
    }

    /// Whether IAM accepted the credentials.
    pub fn is_verified(&self) -> bool {
        self.is_verified
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

    /// Calls a second that an engine takes with this account: what the account allows, or what the service allows each user, whichever is less.
    pub fn calls_per_second(&self, engine: Engine) -> f64 {
        let account = f64::from(self.permits.rate());
        engine.api().calls_per_minute.map_or(account, |most| account.min(f64::from(most) / 60.0))
    }

    /// In how long what it shows has to be renewed, where that has an end: with 40 minutes or a quarter of its life left, whichever is less, and up to half of
    /// that sooner.
    pub fn renew_in(&self) -> Option<Duration> {
        let life = self.identity.life()?;
        let margin = life.margin();
        Some(life.left().saturating_sub(margin + margin * self.earlier / 100))
    }

    /// In how long whoever keeps it has to look at it: when it is to be renewed, and if it could not be, a few times more in the rest of its life.
    pub fn look_in(&self) -> Option<Duration> {
        let left = self.identity.life()?.left();
        let renew_in = self.renew_in().filter(|renew_in| !renew_in.is_zero());
        renew_in.or_else(|| (!left.is_zero()).then_some(left / 4))
    }

    /// Whether it may be used: the cloud has not refused it since it was opened, and it has not come to its end.
    pub fn is_usable(&self) -> bool {
        !self.refused() && self.identity.life().is_none_or(|life| !life.left().is_zero())
    }

    /// Whether the cloud has refused its credentials since it was opened.
    pub fn refused(&self) -> bool {
        self.refused.load(Ordering::Relaxed) || self.refused_alone.load(Ordering::Relaxed)
    }

    /// In which words the cloud first refused this session, if it did.
    pub fn refusal(&self) -> Option<String> {
        self.refusal.get().cloned()
    }

    /// Whether each request shows the same credentials again, so that a login that succeeds says that this session is as good as a new one.
    pub fn shows_credentials(&self) -> bool {
        !matches!(self.identity, Identity::OwnToken { .. })
    }

    /// Which of the services cannot be reached at all, and why; in the order of their names. Nothing is asked of them, so no permit is needed.
    pub async fn unreached(&self) -> Vec<Unreached> {
        let mut unreached = Vec::new();
        for engine in Engine::all() {
            let Some(endpoint) = self.endpoints.engine(engine) else { continue };
            if let Err(why) = self.client.reach(endpoint).await {
                unreached.push(Unreached { engine, host: endpoint.host.clone(), why });
            }
        }
        unreached
    }

    /// Asks for a backup, once. The caller has its permit in hand before it decides. `check` is asked last before the socket.
    pub async fn create(
        &self,
        engine: Engine,
        new: &NewBackup,
        permit: CallPermit,
        now: Timestamp,
        check: impl FnOnce() -> bool,
    ) -> Result<CreatedBackup, Error> {
        let request = engine.service().create(&self.project_id, new);
        let reply = self.send(engine, &request, &permit, now, check).await?;
        engine.service().read_created(&reply.body).map_err(|error| unreadable(&request, &reply, &error.0))
    }

    /// Whether a service lists the project's backups: asks for a page and drops it. Only where it lists by project.
    pub async fn try_listing(&self, engine: Engine, now: Timestamp) -> Result<(), Error> {
        let purpose = Purpose { namespace: "", api: engine.api() };
        let permit = self.permits.wait(purpose, Urgency::Urgent).await.ok_or_else(|| gone(engine))?;
        let request = engine.service().list(&self.project_id, &ListScope::Project { window: None, automatic: false }, 0);
        self.send(engine, &request, &permit, now, || true).await.map(drop)
    }

    /// Reads a listing to its end on behalf of a namespace, with a permit for each page. What the pages showed before something went wrong is answered, too.
    pub async fn list(&self, engine: Engine, scope: &ListScope, urgency: Urgency, namespace: &str, now: impl Fn() -> Timestamp) -> Listed {
        let mut listing = Listing::new(engine.api().page_size);
        let permits = || self.permits.wait(Purpose { namespace, api: engine.api() }, urgency);
        // Thousands may wait here at once: what is needed to read pages is made only when it is their turn.
        let failed = match permits().await {
            Some(first) => Box::pin(self.read_pages(engine, scope, first, permits, now, &mut listing)).await,
            None => Err(gone(engine)),
        };
        let (backups, gap) = listing.into_parts();
        let end = match (failed, gap) {
            (Err(error), _) => Err(ListError::Cloud(error)),
            (Ok(()), Some(gap)) => Err(ListError::Incomplete(gap)),
            (Ok(()), None) => Ok(()),
        };
        Listed { backups, end }
    }

    async fn read_pages<P: Future<Output = Option<CallPermit>>>(
        &self,
        engine: Engine,
        scope: &ListScope,
        mut permit: CallPermit,
        permits: impl Fn() -> P,
        now: impl Fn() -> Timestamp,
        listing: &mut Listing,
    ) -> Result<(), Error> {
        let service = engine.service();
        let mut offset = 0;
        loop {
            let request = service.list(&self.project_id, scope, offset);
            let reply = self.send(engine, &request, &permit, now(), || true).await?;
            let page = service.read_page(reply.status, &reply.body).map_err(|error| unreadable(&request, &reply, &error.0))?;
            match listing.take(page.asked_for(scope)) {
                Progress::More(next) => offset = next,
                Progress::End => return Ok(()),
            }
            // Given back first: one that is waited for must not be in the way of itself.
            drop(permit);
            permit = permits().await.ok_or_else(|| gone(engine))?;
        }
    }

    /// Asks for a backup's deletion. `check` is asked last before the socket. The services take their time: that it is gone, only a listing says.
    pub async fn delete(
        &self,
        engine: Engine,
        (instance_id, backup_id): (&str, &str),
        permit: CallPermit,
        now: Timestamp,
        check: impl FnOnce() -> bool,
    ) -> Result<(), Error> {
        let Some(request) = engine.service().delete(&self.project_id, instance_id, backup_id) else {
            let message = format!("the API of {} has no delete", engine.as_str());
            return Err(Error::not_sent(engine.api(), Operation::Delete, NotSent::Unsupported, message));
        };
        self.send(engine, &request, &permit, now, check).await.map(|_| ())
    }

    /// Makes a call while its permit is held. A service that wants to be left alone for a while is, whoever asks.
    async fn send(
        &self,
        engine: Engine,
        request: &Request,
        _permit: &CallPermit,
        now: Timestamp,
        check: impl FnOnce() -> bool,
    ) -> Result<Reply, Error> {
        let Some(endpoint) = self.endpoints.engine(engine) else {
            let message = format!(
                "the endpoint table has no {} in region {}: use a ClusterCloudAccount with endpoints",
                engine.as_str(),
                self.region
            );
            return Err(Error::not_sent(request.api, request.operation, NotSent::Misconfigured, message));
        };
        // The account is being verified again. Whoever signs wrongly a few times more locks the key.
        if self.refused() {
            let message = "the cloud has refused the credentials, which are verified again";
            return Err(Error::not_sent(request.api, request.operation, NotSent::Cancelled, message));
        }
        // Signatures carry a time, which the cloud compares with its own.
        let now = self.cloud_now().unwrap_or(now);
        let result = self.client.send(endpoint, request, self.identity.auth(Some(&self.project_id)), now, check).await;
        self.clock.heard(date(&result));
        if let Err(error) = &result {
            self.heed(error);
        }
        result
    }

    /// What an error means for every call to come.
    fn heed(&self, error: &Error) {
        match (error.class(), error.retry_after()) {
            (Class::Unauthenticated, _) => {
                self.refusal.get_or_init(|| error.to_string());
                let refused = if is_about_a_signature(error) { &self.refused } else { &self.refused_alone };
                refused.store(true, Ordering::Relaxed);
            }
            (Class::Throttled | Class::Unavailable, Some(pause)) => self.permits.pause(error.api.label, pause),
            _ => {}
        }
    }
}

/// Whether credentials were refused by what checks signatures: the gateway, which says 401. What a service says in its own words (that the project is not the
/// caller's, for example) came behind that.
fn is_about_a_signature(error: &Error) -> bool {
    error.status() == Some(401) && error.code().is_none_or(|code| code.starts_with("APIG"))
}

/// What a listing comes to that waited for its turn when the account went.
fn gone(engine: Engine) -> Error {
    Error::not_sent(engine.api(), Operation::List, NotSent::Cancelled, "the account was deleted or made anew meanwhile")
}

#[cfg(test)]
mod tests;
