//! The schedules in the storm, each with an instance of its own: their slots fall due when the dice say so, some rest, some are deleted and come back, and
//! some of their backups are held.

use crate::{
    lives::insist,
    simulator::service::Service,
    size::{Dice, Size},
    support::eventually,
    world::World,
};
use database_backup_operator::api::{
    HOLD, SCHEDULE,
    backup::DatabaseBackup,
    schedule::{DatabaseBackupSchedule, DatabaseBackupScheduleStatus},
    status::Phase,
};
use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tokio::sync::watch;

/// What is done to a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Nothing: it keeps a few backups, and has a slot at each turn.
    Keeps,
    /// It has a starting deadline, and its first slots come too late for it. Its backups go with their objects.
    IsLate,
    /// It has a slot a minute; what it decided on is put back now and then.
    IsMinutely,
    /// It keeps everything, is suspended, and goes on.
    Rests,
    /// It is deleted, and created again.
    Returns,
}

/// A schedule, and what was done to it.
pub struct Scheduled {
    pub object: DatabaseBackupSchedule,
    pub role: Role,
    /// The slots that fell due, oldest first. None was put in the place of one that was not decided.
    pub due: Vec<Timestamp>,
    /// Those that fell due while it rested.
    pub void: Vec<Timestamp>,
    /// The names of its backups that are held to the end.
    pub held: BTreeSet<String>,
    /// When the first one fell due.
    begin: Timestamp,
    turns: usize,
    dice: Dice,
}

/// Of a schedule whose slots are not every minute: how long before the storm they are. Nothing comes by itself meanwhile.
const AGO: SignedDuration = SignedDuration::from_mins(60);
/// How late a backup of a schedule with a deadline may begin.
const DEADLINE: SignedDuration = SignedDuration::from_mins(90);
/// At most so many of a thousand: a slot that fell due before the operator started is put off by up to this part of 5 minutes, and kills come every second.
const LATEST: u64 = 8;

impl Scheduled {
    pub fn name(&self) -> String {
        self.object.name_any()
    }

    pub fn instance(&self) -> &str {
        &self.object.spec.backup_template.spec.source.instance_id
    }

    /// How many backups it keeps.
    pub fn max_count(&self) -> Option<usize> {
        self.object.spec.retention.as_ref()?.max_count.and_then(|count| usize::try_from(count).ok())
    }

    /// The name of the backup of a slot.
    pub fn child(&self, slot: Timestamp) -> String {
        format!("{}-{}", self.name(), slot.strftime("%Y%m%d%H%M"))
    }

    /// The names that its backups may have by now.
    pub fn possible(&self) -> BTreeSet<String> {
        let mut slots = self.due.clone();
        if self.role == Role::IsMinutely {
            let mut slot = self.begin;
            while slot <= Timestamp::now() {
                slots.push(slot);
                slot += SignedDuration::from_mins(1);
            }
        }
        slots.into_iter().map(|slot| self.child(slot)).collect()
    }
}

/// Who has which schedule. Few beside the objects that are asked for: each takes several backups.
pub fn plan(world: &World, size: &Size, accounts: &[&str], mut dice: Dice) -> Vec<Scheduled> {
    const ROLES: [Role; 5] = [Role::Keeps, Role::IsLate, Role::IsMinutely, Role::Rests, Role::Returns];
    let count = (size.objects / 80 + 4).min(12);
    ROLES.into_iter().cycle().take(count).enumerate().map(|(nth, role)| planned(world, size, accounts, (nth, role), dice.fork())).collect()
}

fn planned(world: &World, size: &Size, accounts: &[&str], (nth, role): (usize, Role), mut dice: Dice) -> Scheduled {
    let (service, engine) = dice.pick(&[
        (Service::GeminiDb, "GeminiDB"),
        (Service::TaurusDb, "TaurusDB"),
        (Service::Dds, "DDS"),
        (Service::GaussDb, "GaussDB"),
        (Service::Dcs, "DCS"),
    ]);
    // DCS itself drops the oldest of many.
    let (service, engine) = if role == Role::Rests && engine == "DCS" { (Service::GeminiDb, "GeminiDB") } else { (service, engine) };
    let instance = format!("{:08x}in9{nth:03}", dice.below(1 << 30));
    world.cloud.add_instance(service.name(), &instance);
    let now = Timestamp::from_second(Timestamp::now().as_second() / 60 * 60).expect("a time");
    let minutes = SignedDuration::from_mins;
    let begin = match role {
        // Three slots are too late from the beginning.
        Role::IsLate => now - DEADLINE - minutes(3),
        Role::IsMinutely => now - minutes(5),
        _ => now - AGO,
    };
    let policy = if role == Role::IsLate || dice.percent(30) { "Delete" } else { "Retain" };
    let mut spec = json!({
        "schedule": if role == Role::IsMinutely { "* * * * *".to_owned() } else { cron(begin - minutes(1)) },
        "backupTemplate": { "spec": {
            "accountRef": { "kind": "ClusterCloudAccount", "name": dice.pick(accounts) },
            "source": { "engine": engine, "instanceId": instance },
            "deletionPolicy": policy,
            "backoffLimit": dice.below(3),
        }},
    });
    if role != Role::Rests {
        spec["retention"] = json!({ "maxCount": if role == Role::Returns { 2 } else { 1 } });
    }
    if role == Role::IsLate {
        spec["startingDeadlineSeconds"] = json!(DEADLINE.as_secs());
    }
    let object = DatabaseBackupSchedule::new(&format!("tide-{nth}"), serde_json::from_value(spec).expect("a valid spec"));
    // A turn brings a slot if the one before it is decided.
    let turns = (size.kills / 3).clamp(3, 24);
    Scheduled { object, role, due: vec![], void: vec![], held: BTreeSet::new(), begin, turns, dice }
}

/// Creates them, before there is any operator.
pub async fn create(world: &World, schedules: &[Scheduled]) {
    let api = api(world);
    join_all(schedules.iter().map(|one| async {
        create_one(&api, &one.object).await;
        if one.role == Role::IsMinutely {
            put_back(&api, one, "* * * * *", one.begin).await;
        }
    }))
    .await;
}

/// Each one's life, told by `progress`, the number of kills.
pub async fn live(world: &World, size: &Size, schedules: Vec<Scheduled>, progress: watch::Receiver<usize>) -> Vec<Scheduled> {
    join_all(schedules.into_iter().map(|one| one_life(world, size, one, progress.clone()))).await
}

async fn one_life(world: &World, size: &Size, mut one: Scheduled, mut progress: watch::Receiver<usize>) -> Scheduled {
    let api = api(world);
    for turn in 0..one.turns {
        let at = size.kills * turn / one.turns;
        progress.wait_for(|killed| *killed >= at).await.expect("the crew tells until the end");
        match one.role {
            Role::Rests if turn == one.turns / 2 => rest(&api, &mut one, size).await,
            Role::Returns if turn == one.turns / 2 => delete_one(&api, &one.name()).await,
            _ => {}
        }
        if one.role == Role::Returns && turn == one.turns / 2 + 1 {
            create_one(&api, &one.object).await;
        }
        if one.role != Role::IsMinutely {
            next_slot(&api, &mut one).await;
        } else if one.dice.percent(40) {
            let earlier = Timestamp::now() - SignedDuration::from_mins(i64::try_from(one.dice.below(5)).expect("a few"));
            put_back(&api, &one, "* * * * *", Timestamp::from_second(earlier.as_second() / 60 * 60).expect("a time")).await;
        }
        if one.max_count().is_some() {
            hold_or_let_go(world, &mut one).await;
        }
    }
    one
}

/// The next slot falls due, as after a downtime: it is that of a new cron expression, so that nothing but this brings it. If the one before it was not
/// decided, its time comes later; if it was, it may be put back, and must not run again.
async fn next_slot(api: &Api<DatabaseBackupSchedule>, one: &mut Scheduled) {
    let Some(status) = status(api, &one.name()).await else { return };
    if !is_decided(one, &status) {
        return;
    }
    match one.due.last().copied() {
        Some(decided) if status.last_schedule_time.is_some_and(|last| last.0 == decided) && one.dice.percent(25) => {
            put_back(api, one, &cron(decided), decided).await;
        }
        _ => {
            let slot = upcoming(one);
            one.due.push(slot);
            fall_due(api, one, slot).await;
        }
    }
}

fn upcoming(one: &Scheduled) -> Timestamp {
    let passed = i64::try_from(one.due.len() + one.void.len()).expect("a few");
    one.begin + SignedDuration::from_mins(passed)
}

async fn fall_due(api: &Api<DatabaseBackupSchedule>, one: &Scheduled, slot: Timestamp) {
    change(api, &one.name(), &json!({ "spec": { "schedule": cron(slot) } })).await;
    put_back(api, one, &cron(slot), slot).await;
}

/// Whether the operator has decided on every slot that fell due while this object was there.
pub fn is_decided(one: &Scheduled, status: &DatabaseBackupScheduleStatus) -> bool {
    let open = status.next_schedule_time.as_ref().is_some_and(|next| next.0 <= Timestamp::now());
    let last = status.last_schedule_time.as_ref().map(|last| last.0);
    // One that was created again knows of nothing that was before, and one that was suspended decides on nothing that waited.
    !open && (matches!(one.role, Role::Returns | Role::Rests) || last >= one.due.last().copied())
}

/// It is suspended, a slot comes that does not count, and it goes on.
async fn rest(api: &Api<DatabaseBackupSchedule>, one: &mut Scheduled, size: &Size) {
    let name = one.name();
    let until = async |what: &str, wanted: fn(&DatabaseBackupScheduleStatus) -> bool| {
        eventually(&format!("{name} {what}"), size.patience(), async || match status(api, &name).await {
            Some(status) if wanted(&status) => Ok(()),
            other => Err(format!("{other:?}")),
        })
        .await;
    };
    let slot = upcoming(one);
    one.void.push(slot);
    change(api, &name, &json!({ "spec": { "schedule": cron(slot), "suspend": true } })).await;
    until("rests", |status| status.observed_schedule.is_none() && status.next_schedule_time.is_none()).await;
    put_back(api, one, &cron(slot), slot).await;
    until("does not count what comes meanwhile", |status| status.next_schedule_time.is_none()).await;
    change(api, &name, &json!({ "spec": { "suspend": false } })).await;
}

/// Some of its backups are held, and some of those let go again.
async fn hold_or_let_go(world: &World, one: &mut Scheduled) {
    let api = world.backups_here();
    if !one.held.is_empty() && one.dice.percent(30) {
        let name = one.held.pop_first().expect("there is one");
        let patch = json!({ "metadata": { "annotations": { HOLD: null } } });
        insist(async || api.patch(&name, &PatchParams::default(), &Patch::Merge(&patch)).await).await;
    } else if one.held.len() < 2 && one.dice.percent(40) {
        let mut free: Vec<String> = children(world, &one.name()).await.into_iter().filter(is_free).map(|child| child.name_any()).collect();
        free.sort();
        let chosen = one.dice.below(free.len());
        if let Some(name) = free.get(chosen)
            && hold(&api, name).await
        {
            one.held.insert(name.clone());
        }
    }
}

/// Whether it was completed, and nothing has it go.
fn is_free(child: &DatabaseBackup) -> bool {
    let status = child.status.as_ref();
    let stays = child.metadata.deletion_timestamp.is_none() && !child.annotations().contains_key(HOLD);
    stays && status.is_some_and(|status| status.phase == Some(Phase::Completed) && status.delete_reason.is_none())
}

/// Holds a backup on the very version that nothing has go; answers whether it is held.
async fn hold(api: &Api<DatabaseBackup>, name: &str) -> bool {
    insist(async || {
        let Some(child) = api.get_opt(name).await? else { return Ok(false) };
        if child.annotations().contains_key(HOLD) {
            // An earlier call, whose answer was lost.
            return Ok(true);
        }
        if !is_free(&child) {
            return Ok(false);
        }
        let patch = json!({ "metadata": { "resourceVersion": child.resource_version(), "annotations": { HOLD: "storm" } } });
        api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.map(|_| true)
    })
    .await
    .0
}

/// Nothing comes by itself any more.
pub async fn calm(world: &World, schedules: &[Scheduled]) {
    let api = api(world);
    for one in schedules.iter().filter(|one| one.role == Role::IsMinutely) {
        change(&api, &one.name(), &json!({ "spec": { "suspend": true } })).await;
    }
}

/// The backups with a schedule's label.
pub async fn children(world: &World, schedule: &str) -> Vec<DatabaseBackup> {
    let labelled = ListParams::default().labels(&format!("{SCHEDULE}={schedule}"));
    insist(async || world.backups_here().list(&labelled).await).await.0.items
}

pub fn api(world: &World) -> Api<DatabaseBackupSchedule> {
    Api::default_namespaced(world.backups.clone().into_client())
}

async fn status(api: &Api<DatabaseBackupSchedule>, name: &str) -> Option<DatabaseBackupScheduleStatus> {
    insist(async || api.get_opt(name).await).await.0.map(|found| found.status.unwrap_or_default())
}

/// Creates a schedule whose slots are hardly put off after a start: that depends on its UID.
async fn create_one(api: &Api<DatabaseBackupSchedule>, object: &DatabaseBackupSchedule) {
    let name = object.name_any();
    loop {
        let (created, _) = insist(async || match api.create(&PostParams::default(), object).await {
            // An earlier call, whose answer was lost.
            Err(kube::Error::Api(refused)) if refused.is_already_exists() => api.get(&name).await,
            other => other,
        })
        .await;
        let uid = created.uid().unwrap_or_default();
        if uid.bytes().fold(0_u64, |lot, byte| lot.wrapping_mul(31).wrapping_add(byte.into())) % 1000 < LATEST {
            return;
        }
        delete_one(api, &name).await;
    }
}

async fn delete_one(api: &Api<DatabaseBackupSchedule>, name: &str) {
    insist(async || match api.delete(name, &DeleteParams::default()).await {
        Err(kube::Error::Api(refused)) if refused.is_not_found() => Ok(()),
        other => other.map(|_| ()),
    })
    .await;
}

async fn change(api: &Api<DatabaseBackupSchedule>, name: &str, patch: &Value) {
    insist(async || api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await).await;
}

/// Writes the next slot back.
async fn put_back(api: &Api<DatabaseBackupSchedule>, one: &Scheduled, cron: &str, slot: Timestamp) {
    let status = json!({ "status": { "observedSchedule": format!("{cron} Etc/UTC"), "nextScheduleTime": slot.to_string() } });
    insist(async || api.patch_status(&one.name(), &PatchParams::default(), &Patch::Merge(&status)).await).await;
}

/// A cron expression of this slot, each year.
fn cron(slot: Timestamp) -> String {
    slot.strftime("%M %H %d %m *").to_string()
}
