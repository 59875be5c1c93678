//! A Kubernetes operator that takes backups of managed cloud databases exactly once, and says truthfully how they went.
//!
//! The house, from the roof down; a lower floor never uses an upper one (kept by `tests/house/`):
//!
//! | floor | what lives there | may use |
//! |---|---|---|
//! | [`process`] | flags, telemetry, HTTP, signals | everything |
//! | [`controller`] | observe, carry out, write status: the only users of kube's client | `plan`, `api`, `cloud` |
//! | [`plan`] | the decisions: pure functions, the clock is an argument | `api`, `cloud` |
//! | [`api`] | the kinds: spec, status, conditions, CEL | the names in `cloud` |
//! | [`cloud`] | what the vendor's services are asked and answer; knows nothing of Kubernetes | – |

// The library never panics, whatever comes from outside; with the lints of Cargo.toml nothing in it can. A test ends where something is wrong.
#![cfg_attr(
    not(test),
    warn(
        clippy::get_unwrap,
        clippy::indexing_slicing,
        clippy::panic_in_result_fn,
        clippy::string_slice,
        clippy::todo,
        clippy::unimplemented,
        clippy::unreachable,
        clippy::unwrap_in_result
    )
)]

pub mod api;
pub mod cloud;
#[cfg(feature = "operator")]
pub mod controller;
#[cfg(feature = "operator")]
pub mod plan;
#[cfg(feature = "operator")]
pub mod process;
