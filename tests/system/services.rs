//! What holds for RDS, DDS and GaussDB, whose APIs resemble each other and differ in what is easily overlooked.

use crate::{
    simulator::{
        backup::Kind,
        faults::{Fault, FaultKind},
    },
    world::{PATIENCE, World, is_true, message},
};
use database_backup_operator::api::status::{CreateOutcome, DatabaseBackupStatus, Origin, Phase};
use std::time::Duration;

/// Engine, and the simulated service.
const ENGINES: [(&str, &str); 3] = [("RDS", "rds"), ("DDS", "dds"), ("GaussDB", "gaussdb")];

/// With an instance of each, which has the service's name.
async fn world() -> World {
    let world = World::start().await;
    for (_, service) in ENGINES {
        world.cloud.add_instance(service, service);
    }
    world
}

/// Asks for a backup of each, with further fields of its spec; the objects have the services' names.
async fn ask_each(world: &World, more: &str) {
    for (engine, service) in ENGINES {
        world.plane.apply(&World::manifest(service, engine, service, more)).await;
    }
}

/// An object that adopts a backup of the instance of the same name.
fn import(name: &str, engine: &str, instance: &str, id: &str) -> String {
    let source = format!("instanceId: {instance}, existingBackupId: {id}");
    World::manifest(name, engine, instance, "").replace(&format!("instanceId: {instance}"), &source)
}

fn refusal(status: u16, code: &str) -> FaultKind {
    FaultKind::Status { status, code: code.into(), message: "said the cloud".into(), retry_after: None }
}

/// The day after a backup was completed, as its status has it.
async fn a_day_later(world: &World, name: &str) {
    let yesterday = (jiff::Timestamp::now() - jiff::SignedDuration::from_hours(25)).strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    world.patch_status(name, &format!(r#"{{"status": {{"completionTime": "{yesterday}", "expirationTime": "{yesterday}"}}}}"#)).await;
}

/// RDS never had more calls in a minute than it allows, and refused none.
fn rds_was_left_in_peace(world: &World) {
    assert_eq!(world.cloud.rds_calls_refused(), 0);
    assert!(world.cloud.rds_busiest_minute() <= 60, "{}", world.cloud.rds_busiest_minute());
}

#[tokio::test]
async fn a_lost_answer_leads_to_adoption_by_the_name_alone() {
    let world = world().await;
    for (_, service) in ENGINES {
        world.cloud.inject(Fault::new(FaultKind::LoseAnswer).at("create").on(service));
    }
    ask_each(&world, "").await;
    for (engine, service) in ENGINES {
        let status = world.until_phase(service, Phase::Completed).await;
        assert_eq!((status.origin, status.attempts), (Some(Origin::Reattached), Some(1)), "{engine}");
        assert!(world.history(service).iter().any(|status| status.create_outcome == Some(CreateOutcome::Unknown)), "{engine}");
    }
    assert_eq!((world.backups_in_cloud(), world.cloud.count(None, "create")), (3, 3));
}

#[tokio::test]
async fn a_name_that_exists_is_looked_up_and_adopted() {
    let world = world().await;
    for (_, service) in ENGINES {
        // The backup is made, and the answer says that its name exists, as to a call that was delivered twice.
        world.cloud.inject(Fault::new(FaultKind::FailAfter { status: 409, code: "DBS.201201".into() }).at("create").on(service));
    }
    ask_each(&world, "").await;
    for (engine, service) in ENGINES {
        let status = world.until_phase(service, Phase::Completed).await;
        assert_eq!((status.origin, status.failed_attempts.len()), (Some(Origin::Reattached), 0), "{engine}");
    }
    assert_eq!((world.backups_in_cloud(), world.cloud.count(None, "create")), (3, 3));
}

#[tokio::test]
async fn a_busy_instance_is_waited_for_and_spends_no_attempt() {
    let world = world().await;
    for (_, service) in ENGINES {
        world.cloud.set_instance_busy(service, true);
    }
    ask_each(&world, "").await;
    for (engine, service) in ENGINES {
        let status = world.until_reason(service, "InstanceBusy").await;
        assert!(message(&status).contains("DBS.200019"), "{engine}: {}", message(&status));
        world.cloud.set_instance_busy(service, false);
        let status = world.until_phase(service, Phase::Completed).await;
        assert_eq!((status.origin, status.attempts), (Some(Origin::Created), Some(1)), "{engine}");
    }
    assert_eq!(world.backups_in_cloud(), 3);
    rds_was_left_in_peace(&world);
}

#[tokio::test]
async fn a_used_up_quota_blocks_until_there_is_room() {
    let world = world().await;
    world.cloud.settings(|settings| settings.manual_backups_per_project = Some(0));
    ask_each(&world, "").await;
    for (engine, service) in ENGINES {
        let status = world.until_reason(service, "QuotaExceeded").await;
        assert!(is_true(&status, "Reconciling"), "{engine}: the grace: {status:?}");
        world.until_seen(service, "Stalled", |status| is_true(status, "Stalled")).await;
    }
    assert!(!world.has_been("rds", "OutcomeUnknown"), "a 413 is sure of itself; the 500 of DDS is not, until a search has found nothing");
    world.cloud.settings(|settings| settings.manual_backups_per_project = None);
    for (_, service) in ENGINES {
        world.annotate(service, "try=now").await;
        world.until_phase(service, Phase::Completed).await;
    }
    assert_eq!(world.backups_in_cloud(), 3);
    rds_was_left_in_peace(&world);
}

#[tokio::test]
async fn an_instance_that_is_not_there_blocks_and_a_read_replica_is_refused_with_the_clouds_words() {
    let world = World::start().await;
    for (engine, service) in ENGINES {
        world.ask(service, engine, service).await;
        let status = world.until_reason(service, "InstanceNotFound").await;
        assert!(message(&status).contains("DBS."), "{engine}: {}", message(&status));
    }
    world.cloud.add_read_replica("replica");
    world.ask("replica", "RDS", "replica").await;
    // Nobody documents the code, so it is taken at its word only after a search that finds nothing.
    let status = world.until_reason("replica", "RequestRefused").await;
    assert!(message(&status).contains("Read replicas do not support manual backups"), "{}", message(&status));
    assert_eq!(world.backups_in_cloud(), 0);
}

#[tokio::test]
async fn what_goes_with_its_object_or_expires_is_deleted_and_nothing_else_is() {
    let world = world().await;
    let others: Vec<String> = ENGINES.iter().map(|(_, service)| world.cloud.add_backup(service, service, "made-by-hand")).collect();
    world.cloud.complete_all();
    for (engine, service) in ENGINES {
        let (going, expiring) = (format!("{service}-going"), format!("{service}-expiring"));
        world.plane.apply(&World::manifest(&going, engine, service, "deletionPolicy: Delete")).await;
        world.until_phase(&going, Phase::Completed).await;
        world.plane.apply(&World::manifest(&expiring, engine, service, "expireAfterDays: 1")).await;
        world.until_phase(&expiring, Phase::Completed).await;
        world.delete(&going).await;
        world.until_gone(&going).await;
        a_day_later(&world, &expiring).await;
        let status = world.until_phase(&expiring, Phase::Expired).await;
        assert!(is_true(&status, "Ready"), "{engine}: {status:?}");
    }
    let mut left = world.left();
    left.sort();
    let mut others = others;
    others.sort();
    assert_eq!(left, others);
    rds_was_left_in_peace(&world);
}

#[tokio::test]
async fn a_running_backup_goes_with_its_object_once_it_has_ended() {
    let world = world().await;
    world.cloud.hold_backups(true);
    ask_each(&world, "deletionPolicy: Delete").await;
    for (_, service) in ENGINES {
        world.until_phase(service, Phase::Running).await;
        world.delete(service).await;
        world.until_reason(service, "Deleting").await;
    }
    assert_eq!(world.left().len(), 3, "one that runs is waited for");
    world.cloud.hold_backups(false);
    world.cloud.complete_all();
    for (_, service) in ENGINES {
        world.until_gone(service).await;
    }
    assert_eq!(world.left().len(), 0);
    assert_eq!(world.cloud.count(None, "delete"), 3, "each was asked for once");
}

#[tokio::test]
async fn a_deletion_that_the_cloud_puts_off_comes_to_its_end() {
    let world = world().await;
    ask_each(&world, "deletionPolicy: Delete").await;
    for (_, service) in ENGINES {
        world.until_phase(service, Phase::Completed).await;
    }
    for (service, status, code) in [("rds", 400, "RDS.3016"), ("dds", 403, "DBS.201319"), ("gaussdb", 400, "DBS.201208")] {
        world.cloud.inject(Fault::new(refusal(status, code)).at("delete").on(service));
        world.delete(service).await;
        world.until_gone(service).await;
        assert_eq!(world.cloud.count(Some(service), "delete"), 2, "{service}");
    }
    assert!(world.left().is_empty());
}

#[tokio::test]
async fn backups_of_any_type_are_adopted_and_stay_so_at_later_looks() {
    let mut world = World::without_operator().await;
    world.account("cloud", 1000).await;
    world.start_operator_with(&["--resync-interval=1s"]);
    let day = Duration::from_secs(86_400);
    let kinds = [
        ("rds", Kind::Auto),
        ("rds", Kind::Manual),
        ("rds", Kind::Incremental),
        ("dds", Kind::Auto),
        ("dds", Kind::Incremental),
        ("gaussdb", Kind::Auto),
    ];
    let mut names = Vec::new();
    for (n, (service, kind)) in kinds.into_iter().enumerate() {
        let name = format!("{service}-{n}");
        let engine = ENGINES.iter().find(|(_, other)| *other == service).map(|(engine, _)| *engine).expect("one of them");
        world.cloud.add_instance(service, &name);
        let id = world.cloud.add_backup_of_kind(service, &name, "scheduled", kind, day);
        world.plane.apply(&import(&name, engine, &name, &id)).await;
        let status = world.until_phase(&name, Phase::Completed).await;
        assert_eq!((status.origin, status.backup_id.as_deref()), (Some(Origin::Imported), Some(id.as_str())), "{name}");
        assert!(status.size.is_some() && status.completion_time.is_some(), "{name}: {status:?}");
        names.push(name);
    }
    // Each of them is looked at again, and is still there.
    let listed = |service: &str| world.cloud.count(Some(service), "list");
    let before = ENGINES.map(|(_, service)| listed(service));
    assert!(world.cloud.wait_until(PATIENCE, |_| ENGINES.iter().zip(before).all(|((_, service), before)| listed(service) >= before + 6)));
    for name in names {
        assert_eq!(world.phases(&name).last(), Some(&"Completed"), "{name}: {:?}", world.reasons(&name));
        assert!(!world.phases(&name).contains(&"Missing"), "{name}");
    }
    let calls = world.cloud.calls();
    assert!(calls.iter().all(|call| !call.path_and_query.contains("backup_type")), "a listing that wants all types names none: {calls:?}");
    assert_eq!((world.cloud.count(None, "create"), world.cloud.count(None, "delete")), (0, 0));
    rds_was_left_in_peace(&world);
}

#[tokio::test]
async fn an_import_under_another_instance_is_not_found() {
    let world = world().await;
    for (engine, service) in ENGINES {
        let other = format!("{service}-2");
        world.cloud.add_instance(service, &other);
        let id = world.cloud.add_backup(service, service, "made-by-hand");
        world.plane.apply(&import(&other, engine, &other, &id)).await;
        let status = world.until_reason(&other, "ImportNotFound").await;
        assert!(message(&status).contains(&id) && message(&status).contains(&other), "{engine}: {}", message(&status));
    }
}

/// An RDS backup that is complete, under this policy, and whose instance is gone since.
async fn without_its_instance(world: &World, more: &str) -> DatabaseBackupStatus {
    world.cloud.add_instance("rds", "short-lived");
    world.plane.apply(&World::manifest("kept", "RDS", "short-lived", more)).await;
    let status = world.until_phase("kept", Phase::Completed).await;
    world.cloud.remove_instance("short-lived");
    status
}

#[tokio::test]
async fn an_rds_backup_outlives_its_instance_whatever_the_cloud_answers_then() {
    for lists in [true, false] {
        let mut world = World::without_operator().await;
        world.account("cloud", 1000).await;
        world.start_operator_with(&["--resync-interval=1s", "--gone-after=1s"]);
        world.cloud.settings(|settings| settings.rds_lists_gone_instances = lists);
        without_its_instance(&world, "").await;
        world.cloud.reset_calls();
        // More than enough for "gone", were it one.
        assert!(world.cloud.wait_until(PATIENCE, |cloud| cloud.count(Some("rds"), "list") >= 4), "it looks");
        assert_eq!(world.phases("kept").last(), Some(&"Completed"), "lists: {lists}, {:?}", world.reasons("kept"));
        assert!(is_true(&world.status("kept").await, "Ready"));
        assert_eq!(world.left().len(), 1, "it stays, and costs");
    }
}

#[tokio::test]
async fn an_rds_backup_whose_instance_is_gone_is_deleted_if_it_can_be_listed_and_else_keeps_its_object() {
    let world = World::start().await;
    world.cloud.settings(|settings| settings.rds_lists_gone_instances = false);
    without_its_instance(&world, "deletionPolicy: Delete").await;
    world.delete("kept").await;
    let status = world.until_reason("kept", "DeleteBlocked").await;
    for said in ["short-lived is gone", "DBS.200002", "Retain", "by hand"] {
        assert!(message(&status).contains(said), "{}", message(&status));
    }
    assert_eq!((world.left().len(), world.cloud.count(None, "delete")), (1, 0));
    world.cloud.settings(|settings| settings.rds_lists_gone_instances = true);
    world.annotate("kept", "try=now").await;
    world.until_gone("kept").await;
    assert!(world.left().is_empty());
}

#[tokio::test]
async fn many_rds_backups_of_accounts_with_one_user_stay_below_what_rds_allows_that_user() {
    let world = World::start().await;
    world.account("second", 1000).await;
    world.cloud.set_backup_duration(Duration::from_secs(5));
    let names: Vec<String> = (0..16).map(|n| format!("many-{n}")).collect();
    for (n, name) in names.iter().enumerate() {
        world.cloud.add_instance("rds", name);
        let account = if n % 2 == 0 { "cloud" } else { "second" };
        world.plane.apply(&World::manifest(name, "RDS", name, "").replace("name: cloud", &format!("name: {account}"))).await;
    }
    for name in &names {
        world.until_phase(name, Phase::Completed).await;
    }
    assert_eq!((world.cloud.count(None, "create"), world.backups_in_cloud()), (16, 16));
    rds_was_left_in_peace(&world);
    let said = world.history("many-15").iter().map(message).any(|message| message.contains("60 calls a minute"));
    assert!(said, "whoever waits for it is told so: {:?}", world.history("many-15").iter().map(message).collect::<Vec<_>>());
}
