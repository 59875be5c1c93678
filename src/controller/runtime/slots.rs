//! How many reconciles of a controller run at once.

use std::{future::Future, sync::Arc};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The slots of a controller: so many of its reconciles run at once, calls of the cloud left out.
#[derive(Clone, Debug)]
pub(super) struct Slots(Arc<Semaphore>);

/// A slot that a reconcile has taken.
#[derive(Debug)]
pub struct Slot {
    slots: Slots,
    held: Option<OwnedSemaphorePermit>,
}

impl Slots {
    pub(super) fn new(count: u16) -> Self {
        Self(Arc::new(Semaphore::new(count.into())))
    }

    /// Waits for a slot.
    pub(super) async fn take(&self) -> Slot {
        Slot { held: self.acquire().await, slots: self.clone() }
    }

    /// Nobody closes the semaphore.
    async fn acquire(&self) -> Option<OwnedSemaphorePermit> {
        self.0.clone().acquire_owned().await.ok()
    }
}

impl Slot {
    /// Waits for somebody who may take long, such as the cloud, and lets others have the slot meanwhile: calls that hang in one place keep nobody from
    /// the calls of another.
    pub async fn outside<T>(&mut self, call: impl Future<Output = T>) -> T {
        self.held = None;
        let answer = call.await;
        self.held = self.slots.acquire().await;
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
        let slots = Slots::new(1);
        let mut first = slots.take().await;
        assert!(timeout(Duration::from_secs(3600), slots.take()).await.is_err(), "it is taken");
        let was_free = first.outside(async { timeout(Duration::from_secs(3600), slots.take()).await.is_ok() }).await;
        assert!(was_free, "meanwhile");
        assert!(timeout(Duration::from_secs(3600), slots.take()).await.is_err(), "it is taken again");
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_comes_back_from_outside_waits_until_a_slot_is_free() {
        let slots = Slots::new(1);
        let mut first = slots.take().await;
        let mut other = None;
        let back = first.outside(async { other = Some(slots.take().await) });
        assert!(timeout(Duration::from_secs(3600), back).await.is_err(), "the other one has it");
    }
}
