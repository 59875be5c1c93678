//! The decisions: pure functions of what was observed, with the clock as an argument. Nothing here waits, reads a clock, or talks to anybody.
//!
//! | room | what is decided |
//! |---|---|
//! | [`backup`] | what a `DatabaseBackup` needs next |
//! | [`schedule`] | what becomes of a schedule's slots, and which of its backups go |
//! | [`account`] | what is said of an account, and what that means for the backups that name it |
//! | [`login`] | when a login may be tried |
//! | [`place`] | where backups are: a project and a host |
//! | [`lease`] | who leads |
//! | [`summary`] | how the backups of an instance are doing, for metrics |
//! | [`share`] | how much room there is for each under a bound |
//! | [`notice`] | what is published as an Event, of any kind of object |
//! | [`wording`] | whether two statuses differ in their words only |
//! | [`wait`] | what a status means for whoever waits for it, and when a wait is over |
//! | [`settings`] | every delay, from the timing flags |
//! | [`clock`] | a moment by both clocks |

pub mod account;
pub mod backup;
pub mod clock;
pub mod lease;
pub mod login;
pub mod notice;
pub mod place;
pub mod schedule;
pub mod settings;
pub mod share;
pub mod summary;
pub mod wait;
pub mod wording;
