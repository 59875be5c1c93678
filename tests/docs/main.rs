//! The documentation against the sources: what it links to is there, what is made from the sources is current, and the tables name all that there is and
//! nothing else. `BLESS=1 cargo test --test docs` writes anew what is made. `tests/system/docs.rs` runs the commands.

#![allow(clippy::expect_used, clippy::panic, reason = "a test ends where something is not as it has to be")]

mod api;
mod engines;
mod flags;
mod form;
mod generated;
mod hosts;
mod links;
mod markdown;
mod metrics;
mod permissions;
mod schedules;
#[allow(dead_code, reason = "the house's reader of sources, of which this uses a part")]
#[path = "../house/source.rs"]
mod source;
mod states;
