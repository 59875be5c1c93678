//! Who leads: a decision about the Lease, by this process's own monotonic clock. The holder's clock is never trusted, nor compared with.

use super::clock::Moment;
use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use std::time::Duration;

/// What to do about the Lease now.
#[derive(Clone, Debug, PartialEq)]
pub enum LeaseStep {
    /// Write this: it takes the Lease or renews it.
    Write(Box<LeaseSpec>),
    /// Another process holds it.
    Wait,
    /// It was this process's, and is not any more: whatever this process does, it does beside another one.
    Lost,
}

/// What this process has seen of the Lease, and since when it has not changed.
#[derive(Clone, Debug, Default)]
pub struct ObservedLease {
    record: Option<LeaseSpec>,
    since: Option<Moment>,
}

impl ObservedLease {
    /// Decides, for a process that does not hold it, on a Lease that was just read. One that another process holds is taken only after it has not changed for its whole duration while
    /// this process was watching.
    pub fn claim(&mut self, lease: Option<&Lease>, me: &str, duration: Duration, now: Moment) -> LeaseStep {
        let record = lease.and_then(|lease| lease.spec.clone());
        if self.record != record || self.since.is_none() {
            self.record.clone_from(&record);
            self.since = Some(now);
        }
        let holder = record.as_ref().and_then(|spec| spec.holder_identity.as_deref()).unwrap_or_default();
        if holder == me {
            // A write whose answer was lost.
            return LeaseStep::Write(Box::new(written(record, me, duration, now.wall, false)));
        }
        let lasts = record.as_ref().and_then(|spec| spec.lease_duration_seconds).and_then(|seconds| u64::try_from(seconds).ok());
        let unchanged = self.since.map_or(Duration::ZERO, |since| now.since(since));
        if holder.is_empty() || unchanged >= lasts.map_or(duration, Duration::from_secs) {
            return LeaseStep::Write(Box::new(written(record, me, duration, now.wall, true)));
        }
        LeaseStep::Wait
    }
}

/// Decides, for the process that holds it, on a Lease that was just read. Nobody but its holder writes it, so one that names somebody else, nobody, or that
/// is not there has been in other hands or may be at any moment: what was read is believed at once, however long the last renewal would have lasted.
pub fn renew(lease: Option<&Lease>, me: &str, duration: Duration, now: Moment) -> LeaseStep {
    match lease.and_then(|lease| lease.spec.clone()) {
        Some(spec) if spec.holder_identity.as_deref() == Some(me) => {
            LeaseStep::Write(Box::new(written(Some(spec), me, duration, now.wall, false)))
        }
        _ => LeaseStep::Lost,
    }
}

/// Between two looks at one's own Lease: a fifteenth of its duration (1 s), so that a process that was deposed ends within about that.
pub fn look_pause(duration: Duration) -> Duration {
    duration / 15
}

/// Between two renewals, and between two tries to take it: three fit in the time for which a renewed one counts as held.
pub fn renew_pause(duration: Duration) -> Duration {
    duration / 5
}

fn written(before: Option<LeaseSpec>, me: &str, duration: Duration, now: Timestamp, taking: bool) -> LeaseSpec {
    let before = before.unwrap_or_default();
    LeaseSpec {
        holder_identity: Some(me.into()),
        // Rounded up: whoever watches waits rather longer.
        lease_duration_seconds: i32::try_from(duration.as_millis().div_ceil(1000)).ok(),
        acquire_time: if taking { Some(MicroTime(now)) } else { before.acquire_time },
        renew_time: Some(MicroTime(now)),
        lease_transitions: Some(before.lease_transitions.unwrap_or_default().saturating_add(i32::from(taking))),
        ..LeaseSpec::default()
    }
}

/// The Lease given back: the next one takes it at once.
pub fn released(spec: &LeaseSpec) -> LeaseSpec {
    LeaseSpec { holder_identity: None, acquire_time: None, renew_time: None, lease_duration_seconds: Some(1), ..spec.clone() }
}

/// Until when a Lease counts as held that was written by a call begun at `begun`: two thirds of its duration, so that work has stopped before anybody
/// else may take it.
pub fn held_until(begun: Moment, duration: Duration) -> Moment {
    begun.plus(duration * 2 / 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DURATION: Duration = Duration::from_secs(15);

    fn at(second: u64) -> Moment {
        Moment { wall: "2026-01-01T00:00:00Z".parse().unwrap(), mono: Duration::from_secs(second) }
    }

    fn lease(holder: &str, renewed: &str) -> Lease {
        let spec = LeaseSpec {
            holder_identity: Some(holder.into()),
            lease_duration_seconds: Some(15),
            renew_time: Some(MicroTime(renewed.parse().unwrap())),
            ..LeaseSpec::default()
        };
        Lease { spec: Some(spec), ..Lease::default() }
    }

    #[test]
    fn a_lease_that_nobody_holds_is_taken_and_ones_own_is_renewed() {
        for found in [None, Some(lease("", "2026-01-01T00:00:00Z")), Some(lease("me", "2026-01-01T00:00:00Z"))] {
            assert!(matches!(ObservedLease::default().claim(found.as_ref(), "me", DURATION, at(0)), LeaseStep::Write(_)), "{found:?}");
        }
    }

    #[test]
    fn anothers_is_taken_only_after_it_stood_still_for_its_whole_duration_under_this_ones_eyes() {
        let mut watched = ObservedLease::default();
        // Its time says that it ran out long ago; but whose clock says so?
        let stale = lease("other", "2020-01-01T00:00:00Z");
        assert_eq!(watched.claim(Some(&stale), "me", DURATION, at(100)), LeaseStep::Wait);
        assert_eq!(watched.claim(Some(&stale), "me", DURATION, at(114)), LeaseStep::Wait);
        let renewed = lease("other", "2020-01-01T00:00:03Z");
        assert_eq!(watched.claim(Some(&renewed), "me", DURATION, at(115)), LeaseStep::Wait, "it lives");
        assert_eq!(watched.claim(Some(&renewed), "me", DURATION, at(129)), LeaseStep::Wait);
        assert!(matches!(watched.claim(Some(&renewed), "me", DURATION, at(130)), LeaseStep::Write(_)));
    }

    #[test]
    fn a_lease_that_names_anybody_but_its_holder_is_lost_at_once() {
        let mine = lease("me", "2026-01-01T00:00:00Z");
        let LeaseStep::Write(spec) = renew(Some(&mine), "me", DURATION, at(3)) else { panic!("it is renewed") };
        assert_eq!((spec.holder_identity.as_deref(), spec.acquire_time), (Some("me"), None));
        // Overwritten; emptied; deleted; emptied altogether; put back, with the API server's store, to a holder of before, however old.
        let nobody = Lease { spec: Some(LeaseSpec { holder_identity: None, ..LeaseSpec::default() }), ..Lease::default() };
        let others = [
            Some(lease("other", "2026-01-01T00:00:03Z")),
            Some(lease("", "2026-01-01T00:00:03Z")),
            None,
            Some(nobody),
            Some(Lease::default()),
            Some(lease("other", "2020-01-01T00:00:00Z")),
        ];
        for found in others {
            assert_eq!(renew(found.as_ref(), "me", DURATION, at(3)), LeaseStep::Lost, "{found:?}");
        }
    }

    #[test]
    fn a_deposed_holder_looks_often_and_a_renewal_fails_three_times_before_work_stops() {
        assert_eq!((look_pause(DURATION), renew_pause(DURATION)), (Duration::from_secs(1), Duration::from_secs(3)));
        assert!(renew_pause(DURATION) * 3 < held_until(at(0), DURATION).mono);
    }

    #[test]
    fn work_stops_before_anybody_else_may_take_it() {
        assert_eq!(held_until(at(30), DURATION).mono, Duration::from_secs(40));
    }
}
