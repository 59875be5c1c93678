//! One reconcile of a `DatabaseBackupSchedule`: observe → decide → act, step by step, until there is nothing to do.

use super::{children, survey};
use crate::{
    api::schedule::{DatabaseBackupSchedule, DatabaseBackupScheduleStatus},
    controller::{
        accounts::namespaces::{Allowance, allowance},
        backups::PAUSE,
        context::Context,
        runtime::write::{self, Written},
    },
    plan::{
        account::AccountKey,
        backup::{reason::Reason, seen::Account},
        clock::Moment,
        notice::ready,
        schedule::{
            child::Child,
            decide::decide,
            seen::Seen,
            step::{Report, Step},
        },
    },
};
use kube::ResourceExt;
use std::{collections::BTreeSet, sync::Arc, time::Duration};

/// Steps of one reconcile: a pass over everything takes about ten, and each lapsed backup one more.
const MAX_STEPS: usize = 64;

/// Why a reconcile did not come to an end. It is tried again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The Kubernetes API refused or failed.
    #[error("the Kubernetes API: {0}")]
    Kubernetes(#[from] Box<kube::Error>),
    /// The schedule or its backups kept changing.
    #[error("the schedule kept changing while it was reconciled")]
    TooManySteps,
}

impl From<kube::Error> for Error {
    fn from(error: kube::Error) -> Self {
        Self::Kubernetes(Box::new(error))
    }
}

/// One reconcile.
pub(super) struct Reconcile<'a> {
    ctx: &'a Arc<Context>,
    /// Whether the account is known to allow the namespace: once is enough.
    is_allowed: bool,
}

/// What a step led to.
enum Next {
    /// Plan again, on this version of the schedule.
    Again(Arc<DatabaseBackupSchedule>),
    /// Done, until something happens or so long has passed.
    End(Option<Duration>),
}

impl<'a> Reconcile<'a> {
    /// A reconcile.
    pub(super) fn new(ctx: &'a Arc<Context>) -> Self {
        Self { ctx, is_allowed: false }
    }

    /// Takes step after step, until there is nothing to do.
    pub(super) async fn run(mut self, mut object: Arc<DatabaseBackupSchedule>) -> Result<Option<Duration>, Error> {
        for _ in 0..MAX_STEPS {
            match self.step(&object).await? {
                Next::Again(newer) => object = newer,
                Next::End(action) => return Ok(action),
            }
        }
        Err(Error::TooManySteps)
    }

    async fn step(&mut self, object: &Arc<DatabaseBackupSchedule>) -> Result<Next, Error> {
        let ctx = self.ctx;
        // Nothing is created or deleted by whoever does not lead, is about to end, or has older definitions before it.
        if !ctx.may_act() {
            return Ok(Next::End(Some(PAUSE)));
        }
        let account = self.account(object).await?;
        let now = ctx.now();
        match self.decide(object, &account, now) {
            Some(step) => self.carry_out(step, object, now).await,
            None => Ok(Next::End(None)),
        }
    }

    /// Observes and decides; `None` once the schedule is gone.
    fn decide(&self, object: &DatabaseBackupSchedule, account: &Account, now: Moment) -> Option<Step> {
        let ctx = self.ctx;
        let (namespace, name, unseen) =
            (object.namespace().unwrap_or_default(), object.name_any(), DatabaseBackupScheduleStatus::default());
        let children: Vec<Child> = ctx.backups.of_schedule(&namespace, &name).iter().map(|child| Child::read(child, &name)).collect();
        let is_adopted = |child: &&Child| child.backup_id.as_ref().is_some_and(|id| ctx.backups.is_adopted(id, &child.uid));
        let adopted: BTreeSet<String> = children.iter().filter(is_adopted).filter_map(|child| child.backup_id.clone()).collect();
        let seen = Seen {
            name: &name,
            namespace: &namespace,
            uid: object.metadata.uid.as_deref().unwrap_or_default(),
            generation: object.metadata.generation,
            deleting: object.metadata.deletion_timestamp.is_some(),
            spec: &object.spec,
            status: object.status.as_ref().unwrap_or(&unseen),
            children: &children,
            adopted: &adopted,
            account,
            settings: &ctx.options.settings,
            now,
        };
        ctx.schedules.memory(object, |memory| decide(&seen, memory))
    }

    async fn carry_out(&self, step: Step, object: &Arc<DatabaseBackupSchedule>, now: Moment) -> Result<Next, Error> {
        let ctx = self.ctx;
        match step {
            Step::Supersede { uid, newer } => children::supersede(ctx, object, &uid, &newer).await?,
            Step::Create { slot, object: child } => children::create(ctx, object, slot, *child).await?,
            Step::Survey { target, urgency } => survey::begin(ctx, object, target, urgency),
            Step::Retire(uids) => children::retire(ctx, object, &uids).await?,
            Step::Delete(uids) => children::delete(ctx, object, &uids).await?,
            Step::TellOfRoom(uids) => children::tell_of_room(ctx, &uids),
            Step::Report(report) => return self.report(object, *report, now).await,
            Step::RequeueAfter(pause) => return Ok(Next::End(pause)),
        }
        Ok(Next::Again(object.clone()))
    }

    /// The account of the template. One that does not allow the namespace is not used: who may not take backups there may not see them either.
    async fn account(&mut self, object: &DatabaseBackupSchedule) -> Result<Account, kube::Error> {
        let template = &object.spec.backup_template.spec;
        let namespace = object.namespace().unwrap_or_default();
        let key = AccountKey::named(&template.account_ref, &namespace);
        let found = self.ctx.accounts.for_engine(&key, template.source.engine);
        if let Account::Blocked { reason: Reason::AccountNotFound, .. } = &found.account {
            let place = key.namespace.as_ref().map_or_else(String::new, |namespace| format!(" in namespace {namespace}"));
            let message = format!("there is no {key}{place}: create it, or name another in backupTemplate.spec.accountRef");
            return Ok(Account::Blocked { reason: Reason::AccountNotFound, message });
        }
        let (Some(rule), Account::Ready { .. }, false) = (&found.allowed, &found.account, self.is_allowed) else {
            return Ok(found.account);
        };
        let (reason, message) = match allowance(&self.ctx.runtime.client, &key, rule, &namespace).await? {
            Allowance::Allowed => {
                self.is_allowed = true;
                return Ok(found.account);
            }
            Allowance::Denied => {
                (Reason::NamespaceNotAllowed, format!("{key} does not allow namespace {namespace}: see its allowedNamespaces"))
            }
            Allowance::Unreadable(message) => (Reason::AccountNotReady, message),
        };
        Ok(Account::Blocked { reason, message })
    }

    async fn report(&self, object: &Arc<DatabaseBackupSchedule>, report: Report, now: Moment) -> Result<Next, Error> {
        let ctx = self.ctx;
        let mut stored = object.clone();
        if object.status.as_ref() != Some(&report.status) {
            let next = DatabaseBackupSchedule { status: Some(report.status), ..object.as_ref().clone() };
            match write::status(&ctx.runtime, &next).await? {
                Written::Stored(written) => {
                    log(&written);
                    stored = ctx.schedules.newest(Arc::new(written), now);
                }
                Written::Conflict => return self.after_conflict(object).await,
                Written::Gone => return Ok(Next::End(None)),
            }
        }
        write::publish(&ctx.runtime, object.as_ref(), report.notices);
        Ok(Next::Again(stored))
    }

    /// Somebody else wrote in between: decide anew. A version that is older than what was known says that the API server's storage was put back.
    async fn after_conflict(&self, object: &Arc<DatabaseBackupSchedule>) -> Result<Next, Error> {
        let ctx = self.ctx;
        let Some(found) = write::newest(&ctx.runtime, object.as_ref()).await? else { return Ok(Next::End(None)) };
        ctx.notice_version(&found, object.as_ref());
        Ok(Next::Again(ctx.schedules.newest(Arc::new(found), ctx.now())))
    }
}

fn log(object: &DatabaseBackupSchedule) {
    let Some(status) = &object.status else { return };
    let (reason, message) = ready(&status.conditions);
    tracing::info!(
        reason,
        status.message = message,
        next = status.next_schedule_time.as_ref().map(|next| next.0.to_string()),
        namespace = object.namespace(),
        name = object.name_any(),
        "status of a schedule written"
    );
}
