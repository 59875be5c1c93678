//! The decisions: pure functions of what was observed, with the clock as an argument.
//!
//! [`plan::decide`] is the whole state machine of a backup. It reads what was [`observed::Seen`] and the memory, which hold everything that a decision
//! may depend on, and answers with the next [`plan::Step`]; the controller carries that out and asks again. Nothing here waits, reads a clock, or talks to anybody.

pub mod account;
pub mod clock;
pub mod events;
pub mod lease;
pub mod memory;
pub mod name;
pub mod observed;
pub mod outcome;
pub mod plan;
pub mod reason;
pub mod rule;
pub mod settings;
pub mod standing;
pub mod status;
pub mod turn;
