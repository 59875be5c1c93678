//! The ground moves: accounts, hosts, clocks, restored clusters, and projects that never hold still.

use super::*;

/// The account points there from now on.
fn move_to(world: &mut World, project_id: &str, host: &str) {
    let credentials_generation = world.account.credentials_generation().unwrap_or_default() + 1;
    world.account = ready(place_in(project_id, host), credentials_generation);
}

#[test]
fn what_is_seen_in_another_project_says_nothing_however_long_it_is_seen() {
    for state in [RemoteState::Running, RemoteState::Completed] {
        let mut world = World::running();
        world.spec.source.engine = Engine::DCS;
        let seen = remote(&world, state);
        world.see(vec![seen.clone()]);
        world.report_in_time();
        move_to(&mut world, "p-2", HOST);
        for _ in 0..5 {
            world.pass(600);
            world.poll(Covers::Everything, vec![]);
            instance_is_missing(&mut world);
            world.plan();
        }
        assert!(world.memory.absence.is_none() && world.status.failed_attempts.is_empty(), "{state:?}");
        move_to(&mut world, "p-1", HOST);
        world.memory.retry = None;
        world.poll(Covers::Everything, vec![RemoteBackup { state: RemoteState::Completed, ..seen }]);
        let report = world.report_in_time();
        assert_eq!((report.status.phase, report.status.attempts), (Some(Phase::Completed), Some(1)), "{state:?}");
    }
}

#[test]
fn a_running_backup_whose_account_points_elsewhere_says_so_although_it_was_seen_running() {
    let mut world = World::running();
    let seen = remote(&world, RemoteState::Running);
    world.poll(Covers::Everything, vec![seen]);
    move_to(&mut world, "p-2", HOST);
    let report = world.report();
    assert_eq!((reason(&report), report.status.phase), ("AccountMismatch", Some(Phase::Running)));
}

#[test]
fn another_host_counts_once_the_backup_was_seen_there_and_until_then_nothing_is_asked_for_there() {
    let mut world = World::running();
    move_to(&mut world, "p-1", "new.example.com");
    world.pass(600);
    world.poll(Covers::Everything, vec![]);
    world.pass(600);
    world.poll(Covers::Everything, vec![]);
    let report = world.report();
    assert_eq!((reason(&report), report.status.endpoint.as_deref()), ("AccountMismatch", Some(HOST)), "it is not called gone");
    let seen = remote(&world, RemoteState::Completed);
    world.poll(Covers::AWindow, vec![seen]);
    assert_eq!(world.report().status.endpoint.as_deref(), Some("new.example.com"), "the same cloud under another name");
    assert_eq!(world.report().status.phase, Some(Phase::Completed));
    // One that was refused has nothing that could be seen there.
    let mut refused = World::new();
    refused.write_intent();
    refused.answer(Err(refusal(413, "DBS.200046")));
    refused.report();
    move_to(&mut refused, "p-1", "new.example.com");
    refused.pass(3600);
    assert_eq!(reason(&refused.report()), "AccountMismatch");
}

#[test]
fn a_lost_answer_is_looked_for_at_another_host_too_but_its_absence_there_settles_nothing() {
    let mut world = World::new();
    world.write_intent();
    world.answer(Err(lost()));
    world.report();
    move_to(&mut world, "p-1", "new.example.com");
    for _ in 0..20 {
        world.pass(60);
        if matches!(world.plan(), Step::Look(_)) {
            world.see(vec![]);
        }
        assert!(!matches!(world.plan(), Step::WriteIntent(_)));
    }
    assert_eq!(world.memory.unknown_outcome.as_ref().map(|unknown| unknown.misses), Some(0));
    let found = remote(&world, RemoteState::Running);
    world.see(vec![found]);
    assert_eq!(world.report().status.endpoint.as_deref(), Some("new.example.com"));
    assert_eq!(world.report().status.origin, Some(Origin::Reattached));
}

/// A completed backup whose record bears a name that this object never made.
fn of_an_earlier_life(engine: Engine) -> (World, RemoteBackup) {
    let mut world = World::running();
    world.spec.source.engine = engine;
    let record = RemoteBackup { mark: "dbb-orders-0123456789abcdef0123".into(), ..remote(&world, RemoteState::Completed) };
    world.see(vec![record.clone()]);
    world.report();
    (world, record)
}

#[test]
fn a_backup_that_an_earlier_object_made_is_not_this_ones_to_delete() {
    for engine in [Engine::TaurusDB, Engine::DCS] {
        let (mut world, record) = of_an_earlier_life(engine);
        world.spec.deletion_policy = DeletionPolicy::Delete;
        (world.has_finalizer, world.deleting) = (true, true);
        assert!(matches!(world.plan(), Step::TakeInventory(_)));
        // By its own names nothing is listed; where it can be asked for by its id, it is there.
        let (listed, asked) = if engine == Engine::DCS { (vec![record.clone()], vec![]) } else { (vec![], vec![record.clone()]) };
        world.inventory(listed, false);
        if engine != Engine::DCS {
            assert!(matches!(world.plan(), Step::TakeInventory(ListScope::Backup { .. })));
            world.inventory(asked, true);
        }
        let report = world.report();
        assert_eq!(reason(&report), "DeleteBlocked");
        let message = &report.status.conditions[0].message;
        assert!(message.contains("b-1 was made by an earlier object") && !message.contains("dbb-"), "{message}");
        let looks = (0..600).filter(|_| {
            world.pass(1);
            let looks = matches!(world.plan(), Step::TakeInventory(_));
            if looks {
                world.memory.begin_look(world.account.credentials_generation(), world.now);
                let result = world.result(Covers::Everything, vec![record.clone()]);
                world.memory.looked(LookFor::Inventory, &world.status, result);
            }
            looks
        });
        assert!(looks.count() <= 6, "{engine:?}: it is looked at ever more seldom");
        world.spec.deletion_policy = DeletionPolicy::Retain;
        assert_eq!(world.plan(), Step::SetFinalizer(false), "and the flip frees it, without a word that anything was deleted");
    }
}

#[test]
fn a_backup_that_an_earlier_object_made_does_not_expire() {
    let (mut world, record) = of_an_earlier_life(Engine::DCS);
    world.spec.expire_after_days = Some(1);
    world.report();
    world.pass(2 * 86_400);
    assert!(matches!(world.plan(), Step::TakeInventory(_)));
    world.inventory(vec![record], false);
    let report = world.report();
    assert_eq!((reason(&report), report.status.phase), ("Completed", Some(Phase::Completed)));
    assert!(report.status.conditions[0].message.contains("made by an earlier object"));
    assert_eq!(report.status.delete_reason, None);
}

/// An object that a listing showed: nobody knows whether it has lived before.
fn shown_by_a_listing() -> World {
    World { born: None, ..World::new() }
}

#[test]
fn an_object_that_may_have_lived_before_is_looked_for_before_its_first_create_call() {
    let mut world = shown_by_a_listing();
    assert!(matches!(world.plan(), Step::Look(ListScope::Instance { .. })));
    world.see(vec![]);
    assert!(matches!(world.plan(), Step::WriteIntent(_)), "one complete listing lacks it");
    // So is one that waited for more than 10 minutes.
    let mut late = World::new();
    late.pass(590);
    assert!(matches!(late.plan(), Step::Look(_)));
    late.look(Covers::Nothing, vec![]);
    assert!(!matches!(late.plan(), Step::WriteIntent(_)), "a listing that does not hold together proves nothing");
}

#[test]
fn a_young_object_that_this_process_saw_come_into_being_costs_no_listing() {
    let mut world = World::new();
    world.pass(500);
    assert!(matches!(world.plan(), Step::WriteIntent(_)));
}

#[test]
fn a_backup_from_before_the_store_was_put_back_is_adopted_with_all_its_attempts() {
    use crate::plan::backup::name::backup_name;
    let mark = |attempt| backup_name(Engine::TaurusDB, "orders", "uid-1", "i-1in07", attempt);
    let mut world = shown_by_a_listing();
    world.put_back = Some(world.now);
    assert!(!matches!(world.plan(), Step::Look(_) | Step::WriteIntent(_)), "a call of before may still turn up");
    world.pass(300);
    assert!(matches!(world.plan(), Step::Look(_)));
    let record = |attempt, id: &str, state| RemoteBackup { id: id.into(), mark: mark(attempt), ..remote(&World::new(), state) };
    world.see(vec![record(1, "b-1", RemoteState::Failed), record(2, "b-2", RemoteState::Completed)]);
    let report = world.report();
    let status = &report.status;
    assert_eq!((status.phase, status.origin, status.attempts), (Some(Phase::Completed), Some(Origin::Reattached), Some(2)));
    assert_eq!((status.backup_id.as_deref(), status.backup_name.as_deref()), (Some("b-2"), Some(mark(2).as_str())));
    assert_eq!(status.failed_attempts[0].backup_id.as_deref(), Some("b-1"));
}

#[test]
fn a_refusal_that_stands_in_a_status_is_looked_behind_by_a_process_that_did_not_hear_it() {
    let mut world = World::new();
    world.write_intent();
    world.answer(Err(refusal(413, "DBS.200046")));
    world.report();
    world.restart();
    assert!(matches!(world.plan(), Step::Look(_)), "the store may have been put back to before a later call");
    let found = remote(&world, RemoteState::Completed);
    world.see(vec![found]);
    assert_eq!(world.report().status.origin, Some(Origin::Reattached));
}

#[test]
fn nothing_is_deleted_while_this_machines_clock_and_the_clouds_disagree() {
    let mut world = World::running();
    world.spec.expire_after_days = Some(1);
    let seen = remote(&world, RemoteState::Completed);
    world.see(vec![seen.clone()]);
    world.report();
    // The wall clock jumps ahead by a year; the cloud's does not.
    world.now.wall += jiff::SignedDuration::from_hours(366 * 24);
    world.cloud_ahead = jiff::SignedDuration::from_hours(-366 * 24);
    let report = world.report_in_time();
    assert_eq!((report.status.phase, report.status.delete_reason), (Some(Phase::Completed), None));
    assert!(has(&report, types::READY) && report.status.conditions[0].message.contains("clock"), "{report:?}");
    // Nor with the object.
    world.spec.deletion_policy = DeletionPolicy::Delete;
    (world.has_finalizer, world.deleting) = (true, true);
    world.plan();
    world.inventory(vec![seen], false);
    assert_eq!(reason(&world.report()), "DeleteBlocked");
    world.cloud_ahead = jiff::SignedDuration::ZERO;
    world.report_in_time();
    assert!(matches!(world.plan(), Step::Delete { .. }), "once they agree it goes on");
}

#[test]
fn what_a_page_shows_counts_and_what_it_does_not_show_is_asked_for_by_its_id_after_three() {
    let mut world = World::running();
    let before = world.status.clone();
    for n in 1..=3 {
        assert!(!matches!(world.plan(), Step::Look(_)), "after {n} listings");
        world.poll(Covers::Nothing, vec![]);
        world.pass(15);
    }
    assert_eq!(world.plan(), Step::Look(by_id("b-1")));
    let running = remote(&world, RemoteState::Running);
    world.look(Covers::TheBackup, vec![running]);
    let Step::Report(report) = world.plan() else { panic!("{:?}", world.plan()) };
    assert!(!report.is_news(&before, &Settings::default()), "and there is nothing to say");
    let completed = remote(&world, RemoteState::Completed);
    world.poll(Covers::Nothing, vec![completed]);
    assert_eq!(world.report().status.phase, Some(Phase::Completed));
}

#[test]
fn a_listing_with_a_window_never_proves_absence() {
    let mut world = World::running();
    for _ in 0..3 {
        world.poll(Covers::AWindow, vec![]);
        world.pass(600);
    }
    assert!(world.memory.absence.is_none());
    assert_eq!(world.plan(), Step::Look(by_id("b-1")), "but it is asked for by its id");
}

#[test]
fn an_import_is_looked_for_again_after_a_pause_and_at_once_when_somebody_asks() {
    let mut world = World::new();
    world.spec.source.existing_backup_id = Some("b-1".into());
    let mut looked = Vec::new();
    for second in 0..600 {
        if matches!(world.plan(), Step::Look(_)) {
            looked.push(second);
            world.memory.begin_look(world.account.credentials_generation(), world.now);
            let result = world.result(Covers::TheBackup, vec![]);
            world.memory.looked(LookFor::Backup, &world.status, result);
        }
        if let Step::Report(_) = world.plan() {
            world.report();
        }
        world.pass(1);
    }
    assert_eq!(looked, [0, 30, 90, 210, 450], "30 s, and twice as long each time");
    world.annotations = 1;
    assert!(matches!(world.plan(), Step::Look(_)), "an annotation counts at once");
    world.memory.begin_look(world.account.credentials_generation(), world.now);
    let result = world.result(Covers::TheBackup, vec![]);
    world.memory.looked(LookFor::Backup, &world.status, result);
    world.pass(5);
    assert!(!matches!(world.plan(), Step::Look(_)));
    world.account = ready(place(), 2);
    assert!(matches!(world.plan(), Step::Look(_)), "and so does the account");
}

#[test]
fn a_refusal_that_is_not_sure_of_itself_is_taken_at_its_word_once_a_search_has_found_nothing() {
    for (status, code, expected) in [
        (400, "DBS.NOBODY.KNOWS", "RequestRefused"),
        (422, "X.1", "RequestRefused"),
        (404, "", "EndpointMisconfigured"),
        (500, "DBS.200046", "QuotaExceeded"),
    ] {
        let mut world = World::new();
        world.write_intent();
        world.answer(Err(refusal(status, code)));
        assert_eq!(reason(&world.report()), "OutcomeUnknown", "the first time it may have made something: {status}");
        for _ in 0..400 {
            match world.plan() {
                Step::Look(_) => world.see(vec![]),
                Step::WriteIntent(_) => break,
                _ => world.pass(1),
            }
        }
        world.write_intent();
        world.answer(Err(refusal(status, code)));
        let report = world.report();
        assert_eq!((reason(&report), report.status.create_outcome), (expected, Some(CreateOutcome::Rejected)), "{status}");
        assert!(report.status.conditions[0].message.contains("said so"), "the cloud's words");
        world.pass(29);
        assert!(!matches!(world.plan(), Step::WriteIntent(_)));
        world.pass(1);
        assert!(matches!(world.plan(), Step::WriteIntent(_)), "it is tried again at the pace of what is blocked");
    }
}

#[test]
fn two_processes_that_see_the_same_status_say_the_same_of_it() {
    let mut world = World::new();
    world.write_intent();
    world.answer(Err(lost()));
    let before = world.report().status;
    // Another one remembers nothing of the call, and looked for it once.
    world.restart();
    world.plan();
    world.pass(5);
    world.see(vec![]);
    let Step::Report(report) = world.plan() else { panic!("{:?}", world.plan()) };
    assert!(!report.is_news(&before, &Settings::default()), "{:?}", report.status.conditions);
}

#[test]
fn a_trouble_that_goes_on_is_told_once_although_each_request_has_another_id() {
    let mut world = World::new();
    world.write_intent();
    world.answer(Err(refusal(413, "DBS.200046")));
    let before = world.report().status;
    world.pass(3600);
    world.write_intent();
    let hints = Hints { request_id: Some("r-2".into()), ..Hints::default() };
    let again = refused(Engine::TaurusDB, Operation::Create, 413, hints, r#"{"error_code":"DBS.200046","error_msg":"said so"}"#);
    world.answer(Err(again));
    assert_eq!(world.report().status.conditions[0].message, before.conditions[0].message);
}

#[test]
fn words_alone_wait_a_poll_interval() {
    let mut world = World::new();
    world.position = Position::Behind(Some("shop/a".into()));
    world.report();
    world.position = Position::Behind(Some("shop/b".into()));
    assert!(matches!(world.plan(), Step::RequeueAfter(Some(left)) if left <= Duration::from_secs(15)));
    world.pass(15);
    assert!(world.report().status.conditions[0].message.contains("shop/b"));
}

#[test]
fn annotations_count_once_in_ten_seconds_and_never_before_the_cloud_wants_to_be_asked_again() {
    let mut world = World::new();
    world.write_intent();
    world.answer(Err(refusal(413, "DBS.200046")));
    world.report();
    let mut calls = 0;
    for n in 1..=40 {
        world.annotations = n;
        if matches!(world.plan(), Step::WriteIntent(_)) {
            calls += 1;
            world.write_intent();
            world.answer(Err(refusal(413, "DBS.200046")));
            world.plan();
        }
        world.now = world.now.plus(Duration::from_millis(200));
    }
    assert_eq!(calls, 1, "in 8 s");
    let mut throttled = World::new();
    throttled.write_intent();
    throttled.answer(Err(refused_for(120, 429, "APIGW.0308")));
    throttled.report();
    throttled.pass(60);
    throttled.annotations = 1;
    throttled.account = ready(place(), 2);
    assert!(!matches!(throttled.plan(), Step::WriteIntent(_)));
    throttled.pass(60);
    assert!(matches!(throttled.plan(), Step::WriteIntent(_)));
}

#[test]
fn a_deletion_whose_credentials_the_cloud_refuses_names_the_flip() {
    let (mut world, _) = of_an_earlier_life(Engine::TaurusDB);
    world.spec.deletion_policy = DeletionPolicy::Delete;
    (world.has_finalizer, world.deleting) = (true, true);
    world.plan();
    world.fail_look(refusal(401, "APIGW.0301"));
    let report = world.report();
    assert_eq!(reason(&report), "CredentialsUnavailable");
    assert!(report.status.conditions[0].message.contains("set deletionPolicy to Retain"));
}

#[test]
fn what_velero_restored_without_a_status_is_left_alone_and_then_asks_a_person() {
    let mut world = World { restored: Restored::Yes, ..World::new() };
    world.spec.deletion_policy = DeletionPolicy::Delete;
    assert!(matches!(world.plan(), Step::RequeueAfter(Some(_))), "nothing is written, not even a finalizer");
    world.pass(60);
    assert_eq!(reason(&world.report()), "RestoredObject");
    world.pass(86_400);
    assert!(!matches!(world.plan(), Step::WriteIntent(_) | Step::Look(_)));
    world.restored = Restored::TakeAnother;
    assert_eq!(world.plan(), Step::SetFinalizer(true), "a person says that another one shall be taken");
    // A status that arrives is believed.
    let mut with_status = World { restored: Restored::Yes, ..World::running() };
    let seen = remote(&with_status, RemoteState::Completed);
    with_status.see(vec![seen]);
    assert_eq!(with_status.report().status.phase, Some(Phase::Completed));
}

#[test]
fn an_object_for_which_nothing_was_made_in_time_lapses() {
    let at = |text: &str| Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(text.parse().unwrap()));
    let mut world = World::new();
    world.spec.take_before = at("2025-12-31T00:00:00Z");
    let report = world.report();
    assert_eq!((reason(&report), report.status.phase), ("TooLate", Some(Phase::Lapsed)));
    assert!(has(&report, types::READY) && !has(&report, types::STALLED));
    let status = world.status.clone();
    assert!(!world.report().is_news(&status, &Settings::default()), "that is final");
    // One that was refused lapses when its time comes, and not on this machine's clock alone.
    let mut refused = World::new();
    refused.spec.take_before = at("2026-01-01T00:10:00Z");
    refused.write_intent();
    refused.answer(Err(refusal(413, "DBS.200046")));
    let report = refused.report();
    assert!(report.requeue_after.is_some_and(|requeue_after| requeue_after <= Duration::from_secs(590)), "{:?}", report.requeue_after);
    refused.now.wall += jiff::SignedDuration::from_hours(24);
    refused.cloud_ahead = jiff::SignedDuration::from_hours(-24);
    assert!(!matches!(refused.plan(), Step::Report(report) if report.status.phase == Some(Phase::Lapsed)));
    refused.cloud_ahead = jiff::SignedDuration::ZERO;
    assert_eq!(refused.report().status.phase, Some(Phase::Lapsed));
    // What is open, or made, is followed to its end.
    let mut running = World::running();
    running.spec.take_before = at("2026-01-01T00:00:11Z");
    running.pass(3600);
    let seen = remote(&running, RemoteState::Completed);
    running.see(vec![seen]);
    assert_eq!(running.report().status.phase, Some(Phase::Completed));
}

#[test]
fn beyond_the_oldest_of_a_crowd_an_object_says_how_many_there_are_and_what_to_do() {
    let mut world = World::new();
    world.position = Position::TooMany(300);
    let report = world.report();
    let message = report.status.conditions[0].message.clone();
    assert!(reason(&report) == "TooManyQueued" && message.contains("300") && message.contains("takeBefore"), "{message}");
    world.position = Position::TooMany(299);
    world.pass(60);
    assert_eq!(world.report().status.conditions[0].message, message, "the number changes all the time");
}

#[test]
fn a_clock_that_was_ahead_when_it_dated_a_failure_or_an_intent_keeps_nobody_waiting_for_a_year() {
    let mut world = World::running();
    let ahead = jiff::SignedDuration::from_hours(366 * 24);
    world.now.wall += ahead;
    let failed = remote(&world, RemoteState::Failed);
    world.see(vec![failed]);
    world.report();
    world.plan();
    world.now.wall -= ahead;
    world.pass(60);
    assert!(matches!(world.plan(), Step::WriteIntent(_)), "{:?}", world.plan());
    let mut intended = World::new();
    intended.now.wall += ahead;
    intended.plan();
    intended.see(vec![]);
    intended.write_intent();
    intended.now.wall -= ahead;
    intended.restart();
    intended.plan();
    for _ in 0..1200 {
        match intended.plan() {
            Step::Look(_) => intended.see(vec![]),
            Step::WriteIntent(_) => break,
            _ => intended.pass(1),
        }
    }
    assert!(matches!(intended.plan(), Step::WriteIntent(_)), "the search has an end");
}

#[test]
fn a_backup_that_went_with_its_object_is_never_missing_though_somebody_elses_finalizer_keeps_the_object() {
    let mut world = World::running();
    let seen = remote(&world, RemoteState::Completed);
    world.see(vec![seen.clone()]);
    world.report();
    // Deleted in the cloud, and this operator's finalizer is off.
    world.status.delete_reason = Some(crate::api::status::DeleteReason::ObjectDeleted);
    world.deleting = true;
    world.poll(Covers::Everything, vec![RemoteBackup { state: RemoteState::Gone, ..seen }]);
    let report = world.report();
    assert_eq!((reason(&report), report.status.phase), ("Deleting", Some(Phase::Completed)));
}
