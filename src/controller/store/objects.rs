//! The newest version of each object of a kind, by namespace and name.

use kube::{Resource, ResourceExt};
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Namespace, if the kind has one, and name.
type Name = (Option<String>, String);

/// Every object of a kind that its watch showed.
pub struct Objects<K> {
    state: Mutex<State<K>>,
}

struct State<K> {
    objects: HashMap<Name, Arc<K>>,
    /// Those that the listing under way has not shown yet.
    unlisted: HashSet<Name>,
}

impl<K> Default for Objects<K> {
    fn default() -> Self {
        Self { state: Mutex::new(State { objects: HashMap::new(), unlisted: HashSet::new() }) }
    }
}

impl<K: Resource<DynamicType = ()>> Objects<K> {
    /// The newest version of an object.
    pub fn get(&self, namespace: Option<&str>, name: &str) -> Option<Arc<K>> {
        self.lock().objects.get(&(namespace.map(ToOwned::to_owned), name.to_owned())).cloned()
    }

    /// A version of an object.
    pub fn put(&self, object: Arc<K>) {
        let (name, mut state) = (name(object.as_ref()), self.lock());
        state.unlisted.remove(&name);
        state.objects.insert(name, object);
    }

    /// An object is gone.
    pub fn remove(&self, object: &K) {
        self.lock().objects.remove(&name(object));
    }

    /// A listing begins.
    pub fn begin_listing(&self) {
        let mut state = self.lock();
        state.unlisted = state.objects.keys().cloned().collect();
    }

    /// A listing has shown everything that there is: the rest is gone. Answers with what there is.
    pub fn end_listing(&self) -> Vec<Arc<K>> {
        let mut state = self.lock();
        let unlisted = std::mem::take(&mut state.unlisted);
        state.objects.retain(|name, _| !unlisted.contains(name));
        state.objects.values().cloned().collect()
    }

    /// Every change under the lock is complete in itself.
    fn lock(&self) -> MutexGuard<'_, State<K>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn name<K: Resource<DynamicType = ()>>(object: &K) -> Name {
    (object.namespace(), object.name_any())
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::ConfigMap;

    fn object(name: &str) -> Arc<ConfigMap> {
        let mut object = ConfigMap::default();
        object.metadata.name = Some(name.into());
        Arc::new(object)
    }

    #[test]
    fn what_a_whole_listing_does_not_show_is_gone_and_not_before_its_end() {
        let objects = Objects::default();
        for name in ["kept", "gone"] {
            objects.put(object(name));
        }
        // A listing that broke off says nothing.
        objects.begin_listing();
        objects.begin_listing();
        objects.put(object("kept"));
        objects.put(object("new"));
        assert!(objects.get(None, "gone").is_some());
        let mut names: Vec<String> = objects.end_listing().iter().map(|object| object.name_any()).collect();
        names.sort();
        assert_eq!(names, ["kept", "new"]);
        assert!(objects.get(None, "gone").is_none());
    }
}
