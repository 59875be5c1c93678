//! What users install and load elsewhere: checked by the programs that they use (helm, promtool), without a cluster. `tests/system` installs it.

#![allow(clippy::expect_used, clippy::panic, reason = "a test stops where its ground is missing")]

mod alerts;
mod building;
mod chart;
mod examples;
mod health;
mod manifests;
mod metadata;
mod permissions;
mod places;
mod recipes;
mod release;
mod render;
#[path = "../support/mod.rs"]
mod support;
mod umbrella;
mod workflows;
