//! Whole decisions, on a small world: a schedule, its backups, and what the cloud has.

mod objective;
mod retention;
mod slots;
mod year;

use super::{
    child::{self, Child},
    decide::decide,
    memory::Memory,
    objective::Good,
    seen::Seen,
    step::Step,
    survey::{Found, Survey},
};
use crate::{
    api::{
        conditions::{find, types},
        schedule::{DatabaseBackupScheduleSpec, DatabaseBackupScheduleStatus, TakenBy},
        status::Phase,
    },
    cloud::engine::Cloud,
    plan::{
        backup::{reason::Reason, seen::Account},
        clock::Moment,
        place::{Place, Project},
        settings::Settings,
    },
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::{collections::BTreeSet, time::Duration};

const INSTANCE: &str = "i-1";

/// A schedule, its backups, and what the cloud has.
struct World {
    spec: DatabaseBackupScheduleSpec,
    status: DatabaseBackupScheduleStatus,
    generation: i64,
    children: Vec<Child>,
    memory: Memory,
    now: Moment,
    account: Account,
    settings: Settings,
    /// What a listing of the instance shows; it fails where there is none.
    cloud: Option<Found>,
    adopted: BTreeSet<String>,
    notices: Vec<String>,
    /// The names of what was created, in order.
    created: Vec<String>,
    retired: Vec<String>,
    deleted: Vec<String>,
    told_of_room: usize,
    surveys: usize,
    /// How long a listing takes.
    survey_takes: Duration,
    /// The API server refuses what is created.
    refuses: bool,
    writes: usize,
}

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

impl World {
    fn new(spec: &Value, now: &str) -> Self {
        let mut whole = json!({ "backupTemplate": { "spec": { "source": { "engine": "TaurusDB", "instanceId": INSTANCE } } } });
        for (name, value) in spec.as_object().expect("an object") {
            whole[name] = value.clone();
        }
        let now = Moment { wall: at(now), mono: Duration::from_secs(1000) };
        Self {
            spec: serde_json::from_value(whole).expect("a spec"),
            status: DatabaseBackupScheduleStatus::default(),
            generation: 1,
            children: Vec::new(),
            memory: Memory::new(now),
            now,
            account: ready(now.wall),
            settings: Settings::default(),
            cloud: Some(Found::default()),
            adopted: BTreeSet::new(),
            notices: Vec::new(),
            created: Vec::new(),
            retired: Vec::new(),
            deleted: Vec::new(),
            told_of_room: 0,
            surveys: 0,
            survey_takes: Duration::ZERO,
            refuses: false,
            writes: 0,
        }
    }

    fn decide(&mut self) -> Step {
        if let Account::Ready { cloud_now, .. } = &mut self.account {
            *cloud_now = Some(self.now.wall);
        }
        let seen = Seen {
            name: "nightly",
            namespace: "shop",
            uid: "s-1",
            generation: Some(self.generation),
            deleting: false,
            spec: &self.spec,
            status: &self.status,
            children: &self.children,
            adopted: &self.adopted,
            account: &self.account,
            settings: &self.settings,
            now: self.now,
        };
        decide(&seen, &mut self.memory)
    }

    /// Takes one step; answers with how long to wait, once there is nothing to do.
    fn step(&mut self) -> Option<Duration> {
        match self.decide() {
            Step::Report(report) => {
                self.writes += usize::from(self.status != report.status);
                self.status = report.status;
                self.notices.extend(report.notices.iter().map(|notice| format!("{}: {}", notice.reason, notice.note)));
            }
            Step::Create { slot, .. } if self.refuses => self.memory.refused(slot, "no".into(), self.now),
            Step::Create { object, .. } => {
                let name = object.metadata.name.clone().unwrap_or_default();
                if !self.children.iter().any(|child| child.name == name) {
                    let mut child = Child::read(&object, "nightly");
                    child.uid = format!("uid of {name}");
                    self.children.push(child);
                    self.created.push(name);
                }
            }
            Step::Supersede { uid, .. } => {
                let child = self.child_mut(&uid);
                (child.phase, child.is_stalled, child.is_replaceable) = (Some(Phase::Lapsed), false, false);
            }
            Step::Survey { target, .. } => {
                self.surveys += 1;
                let found = self.cloud.clone().map(|found| Found { cloud_time: found.cloud_time.or(Some(self.now.wall)), ..found });
                let started = self.now;
                self.pass(self.survey_takes);
                self.memory.surveyed(Survey { target, started, result: found.ok_or_else(|| "no answer".to_owned()) });
            }
            Step::Retire(uids) => {
                for uid in uids {
                    let child = self.child_mut(&uid);
                    child.is_retired = true;
                    let name = child.name.clone();
                    self.retired.push(name);
                }
            }
            Step::Delete(uids) => {
                self.deleted.extend(uids.iter().map(|uid| uid.trim_start_matches("uid of ").to_owned()));
                self.children.retain(|child| !uids.contains(&child.uid));
            }
            Step::TellOfRoom(uids) => self.told_of_room += uids.len(),
            Step::RequeueAfter(pause) => return Some(pause.expect("a schedule is looked at from time to time")),
        }
        None
    }

    /// Takes steps until there is nothing to do; answers with how long to wait.
    fn run(&mut self) -> Duration {
        (0..200).find_map(|_| self.step()).unwrap_or_else(|| panic!("it never rests: {:?}", self.decide()))
    }

    fn pass(&mut self, by: Duration) {
        self.now = self.now.plus(by);
    }

    fn run_at(&mut self, time: &str) -> Duration {
        self.pass(Duration::try_from(at(time).duration_since(self.now.wall)).expect("time goes on"));
        self.run()
    }

    /// The process is killed, and another one looks after the schedule.
    fn restart(&mut self) {
        self.memory = Memory::new(self.now);
    }

    fn child_mut(&mut self, uid_or_slot: &str) -> &mut Child {
        let name = format!("nightly-{uid_or_slot}");
        self.children.iter_mut().find(|child| child.uid == uid_or_slot || child.name == name).expect("a child")
    }

    /// A backup comes to an end.
    fn end(&mut self, slot: &str, phase: Phase) {
        let now = self.now.wall;
        let child = self.child_mut(slot);
        (child.phase, child.since, child.is_stalled, child.is_replaceable) = (Some(phase), Some(now), false, false);
        child.reason = <&'static str>::from(phase).to_owned();
        if phase == Phase::Completed {
            (child.completed, child.backup_id, child.is_own) = (Some(now), Some(format!("id-{slot}")), true);
            let id = format!("id-{slot}");
            if let Some(cloud) = &mut self.cloud {
                cloud.finished.insert(id.clone());
                cloud.newest = Some(Good { backup_id: id, completed: now, taken_by: TakenBy::Operator });
            }
        }
    }

    /// A backup is blocked for longer than the grace.
    fn stall(&mut self, slot: &str) {
        let child = self.child_mut(slot);
        (child.phase, child.is_stalled, child.reason) = (Some(Phase::Pending), true, Reason::AccountNotReady.as_str().into());
    }

    /// A completed backup that was there before.
    fn add_completed(&mut self, slot: Timestamp) {
        let name = child::name("nightly", slot);
        let digits = name.trim_start_matches("nightly-").to_owned();
        let object = child::new("nightly", "shop", &self.spec, slot, slot);
        let mut child = Child::read(&object, "nightly");
        child.uid = format!("uid of {name}");
        self.children.push(child);
        let now = self.now;
        self.now.wall = slot;
        self.end(&digits, Phase::Completed);
        self.now = now;
    }

    fn condition(&self, type_: &str) -> (String, String) {
        find(&self.status.conditions, type_).map(|found| (found.status.clone(), found.reason.clone())).unwrap_or_default()
    }

    fn ready(&self) -> (String, String) {
        self.condition(types::READY)
    }

    fn told(&self, reason: &str) -> usize {
        self.notices.iter().filter(|notice| notice.starts_with(&format!("{reason}:"))).count()
    }
}

fn ready(now: Timestamp) -> Account {
    let project = Project { cloud: Cloud::OpenTelekomCloud, region: "eu-de".into(), project_id: "p-1".into() };
    Account::Ready { place: Place { project, endpoint: "host".into() }, allowed: true, credentials_generation: 1, cloud_now: Some(now) }
}

fn blocked() -> Account {
    Account::Blocked { reason: Reason::AccountNotFound, message: "there is no account".into() }
}

fn pair(status: &str, reason: &str) -> (String, String) {
    (status.to_owned(), reason.to_owned())
}

fn ago(now: Moment, hours: i64) -> Timestamp {
    now.wall.checked_sub(SignedDuration::from_hours(hours)).expect("a time")
}
