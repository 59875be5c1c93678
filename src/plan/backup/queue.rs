//! One backup at a time per instance: first come, first served.
//!
//! This is a courtesy to the instance and keeps the cloud's "busy" answers rare; nothing's safety rests on it.

use super::{memory::Memory, reason::Reason, seen::Position};
use crate::{
    api::{
        conditions::Kstatus,
        status::{DatabaseBackupStatus, Phase},
    },
    cloud::backup::RemoteState,
    plan::clock::Moment,
};
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

/// An object in the queue of its instance. There may be thousands, of which each asks for its place, so nothing is copied for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Contender<'a> {
    /// When it was created.
    pub created: Timestamp,
    /// Its UID, which settles equal times.
    pub uid: &'a str,
    /// Its namespace.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
    /// What it claims.
    pub claim: Claim,
    /// It waits to be asked for, and never was.
    pub is_unasked: bool,
}

/// So many objects of an instance that were never asked for are in line; the others wait until the oldest are through.
pub const OLDEST: usize = 20;

/// An object's life, as far as it matters for its instance.
#[derive(Clone, Copy, Debug)]
pub struct Life {
    /// When it was created.
    pub created: Timestamp,
    /// How long its backup may take.
    pub deadline: Duration,
    /// It adopts a backup that exists.
    pub importing: bool,
    /// It is being deleted.
    pub deleting: bool,
}

/// What an object claims.
pub fn claim(status: &DatabaseBackupStatus, life: Life, memory: &Memory, now: Moment) -> Claim {
    if life.importing || !matches!(status.phase, None | Some(Phase::Pending | Phase::Running)) {
        return Claim::Nothing;
    }
    if status.backup_id.is_some() || status.intent_is_open() {
        let record = memory.latest_result.as_ref().and_then(|latest| latest.record(status));
        // The status of one that is being deleted may no longer follow what the cloud has finished.
        let has_ended = life.deleting && record.is_some_and(|record| record.state != RemoteState::Running);
        return if now.since_wall(life.created) < life.deadline && !has_ended { Claim::Holds } else { Claim::Nothing };
    }
    match memory.reported {
        _ if life.deleting => Claim::Nothing,
        Some(Reason::BackoffAfterFailure) => Claim::Nothing,
        Some(reason) if matches!(reason.kstatus(), Kstatus::Blocked | Kstatus::Failed) => Claim::Nothing,
        _ => Claim::Waits,
    }
}

/// Who is first in the queue: the oldest that holds the instance, else the oldest that waits. `me` wants it, so it waits at least; if it holds the
/// instance itself, as one does whose call is known to have made nothing, only an older holder is ahead. Everybody comes to the same answer, or two
/// might wait for each other. Who is ahead is named only to its own namespace: objects of other namespaces are nobody's business.
pub fn position<'a>(me: &Contender<'_>, others: impl Iterator<Item = &'a Contender<'a>>) -> Position {
    let is_ahead = |c: &Contender<'_>, of: &Contender<'_>| {
        (c.claim != Claim::Holds, c.created, c.uid) < (of.claim != Claim::Holds, of.created, of.uid)
    };
    let ahead =
        others.filter(|c| c.claim != Claim::Nothing && is_ahead(c, me)).reduce(|first, c| if is_ahead(c, first) { c } else { first });
    ahead.map_or(Position::First, |other| {
        Position::Behind((other.namespace == me.namespace).then(|| format!("{}/{}", other.namespace, other.name)))
    })
}

/// Whether so many of the instance were never asked for that `me` is not in line yet; and how many they are.
pub fn crowd<'a>(me: &Contender<'_>, others: impl Iterator<Item = &'a Contender<'a>>) -> Option<usize> {
    let (mut all, mut older) = (1, 0);
    for other in others.filter(|other| other.is_unasked) {
        all += 1;
        older += usize::from((other.created, other.uid) < (me.created, me.uid));
    }
    (me.is_unasked && older >= OLDEST).then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contender(uid: &str, second: i64, claim: Claim) -> Contender<'_> {
        Contender {
            created: Timestamp::new(second, 0).unwrap(),
            uid,
            namespace: "shop",
            name: uid,
            claim,
            is_unasked: claim == Claim::Waits,
        }
    }

    #[test]
    fn the_oldest_goes_first() {
        let (a, b) = (contender("a", 1, Claim::Waits), contender("b", 2, Claim::Waits));
        assert_eq!(position(&a, [&b].into_iter()), Position::First);
        assert_eq!(position(&b, [&a].into_iter()), Position::Behind(Some("shop/a".into())));
    }

    #[test]
    fn a_younger_one_that_holds_the_instance_is_waited_for() {
        let (a, b) = (contender("a", 1, Claim::Waits), contender("b", 2, Claim::Holds));
        assert_eq!(position(&a, [&b].into_iter()), Position::Behind(Some("shop/b".into())));
    }

    #[test]
    fn one_of_another_namespace_is_waited_for_and_not_named() {
        let (a, b) = (contender("a", 1, Claim::Waits), contender("b", 2, Claim::Waits));
        let c = Contender { namespace: "billing", ..contender("c", 3, Claim::Waits) };
        assert_eq!(position(&c, [&a, &b].into_iter()), Position::Behind(None));
        let holder = Contender { claim: Claim::Holds, ..c };
        assert_eq!(position(&a, [&holder, &b].into_iter()), Position::Behind(None));
    }

    #[test]
    fn one_that_is_stuck_is_passed() {
        let (a, b) = (contender("a", 1, Claim::Nothing), contender("b", 2, Claim::Waits));
        assert_eq!(position(&b, [&a].into_iter()), Position::First);
    }

    #[test]
    fn of_two_that_hold_the_instance_the_older_goes_first() {
        let (a, b) = (contender("a", 1, Claim::Holds), contender("b", 2, Claim::Holds));
        assert_eq!(position(&a, [&b].into_iter()), Position::First);
        assert_eq!(position(&b, [&a].into_iter()), Position::Behind(Some("shop/a".into())));
    }

    #[test]
    fn beyond_the_twenty_oldest_that_were_never_asked_for_nobody_is_in_line() {
        let uids: Vec<String> = (0..25).map(|n| format!("u-{n:02}")).collect();
        let all: Vec<Contender<'_>> = uids.iter().zip(0..).map(|(uid, n)| contender(uid, n / 2, Claim::Waits)).collect();
        let crowd = |me: &Contender<'_>| crowd(me, all.iter().filter(|other| other.uid != me.uid));
        assert_eq!(all.iter().filter(|me| crowd(me).is_none()).count(), OLDEST);
        assert_eq!((crowd(&all[19]), crowd(&all[20])), (None, Some(25)));
        let asked = Contender { is_unasked: false, ..all[24] };
        assert_eq!(crowd(&asked), None, "one that was asked for is in line");
    }

    #[test]
    fn whatever_they_claim_it_is_always_exactly_one_that_goes_first() {
        const CLAIMS: [Claim; 3] = [Claim::Holds, Claim::Waits, Claim::Nothing];
        for (a, b, c) in CLAIMS.iter().flat_map(|a| CLAIMS.iter().flat_map(move |b| CLAIMS.iter().map(move |c| (*a, *b, *c)))) {
            let all = [contender("a", 1, a), contender("b", 1, b), contender("c", 2, c)];
            let wanting = all.iter().filter(|me| me.claim != Claim::Nothing);
            let first = wanting.clone().filter(|me| position(me, all.iter().filter(|other| other.uid != me.uid)) == Position::First);
            assert_eq!(first.count(), wanting.count().min(1), "{a:?} {b:?} {c:?}");
        }
    }
}
