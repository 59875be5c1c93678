//! Deleting and expiring: what is the object's goes with it, and nothing ever hangs.

use crate::{
    simulator::{
        DOMAIN, PASSWORD, USER,
        faults::{Fault, FaultKind},
    },
    support::eventually,
    world::{PATIENCE, World, is_true, message},
};
use database_backup_operator::api::status::{DatabaseBackupStatus, Phase};
use kube::ResourceExt;
use std::time::Duration;

const DELETE: &str = "deletionPolicy: Delete";

#[tokio::test]
async fn with_delete_the_backup_goes_with_its_object_and_what_belongs_to_others_stays() {
    let world = World::start().await;
    let mut others = Vec::new();
    for (name, engine, service) in [("gemini", "GeminiDB", "geminidb"), ("taurus", "TaurusDB", "taurusdb"), ("redis", "DCS", "dcs")] {
        world.cloud.add_instance(service, name);
        others.push(world.cloud.add_backup(service, name, "made-by-hand"));
        world.cloud.complete_all();
        world.plane.apply(&World::manifest(name, engine, name, DELETE)).await;
        world.until_phase(name, Phase::Completed).await;
        assert_eq!(world.object(name).await.finalizers(), ["dbbackup.dev/remote-backup"], "{engine}");
        world.delete(name).await;
        world.until_gone(name).await;
        assert_eq!(world.left(), others, "{engine}");
    }
    let events = world.plane.kubectl_ok(&["get", "events", "-o", "custom-columns=R:.reason", "--no-headers"]).await;
    assert!(events.contains("RemoteDeleted"), "{events}");
}

#[tokio::test]
async fn with_retain_there_is_no_finalizer_and_the_backup_stays_even_without_an_operator() {
    let mut world = World::start().await;
    world.cloud.add_instance("dcs", "i-1");
    world.ask("kept", "DCS", "i-1").await;
    world.until_phase("kept", Phase::Completed).await;
    assert!(world.object("kept").await.finalizers().is_empty());
    world.kill_operator();
    world.plane.kubectl_ok(&["delete", "dbb", "kept", "--timeout=10s"]).await;
    assert_eq!(world.left().len(), 1);
}

#[tokio::test]
async fn a_running_backup_and_every_failed_attempt_go_too() {
    let world = World::start().await;
    world.cloud.add_instance("taurusdb", "i-1in07");
    world.cloud.fail_next_backups(1, Some("taurusdb"));
    world.cloud.set_backup_duration(Duration::from_secs(4));
    world.plane.apply(&World::manifest("busy", "TaurusDB", "i-1in07", DELETE)).await;
    world.until("busy", "runs its second attempt", |status| status.attempts == Some(2) && status.phase == Some(Phase::Running)).await;
    world.delete("busy").await;
    world.until_reason("busy", "Deleting").await;
    world.until_gone("busy").await;
    assert_eq!((world.backups_in_cloud(), world.left().len()), (2, 0));
}

#[tokio::test]
async fn a_call_without_an_answer_is_cleared_up_before_its_object_goes() {
    let world = World::start().await;
    for instance in ["i-1", "i-2"] {
        world.cloud.add_instance("dcs", instance);
    }
    world.cloud.inject(Fault::new(FaultKind::LoseAnswer).at("create").containing("i-1"));
    world.cloud.inject(Fault::new(FaultKind::CutBefore).at("create").containing("i-2"));
    for (name, instance) in [("lost", "i-1"), ("cut", "i-2")] {
        world.plane.apply(&World::manifest(name, "DCS", instance, DELETE)).await;
        world.until_reason(name, "OutcomeUnknown").await;
        world.delete(name).await;
    }
    for name in ["lost", "cut"] {
        world.until_gone(name).await;
    }
    assert_eq!((world.backups_in_cloud(), world.left().len()), (1, 0));
}

#[tokio::test]
async fn flipping_to_retain_frees_an_object_whose_backup_cannot_be_deleted() {
    let world = World::start().await;
    world.cloud.add_instance("geminidb", "i-1in06");
    world.plane.apply(&World::manifest("stuck", "GeminiDB", "i-1in06", DELETE)).await;
    world.until_phase("stuck", Phase::Completed).await;
    // Open Telekom Cloud's reference has no delete for GeminiDB.
    world.cloud.unpublish("geminidb", "DELETE ");
    world.delete("stuck").await;
    let status = world.until_reason("stuck", "DeleteUnsupported").await;
    assert!(message(&status).contains("APIGW.0101") && message(&status).contains("Retain"), "{}", message(&status));
    world.retain("stuck").await;
    world.until_gone("stuck").await;
    assert_eq!(world.left().len(), 1);
}

#[tokio::test]
async fn a_deletion_goes_on_after_kills_and_refusals() {
    let mut world = World::start().await;
    world.cloud.add_instance("taurusdb", "i-1in07");
    world.plane.apply(&World::manifest("tough", "TaurusDB", "i-1in07", DELETE)).await;
    world.until_phase("tough", Phase::Completed).await;
    world.cloud.inject(Fault::new(FaultKind::FailAfter { status: 500, code: "DBS.108000".into() }).at("delete"));
    world.cloud.inject(Fault::new(FaultKind::Throttle { retry_after: None }).at("list"));
    world.delete("tough").await;
    world.kill_operator();
    world.start_operator();
    world.until_gone("tough").await;
    assert!(world.left().is_empty());
}

#[tokio::test]
async fn credentials_that_went_first_are_remembered_for_objects_that_are_going() {
    let world = World::start().await;
    world.cloud.add_instance("dcs", "i-1");
    world.plane.apply(&World::manifest("late", "DCS", "i-1", DELETE)).await;
    world.until_phase("late", Phase::Completed).await;
    world.plane.kubectl_ok(&["delete", "secret", "cloud", "-n", "operator"]).await;
    world.plane.kubectl_ok(&["delete", "ccacct", "cloud"]).await;
    world.delete("late").await;
    world.until_gone("late").await;
    assert!(world.left().is_empty());
}

#[tokio::test]
async fn an_expired_backup_is_deleted_and_its_object_stays_ready() {
    let world = World::start().await;
    world.cloud.add_instance("dcs", "i-1");
    world.cloud.hold_backups(true);
    world.plane.apply(&World::manifest("short", "DCS", "i-1", "expireAfterDays: 1")).await;
    world.until_phase("short", Phase::Running).await;
    world.cloud.hold_backups(false);
    world.cloud.complete_all();
    let status = world.until_phase("short", Phase::Completed).await;
    assert!(status.expiration_time.is_some());
    // A day later.
    let yesterday = (jiff::Timestamp::now() - jiff::SignedDuration::from_hours(25)).strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let patch = format!("{{\"status\":{{\"completionTime\":\"{yesterday}\",\"expirationTime\":\"{yesterday}\"}}}}");
    world.plane.kubectl_ok(&["patch", "dbb", "short", "--subresource=status", "--type=merge", "-p", &patch]).await;
    let status = world.until_phase("short", Phase::Expired).await;
    assert!(is_true(&status, "Ready"), "{status:?}");
    assert!(world.left().is_empty());
    eventually("the Event is there", PATIENCE, async || {
        let events = world.plane.kubectl_ok(&["get", "events", "-o", "custom-columns=R:.reason", "--no-headers"]).await;
        if events.contains("Expired") { Ok(()) } else { Err(events) }
    })
    .await;
}

#[tokio::test]
async fn what_is_missing_imported_or_was_never_asked_for_lets_its_object_go_at_once() {
    let mut world = World::without_operator().await;
    world.account("cloud", 1000).await;
    world.start_operator_with(&["--resync-interval=1s"]);
    world.cloud.add_instance("taurusdb", "i-1in07");
    let foreign = world.cloud.add_backup("taurusdb", "i-1in07", "made-by-hand");
    world.plane.apply(&World::manifest("missing", "TaurusDB", "i-1in07", DELETE)).await;
    let id = world.until_phase("missing", Phase::Completed).await.backup_id.expect("an id");
    assert!(world.cloud.lose_backup(&id));
    world.until_phase("missing", Phase::Missing).await;
    let import =
        World::manifest("imported", "TaurusDB", "i-1in07", "").replace("i-1in07}", &format!("i-1in07, existingBackupId: {foreign}}}"));
    world.plane.apply(&import).await;
    world.until_phase("imported", Phase::Completed).await;
    let no_account = World::manifest("never", "TaurusDB", "i-1in07", DELETE).replace("name: cloud}", "name: nobody}");
    world.plane.apply(&no_account).await;
    world.until_reason("never", "AccountNotFound").await;
    for name in ["missing", "imported", "never"] {
        world.delete(name).await;
        world.until_gone(name).await;
    }
    assert_eq!(world.left(), [foreign], "nothing of others was touched");
    assert_eq!(world.cloud.count(None, "delete"), 0);
}

#[tokio::test]
async fn a_dcs_instance_that_is_gone_takes_its_backups_with_it_and_nobody_waits_for_it() {
    let mut world = World::without_operator().await;
    world.account("cloud", 1000).await;
    world.start_operator_with(&["--resync-interval=1s"]);
    world.cloud.add_instance("dcs", "i-1");
    world.plane.apply(&World::manifest("gone", "DCS", "i-1", DELETE)).await;
    world.until_phase("gone", Phase::Completed).await;
    world.cloud.remove_instance("i-1");
    let status = world.until_phase("gone", Phase::Missing).await;
    assert!(message(&status).contains("no longer"), "{}", message(&status));
    world.delete("gone").await;
    world.until_gone("gone").await;
}

#[tokio::test]
async fn a_backup_that_a_restore_uses_goes_when_the_restore_has_ended() {
    let world = World::start().await;
    world.cloud.add_instance("geminidb", "i-1in06");
    world.plane.apply(&World::manifest("used", "GeminiDB", "i-1in06", DELETE)).await;
    world.until_phase("used", Phase::Completed).await;
    let in_use = FaultKind::Status { status: 403, code: "DBS.201319".into(), message: "being restored".into(), retry_after: None };
    world.cloud.inject(Fault::new(in_use).at("delete").times(3));
    world.delete("used").await;
    let said = |status: &DatabaseBackupStatus| message(status).contains("DBS.201319");
    world.until_seen("used", "told that it is in use", said).await;
    world.until_gone("used").await;
    assert!(world.left().is_empty());
}

#[tokio::test]
async fn a_namespace_goes_with_its_secret_and_its_backups_as_each_policy_says() {
    let mut world = World::without_operator().await;
    world.plane.start_controllers().expect("the control plane has its controllers");
    world.plane.kubectl_ok(&["create", "namespace", "shop"]).await;
    world.secret_in("shop", "cloud", &[("domainName", DOMAIN), ("username", USER), ("password", PASSWORD)]).await;
    world.account_with("cloud", "passwordSecretRef: {name: cloud}", 1000).await;
    // The Secret is in the namespace that goes, and may go first.
    world.start_operator_with(&["--cluster-resource-namespace=shop"]);
    let here = |name: &str, instance: &str, more: &str| {
        World::manifest(name, "DCS", instance, more).replace(&format!("name: {name}}}"), &format!("name: {name}, namespace: shop}}"))
    };
    for instance in ["i-1", "i-2", "i-3"] {
        world.cloud.add_instance("dcs", instance);
    }
    world.plane.apply(&here("goes", "i-1", DELETE)).await;
    world.plane.apply(&here("stays", "i-2", "")).await;
    let phase = |name: &'static str, phase: &'static str| {
        let wanted = format!("--for=jsonpath={{.status.phase}}={phase}");
        ["wait".to_owned(), wanted, format!("dbb/{name}"), "--namespace=shop".into(), "--timeout=120s".into()]
    };
    for name in ["goes", "stays"] {
        world.plane.kubectl_ok(&phase(name, "Completed").each_ref().map(String::as_str)).await;
    }
    world.cloud.set_backup_duration(Duration::from_secs(3));
    world.plane.apply(&here("runs", "i-3", DELETE)).await;
    world.plane.kubectl_ok(&phase("runs", "Running").each_ref().map(String::as_str)).await;
    world.plane.kubectl_ok(&["delete", "namespace", "shop", "--timeout=120s"]).await;
    let kept: Vec<String> = world.cloud.backups().into_iter().filter(|backup| !backup.deleted).map(|backup| backup.instance).collect();
    assert_eq!(kept, ["i-2"], "{}", world.newest_lines());
}

#[tokio::test]
async fn without_an_operator_a_namespace_of_retained_backups_goes_at_once() {
    let mut world = World::start().await;
    world.plane.start_controllers().expect("the control plane has its controllers");
    world.plane.kubectl_ok(&["create", "namespace", "shop"]).await;
    world.cloud.add_instance("dcs", "i-1");
    world.plane.apply(&World::manifest("stays", "DCS", "i-1", "").replace("name: stays}", "name: stays, namespace: shop}")).await;
    world.plane.kubectl_ok(&["wait", "--for=condition=Ready", "dbb/stays", "--namespace=shop", "--timeout=120s"]).await;
    world.kill_operator();
    world.plane.kubectl_ok(&["delete", "namespace", "shop", "--timeout=120s"]).await;
    assert_eq!(world.left().len(), 1);
}

#[tokio::test]
async fn an_account_that_points_elsewhere_blocks_what_it_cannot_know_of() {
    let world = World::start().await;
    world.cloud.add_instance("taurusdb", "i-1in07");
    world.cloud.hold_backups(true);
    world.plane.apply(&World::manifest("moved", "TaurusDB", "i-1in07", DELETE)).await;
    world.until_phase("moved", Phase::Running).await;
    // Another account under the same name, for another project.
    world.plane.kubectl_ok(&["delete", "ccacct", "cloud"]).await;
    world.account_in("eu-nl", "cloud", "passwordSecretRef: {name: cloud}", 1000).await;
    let status = world.until_reason("moved", "AccountMismatch").await;
    assert_eq!(status.phase, Some(Phase::Running), "it is not gone");
    world.delete("moved").await;
    let status = world.until_reason("moved", "DeleteBlocked").await;
    assert!(message(&status).contains("eu-nl") && message(&status).contains("Retain"), "{}", message(&status));
    world.retain("moved").await;
    world.until_gone("moved").await;
    assert_eq!((world.left().len(), world.cloud.count(None, "delete")), (1, 0));
}

#[tokio::test]
async fn an_object_that_somebody_elses_finalizer_keeps_is_followed_to_its_end_and_holds_its_instance_no_longer_than_that() {
    let world = World::start().await;
    world.cloud.add_instance("taurusdb", "i-1in07");
    world.cloud.hold_backups(true);
    let held = World::manifest("held", "TaurusDB", "i-1in07", "").replace("name: held}", "name: held, finalizers: [example.com/hold]}");
    world.plane.apply(&held).await;
    world.until_phase("held", Phase::Running).await;
    world.ask("next", "TaurusDB", "i-1in07").await;
    world.until_reason("next", "InstanceBusy").await;
    world.delete("held").await;
    world.cloud.hold_backups(false);
    world.cloud.complete_all();
    let status = world.until_phase("held", Phase::Completed).await;
    assert!(status.size.is_some() && status.completion_time.is_some(), "{status:?}");
    world.until_phase("next", Phase::Completed).await;
    assert!(world.object("held").await.metadata.deletion_timestamp.is_some(), "it is still there, and going");
    assert!(world.writes("held") <= 5, "{} status writes: {:?}", world.writes("held"), world.reasons("held"));
    world.patch("held", "{\"metadata\":{\"finalizers\":null}}").await;
    world.until_gone("held").await;
    assert_eq!((world.left().len(), world.cloud.count(None, "create"), world.cloud.count(None, "delete")), (2, 2, 0));
}

#[tokio::test]
async fn an_object_that_is_going_asks_for_nothing_though_somebody_elses_finalizer_keeps_it() {
    let world = World::start().await;
    world.cloud.add_instance("taurusdb", "i-1in07");
    world.cloud.hold_backups(true);
    world.ask("first", "TaurusDB", "i-1in07").await;
    world.until_phase("first", Phase::Running).await;
    let held = World::manifest("held", "TaurusDB", "i-1in07", "").replace("name: held}", "name: held, finalizers: [example.com/hold]}");
    world.plane.apply(&held).await;
    world.until_reason("held", "InstanceBusy").await;
    world.ask("next", "TaurusDB", "i-1in07").await;
    world.until_reason("next", "InstanceBusy").await;
    world.delete("held").await;
    world.cloud.hold_backups(false);
    world.cloud.complete_all();
    for name in ["first", "next"] {
        world.until_phase(name, Phase::Completed).await;
    }
    assert_eq!((world.backups_in_cloud(), world.cloud.count(None, "create")), (2, 2));
    assert_eq!(world.status("held").await.backup_name, None);
    world.patch("held", "{\"metadata\":{\"finalizers\":null}}").await;
    world.until_gone("held").await;
}
