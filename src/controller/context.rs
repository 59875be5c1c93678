//! Everything that the controllers share. This is the only file that knows every store.

use super::{
    object::version,
    runtime::Runtime,
    store::{
        accounts::Accounts, backups::Backups, definitions::Definitions, gauges::Snapshot, leadership::Leadership, logins::Logins,
        schedules::Schedules,
    },
};
use crate::{
    api::backup::DatabaseBackup,
    cloud::{
        self,
        client::agents::{AgencyOptions, Agents},
        endpoints::EndpointPolicy,
    },
    plan::{
        account::{AccountKey, Users},
        backup::description::ClusterName,
        clock::Moment,
        settings::Settings,
        summary,
    },
};
use kube::ResourceExt;
use std::{collections::BTreeSet, sync::Arc};

/// Everything that the controllers share.
pub struct Context {
    /// The machinery of every controller: clients, clock, metrics.
    pub runtime: Arc<Runtime>,
    /// For the cloud.
    pub cloud: Arc<cloud::client::Client>,
    /// For what hands out keys on the operator's own machine.
    pub agents: Agents,
    /// The flags that reconciles depend on.
    pub options: Options,
    /// Every backup object in memory.
    pub backups: Backups,
    /// Every schedule in memory.
    pub schedules: Schedules,
    /// Every account in memory.
    pub accounts: Accounts,
    /// Logins by credential.
    pub logins: Logins,
    /// What is known of the served definitions.
    pub definitions: Definitions,
    /// Whether this process may act.
    pub leadership: Leadership,
}

impl Context {
    /// Now, by both clocks.
    pub fn now(&self) -> Moment {
        self.runtime.clock.now()
    }

    /// Whether something new may be started now. An older definition would drop what has to be stored first.
    pub fn may_act(&self) -> bool {
        self.leads() && self.definitions.are_served()
    }

    /// Whether the cloud may be asked to change anything now: the process is not about to end, and holds the lease.
    pub fn leads(&self) -> bool {
        !self.runtime.stop.is_cancelled() && self.leadership.is_held(self.now())
    }

    /// A version of a backup came from elsewhere than its watch, such as the answer to a write. Answers with the newest one that is known.
    pub fn newest_backup(&self, object: Arc<DatabaseBackup>) -> Arc<DatabaseBackup> {
        self.runtime.revisions.saw(version(object.as_ref()));
        self.backups.newest(object)
    }

    /// An object was read after a write of a version that was known: if it is older, the API server's storage was put back.
    pub fn notice_version<K: ResourceExt>(&self, found: &K, known: &K) {
        if version(found).zip(version(known)).is_some_and(|(found, known)| found < known) {
            self.storage_was_put_back();
        }
    }

    /// What is known of an account has changed: whoever names it is woken.
    pub fn wake_users_of(&self, account: &AccountKey) {
        self.backups.wake_account(account);
        self.schedules.wake_account(account);
    }

    /// Whether every backup is known that the operator takes care of.
    pub fn know_all_backups(&self) -> bool {
        self.know_backups_of(|_| true)
    }

    /// Whether the watches meant (each is of a namespace; absent: of all) have shown every backup.
    fn know_backups_of(&self, is_meant: impl Fn(&Option<String>) -> bool) -> bool {
        self.options.scopes().iter().filter(|scope| is_meant(scope)).all(|scope| self.backups.are_listed(scope.as_deref()))
    }

    /// How many objects need an account; absent while not every object that may name it has been seen.
    pub fn users_of(&self, account: &AccountKey) -> Option<Users> {
        let may_name = |scope: &Option<String>| scope.is_none() || account.namespace.is_none() || *scope == account.namespace;
        self.know_backups_of(may_name).then(|| {
            let backups = self.backups.users_of(account);
            Users { all: backups.all + self.schedules.naming(account), ..backups }
        })
    }

    /// Whether anything can go on that could not has changed: whoever is not at its end is woken.
    pub fn wake_unfinished(&self) {
        self.backups.wake_unfinished();
        self.schedules.wake_all();
    }

    /// The API server's storage was put back: what was known of the objects is forgotten, as by a restart, and everything is listed afresh.
    pub fn storage_was_put_back(&self) {
        tracing::warn!(
            "the API server's store was put back to an earlier state: everything is listed afresh, and looked for before it is asked for again"
        );
        self.backups.put_back(self.now());
        self.schedules.put_back(self.now());
        self.runtime.revisions.forget();
    }

    /// How things stand, for a scrape. A replica that stands by has no objects in memory, and so no series about them.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            phases: self.backups.count_by_phase(),
            summaries: self.backups.summaries(),
            accounts: summary::accounts(self.accounts.readiness()),
            schedules: self.schedules.all(),
            leads: self.may_act(),
            failing_watches: self.runtime.health.failing_watches(),
        }
    }
}

/// The flags that reconciles depend on.
#[derive(Clone, Debug)]
pub struct Options {
    /// The namespaces to watch; empty for all.
    pub namespaces: Vec<String>,
    /// The timings.
    pub settings: Settings,
    /// Where the Secrets of cluster accounts live.
    pub cluster_resource_namespace: String,
    /// What the accounts' own endpoints have to keep to.
    pub endpoint_policy: EndpointPolicy,
    /// Where agencies of the operator's own machine are had.
    pub agencies: AgencyOptions,
    /// What this cluster is called in the descriptions of backups.
    pub cluster_name: ClusterName,
}

impl Options {
    /// What each controller of a namespaced kind is about: every namespace, or one of those to watch. Each once: two controllers of one object would work on it
    /// at the same time.
    pub fn scopes(&self) -> Vec<Option<String>> {
        let once: BTreeSet<String> = self.namespaces.iter().cloned().collect();
        if once.is_empty() { vec![None] } else { once.into_iter().map(Some).collect() }
    }
}
