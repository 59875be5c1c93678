//! One reconcile of a `DatabaseBackup`: observe → plan → carry out, step by step, until there is a status to write or nothing to do.

use super::{
    accounts::{AccountKey, Use},
    context::Context,
    fleet::{annotations, created, restored, version},
    listings,
    watching::{self, Seen, Subject, watch},
    writes::{self, Written},
};
use crate::{
    api::{
        FINALIZER,
        backup::DatabaseBackup,
        conditions::{is_true, types},
        status::{CreateOutcome, DatabaseBackupStatus, Phase},
    },
    cloud::backup::{ListScope, NewBackup},
    plan::{
        backup::{
            decide::decide,
            events::{Notice, notices},
            memory::{Memory, Stage},
            outcome::Circumstances,
            seen::{Account, Object, Permit, Seen as Observation, Turn},
            step::{Report, Step, carries_intent},
        },
        clock::Moment,
    },
};
use futures::StreamExt;
use kube::{
    Api, ResourceExt,
    core::DeserializeGuard,
    runtime::{Controller, controller::Action, reflector::ObjectRef},
};
use std::{sync::Arc, time::Duration};
use tokio::sync::mpsc::unbounded_channel;
use tokio_stream::wrappers::UnboundedReceiverStream;

/// Steps of one reconcile: the longest path takes ten; more means that somebody else keeps changing the object.
const MAX_STEPS: usize = 24;
/// Before a reconcile that did not come to an end is tried again; doubled with each further one, up to 16 s, so that an API server in trouble is
/// not kept there.
const PAUSE: Duration = Duration::from_secs(1);
/// The kind, as people write it.
pub const KIND: &str = "DatabaseBackup";

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
    Restless,
}

impl From<kube::Error> for Error {
    fn from(error: kube::Error) -> Self {
        Self::Kubernetes(Box::new(error))
    }
}

/// Reconciles the backups of a namespace (absent: all) until the process stops.
pub async fn run(ctx: Arc<Context>, api: Api<DeserializeGuard<DatabaseBackup>>, namespace: Option<String>) {
    let (sender, receiver) = unbounded_channel::<ObjectRef<DatabaseBackup>>();
    ctx.fleet.wake_through(namespace.clone(), sender);
    let (telling, scope) = (ctx.clone(), namespace.clone());
    let (stream, store) = watch(ctx.clone(), Subject { kind: KIND, namespace }, api, move |seen| match seen {
        Seen::Object(object) => {
            telling.store.saw(version(&object));
            telling.fleet.track(object, telling.clock.now());
        }
        Seen::Gone(object) => {
            telling.accounts.withdraw(&object);
            telling.fleet.forget(&object.uid().unwrap_or_default());
        }
        Seen::Begin => telling.fleet.begin_listing(scope.as_deref()),
        Seen::All(objects) => telling.listed(scope.as_deref(), objects),
    });
    Controller::for_stream(stream, store)
        .reconcile_on(UnboundedReceiverStream::new(receiver))
        .with_config(kube::runtime::Config::default().concurrency(ctx.options.concurrency))
        .graceful_shutdown_on(ctx.stop.clone().cancelled_owned())
        .run(reconcile, retry, ctx.clone())
        .for_each(|result| watching::note(&ctx, KIND, result))
        .await;
}

#[allow(clippy::needless_pass_by_value)] // the signature is kube's
fn retry(object: Arc<DatabaseBackup>, _error: &Error, ctx: Arc<Context>) -> Action {
    let before = ctx.fleet.failed(&object.uid().unwrap_or_default());
    Action::requeue(PAUSE * (1 << before.min(4)))
}

async fn reconcile(object: Arc<DatabaseBackup>, ctx: Arc<Context>) -> Result<Action, Error> {
    let object = ctx.fleet.newest(object);
    let uid = object.uid().unwrap_or_default();
    let begun = ctx.clock.now();
    let result = Reconcile { ctx: &ctx, uid: &uid, turn: Turn::NotAsked, permit: Permit::NotAsked, allowed: None }.run(object).await;
    let ended = ctx.clock.now();
    ctx.fleet.end_turn(&uid, result.is_ok(), |key| ctx.accounts.project(key), ended);
    ctx.metrics.took(KIND, ended.since(begun));
    result
}

/// One reconcile, and what it has in hand.
struct Reconcile<'a> {
    ctx: &'a Arc<Context>,
    uid: &'a str,
    turn: Turn,
    permit: Permit,
    /// Whether the account allows the namespace, once that was looked up.
    allowed: Option<bool>,
}

/// What a step led to.
enum Next {
    /// Plan again, on this version of the object.
    Again(Arc<DatabaseBackup>),
    /// Done, until so long has passed or something happens.
    Rest(Option<Duration>),
}

impl Reconcile<'_> {
    async fn run(mut self, mut object: Arc<DatabaseBackup>) -> Result<Action, Error> {
        for _ in 0..MAX_STEPS {
            match self.step(&object).await? {
                Next::Again(newer) => object = newer,
                Next::Rest(wake) => return Ok(wake.map_or_else(Action::await_change, Action::requeue)),
            }
        }
        Err(Error::Restless)
    }

    async fn step(&mut self, object: &Arc<DatabaseBackup>) -> Result<Next, Error> {
        let ctx = self.ctx;
        // Whoever slept through its lease remembers what is no longer so, and another acts. It ends soon, unless it holds the lease again.
        if !ctx.leadership.is_held(ctx.clock.now()) {
            return Ok(Next::Rest(Some(PAUSE)));
        }
        let mut account = ctx.accounts.for_backup(object, ctx.clock.now());
        self.allow(object, &mut account).await?;
        let unseen = DatabaseBackupStatus::default();
        let status = object.status.as_ref().unwrap_or(&unseen);
        let now = ctx.clock.now();
        let namespace = object.namespace().unwrap_or_default();
        let name = object.name_any();
        let observed = Observation {
            object: Object {
                namespace: &namespace,
                name: &name,
                uid: self.uid,
                generation: object.metadata.generation,
                created: created(object),
                born: ctx.fleet.born(self.uid),
                deleting: object.metadata.deletion_timestamp.is_some(),
                has_finalizer: object.finalizers().iter().any(|name| name == FINALIZER),
                annotations: annotations(object),
                restored: restored(object),
            },
            spec: &object.spec,
            status,
            account: &account.account,
            turn: &self.turn,
            permit: self.permit,
            put_back: ctx.fleet.was_put_back(),
            settings: &ctx.options.settings,
            now,
            stopping: !ctx.may_act(),
        };
        let Some(step) = ctx.fleet.memory(self.uid, |memory, _| decide(&observed, memory)) else { return Ok(Next::Rest(None)) };
        match step {
            Step::TakeTurn => self.take_turn(&account, now),
            Step::TakePermit => self.take_permit(&account),
            Step::WriteIntent(next) => return self.write_intent(object, *next, now).await,
            Step::Send(new) => self.send(object, &account, &new).await,
            Step::Look(scope) => self.look(object, &account, scope, false),
            Step::TakeStock(scope) => self.look(object, &account, scope, true),
            Step::SetFinalizer(present) => return self.set_finalizer(object, present).await,
            Step::Release => return self.release(object).await,
            Step::Delete { backup_id } if self.has_permit(&account) => self.delete(object, &account, &backup_id, now).await,
            // Woken when it is granted; the look after a while is a belt.
            Step::Delete { .. } => return Ok(Next::Rest(Some(ctx.options.settings.poll_interval))),
            Step::Report(report) => return self.report(object, status, *report, now).await,
            Step::Rest(wake) => return Ok(Next::Rest(wake)),
        }
        Ok(Next::Again(object.clone()))
    }

    /// Finds out whether the namespace may use its account; only a cluster account with a selector has to be looked after, and once is enough.
    async fn allow(&mut self, object: &DatabaseBackup, account: &mut Use) -> Result<(), kube::Error> {
        let (Some(rule), Account::Ready { allowed, .. }) = (&account.allowed, &mut account.account) else { return Ok(()) };
        *allowed = match self.allowed {
            Some(known) => known,
            None => super::verify::allows(self.ctx, rule, &object.namespace().unwrap_or_default()).await?,
        };
        self.allowed = Some(*allowed);
        Ok(())
    }

    fn take_turn(&mut self, account: &Use, now: Moment) {
        if let Account::Ready { place, .. } = &account.account {
            self.turn = self.ctx.fleet.take_turn(self.uid, &place.project, |key| self.ctx.accounts.project(key), now);
        }
    }

    fn take_permit(&mut self, account: &Use) {
        self.permit = if self.has_permit(account) { Permit::Granted } else { Permit::Queued };
    }

    /// Whether there is a permit for one call now; else the object is queued for one, and woken when it is granted.
    fn has_permit(&self, account: &Use) -> bool {
        account.permits.as_ref().is_some_and(|permits| permits.try_urgent(self.uid))
    }

    /// Only an intent whose write was answered with exactly that is this process's own, and may be sent.
    async fn write_intent(&mut self, object: &Arc<DatabaseBackup>, next: DatabaseBackupStatus, begun: Moment) -> Result<Next, Error> {
        // A permit is good for one call.
        self.permit = Permit::NotAsked;
        match writes::status(self.ctx, object, next.clone()).await? {
            Written::Stored(stored) if carries_intent(stored.status.as_ref(), &next) => {
                if let Some(request_time) = &next.request_time {
                    self.ctx.fleet.memory(self.uid, |memory, _| memory.intend(request_time.0, begun));
                }
                Ok(Next::Again(stored))
            }
            Written::Stored(_) => {
                self.ctx.definitions.doubt();
                Err(Error::IntentDropped)
            }
            Written::Conflict(newer) => Ok(Next::Again(newer)),
            Written::Gone => Ok(Next::Rest(None)),
        }
    }

    async fn send(&self, object: &DatabaseBackup, account: &Use, new: &NewBackup) {
        let ctx = self.ctx;
        let own = ctx.fleet.memory(self.uid, |memory, _| {
            memory.sending();
            memory.own.clone()
        });
        let (Some(session), Some(Some(own))) = (&account.session, own) else { return };
        let lifetime = ctx.options.settings.intent_lifetime();
        let check = || own.is_fresh(lifetime, ctx.clock.now()) && ctx.may_act();
        let answer = session.create(object.spec.source.engine, new, ctx.clock.now().wall, check).await;
        match &answer {
            Ok(created) => tracing::info!(backup_id = created.backup_id, backup_name = new.mark, "the cloud took on the backup"),
            Err(error) => tracing::warn!(%error, backup_name = new.mark, "the create call was not accepted"),
        }
        if session.refused() {
            ctx.accounts.recheck(&AccountKey::of(object));
        }
        let circumstances = self.circumstances(&account.account);
        ctx.fleet.memory(self.uid, |memory, _| memory.answered(answer, circumstances));
    }

    /// Starts a listing in the background. `stock`: of everything that the object ever had in the cloud.
    fn look(&self, object: &DatabaseBackup, account: &Use, scope: ListScope, stock: bool) {
        if let (Some(session), Some(place)) = (account.session.clone(), account.account.place()) {
            let (now, epoch) = (self.ctx.clock.now(), account.account.epoch());
            self.ctx.fleet.memory(self.uid, |memory, _| memory.begin_look(epoch, now));
            listings::look(self.ctx, object, session, place.clone(), scope, stock);
        }
    }

    /// The cloud holds nothing of the object any more. That is an Event where this operator had something deleted.
    async fn release(&self, object: &Arc<DatabaseBackup>) -> Result<Next, Error> {
        if object.status.as_ref().is_some_and(|status| status.delete_reason.is_some()) {
            let note = "the cloud holds nothing of this object any more".to_owned();
            let notice = Notice { reason: "RemoteDeleted", action: "DeleteBackup", is_warning: false, note };
            writes::tell(self.ctx, object.as_ref(), vec![notice]).await;
        }
        self.set_finalizer(object, false).await
    }

    async fn set_finalizer(&self, object: &Arc<DatabaseBackup>, present: bool) -> Result<Next, Error> {
        match writes::finalizer(self.ctx, object, present).await? {
            Written::Stored(newer) | Written::Conflict(newer) => Ok(Next::Again(newer)),
            Written::Gone => Ok(Next::Rest(None)),
        }
    }

    /// Like a create call it is not sent long after it was decided, nor without the lease: the object may have been let go with its backup since.
    async fn delete(&self, object: &DatabaseBackup, account: &Use, backup_id: &str, decided: Moment) {
        let (ctx, source) = (self.ctx, &object.spec.source);
        let Some(session) = &account.session else { return };
        let lifetime = ctx.options.settings.intent_lifetime();
        let check = || ctx.leads() && ctx.clock.now().since(decided) <= lifetime;
        let answer = session.delete(source.engine, &source.instance_id, backup_id, ctx.clock.now().wall, check).await;
        ctx.metrics.deleted(source.engine, answer.is_ok());
        match &answer {
            Ok(()) => tracing::info!(backup_id, "the cloud deletes the backup"),
            Err(error) => tracing::warn!(%error, backup_id, "the backup was not deleted"),
        }
        if session.refused() {
            ctx.accounts.recheck(&AccountKey::of(object));
        }
        let circumstances = self.circumstances(&account.account);
        ctx.fleet.memory(self.uid, |memory, _| memory.deleted(backup_id, answer, circumstances));
    }

    fn circumstances(&self, account: &Account) -> Circumstances<'_> {
        let ctx = self.ctx;
        Circumstances { now: ctx.clock.now(), epoch: account.epoch(), settings: &ctx.options.settings }
    }

    async fn report(
        &self,
        object: &Arc<DatabaseBackup>,
        before: &DatabaseBackupStatus,
        report: Report,
        now: Moment,
    ) -> Result<Next, Error> {
        if let Some(reason) = report.reason {
            let was_stalled = is_true(&before.conditions, types::STALLED);
            self.ctx.fleet.memory(self.uid, |memory, _| memory.report(reason, was_stalled, now));
        }
        let mut told = self.duplicates(before);
        if report.is_news(before, &self.ctx.options.settings) {
            told.extend(notices(before, &report.status));
            match writes::status(self.ctx, object, report.status).await? {
                Written::Stored(stored) => {
                    log(&stored);
                    self.ctx.fleet.memory(self.uid, |memory, _| memory.wrote = Some(now));
                    let unseen = DatabaseBackupStatus::default();
                    self.ctx.metrics.written(object.spec.source.engine, before, stored.status.as_ref().unwrap_or(&unseen));
                }
                Written::Conflict(newer) => return Ok(Next::Again(newer)),
                Written::Gone => return Ok(Next::Rest(None)),
            }
        }
        writes::tell(self.ctx, object.as_ref(), told).await;
        Ok(Next::Rest(report.wake))
    }

    /// A second backup under this object's mark, or another id in the status than the one that was answered: nothing doubles silently.
    fn duplicates(&self, status: &DatabaseBackupStatus) -> Vec<Notice> {
        let mark = status.backup_name.as_deref().unwrap_or_default();
        let in_doubt = status.create_outcome != Some(CreateOutcome::Accepted);
        let found = self.ctx.fleet.memory(self.uid, |memory, _| {
            let listed = if in_doubt || mark.is_empty() { 0 } else { memory.new_duplicates(mark) };
            (listed, other_id(memory, status))
        });
        let (listed, other) = found.unwrap_or_default();
        let mut notices = Vec::new();
        let mut tell = |note| notices.push(Notice { reason: "DuplicateRemote", action: "Watch", is_warning: true, note });
        if listed > 0 {
            tell(format!("{listed} more backup(s) in the cloud are named {mark}; none is touched"));
        }
        if let Some(id) = other {
            tell(format!("the cloud answered with backup {id}, but the status holds {}", status.backup_id.as_deref().unwrap_or_default()));
        }
        self.ctx.metrics.duplicate_remotes.inc_by(notices.len() as u64);
        notices
    }
}

/// The id that this process's own call was answered with, if the status holds another; told of once.
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
        message = ready.map(|ready| ready.message.as_str()),
        namespace = object.namespace(),
        name = object.name_any(),
        "status written"
    );
}

impl Context {
    /// A listing of a namespace (absent: all) showed exactly these objects.
    fn listed(&self, namespace: Option<&str>, objects: Vec<Arc<DatabaseBackup>>) {
        let highest = objects.iter().filter_map(|object| version(object)).max();
        if self.fleet.replace(namespace, objects, self.clock.now()) {
            self.store_was_put_back();
        }
        self.store.saw(highest);
    }
}
