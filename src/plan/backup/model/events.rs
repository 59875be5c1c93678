//! Everything that can happen next, one thing at a time.

use super::{
    bounds::Bounds,
    operator::Listing,
    stored::Stored,
    world::{Doing, Left, Object, Operator, Spot, World},
};
use crate::{
    api::{
        backup::DeletionPolicy,
        status::{DatabaseBackupStatus, DeleteReason, Phase},
    },
    cloud::backup::RemoteState,
    plan::{
        backup::{
            memory::Memory,
            superseded::{Older, superseded},
        },
        place::Whereabouts,
    },
};
use std::sync::Arc;

/// Something happens. The number says to which operator, call or backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Event {
    Tick,
    /// An operator observes and decides. What it writes about an earlier event it writes at once: a write that comes too late finds the object changed,
    /// and is as good as none. A listing that it starts goes as said.
    Decide(usize, Listing),
    /// A listing that took its time comes to its end.
    Listed(usize),
    /// The poll that running backups share.
    Poll(usize),
    /// An intent is written, and the operator is told so.
    WriteIntent(usize),
    /// An intent is written, and nobody says so.
    WriteIntentUnanswered(usize),
    /// The last check, and the socket.
    Send(usize),
    /// A call arrives: a backup begins, and whoever waits is answered. `lags`: listings show it later.
    Arrive {
        call: usize,
        lags: bool,
    },
    /// A call arrives, and its answer is lost, or says 5xx.
    ArriveUnanswered {
        call: usize,
        lags: bool,
    },
    /// Whoever waits gives up; the call may still arrive.
    GiveUp(usize),
    /// A call is refused as busy.
    Refuse(usize),
    /// A call never arrives, and no answer comes.
    Vanish(usize),
    /// A DELETE call arrives and is answered.
    Delete(usize),
    /// The cloud deletes, and nobody says so.
    DeleteUnanswered(usize),
    /// The cloud does not delete.
    DeleteFails(usize),
    /// A backup is complete, or a deletion ends.
    Finish(usize),
    /// A backup fails.
    Fail(usize),
    Crash(usize),
    /// A person deletes the object.
    DeleteObject,
    /// A person changes the policy.
    FlipPolicy,
    /// The account moves.
    Move(Spot),
    /// What the store holds is saved.
    Save,
    /// The store is put back to what was saved.
    RollBack,
    /// The object is gone, and made anew under another UID: from its manifest, or with its old status.
    Recreate {
        with_status: bool,
    },
    /// The wall clock of an operator jumps by a year: ahead, or back.
    Jump(usize),
    /// A year passes, by all clocks.
    YearPasses,
    /// The backup to adopt appears.
    Appear,
    /// A person changes an annotation.
    Annotate,
    /// Its schedule keeps fewer, and says so in its status.
    Surplus,
    /// A person holds the backup, or lets it go again.
    Hold,
    /// A newer run takes its place.
    Supersede,
}

impl Event {
    /// Whether it takes one of the faults that are left.
    pub fn is_fault(self) -> bool {
        matches!(
            self,
            Self::Decide(_, Listing::Fails | Listing::TakesTime)
                | Self::WriteIntentUnanswered(_)
                | Self::ArriveUnanswered { .. }
                | Self::GiveUp(_)
                | Self::Refuse(_)
                | Self::Vanish(_)
                | Self::DeleteUnanswered(_)
                | Self::DeleteFails(_)
        )
    }
}

impl World {
    /// What can happen now.
    pub fn possible(&self, bounds: &Bounds, events: &mut Vec<Event>) {
        if !bounds.watching && self.is_created() {
            return;
        }
        if self.may_pass(bounds) {
            events.push(Event::Tick);
        }
        for which in 2 - bounds.operators..2 {
            self.possible_to_operator(which, bounds, events);
            if self.left.crashes > 0 && *self.operators[which] != Operator::default() {
                events.push(Event::Crash(which));
            }
        }
        self.possible_in_the_cloud(bounds, events);
        if self.object.is_there && !self.object.deleting && self.left.deletion {
            events.push(Event::DeleteObject);
        }
        if self.object.is_there && self.left.flips > 0 {
            events.push(Event::FlipPolicy);
        }
        self.possible_around(bounds, events);
        if self.left.faults == 0 {
            events.retain(|event| !event.is_fault());
        }
        // Where no listing is ever complete, nobody can know that nothing was made.
        if bounds.never_complete {
            let makes_nothing =
                |event: &Event| matches!(event, Event::Vanish(_) | Event::Refuse(_) | Event::WriteIntentUnanswered(_) | Event::Crash(_));
            events.retain(|event| !makes_nothing(event));
        }
        if bounds.refused {
            events.retain(|event| {
                !matches!(event, Event::Arrive { .. } | Event::ArriveUnanswered { .. } | Event::Vanish(_) | Event::GiveUp(_))
            });
        }
    }

    /// What people do, and what happens to the store and to clocks.
    fn possible_around(&self, bounds: &Bounds, events: &mut Vec<Event>) {
        if self.left.moves > 0 {
            let spots = [Spot::Home, Spot::OtherHost, Spot::OtherProject].into_iter().filter(|spot| *spot != self.spot);
            events.extend(spots.map(Event::Move));
        }
        if self.left.rollbacks > 0 && self.object.is_there {
            // Putting a store back takes longer than a call and its listing.
            let is_quiet = self.calls.is_empty()
                && self.backups.iter().all(|backup| backup.hidden_until <= self.now)
                && self.operators.iter().all(|operator| !matches!(operator.doing, Doing::Send { .. } | Doing::Wait));
            match &self.saved {
                None => events.push(Event::Save),
                Some((object, status)) if is_quiet && (*object, status) != (self.object, &self.status) => events.push(Event::RollBack),
                Some(_) => {}
            }
        }
        if self.left.recreations > 0 && self.object.is_there && !self.object.has_finalizer {
            events.extend([false, true].map(|with_status| Event::Recreate { with_status }));
        }
        if self.left.jumps > 0 {
            events.extend((2 - bounds.operators..2).map(Event::Jump));
        }
        if self.left.years > 0 && self.status.0.phase == Some(Phase::Completed) {
            events.push(Event::YearPasses);
        }
        if bounds.import && !self.has_appeared {
            events.push(Event::Appear);
        }
        if self.left.annotations > 0 {
            events.push(Event::Annotate);
        }
        let status = &self.status.0;
        let is_kept = status.phase == Some(Phase::Completed) && status.delete_reason.is_none() && !self.object.deleting;
        if self.left.surpluses > 0 && self.object.is_there && is_kept {
            events.push(Event::Surplus);
        }
        if self.left.holds > 0 && self.object.is_there {
            events.push(Event::Hold);
        }
        if self.left.superseded && self.object.is_there && self.when_superseded().is_some() {
            events.push(Event::Supersede);
        }
    }

    /// The status with which it makes room for a newer run.
    fn when_superseded(&self) -> Option<DatabaseBackupStatus> {
        let older = Older { status: &self.status.0, generation: Some(1), deleting: self.object.deleting };
        superseded(older, "newer", self.true_now().wall)
    }

    /// Whether time may pass: something depends on it, and nothing has to arrive before.
    fn may_pass(&self, bounds: &Bounds) -> bool {
        let is_urgent = self.calls.iter().any(|call| call.by <= self.now);
        let is_waiting = self.operators.iter().any(|operator| **operator != Operator::default()) || !self.calls.is_empty();
        let is_over = self.is_at_its_end() && self.calls.is_empty();
        self.now < bounds.horizon && is_waiting && !is_urgent && !is_over
    }

    /// What an operator can do, and what can happen to what it does.
    pub fn possible_to_operator(&self, which: usize, bounds: &Bounds, events: &mut Vec<Event>) {
        let operator = &self.operators[which];
        match &operator.doing {
            Doing::Nothing if self.object.is_there => {
                events.extend([Listing::Whole, Listing::Fails, Listing::TakesTime].map(|listing| Event::Decide(which, listing)));
                if operator.listing.is_some() {
                    events.push(Event::Listed(which));
                }
                if self.wants_a_poll(which, &bounds.settings) {
                    events.push(Event::Poll(which));
                }
            }
            Doing::Nothing => {}
            Doing::Intent { .. } => events.extend([Event::WriteIntent(which), Event::WriteIntentUnanswered(which)]),
            Doing::Send { .. } => events.push(Event::Send(which)),
            Doing::Wait => events.extend([Event::GiveUp(which), Event::Refuse(which), Event::Vanish(which)]),
            Doing::Delete { .. } => {
                events.extend([Event::Delete(which), Event::DeleteUnanswered(which), Event::DeleteFails(which)]);
            }
        }
    }

    fn possible_in_the_cloud(&self, bounds: &Bounds, events: &mut Vec<Event>) {
        for (at, call) in self.calls.iter().enumerate() {
            for lags in [false, true].into_iter().filter(|lags| !lags || bounds.lag > 0) {
                events.push(Event::Arrive { call: at, lags });
                if call.caller.is_some() {
                    events.push(Event::ArriveUnanswered { call: at, lags });
                }
            }
        }
        for (at, backup) in self.backups.iter().enumerate().filter(|(_, backup)| backup.hidden_until <= self.now) {
            if bounds.watching && matches!(backup.state, RemoteState::Running | RemoteState::Deleting) {
                events.push(Event::Finish(at));
                if backup.state == RemoteState::Running && self.left.failures > 0 {
                    events.push(Event::Fail(at));
                }
            }
        }
    }

    /// It happens.
    pub fn happen(&mut self, event: Event, bounds: &Bounds) {
        self.left.faults = self.left.faults.saturating_sub(u8::from(event.is_fault()));
        match event {
            Event::Tick => {
                self.now += 1;
                self.sent_now = [0; 2];
            }
            Event::Decide(which, listing) => self.decide(which, listing, bounds),
            Event::Listed(which) => self.listed(which, bounds),
            Event::Poll(which) => self.poll(which, bounds),
            Event::WriteIntent(which) => self.write_intent(which, true, bounds),
            Event::WriteIntentUnanswered(which) => self.write_intent(which, false, bounds),
            Event::Send(which) => self.send(which, bounds),
            Event::Arrive { call, lags } => self.arrive(call, lags, true, bounds),
            Event::ArriveUnanswered { call, lags } => self.arrive(call, lags, false, bounds),
            Event::GiveUp(which) => self.give_up(which, bounds),
            Event::Refuse(which) => self.lose_call(which, true, bounds),
            Event::Vanish(which) => self.lose_call(which, false, bounds),
            Event::Delete(which) => self.delete(which, true, true, bounds),
            Event::DeleteUnanswered(which) => self.delete(which, true, false, bounds),
            Event::DeleteFails(which) => self.delete(which, false, false, bounds),
            Event::Finish(at) => self.backups[at].finish(),
            Event::Fail(at) => {
                self.left.failures -= 1;
                self.backups[at].state = RemoteState::Failed;
            }
            Event::Crash(which) => {
                self.left.crashes -= 1;
                self.crash(which);
            }
            Event::DeleteObject => {
                self.left.deletion = false;
                self.object.deleting = true;
                self.object.is_there = self.object.has_finalizer || self.object.held;
                self.wrote();
            }
            Event::Move(spot) => {
                self.left.moves -= 1;
                self.spot = spot;
            }
            Event::Save => self.saved = Some((self.object, self.status.clone())),
            Event::RollBack => {
                self.left.rollbacks -= 1;
                self.roll_back();
            }
            Event::Recreate { with_status } => {
                self.left.recreations -= 1;
                self.recreate(with_status);
            }
            Event::Jump(which) => {
                self.left.jumps -= 1;
                self.is_ahead[which] = !self.is_ahead[which];
            }
            Event::YearPasses => {
                self.left.years -= 1;
                self.is_year_over = true;
            }
            Event::Appear => self.has_appeared = true,
            Event::Annotate => {
                self.left.annotations -= 1;
                self.annotations += 1;
            }
            Event::Surplus => {
                self.left.surpluses -= 1;
                let next = DatabaseBackupStatus { delete_reason: Some(DeleteReason::Retention), ..self.status.0.clone() };
                self.store(Arc::new(Stored::plain(next)));
            }
            Event::Hold => {
                self.left.holds -= 1;
                self.object.on_hold = !self.object.on_hold;
                self.wrote();
            }
            Event::Supersede => {
                self.left.superseded = false;
                let next = self.when_superseded().unwrap_or_default();
                self.store(Arc::new(Stored::plain(next)));
            }
            Event::FlipPolicy => {
                self.left.flips -= 1;
                self.object.policy = if self.deletes() { DeletionPolicy::Retain } else { DeletionPolicy::Delete };
                self.wrote();
            }
        }
        self.forget_the_past(bounds);
    }

    /// Everybody notices, and forgets what was known, as by a restart.
    fn roll_back(&mut self) {
        let Some((object, status)) = self.saved.take() else { return };
        (self.object, self.status) = (Object { is_born: false, ..object }, status);
        self.put_back = Some(self.now);
        for which in 0..2 {
            self.crash(which);
        }
    }

    fn recreate(&mut self, with_status: bool) {
        let before = self.object;
        self.object = Object { deleting: false, has_finalizer: false, life: before.life + 1, is_born: true, ..before };
        if !with_status {
            self.status = Arc::new(Stored::plain(DatabaseBackupStatus::default()));
        }
        // What is known belongs to a UID; what is on its way goes on.
        for operator in &mut self.operators {
            let operator = Arc::make_mut(operator);
            operator.memory = Memory::default();
            operator.listing = None;
            operator.doing = match std::mem::take(&mut operator.doing) {
                Doing::Wait => Doing::Wait,
                _ => Doing::Nothing,
            };
        }
    }

    /// Nothing goes wrong, everybody does all that there is to do, and a tick passes.
    pub fn calm_round(&mut self, bounds: &Bounds) {
        self.left = Left::default();
        // The account points to where it pointed when the backup was asked for.
        let is_home = |spot: &Spot| spot.place().whereabouts(&self.status.0) == Whereabouts::Here;
        self.spot = [Spot::Home, Spot::OtherHost, Spot::OtherProject].into_iter().find(is_home).unwrap_or(self.spot);
        self.has_appeared = bounds.import;
        for which in 2 - bounds.operators..2 {
            self.calm_turn(which, bounds);
        }
        for backup in self.backups.iter_mut().filter(|backup| matches!(backup.state, RemoteState::Running | RemoteState::Deleting)) {
            backup.finish();
        }
        self.happen(Event::Tick, bounds);
    }

    fn calm_turn(&mut self, which: usize, bounds: &Bounds) {
        for _ in 0..20 {
            let before = self.clone();
            while !self.calls.is_empty() {
                match self.calls[0].caller {
                    Some(caller) if bounds.refused => self.happen(Event::Refuse(caller), bounds),
                    _ => self.happen(Event::Arrive { call: 0, lags: false }, bounds),
                }
            }
            let mut events = Vec::new();
            self.possible_to_operator(which, bounds, &mut events);
            for event in events.into_iter().filter(|event| !event.is_fault()) {
                let faults = self.left.faults;
                self.happen(event, bounds);
                self.left.faults = faults;
            }
            if *self == before {
                return;
            }
        }
    }
}
