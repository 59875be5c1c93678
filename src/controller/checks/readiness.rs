//! Whether the operator can do its work now, for `/readyz`.

use super::revisions::one_backup;
use crate::{
    api::{
        account::{CloudAccount, ClusterCloudAccount},
        backup::{AccountKind, DatabaseBackup},
    },
    cloud::parse::clean,
    controller::{api_error::explained, context::Context, kind::Kind, store::definitions::NOT_SERVED},
    plan::clock::Moment,
};
use kube::api::ListParams;
use std::{sync::Arc, time::Duration};
use tokio::{sync::Mutex, time::timeout};

/// How long the Kubernetes API may take to answer a probe.
const ANSWER: Duration = Duration::from_secs(2);
/// How long an answer is good for: probes of several at once cost one request.
const GOOD_FOR: Duration = Duration::from_secs(1);
/// The longest line.
const LINE: usize = 256;

/// Answers probes.
pub struct Readiness {
    ctx: Arc<Context>,
    asked: Mutex<Option<(Moment, Option<String>)>>,
}

impl Readiness {
    /// Nothing was asked yet.
    pub fn new(ctx: Arc<Context>) -> Self {
        Self { ctx, asked: Mutex::default() }
    }

    /// What keeps the operator from its work now, in one line.
    pub async fn problem(&self) -> Option<String> {
        if let Some(problem) = self.problem_with_the_api().await {
            return Some(problem);
        }
        if let Some(problem) = self.ctx.definitions.problem() {
            return Some(clean(&problem, LINE));
        }
        let (health, scopes) = (&self.ctx.runtime.health, self.ctx.options.scopes());
        let problems = |scope: &Option<String>| {
            let watches = [DatabaseBackup::NAME, CloudAccount::NAME];
            watches.iter().find_map(|kind| health.failing(kind, scope.as_deref()))
        };
        // One namespace that cannot be served does not stop the others.
        let nothing_is_served = scopes.iter().map(problems).collect::<Option<Vec<String>>>();
        let failing = nothing_is_served.and_then(|problems| problems.into_iter().next());
        if let Some(problem) = failing.or_else(|| health.failing(ClusterCloudAccount::NAME, None)) {
            return Some(clean(&problem, LINE));
        }
        let is_on_its_way = |(kind, namespace): &(AccountKind, Option<String>)| {
            let kind = if *kind == AccountKind::CloudAccount { CloudAccount::NAME } else { ClusterCloudAccount::NAME };
            health.failing(kind, namespace.as_deref()).is_none()
        };
        self.ctx.accounts.unsynced().iter().any(is_on_its_way).then(|| "accounts are being listed".to_owned())
    }

    async fn problem_with_the_api(&self) -> Option<String> {
        // Whoever comes meanwhile waits for this answer.
        let mut asked = self.asked.lock().await;
        if let Some((_, problem)) = asked.as_ref().filter(|(at, _)| self.ctx.now().since(*at) < GOOD_FOR) {
            return problem.clone();
        }
        let problem = ask(&self.ctx).await;
        *asked = Some((self.ctx.now(), problem.clone()));
        problem
    }
}

/// Asks for the metadata of one backup: the connection, the token, the permissions and the definition have to be good for an answer.
async fn ask(ctx: &Context) -> Option<String> {
    match timeout(ANSWER, one_backup(ctx).list(&ListParams::default().limit(1))).await {
        Ok(Ok(_)) => None,
        // The kind is not there; the answer is plain text then.
        Ok(Err(kube::Error::Api(refused))) if refused.code == 404 => Some(NOT_SERVED.to_owned()),
        Ok(Err(error)) => Some(clean(&format!("the Kubernetes API cannot be asked: {}", explained(&error)), LINE)),
        Err(_) => Some(format!("the Kubernetes API does not answer within {} s", ANSWER.as_secs())),
    }
}
