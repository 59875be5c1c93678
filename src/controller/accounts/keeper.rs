//! The controllers of the two kinds of account: each is verified again and again, and backups hear of what changes.

use super::AccountKey;
use crate::{
    api::{
        account::{AllowedNamespaces, ClusterCloudAccount},
        backup::AccountKind,
        conditions::{Standing, is_true, types},
    },
    controller::{
        context::Context,
        verify::{AccountObject, Verified, verify},
        watching::{self, Seen, Subject, watch},
        writes,
    },
    plan::{
        account::{AccountMemory, AccountReason, CLOCKS_DISAGREE, Verification, status},
        backup::events::Notice,
    },
};
use futures::StreamExt;
use kube::{
    Api,
    api::ListParams,
    core::DeserializeGuard,
    runtime::{Controller, controller::Action, reflector::ObjectRef},
};
use std::{sync::Arc, time::Duration};
use tokio::sync::mpsc::unbounded_channel;
use tokio_stream::wrappers::UnboundedReceiverStream;

/// Keeps the accounts of a namespace (absent: all, or the cluster kind) verified until the process stops.
pub async fn run<K: AccountObject>(ctx: Arc<Context>, api: Api<DeserializeGuard<K>>, namespace: Option<String>) {
    let (sender, receiver) = unbounded_channel();
    ctx.accounts.lock().recheck.push((K::KIND, namespace.clone(), sender));
    let (telling, scope) = (ctx.clone(), namespace.clone());
    let first = std::sync::atomic::AtomicBool::new(true);
    let (stream, store) = watch(ctx.clone(), Subject { kind: K::KIND.as_str(), namespace }, api, move |seen| match seen {
        Seen::Object(_) | Seen::Begin => {}
        Seen::Gone(account) => telling.account_gone(&account.key()),
        Seen::All(accounts) => {
            telling.accounts_listed(scope.as_deref(), &accounts, first.swap(false, std::sync::atomic::Ordering::Relaxed));
        }
    });
    let rechecks = UnboundedReceiverStream::new(receiver).map(|key: AccountKey| {
        let reference = ObjectRef::new(&key.name);
        match key.namespace {
            Some(namespace) => reference.within(&namespace),
            None => reference,
        }
    });
    Controller::for_stream(stream, store)
        .reconcile_on(rechecks)
        .with_config(kube::runtime::Config::default().concurrency(ctx.options.concurrency))
        .graceful_shutdown_on(ctx.stop.clone().cancelled_owned())
        .run(reconcile::<K>, retry, ctx.clone())
        .for_each(|result| watching::note(&ctx, K::KIND.as_str(), result))
        .await;
}

/// Keeps cluster accounts verified where the operator may read them; where it may not, says so and asks again from time to time.
pub async fn run_if_allowed(ctx: Arc<Context>, api: Api<DeserializeGuard<ClusterCloudAccount>>) {
    loop {
        // Not with the client of the watches, which waits for long.
        match Api::<ClusterCloudAccount>::all(ctx.client.clone()).list(&ListParams::default().limit(1)).await {
            Err(kube::Error::Api(refused)) if refused.is_forbidden() => {
                tracing::warn!("this operator may not read ClusterCloudAccounts; backups that name one will say so");
                ctx.accounts.lock().cluster_kind_denied = true;
                ctx.accounts.synced(AccountKind::ClusterCloudAccount);
                ctx.fleet.wake_unfinished();
            }
            _ => {
                ctx.accounts.lock().cluster_kind_denied = false;
                return run(ctx, api, None).await;
            }
        }
        tokio::select! {
            () = tokio::time::sleep(ctx.options.settings.secret_reread(false)) => {}
            () = ctx.stop.cancelled() => return,
        }
    }
}

#[allow(clippy::needless_pass_by_value)] // the signature is kube's
fn retry<K>(_account: Arc<K>, _error: &kube::Error, ctx: Arc<Context>) -> Action {
    Action::requeue(ctx.options.settings.passing_retry(1))
}

impl Context {
    fn account_gone(&self, key: &AccountKey) {
        self.accounts.forget(key, self.clock.now());
        self.fleet.wake_account(key);
    }

    /// A listing of a namespace (absent: all, or the cluster kind) showed exactly these accounts.
    fn accounts_listed<K: AccountObject>(self: &Arc<Self>, scope: Option<&str>, accounts: &[Arc<K>], first: bool) {
        let listed: Vec<AccountKey> = accounts.iter().map(|account| account.key()).collect();
        // Known from now on, if not verified yet: once everything was shown, whatever is not known does not exist.
        for account in accounts {
            self.accounts.permits(self, &account.key(), account.facts().rate);
        }
        let known: Vec<AccountKey> = self.accounts.lock().entries.keys().filter(|key| key.kind == K::KIND).cloned().collect();
        for key in known.iter().filter(|key| !listed.contains(key) && (scope.is_none() || key.namespace.as_deref() == scope)) {
            self.account_gone(key);
        }
        if first {
            self.accounts.synced(K::KIND);
            self.fleet.wake_unfinished();
        }
    }
}

async fn reconcile<K: AccountObject>(account: Arc<K>, ctx: Arc<Context>) -> Result<Action, kube::Error> {
    let begun = ctx.clock.now();
    let result = renew(&account, &ctx).await;
    ctx.metrics.took(account.key().kind.as_str(), ctx.clock.now().since(begun));
    result
}

/// Verifies an account where that is due, and writes what was found.
async fn renew<K: AccountObject>(account: &Arc<K>, ctx: &Arc<Context>) -> Result<Action, kube::Error> {
    let (key, spec) = (account.key(), account.facts());
    let permits = ctx.accounts.permits(ctx, &key, spec.rate);
    let held = ctx.accounts.held(&key);
    let verified = verify(ctx, &spec, &held, permits).await;
    let now = ctx.clock.now();
    let mut memory = held.memory.clone();
    memory.note(&verified.verification, verified.asked, spec.status.as_ref(), &ctx.options.settings, now);
    let cloud_now = verified.session.as_ref().and_then(|session| session.cloud_now());
    let verification = verified.verification.clone();
    let next = status(&verification, &memory, spec.status.as_ref(), spec.generation, cloud_now, &ctx.options.settings, now);
    let renew = verified.session.as_ref().and_then(|session| session.renew_in());
    let is_skewed = is_true(&next.conditions, types::CLOCK_SKEW);
    let renewed = Renewed { verified, memory: memory.clone(), allowed: spec.allowed.clone(), is_skewed };
    let changed = ctx.keep(&key, renewed);
    if changed {
        ctx.fleet.wake_account(&key);
    }
    if spec.status.as_ref() != Some(&next) {
        log(&key, &verification, spec.status.as_ref().is_some_and(|before| before.conditions == next.conditions));
        let was_skewed = spec.status.as_ref().is_some_and(|before| is_true(&before.conditions, types::CLOCK_SKEW));
        writes::account_status(&account.api(ctx), &account.with_status(next)).await?;
        if is_skewed && !was_skewed {
            let note = CLOCKS_DISAGREE.to_owned();
            let notice = Notice { reason: "ClockSkew", action: "CompareClocks", is_warning: true, note };
            writes::tell(ctx, account.as_ref(), vec![notice]).await;
        }
    }
    let wake = memory.wake(&ctx.options.settings, now);
    Ok(Action::requeue(renew.map_or(wake, |renew| renew.min(wake)).max(MIN_PAUSE)))
}

/// Between two verifications of an account whatever happens.
const MIN_PAUSE: Duration = Duration::from_millis(200);

fn log(key: &AccountKey, verification: &Verification, is_old_news: bool) {
    match verification {
        _ if is_old_news => {}
        Ok(place) => tracing::info!(account = %key, namespace = key.namespace, project = place.project_id, "account verified"),
        Err(error) if error.reason.standing() == Standing::Blocked => {
            tracing::warn!(account = %key, namespace = key.namespace, reason = error.reason.as_str(), %error, "account blocked");
        }
        Err(error) => tracing::info!(account = %key, namespace = key.namespace, reason = error.reason.as_str(), %error, "account waits"),
    }
}

/// What a verification came to, and what is remembered of it.
struct Renewed {
    verified: Verified,
    memory: AccountMemory,
    allowed: Option<AllowedNamespaces>,
    is_skewed: bool,
}

impl Context {
    /// Stores a verification; answers whether backups see anything new.
    fn keep(&self, key: &AccountKey, renewed: Renewed) -> bool {
        let Renewed { verified: Verified { verification, session, opened_with, .. }, memory, allowed, is_skewed } = renewed;
        let mut state = self.accounts.lock();
        state.epochs += 1;
        let epoch = state.epochs;
        // Deleted meanwhile: there is nothing to keep.
        let Some(mut entry) = state.entries.remove(key) else { return false };
        match &verification {
            Ok(_) => drop(state.former.remove(key)),
            // Credentials that the cloud refuses are good for nothing any more.
            Err(error) if error.reason == AccountReason::AuthenticationFailed => {}
            Err(_) => state.keep_former(key, &entry, self.clock.now()),
        }
        let same_session = match (&entry.session, &session) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (a, b) => a.is_none() && b.is_none(),
        };
        let changed = !same_session || entry.verification.as_ref() != Some(&verification) || entry.allowed != allowed;
        if changed {
            entry.epoch = epoch;
        }
        entry.verification = Some(verification);
        (entry.session, entry.opened_with, entry.allowed) = (session, opened_with, allowed);
        (entry.memory, entry.is_skewed) = (memory, is_skewed);
        state.entries.insert(key.clone(), entry);
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::backup::DatabaseBackup,
        cloud,
        controller::{
            accounts::Accounts,
            context::{Clock, Leadership, Options},
            fleet::Fleet,
            health::Health,
            metrics::Metrics,
            served::Definitions,
            store::Store,
        },
        plan::{backup::seen::Account, settings::Settings},
    };
    use kube::{
        Client, Config,
        runtime::events::{Recorder, Reporter},
    };
    use serde_json::json;

    fn context() -> Arc<Context> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = || Client::try_from(Config::new(http::Uri::from_static("http://127.0.0.1:1"))).expect("nothing is sent yet");
        let metrics = Arc::new(Metrics::new());
        Arc::new(Context {
            client: client(),
            watcher: client(),
            cloud: Arc::new(cloud::client::Client::new(metrics.clone()).expect("a client")),
            recorder: Recorder::new(client(), Reporter { controller: "test".into(), instance: None }),
            clock: Clock::start(),
            options: Options {
                namespaces: Vec::new(),
                settings: Settings::default(),
                concurrency: 1,
                cluster_resource_namespace: "operator".into(),
                allow_insecure_endpoints: false,
            },
            metrics,
            fleet: Fleet::default(),
            accounts: Accounts::default(),
            store: Store::default(),
            health: Health::default(),
            definitions: Definitions::default(),
            stop: tokio_util::sync::CancellationToken::new(),
            leadership: Leadership::always(),
        })
    }

    fn seen_by_a_backup_of(ctx: &Context, account: &str) -> Account {
        let spec = json!({
            "accountRef": { "kind": "ClusterCloudAccount", "name": account }, "source": { "engine": "DCS", "instanceId": "i-1" },
        });
        let backup = DatabaseBackup::new("b", serde_json::from_value(spec).expect("a spec"));
        ctx.accounts.for_backup(&backup, ctx.clock.now()).account
    }

    #[tokio::test]
    async fn an_account_that_was_listed_and_not_verified_yet_is_never_said_to_be_missing() {
        let ctx = context();
        ctx.accounts.expect(AccountKind::ClusterCloudAccount, 1);
        assert_eq!(seen_by_a_backup_of(&ctx, "cloud"), Account::Verifying, "nothing was listed yet");
        let account = json!({
            "apiVersion": "dbbackup.dev/v1alpha1", "kind": "ClusterCloudAccount", "metadata": { "name": "cloud", "uid": "u", "generation": 1 },
            "spec": {
                "cloud": "OpenTelekomCloud", "region": "eu-de", "credentials": { "passwordSecretRef": { "name": "cloud" } },
                "allowedNamespaces": { "from": "All" },
            },
        });
        let account: Arc<ClusterCloudAccount> = Arc::new(serde_json::from_value(account).expect("an account"));
        ctx.accounts_listed(None, &[account], true);
        assert_eq!(seen_by_a_backup_of(&ctx, "cloud"), Account::Verifying, "its first verification is still to come");
        assert!(matches!(seen_by_a_backup_of(&ctx, "another"), Account::Blocked { .. }));
    }
}
