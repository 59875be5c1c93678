//! The whole: the real operator, a real kube-apiserver and etcd, the simulated cloud; used with kubectl as a person would.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    clippy::match_wild_err_arm,
    reason = "a test ends where something is not as it has to be"
)]

#[path = "../support/authority.rs"]
mod authority;
#[allow(dead_code, reason = "the reader of pages of the tests of the documentation, of which this uses a part")]
#[path = "../docs/markdown.rs"]
mod markdown;
#[path = "../simulator/mod.rs"]
mod simulator;
#[path = "../support/mod.rs"]
mod support;
mod world;

mod account_status;
mod accounts;
mod argo_cases;
mod blocked;
mod brakes;
mod check_account;
mod clients;
mod credentials;
mod crowds;
mod docs;
mod engines;
mod events;
mod exactly_once;
mod gitops;
mod gitops_schedules;
mod hostile;
mod imports;
mod keyless;
mod leadership;
mod manifests;
mod monitoring;
mod permissions;
mod places;
mod process;
mod proxies;
mod refused;
mod removal;
mod requests;
mod restored;
mod rewording;
mod scheduled;
mod schedules;
mod schedules_crowd;
mod schedules_input;
mod schedules_objective;
mod schedules_retention;
mod secrecy;
mod services;
mod tenancy;
mod tenants;
mod tls;
mod trouble;
mod upgrade;
mod wait;
