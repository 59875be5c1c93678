//! Each test is a sentence about one object; the world around it is the shortest that the sentence needs.

use super::*;
use crate::{
    api::{
        backup::{AccountRef, BackupSource, DatabaseBackupSpec, DeletionPolicy},
        conditions::types,
        status::{FailedAttempt, Origin},
    },
    backup::{
        clock::Moment,
        memory::{Memory, Stage},
        observed::{Object, Permit, Turn},
        outcome::Circumstances,
        settings::Settings,
    },
    cloud::{
        backup::{CreatedBackup, RemoteBackup, RemoteState},
        engine::{Cloud, Engine},
        errors::{Class, Delivery, Error},
        request::{Hints, Operation},
    },
};
use jiff::Timestamp;

/// One object and its world.
struct World {
    spec: DatabaseBackupSpec,
    status: DatabaseBackupStatus,
    account: Account,
    turn: Turn,
    permit: Permit,
    memory: Memory,
    settings: Settings,
    now: Moment,
    deleting: bool,
    has_finalizer: bool,
    generation: i64,
    nudge: u64,
}

fn place() -> Place {
    Place { cloud: Cloud::OpenTelekomCloud, region: "eu-de".into(), project_id: "p-1".into() }
}

impl World {
    /// A fresh object with everything at hand.
    fn new() -> Self {
        let source = BackupSource {
            engine: Engine::TaurusDB,
            instance_id: "i-1in07".into(),
            existing_backup_id: None,
            description: None,
            dcs: None,
        };
        Self {
            spec: DatabaseBackupSpec {
                account_ref: AccountRef::default(),
                source,
                deletion_policy: DeletionPolicy::Retain,
                expire_after_days: None,
                backoff_limit: 2,
                progress_deadline_seconds: 7200,
            },
            status: DatabaseBackupStatus::default(),
            account: Account::Ready { place: place(), allowed: true, epoch: 1 },
            turn: Turn::Mine,
            permit: Permit::Granted,
            memory: Memory::default(),
            settings: Settings::default(),
            now: Moment { wall: "2026-01-01T00:00:10Z".parse().unwrap(), mono: Duration::from_secs(10) },
            deleting: false,
            has_finalizer: false,
            generation: 1,
            nudge: 0,
        }
    }

    fn plan(&mut self) -> Step {
        self.memory.notice(&self.status, self.now);
        let expired = self.status.expiration_time.as_ref().is_some_and(|at| at.0 <= self.now.wall);
        self.memory.notice_removal(self.deleting || expired, self.now);
        plan(&Observed {
            object: Object {
                namespace: "shop",
                name: "orders",
                uid: "uid-1",
                generation: Some(self.generation),
                created: "2026-01-01T00:00:00Z".parse().unwrap(),
                deleting: self.deleting,
                has_finalizer: self.has_finalizer,
                nudge: self.nudge,
            },
            spec: &self.spec,
            status: &self.status,
            account: &self.account,
            turn: &self.turn,
            permit: self.permit,
            memory: &self.memory,
            settings: &self.settings,
            now: self.now,
            stopping: false,
        })
    }

    fn pass(&mut self, seconds: u64) {
        self.now = self.now.plus(Duration::from_secs(seconds));
    }

    /// Plans, expects an intent, and stores it as the controller does.
    fn write_intent(&mut self) -> DatabaseBackupStatus {
        let Step::WriteIntent(next) = self.plan() else { panic!("{:?}", self.plan()) };
        self.memory.intend(next.request_time.as_ref().unwrap().0, self.now);
        self.status = *next;
        self.status.clone()
    }

    /// Sends what was intended, and hears this.
    fn answer(&mut self, answer: Result<CreatedBackup, Error>) {
        assert!(matches!(self.plan(), Step::Send(_)), "{:?}", self.plan());
        self.memory.sending();
        let circumstances = Circumstances { now: self.now, epoch: Some(1), nudge: self.nudge, settings: &self.settings };
        self.memory.answered(answer, circumstances);
    }

    /// Plans, expects a report, and stores it as the controller does.
    fn report(&mut self) -> Report {
        let step = self.plan();
        let Step::Report(report) = step else { panic!("{step:?}") };
        if let Some(reason) = report.reason {
            let stalled = crate::api::conditions::is_true(&self.status.conditions, types::STALLED);
            self.memory.report(reason, stalled, self.now);
        }
        self.status = report.status.clone();
        *report
    }

    /// A listing that is complete shows these.
    fn see(&mut self, found: Vec<RemoteBackup>) {
        self.memory.saw(self.now, found, false);
    }

    /// The process ends, and another takes over.
    fn restart(&mut self) {
        self.memory = Memory::default();
    }

    /// A backup that runs in the cloud.
    fn running() -> Self {
        let mut world = Self::new();
        world.write_intent();
        world.answer(Ok(created()));
        world.report();
        // The watch shows what was written.
        world.plan();
        world
    }
}

fn created() -> CreatedBackup {
    CreatedBackup { backup_id: "b-1".into(), job_id: Some("j-1".into()), start_time: None, cloud_status: Some("BUILDING".into()) }
}

fn remote(world: &World, state: RemoteState) -> RemoteBackup {
    RemoteBackup {
        id: "b-1".into(),
        instance_id: "i-1in07".into(),
        mark: world.status.backup_name.clone().unwrap_or_default(),
        state,
        cloud_status: format!("{state:?}").to_uppercase(),
        start_time: "2026-01-01T00:00:11Z".parse().ok(),
        completion_time: "2026-01-01T00:05:00Z".parse().ok(),
        size: Some(1024),
        engine_version: Some("8.0".into()),
        failure: None,
    }
}

fn refusal(status: u16, code: &str) -> Error {
    let body = format!(r#"{{"error_code":"{code}","error_msg":"said so"}}"#);
    Error::refusal("taurusdb", Operation::Create, status, Hints { request_id: Some("r-1".into()), retry_after: None }, body.as_bytes())
}

fn lost() -> Error {
    Error::without_answer("taurusdb", Operation::Create, Class::Unavailable, Delivery::Unknown, "no answer in time")
}

fn reason(report: &Report) -> &str {
    report.status.conditions.iter().find(|c| c.type_ == types::READY).map(|c| c.reason.as_str()).unwrap()
}

fn has(report: &Report, type_: &str) -> bool {
    crate::api::conditions::is_true(&report.status.conditions, type_)
}

#[test]
fn everything_is_in_hand_before_the_intent_is_written() {
    let mut world = World::new();
    (world.turn, world.permit) = (Turn::NotAsked, Permit::NotAsked);
    assert_eq!(world.plan(), Step::TakeTurn);
    world.turn = Turn::Mine;
    assert_eq!(world.plan(), Step::TakePermit);
    world.permit = Permit::Granted;
    let intent = world.write_intent();
    assert_eq!((intent.attempts, intent.create_outcome, intent.phase), (Some(1), None, Some(Phase::Pending)));
    assert_eq!(
        (intent.cloud.as_deref(), intent.region.as_deref(), intent.project_id.as_deref()),
        (Some("OpenTelekomCloud"), Some("eu-de"), Some("p-1"))
    );
    assert_eq!(intent.observed_generation, 1);
    assert!(!intent.conditions.is_empty(), "observedGeneration is never written without conditions");
}

#[test]
fn the_call_is_sent_only_on_a_fresh_intent_of_this_process() {
    let mut world = World::new();
    world.write_intent();
    assert!(matches!(world.plan(), Step::Send(new) if new.mark.starts_with("dbb-orders-")));
    world.pass(11);
    assert!(matches!(world.plan(), Step::WriteIntent(_)), "this process knows that it sent nothing, so it decides anew at once");
    world.restart();
    assert!(matches!(world.plan(), Step::Rest(_)), "another process does not know that");
}

#[test]
fn an_intent_whose_write_was_not_answered_is_not_taken_for_ones_own() {
    let mut world = World::new();
    let Step::WriteIntent(next) = world.plan() else { panic!("an intent") };
    // It is stored; but another process may have written the same at the same microsecond.
    world.status = *next;
    assert!(matches!(world.plan(), Step::Rest(_)), "it may be theirs to send");
    world.pass(5);
    assert!(matches!(world.plan(), Step::Look(_)));
}

#[test]
fn no_two_intents_of_an_object_have_the_same_time_even_if_the_clock_stands_still() {
    let mut world = World::new();
    let first = world.write_intent();
    world.answer(Err(refusal(409, "DBS.201205")));
    world.report();
    // Another process, whose clock says the same.
    world.restart();
    let second = world.write_intent();
    assert!(second.request_time > first.request_time, "{second:?}");
}

#[test]
fn an_accepted_call_leads_to_running_with_both_ids() {
    let mut world = World::new();
    world.write_intent();
    world.answer(Ok(created()));
    let report = world.report();
    assert_eq!((report.status.backup_id.as_deref(), report.status.job_id.as_deref()), (Some("b-1"), Some("j-1")));
    assert_eq!((report.status.phase, report.status.origin), (Some(Phase::Running), Some(Origin::Created)));
    assert_eq!(reason(&report), "Running");
}

#[test]
fn a_completed_backup_is_ready_with_its_size_and_times() {
    let mut world = World::running();
    let seen = remote(&world, RemoteState::Completed);
    world.see(vec![seen]);
    let report = world.report();
    assert_eq!(report.status.phase, Some(Phase::Completed));
    assert_eq!(report.status.size.as_ref().map(|size| size.0.as_str()), Some("1024"));
    assert_eq!(report.status.completion_time.as_ref().map(|t| t.0), "2026-01-01T00:05:00Z".parse().ok());
    assert!(has(&report, types::READY) && !has(&report, types::RECONCILING) && !has(&report, types::STALLED));
}

#[test]
fn a_running_backup_that_still_runs_is_not_written_again() {
    let mut world = World::running();
    let before = world.status.clone();
    let seen = remote(&world, RemoteState::Running);
    world.see(vec![seen]);
    let Step::Report(report) = world.plan() else { panic!() };
    assert!(!report.is_news(&before, &Settings::default()));
}

#[test]
fn a_completed_backup_stays_so_whatever_an_older_listing_or_an_unknown_word_says_and_is_never_made_again() {
    let mut world = World::running();
    let begun = world.now;
    world.pass(1);
    let complete = remote(&world, RemoteState::Completed);
    world.see(vec![complete]);
    assert_eq!(world.report().status.phase, Some(Phase::Completed));
    let running = remote(&world, RemoteState::Running);
    world.memory.polled(begun, vec![running.clone()]);
    assert_eq!(world.report().status.phase, Some(Phase::Completed), "that one had begun before");
    world.pass(1);
    world.see(vec![running]);
    assert_eq!(world.report().status.phase, Some(Phase::Completed), "being restored, say");
    let failed = remote(&world, RemoteState::Failed);
    world.see(vec![failed]);
    let report = world.report();
    assert_eq!((report.status.phase, report.status.attempts), (Some(Phase::Missing), Some(1)), "good for nothing; and no other is made");
}

#[test]
fn a_poll_settles_no_doubt() {
    let mut world = World::new();
    world.write_intent();
    world.answer(Err(lost()));
    world.plan();
    world.pass(300);
    for _ in 0..3 {
        world.memory.polled(world.now, vec![]);
    }
    assert!(matches!(world.plan(), Step::Look(_)), "it may have been about another attempt");
}

#[test]
fn a_time_with_fractions_is_not_written_again_and_again() {
    let mut world = World::running();
    let seen = RemoteBackup { start_time: "2026-01-01T00:00:11.123Z".parse().ok(), ..remote(&world, RemoteState::Completed) };
    world.see(vec![seen]);
    world.report();
    // What the API server gives back.
    let json = serde_json::to_string(&world.status).unwrap();
    world.status = serde_json::from_str(&json).unwrap();
    let stored = world.status.clone();
    assert!(!world.report().is_news(&stored, &Settings::default()));
}

#[test]
fn a_lost_answer_leads_to_adoption_not_to_a_second_backup() {
    let mut world = World::new();
    world.write_intent();
    world.answer(Err(lost()));
    let report = world.report();
    assert_eq!((reason(&report), report.status.create_outcome), ("OutcomeUnknown", Some(CreateOutcome::Unknown)));
    world.pass(5);
    assert!(matches!(world.plan(), Step::Look(ListScope::Instance { window: None, .. })));
    let seen = remote(&world, RemoteState::Running);
    world.see(vec![seen]);
    let report = world.report();
    assert_eq!((report.status.phase, report.status.origin), (Some(Phase::Running), Some(Origin::Reattached)));
}

#[test]
fn a_miss_needs_two_listings_and_a_settle_delay() {
    let mut world = World::new();
    world.write_intent();
    world.answer(Err(lost()));
    world.report();
    let mut looks = 0;
    let mut waited = 0;
    loop {
        match world.plan() {
            Step::Look(_) => {
                looks += 1;
                world.see(vec![]);
            }
            Step::WriteIntent(next) => {
                assert_eq!(next.backup_name, world.status.backup_name, "the same name");
                assert_eq!(next.attempts, Some(1), "no attempt is spent");
                break;
            }
            Step::Report(_) | Step::Rest(_) => {
                world.pass(1);
                waited += 1;
            }
            step => panic!("{step:?}"),
        }
        assert!(waited < 1000, "it never ends");
    }
    assert!(waited >= 300, "asked again after {waited} s");
    assert!(looks >= 2, "{looks} looks");
}

#[test]
fn an_intent_without_an_outcome_found_after_a_restart_is_looked_for_before_anything_is_written() {
    let mut world = World::new();
    world.write_intent();
    world.restart();
    assert!(matches!(world.plan(), Step::Rest(Some(_))));
    world.pass(5);
    assert!(matches!(world.plan(), Step::Look(_)));
    world.see(vec![]);
    let report = world.report();
    assert_eq!(reason(&report), "OutcomeUnknown");
    world.pass(294);
    world.see(vec![]);
    assert!(!matches!(world.plan(), Step::WriteIntent(_)), "the last listing began before the settle delay was over");
    world.pass(6);
    world.see(vec![]);
    assert!(matches!(world.plan(), Step::WriteIntent(_)));
}

#[test]
fn a_listing_that_failed_is_no_miss() {
    let mut world = World::new();
    world.write_intent();
    world.restart();
    world.plan();
    for _ in 0..20 {
        world.pass(60);
        let circumstances = Circumstances { now: world.now, epoch: Some(1), nudge: 0, settings: &world.settings };
        let trouble = crate::backup::outcome::unreadable(&refusal(503, ""), world.memory.trouble.as_ref(), circumstances);
        world.memory.could_not_look(trouble);
        assert!(!matches!(world.plan(), Step::WriteIntent(_) | Step::Send(_)));
    }
}

#[test]
fn a_wall_clock_that_jumps_ahead_does_not_shorten_the_search() {
    let mut world = World::new();
    world.write_intent();
    world.restart();
    world.plan();
    world.now.wall += jiff::SignedDuration::from_hours(24);
    world.see(vec![]);
    world.see(vec![]);
    assert!(!matches!(world.plan(), Step::WriteIntent(_)));
}

#[test]
fn several_backups_under_one_mark_are_named_and_none_is_taken() {
    let mut world = World::new();
    world.write_intent();
    world.answer(Err(lost()));
    world.report();
    let one = remote(&world, RemoteState::Running);
    let two = RemoteBackup { id: "b-2".into(), ..one.clone() };
    world.see(vec![one, two]);
    let report = world.report();
    assert_eq!(reason(&report), "AmbiguousRemote");
    assert_eq!(report.status.backup_id, None);
    let message = &report.status.conditions[0].message;
    assert!(message.contains("b-1") && message.contains("b-2"), "{message}");
}

#[test]
fn a_backup_found_failed_spends_the_attempt() {
    let mut world = World::new();
    world.write_intent();
    world.answer(Err(lost()));
    world.report();
    let failed = remote(&world, RemoteState::Failed);
    world.see(vec![failed]);
    let report = world.report();
    assert_eq!((reason(&report), report.status.failed_attempts.len()), ("BackoffAfterFailure", 1));
}

#[test]
fn a_refused_description_fails_for_good_with_the_code_and_the_request_id() {
    let mut world = World::new();
    world.write_intent();
    world.answer(Err(refusal(400, "DBS.280127")));
    let report = world.report();
    assert_eq!((reason(&report), report.status.phase), ("InvalidRequest", Some(Phase::Failed)));
    assert_eq!(report.status.create_outcome, Some(CreateOutcome::Rejected));
    let message = &report.status.conditions[0].message;
    assert!(message.contains("DBS.280127") && message.contains("r-1"), "{message}");
    world.restart();
    world.pass(100_000);
    let status = world.status.clone();
    assert!(!world.report().is_news(&status, &Settings::default()), "final is final");
}

#[test]
fn busy_throttled_and_unauthenticated_spend_no_attempt_and_are_tried_again() {
    for (status, code, expected) in [
        (409, "DBS.201205", "InstanceBusy"),
        (429, "APIGW.0308", "RateLimited"),
        (401, "APIGW.0301", "AuthenticationFailed"),
        (403, "DBS.200010", "AccessDenied"),
        (413, "DBS.200046", "QuotaExceeded"),
        (404, "DBS.200002", "InstanceNotFound"),
        (404, "APIGW.0101", "EndpointMisconfigured"),
    ] {
        let mut world = World::new();
        let name = world.write_intent().backup_name;
        world.answer(Err(refusal(status, code)));
        let report = world.report();
        assert_eq!((reason(&report), report.status.create_outcome), (expected, Some(CreateOutcome::Rejected)), "{code}");
        world.pass(1);
        assert!(matches!(world.plan(), Step::Report(_)), "{code}: not at once");
        world.pass(3600);
        let again = world.write_intent();
        assert_eq!((again.backup_name, again.attempts), (name, Some(1)), "{code}");
    }
}

#[test]
fn the_cloud_is_not_asked_again_before_it_wants_to_be() {
    let mut world = World::new();
    world.write_intent();
    world.answer(Err(Error { retry_after: Some(Duration::from_secs(90)), ..refusal(429, "APIGW.0308") }));
    world.report();
    world.pass(89);
    assert!(matches!(world.plan(), Step::Report(_)));
    world.pass(1);
    assert!(matches!(world.plan(), Step::WriteIntent(_)));
}

#[test]
fn a_name_that_exists_is_looked_up() {
    let mut world = World::new();
    world.write_intent();
    world.answer(Err(refusal(409, "DBS.201209")));
    assert_eq!(reason(&world.report()), "OutcomeUnknown");
    world.pass(5);
    assert!(matches!(world.plan(), Step::Look(_)));
}

#[test]
fn failed_attempts_back_off_and_get_new_names_until_the_limit() {
    let mut world = World::running();
    let first = world.status.backup_name.clone();
    for (attempt, backoff) in [(1, 60), (2, 240)] {
        let failed = remote(&world, RemoteState::Failed);
        world.see(vec![failed]);
        let report = world.report();
        assert_eq!((reason(&report), report.status.phase), ("BackoffAfterFailure", Some(Phase::Pending)), "attempt {attempt}");
        world.pass(backoff - 1);
        assert!(matches!(world.plan(), Step::Report(_)));
        world.pass(1);
        let next = world.write_intent();
        assert_eq!(next.attempts, Some(attempt + 1));
        assert_ne!(next.backup_name, first);
        world.answer(Ok(created()));
        world.report();
    }
    let failed = remote(&world, RemoteState::Failed);
    world.see(vec![failed]);
    let report = world.report();
    assert_eq!((reason(&report), report.status.phase, report.status.failed_attempts.len()), ("BackupFailed", Some(Phase::Failed), 3));
    assert!(has(&report, types::STALLED));
}

#[test]
fn the_backoff_survives_a_restart() {
    let mut world = World::running();
    let failed = remote(&world, RemoteState::Failed);
    world.see(vec![failed]);
    world.report();
    world.restart();
    world.pass(30);
    assert_eq!(reason(&world.report()), "BackoffAfterFailure");
    world.pass(30);
    assert!(matches!(world.plan(), Step::WriteIntent(_)));
}

#[test]
fn a_blocked_object_stalls_when_the_grace_is_over_and_recovers_when_the_cause_is_gone() {
    let mut world = World::new();
    world.account = Account::Blocked { reason: Reason::AccountNotFound, message: "there is no CloudAccount default".into() };
    let report = world.report();
    assert!(has(&report, types::RECONCILING) && !has(&report, types::STALLED));
    assert_eq!(report.wake, Some(Duration::from_secs(300)), "a timer ends the grace");
    world.pass(300);
    let report = world.report();
    assert!(!has(&report, types::RECONCILING) && has(&report, types::STALLED));
    world.restart();
    let status = world.status.clone();
    let report = world.report();
    assert!(!report.is_news(&status, &Settings::default()), "a restart does not begin the grace anew");
    world.account = Account::Ready { place: place(), allowed: true, epoch: 2 };
    assert!(matches!(world.plan(), Step::WriteIntent(_)));
}

#[test]
fn trying_again_does_not_break_the_grace() {
    let mut world = World::new();
    let mut stalled = false;
    for _ in 0..20 {
        if matches!(world.plan(), Step::WriteIntent(_)) {
            let intent = world.write_intent();
            assert!(!stalled || crate::api::conditions::is_true(&intent.conditions, types::STALLED), "no flapping while it is tried again");
            world.answer(Err(refusal(404, "DBS.200002")));
        }
        stalled |= has(&world.report(), types::STALLED);
        world.pass(60);
    }
    assert!(stalled);
}

#[test]
fn a_changed_annotation_or_a_newly_verified_account_ends_the_wait() {
    let blocked = || {
        let mut world = World::new();
        world.write_intent();
        world.answer(Err(refusal(413, "DBS.200046")));
        world.report();
        world
    };
    let mut world = blocked();
    world.nudge = 7;
    assert!(matches!(world.plan(), Step::WriteIntent(_)));
    let mut world = blocked();
    world.account = Account::Ready { place: place(), allowed: true, epoch: 2 };
    assert!(matches!(world.plan(), Step::WriteIntent(_)));
}

#[test]
fn an_account_that_is_being_verified_is_waited_for_and_only_a_fresh_object_is_told() {
    let mut world = World::new();
    world.account = Account::Verifying;
    assert_eq!(reason(&world.report()), "AccountNotReady");
    let mut world = World::running();
    world.account = Account::Verifying;
    assert!(matches!(world.plan(), Step::Rest(_)));
}

#[test]
fn an_account_that_points_elsewhere_is_a_mismatch_and_nothing_is_created_there() {
    let mut world = World::running();
    world.account = Account::Ready { place: Place { project_id: "p-2".into(), ..place() }, allowed: true, epoch: 2 };
    let report = world.report();
    assert_eq!((reason(&report), report.status.phase), ("AccountMismatch", Some(Phase::Running)));
}

#[test]
fn a_namespace_that_is_not_allowed_creates_nothing_but_is_still_watched() {
    let mut world = World::new();
    world.account = Account::Ready { place: place(), allowed: false, epoch: 1 };
    assert_eq!(reason(&world.report()), "NamespaceNotAllowed");
    let mut world = World::running();
    world.account = Account::Ready { place: place(), allowed: false, epoch: 1 };
    let seen = remote(&world, RemoteState::Completed);
    world.see(vec![seen]);
    assert_eq!(reason(&world.report()), "Completed");
}

#[test]
fn behind_another_backup_of_the_instance_it_says_so() {
    let mut world = World::new();
    world.turn = Turn::Behind("shop/other".into());
    let report = world.report();
    assert_eq!(reason(&report), "InstanceBusy");
    assert!(report.status.conditions[0].message.contains("shop/other"));
}

#[test]
fn past_the_deadline_it_is_stalled_and_still_completes() {
    let mut world = World::running();
    world.pass(7200);
    let report = world.report();
    assert_eq!((reason(&report), report.status.phase), ("ProgressDeadlineExceeded", Some(Phase::Running)));
    assert!(has(&report, types::STALLED));
    let seen = remote(&world, RemoteState::Completed);
    world.see(vec![seen]);
    assert_eq!(reason(&world.report()), "Completed");
}

#[test]
fn an_import_adopts_and_never_creates() {
    let mut world = World::new();
    world.spec.source.existing_backup_id = Some("b-1".into());
    assert_eq!(world.plan(), Step::Look(ListScope::Backup { backup_id: "b-1".into() }));
    world.see(vec![]);
    assert_eq!(reason(&world.report()), "ImportNotFound");
    world.pass(30);
    assert!(matches!(world.plan(), Step::Look(_)));
    let seen = remote(&world, RemoteState::Completed);
    world.see(vec![RemoteBackup { instance_id: "another".into(), ..seen.clone() }]);
    assert_eq!(reason(&world.report()), "InstanceMismatch");
    world.see(vec![seen]);
    let report = world.report();
    assert_eq!((report.status.origin, report.status.phase), (Some(Origin::Imported), Some(Phase::Completed)));
}

#[test]
fn a_backup_that_listings_lack_long_enough_is_gone() {
    let mut world = World::running();
    world.see(vec![]);
    assert_eq!(reason(&world.report()), "Running", "one listing says little");
    world.pass(600);
    world.see(vec![]);
    assert_eq!(world.plan(), Step::Look(ListScope::Backup { backup_id: "b-1".into() }), "it is asked for by its id");
    world.memory.saw(world.now, vec![], true);
    assert_eq!(reason(&world.report()), "BackoffAfterFailure", "gone before it was complete: a spent attempt");

    let mut world = World::running();
    let seen = remote(&world, RemoteState::Completed);
    world.see(vec![seen.clone()]);
    world.report();
    world.see(vec![]);
    world.pass(600);
    world.memory.saw(world.now, vec![], true);
    assert_eq!(world.report().status.phase, Some(Phase::Missing));
    world.see(vec![seen]);
    assert_eq!(world.report().status.phase, Some(Phase::Completed), "and back");
}

#[test]
fn a_listing_from_before_the_id_was_known_does_not_count_towards_gone() {
    let mut world = World::new();
    world.write_intent();
    // Another process took the intent for lost: its listing lacks the backup, which is made and stored only then.
    let mut other = Memory::default();
    other.notice(&world.status, world.now);
    other.saw(world.now, vec![], false);
    world.answer(Ok(created()));
    world.report();
    world.memory = other;
    world.pass(600);
    world.plan();
    world.see(vec![]);
    assert!(!matches!(world.plan(), Step::Look(_)), "one listing lacks it, not two");
    world.pass(600);
    world.see(vec![]);
    assert!(matches!(world.plan(), Step::Look(ListScope::Backup { .. })), "two do");
}

#[test]
fn a_lost_backup_that_turns_up_while_its_object_goes_is_deleted_too() {
    let mut world = World::new();
    world.spec.deletion_policy = DeletionPolicy::Delete;
    world.has_finalizer = true;
    world.write_intent();
    world.answer(Err(lost()));
    world.report();
    world.deleting = true;
    assert!(matches!(world.plan(), Step::TakeStock(_)));
    world.memory.took_stock(world.now, vec![], false);
    world.pass(5);
    assert!(matches!(world.plan(), Step::Look(_)));
    // Only now does a listing show it.
    let late = remote(&world, RemoteState::Completed);
    world.see(vec![late.clone()]);
    assert!(matches!(world.plan(), Step::TakeStock(_)), "the inventory is out of date");
    world.memory.took_stock(world.now, vec![late], false);
    world.report();
    assert_eq!(world.plan(), Step::Delete { backup_id: "b-1".into() });
}

#[test]
fn a_lost_backup_that_was_seen_and_went_by_an_unanswered_deletion_keeps_nobody_waiting() {
    let mut world = World::new();
    world.spec.deletion_policy = DeletionPolicy::Delete;
    world.has_finalizer = true;
    world.write_intent();
    world.answer(Err(lost()));
    world.report();
    let seen = remote(&world, RemoteState::Completed);
    world.see(vec![seen.clone()]);
    world.deleting = true;
    world.plan();
    world.pass(1);
    world.memory.took_stock(world.now, vec![seen], false);
    world.report();
    assert!(matches!(world.plan(), Step::Delete { .. }));
    let circumstances = Circumstances { now: world.now, epoch: Some(1), nudge: 0, settings: &world.settings };
    world.memory.deleted("b-1", Err(lost()), circumstances);
    world.pass(60);
    assert!(matches!(world.plan(), Step::TakeStock(_)));
    world.memory.took_stock(world.now, vec![], false);
    assert_eq!(world.plan(), Step::SetFinalizer(false));
}

#[test]
fn an_answer_that_is_not_stored_yet_is_stored_before_the_object_goes() {
    let mut world = World::new();
    world.spec.deletion_policy = DeletionPolicy::Delete;
    world.has_finalizer = true;
    world.write_intent();
    world.answer(Ok(created()));
    world.deleting = true;
    assert_eq!(world.report().status.backup_id.as_deref(), Some("b-1"));
    assert!(matches!(world.plan(), Step::TakeStock(_)));
}

#[test]
fn a_backup_too_young_to_be_listed_is_waited_for_before_its_object_is_let_go() {
    let mut world = World::running();
    world.spec.deletion_policy = DeletionPolicy::Delete;
    world.has_finalizer = true;
    world.deleting = true;
    let mut listings = 0;
    while world.plan() != Step::SetFinalizer(false) {
        match world.plan() {
            Step::TakeStock(ListScope::Backup { .. }) => world.memory.took_stock(world.now, vec![], true),
            Step::TakeStock(_) => {
                listings += 1;
                world.memory.took_stock(world.now, vec![], false);
            }
            Step::Report(report) => {
                let message = &report.status.conditions[0].message;
                assert!(message.contains("not listed yet"), "{message}");
                world.status = report.status;
                world.pass(1);
            }
            step => panic!("{step:?}"),
        }
    }
    assert_eq!((listings, world.now.mono), (2, Duration::from_secs(310)), "once at the beginning, and once when it must be listed");
}

/// A DCS backup that is complete, under this policy.
fn of_an_instance(policy: DeletionPolicy) -> World {
    let mut world = World::new();
    world.spec.source.engine = Engine::DCS;
    world.spec.deletion_policy = policy;
    world.has_finalizer = policy == DeletionPolicy::Delete;
    world.write_intent();
    world.answer(Ok(created()));
    world.report();
    world.plan();
    let seen = remote(&world, RemoteState::Completed);
    world.see(vec![seen]);
    world.report();
    world
}

/// The cloud says that the instance is not there.
fn instance_is_missing(world: &mut World) {
    let error =
        Error::refusal("dcs", Operation::List, 404, Hints::default(), br#"{"error_code":"DCS.3022","error_msg":"no such instance"}"#);
    let circumstances = Circumstances { now: world.now, epoch: Some(1), nudge: 0, settings: &world.settings };
    let trouble = crate::backup::outcome::unreadable(&error, world.memory.trouble.as_ref(), circumstances);
    world.memory.could_not_look(trouble);
    world.memory.instance_missing(world.now);
}

#[test]
fn a_dcs_backup_is_missing_once_its_instance_was_twice_said_to_be_gone_long_enough_apart() {
    let mut world = of_an_instance(DeletionPolicy::Retain);
    instance_is_missing(&mut world);
    world.pass(599);
    instance_is_missing(&mut world);
    assert_eq!(world.report().status.phase, Some(Phase::Completed), "not yet");
    world.pass(1);
    instance_is_missing(&mut world);
    assert_eq!(world.report().status.phase, Some(Phase::Missing));
}

#[test]
fn a_missing_instance_settles_no_lost_answer() {
    let mut world = World::new();
    world.spec.source.engine = Engine::DCS;
    world.write_intent();
    world.answer(Err(lost()));
    world.report();
    for _ in 0..20 {
        world.pass(1800);
        assert!(matches!(world.plan(), Step::Look(_)), "it is still looked for");
        instance_is_missing(&mut world);
        let report = world.report();
        assert_eq!((reason(&report), report.status.create_outcome), ("InstanceNotFound", Some(CreateOutcome::Unknown)));
    }
}

#[test]
fn an_object_whose_dcs_instance_went_with_all_its_backups_is_let_go() {
    for lost_answer in [false, true] {
        let mut world = of_an_instance(DeletionPolicy::Delete);
        if lost_answer {
            world.restart();
            world.status = DatabaseBackupStatus {
                backup_id: None,
                create_outcome: Some(CreateOutcome::Unknown),
                phase: Some(Phase::Pending),
                ..world.status
            };
        }
        world.deleting = true;
        assert!(matches!(world.plan(), Step::TakeStock(_)));
        instance_is_missing(&mut world);
        assert_eq!(reason(&world.report()), "Deleting", "it may come back");
        world.pass(600);
        assert!(matches!(world.plan(), Step::TakeStock(_)), "asked again");
        instance_is_missing(&mut world);
        assert_eq!(world.plan(), Step::SetFinalizer(false), "lost answer: {lost_answer}");
    }
}

#[test]
fn a_backup_that_a_restore_uses_is_deleted_later() {
    let mut world = being_deleted();
    world.plan();
    let seen = remote(&world, RemoteState::Completed);
    world.memory.took_stock(world.now, vec![seen.clone()], false);
    world.report();
    assert!(matches!(world.plan(), Step::Delete { .. }));
    let in_use = Error::refusal(
        "geminidb",
        Operation::Delete,
        403,
        Hints::default(),
        br#"{"error_code":"DBS.201319","error_msg":"being restored"}"#,
    );
    let circumstances = Circumstances { now: world.now, epoch: Some(1), nudge: 0, settings: &world.settings };
    world.memory.deleted("b-1", Err(in_use), circumstances);
    let report = world.report();
    let said = &report.status.conditions[0].message;
    assert!(reason(&report) == "Deleting" && said.contains("DBS.201319"), "{said}");
    world.pass(60);
    assert!(matches!(world.plan(), Step::TakeStock(_)), "what is there is looked at anew");
    world.memory.took_stock(world.now, vec![seen], false);
    assert!(matches!(world.plan(), Step::Delete { .. }), "and asked for again");
}

#[test]
fn an_instance_that_is_busy_for_hours_is_asked_again_and_again_and_spends_nothing() {
    let mut world = World::new();
    let (mut asked, mut stalled) = (0, false);
    while world.now.since_wall("2026-01-01T00:00:00Z".parse().unwrap()) < Duration::from_secs(5 * 3600) {
        world.write_intent();
        world.answer(Err(refusal(409, "DBS.201205")));
        let report = world.report();
        asked += 1;
        stalled |= has(&report, types::STALLED);
        assert_eq!((report.status.attempts, report.status.phase), (Some(1), Some(Phase::Pending)));
        world.pass(60);
    }
    assert!((200..400).contains(&asked) && stalled, "about once a minute: {asked}; past its deadline it says so: {stalled}");
    world.write_intent();
    world.answer(Ok(created()));
    world.report();
    world.plan();
    let seen = remote(&world, RemoteState::Completed);
    world.see(vec![seen]);
    assert_eq!(world.report().status.phase, Some(Phase::Completed), "a deadline gives nothing up");
}

#[test]
fn a_look_that_fails_is_not_repeated_at_once() {
    let fail = |world: &mut World| {
        world.memory.looking = true;
        let circumstances = Circumstances { now: world.now, epoch: Some(1), nudge: 0, settings: &world.settings };
        let trouble = crate::backup::outcome::unreadable(&refusal(503, ""), world.memory.trouble.as_ref(), circumstances);
        world.memory.could_not_look(trouble);
    };
    // For a backup that listings lack.
    let mut world = World::running();
    world.see(vec![]);
    world.pass(600);
    world.see(vec![]);
    assert!(matches!(world.plan(), Step::Look(_)));
    fail(&mut world);
    assert!(matches!(world.plan(), Step::Report(report) if report.wake.is_some()));
    world.pass(60);
    assert!(matches!(world.plan(), Step::Look(_)));
    // For one of several under one mark.
    let mut world = World::new();
    world.write_intent();
    world.answer(Err(lost()));
    world.report();
    let one = remote(&world, RemoteState::Running);
    world.see(vec![one.clone(), RemoteBackup { id: "b-2".into(), ..one }]);
    world.report();
    world.pass(1800);
    assert!(matches!(world.plan(), Step::Look(_)));
    fail(&mut world);
    assert!(matches!(world.plan(), Step::Report(report) if report.wake.is_some()));
}

#[test]
fn an_edited_policy_is_observed_without_a_word_about_the_backup() {
    let mut world = World::running();
    let seen = remote(&world, RemoteState::Completed);
    world.see(vec![seen]);
    world.report();
    world.generation = 2;
    world.spec.expire_after_days = Some(30);
    let report = world.report();
    assert_eq!(report.status.observed_generation, 2);
    assert!(report.status.conditions.iter().all(|condition| condition.observed_generation == Some(2)));
    let due: Timestamp = "2026-01-31T00:05:00Z".parse().unwrap();
    assert_eq!(report.status.expiration_time.map(|t| t.0), Some(due));
}

#[test]
fn a_backup_that_the_cloud_dates_before_its_request_does_not_expire_early() {
    let mut world = World::running();
    world.spec.expire_after_days = Some(1);
    let seen = RemoteBackup { completion_time: "1970-01-01T00:00:00Z".parse().ok(), ..remote(&world, RemoteState::Completed) };
    world.see(vec![seen]);
    let report = world.report();
    assert_eq!(report.status.completion_time.map(|t| t.0), Some(Timestamp::UNIX_EPOCH), "what the cloud says is told");
    let due: Timestamp = "2026-01-02T00:00:10Z".parse().unwrap();
    assert_eq!(report.status.expiration_time.map(|t| t.0), Some(due));
}

#[test]
fn with_retain_a_deleted_object_is_let_go() {
    let mut world = World::running();
    world.deleting = true;
    assert_eq!(world.plan(), Step::Rest(None));
}

#[test]
fn a_stored_object_that_lacks_part_of_the_intent_is_found_out() {
    let mut world = World::new();
    let intent = world.write_intent();
    assert!(carries_intent(Some(&intent), &intent));
    assert!(!carries_intent(None, &intent));
    for spoil in [
        |s: &mut DatabaseBackupStatus| s.request_time = None,
        |s: &mut DatabaseBackupStatus| s.backup_name = None,
        |s: &mut DatabaseBackupStatus| s.attempts = None,
        |s: &mut DatabaseBackupStatus| s.project_id = None,
        |s: &mut DatabaseBackupStatus| {
            s.failed_attempts.push(FailedAttempt { backup_name: "x".into(), backup_id: None, message: "m".into() });
        },
    ] {
        let mut stored = intent.clone();
        spoil(&mut stored);
        assert!(!carries_intent(Some(&stored), &intent));
    }
}

#[test]
fn a_call_that_was_cut_off_counts_as_unanswered() {
    let mut world = World::new();
    world.write_intent();
    world.memory.sending();
    let report = world.report();
    assert_eq!(reason(&report), "OutcomeUnknown");
    assert!(matches!(world.memory.own.as_ref().map(|own| &own.stage), Some(Stage::Unanswered(_))));
}

#[test]
fn the_finalizer_is_there_before_the_first_intent_and_only_under_delete() {
    let mut world = World::new();
    world.spec.deletion_policy = DeletionPolicy::Delete;
    assert_eq!(world.plan(), Step::SetFinalizer(true));
    world.has_finalizer = true;
    assert!(matches!(world.plan(), Step::WriteIntent(_)));
    world.spec.deletion_policy = DeletionPolicy::Retain;
    assert_eq!(world.plan(), Step::SetFinalizer(false));
}

/// A completed backup whose object is deleted under `Delete`.
fn being_deleted() -> World {
    let mut world = World::running();
    let seen = remote(&world, RemoteState::Completed);
    world.see(vec![seen]);
    world.report();
    world.spec.deletion_policy = DeletionPolicy::Delete;
    (world.has_finalizer, world.deleting) = (true, true);
    world
}

#[test]
fn only_what_a_fresh_listing_shows_under_this_objects_mark_and_instance_is_deleted() {
    let mut world = being_deleted();
    assert!(matches!(world.plan(), Step::TakeStock(ListScope::Instance { window: None, .. })), "nothing is deleted on memory");
    let mine = remote(&world, RemoteState::Completed);
    let another = RemoteBackup { id: "b-9".into(), mark: "somebody-elses".into(), ..mine.clone() };
    let elsewhere = RemoteBackup { id: "b-8".into(), instance_id: "another".into(), ..mine.clone() };
    world.memory.took_stock(world.now, vec![another.clone(), elsewhere.clone(), mine.clone()], false);
    assert_eq!(world.report().status.delete_reason, Some(crate::api::status::DeleteReason::ObjectDeleted), "told before it is done");
    assert_eq!(world.plan(), Step::Delete { backup_id: "b-1".into() });
    let circumstances = Circumstances { now: world.now, epoch: Some(1), nudge: 0, settings: &Settings::default() };
    world.memory.deleted("b-1", Ok(()), circumstances);
    world.pass(5);
    assert!(matches!(world.plan(), Step::TakeStock(_)), "confirmed by a listing");
    world.memory.took_stock(world.now, vec![mine], false);
    assert_eq!(reason(&world.report()), "Deleting", "the cloud takes a while, and is not asked again at once");
    world.pass(15);
    assert!(matches!(world.plan(), Step::TakeStock(_)));
    world.memory.took_stock(world.now, vec![another, elsewhere], false);
    assert_eq!(world.plan(), Step::TakeStock(ListScope::Backup { backup_id: "b-1".into() }), "and by its id");
    world.memory.took_stock(world.now, vec![], true);
    assert_eq!(world.plan(), Step::SetFinalizer(false));
}

#[test]
fn a_running_backup_is_waited_for_before_it_is_deleted() {
    let mut world = being_deleted();
    assert!(matches!(world.plan(), Step::TakeStock(_)));
    let mine = remote(&world, RemoteState::Running);
    world.memory.took_stock(world.now, vec![mine], false);
    assert_eq!(reason(&world.report()), "Deleting");
    world.pass(15);
    assert!(matches!(world.plan(), Step::TakeStock(_)));
}

#[test]
fn a_call_without_an_answer_is_cleared_up_before_the_object_is_let_go() {
    let mut world = World::new();
    world.spec.deletion_policy = DeletionPolicy::Delete;
    world.has_finalizer = true;
    world.write_intent();
    world.answer(Err(lost()));
    world.report();
    world.deleting = true;
    let mut looks = 0;
    for _ in 0..1000 {
        match world.plan() {
            Step::TakeStock(_) => world.memory.took_stock(world.now, vec![], false),
            Step::Look(_) => {
                looks += 1;
                world.see(vec![]);
            }
            Step::Report(_) | Step::Rest(_) => world.pass(1),
            Step::SetFinalizer(false) => break,
            step => panic!("{step:?}"),
        }
    }
    assert!(looks >= 2 && world.now.mono >= Duration::from_secs(300), "{looks} looks, {:?}", world.now.mono);
}

#[test]
fn a_call_without_an_answer_whose_backup_was_found_and_deleted_is_in_doubt_no_longer() {
    for seen_before in [true, false] {
        let mut world = World::new();
        world.spec.deletion_policy = DeletionPolicy::Delete;
        world.has_finalizer = true;
        world.write_intent();
        world.answer(Err(lost()));
        world.report();
        let mine = remote(&world, RemoteState::Completed);
        if seen_before {
            world.see(vec![mine.clone()]);
        }
        world.deleting = true;
        assert!(matches!(world.plan(), Step::TakeStock(_)));
        world.memory.took_stock(world.now, vec![mine], false);
        world.report();
        assert!(matches!(world.plan(), Step::Delete { .. }));
        let circumstances = Circumstances { now: world.now, epoch: Some(1), nudge: 0, settings: &Settings::default() };
        world.memory.deleted("b-1", Ok(()), circumstances);
        world.pass(5);
        assert!(matches!(world.plan(), Step::TakeStock(_)));
        world.memory.took_stock(world.now, vec![], false);
        assert_eq!(world.plan(), Step::SetFinalizer(false), "seen before: {seen_before}");
    }
}

#[test]
fn flipping_to_retain_frees_the_object_at_once() {
    let mut world = being_deleted();
    world.account = Account::Blocked { reason: Reason::AccountNotReady, message: "there is no Secret".into() };
    let report = world.report();
    assert_eq!(reason(&report), "CredentialsUnavailable");
    assert!(report.status.conditions[0].message.contains("set deletionPolicy to Retain"));
    assert!(!has(&report, types::RECONCILING) && !has(&report, types::STALLED));
    world.spec.deletion_policy = DeletionPolicy::Retain;
    assert_eq!(world.plan(), Step::SetFinalizer(false));
}

#[test]
fn an_account_that_points_elsewhere_blocks_the_deletion() {
    let mut world = being_deleted();
    world.account = Account::Ready { place: Place { project_id: "p-2".into(), ..place() }, allowed: true, epoch: 2 };
    assert_eq!(reason(&world.report()), "DeleteBlocked");
}

#[test]
fn an_object_that_never_asked_is_let_go_at_once() {
    let mut world = World::new();
    world.spec.deletion_policy = DeletionPolicy::Delete;
    (world.has_finalizer, world.deleting) = (true, true);
    assert_eq!(world.plan(), Step::SetFinalizer(false));
}

#[test]
fn an_expired_backup_is_deleted_whatever_the_policy_and_the_object_stays() {
    let mut world = World::running();
    world.spec.expire_after_days = Some(1);
    let seen = remote(&world, RemoteState::Completed);
    world.see(vec![seen.clone()]);
    world.report();
    world.pass(2 * 86_400);
    assert!(matches!(world.plan(), Step::TakeStock(_)));
    world.memory.took_stock(world.now, vec![seen], false);
    let report = world.report();
    assert!(has(&report, types::READY) && report.status.phase == Some(Phase::Completed), "it is there until it is gone");
    assert_eq!(world.plan(), Step::Delete { backup_id: "b-1".into() });
    let circumstances = Circumstances { now: world.now, epoch: Some(1), nudge: 0, settings: &Settings::default() };
    world.memory.deleted("b-1", Err(refusal(400, "DBS.201208")), circumstances);
    let report = world.report();
    assert!(has(&report, types::READY) && report.status.conditions[0].message.contains("DBS.201208"), "it says why it waits");
    world.pass(60);
    assert!(matches!(world.plan(), Step::TakeStock(_)));
    world.memory.took_stock(world.now, vec![], false);
    world.memory.took_stock(world.now, vec![], true);
    let report = world.report();
    assert_eq!((reason(&report), report.status.phase), ("Expired", Some(Phase::Expired)));
    assert!(has(&report, types::READY));
}
