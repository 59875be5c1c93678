//! The rules on which "exactly once" and "truthfully" rest, by name. Each is kept in one place of the decisions; the model check takes one away at a time,
//! to show that it would notice.

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
    /// What was seen elsewhere than where the status says the backup is says nothing.
    ResultHasAPlace,
    /// An object that may have lived before is looked for before its first create call.
    LookFirst,
    /// A backup under the stored id that an earlier object named is there, and not this one's to delete.
    EarlierLife,
    /// Between two look-ups of an object there is a pause, whatever was decided.
    LookPause,
    /// An object that is being deleted is still there, and so is its backup.
    DeletedIsNotGone,
    /// A record that a page shows counts, though the listing is not complete.
    PagesAreTrue,
    /// Nothing is deleted on this machine's clock alone.
    TwoClocks,
    /// What somebody holds is deleted neither by retention nor by expiry.
    Hold,
    /// What is refused with a code that no table has is refused, once a search for it has found nothing.
    RefusalsEnd,
    /// A search ends although the wall clock that dated its intent was ahead.
    SearchesEnd,
    /// How long an import waits is counted from its last look.
    PauseSinceTheLook,
    /// A changed annotation does not count again before a pause is over.
    AnnotationPause,
    /// Two processes that see the same status say the same of it.
    MessageOfTheStatus,
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
