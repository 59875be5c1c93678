//! The cloud has to be asked.

use super::*;

#[test]
fn everything_is_in_hand_before_the_intent_is_written() {
    let mut world = World::new();
    (world.position, world.permit) = (Position::NotAsked, Permit::NotAsked);
    assert_eq!(world.plan(), Step::JoinQueue);
    world.position = Position::First;
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
fn an_object_that_queues_for_a_permit_says_so_when_it_has_not_got_one_at_once() {
    for (permit, said) in [(Permit::Queued, "maxRequestsPerSecond"), (Permit::Paused, "Retry-After")] {
        let mut world = World::new();
        world.permit = permit;
        assert_eq!(world.plan(), Step::RequeueAfter(Some(Duration::from_millis(500))));
        world.permit = Permit::NotAsked;
        assert_eq!(world.plan(), Step::TakePermit);
        world.permit = permit;
        world.pass(1);
        let report = world.report();
        assert_eq!(reason(&report), "RateLimited");
        assert!(report.status.conditions.iter().any(|condition| condition.message.contains(said)), "{report:?}");
        world.permit = Permit::Granted;
        assert!(matches!(world.plan(), Step::WriteIntent(_)));
    }
}

#[test]
fn an_object_that_waits_for_the_end_of_other_calls_says_so_when_that_takes_long() {
    let mut world = World::new();
    world.permit = Permit::Crowded;
    assert_eq!(world.plan(), Step::RequeueAfter(Some(Duration::from_secs(5))), "in a burst most wait for a second or two");
    world.pass(5);
    let report = world.report();
    assert_eq!(reason(&report), "RateLimited");
    assert!(report.status.conditions.iter().any(|condition| condition.message.contains("waiting for other calls of")), "{report:?}");
}

#[test]
fn an_object_that_queues_names_what_its_service_allows_each_user() {
    let mut world = World::new();
    world.spec.source.engine = Engine::RDS;
    world.permit = Permit::Queued;
    world.plan();
    world.pass(1);
    let report = world.report();
    let message = &report.status.conditions.iter().find(|condition| condition.type_ == types::READY).unwrap().message;
    assert!(message.contains("RDS: 60 calls a minute for each user"), "{message}");
}

#[test]
fn a_blocked_object_that_queues_for_its_next_try_stays_blocked() {
    let mut world = World::new();
    world.write_intent();
    world.answer(Err(refusal(404, "DBS.200002")));
    assert_eq!(reason(&world.report()), "InstanceNotFound");
    // Its pause is over, and it queues.
    world.pass(60);
    world.permit = Permit::Queued;
    world.plan();
    for _ in 0..5 {
        world.pass(60);
        assert_eq!(reason(&world.report_in_time()), "InstanceNotFound");
    }
    assert!(has(&world.report_in_time(), types::STALLED), "its grace went on");
}

#[test]
fn the_call_is_sent_only_on_a_fresh_intent_of_this_process() {
    let mut world = World::new();
    world.write_intent();
    assert!(matches!(world.plan(), Step::Send(new) if new.mark.starts_with("dbb-orders-")));
    world.pass(11);
    assert!(matches!(world.plan(), Step::WriteIntent(_)), "this process knows that it sent nothing, so it decides anew at once");
    world.restart();
    assert!(matches!(world.plan(), Step::RequeueAfter(_)), "another process does not know that");
}

#[test]
fn no_two_intents_of_an_object_have_the_same_time_even_if_the_clock_stands_still() {
    let mut world = World::new();
    let first = world.write_intent();
    world.answer(Err(refusal(409, "DBS.201205")));
    world.report();
    // Another process, whose clock says the same.
    world.restart();
    world.plan();
    world.see(vec![]);
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
fn the_clusters_name_is_in_the_description_that_nobody_gave_and_decides_nothing() {
    let mut world = World::new();
    let intent = world.write_intent();
    world.cluster = "prod-eu".parse().unwrap();
    let Step::Send(new) = world.plan() else { panic!("the intent of before is still its own") };
    assert_eq!(Some(new.mark), intent.backup_name, "it is found again by the same name");
    assert_eq!(new.description, "DatabaseBackup shop/orders in prod-eu");
    world.spec.source.description = Some("before v42".into());
    let Step::Send(new) = world.plan() else { panic!("still its own") };
    assert_eq!(new.description, "before v42");
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
fn a_host_that_does_not_serve_it_is_answered_by_the_field_that_names_another() {
    let mut world = World::new();
    world.write_intent();
    world.answer(Err(refusal(404, "APIGW.0101")));
    let message = world.report().status.conditions[0].message.clone();
    assert!(
        message.starts_with("this host does not serve it: set endpoints.") && message.contains("of a ClusterCloudAccount: "),
        "{message}"
    );
    assert!(message.contains("APIGW.0101") && message.chars().count() <= 256, "{message}");
}

#[test]
fn the_cloud_is_not_asked_again_before_it_wants_to_be() {
    let mut world = World::new();
    world.write_intent();
    world.answer(Err(refused_for(90, 429, "APIGW.0308")));
    world.report();
    world.pass(89);
    assert!(matches!(world.plan(), Step::Report(_)));
    world.pass(1);
    assert!(matches!(world.plan(), Step::WriteIntent(_)));
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
    assert!(matches!(world.plan(), Step::Look(_)));
    world.see(vec![]);
    assert!(matches!(world.plan(), Step::WriteIntent(_)));
}

#[test]
fn a_blocked_object_stalls_when_the_grace_is_over_and_recovers_when_the_cause_is_gone() {
    let mut world = World::new();
    world.account = Account::Blocked { reason: Reason::AccountNotFound, message: "there is no CloudAccount default".into() };
    let report = world.report();
    assert!(has(&report, types::RECONCILING) && !has(&report, types::STALLED));
    assert_eq!(report.requeue_after, Some(Duration::from_secs(300)), "a timer ends the grace");
    world.pass(300);
    let report = world.report();
    assert!(!has(&report, types::RECONCILING) && has(&report, types::STALLED));
    world.restart();
    let status = world.status.clone();
    let report = world.report();
    assert!(!report.is_news(&status, &Settings::default()), "a restart does not begin the grace anew");
    world.account = ready(place(), 2);
    assert!(matches!(world.plan(), Step::Look(_)), "this process does not know all of its life");
    world.see(vec![]);
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
    world.annotations = 7;
    assert!(matches!(world.plan(), Step::WriteIntent(_)));
    let mut world = blocked();
    world.account = ready(place(), 2);
    assert!(matches!(world.plan(), Step::WriteIntent(_)));
}

#[test]
fn an_account_that_is_being_verified_is_waited_for_and_only_a_fresh_object_is_told() {
    let mut world = World::new();
    world.account = Account::Verifying;
    assert_eq!(world.plan(), Step::RequeueAfter(Some(Duration::from_millis(500))), "at a start most are verified before that");
    world.pass(1);
    assert_eq!(reason(&world.report()), "AccountNotReady");
    let mut world = World::running();
    world.account = Account::Verifying;
    assert!(matches!(world.plan(), Step::RequeueAfter(_)));
}

#[test]
fn an_account_of_which_nothing_is_known_for_longer_than_the_grace_is_said_and_stalls_whatever_the_phase() {
    for mut world in [World::new(), World::running()] {
        world.account = Account::Verifying;
        world.plan();
        world.pass(299);
        let within = world.plan();
        assert!(!matches!(&within, Step::Report(report) if has(report, types::STALLED)), "within the grace: {within:?}");
        world.pass(1);
        assert_eq!(reason(&world.report()), "AccountNotReady");
        world.pass(300);
        assert!(has(&world.report_in_time(), types::STALLED));
        world.account = ready(place(), 2);
        assert!(!matches!(world.plan(), Step::Report(report) if reason(&report) == "AccountNotReady"), "it is over at once");
    }
}

#[test]
fn an_account_that_points_elsewhere_is_a_mismatch_and_nothing_is_created_there() {
    let mut world = World::running();
    world.account = ready(place_in("p-2", HOST), 2);
    let report = world.report();
    assert_eq!((reason(&report), report.status.phase), ("AccountMismatch", Some(Phase::Running)));
}

#[test]
fn a_namespace_that_is_not_allowed_creates_nothing_but_is_still_watched() {
    let mut world = World::new();
    world.account = Account::Ready { place: place(), allowed: false, credentials_generation: 1, cloud_now: None };
    assert_eq!(reason(&world.report()), "NamespaceNotAllowed");
    let mut world = World::running();
    world.account = Account::Ready { place: place(), allowed: false, credentials_generation: 1, cloud_now: None };
    let seen = remote(&world, RemoteState::Completed);
    world.see(vec![seen]);
    assert_eq!(reason(&world.report()), "Completed");
}

#[test]
fn behind_another_backup_of_the_instance_it_says_so() {
    let mut world = World::new();
    world.position = Position::Behind(Some("shop/other".into()));
    let report = world.report();
    assert_eq!(reason(&report), "InstanceBusy");
    assert!(report.status.conditions[0].message.contains("shop/other"));
}

#[test]
fn behind_a_backup_of_another_namespace_it_names_nobody() {
    let mut world = World::new();
    world.position = Position::Behind(None);
    let report = world.report();
    assert_eq!(
        (reason(&report), report.status.conditions[0].message.as_str()),
        ("InstanceBusy", "waiting for another backup of the same instance")
    );
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
        |s: &mut DatabaseBackupStatus| s.endpoint = None,
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
fn a_blocked_object_is_stalled_when_its_grace_is_over_and_not_before() {
    let mut world = World::new();
    world.account = Account::Blocked { reason: Reason::AccountNotFound, message: "there is none".into() };
    let report = world.report();
    assert_eq!((has(&report, types::RECONCILING), report.requeue_after), (true, Some(Duration::from_secs(300))));
    world.pass(299);
    assert!(!has(&world.report(), types::STALLED));
    world.pass(1);
    assert!(has(&world.report(), types::STALLED));
}

#[test]
fn an_annotation_that_changes_too_soon_is_looked_at_when_it_counts() {
    let mut world = World::new();
    world.account = Account::Blocked { reason: Reason::AccountNotFound, message: "there is none".into() };
    world.report();
    world.annotations = 1;
    assert_eq!(world.report().requeue_after, Some(Duration::from_secs(300)), "it counts at once");
    world.annotations = 2;
    assert_eq!(world.report().requeue_after, Some(Duration::from_secs(10)), "so soon it does not");
}
