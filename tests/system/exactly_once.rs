//! One backup in the cloud, whatever is lost on the way.

use crate::{
    simulator::faults::{Fault, FaultKind},
    world::{PATIENCE, World, is_true, message},
};
use database_backup_operator::{
    api::status::{CreateOutcome, Origin, Phase},
    cloud::engine::Engine,
    plan::backup::name::backup_name,
};
use kube::ResourceExt;
use std::time::Duration;

const INSTANCE: &str = "i-1in07";

async fn world() -> World {
    let world = World::start().await;
    world.cloud.add_instance("taurusdb", INSTANCE);
    world
}

fn on_create(kind: FaultKind) -> Fault {
    Fault::new(kind).at("create")
}

#[tokio::test]
async fn a_lost_answer_leads_to_adoption_not_to_a_second_backup() {
    let world = world().await;
    world.cloud.inject(on_create(FaultKind::LoseAnswer));
    world.ask("lost", "TaurusDB", INSTANCE).await;
    let status = world.until_phase("lost", Phase::Completed).await;
    assert_eq!(status.origin, Some(Origin::Reattached));
    assert_eq!((world.backups_in_cloud(), world.cloud.count(None, "create")), (1, 1));
    assert!(world.history("lost").iter().any(|status| status.create_outcome == Some(CreateOutcome::Unknown)));
}

#[tokio::test]
async fn an_error_after_the_work_was_done_leads_to_adoption() {
    let world = world().await;
    world.cloud.inject(on_create(FaultKind::FailAfter { status: 500, code: "DBS.108000".into() }));
    world.ask("failed-after", "TaurusDB", INSTANCE).await;
    let status = world.until_phase("failed-after", Phase::Completed).await;
    assert_eq!((status.origin, world.backups_in_cloud()), (Some(Origin::Reattached), 1));
}

#[tokio::test]
async fn a_call_that_was_cut_before_it_arrived_is_sent_again_after_the_settle_delay() {
    let world = world().await;
    world.cloud.inject(on_create(FaultKind::CutBefore));
    let asked = std::time::Instant::now();
    world.ask("cut", "TaurusDB", INSTANCE).await;
    let status = world.until_phase("cut", Phase::Completed).await;
    assert_eq!((status.origin, status.attempts), (Some(Origin::Created), Some(1)));
    assert_eq!((world.backups_in_cloud(), world.cloud.count(None, "create")), (1, 2));
    assert!(asked.elapsed() >= Duration::from_secs(5), "not before the settle delay");
}

#[tokio::test]
async fn a_listing_that_lags_does_not_lead_to_a_second_backup() {
    let world = world().await;
    world.cloud.set_list_lag(Duration::from_secs(3));
    world.cloud.inject(on_create(FaultKind::LoseAnswer));
    world.ask("lagging", "TaurusDB", INSTANCE).await;
    let status = world.until_phase("lagging", Phase::Completed).await;
    assert_eq!((status.origin, world.backups_in_cloud()), (Some(Origin::Reattached), 1));
}

#[tokio::test]
async fn bodies_that_make_no_sense_are_quoted_and_looked_behind() {
    let world = world().await;
    let raw = |body: &str| FaultKind::RawAfter { status: 201, body: body.into(), content_type: "text/html".into() };
    for (name, engine, service, fault) in [
        ("html", "TaurusDB", "taurusdb", raw("<html>proxy says hello</html>")),
        ("shapeless", "GeminiDB", "geminidb", raw("{\"backup_id\": 7}")),
        ("huge", "DCS", "dcs", FaultKind::HugeBody(64 << 20)),
    ] {
        world.cloud.add_instance(service, name);
        world.cloud.inject(on_create(fault).on(service));
        world.ask(name, engine, name).await;
        let status = world.until_reason(name, "OutcomeUnknown").await;
        if name == "html" {
            assert!(message(&status).contains("<html>proxy says hello"), "{}", message(&status));
        }
    }
    // The listings that look for them are garbled, too.
    for service in ["taurusdb", "geminidb", "dcs"] {
        let garbled = FaultKind::Raw { status: 200, body: "[[[".into(), content_type: "application/json".into() };
        world.cloud.inject(Fault::new(garbled).at("list").on(service));
        world.cloud.inject(Fault::new(FaultKind::HugeBody(64 << 20)).at("list").on(service));
    }
    for name in ["html", "shapeless", "huge"] {
        world.until_phase(name, Phase::Completed).await;
    }
    assert_eq!(world.backups_in_cloud(), 3);
}

#[tokio::test]
async fn throttling_is_obeyed_and_spends_no_attempt() {
    let world = world().await;
    world.cloud.inject(on_create(FaultKind::Throttle { retry_after: Some(3) }));
    let asked = std::time::Instant::now();
    world.ask("throttled", "TaurusDB", INSTANCE).await;
    let status = world.until_reason("throttled", "RateLimited").await;
    assert!(message(&status).contains("APIGW.0308"), "{}", message(&status));
    let status = world.until_phase("throttled", Phase::Completed).await;
    assert!(asked.elapsed() >= Duration::from_secs(3), "Retry-After was 3 s");
    assert_eq!((status.attempts, world.backups_in_cloud(), world.cloud.count(None, "create")), (Some(1), 1, 2));
}

#[tokio::test]
async fn a_refused_connection_is_tried_again_without_a_settle_delay() {
    let world = world().await;
    world.until_account_is_verified().await;
    world.cloud.refuse_connections("taurusdb", true);
    world.ask("refused", "TaurusDB", INSTANCE).await;
    let status = world.until_reason("refused", "CloudUnavailable").await;
    assert_eq!(status.create_outcome, Some(CreateOutcome::Rejected), "nothing was sent");
    assert!(is_true(&status, "Reconciling"), "{status:?}");
    world.cloud.refuse_connections("taurusdb", false);
    world.until_phase("refused", Phase::Completed).await;
    assert_eq!(world.backups_in_cloud(), 1);
}

#[tokio::test]
async fn killed_between_create_and_status_it_adopts_after_the_restart() {
    let mut world = world().await;
    world.cloud.inject(on_create(FaultKind::DelayAnswer(Duration::from_secs(10))));
    world.ask("killed", "TaurusDB", INSTANCE).await;
    assert!(world.cloud.wait_until(PATIENCE, |cloud| !cloud.backups().is_empty()), "the cloud took it on");
    world.kill_operator();
    world.start_operator();
    let status = world.until_phase("killed", Phase::Completed).await;
    assert_eq!((status.origin, world.backups_in_cloud(), world.cloud.count(None, "create")), (Some(Origin::Reattached), 1, 1));
}

#[tokio::test]
async fn killed_while_the_call_is_on_its_way_a_late_delivery_is_still_found() {
    let mut world = world().await;
    world.cloud.inject(on_create(FaultKind::Delay(Duration::from_secs(3))));
    world.ask("late", "TaurusDB", INSTANCE).await;
    assert!(world.cloud.wait_until(PATIENCE, |cloud| cloud.count(None, "create") == 1), "the call arrived");
    world.kill_operator();
    assert_eq!(world.backups_in_cloud(), 0, "and is not carried out yet");
    world.start_operator();
    let status = world.until_phase("late", Phase::Completed).await;
    assert_eq!((status.origin, world.backups_in_cloud()), (Some(Origin::Reattached), 1));
}

#[tokio::test]
async fn killed_between_intent_and_create_it_asks_once_after_the_settle_delay() {
    let mut world = World::without_operator().await;
    world.cloud.add_instance("taurusdb", INSTANCE);
    world.account("cloud", 1000).await;
    world.ask("intended", "TaurusDB", INSTANCE).await;
    // Exactly what an operator leaves behind that dies right after the intent was stored.
    let object = world.object("intended").await;
    let name = backup_name(Engine::TaurusDB, "intended", &object.uid().expect("stored"), INSTANCE, 1);
    let project = crate::simulator::PROJECTS[0].1;
    let intent = format!(
        r#"{{"status":{{"observedGeneration":1,"phase":"Pending","backupName":"{name}","attempts":1,"requestTime":"{}","cloud":"OpenTelekomCloud","region":"eu-de",
        "projectId":"{project}","conditions":[{{"type":"Ready","status":"False","reason":"Submitting","message":"m","lastTransitionTime":"{}"}}]}}}}"#,
        jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.000000Z"),
        jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ"),
    );
    world.plane.kubectl_ok(&["patch", "dbb", "intended", "--subresource=status", "--type=merge", "-p", &intent]).await;
    let started = std::time::Instant::now();
    world.start_operator();
    let status = world.until_phase("intended", Phase::Completed).await;
    assert!(started.elapsed() >= Duration::from_secs(5), "not before the settle delay");
    assert_eq!((status.backup_name, status.attempts), (Some(name), Some(1)), "under the same name");
    assert_eq!((world.backups_in_cloud(), world.cloud.count(None, "create")), (1, 1));
}

#[tokio::test]
async fn a_paused_operator_that_wakes_up_sends_nothing_stale() {
    let world = world().await;
    world.until_account_is_verified().await;
    for n in 0..10 {
        world.cloud.add_instance("dcs", &format!("i-{n}"));
    }
    let all: String = (0..10).map(|n| World::manifest(&format!("paused-{n}"), "DCS", &format!("i-{n}"), "")).collect();
    world.plane.apply(&all).await;
    for _ in 0..3 {
        world.operator().pause();
        // A pause longer than an intent lives.
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        world.operator().resume();
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    for n in 0..10 {
        world.until_phase(&format!("paused-{n}"), Phase::Completed).await;
    }
    assert_eq!(world.backups_in_cloud(), 10);
}

#[tokio::test]
async fn killed_again_and_again_at_any_instruction_there_is_one_backup_for_each_object() {
    const OBJECTS: usize = 20;
    let mut world = World::start().await;
    for n in 0..OBJECTS {
        world.cloud.add_instance("geminidb", &format!("i-{n}"));
    }
    let all: String = (0..OBJECTS).map(|n| World::manifest(&format!("b-{n}"), "GeminiDB", &format!("i-{n}"), "")).collect();
    world.plane.apply(&all).await;
    for pause in [180, 260, 340, 220, 300, 420, 200, 500] {
        // Any moment will do: what is under way then is what the test is about.
        tokio::time::sleep(Duration::from_millis(pause)).await;
        world.kill_operator();
        world.start_operator();
    }
    for n in 0..OBJECTS {
        world.until_phase(&format!("b-{n}"), Phase::Completed).await;
    }
    assert_eq!(world.backups_in_cloud(), OBJECTS, "one for each object");
}

#[tokio::test]
async fn a_deleted_and_recreated_object_is_a_new_backup() {
    let world = world().await;
    world.ask("hook", "TaurusDB", INSTANCE).await;
    let first = world.until_phase("hook", Phase::Completed).await;
    world.plane.kubectl_ok(&["delete", "dbb", "hook", "--timeout=20s"]).await;
    world.ask("hook", "TaurusDB", INSTANCE).await;
    let second = world.until_phase("hook", Phase::Completed).await;
    assert_ne!(first.backup_id, second.backup_id);
    assert_eq!(world.cloud.backups().iter().filter(|backup| !backup.deleted).count(), 2, "and the first stays: the policy is Retain");
}
