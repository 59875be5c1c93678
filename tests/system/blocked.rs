//! What stands in the way is said, stalls after the grace, and heals by itself when its cause is gone.

use crate::{
    simulator::faults::{Fault, FaultKind},
    world::{World, is_true, message},
};
use database_backup_operator::api::status::Phase;

fn refusal(status: u16, code: &str, times: u32) -> Fault {
    let kind = FaultKind::Status { status, code: code.into(), message: "said the cloud".into(), retry_after: None };
    Fault::new(kind).at("create").times(times)
}

/// Blocked with this reason: Reconciling at first, Stalled when the grace is over.
async fn is_blocked(world: &World, name: &str, reason: &str) {
    let status = world.until_reason(name, reason).await;
    assert_eq!(status.phase, Some(Phase::Pending));
    assert!(is_true(&status, "Reconciling"), "the grace: {status:?}");
    let stalled = world.until_seen(name, "Stalled", |status| is_true(status, "Stalled")).await;
    assert!(!is_true(&stalled, "Reconciling"), "never both: {stalled:?}");
}

#[tokio::test]
async fn a_single_node_dcs_instance_fails_for_good_with_the_clouds_code_and_request_id() {
    let world = World::start().await;
    world.cloud.add_single_node_dcs("single");
    world.ask("single", "DCS", "single").await;
    let status = world.until_phase("single", Phase::Failed).await;
    let said = message(&status);
    assert!(said.contains("DCS.4086") && said.contains("request ") && !said.contains('\n'), "{said}");
    assert!(is_true(&status, "Stalled") && world.cloud.count(Some("dcs"), "create") == 1);
}

#[tokio::test]
async fn a_description_that_the_cloud_refuses_fails_for_good_with_its_code_and_request_id() {
    let world = World::start().await;
    world.cloud.add_instance("taurusdb", "i-1in07");
    world.cloud.inject(refusal(400, "DBS.280127", 1));
    world.ask("refused", "TaurusDB", "i-1in07").await;
    let status = world.until_phase("refused", Phase::Failed).await;
    let said = message(&status);
    assert!(said.contains("DBS.280127") && said.contains("request ") && said.contains("said the cloud"), "{said}");
    let refused = crate::world::ready(&status).expect("Ready");
    assert_eq!(refused.reason, "InvalidRequest");
    assert_eq!(world.cloud.count(None, "create"), 1, "it is not tried again");
}

#[tokio::test]
async fn an_unknown_instance_blocks_until_it_is_there() {
    let world = World::start().await;
    world.ask("early", "TaurusDB", "i-1in07").await;
    is_blocked(&world, "early", "InstanceNotFound").await;
    world.cloud.add_instance("taurusdb", "i-1in07");
    world.until_phase("early", Phase::Completed).await;
    assert_eq!(world.backups_in_cloud(), 1);
}

#[tokio::test]
async fn a_missing_account_blocks_until_it_is_there() {
    let mut world = World::without_operator().await;
    world.start_operator();
    world.cloud.add_instance("dcs", "i-1");
    world.ask("orphan", "DCS", "i-1").await;
    is_blocked(&world, "orphan", "AccountNotFound").await;
    assert!(message(&world.status("orphan").await).contains("ClusterCloudAccount cloud"));
    world.account("cloud", 1000).await;
    world.until_phase("orphan", Phase::Completed).await;
}

#[tokio::test]
async fn a_missing_permission_and_a_used_up_quota_block_until_they_are_there() {
    let world = World::start().await;
    for instance in ["denied", "full"] {
        world.cloud.add_instance("taurusdb", instance);
    }
    world.cloud.inject(refusal(403, "DBS.201003", 3).containing("denied"));
    world.cloud.inject(refusal(413, "DBS.200046", 3).containing("full"));
    world.ask("denied", "TaurusDB", "denied").await;
    world.ask("full", "TaurusDB", "full").await;
    tokio::join!(is_blocked(&world, "denied", "AccessDenied"), is_blocked(&world, "full", "QuotaExceeded"));
    world.until_phase("denied", Phase::Completed).await;
    world.until_phase("full", Phase::Completed).await;
    assert_eq!(world.backups_in_cloud(), 2);
}

#[tokio::test]
async fn trouble_while_the_backup_runs_is_said_and_leaves_it_running() {
    let world = World::start().await;
    world.cloud.add_instance("taurusdb", "i-1in07");
    world.cloud.hold_backups(true);
    world.ask("running", "TaurusDB", "i-1in07").await;
    world.until_phase("running", Phase::Running).await;
    world.cloud.deny("taurusdb", true);
    let status = world.until_reason("running", "AccessDenied").await;
    assert_eq!(status.phase, Some(Phase::Running));
    world.cloud.deny("taurusdb", false);
    world.cloud.hold_backups(false);
    world.cloud.complete_all();
    world.until_phase("running", Phase::Completed).await;
}

#[tokio::test]
async fn an_engine_that_the_region_lacks_is_said_to_be_so() {
    let world = World::start().await;
    let iam = world.cloud.endpoints().iam;
    world
        .plane
        .kubectl_ok(&[
            "patch",
            "ccacct",
            "cloud",
            "--type=json",
            "-p",
            &format!("[{{\"op\": \"replace\", \"path\": \"/spec/endpoints\", \"value\": {{\"iam\": \"{iam}\", \"dcs\": \"{iam}\"}}}}]"),
        ])
        .await;
    world.cloud.add_instance("dcs", "i-1");
    world.ask("elsewhere", "DCS", "i-1").await;
    let status = world.until_reason("elsewhere", "EndpointMisconfigured").await;
    assert!(message(&status).contains("APIGW.0101"), "{}", message(&status));
}
