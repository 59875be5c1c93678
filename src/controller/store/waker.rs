//! Has objects of a kind reconciled soon, without a change of theirs.

use super::queue::{Key, Queue};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Has objects of a kind reconciled soon, by whichever controller their namespace has.
#[derive(Default)]
pub struct Waker {
    routes: Mutex<Vec<Route>>,
}

struct Route {
    namespace: Option<String>,
    queue: Arc<Queue>,
}

impl Waker {
    /// The queue of the controller of a namespace (absent: all): whatever is woken there goes into it from now on.
    pub fn open(&self, namespace: Option<&str>) -> Arc<Queue> {
        let queue = Arc::new(Queue::default());
        self.lock().push(Route { namespace: namespace.map(ToOwned::to_owned), queue: queue.clone() });
        queue
    }

    /// Has objects reconciled soon; before there is a controller for them, they are reconciled anyway.
    pub fn wake(&self, keys: impl IntoIterator<Item = Key>) {
        let routes = self.lock();
        for key in keys {
            for route in routes.iter().filter(|route| route.namespace.is_none() || route.namespace.as_deref() == key.namespace.as_deref()) {
                route.queue.add(key.clone());
            }
        }
    }

    /// Every change under the lock is complete in itself.
    fn lock(&self) -> MutexGuard<'_, Vec<Route>> {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_woken_where_its_namespace_is_reconciled_and_nowhere_else() {
        let waker = Waker::default();
        let (shop, all) = (waker.open(Some("shop")), waker.open(None));
        let keys = [Key::new(Some("shop"), "a"), Key::new(Some("billing"), "b"), Key::new(None, "c")];
        waker.wake(keys.clone());
        assert_eq!(shop.drain(), keys[..1]);
        assert_eq!(all.drain(), keys);
    }
}
