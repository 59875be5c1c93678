//! By the password of an IAM user (`POST /v3/auth/tokens`): it is traded for a token, which is renewed before it expires.

use super::{
    identity::{Identity, Login, LoginError},
    secret::{SecretInvalid, Values, line},
};
use crate::cloud::iam;
use secrecy::SecretString;

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

    /// Trades it for a token.
    pub(super) async fn open(self, login: &Login<'_>) -> Result<(Identity, String), LoginError> {
        let target = login.target;
        login.trade(&iam::token(&self.domain_name, &self.username, &self.password, target.project_id.as_deref(), &target.region)).await
    }
}
