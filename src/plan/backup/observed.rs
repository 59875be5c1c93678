//! Everything that a decision about one backup may depend on.

use super::{memory::Memory, seen::Seen};
use std::ops::Deref;

/// The same, with what this process did and saw for the object.
#[derive(Clone, Copy, Debug)]
pub struct Observed<'a> {
    /// The object and what is around it.
    pub seen: &'a Seen<'a>,
    /// What this process did and saw for it.
    pub memory: &'a Memory,
}

impl<'a> Deref for Observed<'a> {
    type Target = Seen<'a>;

    fn deref(&self) -> &Self::Target {
        self.seen
    }
}
