//! An account that cannot be used for 60 days under an hourly schedule. When it is mended there is one backup, and not 1,440.

use crate::{
    days,
    ledger::Plan,
    new_year,
    simulator::{DOMAIN, PASSWORD, USER},
    time::Travel,
    world::{World, ready},
};
use database_backup_operator::api::{
    backup::DatabaseBackup,
    schedule::{DatabaseBackupSchedule, DatabaseBackupScheduleStatus},
    status::Phase,
};
use jiff::{SignedDuration, Timestamp};
use kube::{Api, ResourceExt, api::ListParams};
use std::time::Instant;

/// The operator is restarted now and then: nothing of this is kept in its memory only.
const RESTART: i64 = 24 * 7;
/// How many of those that lapsed are kept as objects, by the plan's manifest.
const KEPT: usize = 2;

fn name(slot: Timestamp) -> String {
    format!("hourly-{}", slot.strftime("%Y%m%d%H%M"))
}

async fn seen(world: &World) -> Result<(Vec<DatabaseBackup>, DatabaseBackupScheduleStatus), String> {
    let mut backups = world.backups_here().list(&ListParams::default()).await.map_err(|error| error.to_string())?.items;
    backups.sort_by_key(ResourceExt::name_any);
    let api: Api<DatabaseBackupSchedule> = Api::default_namespaced(world.backups.clone().into_client());
    let schedule = api.get("hourly").await.map_err(|error| error.to_string())?;
    Ok((backups, schedule.status.unwrap_or_default()))
}

/// The slot, the `nth`, has the only backup that waits; those before it lapsed, and each of them is counted.
async fn waits(world: &World, slot: Timestamp, nth: i64) -> Result<(), String> {
    let (mut backups, status) = seen(world).await?;
    let newest = backups.pop();
    let is_blocked = |object: &DatabaseBackup| {
        let status = object.status.as_ref();
        status.and_then(ready).is_some_and(|ready| ready.reason == "AccountNotReady")
            && status.is_some_and(|status| !is_at_its_end(status.phase))
    };
    let is_newest = newest.as_ref().is_some_and(|object| object.name_any() == name(slot) && is_blocked(object));
    let is_superseded = |object: &DatabaseBackup| {
        let status = object.status.as_ref();
        status.and_then(|status| status.phase) == Some(Phase::Lapsed)
            && status.and_then(ready).is_some_and(|ready| ready.reason == "Superseded")
    };
    let lapsed = usize::try_from(nth - 1).unwrap_or_default().min(KEPT);
    let is_well = is_newest && backups.len() == lapsed && backups.iter().all(is_superseded);
    let said = (status.lapsed_runs, status.missed_runs, status.last_backup_name.clone());
    let expected = (nth - 1, 0, Some(name(slot)));
    if is_well && said == expected { Ok(()) } else { Err(format!("{said:?}, should be {expected:?}; {newest:?} {backups:?}")) }
}

fn is_at_its_end(phase: Option<Phase>) -> bool {
    matches!(phase, Some(Phase::Completed | Phase::Failed | Phase::Lapsed | Phase::Missing | Phase::Expired))
}

/// The backup of a slot is completed, so many after the first.
async fn is_taken(world: &World, slot: Timestamp, lapsed: i64) -> Result<(), String> {
    let (backups, status) = seen(world).await?;
    let newest = backups.iter().find(|object| object.name_any() == name(slot)).and_then(|object| object.status.as_ref());
    let is_completed = newest.is_some_and(|status| status.phase == Some(Phase::Completed));
    let is_told = status.last_successful_time.is_some() && status.active_backup_name.is_none();
    let is_counted = (status.lapsed_runs, status.missed_runs) == (lapsed, 0);
    if is_completed && is_told && is_counted { Ok(()) } else { Err(format!("{newest:?} {status:?}")) }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_lacks_its_secret_for_weeks_costs_one_backup_when_it_is_mended() {
    let days = days(5, 60);
    let (began, begin, hour) = (Instant::now(), new_year() + SignedDuration::from_mins(30), SignedDuration::from_hours(1));
    let plan = Plan::new("hourly", "DCS", "0 * * * *", "Etc/UTC");
    let mut travel = Travel::begin(begin, std::slice::from_ref(&plan)).await;
    travel.world.plane.kubectl_ok(&["--namespace=operator", "delete", "secret", "cloud"]).await;
    travel.start_operator().await;
    travel.world.plane.apply(&plan.manifest()).await;
    let first = new_year() + hour;
    travel
        .settle("the schedule is seen", async |world, _| {
            let next = seen(world).await?.1.next_schedule_time.map(|next| next.0);
            if next == Some(first) { Ok(()) } else { Err(format!("{next:?}")) }
        })
        .await;
    let slots = i64::try_from(days * 24).expect("a few");
    let mut slot = first;
    for nth in 1..=slots {
        slot = new_year() + SignedDuration::from_hours(nth);
        if nth % RESTART == 0 {
            travel.restart().await;
        }
        travel.go_to(slot);
        travel.settle(&format!("the slot {slot}"), async |world, _| waits(world, slot, nth).await).await;
    }
    assert_eq!((travel.world.cloud.count(None, "create"), travel.world.backups_in_cloud()), (0, 0));

    travel.world.secret("cloud", &[("domainName", DOMAIN), ("username", USER), ("password", PASSWORD)]).await;
    travel.settle("the newest is taken", async |world, _| is_taken(world, slot, slots - 1).await).await;
    assert_eq!((travel.world.cloud.count(None, "create"), travel.world.backups_in_cloud()), (1, 1));
    // It goes on as ever.
    slot += hour;
    travel.go_to(slot);
    travel.settle("the next is taken", async |world, _| is_taken(world, slot, slots - 1).await).await;
    assert_eq!((travel.world.cloud.count(None, "create"), travel.world.backups_in_cloud()), (2, 2));
    eprintln!("year: {slots} slots without a Secret, {} restarts, {:.0} s", travel.crashes, began.elapsed().as_secs_f64());
}
