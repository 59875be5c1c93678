//! The rules on which "exactly once" rests, by name. Each is kept in one place of the decisions; the model check takes one away at a time, to show
//! that it would notice.

/// A rule of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// The intent is stored before the call is sent.
    IntentFirst,
    /// The call is sent only on a fresh intent, by two clocks.
    LastCheck,
    /// One listing is not trusted: a backup counts as not made only when two lack it, the later one a settle delay after the intent.
    TwoListings,
    /// Deleted is only what carries one of the object's own marks.
    OwnMarks,
}

/// Whether a rule is kept: always, but for the model check.
#[cfg(not(test))]
pub const fn is_kept(_rule: Rule) -> bool {
    true
}

#[cfg(test)]
pub use seeded::{is_kept, without};

#[cfg(test)]
mod seeded {
    use super::Rule;
    use std::cell::Cell;

    thread_local! {
        static REMOVED: Cell<Option<Rule>> = const { Cell::new(None) };
    }

    /// Whether a rule is kept on this thread.
    pub fn is_kept(rule: Rule) -> bool {
        REMOVED.get() != Some(rule)
    }

    /// Does something without a rule.
    pub fn without<R>(rule: Option<Rule>, work: impl FnOnce() -> R) -> R {
        REMOVED.set(rule);
        let result = work();
        REMOVED.set(None);
        result
    }
}
