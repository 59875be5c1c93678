//! How many reconciles of a controller run at once.

use super::places::{Place, Places};
use std::future::Future;

/// The slot that a reconcile has taken; calls of the cloud are made outside it.
#[derive(Debug)]
pub struct Slot {
    slots: Places,
    namespace: String,
    held: Option<Place>,
}

impl Slot {
    /// Waits for a slot on behalf of a namespace.
    pub(super) async fn take(slots: &Places, namespace: String) -> Self {
        Self { held: slots.take(&namespace).await, slots: slots.clone(), namespace }
    }

    /// Waits for somebody who may take long, such as the cloud, and lets others have the slot meanwhile: calls that hang in one place keep nobody from
    /// the calls of another.
    pub async fn outside<T>(&mut self, call: impl Future<Output = T>) -> T {
        self.held = None;
        let answer = call.await;
        self.held = self.slots.take(&self.namespace).await;
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::timeout;

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_outside_leaves_the_slot_to_others_and_takes_one_again() {
        let slots = Places::new(1);
        let mut first = Slot::take(&slots, "shop".into()).await;
        assert!(timeout(Duration::from_secs(3600), Slot::take(&slots, "shop".into())).await.is_err(), "it is taken");
        let was_free = first.outside(async { timeout(Duration::from_secs(3600), Slot::take(&slots, "shop".into())).await.is_ok() }).await;
        assert!(was_free, "meanwhile");
        assert!(timeout(Duration::from_secs(3600), Slot::take(&slots, "shop".into())).await.is_err(), "it is taken again");
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_comes_back_from_outside_waits_until_a_slot_is_free() {
        let slots = Places::new(1);
        let mut first = Slot::take(&slots, "shop".into()).await;
        let mut other = None;
        let back = first.outside(async { other = Some(Slot::take(&slots, "shop".into()).await) });
        assert!(timeout(Duration::from_secs(3600), back).await.is_err(), "the other one has it");
    }
}
