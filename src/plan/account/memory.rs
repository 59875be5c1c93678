//! What this process remembers of an account.

use super::verification::Verification;
use crate::{
    api::{
        account::CloudAccountStatus,
        conditions::{Kstatus, is_true, types},
    },
    cloud::session::Unreached,
    plan::{backup::memory::BlockedSince, clock::Moment, settings::Settings},
};
use std::time::Duration;

/// What this process remembers of an account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountMemory {
    /// Whether the last verification failed.
    pub failed: bool,
    /// Whether something has still to be asked that could not be: IAM, or where the credentials come from.
    pub is_unsettled: bool,
    /// Since when it has been blocked without a break.
    pub blocked: Option<BlockedSince>,
    /// When IAM accepted the credentials last.
    pub verified: Option<Moment>,
    /// When a session that a service had refused was last replaced by another.
    pub replaced: Option<Moment>,
    /// When it was last tried whether the services can be reached.
    pub tried_services: Option<Moment>,
    /// When other counts of its users were last written.
    pub counted: Option<Moment>,
    /// The annotations when they were last looked at: a person who changes one asks for another try.
    pub annotations: Option<u64>,
}

/// What a verification has to do with IAM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Login {
    /// What is held is good.
    NotNeeded,
    /// It is time for another one. What is held may be used meanwhile.
    Due,
    /// What is held was refused, or there is nothing.
    Needed,
    /// A service refused what is held, soon after a service refused what was held before: another login now would end in the same. Not for so long.
    NotBefore(Duration),
}

impl AccountMemory {
    /// Takes note of a verification.
    pub fn note(&mut self, verification: &Verification, status: Option<&CloudAccountStatus>, now: Moment) {
        let Err(error) = verification else {
            (self.failed, self.blocked) = (false, None);
            return;
        };
        if error.reason.kstatus() == Kstatus::Blocked {
            let stalled_before = !self.failed && status.is_some_and(|s| is_true(&s.conditions, types::STALLED));
            self.blocked.get_or_insert(BlockedSince { since: now, stalled_before });
        } else {
            self.blocked = None;
        }
        // Once it can be used again, whatever was found out before may be otherwise.
        self.tried_services = None;
        self.failed = true;
    }

    /// Takes note of the annotations. Answers whether they have changed since they were last looked at.
    pub fn is_asked_again(&mut self, annotations: u64) -> bool {
        self.annotations.replace(annotations).is_some_and(|before| before != annotations)
    }

    /// Whether other counts of its users are worth a write of their own: from time to time. Objects come and go all the time, and each write has the account
    /// looked at again.
    pub fn counts_are_due(&self, settings: &Settings, now: Moment) -> bool {
        self.counted.is_none_or(|counted| now.since(counted) >= settings.secret_reread(false))
    }

    /// Whether to log in. `is_refused`: a service has refused what is held; `renew_in`: in how long it has to be renewed.
    pub fn login(&self, is_refused: bool, renew_in: Option<Duration>, settings: &Settings, now: Moment) -> Login {
        if is_refused {
            let pause = self.replaced.map(|replaced| settings.login_retry(1).saturating_sub(now.since(replaced)));
            return pause.filter(|pause| !pause.is_zero()).map_or(Login::Needed, Login::NotBefore);
        }
        let is_old = self.verified.is_none_or(|verified| now.since(verified) >= settings.verification_interval());
        if is_old || renew_in.is_some_and(|left| left.is_zero()) { Login::Due } else { Login::NotNeeded }
    }

    /// Whether it is to be tried now which services can be reached: at first, from time to time, and soon again while one cannot.
    pub fn services_are_due(&self, unreached: &[Unreached], settings: &Settings, now: Moment) -> bool {
        let interval = if unreached.is_empty() { settings.verification_interval() } else { settings.secret_reread(false) };
        self.tried_services.is_none_or(|tried| now.since(tried) >= interval)
    }

    /// When an account is looked at again, at the latest: its Secret may have changed, its grace may be over.
    pub fn requeue_after(&self, settings: &Settings, now: Moment) -> Duration {
        let reread = settings.secret_reread(self.failed || self.is_unsettled);
        let grace = self.blocked.map(|blocked| blocked.grace_left(settings, now)).filter(|left| !left.is_zero());
        grace.map_or(reread, |grace| grace.min(reread))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cloud::engine::{Cloud, Engine},
        plan::{
            account::{Access, AccountError, AccountReason},
            place::Project,
        },
    };

    fn at(second: u64) -> Moment {
        Moment { wall: "2026-01-01T00:00:00Z".parse().unwrap(), mono: Duration::ZERO }.plus(Duration::from_secs(second))
    }

    fn login(memory: &AccountMemory, is_refused: bool, renew_in: Option<u64>, second: u64) -> Login {
        memory.login(is_refused, renew_in.map(Duration::from_secs), &Settings::default(), at(second))
    }

    const HOUR: u64 = 3600;

    #[test]
    fn an_account_that_works_is_verified_every_six_hours_and_when_its_token_is_to_be_renewed() {
        let memory = AccountMemory { verified: Some(at(0)), ..AccountMemory::default() };
        assert_eq!(login(&memory, false, None, 6 * HOUR - 1), Login::NotNeeded);
        assert_eq!(login(&memory, false, None, 6 * HOUR), Login::Due);
        assert_eq!((login(&memory, false, Some(1), 60), login(&memory, false, Some(0), 60)), (Login::NotNeeded, Login::Due));
        assert_eq!(login(&AccountMemory::default(), false, None, 0), Login::Due, "IAM was never asked");
    }

    #[test]
    fn what_a_service_refuses_is_replaced_at_once_and_not_again_for_as_long_as_a_key_is_locked() {
        let mut memory = AccountMemory { verified: Some(at(0)), ..AccountMemory::default() };
        assert_eq!(login(&memory, true, None, 10), Login::Needed);
        memory.replaced = Some(at(10));
        assert_eq!(login(&memory, true, None, 11), Login::NotBefore(Duration::from_secs(299)));
        assert_eq!(login(&memory, false, None, 11), Login::NotNeeded, "the other one is not refused");
        assert_eq!(login(&memory, true, None, 310), Login::Needed);
    }

    #[test]
    fn services_are_tried_at_first_from_time_to_time_and_soon_again_while_one_cannot_be_reached() {
        let unreached = [Unreached { engine: Engine::DCS, host: "dcs".into(), why: "no".into() }];
        let mut memory = AccountMemory::default();
        let is_due =
            |memory: &AccountMemory, unreached: &[Unreached], second| memory.services_are_due(unreached, &Settings::default(), at(second));
        assert!(is_due(&memory, &[], 0));
        memory.tried_services = Some(at(0));
        assert!(!is_due(&memory, &[], 6 * HOUR - 1) && is_due(&memory, &[], 6 * HOUR));
        assert!(!is_due(&memory, &unreached, 299) && is_due(&memory, &unreached, 300));
        memory.note(&Err(AccountError::new(AccountReason::SecretNotFound, "no")), None, at(1));
        assert!(is_due(&memory, &[], 2), "much may have changed");
    }

    #[test]
    fn a_person_asks_again_by_changing_an_annotation_and_not_by_having_one() {
        let mut memory = AccountMemory::default();
        assert!(!memory.is_asked_again(7) && !memory.is_asked_again(7) && memory.is_asked_again(8));
    }

    #[test]
    fn an_account_that_could_not_be_asked_about_is_looked_at_soon_although_it_is_ready() {
        let project = Project { cloud: Cloud::HuaweiCloud, region: "cn-north-4".into(), project_id: "p-1".into() };
        let mut memory = AccountMemory { is_unsettled: true, ..AccountMemory::default() };
        memory.note(&Ok(Access { project, unverified: None }), None, at(0));
        assert_eq!(memory.requeue_after(&Settings::default(), at(0)), Duration::from_secs(30));
        memory.is_unsettled = false;
        assert_eq!(memory.requeue_after(&Settings::default(), at(0)), Duration::from_secs(300));
    }
}
