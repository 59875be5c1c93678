//! A policy of the cluster denies what the operator writes: the object says so in an Event, nothing is asked of the cloud, and all goes on once it is allowed.

use crate::{
    support::eventually,
    world::{PATIENCE, World},
};
use database_backup_operator::api::status::Phase;
use serde_json::Value;

/// A policy that denies updates of these resources for which the expression is false.
fn policy(resources: &str, expression: &str) -> String {
    format!(
        "apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {{name: frozen}}
spec:
  failurePolicy: Fail
  matchConstraints:
    resourceRules:
    - {{apiGroups: [dbbackup.dev], apiVersions: ['*'], operations: [UPDATE], resources: [{resources}]}}
  validations:
  - {{expression: \"{expression}\", message: the change freeze is on}}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {{name: frozen}}
spec: {{policyName: frozen, validationActions: [Deny]}}
"
    )
}

/// Applies a policy, and waits until it denies this patch of the object `probe`: it takes a moment.
async fn deny(world: &World, policy: &str, patch: &[&str]) {
    world.plane.apply(policy).await;
    eventually("the policy denies", PATIENCE, async || {
        let all = [&["patch", "dbb", "probe", "--dry-run=server", "--type=merge", "-p"], patch].concat();
        let output = world.plane.kubectl(&all).await.map_err(|error| error.to_string())?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if said.contains("the change freeze is on") { Ok(()) } else { Err(said) }
    })
    .await;
}

async fn allow(world: &World) {
    world.plane.kubectl_ok(&["delete", "validatingadmissionpolicybinding,validatingadmissionpolicy", "frozen"]).await;
}

/// The Events that a write of an object was refused.
async fn refusals(world: &World, kind: &str, name: &str) -> Vec<Value> {
    let events = world.plane.kubectl_ok(&["get", "events", "-A", "-o", "json", "--field-selector", "reason=WriteRefused"]).await;
    let events: Value = serde_json::from_str(&events).expect("JSON");
    let is_about = |event: &&Value| event["involvedObject"]["kind"] == kind && event["involvedObject"]["name"] == name;
    events["items"].as_array().into_iter().flatten().filter(is_about).cloned().collect()
}

/// How many writes of a kind were refused so far.
async fn counted(world: &World, kind: &str) -> u64 {
    let begin = format!("dbbackup_writes_refused_total{{kind=\"{kind}\"}} ");
    let metrics = world.operator().metrics().await;
    metrics.lines().find_map(|line| line.strip_prefix(&begin)?.parse().ok()).expect("the series is there from the beginning")
}

/// Waits until so many more writes of a kind were refused.
async fn until_refused_again(world: &World, kind: &str, times: u64) {
    let before = counted(world, kind).await;
    eventually("it is tried again", PATIENCE, async || match counted(world, kind).await {
        now if now >= before + times => Ok(()),
        now => Err(format!("{before}, then {now}\n{}", world.newest_lines())),
    })
    .await;
}

/// Waits for the Event that an object's write was refused, and checks its words.
async fn until_told(world: &World, kind: &str, name: &str, part: &str) {
    let events = eventually("an Event", PATIENCE, async || match refusals(world, kind, name).await {
        events if events.is_empty() => Err(world.newest_lines()),
        events => Ok(events),
    })
    .await;
    let note = events[0]["message"].as_str().expect("a note");
    for words in
        [&format!("this object's {part}"), "ValidatingAdmissionPolicy 'frozen'", "the change freeze is on", "tried again by itself"]
    {
        assert!(note.contains(words), "{note}");
    }
    assert_eq!((events[0]["type"].as_str(), note.lines().count()), (Some("Warning"), 1), "{events:?}");
}

/// With an object that the policy can be tried on, which waits for an account that there is not.
async fn world() -> World {
    let world = World::start_and_lead().await;
    world.cloud.add_instance("dcs", "i-1");
    world.plane.apply(&World::manifest("probe", "DCS", "i-2", "").replace("name: cloud}", "name: none}")).await;
    world.until_seen("probe", "Stalled", |status| crate::world::is_true(status, "Stalled")).await;
    world
}

#[tokio::test]
async fn a_policy_that_denies_statuses_is_named_by_an_event_and_nothing_is_asked_of_the_cloud_meanwhile() {
    let world = world().await;
    deny(&world, &policy("databasebackups/status", "false"), &[r#"{"status": {"jobId": "x"}}"#, "--subresource=status"]).await;
    world.ask("frozen", "DCS", "i-1").await;
    until_told(&world, "DatabaseBackup", "frozen", "status").await;
    until_refused_again(&world, "DatabaseBackup", 3).await;
    assert_eq!(refusals(&world, "DatabaseBackup", "frozen").await.len(), 1, "once, however often it is tried");
    assert_eq!(world.cloud.count(None, "create"), 0, "the intent is not stored");
    allow(&world).await;
    world.until_phase("frozen", Phase::Completed).await;
    assert_eq!(world.cloud.count(None, "create"), 1);
}

#[tokio::test]
async fn a_policy_that_denies_the_finalizer_is_named_by_an_event_and_nothing_is_asked_of_the_cloud_meanwhile() {
    let world = world().await;
    let no_finalizers = policy("databasebackups", "!has(object.metadata.finalizers)");
    deny(&world, &no_finalizers, &[r#"{"metadata": {"finalizers": ["example.com/probe"]}}"#]).await;
    world.plane.apply(&World::manifest("held", "DCS", "i-1", "deletionPolicy: Delete")).await;
    until_told(&world, "DatabaseBackup", "held", "finalizers").await;
    until_refused_again(&world, "DatabaseBackup", 3).await;
    assert_eq!(refusals(&world, "DatabaseBackup", "held").await.len(), 1, "once, however often it is tried");
    assert_eq!(world.cloud.count(None, "create"), 0, "a backup that could not be deleted is not made");
    allow(&world).await;
    world.until_phase("held", Phase::Completed).await;
    assert_eq!(world.cloud.count(None, "create"), 1);
}

#[tokio::test]
async fn an_account_whose_status_may_not_be_written_says_so_too_and_serves_its_backups() {
    let world = world().await;
    // Of the object `probe`, too, so that it shows when the policy holds.
    let accounts =
        policy("clustercloudaccounts/status, databasebackups/status", "object.metadata.name != 'fresh' && object.metadata.name != 'probe'");
    deny(&world, &accounts, &[r#"{"status": {"jobId": "x"}}"#, "--subresource=status"]).await;
    world.account("fresh", 1000).await;
    until_told(&world, "ClusterCloudAccount", "fresh", "status").await;
    assert!(counted(&world, "ClusterCloudAccount").await > 0);
    world.plane.apply(&World::manifest("served", "DCS", "i-1", "").replace("name: cloud}", "name: fresh}")).await;
    world.until_phase("served", Phase::Completed).await;
    allow(&world).await;
    world.plane.kubectl_ok(&["wait", "--for=condition=Ready", "--timeout=60s", "ccacct", "fresh"]).await;
}
