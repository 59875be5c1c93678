//! Every account in memory: what backups see of them, and what they need of them.

use super::{queue::Key, waker::Waker};
use crate::{
    api::{
        account::AllowedNamespaces,
        backup::{AccountKind, DatabaseBackup},
    },
    cloud::{
        engine::Engine,
        permits::Permits,
        session::{Session, Unreached},
    },
    plan::{
        account::{AccountKey, AccountMemory, AccountReason, Verification, seen_by_backups},
        backup::{reason::Reason, seen::Account},
        clock::Moment,
        place::{Place, Project},
    },
};
use kube::ResourceExt;
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_util::task::AbortOnDropHandle;

/// Every account in memory.
pub struct Accounts {
    state: Mutex<State>,
    /// Has accounts verified soon.
    pub waker: Waker,
    /// Has cluster accounts verified soon.
    pub cluster_waker: Waker,
    /// Where the UID of every object goes that a permit was granted to.
    granted: UnboundedSender<String>,
}

#[derive(Default)]
struct State {
    entries: HashMap<AccountKey, AccountEntry>,
    /// Whether the watches of a kind were begun at all.
    expected: HashSet<AccountKind>,
    /// Those of its watches that have not shown everything yet, by namespace.
    unsynced: HashSet<(AccountKind, Option<String>)>,
    /// The operator may not read cluster accounts.
    cluster_kind_denied: bool,
    credentials_generations: u64,
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
struct AccountEntry {
    verification: Option<Verification>,
    session: Option<Arc<Session>>,
    /// What the session was opened with: it is kept while that stays the same.
    opened_with: Option<String>,
    memory: AccountMemory,
    /// The services that could not be reached when that was last tried; absent before this process tried it.
    unreached: Option<Vec<Unreached>>,
    /// What the account says of the clocks.
    is_skewed: bool,
    credentials_generation: u64,
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
    /// An empty store; and where the UID of every object comes out that queued for a permit and was granted one, whatever its kind.
    pub fn new() -> (Self, UnboundedReceiver<String>) {
        let (granted, receiver) = unbounded_channel();
        let (waker, cluster_waker) = (Waker::default(), Waker::default());
        (Self { state: Mutex::default(), waker, cluster_waker, granted }, receiver)
    }

    /// Backups wait and write nothing until the watches of these namespaces (absent: all, or the cluster kind) have shown everything.
    pub fn expect(&self, kind: AccountKind, namespaces: &[Option<String>]) {
        let mut state = self.lock();
        state.expected.insert(kind);
        state.unsynced.extend(namespaces.iter().map(|namespace| (kind, namespace.clone())));
    }

    /// The watches that have not shown everything yet: kind, and namespace where it is of one.
    pub fn unsynced(&self) -> Vec<(AccountKind, Option<String>)> {
        self.lock().unsynced.iter().cloned().collect()
    }

    /// Whether the operator may read cluster accounts. Where it may not, there are none to wait for; where it may, their watch begins now.
    pub fn may_read_cluster_kind(&self, may: bool) {
        let mut state = self.lock();
        state.cluster_kind_denied = !may;
        let watch = (AccountKind::ClusterCloudAccount, None);
        if may {
            state.unsynced.insert(watch);
        } else {
            state.unsynced.remove(&watch);
        }
    }

    /// A listing of a namespace (absent: all, or the cluster kind) showed exactly these accounts, with their request rates. They are known from now on, if
    /// not verified yet: once everything was shown, whatever is not known does not exist.
    pub fn listed(&self, kind: AccountKind, namespace: Option<&str>, accounts: &[(AccountKey, u32)], now: Moment) -> ListingChanges {
        for (key, rate) in accounts {
            self.permits(key, *rate);
        }
        let listed: HashSet<&AccountKey> = accounts.iter().map(|(key, _)| key).collect();
        let mut state = self.lock();
        let known = state.entries.keys().filter(|key| key.kind == kind && (namespace.is_none() || key.namespace.as_deref() == namespace));
        let gone: Vec<AccountKey> = known.filter(|key| !listed.contains(key)).cloned().collect();
        for key in &gone {
            state.forget(key, now);
        }
        ListingChanges { gone, is_first: state.unsynced.remove(&(kind, namespace.map(ToOwned::to_owned))) }
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
            let account = Account::Ready { place, allowed: false, credentials_generation: 0, cloud_now: former.session.cloud_now() };
            let permits = Some(former.session.permits());
            return Use { account, session: Some(former.session.clone()), permits, allowed: None };
        }
        state.used_by(&key, engine)
    }

    /// What somebody needs of an account for an engine, who has nothing in the cloud that would have to be deleted.
    pub fn for_engine(&self, key: &AccountKey, engine: Engine) -> Use {
        self.lock().used_by(key, engine)
    }

    /// Where an account points, if it is ready.
    pub fn project(&self, key: &AccountKey) -> Option<Project> {
        self.lock().entries.get(key)?.verification.as_ref()?.as_ref().ok().map(|access| access.project.clone())
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
        entry.session.clone().filter(|session| !session.refused())
    }

    /// Every account, and whether it can be used; sorted.
    pub fn readiness(&self) -> Vec<(AccountKey, bool)> {
        let state = self.lock();
        let mut all: Vec<_> = state.entries.keys().map(|key| (key.clone(), state.is_ready(key))).collect();
        drop(state);
        all.sort();
        all
    }

    /// The generation of the account's credentials: grows with each new session.
    pub fn credentials_generation(&self, key: &AccountKey) -> Option<u64> {
        self.lock().entries.get(key).map(|entry| entry.credentials_generation)
    }

    /// Has every account verified again soon whose credentials the cloud has refused, by whichever account it was told.
    pub fn recheck_refused(&self) {
        let is_refused = |entry: &AccountEntry| {
            matches!(entry.verification, Some(Ok(_))) && entry.session.as_ref().is_some_and(|session| session.refused())
        };
        let refused: Vec<AccountKey> =
            self.lock().entries.iter().filter(|(_, entry)| is_refused(entry)).map(|(key, _)| key.clone()).collect();
        for key in &refused {
            self.recheck(key);
        }
    }

    /// Has an account verified again soon, since the cloud refused its credentials.
    pub fn recheck(&self, key: &AccountKey) {
        match key.kind {
            AccountKind::CloudAccount => self.waker.wake([name(key)]),
            AccountKind::ClusterCloudAccount => self.cluster_waker.wake([name(key)]),
        }
    }

    /// A backup is gone: it no longer queues for a permit.
    pub fn withdraw(&self, backup: &DatabaseBackup) {
        if let Some(entry) = self.lock().entries.get(&AccountKey::of(backup)) {
            entry.permits.withdraw(&backup.uid().unwrap_or_default());
        }
    }

    /// An account is gone. Backups that are being deleted may use its last good session for a while.
    pub fn forget(&self, key: &AccountKey, now: Moment) {
        self.lock().forget(key, now);
    }

    /// It was tried which services an account reaches. Has it looked at soon where that has changed.
    pub fn tried_services(&self, key: &AccountKey, unreached: Vec<Unreached>) {
        let is_other = self.lock().entries.get_mut(key).is_some_and(|entry| {
            let unreached = Some(unreached);
            std::mem::replace(&mut entry.unreached, unreached.clone()) != unreached
        });
        if is_other {
            self.recheck(key);
        }
    }

    /// The session that is open, what it was opened with, and what is remembered.
    pub fn held(&self, key: &AccountKey) -> Held {
        let state = self.lock();
        state.entries.get(key).map_or_else(Held::default, |entry| Held {
            session: entry.session.clone(),
            opened_with: entry.opened_with.clone(),
            verification: entry.verification.clone(),
            memory: entry.memory.clone(),
            unreached: entry.unreached.clone(),
        })
    }

    /// An account's permits, at this rate from now on. It is known from now on, too.
    pub fn permits(&self, key: &AccountKey, rate: u32) -> Arc<Permits> {
        let mut state = self.lock();
        let entry = state.entries.entry(key.clone()).or_insert_with(|| AccountEntry::new(self.granted.clone(), rate));
        entry.permits.set_rate(rate);
        entry.permits.clone()
    }

    /// Stores a verification; answers whether backups see anything new.
    pub fn keep(&self, key: &AccountKey, held: Held, allowed: Option<AllowedNamespaces>, is_skewed: bool, now: Moment) -> bool {
        let mut state = self.lock();
        state.credentials_generations += 1;
        let credentials_generation = state.credentials_generations;
        // Deleted meanwhile: there is nothing to keep.
        let Some(mut entry) = state.entries.remove(key) else { return false };
        match &held.verification {
            Some(Ok(_)) => drop(state.former.remove(key)),
            // Credentials that the cloud refuses are good for nothing any more.
            Some(Err(error)) if error.reason == AccountReason::AuthenticationFailed => {}
            Some(Err(_)) | None => state.keep_former(key, &entry, now),
        }
        // A session that was renewed in time changes nothing for anybody.
        let is_replaced = match (&entry.session, &held.session) {
            (Some(before), Some(now)) => before.refused() && !Arc::ptr_eq(before, now),
            (before, now) => before.is_some() != now.is_some(),
        };
        let is_other = entry.opened_with != held.opened_with || entry.verification != held.verification || entry.allowed != allowed;
        let changed = is_replaced || is_other;
        if changed {
            entry.credentials_generation = credentials_generation;
        }
        (entry.session, entry.opened_with, entry.verification, entry.memory) =
            (held.session, held.opened_with, held.verification, held.memory);
        (entry.allowed, entry.is_skewed) = (allowed, is_skewed);
        state.entries.insert(key.clone(), entry);
        changed
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is held of an account between two verifications.
#[derive(Clone, Default)]
pub struct Held {
    /// Open, if the account is ready.
    pub session: Option<Arc<Session>>,
    /// What the session was opened with, or refused with.
    pub opened_with: Option<String>,
    /// What the last verification showed.
    pub verification: Option<Verification>,
    /// What is remembered of earlier ones.
    pub memory: AccountMemory,
    /// The services that could not be reached when that was last tried; absent before this process tried it.
    pub unreached: Option<Vec<Unreached>>,
}

/// What a listing of accounts changed.
#[derive(Debug, PartialEq, Eq)]
pub struct ListingChanges {
    /// Accounts that are gone.
    pub gone: Vec<AccountKey>,
    /// It is the first one of its watch: backups that waited for it are to be looked at.
    pub is_first: bool,
}

/// By what the accounts of a kind are woken.
fn name(key: &AccountKey) -> Key {
    Key::new(key.namespace.as_deref(), &key.name)
}

impl State {
    fn used_by(&self, key: &AccountKey, engine: Engine) -> Use {
        let nothing = |account| Use { account, session: None, permits: None, allowed: None };
        let Some(entry) = self.entries.get(key) else { return nothing(self.why_absent(key)) };
        let session = entry.session.as_ref();
        let host = session.and_then(|session| session.host(engine)).unwrap_or_default();
        let account = match &entry.verification {
            // The cloud has refused it since: it is verified again, and nobody tries before that.
            Some(Ok(_)) if session.is_some_and(|session| session.refused()) => Account::Verifying,
            Some(verification) => {
                let cloud_now = session.and_then(|session| session.cloud_now());
                seen_by_backups(verification, key, entry.credentials_generation, host, cloud_now)
            }
            None => Account::Verifying,
        };
        Use { account, session: entry.session.clone(), permits: Some(entry.permits.clone()), allowed: entry.allowed.clone() }
    }

    fn is_ready(&self, key: &AccountKey) -> bool {
        self.entries.get(key).is_some_and(|entry| matches!(entry.verification, Some(Ok(_))))
    }

    fn forget(&mut self, key: &AccountKey, now: Moment) {
        if let Some(entry) = self.entries.remove(key) {
            self.keep_former(key, &entry, now);
        }
    }

    fn keep_former(&mut self, key: &AccountKey, entry: &AccountEntry, now: Moment) {
        self.former.retain(|_, former| now.since(former.since) < KEPT);
        if let (Some(Ok(access)), Some(session)) = (&entry.verification, &entry.session)
            && !session.refused()
        {
            let former = Former { session: session.clone(), project: access.project.clone(), since: now, _pump: entry.pump.clone() };
            self.former.insert(key.clone(), former);
        }
    }

    fn why_absent(&self, key: &AccountKey) -> Account {
        if key.kind == AccountKind::ClusterCloudAccount && self.cluster_kind_denied {
            let message = "this operator may not read ClusterCloudAccounts: use a CloudAccount, or grant it the right".to_owned();
            return Account::Blocked { reason: Reason::AccountKindUnavailable, message };
        }
        // A watch of another namespace that shows nothing keeps nobody here waiting.
        let may_show =
            |(kind, namespace): &(AccountKind, Option<String>)| *kind == key.kind && (namespace.is_none() || *namespace == key.namespace);
        if !self.expected.contains(&key.kind) || self.unsynced.iter().any(may_show) {
            return Account::Verifying;
        }
        let where_ = key.namespace.as_ref().map_or_else(String::new, |namespace| format!(" in namespace {namespace}"));
        let message = format!("there is no {key}{where_}: create it, or name another in spec.accountRef of a new DatabaseBackup");
        Account::Blocked { reason: Reason::AccountNotFound, message }
    }
}

impl AccountEntry {
    fn new(granted: UnboundedSender<String>, rate: u32) -> Self {
        let permits = Arc::new(Permits::new(rate));
        let granting = permits.clone();
        let pump = tokio::spawn(async move {
            // The receiver is gone only when the process ends.
            while granted.send(granting.granted().await).is_ok() {}
        });
        Self {
            verification: None,
            session: None,
            opened_with: None,
            memory: AccountMemory::default(),
            unreached: None,
            is_skewed: false,
            credentials_generation: 0,
            pump: Arc::new(Pump { permits: permits.clone(), _task: AbortOnDropHandle::new(pump) }),
            permits,
            allowed: None,
        }
    }
}

#[cfg(test)]
mod tests;
