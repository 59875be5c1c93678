//! One verification of an account: its endpoints, its credentials, the login and the project.

use super::{
    credentials::{self, Obtained, Sources},
    kinds::AccountObject,
    refusal::Attempted,
};
use crate::{
    cloud::{
        client::agents::Agents,
        endpoints::{EndpointError, Endpoints},
        login::{
            Credentials,
            identity::{LoginError, Target},
        },
        permits::Permits,
        session::Session,
    },
    controller::{
        context::{Context, Options},
        runtime::slots::Slot,
        store::accounts::Held,
    },
    plan::{
        account::{Access, AccountError, AccountMemory, AccountReason, Login, Verification, unverified},
        clock::Moment,
        place::Project,
    },
};
use kube::{Client, ResourceExt};
use std::{sync::Arc, time::Duration};

/// What a verification came to.
pub struct Verified {
    /// For status and backups.
    pub verification: Verification,
    /// Open, if the account is ready; refused, if it has to be left alone for a while.
    pub session: Option<Arc<Session>>,
    /// What the session was opened with, or refused with.
    pub opened_with: Option<String>,
    /// In how long it has to be looked at again, whatever else.
    pub again_in: Option<Duration>,
}

/// Verifies an account. A session stays open while the account, its credentials and the cloud's good will stay the same. `asked_again`: a person wants it
/// tried.
pub async fn verify<K: AccountObject>(
    ctx: &Context,
    account: &K,
    held: &Held,
    memory: &mut AccountMemory,
    asked_again: bool,
    slot: &mut Slot,
) -> Verified {
    memory.is_unsettled = false;
    let prepared = match prepared(&ctx.runtime.client, &ctx.agents, &ctx.options, account, ctx.now()).await {
        Ok(prepared) => prepared,
        Err(error) => {
            let kept = kept(account, held, &error);
            memory.is_unsettled = kept.is_some();
            return kept.unwrap_or(Verified { verification: Err(error), session: None, opened_with: None, again_in: None });
        }
    };
    let permits = ctx.accounts.permits(&account.key(), account.spec().rate());
    let Prepared { target, obtained, opened_with } = prepared;
    let signs = matches!(obtained.credentials, Credentials::AccessKey(_));
    permits.share_pace(ctx.logins.pace(obtained.credentials.user(&target.endpoints.iam.host)), signs);
    let is_the_same = held.opened_with.as_ref() == Some(&opened_with);
    let session = held.session.clone().filter(|_| is_the_same);
    let before = held.verification.as_ref();
    let login = session
        .as_ref()
        .map_or(Login::Needed, |session| memory.login(session.refused(), session.renew_in(), &ctx.options.settings, ctx.now()));
    let (verification, session) = match (login, session) {
        (Login::NotNeeded, Some(session)) if session.is_verified() => (Ok(verified(&session)), Some(session)),
        (Login::NotBefore(pause), Some(session)) => {
            let verification = Err(refused_again(&session));
            return Verified { verification, session: Some(session), opened_with: Some(opened_with), again_in: Some(pause) };
        }
        (_, session) => {
            let opened = slot.outside(open(ctx, &target, &obtained, permits.clone(), asked_again)).await;
            match opened.map_err(|error| error.unless_as(before)) {
                Ok(opened) => {
                    let session = accepted(session, opened, memory, ctx.now());
                    (Ok(verified(&session)), Some(session))
                }
                Err(error) => {
                    if let Some(kept) = kept(account, held, &error) {
                        memory.is_unsettled = true;
                        return kept;
                    }
                    let session = without_login(ctx, target, obtained, permits);
                    let (verification, session) = without_iam(session, error, is_the_same && is_refused(held), before);
                    memory.is_unsettled = verification.is_ok();
                    (verification, session)
                }
            }
        }
    };
    Verified { again_in: session.as_ref().and_then(|session| session.look_in()), verification, session, opened_with: Some(opened_with) }
}

/// What is held, if it may go on: nobody has said anything of the credentials, be they still the same or others, and the account's spec has not changed.
fn kept<K: AccountObject>(account: &K, held: &Held, error: &AccountError) -> Option<Verified> {
    let opened_with = held.opened_with.clone().filter(|opened_with| opened_with.starts_with(&spec_line(account)))?;
    let verification = held.verification.clone().filter(Result::is_ok)?;
    let session = held.session.clone().filter(|session| session.is_usable() && error.reason.says_nothing_of_credentials())?;
    Some(Verified { again_in: session.look_in(), verification, session: Some(session), opened_with: Some(opened_with) })
}

/// The session to go on with after a login that succeeded; `held`: what was open with the same credentials.
fn accepted(held: Option<Arc<Session>>, opened: Session, memory: &mut AccountMemory, now: Moment) -> Arc<Session> {
    if held.as_ref().is_some_and(|held| held.refused()) {
        memory.replaced = Some(now);
    }
    memory.verified = Some(now);
    held.filter(|held| is_as_good(held, &opened)).unwrap_or_else(|| Arc::new(opened))
}

/// Whether a session that is held is as good as one that was just opened with the same credentials.
fn is_as_good(held: &Session, opened: &Session) -> bool {
    held.shows_credentials() && held.is_verified() && held.is_usable() && held.project_id() == opened.project_id()
}

/// A session for credentials that need no login; absent for those that do, and where nobody has said which project it is.
fn without_login(ctx: &Context, target: Target, obtained: Obtained, permits: Arc<Permits>) -> Option<Arc<Session>> {
    let refusals = ctx.logins.refusals(&obtained.credentials.fingerprint(&target.endpoints.iam.host));
    let session = Session::unverified(ctx.cloud.clone(), target, obtained.credentials, permits)?;
    Some(Arc::new(session.sharing_refusals(refusals)))
}

/// What is said of credentials that IAM accepts and a service does not, twice in a row.
fn refused_again(session: &Session) -> AccountError {
    let why = session.refusal().unwrap_or_else(|| "another account with the same key was refused".into());
    let message = format!("IAM accepts the credentials, and a service of the cloud refuses them: {why}");
    AccountError::new(AccountReason::AuthenticationFailed, message)
}

/// Logs in, one account at a time with the same credential, and not too soon after a failure: clouds lock keys after a few wrong signatures.
async fn open(
    ctx: &Context,
    target: &Target,
    obtained: &Obtained,
    permits: Arc<Permits>,
    asked_again: bool,
) -> Result<Session, AccountError> {
    let (scope, credential) =
        (target.project_id.as_ref().unwrap_or(&target.region), obtained.credentials.fingerprint(&target.endpoints.iam.host));
    let mut login = ctx.logins.turn(&credential, ctx.now()).await;
    if asked_again {
        login.asked_again(&ctx.options.settings);
    }
    if let Some(error) = login.must_wait(scope, ctx.now()) {
        return Err(error.clone());
    }
    let iam = &target.endpoints.iam.host;
    // Signed with its time from the start, where the clocks differ: each signature that is refused counts.
    let time = ctx.logins.time_at(iam).unwrap_or_else(|| ctx.now().wall);
    let opened = Session::open(ctx.cloud.clone(), target.clone(), obtained.credentials.clone(), permits, time).await;
    match opened {
        Ok(session) => {
            ctx.logins.heard(iam, session.cloud_now());
            login.succeeded(scope);
            Ok(session.sharing_refusals(ctx.logins.refusals(&credential)))
        }
        Err(error) => {
            if let LoginError::Cloud(error) = &error {
                ctx.logins.heard(iam, error.date());
            }
            let failed = Attempted::new(target, obtained).failed(&error);
            login.failed(scope, &failed, error.retry_after(), &ctx.options.settings, ctx.now());
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

fn verified(session: &Session) -> Access {
    Access { project: project(session), unverified: None }
}

fn project(session: &Session) -> Project {
    Project { cloud: session.cloud(), region: session.region().to_owned(), project_id: session.project_id().to_owned() }
}

/// Everything that is needed before the cloud is asked.
pub struct Prepared {
    /// Where the account points.
    pub target: Target,
    /// Its credentials.
    pub obtained: Obtained,
    /// A line that changes whenever any of it does.
    pub opened_with: String,
}

/// Finds everything that is needed before the cloud is asked.
///
/// # Errors
/// The addresses cannot be used, or the credentials cannot be had.
pub async fn prepared<K: AccountObject>(
    kubernetes: &Client,
    agents: &Agents,
    options: &Options,
    account: &K,
    now: Moment,
) -> Result<Prepared, AccountError> {
    let spec = account.spec();
    let endpoints =
        Endpoints::resolve(spec.cloud, &spec.region, &account.endpoints(), &options.endpoint_policy).map_err(|error| unusable(&error))?;
    let namespace = account.secret_namespace().unwrap_or_else(|| options.cluster_resource_namespace.clone());
    let sources = Sources { kubernetes, agents, agencies: &options.agencies, kind: K::ACCOUNT_KIND, namespace: &namespace, now: now.wall };
    let obtained = credentials::obtain(sources, &spec.credentials).await?;
    let opened_with = format!("{}{}", spec_line(account), obtained.version);
    let target = Target { cloud: spec.cloud, region: spec.region.clone(), project_id: spec.project_id.clone(), endpoints };
    Ok(Prepared { target, obtained, opened_with })
}

/// Which account it is, and which version of its spec.
fn spec_line<K: AccountObject>(account: &K) -> String {
    format!("{}/{} ", account.uid().unwrap_or_default(), account.meta().generation.unwrap_or_default())
}

fn unusable(error: &EndpointError) -> AccountError {
    let reason = match error {
        EndpointError::Insecure { .. } => AccountReason::EndpointInsecure,
        EndpointError::NotAllowed { .. } => AccountReason::EndpointNotAllowed,
        EndpointError::Invalid { .. } | EndpointError::UnknownRegion { .. } => AccountReason::EndpointMisconfigured,
    };
    AccountError::new(reason, error.to_string())
}
