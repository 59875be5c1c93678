//! What a schedule needs next: its slots, and which of its backups go.

pub mod calendar;
pub mod objective;
pub mod retention;
pub mod slot;
