//! A backup that exists is adopted.

use crate::world::{World, message};
use database_backup_operator::api::status::{Origin, Phase};

fn import(name: &str, engine: &str, instance: &str, id: &str) -> String {
    World::manifest(name, engine, instance, "")
        .replace(&format!("instanceId: {instance}"), &format!("instanceId: {instance}, existingBackupId: {id}"))
}

#[tokio::test]
async fn an_existing_backup_is_adopted_and_nothing_is_created() {
    let world = World::start().await;
    for (name, engine, service) in [("gemini", "GeminiDB", "geminidb"), ("taurus", "TaurusDB", "taurusdb"), ("redis", "DCS", "dcs")] {
        world.cloud.add_instance(service, name);
        let id = world.cloud.add_backup(service, name, "made-by-hand");
        world.cloud.complete_all();
        world.plane.apply(&import(name, engine, name, &id)).await;
        let status = world.until_phase(name, Phase::Completed).await;
        assert_eq!((status.origin, status.backup_id.as_deref()), (Some(Origin::Imported), Some(id.as_str())), "{engine}");
        assert!(status.size.is_some() && status.completion_time.is_some(), "{engine}");
    }
    assert_eq!(world.cloud.count(None, "create"), 0);
    let events = world.plane.kubectl_ok(&["get", "events", "-o", "custom-columns=R:.reason", "--no-headers"]).await;
    assert!(events.contains("Imported"), "{events}");
}

#[tokio::test]
async fn an_imported_backup_that_runs_is_listed_without_a_window_since_nobody_knows_when_it_began() {
    let world = World::start().await;
    world.cloud.add_instance("dcs", "i-1");
    let id = world.cloud.add_backup("dcs", "i-1", "made-by-hand");
    world.cloud.hold_backups(true);
    assert!(world.cloud.set_backup_status(&id, "backuping"));
    world.plane.apply(&import("running", "DCS", "i-1", &id)).await;
    world.until_phase("running", Phase::Running).await;
    world.cloud.reset_calls();
    assert!(world.cloud.wait_until(crate::world::PATIENCE, |cloud| cloud.count(Some("dcs"), "list") >= 2), "it polls");
    assert!(world.cloud.calls().iter().all(|call| !call.path_and_query.contains("begin_time")));
}

#[tokio::test]
async fn an_import_that_is_not_there_or_of_another_instance_says_so() {
    let world = World::start().await;
    for instance in ["i-1", "i-2"] {
        world.cloud.add_instance("taurusdb", instance);
    }
    let id = world.cloud.add_backup("taurusdb", "i-1", "made-by-hand");
    world.plane.apply(&import("nowhere", "TaurusDB", "i-1", "no-such-backup")).await;
    world.plane.apply(&import("elsewhere", "TaurusDB", "i-2", &id)).await;
    let status = world.until_reason("nowhere", "ImportNotFound").await;
    assert!(message(&status).contains("no-such-backup"), "{status:?}");
    let status = world.until_reason("elsewhere", "InstanceMismatch").await;
    assert!(message(&status).contains("i-1"), "{status:?}");
}

#[tokio::test]
async fn a_backup_of_the_clouds_own_schedule_is_adopted_like_any_other() {
    let world = World::start().await;
    let day = std::time::Duration::from_secs(86_400);
    for (name, engine, service) in [
        ("gemini", "GeminiDB", "geminidb"),
        ("taurus", "TaurusDB", "taurusdb"),
        ("older", "GaussDBforMySQL", "taurusdb"),
        ("redis", "DCS", "dcs"),
    ] {
        world.cloud.add_instance(service, name);
        let id = world.cloud.add_automatic_backup(service, name, "scheduled", day);
        world.plane.apply(&import(name, engine, name, &id)).await;
        let status = world.until_phase(name, Phase::Completed).await;
        assert_eq!((status.origin, status.backup_id.as_deref()), (Some(Origin::Imported), Some(id.as_str())), "{engine}");
        assert!(status.size.is_some() && status.completion_time.is_some(), "{engine}: {status:?}");
        assert!(world.writes(name) <= 3, "{engine}: {} status writes: {:?}", world.writes(name), world.reasons(name));
    }
    assert_eq!((world.cloud.count(None, "create"), world.cloud.count(None, "delete"), world.left().len()), (0, 0, 4));
}
