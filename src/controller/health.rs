//! Whether the operator can do its work now, for `/readyz`.

use super::{context::Context, served, watching::Subject};
use crate::{api::backup::DatabaseBackup, cloud::parse::clean, plan::clock::Moment};
use kube::{
    Api,
    api::{ListParams, PartialObjectMeta},
    runtime::watcher,
};
use std::{
    collections::BTreeMap,
    error::Error,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::timeout;

/// How long the Kubernetes API may take to answer a probe.
const ANSWER: Duration = Duration::from_secs(2);
/// How long an answer is good for: probes of several at once cost one request.
const GOOD_FOR: Duration = Duration::from_secs(1);
/// The longest line.
const LINE: usize = 256;

/// What is known of the way to the Kubernetes API.
#[derive(Default)]
pub struct Health {
    /// The watches whose latest listing failed, and why.
    not_listed: Mutex<BTreeMap<String, String>>,
    asked: tokio::sync::Mutex<Option<(Moment, Option<String>)>>,
}

impl Health {
    /// A listing brought a watch up to date.
    pub fn listed(&self, subject: &Subject) {
        self.lock().remove(&subject.to_string());
    }

    /// A watch that was begun, or broke, could not list: until it does, it sees nothing.
    pub fn not_listed(&self, subject: &Subject, error: &watcher::Error) {
        self.lock().insert(subject.to_string(), cause(error));
    }

    /// How many watches cannot list.
    pub fn failing_watches(&self) -> usize {
        self.lock().len()
    }

    /// What keeps the operator from its work now, in one line.
    pub async fn trouble(&self, ctx: &Context) -> Option<String> {
        if let Some(trouble) = self.trouble_with_the_api(ctx).await {
            return Some(trouble);
        }
        if !ctx.definitions.are_served() {
            return Some(served::NOT_SERVED.to_owned());
        }
        if let Some((subject, cause)) = self.lock().first_key_value() {
            return Some(clean(&format!("{subject} cannot be listed: {cause}"), LINE));
        }
        (!ctx.accounts.are_synced()).then(|| "accounts are being listed".to_owned())
    }

    async fn trouble_with_the_api(&self, ctx: &Context) -> Option<String> {
        // Whoever comes meanwhile waits for this answer.
        let mut asked = self.asked.lock().await;
        if let Some((_, trouble)) = asked.as_ref().filter(|(at, _)| ctx.clock.now().since(*at) < GOOD_FOR) {
            return trouble.clone();
        }
        let trouble = ask(ctx).await;
        *asked = Some((ctx.clock.now(), trouble.clone()));
        trouble
    }

    /// Every change under the lock is complete in itself.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.not_listed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks for the metadata of one backup: the way there, the token, the rights and the definition have to be good for an answer.
async fn ask(ctx: &Context) -> Option<String> {
    let api: Api<PartialObjectMeta<DatabaseBackup>> = match ctx.options.namespaces.first() {
        Some(namespace) => Api::namespaced(ctx.client.clone(), namespace),
        None => Api::all(ctx.client.clone()),
    };
    match timeout(ANSWER, api.list(&ListParams::default().limit(1))).await {
        Ok(Ok(_)) => None,
        // The kind is not there; the answer is plain text then.
        Ok(Err(kube::Error::Api(refused))) if refused.code == 404 => Some(served::NOT_SERVED.to_owned()),
        Ok(Err(error)) => Some(clean(&format!("the Kubernetes API cannot be asked: {}", cause(&error)), LINE)),
        Err(_) => Some(format!("the Kubernetes API does not answer within {} s", ANSWER.as_secs())),
    }
}

/// The innermost cause: the outer ones only say that there is one.
fn cause(error: &(dyn Error + 'static)) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
