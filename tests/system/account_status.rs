//! What an account says of itself: ready before anybody needs it, one line for what fails, who needs it, and no word more often than it has to.

use crate::{
    accounts::{Told, backup, create_all, ready_of, until_all, until_ready_says},
    scheduled::{YEARLY, template},
    simulator::{DOMAIN, PASSWORD, PROJECTS, USER},
    support::eventually,
    world::{PATIENCE, World, message},
};
use database_backup_operator::api::{
    account::CloudAccountStatus,
    backup::{DatabaseBackup, DeletionPolicy},
    status::Phase,
};
use futures::StreamExt;
use kube::{
    ResourceExt,
    api::{DeleteParams, ListParams},
};
use std::time::Instant;

const HERE: &str = PROJECTS[0].1;

/// Waits until the account's condition Ready is True and says this after `verified for project … in eu-de`, and answers with the message.
async fn until_said(world: &World, what: impl Fn(&str) -> bool) -> String {
    let verified = format!("verified for project {HERE} in eu-de");
    eventually("the account says what it has to", PATIENCE, async || {
        let ready = ready_of(&world.account_status("cloud").await);
        let is_wanted = ready.status == "True" && ready.message.strip_prefix(&verified).is_some_and(&what);
        if is_wanted { Ok(ready.message) } else { Err(format!("{ready:?}\n{}", world.newest_lines())) }
    })
    .await
}

#[tokio::test]
async fn each_step_that_fails_is_told_in_one_line_and_services_that_are_not_reached_leave_the_account_ready() {
    let mut world = World::without_operator().await;
    world.cloud.any_instance(true);
    world.cloud.remove_project(HERE);
    for service in ["dds", "rds"] {
        world.cloud.refuse_connections(service, true);
    }
    let told = Told::by(&world);
    world.start_operator();
    world.account_with("cloud", "passwordSecretRef: {name: cloud}", 1000).await;
    let said = until_ready_says(&world, "cloud", "SecretNotFound").await.message;
    assert_eq!(said, "there is no Secret operator/cloud: create it");
    world.secret("cloud", &[("domainName", DOMAIN), ("username", USER)]).await;
    let said = until_ready_says(&world, "cloud", "SecretInvalid").await.message;
    assert!(said.starts_with("Secret operator/cloud: key password is missing"), "{said}");
    world.change_user([DOMAIN, USER, "wrong"]).await;
    let said = until_ready_says(&world, "cloud", "AuthenticationFailed").await.message;
    assert!(
        said.starts_with("check user and password, and set spec.projectId if it is a sub-project's: IAM answered the token with "),
        "{said}"
    );
    world.change_user([DOMAIN, USER, PASSWORD]).await;
    let said = until_ready_says(&world, "cloud", "ProjectNotFound").await.message;
    assert!(said.starts_with("set spec.projectId, since there is no project eu-de: IAM answered the token with "), "{said}");
    world.cloud.add_project(HERE, "eu-de");

    // Nobody needs it yet.
    world.plane.kubectl_ok(&["wait", "--for=condition=Ready", "--timeout=60s", "clustercloudaccount/cloud"]).await;
    let rds = world.cloud.endpoints().rds.trim_start_matches("http://").to_owned();
    until_said(&world, |more| more.starts_with("; not reached: ") && more.contains("RDS") && more.contains("DDS")).await;
    world.ask("reached", "DCS", "i-1").await;
    world.until_phase("reached", Phase::Completed).await;
    // A restart knows no better until it has tried them.
    assert!(world.terminate_operator().await.success());
    world.start_operator();
    world.ask("after-restart", "DCS", "i-2").await;
    world.until_phase("after-restart", Phase::Completed).await;
    for (service, left) in [("dds", Some(("RDS", rds))), ("rds", None)] {
        let before = Instant::now();
        world.cloud.refuse_connections(service, false);
        let said = until_said(&world, |more| match &left {
            Some((name, host)) => more.starts_with(&format!("; not reached: {name} (")) && more.contains(host) && more.ends_with(')'),
            None => more.is_empty(),
        })
        .await;
        // Tried again every 6 s while one is not reached; the machine may take its time.
        assert!(before.elapsed().as_secs() < 20, "{said} after {:?}", before.elapsed());
    }
    let statuses = told.of("cloud");
    for said in statuses.iter().map(|status| ready_of(status).message) {
        assert!(said.lines().count() <= 1 && said.chars().count() <= 256, "{said}");
    }
    let reasons: Vec<_> = told.reasons("cloud").into_iter().filter(|reason| !reason.is_empty()).collect();
    assert_eq!(reasons, ["SecretNotFound", "SecretInvalid", "AuthenticationFailed", "ProjectNotFound", "Verified"]);
    assert!(statuses.len() <= 14, "{} versions", statuses.len());
    let misses_any: Vec<bool> = statuses.iter().map(|status| ready_of(status).message.contains("; not reached: ")).collect();
    let forgotten = misses_any.windows(2).filter(|two| two[0] && !two[1]).count();
    assert_eq!(forgotten, 1, "when both are reached: {misses_any:?}");
}

fn users(status: &CloudAccountStatus) -> (i32, i32) {
    (status.used_by.unwrap_or_default(), status.needed_for_deletion.unwrap_or_default())
}

/// The account is counted by so many, and needed for a deletion by so many.
async fn until_users(world: &World, wanted: (i32, i32)) -> CloudAccountStatus {
    world.until_account(&format!("has {wanted:?} users"), |status| users(status) == wanted).await
}

fn doomed(name: &str) -> DatabaseBackup {
    let mut object = backup(name, "cloud", "TaurusDB", &format!("{name}in07"));
    object.spec.deletion_policy = DeletionPolicy::Delete;
    object
}

/// Type and note of the Events `AccountStillNeeded` about an account.
async fn still_needed(world: &World, account: &str) -> Vec<(String, String)> {
    let events = world.plane.kubectl_ok(&["get", "events", "--all-namespaces", "-o", "json"]).await;
    let events: serde_json::Value = serde_json::from_str(&events).expect("JSON");
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let all = events["items"].as_array().into_iter().flatten();
    let about = all.filter(|event| event["reason"] == "AccountStillNeeded" && event["involvedObject"]["name"] == account);
    about.map(|event| (text(&event["type"]), text(&event["message"]))).collect()
}

#[tokio::test]
async fn an_account_counts_who_needs_it_warns_when_it_goes_and_holds_nobody_up() {
    /// The Secret is read every 2 s.
    const QUICK: &str = "--poll-interval=100ms";
    let mut world = World::without_operator().await;
    world.cloud.any_instance(true);
    world.account("cloud", 1000).await;
    world.account("unused", 1000).await;
    world.start_operator_with(&[QUICK]);
    world.until_account_is_verified().await;
    let verified = until_users(&world, (0, 0)).await.last_verified_time.expect("it was verified");
    let schedules = ["s-1", "s-2"].map(|name| template(name, YEARLY, "source: {engine: DCS, instanceId: i-1}", "")).concat();
    world.plane.apply(&schedules).await;
    create_all(&world.backups_here(), vec![doomed("doomed-1"), doomed("doomed-2"), backup("kept", "cloud", "DCS", "i-2")]).await;
    for name in ["doomed-1", "doomed-2", "kept"] {
        world.until_phase(name, Phase::Completed).await;
    }
    let counted = until_users(&world, (5, 2)).await;
    assert_eq!(counted.last_verified_time, Some(verified.clone()), "a count is no verification");
    let columns = world.plane.kubectl_ok(&["get", "ccacct", "cloud", "-o", "wide"]).await;
    assert!(columns.contains("USED-BY"), "{columns}");

    // Two hundred come and go.
    let (told, begun) = (Told::by(&world), Instant::now());
    create_all(&world.backups_here(), (0..200).map(|n| backup(&format!("many-{n}"), "cloud", "DCS", &format!("m-{n}"))).collect()).await;
    until_all(&world, "many", Phase::Completed).await;
    let api = world.backups_here();
    let all = api.list(&ListParams::default()).await.expect("a list").items.into_iter().map(|object| object.name_any());
    let many: Vec<_> = all.filter(|name| name.starts_with("many")).collect();
    futures::stream::iter(many)
        .for_each_concurrent(8, |name| {
            let api = api.clone();
            async move { drop(api.delete(&name, &DeleteParams::default()).await.expect("it is deleted")) }
        })
        .await;
    let after = until_users(&world, (5, 2)).await;
    let (writes, seconds) = (told.of("cloud").len(), usize::try_from(begun.elapsed().as_secs()).unwrap_or(usize::MAX));
    assert!(writes <= seconds / 2 + 3, "{writes} versions in {seconds} s");
    assert_eq!(after.last_verified_time, Some(verified));

    // Verified every 2 s by another operator, which changes nothing else.
    world.kill_operator();
    world.start_operator_with(&[QUICK, "--resync-interval=4s"]);
    let told = Told::by(&world);
    let times = eventually("it is verified again and again", PATIENCE, async || {
        let mut times: Vec<_> = told.of("cloud").iter().filter_map(|status| Some(status.last_verified_time.as_ref()?.0)).collect();
        times.dedup();
        if times.len() >= 4 { Ok(times) } else { Err(format!("{times:?}")) }
    })
    .await;
    // The first of a process comes at once.
    let pauses: Vec<i64> = times[1..].windows(2).map(|pair| pair[1].duration_since(pair[0]).as_secs()).collect();
    assert!(pauses.iter().all(|pause| *pause >= 1), "{pauses:?}");
    assert_eq!(told.reasons("cloud"), ["Verified"]);
    world.kill_operator();
    let before = world.cloud.count(Some("iam"), "token");
    world.start_operator_with(&[QUICK]);
    world.operator().ready().await;
    // Both accounts: what is to be remembered of an account, this process has to know first.
    assert!(world.cloud.wait_until(PATIENCE, |cloud| cloud.count(Some("iam"), "token") >= before + 2), "{}", world.newest_lines());

    // It goes at once, with a warning; the other one goes without.
    for name in ["unused", "cloud"] {
        world.plane.kubectl_ok(&["delete", "ccacct", name, "--timeout=20s"]).await;
    }
    let told = eventually("the Event is there", PATIENCE, async || {
        let told = still_needed(&world, "cloud").await;
        if told.is_empty() { Err(world.newest_lines()) } else { Ok(told) }
    })
    .await;
    let note = "2 backups still need this account to be deleted from the cloud: create it again, or set them to deletionPolicy Retain";
    assert_eq!(told, [("Warning".to_owned(), note.to_owned())]);
    assert_eq!(still_needed(&world, "unused").await, []);
    world.plane.kubectl_ok(&["delete", "dbb", "kept", "--timeout=20s"]).await;
    // The last good credentials are remembered, until a restart.
    world.plane.kubectl_ok(&["delete", "dbb", "doomed-1", "--timeout=60s"]).await;
    world.kill_operator();
    world.start_operator_with(&[QUICK]);
    world.delete("doomed-2").await;
    let status = world.until_reason("doomed-2", "CredentialsUnavailable").await;
    assert!(message(&status).contains("Retain"), "{}", message(&status));
    assert_eq!(world.cloud.count(None, "delete"), 1);
    world.account("cloud", 1000).await;
    world.until_gone("doomed-2").await;
    assert_eq!(world.cloud.count(None, "delete"), 2);
    until_users(&world, (2, 0)).await;
}
