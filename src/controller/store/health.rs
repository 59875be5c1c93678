//! Which watches cannot list.

use crate::controller::api_error::explained;
use std::{
    collections::BTreeMap,
    error::Error,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// What a watch is about: a kind, and a namespace if it is about one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subject {
    /// Kind.
    pub kind: &'static str,
    /// Namespace; absent for all, and for a kind without.
    pub namespace: Option<String>,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{} of namespace {namespace}", self.kind),
            None => f.write_str(self.kind),
        }
    }
}

/// The watches whose latest listing failed, and why.
#[derive(Default)]
pub struct Health {
    not_listed: Mutex<BTreeMap<Subject, String>>,
}

impl Health {
    /// A listing brought a watch up to date.
    pub fn listed(&self, watch: &Subject) {
        self.lock().remove(watch);
    }

    /// A watch that was begun, or broke, could not list: until it does, it sees nothing.
    pub fn not_listed(&self, watch: &Subject, error: &(dyn Error + 'static)) {
        self.lock().insert(watch.clone(), explained(error));
    }

    /// How many watches cannot list.
    pub fn failing_watches(&self) -> usize {
        self.lock().len()
    }

    /// In words, that the watch of a kind in a namespace (absent: all, or a kind without) cannot list, and why.
    pub fn failing(&self, kind: &'static str, namespace: Option<&str>) -> Option<String> {
        let watch = Subject { kind, namespace: namespace.map(ToOwned::to_owned) };
        self.lock().get(&watch).map(|cause| format!("{watch} cannot be listed: {cause}"))
    }

    /// Every change under the lock is complete in itself.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Subject, String>> {
        self.not_listed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
