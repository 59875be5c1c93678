//! Every account in memory: what backups see of them, and what they need of them.

pub mod keeper;

use super::context::Context;
use crate::{
    api::{
        account::AllowedNamespaces,
        backup::{AccountKind, AccountRef, DatabaseBackup},
    },
    cloud::{permits::Permits, session::Session},
    plan::{
        account::{AccountMemory, Verification, seen_by_backups},
        backup::{reason::Reason, seen::Account},
        clock::Moment,
        place::{Place, Project},
    },
};
use kube::ResourceExt;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::mpsc::UnboundedSender;
use tokio_util::task::AbortOnDropHandle;

/// Which account: its kind, its namespace (of the namespaced kind) and its name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountKey {
    /// Kind.
    pub kind: AccountKind,
    /// Namespace; absent for the cluster kind.
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
}

impl AccountKey {
    /// The account that a backup names.
    pub fn of(backup: &DatabaseBackup) -> Self {
        Self::named(&backup.spec.account_ref, &backup.namespace().unwrap_or_default())
    }

    fn named(reference: &AccountRef, namespace: &str) -> Self {
        let namespace = (reference.kind == AccountKind::CloudAccount).then(|| namespace.to_owned());
        Self { kind: reference.kind, namespace, name: reference.name.clone() }
    }
}

impl std::fmt::Display for AccountKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.kind.as_str(), self.name)
    }
}

/// Every account in memory.
#[derive(Default)]
pub struct Accounts {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    entries: HashMap<AccountKey, Entry>,
    /// Watches of a kind that have not shown everything yet.
    unsynced: HashMap<AccountKind, usize>,
    /// The operator may not read cluster accounts.
    cluster_kind_denied: bool,
    recheck: Vec<(AccountKind, Option<String>, UnboundedSender<AccountKey>)>,
    epochs: u64,
    former: HashMap<AccountKey, Former>,
}

/// The last good session of an account that can no longer be used.
struct Former {
    session: Arc<Session>,
    project: Project,
    since: Moment,
    /// Its calls take permits as before.
    _pump: Arc<Pump>,
}

/// Hands out an account's permits, and wakes the backups that they were granted to. When nobody holds it any more, the permits are closed.
struct Pump {
    permits: Arc<Permits>,
    _task: AbortOnDropHandle<()>,
}

impl Drop for Pump {
    fn drop(&mut self) {
        self.permits.close();
    }
}

/// How long a former session is kept.
const KEPT: Duration = Duration::from_secs(3600);

/// One account.
struct Entry {
    verification: Option<Verification>,
    session: Option<Arc<Session>>,
    /// What the session was opened with: it is kept while that stays the same.
    opened_with: Option<String>,
    memory: AccountMemory,
    /// What the account says of the clocks.
    is_skewed: bool,
    epoch: u64,
    permits: Arc<Permits>,
    allowed: Option<AllowedNamespaces>,
    pump: Arc<Pump>,
}

/// What a backup needs of its account.
#[derive(Clone)]
pub struct Use {
    /// For the decision.
    pub account: Account,
    /// For the calls; there when the account is ready.
    pub session: Option<Arc<Session>>,
    /// The account's request rate.
    pub permits: Option<Arc<Permits>>,
    /// Which namespaces may use it; absent: its own.
    pub allowed: Option<AllowedNamespaces>,
}

impl Accounts {
    /// Backups wait without a word until this many watches of a kind have shown everything.
    pub fn expect(&self, kind: AccountKind, watches: usize) {
        self.lock().unsynced.insert(kind, watches);
    }

    /// Whether every watch has shown everything.
    pub fn are_synced(&self) -> bool {
        self.lock().unsynced.values().all(|left| *left == 0)
    }

    fn synced(&self, kind: AccountKind) {
        if let Some(left) = self.lock().unsynced.get_mut(&kind) {
            *left = left.saturating_sub(1);
        }
    }

    /// What a backup needs of the account it names. One that is being deleted may use the last good credentials for a while after they are gone: the
    /// deletion of a namespace takes the Secret first.
    pub fn for_backup(&self, backup: &DatabaseBackup, now: Moment) -> Use {
        let key = AccountKey::of(backup);
        let state = self.lock();
        let engine = backup.spec.source.engine;
        // Once the cloud refuses the former credentials, too, they are gone like the others.
        let is_good = |former: &&Former| now.since(former.since) < KEPT && !former.session.refused();
        let former = state.former.get(&key).filter(is_good).filter(|_| backup.metadata.deletion_timestamp.is_some());
        if let Some(former) = former.filter(|_| !state.is_ready(&key)) {
            let place = Place { project: former.project.clone(), endpoint: former.session.host(engine).unwrap_or_default().to_owned() };
            let account = Account::Ready { place, allowed: false, epoch: 0, cloud_now: former.session.cloud_now() };
            let permits = Some(former.session.permits());
            return Use { account, session: Some(former.session.clone()), permits, allowed: None };
        }
        let nothing = |account| Use { account, session: None, permits: None, allowed: None };
        let Some(entry) = state.entries.get(&key) else { return nothing(state.why_absent(&key)) };
        let session = entry.session.as_ref();
        let host = session.and_then(|session| session.host(engine)).unwrap_or_default();
        let account = match &entry.verification {
            Some(verification) => {
                let cloud_now = session.and_then(|session| session.cloud_now());
                seen_by_backups(verification, &key.to_string(), entry.epoch, host, cloud_now)
            }
            None => Account::Verifying,
        };
        Use { account, session: entry.session.clone(), permits: Some(entry.permits.clone()), allowed: entry.allowed.clone() }
    }

    /// Where an account points, if it is ready.
    pub fn project(&self, key: &AccountKey) -> Option<Project> {
        self.lock().entries.get(key)?.verification.as_ref()?.as_ref().ok().cloned()
    }

    /// Whether this machine's clock and the cloud's agree now and the account says that they do not, or the other way round.
    pub fn clock_changed(&self, key: &AccountKey, now: Moment) -> bool {
        let state = self.lock();
        let Some(entry) = state.entries.get(key) else { return false };
        let is_skewed = entry.session.as_ref().and_then(|session| session.cloud_now()).is_some_and(|cloud_now| !now.agrees_with(cloud_now));
        entry.session.is_some() && is_skewed != entry.is_skewed
    }

    /// What to poll with: the session and the request rate of an account that is ready.
    pub fn session(&self, key: &AccountKey) -> Option<Arc<Session>> {
        let state = self.lock();
        let entry = state.entries.get(key)?;
        entry.verification.as_ref()?.as_ref().ok()?;
        entry.session.clone()
    }

    /// Every account, and whether it can be used; sorted.
    pub fn readiness(&self) -> Vec<(AccountKey, bool)> {
        let state = self.lock();
        let mut all: Vec<_> = state.entries.keys().map(|key| (key.clone(), state.is_ready(key))).collect();
        all.sort();
        all
    }

    /// The account's epoch: grows with each new session.
    pub fn epoch(&self, key: &AccountKey) -> Option<u64> {
        self.lock().entries.get(key).map(|entry| entry.epoch)
    }

    /// Has an account verified again soon, since the cloud refused its credentials.
    pub fn recheck(&self, key: &AccountKey) {
        for (kind, namespace, sender) in &self.lock().recheck {
            if *kind == key.kind && (namespace.is_none() || *namespace == key.namespace) {
                // The receiver is gone only when the process ends.
                let _ = sender.send(key.clone());
            }
        }
    }

    /// A backup is gone: it no longer queues for a permit.
    pub fn withdraw(&self, backup: &DatabaseBackup) {
        if let Some(entry) = self.lock().entries.get(&AccountKey::of(backup)) {
            entry.permits.withdraw(&backup.uid().unwrap_or_default());
        }
    }

    fn forget(&self, key: &AccountKey, now: Moment) {
        let mut state = self.lock();
        if let Some(entry) = state.entries.remove(key) {
            state.keep_former(key, &entry, now);
        }
    }

    /// The session that is open, what it was opened with, and what is remembered.
    pub(super) fn held(&self, key: &AccountKey) -> Held {
        let state = self.lock();
        state.entries.get(key).map_or_else(Held::default, |entry| Held {
            session: entry.session.clone(),
            opened_with: entry.opened_with.clone(),
            verification: entry.verification.clone(),
            memory: entry.memory.clone(),
        })
    }

    pub(super) fn permits(&self, ctx: &Arc<Context>, key: &AccountKey, rate: u32) -> Arc<Permits> {
        let mut state = self.lock();
        let entry = state.entries.entry(key.clone()).or_insert_with(|| Entry::new(ctx, rate));
        entry.permits.set_rate(rate);
        entry.permits.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is held of an account between two verifications.
#[derive(Clone, Default)]
pub(super) struct Held {
    pub session: Option<Arc<Session>>,
    pub opened_with: Option<String>,
    pub verification: Option<Verification>,
    pub memory: AccountMemory,
}

impl State {
    fn is_ready(&self, key: &AccountKey) -> bool {
        self.entries.get(key).is_some_and(|entry| matches!(entry.verification, Some(Ok(_))))
    }

    fn keep_former(&mut self, key: &AccountKey, entry: &Entry, now: Moment) {
        self.former.retain(|_, former| now.since(former.since) < KEPT);
        if let (Some(Ok(project)), Some(session)) = (&entry.verification, &entry.session)
            && !session.refused()
        {
            let former = Former { session: session.clone(), project: project.clone(), since: now, _pump: entry.pump.clone() };
            self.former.insert(key.clone(), former);
        }
    }

    fn why_absent(&self, key: &AccountKey) -> Account {
        if key.kind == AccountKind::ClusterCloudAccount && self.cluster_kind_denied {
            let message = "this operator may not read ClusterCloudAccounts: use a CloudAccount, or grant it the right".to_owned();
            return Account::Blocked { reason: Reason::AccountKindUnavailable, message };
        }
        if self.unsynced.get(&key.kind).is_none_or(|left| *left > 0) {
            return Account::Verifying;
        }
        let where_ = key.namespace.as_ref().map_or_else(String::new, |namespace| format!(" in namespace {namespace}"));
        let message = format!("there is no {key}{where_}: create it, or name another in spec.accountRef of a new DatabaseBackup");
        Account::Blocked { reason: Reason::AccountNotFound, message }
    }
}

impl Entry {
    fn new(ctx: &Arc<Context>, rate: u32) -> Self {
        let permits = Arc::new(Permits::new(rate));
        let (weak, granting) = (Arc::downgrade(ctx), permits.clone());
        let pump = tokio::spawn(async move {
            loop {
                let uid = granting.granted().await;
                match weak.upgrade() {
                    Some(ctx) => ctx.fleet.wake(&uid),
                    None => return,
                }
            }
        });
        Self {
            verification: None,
            session: None,
            opened_with: None,
            memory: AccountMemory::default(),
            is_skewed: false,
            epoch: 0,
            pump: Arc::new(Pump { permits: permits.clone(), _task: AbortOnDropHandle::new(pump) }),
            permits,
            allowed: None,
        }
    }
}
