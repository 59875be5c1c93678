//! Hostile input: whatever comes from outside, the memory, the time and the message stay within bounds, and nothing is taken for what it is not.
//!
//! [`targets`] says what is thrown at which parser and what has to be true then; `cargo fuzz` uses the same file (`make fuzz`). Here its corpus is
//! replayed and mutated; and [`http`] sends what no parser ever sees: bodies and headers without end, answers that never come.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test ends where something is not as it has to be")]

mod http;
mod json;
mod memory;
mod server;
mod stable;
mod targets;
