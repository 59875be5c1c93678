//! By an access key: every request is signed with it (`SDK-HMAC-SHA256`, see [`crate::cloud::sign`]).

use super::{
    identity::{Identity, Login, LoginError},
    secret::{SecretInvalid, Values, header, line},
};
use crate::cloud::{client::agents::TemporaryKeys, clock::Life};
use secrecy::SecretString;

/// An access key.
#[derive(Clone, Debug)]
pub struct AccessKey {
    /// The access key (AK).
    pub access_key: String,
    /// The secret key (SK).
    pub secret_key: SecretString,
    /// With temporary keys.
    pub security_token: Option<SecretString>,
    /// How long it is good, where whoever gave it said so.
    pub life: Option<Life>,
}

impl AccessKey {
    /// From the keys `accessKey`, `secretKey` and, for temporary keys, `securityToken` of a Secret.
    pub fn read(values: &Values) -> Result<Self, SecretInvalid> {
        let security_token = values.contains_key("securityToken").then(|| header(values, "securityToken")).transpose()?;
        Ok(Self {
            access_key: header(values, "accessKey")?,
            secret_key: SecretString::from(line(values, "secretKey")?),
            security_token: security_token.map(SecretString::from),
            // A Secret does not say.
            life: None,
        })
    }

    /// Tries the key on the list of projects.
    pub(super) async fn open(self, login: &Login<'_>) -> Result<(Identity, String), LoginError> {
        login.find_project(self.into()).await
    }
}

impl From<TemporaryKeys> for AccessKey {
    fn from(TemporaryKeys { access_key, secret_key, security_token, life }: TemporaryKeys) -> Self {
        Self { access_key, secret_key, security_token: Some(security_token), life: Some(life) }
    }
}

impl From<AccessKey> for Identity {
    fn from(AccessKey { access_key, secret_key, security_token, life }: AccessKey) -> Self {
        Self::Keys { access_key, secret_key, security_token, life }
    }
}
