//! What is kept in memory. No store knows who calls it, and a test can make each alone.
//!
//! | store | what it holds |
//! |---|---|
//! | [`backups`] | every backup object: newest version, what this process knows of it, the queue of its instance |
//! | [`schedules`] | every schedule: newest version, what this process knows of it |
//! | [`accounts`] | every account: what backups see of it, its session, its request rate |
//! | [`logins`] | logins by credential: one at a time, and what is remembered of them |
//! | [`revisions`] | the API server's newest revision, and whether its storage was put back |
//! | [`definitions`] | whether the API server serves this version's definitions |
//! | [`leadership`] | whether this process may act |
//! | [`health`] | which watches cannot list |
//! | [`refusals`] | which refused writes people were told of |
//! | [`metrics`], [`gauges`] | what is counted, and what is read off the stores at a scrape |
//! | [`queue`], [`waker`] | what a controller has to reconcile, and when; has objects reconciled soon |
//! | [`objects`] | the newest version of each object of a kind that has no store of its own |

pub mod accounts;
pub mod backups;
pub mod definitions;
pub mod gauges;
pub mod health;
pub mod leadership;
pub mod logins;
pub mod metrics;
pub mod objects;
pub mod queue;
pub mod refusals;
pub mod revisions;
pub mod schedules;
pub mod waker;
