//! The API server in trouble: no backup is doubled, none is lost, the process stays, and all goes on when it is over.

use crate::{
    simulator::faults::{Fault as CloudFault, FaultKind},
    support::{
        api_proxy::{ApiProxy, Fault, Trouble},
        eventually,
    },
    world::{PATIENCE, World},
};
use database_backup_operator::api::status::{Origin, Phase};
use std::time::Duration;

/// With an operator behind a proxy, a verified account, and DCS instances.
async fn behind_a_proxy(instances: &[&str]) -> (World, ApiProxy) {
    let mut world = World::without_operator().await;
    world.account("cloud", 1000).await;
    for instance in instances {
        world.cloud.add_instance("dcs", instance);
    }
    let api = ApiProxy::start(&world.plane);
    world.kubeconfig = api.kubeconfig().to_owned();
    world.start_operator();
    world.until_account_is_verified().await;
    until_ready(&world).await;
    (world, api)
}

/// Asks for backups of instances; each object is named like its instance.
async fn ask_for(world: &World, instances: &[&str]) {
    let all: String = instances.iter().map(|name| World::manifest(name, "DCS", name, "")).collect();
    world.plane.apply(&all).await;
}

async fn until_completed(world: &World, names: &[&str]) {
    for name in names {
        world.until_phase(name, Phase::Completed).await;
    }
}

/// One create call and one backup for each object, by the process that was there from the beginning.
fn assert_each_once(world: &World, objects: usize) {
    assert_eq!((world.backups_in_cloud(), world.cloud.count(None, "create")), (objects, objects));
    assert!(world.operator().is_running(), "{}", world.newest_lines());
}

async fn until_readiness_says(world: &World, wanted: u16, text: &str) {
    eventually(&format!("/readyz says {wanted} {text}"), PATIENCE, async || match world.operator().get("/readyz").await {
        Ok((code, said)) if code == wanted && said.contains(text) && said.lines().count() == 1 => Ok(()),
        other => Err(format!("{other:?}\n{}", world.newest_lines())),
    })
    .await;
    assert_eq!(world.operator().get("/healthz").await, Ok((200, "ok\n".to_owned())), "a restart would not help");
}

async fn until_ready(world: &World) {
    until_readiness_says(world, 200, "ok").await;
}

fn intent_of(name: &str, trouble: Trouble) -> Fault {
    Fault::new(trouble).on("PUT").containing(&format!("/{name}/status")).containing("Submitting")
}

/// Backups can neither be watched nor be listed for a watch any more. The probe of /readyz lists with another limit, and is answered.
async fn break_watches_of_backups(world: &World, api: &ApiProxy) {
    api.inject(Fault::new(Trouble::Answer(500)).on("GET").containing("/databasebackups?").containing("limit=10").always());
    api.inject(Fault::new(Trouble::Answer(410)).watches(true).containing("/databasebackups?").always());
    api.expire_watches();
    until_readiness_says(world, 503, "DatabaseBackup cannot be listed").await;
    let told = world.operator().metrics().await;
    assert!(told.contains("dbbackup_watches_failing 1\n"), "{told}");
}

#[tokio::test]
async fn an_intent_that_was_not_stored_is_written_anew_at_once_and_one_that_may_be_anothers_is_looked_for_first() {
    let stored =
        [("lost", Trouble::LoseAnswer), ("failed-after", Trouble::AnswerAfter(500)), ("overloaded-after", Trouble::AnswerAfter(503))];
    let not_stored =
        [("cut", Trouble::Cut), ("failed", Trouble::Answer(500)), ("throttled", Trouble::Answer(429)), ("refused", Trouble::Answer(409))];
    let names: Vec<&str> = stored.iter().chain(&not_stored).map(|(name, _)| *name).collect();
    let (world, api) = behind_a_proxy(&names).await;
    for (name, trouble) in stored.into_iter().chain(not_stored) {
        api.inject(intent_of(name, trouble));
    }
    ask_for(&world, &names).await;
    until_completed(&world, &names).await;
    assert_eq!(api.waiting(), 0, "each had its trouble");
    assert_each_once(&world, names.len());
    for (name, _) in not_stored {
        assert!(!world.has_been(name, "OutcomeUnknown"), "{name}: the operator knows that there is no intent");
    }
}

#[tokio::test]
async fn without_any_watch_the_newest_version_is_read_after_a_conflict_and_the_backup_comes_to_its_end() {
    let (world, api) = behind_a_proxy(&["i-1"]).await;
    world.plane.apply(&World::manifest("i-1", "DCS", "i-1", "").replace("name: cloud}", "name: later}")).await;
    world.until_reason("i-1", "AccountNotFound").await;
    break_watches_of_backups(&world, &api).await;
    api.inject(intent_of("i-1", Trouble::LoseAnswer));
    world.account("later", 1000).await;
    until_completed(&world, &["i-1"]).await;
    assert_eq!(api.waiting(), 0);
    assert_each_once(&world, 1);
}

#[tokio::test]
async fn an_intent_that_is_stored_and_answered_with_a_conflict_is_taken_for_anothers_and_waited_for() {
    let (world, api) = behind_a_proxy(&["i-1"]).await;
    api.inject(intent_of("i-1", Trouble::AnswerAfter(409)));
    ask_for(&world, &["i-1"]).await;
    until_completed(&world, &["i-1"]).await;
    assert_each_once(&world, 1);
}

#[tokio::test]
async fn the_id_is_written_until_it_is_stored_and_the_cloud_is_asked_once() {
    let (world, api) = behind_a_proxy(&["i-1"]).await;
    for trouble in [Trouble::Answer(500), Trouble::Answer(409), Trouble::Cut, Trouble::LoseAnswer] {
        api.inject(Fault::new(trouble).on("PUT").containing("/i-1/status").containing("backupId"));
    }
    ask_for(&world, &["i-1"]).await;
    until_completed(&world, &["i-1"]).await;
    assert_eq!(api.waiting(), 0);
    assert_each_once(&world, 1);
    let status = world.status("i-1").await;
    assert_eq!((status.backup_id.as_ref(), status.origin), (world.cloud.backups().first().map(|backup| &backup.id), Some(Origin::Created)));
}

#[tokio::test]
async fn a_request_that_is_never_answered_is_given_up_and_made_again() {
    let (world, api) = behind_a_proxy(&["i-1"]).await;
    api.inject(intent_of("i-1", Trouble::Delay(Duration::from_secs(3_600))));
    ask_for(&world, &["i-1"]).await;
    until_completed(&world, &["i-1"]).await;
    assert_each_once(&world, 1);
}

#[tokio::test]
async fn conflicts_at_every_kind_of_write_are_read_and_written_again() {
    let (world, api) = behind_a_proxy(&["i-1", "i-2"]).await;
    let conflict = |method, text: &str| Fault::new(Trouble::Answer(409)).on(method).containing(text).times(2);
    // The finalizer on; the intent; the id; the end; the reason of the deletion; the finalizer off.
    for text in ["Submitting", "\"Running\"", "\"Completed\"", "ObjectDeleted"] {
        api.inject(conflict("PUT", "/i-1/status").containing(text));
    }
    api.inject(conflict("PATCH", "/i-1").containing("remote-backup"));
    api.inject(conflict("PATCH", "/i-1").containing("\"finalizers\":[]"));
    // The doubt; and what an account is told.
    api.inject(conflict("PUT", "/i-2/status").containing("OutcomeUnknown"));
    api.inject(conflict("PUT", "/clustercloudaccounts/second/status").times(1));
    world.cloud.inject(CloudFault::new(FaultKind::CutBefore).at("create").containing("i-2"));
    world.account("second", 1000).await;
    world.plane.apply(&World::manifest("i-1", "DCS", "i-1", "deletionPolicy: Delete")).await;
    ask_for(&world, &["i-2"]).await;
    world.until_phase("i-1", Phase::Completed).await;
    world.plane.kubectl_ok(&["delete", "dbb", "i-1", "--timeout=60s"]).await;
    world.until_phase("i-2", Phase::Completed).await;
    world.plane.kubectl_ok(&["wait", "--for=condition=Ready", "--timeout=60s", "ccacct", "second"]).await;
    assert_eq!(api.waiting(), 0, "each write had its conflicts");
    assert_eq!((world.backups_in_cloud(), world.cloud.backups().iter().filter(|backup| !backup.deleted).count()), (2, 1));
    assert!(world.operator().is_running());
}

#[tokio::test]
async fn an_api_server_that_refuses_everything_for_a_while_makes_it_unready_and_nothing_is_lost() {
    let names = ["i-1", "i-2", "i-3"];
    let (world, api) = behind_a_proxy(&names).await;
    for (trouble, name) in [Trouble::Answer(429), Trouble::Answer(500), Trouble::Cut].into_iter().zip(names) {
        api.inject(Fault::new(trouble).always());
        ask_for(&world, &[name]).await;
        api.cut_watches();
        until_readiness_says(&world, 503, "the Kubernetes API cannot be asked: ").await;
        api.clear();
        until_ready(&world).await;
    }
    until_completed(&world, &names).await;
    assert_each_once(&world, names.len());
}

#[tokio::test]
async fn what_was_applied_or_deleted_while_nothing_could_be_watched_or_listed_is_noticed_afterwards() {
    let (world, api) = behind_a_proxy(&["i-1", "i-2", "i-3"]).await;
    world.cloud.hold_backups(true);
    world.ask("first", "DCS", "i-1").await;
    world.until_phase("first", Phase::Running).await;
    world.ask("second", "DCS", "i-1").await;
    world.until_reason("second", "InstanceBusy").await;
    break_watches_of_backups(&world, &api).await;
    world.plane.kubectl_ok(&["delete", "dbb", "first", "--timeout=20s"]).await;
    world.ask("meanwhile", "DCS", "i-2").await;
    api.clear();
    world.cloud.hold_backups(false);
    world.cloud.complete_all();
    until_completed(&world, &["second", "meanwhile"]).await;
    until_ready(&world).await;
    assert!(world.operator().metrics().await.contains("dbbackup_backups{phase=\"Running\"} 0"), "the deleted one is forgotten");
    // A cut is less than that: the watch goes on where it was.
    api.cut_watches();
    world.ask("later", "DCS", "i-3").await;
    until_completed(&world, &["later"]).await;
    assert_each_once(&world, 4);
}

#[tokio::test]
async fn while_writes_take_longer_than_an_intent_lives_nothing_is_sent_and_a_modest_delay_stops_nothing() {
    let (world, api) = behind_a_proxy(&["slow", "modest-1", "modest-2"]).await;
    api.inject(Fault::new(Trouble::Delay(Duration::from_millis(1_200))).on("PUT").containing("/slow/status").always());
    ask_for(&world, &["slow"]).await;
    eventually("it tries again and again", PATIENCE, async || match api.count("PUT", &["/slow/status", "Submitting"]) {
        tries @ 0..4 => Err(format!("{tries} tries\n{}", world.newest_lines())),
        _ => Ok(()),
    })
    .await;
    assert_eq!(world.cloud.count(None, "create"), 0, "no intent was fresh when it was stored");
    api.clear();
    until_completed(&world, &["slow"]).await;
    api.inject(Fault::new(Trouble::Delay(Duration::from_millis(150))).watches(false).always());
    ask_for(&world, &["modest-1", "modest-2"]).await;
    until_completed(&world, &["modest-1", "modest-2"]).await;
    assert_each_once(&world, 3);
}

#[tokio::test]
async fn a_restart_of_the_api_server_in_the_middle_of_many_backups_doubles_none_and_loses_none() {
    let names: Vec<String> = (0..30).map(|n| format!("i-{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let world = World::start().await;
    for name in &names {
        world.cloud.add_instance("dcs", name);
    }
    world.until_account_is_verified().await;
    ask_for(&world, &names).await;
    assert!(world.cloud.wait_until(PATIENCE, |cloud| cloud.count(None, "create") > 3), "some are under way");
    world.plane.stop_api_server();
    until_readiness_says(&world, 503, "the Kubernetes API").await;
    world.plane.start_api_server().await.expect("it comes back");
    until_completed(&world, &names).await;
    until_ready(&world).await;
    assert_each_once(&world, names.len());
}

#[tokio::test]
async fn started_while_the_api_server_is_away_it_waits_and_sigterm_ends_it_while_the_api_server_says_nothing() {
    let mut world = World::without_operator().await;
    world.account("cloud", 1000).await;
    world.cloud.add_instance("dcs", "i-1");
    world.cloud.add_instance("dcs", "i-2");
    let api = ApiProxy::start(&world.plane);
    world.kubeconfig = api.kubeconfig().to_owned();
    world.plane.stop_api_server();
    world.start_operator();
    until_readiness_says(&world, 503, "the Kubernetes API").await;
    world.plane.start_api_server().await.expect("it comes back");
    until_ready(&world).await;
    ask_for(&world, &["i-1"]).await;
    until_completed(&world, &["i-1"]).await;
    assert_each_once(&world, 1);
    api.inject(Fault::new(Trouble::Delay(Duration::from_secs(3_600))).watches(false).always());
    ask_for(&world, &["i-2"]).await;
    eventually("a write hangs", PATIENCE, async || match api.count("PUT", &["/i-2/status"]) {
        0 => Err(world.newest_lines()),
        _ => Ok(()),
    })
    .await;
    assert!(world.terminate_operator().await.success());
    assert_eq!(world.cloud.count(None, "create"), 1, "nothing is sent without an intent");
}

const CRDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/crds");

#[tokio::test]
async fn definitions_that_are_deleted_make_it_unready_and_it_works_again_when_they_are_back() {
    let mut world = World::start().await;
    for instance in ["i-1", "i-2"] {
        world.cloud.add_instance("dcs", instance);
    }
    ask_for(&world, &["i-1"]).await;
    until_completed(&world, &["i-1"]).await;
    // The policy is Retain, so this hangs neither with an operator nor without.
    world.plane.kubectl_ok(&["delete", "-f", CRDS, "--timeout=60s"]).await;
    until_readiness_says(&world, 503, "CRDs").await;
    world.plane.kubectl_ok(&["apply", "-f", CRDS]).await;
    world.plane.kubectl_ok(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"]).await;
    world.account("cloud", 1000).await;
    until_ready(&world).await;
    ask_for(&world, &["i-2"]).await;
    until_completed(&world, &["i-2"]).await;
    assert_each_once(&world, 2);
    world.kill_operator();
    world.plane.kubectl_ok(&["delete", "-f", CRDS, "--timeout=60s"]).await;
}

#[tokio::test]
async fn the_deletion_of_the_definitions_waits_for_backups_that_are_to_go_and_ends() {
    let world = World::start().await;
    world.cloud.add_instance("dcs", "i-1");
    world.plane.apply(&World::manifest("i-1", "DCS", "i-1", "deletionPolicy: Delete")).await;
    until_completed(&world, &["i-1"]).await;
    // The account goes at the same time.
    world.plane.kubectl_ok(&["delete", "-f", CRDS, "--timeout=120s"]).await;
    assert!(world.cloud.backups().iter().all(|backup| backup.deleted), "the backup in the cloud went first");
    assert!(world.operator().is_running());
}

#[tokio::test]
async fn older_definitions_put_in_place_while_it_runs_stop_new_backups_and_lose_no_id() {
    let world = World::start().await;
    for instance in ["i-1", "i-2"] {
        world.cloud.add_instance("dcs", instance);
    }
    world.until_account_is_verified().await;
    until_ready(&world).await;
    let status = "/spec/versions/0/schema/openAPIV3Schema/properties/status/properties";
    // One that does not know the word is refused by the API server; what is known is kept until it can be stored.
    world.cloud.inject(CloudFault::new(FaultKind::DelayAnswer(Duration::from_secs(3))).at("create"));
    ask_for(&world, &["i-1"]).await;
    assert!(world.cloud.wait_until(PATIENCE, |cloud| cloud.count(None, "create") == 1));
    let phases = format!("[{{\"op\": \"replace\", \"path\": \"{status}/phase/enum\", \"value\": [\"Pending\", \"Completed\"]}}]");
    world.plane.kubectl_ok(&["patch", "crd", "databasebackups.dbbackup.dev", "--type=json", "-p", &phases]).await;
    until_readiness_says(&world, 503, "CRDs").await;
    assert_eq!(world.status("i-1").await.backup_id, None);
    world.plane.kubectl_ok(&["apply", "-f", CRDS]).await;
    until_completed(&world, &["i-1"]).await;
    until_ready(&world).await;
    // One that lacks a field drops it.
    let region = format!("[{{\"op\": \"remove\", \"path\": \"{status}/region\"}}]");
    world.plane.kubectl_ok(&["patch", "crd", "databasebackups.dbbackup.dev", "--type=json", "-p", &region]).await;
    ask_for(&world, &["i-2"]).await;
    until_readiness_says(&world, 503, "CRDs").await;
    eventually("the log names the field", PATIENCE, async || {
        world.operator().logs().contains("lacks status.region").then_some(()).ok_or(world.operator().logs())
    })
    .await;
    assert_eq!(world.cloud.count(None, "create"), 1, "nothing is sent");
    world.plane.kubectl_ok(&["apply", "-f", CRDS]).await;
    until_completed(&world, &["i-2"]).await;
    assert_each_once(&world, 2);
}
