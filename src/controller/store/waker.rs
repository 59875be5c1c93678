//! Has objects of a kind reconciled soon, without a change of theirs.

use kube::{Resource, runtime::reflector::ObjectRef};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Has objects of a kind reconciled soon, by whichever controller their namespace has.
pub struct Waker<K: Resource<DynamicType = ()>> {
    routes: Mutex<Vec<Route<K>>>,
}

struct Route<K: Resource<DynamicType = ()>> {
    namespace: Option<String>,
    sender: UnboundedSender<ObjectRef<K>>,
}

impl<K: Resource<DynamicType = ()>> Default for Waker<K> {
    fn default() -> Self {
        Self { routes: Mutex::default() }
    }
}

impl<K: Resource<DynamicType = ()>> Waker<K> {
    /// What the controller of a namespace (absent: all) has to reconcile comes out here from now on.
    pub fn open(&self, namespace: Option<String>) -> UnboundedReceiver<ObjectRef<K>> {
        let (sender, receiver) = unbounded_channel();
        self.lock().push(Route { namespace, sender });
        receiver
    }

    /// Has objects reconciled soon; before there is a controller for them, they are reconciled anyway.
    pub fn wake(&self, objects: &[ObjectRef<K>]) {
        for route in self.lock().iter() {
            for object in objects.iter().filter(|object| route.namespace.is_none() || route.namespace == object.namespace) {
                // The receiver is gone only when the process ends.
                let _ = route.sender.send(object.clone());
            }
        }
    }

    /// Every change under the lock is complete in itself.
    fn lock(&self) -> MutexGuard<'_, Vec<Route<K>>> {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::ConfigMap;

    fn woken(receiver: &mut UnboundedReceiver<ObjectRef<ConfigMap>>) -> Vec<String> {
        std::iter::from_fn(|| receiver.try_recv().ok()).map(|object| object.name).collect()
    }

    #[test]
    fn an_object_is_woken_where_its_namespace_is_reconciled_and_nowhere_else() {
        let waker = Waker::default();
        let (mut shop, mut all) = (waker.open(Some("shop".into())), waker.open(None));
        waker.wake(&[ObjectRef::new("a").within("shop"), ObjectRef::new("b").within("billing"), ObjectRef::new("c")]);
        assert_eq!(woken(&mut shop), ["a"]);
        assert_eq!(woken(&mut all), ["a", "b", "c"]);
    }
}
