//! What the tests of schedules share. Slots of a cron expression are at least a minute apart, so a test that needs one at once writes
//! `status.nextScheduleTime` back, as it stands after a downtime: a slot fell due, and nobody has decided on it.

use crate::{
    support::eventually,
    world::{PATIENCE, World},
};
use database_backup_operator::api::{
    backup::DatabaseBackup,
    schedule::{DatabaseBackupSchedule, DatabaseBackupScheduleStatus},
    status::Phase,
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{Api, ResourceExt, api::ListParams};

/// No slot within the life of a test.
pub const YEARLY: &str = "0 0 1 1 *";
/// A slot a minute.
pub const EVERY_MINUTE: &str = "* * * * *";

/// A world in which the operator leads, with these flags, and an instance `i-<service>` of each service.
pub async fn world_with(flags: &[&str]) -> World {
    let mut world = World::without_operator().await;
    for service in ["geminidb", "taurusdb", "dcs", "rds", "dds", "gaussdb"] {
        world.cloud.add_instance(service, &format!("i-{service}"));
    }
    world.cloud.settings(|settings| settings.delete_duration_ms = 0);
    world.account("cloud", 1000).await;
    world.start_operator_with(flags);
    world.until_account_is_verified().await;
    world.operator().ready().await;
    world
}

/// A schedule of an instance, with further fields of its spec.
pub fn manifest(name: &str, cron: &str, engine: &str, more: &str) -> String {
    let instance = format!("i-{}", engine.to_lowercase());
    template(name, cron, &format!("source: {{engine: {engine}, instanceId: {instance}}}"), more)
}

/// The same with further fields of its template's spec.
pub fn template(name: &str, cron: &str, spec: &str, more: &str) -> String {
    format!(
        "---
apiVersion: dbbackup.dev/v1alpha1
kind: DatabaseBackupSchedule
metadata: {{name: {name}, labels: {{app: shop}}, annotations: {{argocd.argoproj.io/tracking-id: shop}}}}
spec:
  schedule: \"{cron}\"
  backupTemplate: {{metadata: {{labels: {{team: blue}}, annotations: {{note: kept}}}}, spec: {{accountRef: {{kind: ClusterCloudAccount, name: cloud}}, {spec}}}}}
  {more}
"
    )
}

/// A backup that is one of a schedule, as one made for this slot.
pub fn child(schedule: &str, slot: &str, engine: &str, more: &str) -> String {
    let instance = format!("i-{}", engine.to_lowercase());
    let metadata = format!("metadata: {{labels: {{dbbackup.dev/schedule: {schedule}}}, name: ");
    World::manifest(&format!("{schedule}-{slot}"), engine, &instance, more).replace("metadata: {name: ", &metadata)
}

/// Asks for a backup of each of these slots, one after the other, and waits until each is completed.
pub async fn completed(world: &World, schedule: &str, engine: &str, slots: &[&str], more: &str) {
    for slot in slots {
        world.plane.apply(&child(schedule, slot, engine, more)).await;
        world.until_phase(&format!("{schedule}-{slot}"), Phase::Completed).await;
    }
}

pub fn api(world: &World) -> Api<DatabaseBackupSchedule> {
    Api::default_namespaced(world.backups.clone().into_client())
}

pub async fn status(world: &World, name: &str) -> DatabaseBackupScheduleStatus {
    let object = api(world).get(name).await.expect("the schedule is there");
    let seen = object.status.filter(|status| Some(status.observed_generation) == object.metadata.generation);
    seen.unwrap_or_else(|| serde_json::from_str("{}").expect("a status that nobody has written"))
}

/// Waits until a schedule's status is of its generation, and as wanted.
pub async fn until(
    world: &World,
    name: &str,
    what: &str,
    wanted: impl Fn(&DatabaseBackupScheduleStatus) -> bool,
) -> DatabaseBackupScheduleStatus {
    eventually(&format!("{name} {what}"), PATIENCE, async || {
        let status = status(world, name).await;
        if status.observed_generation >= 0 && wanted(&status) { Ok(status) } else { Err(format!("{status:?}\n{}", world.newest_lines())) }
    })
    .await
}

pub fn condition<'a>(status: &'a DatabaseBackupScheduleStatus, type_: &str) -> Option<&'a Condition> {
    status.conditions.iter().find(|condition| condition.type_ == type_)
}

/// Whether a condition has this status and this reason.
pub fn says(status: &DatabaseBackupScheduleStatus, type_: &str, is: &str, reason: &str) -> bool {
    condition(status, type_).is_some_and(|condition| condition.status == is && condition.reason == reason)
}

/// The names of the objects of a schedule, by its label; oldest slot first.
pub async fn children(world: &World, schedule: &str) -> Vec<String> {
    let labelled = ListParams::default().labels(&format!("dbbackup.dev/schedule={schedule}"));
    let mut names: Vec<String> = world.backups_here().list(&labelled).await.expect("a list").iter().map(ResourceExt::name_any).collect();
    names.sort();
    names
}

/// Waits until a schedule has exactly these objects, by their slots.
pub async fn until_children(world: &World, schedule: &str, slots: &[&str]) {
    let expected: Vec<String> = slots.iter().map(|slot| format!("{schedule}-{slot}")).collect();
    eventually(&format!("{schedule} has {slots:?}"), PATIENCE, async || {
        let here = children(world, schedule).await;
        if here == expected { Ok(()) } else { Err(format!("{here:?}\n{:?}\n{}", status(world, schedule).await, world.newest_lines())) }
    })
    .await;
}

/// Waits until a schedule has an object, and answers with the newest.
pub async fn until_child(world: &World, schedule: &str) -> DatabaseBackup {
    let name = eventually(&format!("{schedule} has a backup"), PATIENCE, async || {
        let newest = children(world, schedule).await.pop();
        match newest {
            Some(name) => Ok(name),
            None => Err(format!("{:?}\n{}", status(world, schedule).await, world.newest_lines())),
        }
    })
    .await;
    world.object(&name).await
}

/// Writes back the next slot: so long ago, as after a downtime.
pub async fn fell_due(world: &World, schedule: &str, ago: SignedDuration) {
    let minute = Timestamp::from_second(Timestamp::now().as_second() / 60 * 60).expect("a time");
    patch_status(world, schedule, &format!(r#"{{"status": {{"nextScheduleTime": "{}"}}}}"#, minute - ago)).await;
}

/// Waits until the turn of the minute is far enough away that no slot comes by itself in between.
pub async fn early_in_a_minute() {
    eventually("it is early in a minute", PATIENCE, async || match Timestamp::now().as_second() % 60 {
        1..40 => Ok(()),
        second => Err(second.to_string()),
    })
    .await;
}

/// Whatever the cloud holds of an instance was taken so much earlier.
pub fn age(world: &World, instance: &str, by: SignedDuration) {
    for backup in world.cloud.cloud().backups.iter_mut().filter(|backup| backup.instance == instance) {
        backup.created -= by;
        backup.ended = backup.ended.map(|ended| ended - by);
    }
}

pub async fn patch(world: &World, schedule: &str, patch: &str) {
    world.plane.kubectl_ok(&["patch", "dbbs", schedule, "--type=merge", "-p", patch]).await;
}

pub async fn patch_status(world: &World, schedule: &str, patch: &str) {
    world.plane.kubectl_ok(&["patch", "dbbs", schedule, "--subresource=status", "--type=merge", "-p", patch]).await;
}

pub async fn suspend(world: &World, schedule: &str) {
    patch(world, schedule, r#"{"spec": {"suspend": true}}"#).await;
    until(world, schedule, "rests", |status| says(status, "Ready", "True", "Suspended")).await;
}

/// How many Events with this reason there are about a schedule.
pub async fn events(world: &World, schedule: &str, reason: &str) -> usize {
    let about = format!("DatabaseBackupSchedule/{schedule}");
    world.events().await.into_iter().filter(|event| *event == (reason.to_owned(), about.clone())).count()
}

pub async fn until_event(world: &World, schedule: &str, reason: &str) {
    eventually(&format!("the Event {reason} about {schedule}"), PATIENCE, async || match events(world, schedule, reason).await {
        0 => Err(format!("{:?}\n{}", world.events().await, world.newest_lines())),
        _ => Ok(()),
    })
    .await;
}

/// The value of a series whose labels contain all of this.
pub async fn metric(world: &World, name: &str, labels: &str) -> Option<f64> {
    let text = world.operator().metrics().await;
    let mine = text.lines().find(|line| line.starts_with(&format!("{name}{{")) && line.contains(labels))?;
    mine.rsplit(' ').next()?.parse().ok()
}
