//! What is known of an object without its whole: what questions about all of them are answered with.

use crate::{
    api::{
        backup::DatabaseBackup,
        status::{DatabaseBackupStatus, Phase},
    },
    cloud::engine::Engine,
    plan::{
        account::{AccountKey, needs_for_deletion},
        summary::{Spot, Standing},
    },
};
use std::{collections::HashSet, hash::Hash, sync::Arc};

/// What is known of an object without its whole.
pub(super) struct Facts {
    /// Its namespace; empty without one.
    pub(super) namespace: Arc<str>,
    /// The account that it names.
    pub(super) account: Arc<AccountKey>,
    /// The service.
    pub(super) engine: Engine,
    /// The instance.
    pub(super) instance_id: Arc<str>,
    /// Whether anything is still to be done for it, a deletion among it.
    pub(super) is_unfinished: bool,
    /// It is being deleted.
    pub(super) is_leaving: bool,
    /// Its account still has to delete its backup.
    pub(super) is_to_be_deleted: bool,
    /// What it says of its instance.
    pub(super) standing: Standing,
}

/// Names that many objects have in common, each kept once.
#[derive(Default)]
pub(super) struct Names {
    namespaces: HashSet<Arc<str>>,
    accounts: HashSet<Arc<AccountKey>>,
}

impl Facts {
    pub(super) fn of(object: &DatabaseBackup, names: &mut Names) -> Self {
        let (meta, source) = (&object.metadata, &object.spec.source);
        Self {
            namespace: once(&mut names.namespaces, meta.namespace.as_deref().unwrap_or_default().into()),
            account: once(&mut names.accounts, Arc::new(AccountKey::of(object))),
            engine: source.engine,
            instance_id: source.instance_id.as_str().into(),
            is_unfinished: is_unfinished(object),
            is_leaving: meta.deletion_timestamp.is_some(),
            is_to_be_deleted: needs_for_deletion(object),
            standing: Standing::of(object),
        }
    }

    pub(super) fn spot(&self) -> Spot<'_> {
        (&self.namespace, self.engine, &self.instance_id)
    }

    pub(super) fn is_in(&self, namespace: Option<&str>) -> bool {
        namespace.is_none_or(|namespace| *self.namespace == *namespace)
    }
}

impl Names {
    /// What these facts have in common with no others is no longer needed.
    pub(super) fn release(&mut self, facts: &Facts) {
        // One of them is in the set, the other in the facts.
        if Arc::strong_count(&facts.namespace) <= 2 {
            self.namespaces.remove(&facts.namespace);
        }
        if Arc::strong_count(&facts.account) <= 2 {
            self.accounts.remove(&facts.account);
        }
    }
}

fn once<T: Hash + Eq + ?Sized>(all: &mut HashSet<Arc<T>>, new: Arc<T>) -> Arc<T> {
    if let Some(known) = all.get(&new) {
        return known.clone();
    }
    all.insert(new.clone());
    new
}

fn is_unfinished(object: &DatabaseBackup) -> bool {
    let phase = object.status.as_ref().and_then(|status| status.phase);
    let is_under_way = matches!(phase, None | Some(Phase::Pending | Phase::Running));
    let is_to_go = |status: &DatabaseBackupStatus| status.expiration_time.is_some() || status.delete_reason.is_some();
    let goes = phase == Some(Phase::Completed) && object.status.as_ref().is_some_and(is_to_go);
    is_under_way || goes || object.metadata.deletion_timestamp.is_some()
}
