//! The machinery of a controller, for any kind.
//!
//! | file | what it does |
//! |---|---|
//! | [`drive`] | sets a controller up and runs it |
//! | [`watch`] | the watch that feeds the memory before it causes a reconcile |
//! | [`places`] | places of which there are a few, and in which namespaces take turns |
//! | [`slots`] | how many reconciles of a controller run at once |
//! | `streaming` | everything that there is, and then every change, one object at a time |
//! | `readable` | leaves objects alone that cannot be read |
//! | [`mod@write`] | status and finalizers by compare-and-swap |
//! | `refusal` | tells of a write that the API server refuses |
//! | `lanes` | a bounded queue that nobody waits at, with a few workers behind it |
//! | [`events`] | Events, written in the background |

pub mod drive;
pub mod events;
mod lanes;
pub mod places;
mod readable;
mod refusal;
pub mod slots;
mod streaming;
pub mod watch;
pub mod write;

use super::{
    clock::Clock,
    store::{health::Health, metrics::Metrics, refusals::Refusals, revisions::Revisions},
};
use events::Events;
use kube::Client;
use places::Places;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Answers of the API server that are in memory at once and hold a whole object: each may have a megabyte and a half.
pub const ANSWERS: usize = 16;

/// What every controller needs, of whatever kind.
pub struct Runtime {
    /// For single requests: its short timeouts keep a silent API server from holding a reconcile.
    pub client: Client,
    /// For watches.
    pub watcher: Client,
    /// Takes Events in.
    pub events: Events,
    /// Tells the time.
    pub clock: Clock,
    /// Reconciles at once, of each kind.
    pub concurrency: u16,
    /// Room for answers of the API server that hold a whole object ([`ANSWERS`]).
    pub answers: Places,
    /// Cancelled when the process is about to end: nothing new is started.
    pub stop: CancellationToken,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Which watches cannot list.
    pub health: Health,
    /// Which refused writes people were told of.
    pub refusals: Refusals,
    /// What is known of the API server's revisions.
    pub revisions: Revisions,
}
