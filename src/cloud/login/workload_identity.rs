//! By the token of a ServiceAccount (`POST /v3.0/OS-AUTH/id-token/tokens`, Open Telekom Cloud's page "Obtaining a Token with an OpenID Connect ID Token"): IAM
//! knows the cluster as an identity provider, checks the token with the cluster's public keys, and gives one of its own.

use super::identity::{Identity, Login, LoginError};
use crate::cloud::iam;
use secrecy::SecretString;

/// A ServiceAccount, and a fresh token of it.
#[derive(Clone, Debug)]
pub struct WorkloadIdentity {
    /// The identity provider at IAM.
    pub identity_provider: String,
    /// Whom the token is for.
    pub audience: String,
    /// Whose token it is, as IAM sees it: `system:serviceaccount:<namespace>:<name>`.
    pub subject: String,
    /// The token, which lives for some minutes.
    pub id_token: SecretString,
}

impl WorkloadIdentity {
    /// Trades it for a token of IAM.
    pub(super) async fn open(self, login: &Login<'_>) -> Result<(Identity, String), LoginError> {
        let target = login.target;
        login.trade(&iam::token_of_id_token(&self.identity_provider, &self.id_token, target.project_id.as_deref(), &target.region)).await
    }
}
