//! The verification of an account: its Secret, its endpoints, its credentials and its project.

use super::{
    accounts::{AccountKey, Held},
    context::Context,
};
use crate::{
    api::{
        account::{AccountCredentials, AllowedNamespaces, CloudAccount, CloudAccountStatus, ClusterCloudAccount, NamespacesFrom},
        backup::AccountKind,
    },
    cloud::{
        endpoints::{EndpointError, Endpoints, Overrides},
        engine::Cloud,
        login::{
            Credentials,
            access_key::AccessKey,
            identity::{LoginError, Target},
            password::Password,
            secret::SecretInvalid,
            token::Token,
        },
        permits::Permits,
        session::Session,
    },
    plan::{
        account::{AccountError, AccountReason, Verification},
        place::Project,
    },
};
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::{
    Api, Resource, ResourceExt,
    core::{Selector, SelectorExt},
};
use serde::{Serialize, de::DeserializeOwned};
use std::{collections::BTreeMap, fmt::Debug, sync::Arc};

/// One of the two kinds of account.
pub trait AccountObject: Resource<DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Which.
    const KIND: AccountKind;
    /// What both kinds have.
    fn facts(&self) -> Facts;
    /// The same object with another status.
    #[must_use]
    fn with_status(&self, status: CloudAccountStatus) -> Self;
    /// Where it is written.
    fn api(&self, ctx: &Context) -> Api<Self>;
    /// Which account it is.
    fn key(&self) -> AccountKey {
        AccountKey { kind: Self::KIND, namespace: self.namespace(), name: self.name_any() }
    }
}

/// What both kinds of account have.
pub struct Facts {
    /// UID and generation: whatever is held of the account is good for these only.
    pub version: String,
    /// Generation of the spec.
    pub generation: Option<i64>,
    /// Namespace of its Secrets; absent: the operator's `--cluster-resource-namespace`.
    pub namespace: Option<String>,
    /// The cloud.
    pub cloud: Cloud,
    /// The region.
    pub region: String,
    /// The project, if it is given.
    pub project_id: Option<String>,
    /// Who asks.
    pub credentials: AccountCredentials,
    /// Requests a second.
    pub rate: u32,
    /// Which namespaces may use it; absent: its own.
    pub allowed: Option<AllowedNamespaces>,
    /// Other addresses than the table's.
    pub endpoints: Overrides,
    /// What was written last.
    pub status: Option<CloudAccountStatus>,
}

fn rate(per_second: i32) -> u32 {
    u32::try_from(per_second).unwrap_or(1).max(1)
}

fn version(object: &impl ResourceExt) -> String {
    format!("{}/{}", object.uid().unwrap_or_default(), object.meta().generation.unwrap_or_default())
}

impl AccountObject for CloudAccount {
    const KIND: AccountKind = AccountKind::CloudAccount;

    fn facts(&self) -> Facts {
        let spec = self.spec.clone();
        Facts {
            version: version(self),
            generation: self.metadata.generation,
            namespace: self.namespace(),
            cloud: spec.cloud,
            region: spec.region,
            project_id: spec.project_id,
            credentials: spec.credentials,
            rate: rate(spec.max_requests_per_second),
            allowed: None,
            endpoints: Overrides::default(),
            status: self.status.clone(),
        }
    }

    fn with_status(&self, status: CloudAccountStatus) -> Self {
        Self { status: Some(status), ..self.clone() }
    }

    fn api(&self, ctx: &Context) -> Api<Self> {
        Api::namespaced(ctx.client.clone(), &self.namespace().unwrap_or_default())
    }
}

impl AccountObject for ClusterCloudAccount {
    const KIND: AccountKind = AccountKind::ClusterCloudAccount;

    fn facts(&self) -> Facts {
        let spec = self.spec.clone();
        Facts {
            version: version(self),
            generation: self.metadata.generation,
            namespace: None,
            cloud: spec.cloud,
            region: spec.region,
            project_id: spec.project_id,
            credentials: spec.credentials,
            rate: rate(spec.max_requests_per_second),
            allowed: Some(spec.allowed_namespaces),
            endpoints: spec.endpoints.unwrap_or_default(),
            status: self.status.clone(),
        }
    }

    fn with_status(&self, status: CloudAccountStatus) -> Self {
        Self { status: Some(status), ..self.clone() }
    }

    fn api(&self, ctx: &Context) -> Api<Self> {
        Api::all(ctx.client.clone())
    }
}

/// What a verification came to.
pub(super) struct Verified {
    /// For status and backups.
    pub verification: Verification,
    /// Open, if the account is ready.
    pub session: Option<Arc<Session>>,
    /// What the session was opened with, or refused with.
    pub opened_with: Option<String>,
    /// The cloud was asked.
    pub asked: bool,
}

/// Verifies an account. A session stays open while the account, its Secret and the cloud's good will stay the same; a refusal is not tried again
/// with the same Secret before its delay is over, since clouds lock keys after a few wrong signatures.
pub(super) async fn verify(ctx: &Context, facts: &Facts, held: &Held, permits: Arc<Permits>) -> Verified {
    let (target, credentials, opened_with) = match prepared(ctx, facts).await {
        Ok(prepared) => prepared,
        Err(error) => return Verified { verification: Err(error), session: None, opened_with: None, asked: false },
    };
    if held.opened_with.as_ref() == Some(&opened_with)
        && let Some(verified) = unchanged(ctx, held)
    {
        return verified;
    }
    let opened = Session::open(ctx.cloud.clone(), target, credentials, permits, ctx.clock.now().wall).await;
    let verification = opened.as_ref().map(project).map_err(|error| failed(facts, error).unless_as(held.verification.as_ref()));
    Verified { verification, session: opened.ok().map(Arc::new), opened_with: Some(opened_with), asked: true }
}

/// What is held, if it is still good, or if it has to stay bad for a while.
fn unchanged(ctx: &Context, held: &Held) -> Option<Verified> {
    let session = held.session.clone().filter(|session| is_good(session));
    let verification = match (&session, &held.verification) {
        (Some(session), _) => Ok(project(session)),
        (None, Some(Err(error))) if held.memory.must_wait(ctx.clock.now()) => Err(error.clone()),
        _ => return None,
    };
    Some(Verified { verification, session, opened_with: held.opened_with.clone(), asked: false })
}

fn is_good(session: &Session) -> bool {
    !session.refused() && session.renew_in().is_none_or(|left| !left.is_zero())
}

fn project(session: &Session) -> Project {
    Project { cloud: session.cloud(), region: session.region().to_owned(), project_id: session.project_id().to_owned() }
}

/// Reads one kind of credentials from a Secret's values.
type Reader = fn(&BTreeMap<String, Vec<u8>>) -> Result<Credentials, SecretInvalid>;

/// Everything that is needed before the cloud is asked, and a line that changes whenever any of it does.
async fn prepared(ctx: &Context, facts: &Facts) -> Result<(Target, Credentials, String), AccountError> {
    let endpoints = Endpoints::resolve(facts.cloud, &facts.region, &facts.endpoints, ctx.options.allow_insecure_endpoints)
        .map_err(|error| unusable(&error))?;
    let (reference, read): (_, Reader) = match &facts.credentials {
        AccountCredentials { password_secret_ref: Some(reference), .. } => {
            (reference, |values| Password::read(values).map(Credentials::Password))
        }
        AccountCredentials { access_key_secret_ref: Some(reference), .. } => {
            (reference, |values| AccessKey::read(values).map(Credentials::AccessKey))
        }
        AccountCredentials { token_secret_ref: Some(reference), .. } => (reference, |values| Token::read(values).map(Credentials::Token)),
        AccountCredentials { .. } => {
            return Err(AccountError::new(AccountReason::SecretInvalid, "spec.credentials is empty: set one of its fields"));
        }
    };
    let namespace = facts.namespace.as_deref().unwrap_or(&ctx.options.cluster_resource_namespace);
    let secret = secret(ctx, namespace, &reference.name).await?;
    let opened_with = format!("{} {}/{}", facts.version, secret.uid().unwrap_or_default(), secret.resource_version().unwrap_or_default());
    let values = secret.data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.0)).collect();
    let credentials = read(&values)
        .map_err(|error| AccountError::new(AccountReason::SecretInvalid, format!("Secret {namespace}/{}: {error}", reference.name)))?;
    let target = Target { cloud: facts.cloud, region: facts.region.clone(), project_id: facts.project_id.clone(), endpoints };
    Ok((target, credentials, opened_with))
}

async fn secret(ctx: &Context, namespace: &str, name: &str) -> Result<Secret, AccountError> {
    match Api::<Secret>::namespaced(ctx.client.clone(), namespace).get(name).await {
        Ok(secret) => Ok(secret),
        Err(kube::Error::Api(refused)) if refused.is_not_found() => {
            Err(AccountError::new(AccountReason::SecretNotFound, format!("there is no Secret {namespace}/{name}: create it")))
        }
        Err(kube::Error::Api(refused)) if refused.is_forbidden() => Err(AccountError::new(
            AccountReason::SecretForbidden,
            format!("the operator may not read Secret {namespace}/{name}: grant its ServiceAccount \"get\" on it"),
        )),
        Err(error) => {
            tracing::warn!(%error, namespace, name, "a Secret could not be read");
            let message = format!("the Kubernetes API did not give Secret {namespace}/{name}; it is read again");
            Err(AccountError::new(AccountReason::SecretUnavailable, message))
        }
    }
}

fn unusable(error: &EndpointError) -> AccountError {
    let reason = match error {
        EndpointError::Insecure { .. } => AccountReason::EndpointInsecure,
        _ => AccountReason::EndpointMisconfigured,
    };
    AccountError::new(reason, error.to_string())
}

fn failed(facts: &Facts, error: &LoginError) -> AccountError {
    match error {
        LoginError::Cloud(error) => AccountError::from(error),
        LoginError::ProjectNotFound { found } => {
            let message = format!("IAM knows {found} projects named {} for these credentials: set spec.projectId", facts.region);
            AccountError::new(AccountReason::ProjectNotFound, message)
        }
    }
}

/// Whether a cluster account allows a namespace. The namespace is read for its labels, and only where they matter.
pub(super) async fn allows(ctx: &Context, rule: &AllowedNamespaces, namespace: &str) -> Result<bool, kube::Error> {
    let selector = match (rule.from, &rule.selector) {
        (NamespacesFrom::All, _) => return Ok(true),
        (NamespacesFrom::Selector, None) => return Ok(false),
        (NamespacesFrom::Selector, Some(selector)) => selector,
    };
    // The API server has checked the selector's form; one that cannot be read allows nobody.
    let Ok(selector) = Selector::try_from(selector.clone()) else { return Ok(false) };
    let found = Api::<Namespace>::all(ctx.client.clone()).get_opt(namespace).await?;
    Ok(found.is_some_and(|namespace| selector.matches(namespace.labels())))
}
