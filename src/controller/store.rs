//! Whether the API server's store was put back to an earlier state, as by a restored etcd snapshot.
//!
//! Versions only grow (`resourceVersion` is the store's revision), and a read begins after everything that was answered before it. So a version lower than
//! one that was known before the read says that the store was put back. A watch does not say so by itself: it waits for a version that lies in the future.

use super::context::Context;
use crate::api::backup::DatabaseBackup;
use kube::{
    Api,
    api::{ListParams, PartialObjectMeta},
};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use tokio::{
    sync::watch::{Receiver, Sender},
    time::sleep,
};

/// What is known of the store.
pub struct Store {
    /// The highest version that anybody was answered with.
    highest: AtomicU64,
    /// How often it was put back.
    put_back: Sender<u64>,
}

impl Default for Store {
    fn default() -> Self {
        Self { highest: AtomicU64::new(0), put_back: Sender::new(0) }
    }
}

impl Store {
    /// Hears whenever the store was put back.
    pub fn subscribe(&self) -> Receiver<u64> {
        self.put_back.subscribe()
    }

    /// An object of this version was seen.
    pub fn saw(&self, version: Option<u64>) {
        if let Some(version) = version {
            self.highest.fetch_max(version, Ordering::SeqCst);
        }
    }

    fn highest(&self) -> u64 {
        self.highest.load(Ordering::SeqCst)
    }

    fn forget(&self) {
        self.highest.store(0, Ordering::SeqCst);
        self.put_back.send_modify(|times| *times += 1);
    }
}

impl Context {
    /// The store was put back: what was known of the objects is forgotten, as by a restart, and everything is listed afresh.
    pub fn store_was_put_back(&self) {
        tracing::warn!(
            "the API server's store was put back to an earlier state: everything is listed afresh, and looked for before it is asked for again"
        );
        self.fleet.put_back(self.clock.now());
        self.store.forget();
    }
}

/// Asks for the store's revision again and again, and compares it with what was seen before.
pub async fn watch(ctx: Arc<Context>) -> ! {
    loop {
        sleep(ctx.options.settings.poll_interval).await;
        let known = ctx.store.highest();
        if revision(&ctx).await.is_some_and(|revision| revision < known) {
            ctx.store_was_put_back();
        }
    }
}

/// The store's revision, as a listing of one object's metadata tells it; absent where the API server does not answer.
async fn revision(ctx: &Context) -> Option<u64> {
    let api: Api<PartialObjectMeta<DatabaseBackup>> = match ctx.options.namespaces.first() {
        Some(namespace) => Api::namespaced(ctx.client.clone(), namespace),
        None => Api::all(ctx.client.clone()),
    };
    let listed = api.list_metadata(&ListParams::default().limit(1)).await.ok()?;
    listed.metadata.resource_version?.parse().ok()
}
