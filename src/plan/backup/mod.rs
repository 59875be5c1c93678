//! What a `DatabaseBackup` needs next.
//!
//! [`decide::decide`] is the whole state machine. It reads what was [`seen::Seen`] and the [`memory`], which hold everything that a decision may depend
//! on, and answers with the next [`step::Step`]; the controller carries that out and asks again.
//!
//! | where the object is | file |
//! |---|---|
//! | another may know more of it: it was restored, or its time has passed | `restored` |
//! | the cloud has to be asked for a backup | `submit` |
//! | it may have a backup from an earlier life, and is looked for first | `first` |
//! | the cloud was asked and did not answer | `unknown` |
//! | the backup's id is known | `watch` |
//! | a backup that exists is to be adopted | `import` |
//! | the backup is to be deleted | `removal` |
//! | it goes while nobody deletes the object, or somebody keeps it from that | `retention` |
//! | a newer run of its schedule takes its place | [`superseded`] |
//! | what keeps any of them from repeating itself | `brake` |
//! | nothing is to be done for it | [`mod@rest`] |
//!
//! # The protocol
//! 1. Everything first: a ready account, the first place in the instance's queue, a permit. Each is a step of its own, and each changes what is observed next.
//! 2. Then the intent ([`step::Step::WriteIntent`]), a compare-and-swap on the object.
//! 3. Then at once the call ([`step::Step::Send`]), whose last line before the socket checks the intent's age.
//! 4. A definite answer is stored. Anything else is an unknown outcome: look until the backup is found, or until two complete listings a settle delay later
//!    lack it; only then is the same name sent again.
//!
//! # Guarantees
//! No two create calls of one attempt are under way while *pause + delivery delay + list lag + clock skew* stays under the settle delay less the
//! intent's lifetime.

mod brake;
pub mod decide;
pub mod description;
pub mod events;
mod first;
mod gate;
mod import;
pub mod listing_result;
pub mod memory;
#[cfg(test)]
mod model;
pub mod name;
pub mod observed;
pub mod queue;
pub mod reason;
mod removal;
mod report;
pub mod rest;
mod restored;
mod retention;
pub mod retry;
pub mod rule;
pub mod seen;
pub mod status;
pub mod step;
mod submit;
pub mod superseded;
#[cfg(test)]
mod tests;
mod unknown;
mod watch;
