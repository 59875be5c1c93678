//! What every way to log in needs of IAM, and what it ends in.

use crate::cloud::{
    client::{Auth, Client},
    clock::{CloudClock, Life},
    codes::Class,
    endpoints::Endpoints,
    engine::Cloud,
    errors::Error,
    iam,
    request::{Reply, Request},
};
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use std::time::Duration;

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

/// Why nobody could log in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
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

impl LoginError {
    /// How long the cloud wants to be left alone.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Cloud(error) => error.retry_after(),
            Self::ProjectNotFound { .. } => None,
        }
    }
}

/// How requests are authenticated once somebody has logged in. No `Debug`: it holds secrets.
pub enum Identity {
    /// A token of its own.
    OwnToken {
        /// The token.
        token: SecretString,
        /// How long it is good.
        life: Life,
    },
    /// A token that somebody else keeps fresh.
    GivenToken(SecretString),
    /// Keys.
    Keys {
        /// The access key.
        access_key: String,
        /// The secret key.
        secret_key: SecretString,
        /// With temporary keys.
        security_token: Option<SecretString>,
        /// How long they are good, where whoever gave them said so.
        life: Option<Life>,
    },
}

impl Identity {
    /// How long it is good, where that is known.
    pub fn life(&self) -> Option<&Life> {
        match self {
            Self::OwnToken { life, .. } => Some(life),
            Self::GivenToken(_) => None,
            Self::Keys { life, .. } => life.as_ref(),
        }
    }

    /// Whether requests are signed with it. Clouds lock a key after a few wrong signatures; they lock nobody for a wrong token.
    pub fn signs(&self) -> bool {
        matches!(self, Self::Keys { .. })
    }

    /// How a request is authenticated with it; `project_id` once it is known.
    pub fn auth<'a>(&'a self, project_id: Option<&'a str>) -> Auth<'a> {
        match self {
            Self::OwnToken { token, .. } | Self::GivenToken(token) => Auth::Token(token),
            Self::Keys { access_key, secret_key, security_token, .. } => {
                Auth::Keys { access_key, secret_key, security_token: security_token.as_ref(), project_id }
            }
        }
    }
}

/// A login that is under way, and what it asks of IAM.
pub struct Login<'a> {
    /// Sends.
    pub client: &'a Client,
    /// Where the account points.
    pub target: &'a Target,
    /// Hears the dates of the answers.
    pub clock: &'a CloudClock,
    /// Now, by the wall clock.
    pub now: Timestamp,
}

impl Login<'_> {
    /// Tries an identity on the projects that it may use, and finds the region's where none is given. Some credentials are refused that list, or it lacks the
    /// project: then the account's projects of that name are asked for. Who may read neither, but says which project it is, is authenticated all the same.
    pub async fn find_project(&self, identity: Identity) -> Result<(Identity, String), LoginError> {
        let given = self.target.project_id.clone();
        let mut missing = None;
        for request in [iam::own_projects(), iam::projects(&self.target.region)] {
            match (self.projects(&request, &identity).await, &given) {
                (Ok(_), Some(project_id)) => return Ok((identity, project_id.clone())),
                (Err(LoginError::Cloud(error)), Some(project_id)) if error.class() == Class::Forbidden => {
                    return Ok((identity, project_id.clone()));
                }
                (Ok(found), None) => match found.as_slice() {
                    [project_id] => return Ok((identity, project_id.clone())),
                    [] => missing = Some(LoginError::ProjectNotFound { found: 0 }),
                    several => return Err(LoginError::ProjectNotFound { found: several.len() }),
                },
                // It says nothing of the credentials. That the project is not among those that were listed says more.
                (Err(LoginError::Cloud(error)), _) if matches!(error.class(), Class::Forbidden | Class::Misconfigured) => {
                    missing.get_or_insert(LoginError::Cloud(error));
                }
                (Err(error), _) => return Err(error),
            }
        }
        Err(missing.unwrap_or(LoginError::ProjectNotFound { found: 0 }))
    }

    /// The projects of the region's name that an answer lists.
    async fn projects(&self, request: &Request, identity: &Identity) -> Result<Vec<String>, LoginError> {
        let auth = || identity.auth(self.target.project_id.as_deref());
        let mut answer = self.ask(request, auth()).await;
        // A signature is refused when its time is off by more than 15 minutes. The refusal says what time it is, and reading may be repeated.
        let is_refused = answer.as_ref().is_err_and(|error| error.class() == Class::Unauthenticated);
        if is_refused && matches!(identity, Identity::Keys { .. }) && self.is_skewed() {
            answer = self.ask(request, auth()).await;
        }
        let reply = answer?;
        iam::read_projects(&reply.body, &self.target.region).map_err(|error| unreadable(request, &reply, &error.0).into())
    }

    /// Trades something for a token, whose answer says which project it is for.
    pub async fn trade(&self, request: &Request) -> Result<(Identity, String), LoginError> {
        let reply = self.ask(request, Auth::Nothing).await?;
        let facts = iam::read_token(&reply.body).map_err(|error| unreadable(request, &reply, &error.0))?;
        let project_id = self.target.project_id.clone().or(facts.project_id);
        // Two times of the same clock, where the answer has a date.
        let life = Life::until(facts.expires_at, reply.date.unwrap_or(self.now));
        let (request_id, status) = (reply.request_id, reply.status);
        let unusable = |what| Error::unreadable(request, status, request_id.clone(), what, b"");
        let token = reply.subject_token.ok_or_else(|| unusable("the answer has no X-Subject-Token header"))?;
        // It would be renewed without a pause.
        let life = life.ok_or_else(|| unusable("the token had expired when it came; compare this machine's clock with the cloud's"))?;
        let project_id = project_id.ok_or(LoginError::ProjectNotFound { found: 0 })?;
        Ok((Identity::OwnToken { token, life }, project_id))
    }

    fn is_skewed(&self) -> bool {
        self.clock.now().is_some_and(|cloud| cloud.duration_since(self.now).abs() > SIGNATURE_TOLERANCE)
    }

    /// Asks IAM.
    pub async fn ask(&self, request: &Request, auth: Auth<'_>) -> Result<Reply, Error> {
        let now = self.clock.now().unwrap_or(self.now);
        let result = self.client.send(&self.target.endpoints.iam, request, auth, now, || true).await;
        self.clock.heard(date(&result));
        result
    }
}

/// How far a signature's time may be off before it can be the reason for a refusal.
const SIGNATURE_TOLERANCE: SignedDuration = SignedDuration::from_mins(5);

/// The error for a reply that cannot be used.
pub fn unreadable(request: &Request, reply: &Reply, what: &str) -> Error {
    Error::unreadable(request, reply.status, reply.request_id.clone(), what, &reply.body)
}

/// The date of an answer, well or not.
pub fn date(result: &Result<Reply, Error>) -> Option<Timestamp> {
    result.as_ref().map_or_else(Error::date, |reply| reply.date)
}
