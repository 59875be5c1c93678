//! What the controller does around a decision, step by step: observe, decide, carry out.

use super::world::{Bounds, Call, Doing, Found, Operator, Stored, World, id, moment};
use crate::{
    api::status::Phase,
    backup::{
        clock::Moment,
        observed::{Account, Object, Observed, Permit, Place, Turn},
        outcome::{Circumstances, incomplete},
        plan::{Step, carries_intent, plan},
        rule::{Rule, is_kept},
        settings::Settings,
        status::says_the_same,
    },
    cloud::{
        backup::{CreatedBackup, ListScope, RemoteState},
        engine::Cloud,
        errors::{Class, Delivery, Error},
        request::{Hints, Operation},
    },
};
use std::sync::Arc;

/// How a listing goes that a decision starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Listing {
    Whole,
    Fails,
    TakesTime,
}

fn circumstances(now: Moment, settings: &Settings) -> Circumstances<'_> {
    Circumstances { now, epoch: Some(1), nudge: 0, settings }
}

fn no_answer() -> Error {
    Error::without_answer("taurusdb", Operation::Create, Class::Unavailable, Delivery::Unknown, "gone")
}

fn refusal(operation: Operation, code: &str) -> Error {
    Error::refusal("taurusdb", operation, 400, Hints::default(), format!(r#"{{"error_code":"{code}"}}"#).as_bytes())
}

impl World {
    fn operator(&mut self, which: usize) -> &mut Operator {
        Arc::make_mut(&mut self.operators[which])
    }

    /// Observes and decides. `listing`: how the listing goes that this may start; nothing happens where it starts none.
    pub fn decide(&mut self, which: usize, listing: Listing, bounds: &Bounds) {
        let (now, settings, deleting) = (moment(self.now), bounds.settings, self.object.deleting);
        let before = self.clone();
        let status = self.status.clone();
        let memory = &mut self.operator(which).memory;
        memory.notice(&status.0, now);
        memory.notice_removal(deleting, now);
        match self.plan(which, bounds, now, &settings) {
            Step::Look(scope) => self.look(which, &scope, false, listing, &settings),
            Step::TakeStock(scope) => self.look(which, &scope, true, listing, &settings),
            _ if listing != Listing::Whole => *self = before,
            Step::WriteIntent(next) => {
                let next = Arc::new(Stored::plain(*next));
                self.operator(which).doing = Doing::Intent { next, begun: now, stale: false };
            }
            Step::Send(new) => self.operator(which).doing = Doing::Send { mark: new.mark },
            Step::SetFinalizer(present) => self.set_finalizer(present),
            Step::Delete { backup_id } => self.operator(which).doing = Doing::Delete { id: backup_id, decided: now },
            Step::Report(report) => {
                let next = Stored::plain(report.status);
                if !says_the_same(&status.0, &next.0, &settings) {
                    self.store(Arc::new(next));
                }
            }
            Step::Rest(_) => {}
            Step::TakeTurn | Step::TakePermit => unreachable!("both are in hand"),
        }
    }

    fn plan(&self, which: usize, bounds: &Bounds, now: Moment, settings: &Settings) -> Step {
        let place = Place { cloud: Cloud::HuaweiCloud, region: "r".into(), project_id: "p".into() };
        plan(&Observed {
            object: Object {
                namespace: "n",
                name: "o",
                uid: "u",
                generation: Some(1),
                created: moment(0).wall,
                deleting: self.object.deleting,
                has_finalizer: self.object.has_finalizer,
                nudge: 0,
            },
            spec: &bounds.spec(self.object.policy),
            status: &self.status.0,
            account: &Account::Ready { place, allowed: true, epoch: 1 },
            turn: &Turn::Mine,
            permit: Permit::Granted,
            memory: &self.operators[which].memory,
            settings,
            now,
            stopping: false,
        })
    }

    fn look(&mut self, which: usize, scope: &ListScope, stock: bool, listing: Listing, settings: &Settings) {
        let now = moment(self.now);
        let found = self.list(scope, stock);
        let operator = self.operator(which);
        operator.memory.looking = true;
        operator.listing = Some(Found { started: now, found, stock, by_id: matches!(scope, ListScope::Backup { .. }) });
        match listing {
            Listing::Whole => self.listed(which),
            Listing::TakesTime => {}
            Listing::Fails => {
                operator.listing = None;
                let trouble = incomplete("shifted", operator.memory.trouble.as_ref(), circumstances(now, settings));
                operator.memory.could_not_look(trouble);
            }
        }
    }

    /// A listing comes to its end.
    pub fn listed(&mut self, which: usize) {
        let operator = self.operator(which);
        let Some(Found { started, found, stock, by_id }) = operator.listing.take() else { return };
        if stock {
            operator.memory.took_stock(started, found, by_id);
        } else {
            operator.memory.saw(started, found, by_id);
        }
    }

    /// The poll that running backups share.
    pub fn poll(&mut self, which: usize) {
        let (started, found) = (moment(self.now), self.list(&ListScope::Project { window: None }, false));
        self.operator(which).memory.polled(started, found);
    }

    /// Whether a poll is due: for a running backup that was not seen for an interval.
    pub fn wants_a_poll(&self, which: usize, settings: &Settings) -> bool {
        let is_running = self.status.0.phase == Some(Phase::Running) && self.status.0.backup_id.is_some() && !self.object.deleting;
        let seen = self.operators[which].memory.sighting.as_ref().map(|sighting| sighting.started);
        is_running && seen.is_none_or(|seen| moment(self.now).since(seen) >= settings.poll_interval)
    }

    /// Writes an intent, by compare-and-swap. Who is told that it is stored decides at once, on what was stored; who is not told tries again later.
    pub fn write_intent(&mut self, which: usize, told: bool, bounds: &Bounds) {
        let Doing::Intent { next, begun, stale } = std::mem::take(&mut self.operator(which).doing) else { return };
        if stale {
            return;
        }
        self.store(next.clone());
        if told
            && carries_intent(Some(&self.status.0), &next.0)
            && let Some(request_time) = &next.0.request_time
        {
            self.operator(which).memory.intend(request_time.0, begun);
            self.decide(which, Listing::Whole, bounds);
        }
    }

    fn set_finalizer(&mut self, present: bool) {
        self.object.has_finalizer = present;
        if self.object.deleting && !present {
            self.object.is_there = false;
            let is_left = self.backups.iter().any(|backup| backup.state != RemoteState::Gone) || !self.calls.is_empty();
            self.left_behind |= self.deletes() && is_left;
        }
        self.wrote();
    }

    /// The last check, and the socket.
    pub fn send(&mut self, which: usize, bounds: &Bounds) {
        let (now, settings, by) = (moment(self.now), bounds.settings, self.now + bounds.delivery);
        let operator = self.operator(which);
        let Doing::Send { mark } = std::mem::take(&mut operator.doing) else { return };
        operator.memory.sending();
        let is_fresh = match &operator.memory.own {
            Some(own) => own.is_fresh(settings.intent_lifetime(), now),
            None => !is_kept(Rule::IntentFirst),
        };
        if is_fresh {
            operator.doing = Doing::Wait;
            self.calls.push(Call { mark, by, caller: Some(which) });
        } else {
            let withheld = Error::without_answer("taurusdb", Operation::Create, Class::Withheld, Delivery::NotSent, "late");
            operator.memory.answered(Err(withheld), circumstances(now, &settings));
        }
    }

    /// Tells whoever waits what came of its call.
    pub fn answer(&mut self, which: usize, answer: Result<CreatedBackup, Error>, bounds: &Bounds) {
        let (now, settings) = (moment(self.now), bounds.settings);
        let operator = self.operator(which);
        operator.memory.answered(answer, circumstances(now, &settings));
        operator.doing = Doing::Nothing;
    }

    /// A call arrives: a backup begins.
    pub fn arrive(&mut self, call: usize, lags: bool, answered: bool, bounds: &Bounds) {
        let Call { mark, caller, .. } = self.calls.remove(call);
        let backup_id = id(self.backups.len());
        self.begin(mark, if lags { self.now + bounds.lag } else { self.now });
        if let Some(which) = caller {
            let created = CreatedBackup { backup_id, job_id: None, start_time: None, cloud_status: None };
            self.answer(which, if answered { Ok(created) } else { Err(no_answer()) }, bounds);
        }
    }

    /// Whoever waits gives up.
    pub fn give_up(&mut self, which: usize, bounds: &Bounds) {
        self.hang_up(which);
        self.answer(which, Err(no_answer()), bounds);
    }

    /// A call makes nothing.
    pub fn lose_call(&mut self, which: usize, refused: bool, bounds: &Bounds) {
        self.calls.retain(|call| call.caller != Some(which));
        self.answer(which, Err(if refused { refusal(Operation::Create, "DBS.201205") } else { no_answer() }), bounds);
    }

    fn hang_up(&mut self, which: usize) {
        for call in self.calls.iter_mut().filter(|call| call.caller == Some(which)) {
            call.caller = None;
        }
    }

    /// A DELETE call.
    pub fn delete(&mut self, which: usize, is_done: bool, is_answered: bool, bounds: &Bounds) {
        let (now, settings) = (moment(self.now), bounds.settings);
        let Doing::Delete { id, decided } = std::mem::take(&mut self.operator(which).doing) else { return };
        let is_fresh = now.since(decided) <= settings.intent_lifetime();
        let was_there = is_fresh && is_done && self.remove(&id);
        let answer = match (is_answered, was_there) {
            _ if !is_fresh => Err(Error::without_answer("taurusdb", Operation::Delete, Class::Withheld, Delivery::NotSent, "late")),
            (true, true) => Ok(()),
            (true, false) => Err(refusal(Operation::Delete, "DBS.201203")),
            (false, _) => Err(no_answer()),
        };
        self.operator(which).memory.deleted(&id, answer, circumstances(now, &settings));
    }

    /// An operator dies, and another process starts in its place. Its call goes on.
    pub fn crash(&mut self, which: usize) {
        self.hang_up(which);
        self.operators[which] = Arc::default();
    }
}
