//! The controllers of the two kinds of account: each is verified again and again, and backups hear of what changes.
//!
//! | file | what it does |
//! |---|---|
//! | [`kinds`] | what both kinds have in common |
//! | [`mod@verify`] | one verification: endpoints, credentials, login, project |
//! | [`mod@check`] | the same by hand, step by step |
//! | [`refusal`] | what is said of a login that was refused |
//! | [`credentials`] | where the credentials come from: one file for each source |
//! | [`namespaces`] | which namespaces may use a cluster account |

pub mod check;
pub mod credentials;
pub mod kinds;
pub mod namespaces;
pub mod refusal;
pub mod verify;

use super::{
    context::Context,
    kind::Kind,
    object::annotations_hash,
    runtime::{
        drive::{Reconciler, drive},
        slots::Slot,
        watch::Change,
        write::{self, Written},
    },
    store::{accounts::Held, objects::Objects, queue::Key, waker::Waker},
};
use crate::{
    api::{
        account::ClusterCloudAccount,
        conditions::{Kstatus, is_true, types},
    },
    cloud::session::Session,
    plan::account::{Access, AccountKey, SeenAccount, Verification, events::notices, left_behind, status},
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kinds::AccountObject;
use kube::{Api, api::ListParams};
use std::{sync::Arc, time::Duration};
use verify::verify;

/// Between two verifications of an account whatever happens.
const MIN_PAUSE: Duration = Duration::from_millis(200);

/// The controller of one kind of account.
struct AccountController<K> {
    ctx: Arc<Context>,
    namespace: Option<String>,
    objects: Objects<K>,
}

/// Keeps the accounts of a namespace (absent: all, or the cluster kind) verified until the process stops.
pub async fn run<K: AccountObject>(ctx: Arc<Context>, namespace: Option<String>) {
    let runtime = ctx.runtime.clone();
    drive(runtime, Arc::new(AccountController::<K> { ctx, namespace, objects: Objects::default() })).await;
}

/// Keeps cluster accounts verified where the operator may read them; where it may not, says so and asks again from time to time.
pub async fn run_if_allowed(ctx: Arc<Context>) {
    loop {
        // Not with the client of the watches, which waits for long.
        let api: Api<ClusterCloudAccount> = ClusterCloudAccount::api(ctx.runtime.client.clone(), None);
        match api.list(&ListParams::default().limit(1)).await {
            Err(kube::Error::Api(refused)) if refused.is_forbidden() => {
                tracing::warn!("this operator may not read ClusterCloudAccounts; backups that name one will say so");
                ctx.accounts.may_read_cluster_kind(false);
                ctx.wake_unfinished();
            }
            _ => {
                ctx.accounts.may_read_cluster_kind(true);
                return run::<ClusterCloudAccount>(ctx, None).await;
            }
        }
        tokio::select! {
            () = tokio::time::sleep(ctx.options.settings.secret_reread(false)) => {}
            () = ctx.runtime.stop.cancelled() => return,
        }
    }
}

impl<K: AccountObject> Reconciler for AccountController<K> {
    type Kind = K;
    type Error = kube::Error;

    fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    fn waker(&self) -> &Waker {
        K::waker(&self.ctx.accounts)
    }

    fn key(meta: &ObjectMeta) -> Key {
        Key::new(meta.namespace.as_deref(), meta.name.as_deref().unwrap_or_default())
    }

    fn find(&self, key: &Key) -> Option<Arc<K>> {
        self.objects.get(key.namespace.as_deref(), &key.id)
    }

    fn seen(&self, change: Change<K>) -> Vec<Key> {
        match change {
            Change::Applied(account) => {
                let key = Self::key(account.meta());
                self.objects.put(account);
                return vec![key];
            }
            Change::Deleted(account) => {
                self.objects.remove(&account);
                self.ctx.accounts.forget(&account.key(), self.ctx.now());
                self.ctx.wake_users_of(&account.key());
                let notice = self.ctx.users_of(&account.key()).and_then(left_behind);
                write::publish(&self.ctx.runtime, &account, notice);
            }
            Change::ListBegins => self.objects.begin_listing(),
            Change::Shown(account) => self.objects.put(account),
            Change::Listed => {
                let accounts = self.objects.end_listing();
                self.listed(&accounts);
                return accounts.iter().map(|account| Self::key(account.meta())).collect();
            }
        }
        Vec::new()
    }

    async fn reconcile(&self, account: Arc<K>, slot: Slot) -> Result<Option<Duration>, kube::Error> {
        renew(&self.ctx, account.as_ref(), slot).await
    }

    fn retry_after(&self, _account: &K) -> Duration {
        self.ctx.options.settings.passing_retry(1)
    }
}

impl<K: AccountObject> AccountController<K> {
    fn listed(&self, accounts: &[Arc<K>]) {
        let ctx = &self.ctx;
        let known: Vec<(AccountKey, u32)> = accounts.iter().map(|account| (account.key(), account.spec().rate())).collect();
        let listed = ctx.accounts.listed(K::ACCOUNT_KIND, self.namespace.as_deref(), &known, ctx.now());
        for key in &listed.gone {
            ctx.wake_users_of(key);
        }
        if listed.is_first {
            ctx.wake_unfinished();
        }
    }
}

/// Verifies an account where that is due, and writes what was found.
async fn renew<K: AccountObject>(ctx: &Arc<Context>, account: &K, mut slot: Slot) -> Result<Option<Duration>, kube::Error> {
    let (key, before, settings) = (account.key(), account.status(), &ctx.options.settings);
    // Known from here on, with its rate.
    ctx.accounts.permits(&key, account.spec().rate());
    let held = ctx.accounts.held(&key);
    let mut memory = held.memory.clone();
    let asked_again = memory.is_asked_again(annotations_hash(account));
    let was_refused = held.session.as_ref().is_some_and(|session| session.refused());
    let verified = verify(ctx, account, &held, &mut memory, asked_again, &mut slot).await;
    let now = ctx.now();
    memory.note(&verified.verification, before, now);
    if asked_again || verified.opened_with != held.opened_with {
        memory.tried_services = None;
    }
    if let Some(session) = verified.session.as_ref().filter(|_| verified.verification.is_ok())
        && memory.services_are_due(held.unreached.as_deref().unwrap_or_default(), settings, now)
    {
        memory.tried_services = Some(now);
        try_services(ctx, key.clone(), session.clone());
    }
    let cloud_now = verified.session.as_ref().and_then(|session| session.cloud_now());
    let users = ctx.users_of(&key);
    let (verification, generation) = (&verified.verification, account.meta().generation);
    let unreached = held.unreached.as_deref();
    let next = status(&SeenAccount { verification, memory: &memory, unreached, before, generation, users, cloud_now, settings, now });
    if before.is_none_or(|before| (before.used_by, before.needed_for_deletion) != (next.used_by, next.needed_for_deletion)) {
        memory.counted = Some(now);
    }
    let again_in = verified.again_in.into_iter().chain([memory.requeue_after(settings, now)]).min();
    let is_skewed = is_true(&next.conditions, types::CLOCK_SKEW);
    let is_new = before != Some(&next);
    if is_new {
        log(&key, &verified.verification, before.is_some_and(|before| before.conditions == next.conditions));
    }
    let held =
        Held { session: verified.session, opened_with: verified.opened_with, verification: Some(verified.verification), memory, ..held };
    if ctx.accounts.keep(&key, held, account.allowed_namespaces().cloned(), is_skewed, now) {
        ctx.wake_users_of(&key);
    }
    if was_refused {
        ctx.accounts.recheck_refused();
    }
    if is_new {
        let notices = notices(K::ACCOUNT_KIND, before, &next);
        // A conflict is no error: the newer version is reconciled anyway.
        if let Written::Stored(account) = write::status(&ctx.runtime, &account.with_status(next)).await? {
            write::publish(&ctx.runtime, &account, notices);
        }
    }
    Ok(Some(again_in.unwrap_or_default().max(MIN_PAUSE)))
}

/// Finds out in the background which services can be reached: one that does not answer takes seconds, and the account may have to be verified meanwhile.
fn try_services(ctx: &Arc<Context>, key: AccountKey, session: Arc<Session>) {
    let ctx = ctx.clone();
    tokio::spawn(async move {
        let unreached = session.unreached().await;
        ctx.accounts.tried_services(&key, unreached);
    });
}

fn log(key: &AccountKey, verification: &Verification, is_old_news: bool) {
    match verification {
        _ if is_old_news => {}
        Ok(Access { project, unverified: None }) => {
            tracing::info!(account = %key, namespace = key.namespace, project = project.project_id, "account verified");
        }
        Ok(Access { project, unverified: Some(why) }) => {
            tracing::warn!(account = %key, namespace = key.namespace, project = project.project_id, why, "account used unverified");
        }
        Err(error) if error.reason.kstatus() == Kstatus::Blocked => {
            tracing::warn!(account = %key, namespace = key.namespace, reason = error.reason.as_str(), %error, "account blocked");
        }
        Err(error) => tracing::info!(account = %key, namespace = key.namespace, reason = error.reason.as_str(), %error, "account waits"),
    }
}
