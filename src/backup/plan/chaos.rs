//! Thousands of random lives of one object: two operators at once, which crash and pause anywhere; answers that are lost, late or wrong; listings that
//! lag and fail; backups that fail in the cloud. Each life is told by its seed. Whatever happens within the bound of the documentation, no attempt
//! ever has two backups; and once the faults stop, the object comes to its end.

use super::*;
use crate::{
    api::backup::{AccountRef, BackupSource, DatabaseBackupSpec, DeletionPolicy},
    backup::{
        clock::Moment,
        memory::{Memory, Stage},
        observed::{Object, Permit, Turn},
        outcome::{Circumstances, incomplete},
        settings::Settings,
    },
    cloud::{
        backup::{CreatedBackup, RemoteBackup, RemoteState},
        engine::{Cloud, Engine},
        errors::{Class, Delivery, Error},
        request::{Hints, Operation},
    },
};
use jiff::SignedDuration;

/// A small generator (SplitMix64): the same seed tells the same life.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }
}

struct InCloud {
    mark: String,
    id: String,
    visible_at: u64,
    ends_at: u64,
    fails: bool,
}

/// What an operator has decided and not done yet: anything may come in between.
enum Pending {
    Intent { next: Box<DatabaseBackupStatus>, version: u64, begun: Moment },
    Send { mark: String },
    Look { started: Moment, visible: Vec<RemoteBackup> },
    Report { report: Box<Report>, version: u64 },
}

#[derive(Default)]
struct Operator {
    memory: Memory,
    pending: Option<Pending>,
    paused_until: u64,
    stock: (bool, bool),
}

struct Life {
    dice: Dice,
    now: u64,
    faults_until: u64,
    worst_lag: u64,
    status: DatabaseBackupStatus,
    version: u64,
    spec: DatabaseBackupSpec,
    settings: Settings,
    cloud: Vec<InCloud>,
    /// Calls on their way: when they arrive, and their mark.
    on_the_way: Vec<(u64, String)>,
    operators: [Operator; 2],
}

impl Life {
    fn new(seed: u64, worst_lag: u64) -> Self {
        let source =
            BackupSource { engine: Engine::TaurusDB, instance_id: "i-1".into(), existing_backup_id: None, description: None, dcs: None };
        Self {
            dice: Dice(seed),
            now: 0,
            faults_until: 2_000,
            worst_lag,
            status: DatabaseBackupStatus::default(),
            version: 0,
            spec: DatabaseBackupSpec {
                account_ref: AccountRef::default(),
                source,
                deletion_policy: DeletionPolicy::Retain,
                expire_after_days: None,
                backoff_limit: 2,
                progress_deadline_seconds: 7200,
            },
            settings: Settings::default(),
            cloud: Vec::new(),
            on_the_way: Vec::new(),
            operators: Default::default(),
        }
    }

    fn moment(&self) -> Moment {
        let wall = jiff::Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1_700_000_000 + i64::try_from(self.now).unwrap());
        Moment { wall, mono: Duration::from_secs(self.now) }
    }

    fn faulty(&mut self, chance: u64) -> bool {
        self.now < self.faults_until && self.dice.percent(chance)
    }

    /// Until the object is at its end. Panics with what went wrong.
    fn live(mut self) -> Result<Self, String> {
        for _ in 0..20_000 {
            self.now += self.dice.below(4);
            self.deliver();
            self.never_twice()?;
            let which = usize::try_from(self.dice.below(2)).unwrap();
            if self.operators[which].paused_until > self.now {
                continue;
            }
            if self.faulty(1) {
                // kill -9, and another process in its place.
                self.operators[which] = Operator::default();
            } else if self.faulty(2) {
                self.operators[which].paused_until = self.now + self.dice.below(120);
            } else {
                self.step(which);
            }
            let at_its_end = matches!(self.status.phase, Some(Phase::Completed | Phase::Failed));
            if at_its_end && self.on_the_way.is_empty() && self.now > self.faults_until {
                self.never_twice()?;
                return Ok(self);
            }
        }
        Err(format!("it never ends: {:?}", self.status))
    }

    fn never_twice(&self) -> Result<(), String> {
        for backup in &self.cloud {
            if self.cloud.iter().filter(|other| other.mark == backup.mark).count() > 1 {
                return Err(format!("two backups named {}", backup.mark));
            }
        }
        Ok(())
    }

    fn deliver(&mut self) {
        let now = self.now;
        let (arrived, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut self.on_the_way).into_iter().partition(|(at, _)| *at <= now);
        self.on_the_way = rest;
        for (_, mark) in arrived {
            let (lag, lasts) = (self.dice.below(self.worst_lag.max(1)), 5 + self.dice.below(200));
            let fails = self.faulty(15);
            let id = format!("b-{}", self.cloud.len());
            self.cloud.push(InCloud { mark, id, visible_at: now + lag, ends_at: now + lasts, fails });
        }
    }

    fn step(&mut self, which: usize) {
        match self.operators[which].pending.take() {
            Some(pending) => self.carry_out(which, pending),
            None => self.decide(which),
        }
    }

    fn decide(&mut self, which: usize) {
        let now = self.moment();
        let account = Account::Ready {
            place: Place { cloud: Cloud::HuaweiCloud, region: "r".into(), project_id: "p".into() },
            allowed: true,
            epoch: 1,
        };
        let status = self.status.clone();
        let listed = self.listed();
        let operator = &mut self.operators[which];
        operator.memory.notice(&status, now);
        let in_hand = operator.stock;
        let observed = Observed {
            object: Object {
                namespace: "n",
                name: "o",
                uid: "u",
                generation: Some(1),
                created: jiff::Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1_700_000_000),
                deleting: false,
                has_finalizer: false,
                nudge: 0,
            },
            spec: &self.spec,
            status: &status,
            account: &account,
            turn: if in_hand.0 { &Turn::Mine } else { &Turn::NotAsked },
            permit: if in_hand.1 { Permit::Granted } else { Permit::NotAsked },
            memory: &operator.memory,
            settings: &self.settings,
            now,
            stopping: false,
        };
        let step = plan(&observed);
        let version = self.version;
        operator.pending = match step {
            Step::TakeTurn => {
                operator.stock.0 = true;
                None
            }
            Step::TakePermit => {
                operator.stock.1 = true;
                None
            }
            Step::WriteIntent(next) => {
                operator.stock = (false, false);
                let request_time = next.request_time.as_ref().unwrap().0;
                operator.memory.intend(request_time, now);
                Some(Pending::Intent { next, version, begun: now })
            }
            Step::Send(new) => {
                operator.memory.sending();
                Some(Pending::Send { mark: new.mark })
            }
            Step::Look(_) => {
                operator.memory.looking = true;
                Some(Pending::Look { started: now, visible: listed })
            }
            Step::Report(report) if report.is_news(&status, &self.settings) => {
                if let Some(reason) = report.reason {
                    operator.memory.report(reason, false, now);
                }
                Some(Pending::Report { report, version })
            }
            Step::Report(_) | Step::Rest(_) => {
                // The polls of running backups: complete listings, too.
                if status.backup_id.is_some() { Some(Pending::Look { started: now, visible: listed }) } else { None }
            }
            step => panic!("not in this life: {step:?}"),
        };
    }

    /// What a listing shows now.
    fn listed(&self) -> Vec<RemoteBackup> {
        let shown = self.cloud.iter().filter(|backup| backup.visible_at <= self.now);
        let state = |backup: &InCloud| match (self.now >= backup.ends_at, backup.fails) {
            (false, _) => RemoteState::Running,
            (true, true) => RemoteState::Failed,
            (true, false) => RemoteState::Completed,
        };
        shown
            .map(|backup| RemoteBackup {
                id: backup.id.clone(),
                instance_id: "i-1".into(),
                mark: backup.mark.clone(),
                state: state(backup),
                cloud_status: "WORD".into(),
                start_time: None,
                completion_time: None,
                size: None,
                engine_version: None,
                failure: None,
            })
            .collect()
    }

    fn carry_out(&mut self, which: usize, pending: Pending) {
        let now = self.moment();
        match pending {
            Pending::Intent { next, version, begun } => {
                // The write may be refused for another's, and its answer may be lost though it was stored.
                if version == self.version {
                    self.status = *next;
                    self.version += 1;
                    if !self.faulty(15) {
                        self.operators[which].memory.confirmed();
                    }
                } else {
                    self.operators[which].memory.not_intended();
                }
                debug_assert!(begun.mono <= now.mono);
            }
            Pending::Report { report, version } => {
                if version == self.version {
                    self.status = report.status;
                    self.version += 1;
                }
            }
            Pending::Look { started, visible } => {
                let fails = self.faulty(20);
                let (mark, id) = (self.status.backup_name.clone(), self.status.backup_id.clone());
                let memory = &mut self.operators[which].memory;
                if fails {
                    let circumstances = Circumstances { now, epoch: Some(1), nudge: 0, settings: &self.settings };
                    let trouble = incomplete("shifted", memory.trouble.as_ref(), circumstances);
                    memory.could_not_look(trouble);
                } else {
                    let mine = |backup: &RemoteBackup| Some(&backup.mark) == mark.as_ref() || Some(&backup.id) == id.as_ref();
                    memory.saw(started, visible.into_iter().filter(mine).collect(), false);
                }
            }
            Pending::Send { mark } => self.send(which, &mark, now),
        }
    }

    /// The last check, the socket, and what comes back.
    fn send(&mut self, which: usize, mark: &str, now: Moment) {
        let lifetime = self.settings.intent_lifetime();
        let fresh = self.operators[which].memory.own.as_ref().is_some_and(|own| own.stage == Stage::Sending && own.is_fresh(lifetime, now));
        let fate = if self.now < self.faults_until { self.dice.below(10) } else { 9 };
        let answer = match (fresh, fate) {
            (false, _) => Err(without_answer(Class::Withheld, Delivery::NotSent)),
            (true, 0) => Err(Error::refusal("taurusdb", Operation::Create, 409, Hints::default(), br#"{"error_code":"DBS.201205"}"#)),
            (true, 1) => Err(without_answer(Class::Unavailable, Delivery::Unknown)),
            (true, _) => self.arrive(mark),
        };
        let circumstances = Circumstances { now, epoch: Some(1), nudge: 0, settings: &self.settings };
        self.operators[which].memory.answered(answer, circumstances);
    }
}

impl Life {
    /// The call reaches the cloud, perhaps late; its answer comes back, perhaps.
    fn arrive(&mut self, mark: &str) -> Result<CreatedBackup, Error> {
        let late = if self.faulty(30) { self.dice.below(60) } else { 0 };
        self.on_the_way.push((self.now + late, mark.to_owned()));
        self.deliver();
        let created = self.cloud.iter().rev().find(|backup| backup.mark == mark).map(|backup| backup.id.clone());
        match created {
            Some(backup_id) if !self.faulty(25) => Ok(CreatedBackup { backup_id, job_id: None, start_time: None, cloud_status: None }),
            _ => Err(without_answer(Class::Unavailable, Delivery::Unknown)),
        }
    }
}

fn without_answer(class: Class, delivery: Delivery) -> Error {
    Error::without_answer("taurusdb", Operation::Create, class, delivery, "gone")
}

/// Pause 120 + delivery 60 + lag 60 stay under the settle delay of 300 less 10.
const LAG_WITHIN_THE_BOUND: u64 = 60;

#[test]
fn in_thousands_of_lives_no_attempt_ever_has_two_backups_and_every_object_comes_to_its_end() {
    let (mut completed, mut reattached, mut retried) = (0, 0, 0);
    for seed in 0..1_500 {
        let life = Life::new(seed, LAG_WITHIN_THE_BOUND).live().unwrap_or_else(|wrong| panic!("seed {seed}: {wrong}"));
        let status = &life.status;
        if status.phase == Some(Phase::Completed) {
            completed += 1;
            let id = status.backup_id.as_ref().unwrap();
            let backup = life.cloud.iter().find(|backup| backup.id == *id).unwrap();
            assert!(!backup.fails && backup.ends_at <= life.now, "seed {seed}: the object says what the cloud contradicts");
        } else {
            assert_eq!(status.failed_attempts.len(), 3, "seed {seed}");
        }
        reattached += u32::from(status.origin == Some(crate::api::status::Origin::Reattached));
        retried += u32::from(!status.failed_attempts.is_empty());
        // Everything in the cloud is known to the object: the one that it holds, and its failed attempts.
        assert_eq!(life.cloud.len(), status.failed_attempts.len() + usize::from(status.phase == Some(Phase::Completed)), "seed {seed}");
    }
    assert!(completed > 1_100 && reattached > 75 && retried > 75, "lives worth telling: {completed} {reattached} {retried}");
}

#[test]
fn beyond_the_bound_the_same_lives_do_double_so_they_would_show_it() {
    let doubled = (0..200).filter(|seed| Life::new(*seed, 1_500).live().is_err_and(|wrong| wrong.contains("two backups"))).count();
    assert!(doubled > 0, "listings that lag for longer than the settle delay must lead to doubles in some life");
}
