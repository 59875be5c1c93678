//! What the controller does around a decision, step by step: observe, decide, carry out.

use super::{
    bounds::Bounds,
    stored::Stored,
    world::{self, Backup, Call, Doing, Found, Operator, World, id, moment},
};
use crate::{
    api::status::{DatabaseBackupStatus, Phase},
    cloud::{
        backup::{CreatedBackup, ListScope, RemoteState},
        engine::Engine,
        errors::{Error, NotSent},
        listing::Gap,
        request::{Hints, Operation, Request},
        session::ListError,
    },
    plan::{
        backup::{
            decide::decide,
            description::ClusterName,
            listing_result::{Covers, ListingResult, LookFor},
            retry::AttemptContext,
            rule::{Rule, is_kept},
            seen::{Account, Object, Permit, Position, Restored, Seen},
            status::says_the_same,
            step::{Report, Step, carries_intent},
        },
        clock::Moment,
        place::Whereabouts,
        settings::Settings,
    },
};
use http::Method;
use std::sync::Arc;

/// How a listing goes that a decision starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Listing {
    Whole,
    Fails,
    TakesTime,
}

fn attempt_context(now: Moment, settings: &Settings) -> AttemptContext<'_> {
    AttemptContext { now, credentials_generation: Some(1), settings }
}

fn no_answer() -> Error {
    Error::no_answer(Engine::TaurusDB.api(), Operation::Create, "gone")
}

fn refusal(operation: Operation, code: &str) -> Error {
    let request = Request::new(Engine::TaurusDB.api(), operation, Method::POST, String::new());
    Error::refused(&request, 400, Hints::default(), format!(r#"{{"error_code":"{code}"}}"#).as_bytes())
}

impl World {
    fn operator(&mut self, which: usize) -> &mut Operator {
        Arc::make_mut(&mut self.operators[which])
    }

    /// Observes and decides. `listing`: how the listing goes that this may start; nothing happens where it starts none.
    pub fn decide(&mut self, which: usize, listing: Listing, bounds: &Bounds) {
        let (now, settings) = (self.moment(which), bounds.settings);
        let before = self.clone();
        let status = self.status.clone();
        match self.decision(which, &status.0, bounds) {
            Step::Look(scope) => self.look(which, &scope, LookFor::Backup, listing, bounds),
            Step::TakeInventory(scope) => self.look(which, &scope, LookFor::Inventory, listing, bounds),
            _ if listing != Listing::Whole => *self = before,
            Step::WriteIntent(next) => {
                let next = Arc::new(Stored::plain(*next));
                self.operator(which).doing = Doing::Intent { next, begun: now, stale: false };
            }
            Step::Send(new) => self.operator(which).doing = Doing::Send { mark: new.mark },
            Step::SetFinalizer(present) => self.set_finalizer(present, false),
            Step::Release => self.set_finalizer(false, true),
            Step::DeleteObject => self.delete_object(which),
            Step::Delete { backup_id } => {
                self.wrongs.deleted_held |= self.is_held();
                self.wrongs.deleted_early |= self.is_ahead[which] && !self.object.deleting;
                self.operator(which).doing = Doing::Delete { id: backup_id, decided: now };
            }
            Step::Report(report) => self.report(which, &report, &settings, bounds),
            Step::RequeueAfter(_) => {}
            Step::JoinQueue | Step::TakePermit => unreachable!("both are in hand"),
        }
    }

    fn report(&mut self, which: usize, report: &Report, settings: &Settings, bounds: &Bounds) {
        let now = self.moment(which);
        // Only an import's pause grows with what was reported.
        if let Some(reason) = report.reason.filter(|_| bounds.import) {
            self.operator(which).memory.report(reason, false, now);
        }
        let next = Stored::plain(report.status.clone());
        if says_the_same(&self.status.0, &next.0, settings) {
            return;
        }
        self.wrongs.repeated |= bounds.operators == 2 && self.takes_turns(which, &report.status, bounds);
        self.operator(which).memory.wrote = Some(now);
        self.store(Arc::new(next));
    }

    /// Whether the other operator would write what this one has just written in other words, and this one would then write it again.
    fn takes_turns(&self, which: usize, written: &DatabaseBackupStatus, bounds: &Bounds) -> bool {
        let mut world = self.clone();
        for operator in &mut world.operators {
            Arc::make_mut(operator).memory.wrote = None;
        }
        let reason = |status: &DatabaseBackupStatus| status.conditions.first().map(|ready| ready.reason.clone());
        let mut says = |which: usize, status: &DatabaseBackupStatus| match world.decision(which, status, bounds) {
            Step::Report(report) if report.is_news(status, &bounds.settings) => Some(report.status),
            _ => None,
        };
        // What is told of a search hangs on the status alone; elsewhere one of them may have seen more.
        let is_search = reason(written).as_deref() == Some("OutcomeUnknown");
        let Some(others) = says(1 - which, written).filter(|others| is_search && reason(others) == reason(written)) else { return false };
        says(which, &others).is_some_and(|again| reason(&again) == reason(written) && again.backup_id == written.backup_id)
    }

    /// What an operator decides for this status.
    fn decision(&mut self, which: usize, status: &DatabaseBackupStatus, bounds: &Bounds) -> Step {
        let (now, place) = (self.moment(which), self.spot.place());
        let account = Account::Ready { place, allowed: true, credentials_generation: 1, cloud_now: Some(self.true_now().wall) };
        let (spec, uid) = (bounds.spec(self.object.policy), self.uid());
        let seen = Seen {
            object: Object {
                cluster: &ClusterName::default(),
                namespace: "n",
                name: "o",
                uid,
                generation: Some(1),
                created: moment(0).wall,
                born: self.object.is_born.then(|| moment(0)),
                deleting: self.object.deleting,
                has_finalizer: self.object.has_finalizer,
                annotations: self.annotations,
                restored: Restored::No,
                held: self.object.on_hold,
                adopted: false,
            },
            spec: &spec,
            status,
            account: &account,
            position: &Position::First,
            permit: Permit::Granted,
            put_back: self.put_back.map(moment),
            settings: &bounds.settings,
            now,
            stopping: false,
        };
        decide(&seen, &mut self.operator(which).memory)
    }

    fn look(&mut self, which: usize, scope: &ListScope, look_for: LookFor, listing: Listing, bounds: &Bounds) {
        let now = self.moment(which);
        let found = self.list(scope, look_for, bounds);
        let covers = match (listing, scope) {
            (Listing::Fails, _) => Covers::Nothing,
            (_, ListScope::Backup { .. }) => Covers::TheBackup,
            _ if bounds.never_complete => Covers::Nothing,
            _ => Covers::Everything,
        };
        let found = if listing == Listing::Fails { Vec::new() } else { found };
        let result = ListingResult { place: self.spot.place().into(), started: now, covers, found };
        let operator = self.operator(which);
        operator.memory.begin_look(Some(1), now);
        operator.listing = Some(Found { result, look_for });
        if listing == Listing::TakesTime {
            return;
        }
        self.listed(which, bounds);
        if listing == Listing::Whole {
            // Neither time nor what the cloud holds has moved since: nothing else could come of looking again.
            let status = self.status.clone();
            let next = self.clone().decision(which, &status.0, bounds);
            self.wrongs.repeated |= matches!(next, Step::Look(_) | Step::TakeInventory(_));
        }
    }

    /// A listing comes to its end.
    pub fn listed(&mut self, which: usize, bounds: &Bounds) {
        let (now, status, settings) = (self.moment(which), self.status.clone(), bounds.settings);
        let operator = self.operator(which);
        let Some(Found { result, look_for }) = operator.listing.take() else { return };
        let (place, started, covers) = (result.place.clone(), result.started, result.covers);
        operator.memory.looked(look_for, &status.0, result);
        if covers == Covers::Nothing {
            let error = ListError::Incomplete(Gap::Shifted);
            operator.memory.could_not_look(&status.0, &place, started, &error, attempt_context(now, &settings));
        }
    }

    /// The poll that running backups share.
    pub fn poll(&mut self, which: usize, bounds: &Bounds) {
        let (status, started) = (self.status.clone(), self.moment(which));
        let found = self.list(&ListScope::Project { window: None, automatic: false }, LookFor::Backup, bounds);
        let covers = if bounds.never_complete { Covers::Nothing } else { Covers::Everything };
        let result = ListingResult { place: self.spot.place().into(), started, covers, found };
        self.operator(which).memory.polled(&status.0, result);
    }

    /// Whether a poll is due: for a running backup that was not seen for an interval.
    pub fn wants_a_poll(&self, which: usize, settings: &Settings) -> bool {
        let status = &self.status.0;
        let is_followed = !self.object.deleting || is_kept(Rule::DeletedIsNotGone);
        let is_running = status.phase == Some(Phase::Running) && status.backup_id.is_some() && is_followed;
        // Nothing is polled in another project.
        let is_here = self.spot.place().whereabouts(status) != Whereabouts::Elsewhere || !is_kept(Rule::ResultHasAPlace);
        let seen = self.operators[which].memory.latest_result.as_ref().map(|latest| latest.started);
        is_running && is_here && seen.is_none_or(|seen| self.moment(which).since(seen) >= settings.poll_interval)
    }

    /// Writes an intent, by compare-and-swap. Who is told that it is stored decides at once, on what was stored; who is not told tries again later.
    pub fn write_intent(&mut self, which: usize, answered: bool, bounds: &Bounds) {
        let Doing::Intent { next, begun, stale } = std::mem::take(&mut self.operator(which).doing) else { return };
        if stale {
            return;
        }
        self.store(next.clone());
        if answered
            && carries_intent(Some(&self.status.0), &next.0)
            && let Some(request_time) = &next.0.request_time
        {
            self.operator(which).memory.intend(request_time.0, begun);
            self.decide(which, Listing::Whole, bounds);
        }
    }

    /// `released`: since the cloud holds nothing of the object any more.
    fn set_finalizer(&mut self, present: bool, released: bool) {
        self.object.has_finalizer = present;
        if self.object.deleting && !present {
            self.object.is_there = self.object.held;
            let status = self.status.clone();
            let is_its = |(at, backup): (usize, &Backup)| self.is_own(&backup.mark) || status.0.backup_id == Some(id(at));
            let is_left = self.backups.iter().enumerate().any(|(at, backup)| backup.state != RemoteState::Gone && is_its((at, backup)));
            self.wrongs.left_behind |= (self.deletes() || released) && (is_left || self.calls.iter().any(|call| self.is_own(&call.mark)));
        }
        self.wrote();
    }

    /// Retention takes the object after its backup.
    fn delete_object(&mut self, which: usize) {
        self.wrongs.deleted_held |= self.is_held() && self.backups.iter().any(|backup| backup.state != RemoteState::Gone);
        self.wrongs.deleted_early |= self.is_ahead[which];
        self.wrongs.left_behind |= self.backups.iter().any(|backup| self.is_own(&backup.mark) && backup.state != RemoteState::Gone);
        self.object.deleting = true;
        self.object.is_there = self.object.has_finalizer || self.object.held;
        self.wrote();
    }

    /// Whether somebody holds the backup, and nobody deletes its object.
    fn is_held(&self) -> bool {
        self.object.on_hold && !self.object.deleting
    }

    /// The last check, and the socket.
    pub fn send(&mut self, which: usize, bounds: &Bounds) {
        let (now, settings, by) = (self.moment(which), bounds.settings, self.now + bounds.delivery);
        let operator = self.operator(which);
        let Doing::Send { mark } = std::mem::take(&mut operator.doing) else { return };
        operator.memory.sending();
        let is_fresh = match &operator.memory.own {
            Some(own) => own.is_fresh(settings.intent_lifetime(), now),
            None => !is_kept(Rule::IntentFirst),
        };
        if is_fresh {
            operator.doing = Doing::Wait;
            self.sent_now[which] += u8::from(bounds.annotations > 0);
            self.calls.push(Call { mark, by, caller: Some(which) });
        } else {
            let cancelled = Error::not_sent(Engine::TaurusDB.api(), Operation::Create, NotSent::Cancelled, "late");
            operator.memory.answered(Err(cancelled), attempt_context(now, &settings));
        }
    }

    /// Tells whoever waits what came of its call.
    pub fn answer(&mut self, which: usize, answer: Result<CreatedBackup, Error>, bounds: &Bounds) {
        let (now, settings) = (self.moment(which), bounds.settings);
        let operator = self.operator(which);
        operator.memory.answered(answer, attempt_context(now, &settings));
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
        let code = if bounds.refused { "DBS.NOBODY.KNOWS" } else { "DBS.201205" };
        self.answer(which, Err(if refused { refusal(Operation::Create, code) } else { no_answer() }), bounds);
    }

    fn hang_up(&mut self, which: usize) {
        for call in self.calls.iter_mut().filter(|call| call.caller == Some(which)) {
            call.caller = None;
        }
    }

    /// A DELETE call.
    pub fn delete(&mut self, which: usize, is_done: bool, is_answered: bool, bounds: &Bounds) {
        let (now, settings) = (self.moment(which), bounds.settings);
        let Doing::Delete { id, decided } = std::mem::take(&mut self.operator(which).doing) else { return };
        // As the last check before the socket.
        let is_fresh = now.since(decided) <= settings.intent_lifetime() && !self.is_held();
        let is_calm = bounds.operators == 1 && bounds.faults == 0 && bounds.crashes == 0;
        let mut own = self.backups.iter().enumerate();
        let is_going = own.any(|(at, backup)| world::id(at) == id && backup.state == RemoteState::Deleting);
        self.wrongs.deleted_again |= is_fresh && is_calm && is_going;
        let was_there = is_fresh && is_done && self.remove(&id);
        let answer = match (is_answered, was_there) {
            _ if !is_fresh => Err(Error::not_sent(Engine::TaurusDB.api(), Operation::Delete, NotSent::Cancelled, "late")),
            (true, true) => Ok(()),
            (true, false) => Err(refusal(Operation::Delete, "DBS.201203")),
            (false, _) => Err(no_answer()),
        };
        self.operator(which).memory.deleted(&id, answer, attempt_context(now, &settings));
    }

    /// An operator dies, and another process starts in its place. Its call goes on.
    pub fn crash(&mut self, which: usize) {
        self.hang_up(which);
        self.operators[which] = Arc::default();
    }
}
