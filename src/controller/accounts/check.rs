//! The verification of an account by hand, step by step: what `database-backup-operator check --account` prints.

use super::{
    kinds::AccountObject,
    refusal::Attempted,
    verify::{Prepared, prepared},
};
use crate::{
    api::account::AccountCredentials,
    cloud::{
        self,
        api::Lists,
        client::agents::Agents,
        codes::Class,
        engine::Engine,
        login::identity::LoginError,
        permits::Permits,
        session::{Session, Unreached},
    },
    controller::{api_error::explained, context::Options},
    plan::{account::AccountReason, clock::Moment},
};
use kube::{Api, Client, api::ListParams};
use std::sync::Arc;

/// One step of a verification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedStep {
    /// What was tried.
    pub name: &'static str,
    /// What came of it.
    pub outcome: Outcome,
    /// One line for a person.
    pub detail: String,
}

/// What came of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum Outcome {
    /// It is as it has to be.
    Ok,
    /// The account cannot be used.
    Failed,
    /// This service cannot be used with the account; others may.
    Unusable,
}

/// What a verification by hand is made with.
pub struct Surroundings<'a> {
    /// The Kubernetes API.
    pub kubernetes: &'a Client,
    /// The cloud.
    pub cloud: Arc<cloud::client::Client>,
    /// Agencies.
    pub agents: &'a Agents,
    /// The flags that say where.
    pub options: &'a Options,
}

/// Verifies an account of a kind. It is found by a listing, which is the right that the operator has.
pub async fn check<K: AccountObject>(
    surroundings: &Surroundings<'_>,
    namespace: Option<&str>,
    name: &str,
    now: Moment,
) -> Vec<CheckedStep> {
    let api: Api<K> = K::api(surroundings.kubernetes.clone(), namespace);
    let listed = api.list(&ListParams::default().fields(&format!("metadata.name={name}"))).await;
    let account = match listed.map(|list| list.items.into_iter().next()) {
        Ok(Some(account)) => account,
        Ok(None) => return vec![failed("account", format!("there is no {} {}", K::NAME, place(namespace, name)))],
        Err(error) => return vec![failed("account", format!("it cannot be read: {}", explained(&error)))],
    };
    let spec = account.spec();
    let mut steps = vec![ok("account", format!("{} {}: {} in {}", K::NAME, place(namespace, name), spec.cloud.as_str(), spec.region))];
    match opened(surroundings, &account, now).await {
        Ok((session, more)) => {
            steps.extend(more);
            steps.extend(services(&session, now).await);
        }
        Err(more) => steps.extend(more),
    }
    steps
}

/// Whether an account with these steps can be used: nothing failed, and at least one service can be reached.
pub fn is_usable(steps: &[CheckedStep]) -> bool {
    let is_service = |step: &&CheckedStep| Engine::all().any(|engine| engine.as_str() == step.name);
    steps.iter().all(|step| step.outcome != Outcome::Failed) && steps.iter().filter(is_service).any(|step| step.outcome == Outcome::Ok)
}

/// The steps up to an open session.
async fn opened<K: AccountObject>(
    surroundings: &Surroundings<'_>,
    account: &K,
    now: Moment,
) -> Result<(Session, Vec<CheckedStep>), Vec<CheckedStep>> {
    let Surroundings { kubernetes, cloud, agents, options } = surroundings;
    let prepared = prepared(kubernetes, agents, options, account, now).await;
    let Prepared { target, obtained, .. } = prepared.map_err(|error| {
        let name = if error.reason.as_str().starts_with("Endpoint") { "addresses" } else { "credentials" };
        vec![failed(name, format!("{}: {}", error.reason.as_str(), error.message))]
    })?;
    let namespace = account.secret_namespace().unwrap_or_else(|| options.cluster_resource_namespace.clone());
    let mut steps = vec![
        ok("addresses", format!("IAM at {}", target.endpoints.iam.host)),
        ok("credentials", source(&account.spec().credentials, &namespace)),
    ];
    // Nobody else takes permits here.
    let (attempted, permits) = (Attempted::new(&target, &obtained), Arc::new(Permits::new(1000)));
    match Session::open(cloud.clone(), target, obtained.credentials, permits, now.wall).await {
        Ok(session) => {
            steps.push(ok("login", "IAM accepts the credentials".into()));
            steps.push(ok("project", session.project_id().to_owned()));
            Ok((session, steps))
        }
        Err(error) => {
            let said = attempted.failed(&error);
            if matches!(error, LoginError::ProjectNotFound { .. }) {
                steps.push(ok("login", "IAM accepts the credentials".into()));
            }
            // A token is asked for in a project: IAM may know the credentials, and not that.
            let name = if said.reason == AccountReason::ProjectNotFound { "project" } else { "login" };
            steps.push(failed(name, format!("{}: {}", said.reason.as_str(), said.message)));
            Err(steps)
        }
    }
}

/// One step for each service that the region has.
async fn services(session: &Session, now: Moment) -> Vec<CheckedStep> {
    let unreached = session.unreached().await;
    let mut steps = Vec::new();
    for engine in Engine::all() {
        let Some(host) = session.host(engine) else { continue };
        let (outcome, detail) = match unreached.iter().find(|unreached| unreached.engine == engine) {
            Some(Unreached { why, .. }) => (Outcome::Unusable, format!("not reached: {why}")),
            None if engine.api().lists == Lists::Instance => {
                (Outcome::Ok, format!("{host} is reached; it lists by instance, so what is permitted was not tried"))
            }
            None => match session.try_listing(engine, now.wall).await {
                Ok(()) => (Outcome::Ok, format!("{host} lists the project's backups")),
                Err(error) if error.class() == Class::Forbidden => (Outcome::Unusable, format!("{host}: no permission: {error}")),
                Err(error) => (Outcome::Unusable, format!("{host}: {error}")),
            },
        };
        steps.push(CheckedStep { name: engine.as_str(), outcome, detail });
    }
    steps
}

fn ok(name: &'static str, detail: String) -> CheckedStep {
    CheckedStep { name, outcome: Outcome::Ok, detail }
}

fn failed(name: &'static str, detail: String) -> CheckedStep {
    CheckedStep { name, outcome: Outcome::Failed, detail }
}

fn place(namespace: Option<&str>, name: &str) -> String {
    namespace.map_or_else(|| name.to_owned(), |namespace| format!("{namespace}/{name}"))
}

/// Where the credentials come from, without any of them.
fn source(credentials: &AccountCredentials, namespace: &str) -> String {
    let AccountCredentials { password_secret_ref, access_key_secret_ref, token_secret_ref, workload_identity, instance_agency, .. } =
        credentials;
    let secrets = [(password_secret_ref, "user and password"), (access_key_secret_ref, "access key"), (token_secret_ref, "token")];
    match (secrets.into_iter().find_map(|(secret, what)| secret.as_ref().map(|secret| (secret, what))), workload_identity) {
        (Some((secret, what)), _) => format!("{what} in Secret {namespace}/{}", secret.name),
        (None, Some(identity)) => {
            format!("ServiceAccount {namespace}/{}, by the identity provider {}", identity.service_account_name, identity.identity_provider)
        }
        (None, None) if instance_agency.is_some() => "the agency of the node".into(),
        (None, None) => "the agency of the operator's Pod".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(name: &'static str, outcome: Outcome) -> CheckedStep {
        CheckedStep { name, outcome, detail: String::new() }
    }

    #[test]
    fn an_account_is_usable_when_nothing_failed_and_one_service_answers() {
        use Outcome::{Failed, Ok, Unusable};
        let login = || step("login", Ok);
        assert!(is_usable(&[login(), step("DCS", Ok), step("RDS", Unusable)]));
        assert!(!is_usable(&[login(), step("DCS", Unusable), step("RDS", Unusable)]), "no service at all");
        assert!(!is_usable(&[step("login", Failed), step("DCS", Ok)]));
        assert!(!is_usable(&[login()]), "it did not come to the services");
    }
}
