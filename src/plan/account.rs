//! What is said of an account, and what that means for the backups that name it.

pub mod events;
mod memory;
mod reason;
mod users;
mod verification;

use super::{backup::seen::Account, clock::Moment, place::Place, settings::Settings, wording};
use crate::{
    api::{
        account::CloudAccountStatus,
        backup::{AccountKind, AccountRef, DatabaseBackup},
        conditions::{self, Blocked, Verdict, types},
    },
    cloud::session::Unreached,
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::ResourceExt;
pub use memory::{AccountMemory, Login};
pub use reason::AccountReason;
pub use users::{Users, left_behind, needs_for_deletion};
pub use verification::{Access, AccountError, Verification, unverified};

/// Which account: its kind, its namespace (of the namespaced kind) and its name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountKey {
    /// Kind.
    pub kind: AccountKind,
    /// Namespace; absent for the cluster kind.
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
}

impl AccountKey {
    /// The account that a backup names.
    pub fn of(backup: &DatabaseBackup) -> Self {
        Self::named(&backup.spec.account_ref, &backup.namespace().unwrap_or_default())
    }

    /// The account that a reference names in a namespace.
    pub fn named(reference: &AccountRef, namespace: &str) -> Self {
        let namespace = (reference.kind == AccountKind::CloudAccount).then(|| namespace.to_owned());
        Self { kind: reference.kind, namespace, name: reference.name.clone() }
    }
}

impl std::fmt::Display for AccountKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.kind.as_str(), self.name)
    }
}

/// What is said while this machine's clock and the cloud's disagree, by the account and by what is not deleted for it.
pub const CLOCKS_DISAGREE: &str = "the operator's clock and the cloud's are more than 5 minutes apart: nothing is deleted until they agree; \
                                   set the clock of the operator's node";

/// The condition `ClockSkew`; absent while the clocks agree, or nothing is known of the cloud's.
fn clock_skew(before: &[Condition], generation: Option<i64>, cloud_now: Option<Timestamp>, now: Moment) -> Option<Condition> {
    cloud_now.filter(|cloud_now| !now.agrees_with(*cloud_now))?;
    let since =
        before.iter().find(|condition| condition.type_ == types::CLOCK_SKEW).map(|condition| condition.last_transition_time.clone());
    Some(Condition {
        type_: types::CLOCK_SKEW.into(),
        status: "True".into(),
        reason: "ClocksDisagree".into(),
        message: CLOCKS_DISAGREE.into(),
        observed_generation: generation,
        last_transition_time: since.unwrap_or_else(|| crate::plan::backup::status::stored(cloud_now.unwrap_or(now.wall))),
    })
}

/// What is seen of an account when its status is written.
#[derive(Clone, Copy, Debug)]
pub struct SeenAccount<'a> {
    /// What the last verification showed.
    pub verification: &'a Verification,
    /// What is remembered.
    pub memory: &'a AccountMemory,
    /// The services that could not be reached when that was last tried; absent before this process tried it.
    pub unreached: Option<&'a [Unreached]>,
    /// What was written last.
    pub before: Option<&'a CloudAccountStatus>,
    /// Generation of the spec.
    pub generation: Option<i64>,
    /// Who needs it; absent while not every object has been seen.
    pub users: Option<Users>,
    /// The cloud's time now, by its latest answer.
    pub cloud_now: Option<Timestamp>,
    /// The timing flags.
    pub settings: &'a Settings,
    /// Now.
    pub now: Moment,
}

/// The status after a verification. `lastVerifiedTime` moves only with something else that a verification shows, or once in a verification interval; counts move
/// with anything else, or from time to time.
pub fn status(s: &SeenAccount<'_>) -> CloudAccountStatus {
    let fallback = CloudAccountStatus::default();
    let before = s.before.unwrap_or(&fallback);
    let (reason, message) = match s.verification {
        Ok(Access { project, unverified }) => {
            let to_what = format!("project {} in {}", project.project_id, project.region);
            match unverified {
                None => (AccountReason::Verified, format!("verified for {to_what}{}", not_reached(s.unreached, &before.conditions))),
                Some(why) => {
                    (AccountReason::Unverified, format!("used for {to_what} although IAM could not verify it, which it tries again: {why}"))
                }
            }
        }
        Err(error) => (error.reason, error.message.clone()),
    };
    let grace_over = s.memory.blocked.is_some_and(|blocked| blocked.grace_left(s.settings, s.now).is_zero());
    let blocked = if grace_over { Blocked::PastGrace } else { Blocked::WithinGrace };
    let verdict = Verdict { kstatus: reason.kstatus(), reason: reason.as_str(), message: &message };
    let mut next = CloudAccountStatus {
        observed_generation: s.generation.unwrap_or_default(),
        project_id: s.verification.as_ref().ok().map(|access| access.project.project_id.clone()).or(before.project_id.clone()),
        last_verified_time: before.last_verified_time.clone(),
        used_by: before.used_by,
        needed_for_deletion: before.needed_for_deletion,
        conditions: before.conditions.clone(),
    };
    let mut conditions = conditions::conditions(&before.conditions, verdict, blocked, s.generation, s.now.wall);
    conditions.extend(clock_skew(&before.conditions, s.generation, s.cloud_now, s.now));
    if !wording::says_the_same(&before.conditions, &conditions, fact) {
        next.conditions.clone_from(&conditions);
    }
    if let Some(verified) = s.memory.verified.filter(|_| s.verification.as_ref().is_ok_and(|access| access.unverified.is_none())) {
        let is_old = |time: &Time| verified.since_wall(time.0) >= s.settings.verification_interval();
        if next != *before || before.last_verified_time.as_ref().is_none_or(is_old) {
            next.last_verified_time = Some(crate::plan::backup::status::stored(verified.wall));
        }
    }
    if let Some(users) = s.users.filter(|_| next != *before || s.memory.counts_are_due(s.settings, s.now)) {
        (next.used_by, next.needed_for_deletion) = (Some(count(users.all)), Some(count(users.for_deletion)));
    }
    // Other words come with what is written anyway.
    if next != *before {
        next.conditions = conditions;
    }
    next
}

/// What stands before the services that cannot be reached.
const NOT_REACHED: &str = "; not reached: ";

/// What the message of a condition says beyond its reason: of an account that is verified, which services cannot be reached.
fn fact(condition: &Condition) -> Option<&str> {
    match (condition.type_.as_str(), condition.reason.as_str()) {
        (types::READY, reason) if reason == AccountReason::Verified.as_str() => {
            condition.message.split_once(NOT_REACHED).map(|(_, services)| services)
        }
        (types::CLOCK_SKEW, _) => None,
        _ => Some(&condition.message),
    }
}

/// What is said of services that cannot be reached; empty where all can. They keep nobody from using the others. Before it was tried it is what was last said.
fn not_reached(unreached: Option<&[Unreached]>, before: &[Condition]) -> String {
    let Some(unreached) = unreached else {
        let is_verified = |condition: &&Condition| condition.type_ == types::READY && condition.reason == AccountReason::Verified.as_str();
        let verified = before.iter().find(is_verified);
        return verified.and_then(fact).map(|services| format!("{NOT_REACHED}{services}")).unwrap_or_default();
    };
    let named = |service: &Unreached| format!("{} ({})", service.engine.as_str(), service.why);
    match unreached {
        [] => String::new(),
        [one] => format!("{NOT_REACHED}{}", named(one)),
        [first, others @ ..] => {
            let others: Vec<&str> = others.iter().map(|service| service.engine.as_str()).collect();
            format!("{NOT_REACHED}{}, and neither {}", named(first), others.join(", "))
        }
    }
}

fn count(users: usize) -> i32 {
    i32::try_from(users).unwrap_or(i32::MAX)
}

/// What a backup sees of its account. What a cluster account says of itself is for those who may read it; a backup says what is wrong and where more stands.
pub fn seen_by_backups(
    verification: &Verification,
    key: &AccountKey,
    credentials_generation: u64,
    endpoint: &str,
    cloud_now: Option<Timestamp>,
) -> Account {
    match verification {
        Ok(Access { project, .. }) => {
            let place = Place { project: project.clone(), endpoint: endpoint.to_owned() };
            Account::Ready { place, allowed: true, credentials_generation, cloud_now }
        }
        Err(error) => {
            let reason = error.reason.as_str();
            let message = match key.kind {
                AccountKind::CloudAccount => format!("{key} is not ready: {reason}: {}", error.message),
                AccountKind::ClusterCloudAccount => {
                    let what = error.reason.in_general();
                    format!("{key} is not ready: {reason}: {what}; whoever manages the account finds more in its status")
                }
            };
            Account::Blocked { reason: error.reason.for_backups(), message }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::conditions::{Kstatus, is_true},
        cloud::engine::{Cloud, Engine},
        plan::place::Project,
    };
    use std::time::Duration;
    use strum::VariantArray;

    fn seen(kind: AccountKind, reason: AccountReason, message: &str) -> String {
        let namespace = (kind == AccountKind::CloudAccount).then(|| "shop".to_owned());
        let key = AccountKey { kind, namespace, name: "cloud".into() };
        match seen_by_backups(&Err(AccountError::new(reason, message)), &key, 1, "", None) {
            Account::Blocked { message, .. } => message,
            other => panic!("{other:?}"),
        }
    }

    /// Every service was reached.
    const NONE: Option<&[Unreached]> = Some(&[]);

    /// Moments of a day, by second.
    fn at(second: u64) -> Moment {
        Moment { wall: "2026-01-01T00:00:00Z".parse().unwrap(), mono: Duration::ZERO }.plus(Duration::from_secs(second))
    }

    /// The status of an account that is ready, `second` seconds after it was verified first.
    fn ready(
        before: Option<&CloudAccountStatus>,
        verified: u64,
        all: usize,
        unreached: Option<&[Unreached]>,
        second: u64,
    ) -> CloudAccountStatus {
        let project = Project { cloud: Cloud::OpenTelekomCloud, region: "eu-de".into(), project_id: "p-1".into() };
        let verification = Ok(Access { project, unverified: None });
        let memory = AccountMemory { verified: Some(at(verified)), ..AccountMemory::default() };
        let (users, settings) = (Some(Users { all, for_deletion: 1 }), Settings::default());
        let (verification, memory, settings) = (&verification, &memory, &settings);
        let now = at(second);
        status(&SeenAccount { verification, memory, unreached, before, generation: Some(1), users, cloud_now: None, settings, now })
    }

    #[test]
    fn the_time_of_the_verification_moves_with_what_it_shows_or_every_six_hours_and_not_with_counts() {
        let verified = |status: &CloudAccountStatus| status.last_verified_time.as_ref().map(|time| time.0);
        let first = ready(None, 0, 3, NONE, 0);
        assert_eq!((verified(&first), first.used_by, first.needed_for_deletion), (Some(at(0).wall), Some(3), Some(1)));
        let counted = ready(Some(&first), 0, 4, NONE, 60);
        assert_eq!((verified(&counted), counted.used_by), (Some(at(0).wall), Some(4)));
        let soon = ready(Some(&first), 3600, 3, NONE, 3600);
        assert_eq!(soon, first, "verified an hour later, and nothing is written");
        assert_eq!(verified(&ready(Some(&first), 6 * 3600, 3, NONE, 6 * 3600)), Some(at(6 * 3600).wall));
    }

    #[test]
    fn an_account_is_not_written_for_other_words_alone_and_what_is_written_anyway_brings_them_along() {
        let words = "in the words of an earlier version";
        let mut first = ready(None, 0, 3, NONE, 0);
        first.conditions[0].message = words.into();
        assert_eq!(ready(Some(&first), 1, 3, NONE, 1), first);
        let counted = ready(Some(&first), 1, 4, NONE, 1);
        assert!(counted.conditions[0].message.starts_with("verified for project p-1"), "{counted:?}");
        let unreached = [Unreached { engine: Engine::DCS, host: "dcs".into(), why: "no".into() }];
        let not_reached = ready(Some(&first), 1, 3, Some(&unreached), 1);
        assert!(not_reached.conditions[0].message.ends_with("; not reached: DCS (no)"), "more than words: {not_reached:?}");
        let reached = ready(Some(&not_reached), 1, 3, NONE, 2);
        assert_eq!(reached.conditions[0].message, "verified for project p-1 in eu-de", "more than words");
    }

    #[test]
    fn what_was_said_of_services_stands_after_a_start_until_they_have_been_tried_again() {
        let unreached = [Unreached { engine: Engine::DCS, host: "dcs".into(), why: "no".into() }];
        let first = ready(None, 0, 3, Some(&unreached), 0);
        assert_eq!(ready(Some(&first), 1, 3, None, 1), first);
        assert_eq!(ready(Some(&first), 1, 3, Some(&unreached), 2), first);
        assert_eq!(ready(Some(&first), 1, 3, NONE, 2).conditions[0].message, "verified for project p-1 in eu-de");
        let counted = ready(Some(&first), 1, 4, None, 2);
        assert!(counted.conditions[0].message.ends_with("; not reached: DCS (no)"), "with what is written anyway: {counted:?}");
        assert_eq!(ready(None, 0, 3, None, 0).conditions[0].message, "verified for project p-1 in eu-de", "nothing was said yet");
    }

    #[test]
    fn counts_that_change_all_the_time_are_written_from_time_to_time() {
        let first = ready(None, 0, 3, NONE, 0);
        let project = Project { cloud: Cloud::OpenTelekomCloud, region: "eu-de".into(), project_id: "p-1".into() };
        let verification = Ok(Access { project, unverified: None });
        let memory = AccountMemory { verified: Some(at(0)), counted: Some(at(0)), ..AccountMemory::default() };
        let used_by = |generation, second| {
            let (users, settings) = (Some(Users { all: 7, for_deletion: 1 }), &Settings::default());
            let (verification, memory, before, now) = (&verification, &memory, Some(&first), at(second));
            let seen = SeenAccount { verification, memory, unreached: NONE, before, generation, users, cloud_now: None, settings, now };
            status(&seen).used_by
        };
        assert_eq!((used_by(Some(1), 299), used_by(Some(1), 300)), (Some(3), Some(7)));
        assert_eq!(used_by(Some(2), 1), Some(7), "with what is written anyway");
    }

    #[test]
    fn services_that_cannot_be_reached_are_named_and_the_account_stays_ready() {
        let unreached = |engine| Unreached { engine, host: "h".into(), why: "no connection to h: refused".into() };
        let message = |unreached: &[Unreached]| {
            let status = ready(None, 0, 0, Some(unreached), 0);
            assert!(is_true(&status.conditions, types::READY));
            status.conditions[0].message.clone()
        };
        assert_eq!(message(&[]), "verified for project p-1 in eu-de");
        assert_eq!(message(&[unreached(Engine::DCS)]), "verified for project p-1 in eu-de; not reached: DCS (no connection to h: refused)");
        assert!(
            message(&[unreached(Engine::DCS), unreached(Engine::RDS)])
                .ends_with("not reached: DCS (no connection to h: refused), and neither RDS")
        );
    }

    #[test]
    fn counts_stay_as_they_were_while_not_every_object_has_been_seen() {
        let first = ready(None, 0, 3, NONE, 0);
        let project = Project { cloud: Cloud::OpenTelekomCloud, region: "eu-de".into(), project_id: "p-1".into() };
        let (verification, memory) =
            (Ok(Access { project, unverified: None }), AccountMemory { verified: Some(at(0)), ..AccountMemory::default() });
        let (verification, memory, settings, before) = (&verification, &memory, &Settings::default(), Some(&first));
        let seen = SeenAccount {
            verification,
            memory,
            unreached: NONE,
            before,
            generation: Some(1),
            users: None,
            cloud_now: None,
            settings,
            now: at(9),
        };
        assert_eq!(status(&seen), first);
    }

    #[test]
    fn a_backup_says_what_its_own_namespaces_account_says() {
        let message = seen(AccountKind::CloudAccount, AccountReason::SecretNotFound, "there is no Secret shop/cloud: create it");
        assert_eq!(message, "CloudAccount cloud is not ready: SecretNotFound: there is no Secret shop/cloud: create it");
    }

    #[test]
    fn a_backup_of_a_cluster_account_tells_no_tenant_the_platforms_names() {
        for reason in AccountReason::VARIANTS.iter().copied().filter(|reason| reason.kstatus() != Kstatus::Current) {
            let message = seen(AccountKind::ClusterCloudAccount, reason, "Secret operator/cloud of user backup-user at iam.corp.example");
            assert!(!["operator/cloud", "backup-user", "iam.corp"].iter().any(|name| message.contains(name)), "{message}");
            assert!(message.starts_with(&format!("ClusterCloudAccount cloud is not ready: {}: ", reason.as_str())), "{message}");
            assert!(
                message.ends_with("whoever manages the account finds more in its status") && message.chars().count() <= 256,
                "{message}"
            );
        }
    }
}
