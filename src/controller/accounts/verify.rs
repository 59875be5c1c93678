//! One verification of an account: its endpoints, its credentials, the login and the project.

use super::{
    credentials::{self, Obtained},
    kinds::AccountObject,
};
use crate::{
    cloud::{
        endpoints::{EndpointError, Endpoints},
        login::{
            Credentials,
            identity::{LoginError, Target},
        },
        permits::Permits,
        session::Session,
    },
    controller::{context::Context, store::accounts::Held},
    plan::{
        account::{AccountError, AccountReason, Verification},
        place::Project,
    },
};
use kube::ResourceExt;
use std::sync::Arc;

/// What a verification came to.
pub struct Verified {
    /// For status and backups.
    pub verification: Verification,
    /// Open, if the account is ready.
    pub session: Option<Arc<Session>>,
    /// What the session was opened with, or refused with.
    pub opened_with: Option<String>,
    /// The cloud was asked.
    pub asked: bool,
}

/// Verifies an account. A session stays open while the account, its credentials and the cloud's good will stay the same; a refusal is not tried again
/// with the same credentials before its delay is over, since clouds lock keys after a few wrong signatures.
pub async fn verify<K: AccountObject>(ctx: &Context, account: &K, held: &Held, permits: Arc<Permits>) -> Verified {
    let (target, credentials, opened_with) = match prepared(ctx, account).await {
        Ok(prepared) => prepared,
        Err(error) => return Verified { verification: Err(error), session: None, opened_with: None, asked: false },
    };
    if held.opened_with.as_ref() == Some(&opened_with)
        && let Some(verified) = unchanged(ctx, held)
    {
        return verified;
    }
    let region = target.region.clone();
    let opened = Session::open(ctx.cloud.clone(), target, credentials, permits, ctx.now().wall).await;
    let verification = opened.as_ref().map(project).map_err(|error| failed(&region, error).unless_as(held.verification.as_ref()));
    Verified { verification, session: opened.ok().map(Arc::new), opened_with: Some(opened_with), asked: true }
}

/// What is held, if it is still good, or if it has to stay bad for a while.
fn unchanged(ctx: &Context, held: &Held) -> Option<Verified> {
    let session = held.session.clone().filter(|session| is_good(session));
    let verification = match (&session, &held.verification) {
        (Some(session), _) => Ok(project(session)),
        (None, Some(Err(error))) if held.memory.must_wait(ctx.now()) => Err(error.clone()),
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

/// Everything that is needed before the cloud is asked, and a line that changes whenever any of it does.
async fn prepared<K: AccountObject>(ctx: &Context, account: &K) -> Result<(Target, Credentials, String), AccountError> {
    let spec = account.spec();
    let endpoints = Endpoints::resolve(spec.cloud, &spec.region, &account.endpoints(), ctx.options.allow_insecure_endpoints)
        .map_err(|error| unusable(&error))?;
    let namespace = account.secret_namespace().unwrap_or_else(|| ctx.options.cluster_resource_namespace.clone());
    let Obtained { credentials, version } = credentials::obtain(&ctx.runtime.client, &namespace, &spec.credentials).await?;
    let generation = account.meta().generation.unwrap_or_default();
    let opened_with = format!("{}/{generation} {version}", account.uid().unwrap_or_default());
    let target = Target { cloud: spec.cloud, region: spec.region.clone(), project_id: spec.project_id.clone(), endpoints };
    Ok((target, credentials, opened_with))
}

fn unusable(error: &EndpointError) -> AccountError {
    let reason = match error {
        EndpointError::Insecure { .. } => AccountReason::EndpointInsecure,
        _ => AccountReason::EndpointMisconfigured,
    };
    AccountError::new(reason, error.to_string())
}

fn failed(region: &str, error: &LoginError) -> AccountError {
    match error {
        LoginError::Cloud(error) => AccountError::from(error),
        LoginError::ProjectNotFound { found } => {
            let message = format!("IAM knows {found} projects named {region} for these credentials: set spec.projectId");
            AccountError::new(AccountReason::ProjectNotFound, message)
        }
    }
}
