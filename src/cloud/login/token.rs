//! By an IAM token that somebody else keeps fresh.

use super::{
    identity::{Identity, Login, LoginError},
    secret::{SecretInvalid, Values, header},
};
use secrecy::SecretString;

/// An IAM token.
#[derive(Clone, Debug)]
pub struct Token {
    /// The token.
    pub token: SecretString,
}

impl Token {
    /// From the key `token` of a Secret.
    pub fn read(values: &Values) -> Result<Self, SecretInvalid> {
        Ok(Self { token: SecretString::from(header(values, "token")?) })
    }

    /// Tries the token on the list of projects.
    pub(super) async fn open(self, login: &Login<'_>) -> Result<(Identity, String), LoginError> {
        login.find_project(Identity::GivenToken(self.token)).await
    }
}
