//! One backup at a time per instance: first come, first served.
//!
//! This is a courtesy to the instance and keeps the cloud's "busy" answers rare; nothing's safety rests on it.

use super::{clock::Moment, memory::Memory, observed::Turn, reason::Reason};
use crate::api::{conditions::Standing, status::DatabaseBackupStatus, status::Phase};
use jiff::Timestamp;
use std::time::Duration;

/// What an object claims of its instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Claim {
    /// The cloud is, or may be, taking its backup.
    Holds,
    /// It wants to be next.
    Waits,
    /// Nothing: it is done, stuck, failed or backing off.
    Nothing,
}

/// An object in the queue of its instance.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Contender {
    /// When it was created.
    pub created: Timestamp,
    /// Its UID, which settles equal times.
    pub uid: String,
    /// Namespace and name, for people.
    pub label: String,
    /// What it claims.
    pub claim: Claim,
}

/// What an object claims.
pub fn claim(
    status: &DatabaseBackupStatus,
    created: Timestamp,
    deadline: Duration,
    importing: bool,
    memory: &Memory,
    now: Moment,
) -> Claim {
    if importing || matches!(status.phase, Some(Phase::Completed | Phase::Failed | Phase::Missing | Phase::Expired)) {
        return Claim::Nothing;
    }
    if status.backup_id.is_some() || status.intent_is_open() {
        return if now.since_wall(created) < deadline { Claim::Holds } else { Claim::Nothing };
    }
    match memory.reported {
        Some(Reason::BackoffAfterFailure) => Claim::Nothing,
        Some(reason) if matches!(reason.standing(), Standing::Blocked | Standing::Stopped) => Claim::Nothing,
        _ => Claim::Waits,
    }
}

/// Whose turn it is: that of the oldest who holds the instance, else of the oldest who waits. `me` wants it, so it waits at least; if it holds the
/// instance itself, as one does whose call is known to have made nothing, only an older holder is ahead. Everybody comes to the same answer, or two
/// might wait for each other.
pub fn turn<'a>(me: &Contender, others: impl Iterator<Item = &'a Contender>) -> Turn {
    let order = |c: &Contender| (c.claim != Claim::Holds, c.created, c.uid.clone());
    let ahead = others.filter(|c| c.claim != Claim::Nothing && order(c) < order(me)).min_by_key(|c| order(c));
    ahead.map_or(Turn::Mine, |other| Turn::Behind(other.label.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contender(uid: &str, second: i64, claim: Claim) -> Contender {
        Contender { created: Timestamp::new(second, 0).unwrap(), uid: uid.into(), label: format!("shop/{uid}"), claim }
    }

    #[test]
    fn the_oldest_goes_first() {
        let (a, b) = (contender("a", 1, Claim::Waits), contender("b", 2, Claim::Waits));
        assert_eq!(turn(&a, [&b].into_iter()), Turn::Mine);
        assert_eq!(turn(&b, [&a].into_iter()), Turn::Behind("shop/a".into()));
    }

    #[test]
    fn a_younger_one_that_holds_the_instance_is_waited_for() {
        let (a, b) = (contender("a", 1, Claim::Waits), contender("b", 2, Claim::Holds));
        assert_eq!(turn(&a, [&b].into_iter()), Turn::Behind("shop/b".into()));
    }

    #[test]
    fn one_that_is_stuck_is_passed() {
        let (a, b) = (contender("a", 1, Claim::Nothing), contender("b", 2, Claim::Waits));
        assert_eq!(turn(&b, [&a].into_iter()), Turn::Mine);
    }

    #[test]
    fn of_two_that_hold_the_instance_the_older_goes_first() {
        let (a, b) = (contender("a", 1, Claim::Holds), contender("b", 2, Claim::Holds));
        assert_eq!(turn(&a, [&b].into_iter()), Turn::Mine);
        assert_eq!(turn(&b, [&a].into_iter()), Turn::Behind("shop/a".into()));
    }

    #[test]
    fn whatever_they_claim_it_is_always_exactly_one_that_goes_first() {
        const CLAIMS: [Claim; 3] = [Claim::Holds, Claim::Waits, Claim::Nothing];
        for (a, b, c) in CLAIMS.iter().flat_map(|a| CLAIMS.iter().flat_map(move |b| CLAIMS.iter().map(move |c| (*a, *b, *c)))) {
            let all = [contender("a", 1, a), contender("b", 1, b), contender("c", 2, c)];
            let wanting = all.iter().filter(|me| me.claim != Claim::Nothing);
            let first = wanting.clone().filter(|me| turn(me, all.iter().filter(|other| other.uid != me.uid)) == Turn::Mine);
            assert_eq!(first.count(), wanting.count().min(1), "{a:?} {b:?} {c:?}");
        }
    }
}
