//! What has to be: which slots ran and which were missed, and which backups are left. Worked out here, by other means than the operator's.

use crate::{time::Travel, world::World};
use database_backup_operator::{
    api::{backup::DatabaseBackup, schedule::DatabaseBackupSchedule, status::Phase},
    cloud::engine::Engine,
    plan::{backup::name::own_marks, schedule::calendar::Calendar},
};
use jiff::{SignedDuration, Timestamp};
use kube::{Api, ResourceExt, api::ListParams};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// A schedule as it is asked for.
#[derive(Clone)]
pub struct Plan {
    pub name: &'static str,
    pub engine: &'static str,
    pub cron: &'static str,
    pub zone: &'static str,
    pub deadline: Option<Duration>,
    pub max_count: Option<usize>,
    pub max_age_days: Option<i64>,
    pub min_count: usize,
    pub deletion_policy: &'static str,
}

impl Plan {
    pub fn new(name: &'static str, engine: &'static str, cron: &'static str, zone: &'static str) -> Self {
        Self { name, engine, cron, zone, deadline: None, max_count: None, max_age_days: None, min_count: 1, deletion_policy: "Retain" }
    }

    pub fn instance(&self) -> String {
        format!("i-{}", self.name)
    }

    /// The simulated service.
    pub fn service(&self) -> String {
        self.engine.to_lowercase()
    }

    pub fn manifest(&self) -> String {
        let Self { name, engine, cron, zone, min_count, deletion_policy, .. } = self;
        let instance = self.instance();
        let deadline = self.deadline.map_or(String::new(), |deadline| format!("startingDeadlineSeconds: {}", deadline.as_secs()));
        let count = self.max_count.map_or(String::new(), |count| format!("maxCount: {count}, "));
        let days = self.max_age_days.map_or(String::new(), |days| format!("maxAgeDays: {days}, "));
        format!(
            "apiVersion: dbbackup.dev/v1alpha1
kind: DatabaseBackupSchedule
metadata: {{name: {name}}}
spec:
  schedule: \"{cron}\"
  timeZone: {zone}
  {deadline}
  retention: {{{count}{days}minCount: {min_count}}}
  failedHistoryLimit: 2
  backupTemplate:
    spec:
      accountRef: {{kind: ClusterCloudAccount, name: cloud}}
      source: {{engine: {engine}, instanceId: {instance}}}
      deletionPolicy: {deletion_policy}
      # The API server's stamps are of the machine's time, which is far behind.
      progressDeadlineSeconds: 2147483647
"
        )
    }

    /// Which of these completed backups are left at a moment; newest first.
    fn left(&self, mut completed: Vec<(Timestamp, String)>, now: Timestamp) -> BTreeSet<String> {
        completed.sort();
        completed.reverse();
        let is_left = |(nth, (at, _)): &(usize, (Timestamp, String))| {
            let is_counted_out = self.max_count.is_some_and(|count| *nth >= count);
            let is_old = self.max_age_days.is_some_and(|days| now.duration_since(*at) > SignedDuration::from_hours(24 * days));
            *nth < self.min_count || !(is_counted_out || is_old)
        };
        completed.into_iter().enumerate().filter(is_left).map(|(_, (_, name))| name).collect()
    }
}

/// What is known of one schedule.
struct Account {
    plan: Plan,
    calendar: Calendar,
    /// The oldest slot that is not accounted for.
    cursor: Timestamp,
    /// All that were decided.
    slots: i64,
    missed: i64,
    /// Those that ran, by the name that their object has to have.
    ran: BTreeSet<String>,
}

/// The account of every schedule, and whatever was ever completed.
pub struct Ledger {
    accounts: Vec<Account>,
    backups: Api<DatabaseBackup>,
    /// By object name: when it was completed.
    completed: BTreeMap<String, Timestamp>,
    uids: BTreeMap<String, String>,
    ended_badly: BTreeSet<String>,
}

impl Ledger {
    pub fn new(plans: Vec<Plan>, backups: Api<DatabaseBackup>) -> Self {
        let account = |plan: Plan| {
            let calendar = Calendar::parse(plan.cron, plan.zone, Timestamp::now()).expect("a calendar");
            Account { plan, calendar, cursor: Timestamp::MIN, slots: 0, missed: 0, ran: BTreeSet::new() }
        };
        let accounts = plans.into_iter().map(account).collect();
        Self { accounts, backups, completed: BTreeMap::new(), uids: BTreeMap::new(), ended_badly: BTreeSet::new() }
    }

    /// The schedules are made, and the operator has seen them.
    pub async fn begin(&mut self, travel: &mut Travel) {
        for account in &mut self.accounts {
            travel.world.plane.apply(&account.plan.manifest()).await;
            account.cursor = account.calendar.next(travel.now()).expect("a slot");
        }
        self.settle(travel, "the schedules are seen").await;
    }

    /// The next slot of any schedule.
    pub fn next_slot(&self, now: Timestamp) -> Option<Timestamp> {
        self.accounts.iter().filter_map(|account| account.calendar.next(now)).min()
    }

    /// It is this moment, and the operator is there, since `back`: whatever fell due is decided.
    pub fn decide(&mut self, now: Timestamp, back: Timestamp) {
        for account in &mut self.accounts {
            let Some(due) = account.calendar.due(account.cursor, now) else { continue };
            account.cursor = account.calendar.next(due.newest).expect("a slot");
            let count = i64::try_from(due.count).expect("a few");
            account.slots += count;
            let is_late = account
                .plan
                .deadline
                .is_some_and(|deadline| Duration::try_from(back.duration_since(due.newest)).unwrap_or_default() > deadline);
            account.missed += if is_late { count } else { count - 1 };
            if !is_late {
                account.ran.insert(format!("{}-{}", account.plan.name, due.newest.strftime("%Y%m%d%H%M")));
            }
        }
    }

    /// Slots up to now do not count: nobody was to take them.
    pub fn skip(&mut self, now: Timestamp) {
        for account in &mut self.accounts {
            account.cursor = account.calendar.next(now).expect("a slot");
        }
    }

    /// Suspends all of them, or has them go on.
    pub async fn suspend(&mut self, travel: &mut Travel, suspend: bool) {
        for account in &self.accounts {
            let patch = format!(r#"{{"spec": {{"suspend": {suspend}}}}}"#);
            travel.world.plane.kubectl_ok(&["patch", "dbbs", account.plan.name, "--type=merge", "-p", &patch]).await;
        }
        self.settle(travel, if suspend { "the schedules rest" } else { "the schedules go on" }).await;
    }

    /// Waits until everything is as it has to be.
    pub async fn settle(&mut self, travel: &mut Travel, what: &str) {
        travel.settle(what, async |world, now| self.check(world, now).await).await;
    }

    /// Whether everything is as it has to be at this moment.
    async fn check(&mut self, world: &World, now: Timestamp) -> Result<(), String> {
        let here = self.backups.list(&ListParams::default()).await.map_err(|error| error.to_string())?.items;
        self.learn(&here);
        let mut wrong = Vec::new();
        let schedules: Api<DatabaseBackupSchedule> = Api::default_namespaced(world.backups.clone().into_client());
        let schedules = schedules.list(&ListParams::default()).await.map_err(|error| error.to_string())?.items;
        for account in &self.accounts {
            let object = schedules.iter().find(|object| object.name_any() == account.plan.name).expect("the schedule is there");
            wrong.extend(account.check_status(object));
            wrong.extend(account.check_children(self, &here, now));
            wrong.extend(account.check_cloud(&here, world));
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
    }

    fn learn(&mut self, here: &[DatabaseBackup]) {
        for object in here {
            let (name, status) = (object.name_any(), object.status.clone().unwrap_or_default());
            self.uids.insert(name.clone(), object.uid().unwrap_or_default());
            match status.phase {
                Some(Phase::Completed) => {
                    self.completed.insert(name, status.completion_time.expect("a completed one says when").0);
                }
                Some(Phase::Failed | Phase::Lapsed) => {
                    self.ended_badly.insert(name);
                }
                _ => {}
            }
        }
    }

    /// Nothing more is to come: the counts, and that no slot was taken twice.
    pub async fn verdict(&mut self, travel: &mut Travel) {
        self.settle(travel, "everything is as it has to be at the end").await;
        for account in &self.accounts {
            let status = account.read(&travel.world).await.status.expect("a status");
            let ran = i64::try_from(account.ran.len()).expect("a few");
            assert_eq!(status.missed_runs + status.satisfied_runs + ran, account.slots, "{}: {status:?}", account.plan.name);
            let seen: BTreeSet<&String> = self.uids.keys().filter(|name| account.is_of(name)).collect();
            assert_eq!(seen, account.ran.iter().collect(), "{}: the objects that there ever were", account.plan.name);
            let engine: Engine = account.engine();
            let backups = travel.world.cloud.backups();
            for name in seen {
                let marks: Vec<String> = own_marks(engine, name, &self.uids[name], &account.plan.instance()).collect();
                let taken = backups.iter().filter(|backup| marks.contains(&backup.name) && backup.status == "COMPLETED");
                assert!(taken.count() <= 1, "{name} was taken twice");
            }
            for (id, calls) in travel.world.cloud.deletes() {
                let accepted = backups.iter().find(|backup| backup.id == id).is_some_and(|backup| backup.deleted);
                assert!(accepted, "{calls} deletes of {id}, which is still there");
            }
        }
    }

    pub fn told(&self) -> String {
        let one = |account: &Account| {
            format!("{}: {} slots, {} ran, {} missed", account.plan.name, account.slots, account.ran.len(), account.missed)
        };
        let all: Vec<String> = self.accounts.iter().map(one).collect();
        format!("{}, {} ended badly", all.join("; "), self.ended_badly.len())
    }
}

impl Account {
    fn engine(&self) -> Engine {
        serde_json::from_value(self.plan.engine.into()).expect("an engine")
    }

    fn is_of(&self, name: &str) -> bool {
        name.rsplit_once('-').is_some_and(|(schedule, _)| schedule == self.plan.name)
    }

    async fn read(&self, world: &World) -> DatabaseBackupSchedule {
        let api: Api<DatabaseBackupSchedule> = Api::default_namespaced(world.backups.clone().into_client());
        api.get(self.plan.name).await.expect("the schedule is there")
    }

    fn check_status(&self, object: &DatabaseBackupSchedule) -> Option<String> {
        let status = object.status.clone().unwrap_or_else(|| serde_json::from_str("{}").expect("an empty status"));
        let is_suspended = object.spec.suspend;
        let next = (!is_suspended).then_some(self.cursor);
        let is_seen = Some(status.observed_generation) == object.metadata.generation;
        let conditions: Vec<_> = status.conditions.iter().map(|one| format!("{} {}", one.reason, one.message)).collect();
        let said = (status.next_schedule_time.map(|time| time.0), status.missed_runs, is_seen);
        (said != (next, self.missed, true))
            .then(|| format!("{}: says {said:?}, should say {:?}; {conditions:?}", self.plan.name, (next, self.missed, true)))
    }

    fn check_children(&self, ledger: &Ledger, here: &[DatabaseBackup], now: Timestamp) -> Vec<String> {
        let mut wrong = Vec::new();
        let mine: Vec<&DatabaseBackup> = here.iter().filter(|object| self.is_of(&object.name_any())).collect();
        for name in &self.ran {
            if !ledger.completed.contains_key(name) && !ledger.ended_badly.contains(name) {
                wrong.push(format!("{name} has not come to its end"));
            }
        }
        wrong.extend(
            mine.iter().map(|object| object.name_any()).filter(|name| !self.ran.contains(name)).map(|name| format!("{name} was never due")),
        );
        let completed = ledger.completed.iter().filter(|(name, _)| self.is_of(name)).map(|(name, at)| (*at, name.clone())).collect();
        let left = self.plan.left(completed, now);
        let has_phase = |wanted: &[Phase]| -> BTreeSet<String> {
            let is = |object: &&&DatabaseBackup| {
                object.status.as_ref().and_then(|status| status.phase).is_some_and(|phase| wanted.contains(&phase))
            };
            mine.iter().filter(is).map(|object| object.name_any()).collect()
        };
        let is = has_phase(&[Phase::Completed]);
        if is != left || mine.len() != left.len() + has_phase(&[Phase::Failed, Phase::Lapsed]).len() {
            let odd = mine.iter().filter(|object| !left.contains(&object.name_any()));
            let odd: Vec<String> = odd.map(|object| format!("{}: {:?}", object.name_any(), object.status)).collect();
            wrong.push(format!("{}: completed are {is:?}, should be {left:?}; {}", self.plan.name, odd.join("\n")));
        }
        if has_phase(&[Phase::Failed, Phase::Lapsed]).len() > 2 {
            wrong.push(format!("{}: more failed ones than the limit", self.plan.name));
        }
        wrong
    }

    /// The cloud holds what the completed objects name, and no other good backup.
    fn check_cloud(&self, here: &[DatabaseBackup], world: &World) -> Option<String> {
        let instance = self.plan.instance();
        let is_completed = |object: &&DatabaseBackup| object.status.as_ref().is_some_and(|status| status.phase == Some(Phase::Completed));
        let named: BTreeSet<String> = here
            .iter()
            .filter(|object| self.is_of(&object.name_any()))
            .filter(is_completed)
            .filter_map(|object| object.status.as_ref()?.backup_id.clone())
            .collect();
        let held: BTreeSet<String> = world
            .cloud
            .backups()
            .into_iter()
            .filter(|backup| backup.instance == instance && !backup.deleted && backup.status == "COMPLETED")
            .map(|backup| backup.id)
            .collect();
        (named != held).then(|| format!("{}: the cloud holds {held:?}, the objects name {named:?}", self.plan.name))
    }
}
