//! By the password of an IAM user (`POST /v3/auth/tokens`): it is traded for a token, which is renewed before it expires.

use super::{
    identity::{Identity, Login, LoginError, unreadable},
    secret::{SecretInvalid, Values, line},
};
use crate::cloud::{client::Auth, clock::Age, errors::Error, iam};
use secrecy::SecretString;
use std::time::Duration;

/// An IAM user.
#[derive(Clone, Debug)]
pub struct Password {
    /// The account (domain) that the user belongs to.
    pub domain_name: String,
    /// The user's name.
    pub username: String,
    /// The user's password.
    pub password: SecretString,
}

impl Password {
    /// From the keys `domainName`, `username` and `password` of a Secret.
    pub fn read(values: &Values) -> Result<Self, SecretInvalid> {
        Ok(Self {
            domain_name: line(values, "domainName")?,
            username: line(values, "username")?,
            password: SecretString::from(line(values, "password")?),
        })
    }

    /// Trades it for a token, whose answer says which project it is for.
    pub(super) async fn open(self, login: &Login<'_>) -> Result<(Identity, String), LoginError> {
        let target = login.target;
        let request = iam::token(&self.domain_name, &self.username, &self.password, target.project_id.as_deref(), &target.region);
        let reply = login.ask(&request, Auth::Nothing).await?;
        let facts = iam::read_token(&reply.body).map_err(|error| unreadable(&request, &reply, &error.0))?;
        let project_id = target.project_id.clone().or(facts.project_id);
        // Two times of the same clock, where the answer has a date.
        let lifetime = Duration::try_from(facts.expires_at.duration_since(reply.date.unwrap_or(login.now))).unwrap_or_default();
        let (request_id, status) = (reply.request_id, reply.status);
        let unusable = |what| Error::unreadable(&request, status, request_id.clone(), what, b"");
        let token = reply.subject_token.ok_or_else(|| unusable("the answer has no X-Subject-Token header"))?;
        // It would be renewed without a pause.
        if lifetime.is_zero() {
            return Err(unusable("the token had expired when it came; compare this machine's clock with the cloud's").into());
        }
        let project_id = project_id.ok_or(LoginError::ProjectNotFound { found: 0 })?;
        Ok((Identity::OwnToken { token, issued: Age::begin(), lifetime }, project_id))
    }
}
