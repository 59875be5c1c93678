//! One verification of an account: its endpoints, its credentials, the login and the project.

use super::{
    credentials::{self, Obtained},
    kinds::AccountObject,
    refusal::Attempted,
};
use crate::{
    cloud::{
        endpoints::{EndpointError, Endpoints},
        login::identity::Target,
        permits::Permits,
        session::Session,
    },
    controller::{context::Context, runtime::slots::Slot, store::accounts::Held},
    plan::{
        account::{Access, AccountError, AccountReason, Verification, unverified},
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
}

/// Verifies an account. A session stays open while the account, its credentials and the cloud's good will stay the same.
pub async fn verify<K: AccountObject>(ctx: &Context, account: &K, held: &Held, permits: Arc<Permits>, slot: &mut Slot) -> Verified {
    let (target, obtained, opened_with) = match prepared(ctx, account).await {
        Ok(prepared) => prepared,
        Err(error) => return Verified { verification: Err(error), session: None, opened_with: None },
    };
    permits.share_pace(ctx.logins.pace(obtained.credentials.user(&target.endpoints.iam.host)));
    let is_the_same = held.opened_with.as_ref() == Some(&opened_with);
    let session = held.session.clone().filter(|session| is_the_same && is_good(session));
    let (verification, session) = match session {
        Some(session) if session.is_verified() => (Ok(verified(&session)), Some(session)),
        session => {
            let before = held.verification.as_ref();
            let opened = slot.outside(open(ctx, &target, &obtained, permits.clone())).await.map_err(|error| error.unless_as(before));
            match opened {
                Ok(session) => (Ok(verified(&session)), Some(Arc::new(session))),
                Err(error) => {
                    let session =
                        session.or_else(|| Session::unverified(ctx.cloud.clone(), target, obtained.credentials, permits).map(Arc::new));
                    without_iam(session, error, is_the_same && is_refused(held), before)
                }
            }
        }
    };
    Verified { verification, session, opened_with: Some(opened_with) }
}

/// Logs in, one account at a time with the same credential, and not too soon after a failure: clouds lock keys after a few wrong signatures.
async fn open(ctx: &Context, target: &Target, obtained: &Obtained, permits: Arc<Permits>) -> Result<Session, AccountError> {
    let scope = target.project_id.clone().unwrap_or_else(|| target.region.clone());
    let mut login = ctx.logins.turn(&obtained.credentials.fingerprint(&target.endpoints.iam.host), ctx.now()).await;
    if let Some(error) = login.must_wait(&scope, ctx.now()) {
        return Err(error.clone());
    }
    let opened = Session::open(ctx.cloud.clone(), target.clone(), obtained.credentials.clone(), permits, ctx.now().wall).await;
    match opened {
        Ok(session) => {
            login.succeeded(&scope);
            Ok(session)
        }
        Err(error) => {
            let failed = Attempted::new(target, obtained).failed(&error);
            login.failed(&scope, &failed, error.retry_after(), &ctx.options.settings, ctx.now());
            Err(failed)
        }
    }
}

/// What an account comes to that IAM did not verify; `session`: one that needs nothing of IAM.
fn without_iam(
    session: Option<Arc<Session>>,
    error: AccountError,
    refused: bool,
    before: Option<&Verification>,
) -> (Verification, Option<Arc<Session>>) {
    let Some(session) = session else { return (Err(error), None) };
    let verification = unverified(project(&session), error, refused, before);
    let session = verification.is_ok().then_some(session);
    (verification, session)
}

/// Whether a service has refused what is held.
fn is_refused(held: &Held) -> bool {
    let is_said = matches!(&held.verification, Some(Err(error)) if error.reason == AccountReason::AuthenticationFailed);
    is_said || held.session.as_ref().is_some_and(|session| session.refused())
}

fn is_good(session: &Session) -> bool {
    !session.refused() && session.renew_in().is_none_or(|left| !left.is_zero())
}

fn verified(session: &Session) -> Access {
    Access { project: project(session), unverified: None }
}

fn project(session: &Session) -> Project {
    Project { cloud: session.cloud(), region: session.region().to_owned(), project_id: session.project_id().to_owned() }
}

/// Everything that is needed before the cloud is asked, and a line that changes whenever any of it does.
async fn prepared<K: AccountObject>(ctx: &Context, account: &K) -> Result<(Target, Obtained, String), AccountError> {
    let spec = account.spec();
    let endpoints = Endpoints::resolve(spec.cloud, &spec.region, &account.endpoints(), &ctx.options.endpoint_policy)
        .map_err(|error| unusable(&error))?;
    let namespace = account.secret_namespace().unwrap_or_else(|| ctx.options.cluster_resource_namespace.clone());
    let obtained = credentials::obtain(&ctx.runtime.client, &namespace, &spec.credentials).await?;
    let generation = account.meta().generation.unwrap_or_default();
    let opened_with = format!("{}/{generation} {}", account.uid().unwrap_or_default(), obtained.version);
    let target = Target { cloud: spec.cloud, region: spec.region.clone(), project_id: spec.project_id.clone(), endpoints };
    Ok((target, obtained, opened_with))
}

fn unusable(error: &EndpointError) -> AccountError {
    let reason = match error {
        EndpointError::Insecure { .. } => AccountReason::EndpointInsecure,
        EndpointError::NotAllowed { .. } => AccountReason::EndpointNotAllowed,
        EndpointError::Invalid { .. } | EndpointError::UnknownRegion { .. } => AccountReason::EndpointMisconfigured,
    };
    AccountError::new(reason, error.to_string())
}
