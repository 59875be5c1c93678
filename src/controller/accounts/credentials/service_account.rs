//! From a ServiceAccount: Kubernetes is asked for a token of it (`TokenRequest`), which IAM takes in trade.

use super::obtained::Obtained;
use crate::{
    api::account::WorkloadIdentity,
    cloud::login::{self, Credentials},
    controller::api_error::explained,
    plan::account::{AccountError, AccountReason},
};
use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec, TokenRequestStatus},
    core::v1::ServiceAccount,
};
use kube::{Api, Client, api::PostParams};
use secrecy::SecretString;

/// The shortest life that the Kubernetes API gives a token. It is traded at once.
const TOKEN_SECONDS: i64 = 600;

/// Obtains a token of the ServiceAccount that an account names, for the audience that it names.
pub(super) async fn obtain(client: &Client, namespace: &str, named: &WorkloadIdentity) -> Result<Obtained, AccountError> {
    let WorkloadIdentity { identity_provider, service_account_name: name, audience } = named;
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
    // A token of which the API server chooses the audiences is for itself. Its answer names them; the token is dropped unread.
    let own = request(&accounts, namespace, name, Vec::new()).await?.spec.audiences;
    if own.contains(audience) {
        let message = format!(
            "audience {audience} is one of the Kubernetes API itself, which would accept the token: write the client id of the identity provider"
        );
        return Err(AccountError::new(AccountReason::AudienceNotAllowed, message));
    }
    let answer = request(&accounts, namespace, name, vec![audience.clone()]).await?;
    let token = answer.status.map(|status: TokenRequestStatus| status.token).unwrap_or_default();
    let identity = login::workload_identity::WorkloadIdentity {
        identity_provider: identity_provider.clone(),
        audience: audience.clone(),
        subject: format!("system:serviceaccount:{namespace}:{name}"),
        id_token: SecretString::from(token),
    };
    // Its tokens come and go; which ServiceAccount they are of, the account's own generation says.
    Ok(Obtained { credentials: Credentials::WorkloadIdentity(identity), version: name.clone(), blank_edges: Vec::new() })
}

async fn request(
    accounts: &Api<ServiceAccount>,
    namespace: &str,
    name: &str,
    audiences: Vec<String>,
) -> Result<TokenRequest, AccountError> {
    let spec = TokenRequestSpec { audiences, expiration_seconds: Some(TOKEN_SECONDS), ..TokenRequestSpec::default() };
    let request = TokenRequest { spec, ..TokenRequest::default() };
    accounts.create_token_request(name, &PostParams::default(), &request).await.map_err(|error| failed(namespace, name, &error))
}

fn failed(namespace: &str, name: &str, error: &kube::Error) -> AccountError {
    match error {
        kube::Error::Api(refused) if refused.is_not_found() => {
            AccountError::new(AccountReason::ServiceAccountNotFound, format!("there is no ServiceAccount {namespace}/{name}: create it"))
        }
        kube::Error::Api(refused) if refused.is_forbidden() => AccountError::new(
            AccountReason::ServiceAccountForbidden,
            format!(
                "the operator may not ask for tokens of ServiceAccount {namespace}/{name}: add it to the chart's workloadIdentity.serviceAccounts"
            ),
        ),
        error => {
            tracing::warn!(error = explained(error), namespace, name, "no token of a ServiceAccount could be had");
            let message = format!("the Kubernetes API gave no token of ServiceAccount {namespace}/{name}; it is asked again");
            AccountError::new(AccountReason::ServiceAccountUnavailable, message)
        }
    }
}
