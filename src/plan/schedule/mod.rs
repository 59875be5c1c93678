//! What a `DatabaseBackupSchedule` needs next.
//!
//! [`decide::decide`] reads what was [`seen::Seen`] and the [`memory`], and answers with the next [`step::Step`]; the controller carries that out and asks again.
//!
//! | question | file |
//! |---|---|
//! | when are the slots? | [`calendar`] |
//! | what becomes of a slot that is due? | [`slot`] decides, `slots` brings it to an end |
//! | how is a backup named and made, and what is read of it? | [`child`] |
//! | which backups go, and may they go now? | [`retention`] decides, `pass` brings it to an end |
//! | which finished objects go? | `history` |
//! | how well is the instance protected? | [`objective`] decides, `protection` reports it |
//! | what did a listing of the instance show? | [`survey`] |
//! | what does the status say? | `draft`, `status` |
//!
//! # Guarantees
//! Each slot is decided once: its child's name is made of it, and the oldest slot that nobody has decided is in the status (`nextScheduleTime`). What was done
//! for a slot is read off the children before anything is done again. Retention never goes below its floor, and nothing goes without a complete listing that
//! shows the survivors.

pub mod calendar;
pub mod child;
pub mod decide;
mod draft;
mod history;
pub mod memory;
pub mod objective;
mod pass;
mod protection;
pub mod retention;
pub mod seen;
pub mod slot;
mod slots;
mod status;
pub mod step;
pub mod survey;
#[cfg(test)]
mod tests;
