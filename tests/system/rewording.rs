//! An upgrade: the objects are as an earlier version left them, whose messages were worded otherwise. That alone is written nowhere.

use crate::{
    scheduled::{self, YEARLY},
    support::eventually,
    world::{PATIENCE, World, message},
};
use database_backup_operator::api::{
    account::ClusterCloudAccount,
    backup::DatabaseBackup,
    schedule::DatabaseBackupSchedule,
    status::{DatabaseBackupStatus, Phase},
};
use futures::future::join_all;
use kube::{
    Api, Resource, ResourceExt,
    api::{ListParams, Patch, PatchParams},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::{collections::BTreeMap, fmt::Debug};

/// Of each phase.
const COUNT: usize = 20;
const OTHER_WORDS: &str = "in the words of an earlier version";

/// Phases in which nothing happens any more, beside Completed: with the reason, and what else is true.
const ENDS: [(&str, &str, &str, Option<&str>); 4] = [
    ("Failed", "BackupFailed", "False", Some("Stalled")),
    ("Missing", "RemoteMissing", "False", Some("Stalled")),
    ("Expired", "Expired", "True", None),
    ("Lapsed", "TooLate", "True", None),
];

fn name(phase: &str, nth: usize) -> String {
    format!("{}-{nth}", phase.to_lowercase())
}

/// A status of a phase like that of a Completed backup.
fn ended(template: &DatabaseBackupStatus, (phase, reason, ready, also): (&str, &str, &str, Option<&str>), name: &str) -> Value {
    let condition = |type_: &str, status: &str| {
        json!({
            "type": type_, "status": status, "reason": reason, "message": OTHER_WORDS, "observedGeneration": 1,
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        })
    };
    let conditions: Vec<Value> = std::iter::once(condition("Ready", ready)).chain(also.map(|type_| condition(type_, "True"))).collect();
    let mut status = serde_json::to_value(template).expect("JSON");
    (status["phase"], status["conditions"], status["observedGeneration"]) = (phase.into(), conditions.into(), 1.into());
    (status["backupId"], status["backupName"]) = (format!("id-of-{name}").into(), format!("dbb-{name}-00000000000000000000").into());
    if phase == "Lapsed" {
        for field in ["backupId", "backupName", "requestTime", "createOutcome", "attempts", "origin"] {
            status[field] = Value::Null;
        }
    }
    status
}

async fn patch_status<K>(api: &Api<K>, name: &str, status: &Value)
where
    K: Resource + Clone + DeserializeOwned + Debug,
{
    let patch = Patch::Merge(json!({ "status": status }));
    api.patch_status(name, &PatchParams::default(), &patch).await.expect("the status is stored");
}

/// Words every message of a status anew.
async fn reword<K>(api: &Api<K>, name: &str)
where
    K: Resource + Clone + DeserializeOwned + serde::Serialize + Debug,
{
    let object = serde_json::to_value(api.get(name).await.expect("the object is there")).expect("JSON");
    let mut conditions = object["status"]["conditions"].clone();
    for condition in conditions.as_array_mut().expect("conditions") {
        condition["message"] = OTHER_WORDS.into();
    }
    patch_status(api, name, &json!({ "conditions": conditions })).await;
}

/// The version of each object of a kind, by its name.
async fn versions<K>(api: &Api<K>) -> BTreeMap<String, String>
where
    K: Resource + Clone + DeserializeOwned + Debug,
{
    let listed = api.list(&ListParams::default()).await.expect("a list");
    listed.iter().map(|object| (object.name_any(), object.resource_version().unwrap_or_default())).collect()
}

/// How many reconciles of backups have come to their end.
async fn reconciles(world: &World) -> usize {
    let begin = "dbbackup_reconciles_total{kind=\"DatabaseBackup\",result=\"ok\"} ";
    let metrics = world.operator().metrics().await;
    metrics.lines().find_map(|line| line.strip_prefix(begin)).and_then(|count| count.parse().ok()).expect("the metric")
}

#[tokio::test]
async fn an_upgrade_that_words_messages_otherwise_writes_no_object_at_which_nothing_happens() {
    let mut world = World::start_and_lead().await;
    let (backups, schedules) =
        (world.backups_here(), Api::<DatabaseBackupSchedule>::default_namespaced(world.backups.clone().into_client()));
    let accounts: Api<ClusterCloudAccount> = world.accounts.clone();
    // One that nobody uses: the counts of the other's users change.
    world.account("unused", 1000).await;
    world.plane.kubectl_ok(&["wait", "--for=condition=Ready", "--timeout=60s", "ccacct", "unused"]).await;
    for nth in 0..=COUNT {
        world.cloud.add_instance("taurusdb", &format!("i-{nth}"));
    }
    world.cloud.add_instance("dcs", "i-dcs");
    world.plane.apply(&scheduled::manifest("yearly", YEARLY, "DCS", "")).await;
    scheduled::until(&world, "yearly", "is scheduled", |status| scheduled::says(status, "Ready", "True", "Scheduled")).await;
    let completed: Vec<String> = (0..COUNT).map(|nth| name("Completed", nth)).collect();
    let manifests: String =
        completed.iter().zip(0..).map(|(name, nth)| World::manifest(name, "TaurusDB", &format!("i-{nth}"), "")).collect();
    world.plane.apply(&manifests).await;
    for name in &completed {
        world.until_phase(name, Phase::Completed).await;
    }
    let template = world.status(&completed[0]).await;
    assert!(world.terminate_operator().await.success());

    let mut others = Vec::new();
    for end in ENDS {
        others.extend((0..COUNT).map(|nth| (name(end.0, nth), end)));
    }
    let manifests: String = others.iter().map(|(name, _)| World::manifest(name, "TaurusDB", "i-0", "")).collect();
    world.plane.apply(&manifests).await;
    join_all(others.iter().map(|(name, end)| {
        let (backups, status) = (backups.clone(), ended(&template, *end, name));
        async move { patch_status::<DatabaseBackup>(&backups, name, &status).await }
    }))
    .await;
    join_all(completed.iter().map(|name| reword(&backups, name))).await;
    reword(&accounts, "unused").await;
    reword(&schedules, "yearly").await;
    let mut before = (versions(&backups).await, versions(&schedules).await, versions(&accounts).await["unused"].clone());
    assert_eq!(before.0.len(), 5 * COUNT);

    world.start_operator();
    world.until_account_is_verified().await;
    world.operator().ready().await;
    // It comes behind all that were there before.
    world.ask("newest", "TaurusDB", &format!("i-{COUNT}")).await;
    world.until_phase("newest", Phase::Completed).await;
    // Objects at which nothing happens are not even reconciled; one that somebody touches is.
    let (touched, reconciled) = (&completed[1], reconciles(&world).await);
    world.plane.kubectl_ok(&["annotate", "dbb", touched, "touched=yes"]).await;
    before.0.insert(touched.clone(), versions(&backups).await[touched].clone());
    eventually("it has been reconciled", PATIENCE, async || match reconciles(&world).await {
        count if count > reconciled => Ok(()),
        count => Err(format!("{count} reconciles\n{}", world.newest_lines())),
    })
    .await;
    let mut after = (versions(&backups).await, versions(&schedules).await, versions(&accounts).await["unused"].clone());
    assert!(after.0.remove("newest").is_some());
    assert_eq!(after, before);
    assert_eq!(world.cloud.count(None, "create"), COUNT + 1);

    // What is written anyway has the words of today.
    world.patch(&completed[0], r#"{"spec": {"expireAfterDays": 3650}}"#).await;
    let status = world.until(&completed[0], "expires", |status| status.expiration_time.is_some()).await;
    assert!(message(&status).starts_with("TaurusDB holds backup "), "{}", message(&status));
}
