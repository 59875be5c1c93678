//! One reconcile of a `DatabaseBackup`: observe → decide → act, step by step, until there is a status to write or nothing to do.

mod delete;

use super::listings;
use crate::{
    api::{
        FINALIZER,
        backup::DatabaseBackup,
        conditions::{is_true, types},
        status::{CreateOutcome, DatabaseBackupStatus, Phase},
    },
    cloud::{
        backup::{ListScope, NewBackup},
        permits::{Asked, CallPermit, Purpose},
    },
    controller::{
        accounts::namespaces::{Allowance, allowance},
        context::Context,
        object::{annotations_hash, created, is_held, restored},
        runtime::{
            slots::Slot,
            write::{self, Written},
        },
        store::accounts::Use,
    },
    plan::{
        account::AccountKey,
        backup::{
            decide::decide,
            events::notices,
            listing_result::LookFor,
            memory::{Memory, Stage},
            reason::Reason,
            retry::AttemptContext,
            seen::{Account, Object, Permit, Position, Seen},
            step::{Report, Step, carries_intent},
        },
        clock::Moment,
        notice::Notice,
    },
};
use kube::ResourceExt;
use std::{sync::Arc, time::Duration};

/// Before a reconcile that did not come to an end is tried again; doubled with each further one, up to 16 s, so that an API server in trouble is
/// not kept there.
pub(in crate::controller) const PAUSE: Duration = Duration::from_secs(1);

/// Steps of one reconcile: the longest path takes ten; more means that somebody else keeps changing the object.
const MAX_STEPS: usize = 24;
/// Why a reconcile did not come to an end. It is tried again; what the cloud has to say is no error here, but a status.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The Kubernetes API refused or failed.
    #[error("the Kubernetes API: {0}")]
    Kubernetes(#[from] Box<kube::Error>),
    /// The stored object lacks the intent that was written.
    #[error(
        "the stored status lacks what was written, so nothing was sent to the cloud: the CustomResourceDefinition is older than this operator"
    )]
    IntentDropped,
    /// The object kept changing.
    #[error("the object kept changing while it was reconciled")]
    TooManySteps,
}

impl From<kube::Error> for Error {
    fn from(error: kube::Error) -> Self {
        Self::Kubernetes(Box::new(error))
    }
}

/// One reconcile, and what it has in hand.
pub(super) struct Reconcile<'a> {
    ctx: &'a Arc<Context>,
    uid: &'a str,
    position: Position,
    permit: Permit,
    /// The permit that is granted.
    call_permit: Option<CallPermit>,
    slot: Slot,
    /// Whether the account allows the namespace, once that was looked up.
    allowed: Option<bool>,
    /// The namespace's labels may not be read. Nothing tells when they may, so it is tried again from time to time.
    is_unreadable: bool,
}

/// What an object is after a write.
enum Now {
    /// It was stored, and this is it.
    Stored(Arc<DatabaseBackup>),
    /// It was not stored: this is what somebody else made of the object.
    Changed(Arc<DatabaseBackup>),
    /// It is gone.
    Gone,
}

/// What a step led to.
enum Next {
    /// Plan again, on this version of the object.
    Again(Arc<DatabaseBackup>),
    /// Done, until so long has passed or something happens.
    RequeueAfter(Option<Duration>),
}

impl<'a> Reconcile<'a> {
    /// A reconcile of the object with this UID.
    pub(super) fn new(ctx: &'a Arc<Context>, uid: &'a str, slot: Slot) -> Self {
        Self {
            ctx,
            uid,
            position: Position::NotAsked,
            permit: Permit::NotAsked,
            call_permit: None,
            slot,
            allowed: None,
            is_unreadable: false,
        }
    }

    /// Takes step after step, until there is a status to write or nothing to do.
    pub(super) async fn run(mut self, mut object: Arc<DatabaseBackup>) -> Result<Option<Duration>, Error> {
        for _ in 0..MAX_STEPS {
            match self.step(&object).await? {
                Next::Again(newer) => object = newer,
                Next::RequeueAfter(requeue_after) => {
                    self.give_way(&object);
                    let again = self.is_unreadable.then(|| self.ctx.options.settings.secret_reread(true));
                    return Ok([requeue_after, again].into_iter().flatten().min());
                }
            }
        }
        Err(Error::TooManySteps)
    }

    /// Whoever queued for a permit and ends without asking for it wants none now: it has to be looked for first, for example, or has lapsed. What is granted to
    /// it meanwhile would keep others waiting until it is given back.
    fn give_way(&self, object: &DatabaseBackup) {
        let has_queued = self.ctx.backups.memory(self.uid, |memory, _| self.permit == Permit::NotAsked && memory.queued.take().is_some());
        if has_queued == Some(true) {
            self.ctx.accounts.withdraw(object);
        }
    }

    async fn step(&mut self, object: &Arc<DatabaseBackup>) -> Result<Next, Error> {
        let ctx = self.ctx;
        // Whoever slept through its lease remembers what is no longer so, and another acts. It ends soon, unless it holds the lease again.
        if !ctx.leadership.is_held(ctx.now()) {
            return Ok(Next::RequeueAfter(Some(PAUSE)));
        }
        let mut account = ctx.accounts.for_backup(object, ctx.now());
        self.allow(object, &mut account).await?;
        let now = ctx.now();
        match self.decide(object, &account.account, now) {
            Some(step) => self.carry_out(step, object, &account, now).await,
            None => Ok(Next::RequeueAfter(None)),
        }
    }

    /// Observes and decides; `None` once the object is gone.
    fn decide(&self, object: &DatabaseBackup, account: &Account, now: Moment) -> Option<Step> {
        let ctx = self.ctx;
        let (namespace, name, unseen) = (object.namespace().unwrap_or_default(), object.name_any(), DatabaseBackupStatus::default());
        let status = object.status.as_ref().unwrap_or(&unseen);
        let seen = Seen {
            object: Object {
                cluster: &ctx.options.cluster_name,
                namespace: &namespace,
                name: &name,
                uid: self.uid,
                generation: object.metadata.generation,
                created: created(object),
                born: ctx.backups.born(self.uid),
                deleting: object.metadata.deletion_timestamp.is_some(),
                has_finalizer: object.finalizers().iter().any(|name| name == FINALIZER),
                annotations: annotations_hash(object),
                restored: restored(object),
                held: is_held(object),
                adopted: status.backup_id.as_ref().is_some_and(|id| ctx.backups.is_adopted(id, self.uid)),
            },
            spec: &object.spec,
            status,
            account,
            position: &self.position,
            permit: self.permit,
            put_back: ctx.backups.was_put_back(),
            settings: &ctx.options.settings,
            now,
            stopping: !ctx.may_act(),
        };
        ctx.backups.memory(self.uid, |memory, _| decide(&seen, memory))
    }

    async fn carry_out(&mut self, step: Step, object: &Arc<DatabaseBackup>, account: &Use, decided: Moment) -> Result<Next, Error> {
        match step {
            Step::JoinQueue => self.join_queue(account, decided),
            Step::TakePermit => self.take_permit(object, account),
            Step::WriteIntent(next) => return self.write_intent(object, *next, decided).await,
            Step::Send(new) => {
                self.take_permit(object, account);
                match self.call_permit.take() {
                    Some(permit) => self.send(object, account, &new, permit).await,
                    None => return Ok(self.until_granted()),
                }
            }
            Step::Look(scope) => self.look(object, account, scope, LookFor::Backup),
            Step::TakeInventory(scope) => self.look(object, account, scope, LookFor::Inventory),
            Step::SetFinalizer(present) => return self.set_finalizer(object, present).await,
            Step::Release => return self.release(object).await,
            Step::DeleteObject => return self.delete_object(object).await,
            Step::Delete { backup_id } => {
                self.take_permit(object, account);
                match self.call_permit.take() {
                    Some(permit) => self.delete(object, account, &backup_id, permit, decided).await,
                    None => return Ok(self.until_granted()),
                }
            }
            Step::Report(report) => return self.report(object, *report, decided).await,
            Step::RequeueAfter(requeue_after) => return Ok(Next::RequeueAfter(requeue_after)),
        }
        Ok(Next::Again(object.clone()))
    }

    /// Finds out whether the namespace may use its account; only a cluster account with a selector has to be looked after, and once is enough.
    async fn allow(&mut self, object: &DatabaseBackup, account: &mut Use) -> Result<(), kube::Error> {
        let (Some(rule), Account::Ready { allowed, .. }) = (&account.allowed, &mut account.account) else { return Ok(()) };
        if let Some(known) = self.allowed {
            *allowed = known;
            return Ok(());
        }
        let namespace = object.namespace().unwrap_or_default();
        let found = allowance(&self.ctx.runtime.client, &AccountKey::of(object), rule, &namespace).await?;
        *allowed = matches!(found, Allowance::Allowed);
        match found {
            Allowance::Allowed | Allowance::Denied => self.allowed = Some(*allowed),
            Allowance::Unreadable(message) => {
                account.account = Account::Blocked { reason: Reason::AccountNotReady, message };
                self.is_unreadable = true;
            }
        }
        Ok(())
    }

    fn join_queue(&mut self, account: &Use, now: Moment) {
        if let Account::Ready { place, .. } = &account.account {
            self.position = self.ctx.backups.join_queue(self.uid, &place.project, |key| self.ctx.accounts.project(key), now);
        }
    }

    /// Takes a permit for one call if there is one now; else the object is queued for one, and woken when it is granted. One that is in hand for a call that
    /// was not made is as good.
    fn take_permit(&mut self, object: &DatabaseBackup, account: &Use) {
        if self.call_permit.is_some() {
            self.permit = Permit::Granted;
            return;
        }
        let namespace = object.namespace().unwrap_or_default();
        let purpose = Purpose { namespace: &namespace, api: object.spec.source.engine.api() };
        (self.permit, self.call_permit) = match account.permits.as_ref().map(|permits| permits.try_urgent(self.uid, purpose)) {
            Some(Asked::Granted(permit)) => (Permit::Granted, Some(permit)),
            Some(Asked::Paused) => (Permit::Paused, None),
            Some(Asked::Crowded) => (Permit::Crowded, None),
            Some(Asked::Queued) | None => (Permit::Queued, None),
        };
    }

    /// Woken when a permit is granted; and after a while, should that be missed.
    fn until_granted(&self) -> Next {
        Next::RequeueAfter(Some(self.ctx.options.settings.poll_interval))
    }

    /// Only an intent whose write was answered with exactly that is this process's own, and may be sent.
    async fn write_intent(&mut self, object: &Arc<DatabaseBackup>, next: DatabaseBackupStatus, begun: Moment) -> Result<Next, Error> {
        // A permit is good for one call, for which it is held until that has ended.
        self.permit = Permit::NotAsked;
        match self.write_status(object, next.clone()).await? {
            Now::Stored(stored) if carries_intent(stored.status.as_ref(), &next) => {
                if let Some(request_time) = &next.request_time {
                    self.ctx.backups.memory(self.uid, |memory, _| memory.intend(request_time.0, begun));
                }
                Ok(Next::Again(stored))
            }
            Now::Stored(_) => {
                self.ctx.definitions.suspect();
                Err(Error::IntentDropped)
            }
            Now::Changed(newer) => Ok(Next::Again(newer)),
            Now::Gone => Ok(Next::RequeueAfter(None)),
        }
    }

    async fn write_status(&self, object: &DatabaseBackup, status: DatabaseBackupStatus) -> Result<Now, kube::Error> {
        let next = DatabaseBackup { status: Some(status), ..object.clone() };
        let written = write::status(&self.ctx.runtime, &next).await?;
        self.after(object, written).await
    }

    /// What the object is after a write. Where somebody else wrote in between, it is read; a version that is older than what was known before the question
    /// says that the API server's storage was put back.
    async fn after(&self, object: &DatabaseBackup, written: Written<DatabaseBackup>) -> Result<Now, kube::Error> {
        let ctx = self.ctx;
        match written {
            Written::Stored(stored) => return Ok(Now::Stored(ctx.newest_backup(Arc::new(stored)))),
            Written::Gone => return Ok(Now::Gone),
            Written::Conflict => {}
        }
        let Some(found) = write::newest(&ctx.runtime, object).await? else { return Ok(Now::Gone) };
        ctx.notice_version(&found, object);
        Ok(Now::Changed(ctx.newest_backup(Arc::new(found))))
    }

    async fn send(&mut self, object: &DatabaseBackup, account: &Use, new: &NewBackup, permit: CallPermit) {
        let ctx = self.ctx;
        let own = ctx.backups.memory(self.uid, |memory, _| {
            memory.sending();
            memory.own.clone()
        });
        let (Some(session), Some(Some(own))) = (&account.session, own) else { return };
        let lifetime = ctx.options.settings.intent_lifetime();
        let check = || own.is_fresh(lifetime, ctx.now()) && ctx.may_act();
        let answer = self.slot.outside(session.create(object.spec.source.engine, new, permit, ctx.now().wall, check)).await;
        match &answer {
            Ok(created) => tracing::info!(backup_id = created.backup_id, backup_name = new.mark, "the cloud took on the backup"),
            Err(error) => tracing::warn!(%error, backup_name = new.mark, "the create call was not accepted"),
        }
        if session.refused() {
            ctx.accounts.recheck(&AccountKey::of(object));
        }
        let attempt_context = self.attempt_context(&account.account);
        ctx.backups.memory(self.uid, |memory, _| memory.answered(answer, attempt_context));
    }

    /// Starts a listing in the background.
    fn look(&self, object: &Arc<DatabaseBackup>, account: &Use, scope: ListScope, look_for: LookFor) {
        if let (Some(session), Some(place)) = (account.session.clone(), account.account.place()) {
            let (now, credentials_generation) = (self.ctx.now(), account.account.credentials_generation());
            self.ctx.backups.memory(self.uid, |memory, _| memory.begin_look(credentials_generation, now));
            listings::look(self.ctx, object, session, place.clone(), scope, look_for);
        }
    }

    async fn set_finalizer(&self, object: &Arc<DatabaseBackup>, present: bool) -> Result<Next, Error> {
        let written = write::finalizer(&self.ctx.runtime, object.as_ref(), FINALIZER, present).await?;
        match self.after(object, written).await? {
            Now::Stored(newer) | Now::Changed(newer) => Ok(Next::Again(newer)),
            Now::Gone => Ok(Next::RequeueAfter(None)),
        }
    }

    fn attempt_context(&self, account: &Account) -> AttemptContext<'_> {
        let ctx = self.ctx;
        AttemptContext { now: ctx.now(), credentials_generation: account.credentials_generation(), settings: &ctx.options.settings }
    }

    async fn report(&self, object: &Arc<DatabaseBackup>, report: Report, now: Moment) -> Result<Next, Error> {
        let unseen = DatabaseBackupStatus::default();
        let before = object.status.as_ref().unwrap_or(&unseen);
        if let Some(reason) = report.reason {
            let was_stalled = is_true(&before.conditions, types::STALLED);
            self.ctx.backups.memory(self.uid, |memory, _| memory.report(reason, was_stalled, now));
        }
        let mut events = self.duplicates(before);
        if report.is_news(before, &self.ctx.options.settings) {
            events.extend(notices(before, &report.status));
            match self.write_status(object, report.status).await? {
                Now::Stored(stored) => {
                    log(&stored);
                    self.ctx.backups.memory(self.uid, |memory, _| memory.wrote = Some(now));
                    self.ctx.runtime.metrics.written(object.spec.source.engine, before, stored.status.as_ref().unwrap_or(&unseen));
                    write::publish(&self.ctx.runtime, object.as_ref(), events);
                    // The memory hears of what is stored now; the watch will show nothing new.
                    return Ok(Next::Again(stored));
                }
                Now::Changed(newer) => return Ok(Next::Again(newer)),
                Now::Gone => return Ok(Next::RequeueAfter(None)),
            }
        }
        write::publish(&self.ctx.runtime, object.as_ref(), events);
        Ok(Next::RequeueAfter(report.requeue_after))
    }

    /// A second backup under this object's mark, or another id in the status than the one that was answered: nothing doubles silently.
    fn duplicates(&self, status: &DatabaseBackupStatus) -> Vec<Notice> {
        let mark = status.backup_name.as_deref().unwrap_or_default();
        let is_unknown = status.create_outcome != Some(CreateOutcome::Accepted);
        let found = self.ctx.backups.memory(self.uid, |memory, _| {
            let listed = if is_unknown || mark.is_empty() { 0 } else { memory.new_duplicates(mark) };
            (listed, other_id(memory, status))
        });
        let (listed, other) = found.unwrap_or_default();
        let mut notices = Vec::new();
        let mut publish = |note| notices.push(Notice { reason: "DuplicateRemote", action: "Watch", is_warning: true, note });
        if listed > 0 {
            publish(format!("{listed} more backup(s) in the cloud are named {mark}; none is touched"));
        }
        if let Some(id) = other {
            publish(format!(
                "the cloud answered with backup {id}, but the status holds {}",
                status.backup_id.as_deref().unwrap_or_default()
            ));
        }
        self.ctx.runtime.metrics.duplicate_remotes.inc_by(notices.len() as u64);
        notices
    }
}

/// The id that this process's own call was answered with, if the status holds another; once.
fn other_id(memory: &mut Memory, status: &DatabaseBackupStatus) -> Option<String> {
    let id = match memory.own_intent(status).map(|own| &own.stage) {
        Some(Stage::Accepted(created)) if status.backup_id.as_ref().is_some_and(|id| *id != created.backup_id) => created.backup_id.clone(),
        _ => return None,
    };
    memory.own = None;
    Some(id)
}

fn log(object: &DatabaseBackup) {
    let Some(status) = &object.status else { return };
    let ready = status.conditions.iter().find(|condition| condition.type_ == types::READY);
    tracing::info!(
        phase = status.phase.map(Phase::as_str),
        reason = ready.map(|ready| ready.reason.as_str()),
        status.message = ready.map(|ready| ready.message.as_str()),
        namespace = object.namespace(),
        name = object.name_any(),
        "status written"
    );
}
