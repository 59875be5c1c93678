//! Which watches cannot list.

use std::{
    collections::BTreeMap,
    error::Error,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// The watches whose latest listing failed, and why. A watch is known by what it is about, in words.
#[derive(Default)]
pub struct Health {
    not_listed: Mutex<BTreeMap<String, String>>,
}

impl Health {
    /// A listing brought a watch up to date.
    pub fn listed(&self, watch: &str) {
        self.lock().remove(watch);
    }

    /// A watch that was begun, or broke, could not list: until it does, it sees nothing.
    pub fn not_listed(&self, watch: &str, error: &(dyn Error + 'static)) {
        self.lock().insert(watch.to_owned(), innermost(error));
    }

    /// How many watches cannot list.
    pub fn failing_watches(&self) -> usize {
        self.lock().len()
    }

    /// One of the watches that cannot list, and why.
    pub fn failing(&self) -> Option<(String, String)> {
        self.lock().first_key_value().map(|(watch, cause)| (watch.clone(), cause.clone()))
    }

    /// Every change under the lock is complete in itself.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.not_listed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The innermost cause: the outer ones only say that there is one.
pub fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
