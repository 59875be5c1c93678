//! From an agency of the machine that the operator runs on: the node's, or the one that is associated with the operator's Pod.

use super::obtained::{Obtained, Sources};
use crate::{
    api::backup::AccountKind,
    cloud::{
        client::agents::{AgentError, PodAgent, TemporaryKeys},
        login::Credentials,
    },
    plan::account::{AccountError, AccountReason},
};
use secrecy::SecretString;

/// Obtains the keys of the node's agency.
pub(super) async fn of_instance(sources: Sources<'_>) -> Result<Obtained, AccountError> {
    for_cluster_accounts(sources.kind, "instanceAgency")?;
    let metadata = &sources.agencies.metadata_endpoint;
    let keys = sources.agents.keys_of_instance(metadata, sources.now).await;
    keys.map(obtained).map_err(|error| match error {
        AgentError::Unreachable(why) => AccountError::new(
            AccountReason::AgencyUnavailable,
            format!(
                "the node's metadata service at {metadata} cannot be reached ({why}): let the operator's Pod reach it, or use other credentials"
            ),
        ),
        AgentError::NoAgency => {
            AccountError::new(AccountReason::AgencyNotFound, "the node has no agency: assign one for cloud services to it, or use other credentials")
        }
        AgentError::Unusable(what) => AccountError::new(
            AccountReason::AgencyUnavailable,
            format!("the node's metadata service at {metadata} gives no keys: it answered with {what}"),
        ),
    })
}

/// Obtains the keys of the agency that is associated with the operator's Pod.
pub(super) async fn of_pod(sources: Sources<'_>) -> Result<Obtained, AccountError> {
    for_cluster_accounts(sources.kind, "podIdentity")?;
    let unavailable = |message: String| AccountError::new(AccountReason::AgencyUnavailable, message);
    let Some(PodAgent { uri, token_file }) = &sources.agencies.pod else {
        return Err(AccountError::new(
            AccountReason::AgencyNotFound,
            "CCE Pod Identity has put no agent into the operator's Pod: associate an agency with its ServiceAccount, and restart it",
        ));
    };
    // It is renewed in place, so it is read each time.
    let token = std::fs::read_to_string(token_file)
        .map_err(|error| unavailable(format!("the token of CCE Pod Identity at {} cannot be read: {error}", token_file.display())))?;
    let keys = sources.agents.keys_of_pod(uri, &SecretString::from(token), sources.now).await;
    keys.map(obtained).map_err(|error| match error {
        AgentError::Unreachable(why) => unavailable(format!("the agent of CCE Pod Identity at {uri} cannot be reached: {why}")),
        AgentError::NoAgency => {
            AccountError::new(AccountReason::AgencyNotFound, "the agent of CCE Pod Identity has no agency for the operator's Pod")
        }
        AgentError::Unusable(what) => unavailable(format!("the agent of CCE Pod Identity at {uri} gives no keys: it answered with {what}")),
    })
}

/// The API server refuses it for the namespaced kind; where an older definition is served, it is refused here. Whoever may write such an account may not have
/// the operator's own rights.
fn for_cluster_accounts(kind: AccountKind, field: &str) -> Result<(), AccountError> {
    match kind {
        AccountKind::ClusterCloudAccount => Ok(()),
        AccountKind::CloudAccount => Err(AccountError::new(
            AccountReason::AgencyNotFound,
            format!("credentials.{field} is for ClusterCloudAccounts: name other credentials"),
        )),
    }
}

/// The keys change whenever they are renewed, and only then.
fn obtained(keys: TemporaryKeys) -> Obtained {
    Obtained { version: keys.access_key.clone(), credentials: Credentials::AccessKey(keys.into()), blank_edges: Vec::new() }
}
