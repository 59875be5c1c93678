//! The last steps of a backup: it is deleted in the cloud, and its object is let go or deleted.

use super::{Error, Next, Now, Reconcile};
use crate::{
    api::backup::DatabaseBackup,
    cloud::permits::CallPermit,
    controller::{object::is_held, runtime::write, store::accounts::Use},
    plan::{account::AccountKey, clock::Moment, notice::Notice},
};
use std::sync::Arc;

impl Reconcile<'_> {
    /// The cloud holds nothing of the object any more. That is an Event where this operator had something deleted.
    pub(super) async fn release(&self, object: &Arc<DatabaseBackup>) -> Result<Next, Error> {
        if object.status.as_ref().is_some_and(|status| status.delete_reason.is_some()) {
            self.publish_deletion(object);
        }
        self.set_finalizer(object, false).await
    }

    /// Retention takes the object after its backup. Where a finalizer keeps it, the Event comes when it is let go.
    pub(super) async fn delete_object(&self, object: &Arc<DatabaseBackup>) -> Result<Next, Error> {
        let written = write::delete(&self.ctx.runtime, object.as_ref()).await?;
        match self.after(object, written).await? {
            Now::Stored(newer) | Now::Changed(newer) => Ok(Next::Again(newer)),
            Now::Gone => {
                self.publish_deletion(object);
                Ok(Next::RequeueAfter(None))
            }
        }
    }

    fn publish_deletion(&self, object: &DatabaseBackup) {
        let note = "the cloud holds nothing of this object any more".to_owned();
        let notice = Notice { reason: "RemoteDeleted", action: "DeleteBackup", is_warning: false, note };
        write::publish(&self.ctx.runtime, object, vec![notice]);
    }

    /// Like a create call it is not sent long after it was decided, nor without the lease: the object may have been let go with its backup since. Nor if
    /// somebody holds the backup since.
    pub(super) async fn delete(
        &mut self,
        object: &Arc<DatabaseBackup>,
        account: &Use,
        backup_id: &str,
        permit: CallPermit,
        decided: Moment,
    ) {
        let (ctx, source) = (self.ctx, &object.spec.source);
        let Some(session) = &account.session else { return };
        let lifetime = ctx.options.settings.intent_lifetime();
        let is_held = || {
            let newest = ctx.backups.newest(object.clone());
            is_held(&newest) && newest.metadata.deletion_timestamp.is_none()
        };
        let check = || ctx.leads() && ctx.now().since(decided) <= lifetime && !is_held();
        let backup = (source.instance_id.as_str(), backup_id);
        let answer = self.slot.outside(session.delete(source.engine, backup, permit, ctx.now().wall, check)).await;
        ctx.runtime.metrics.deleted(source.engine, answer.is_ok());
        match &answer {
            Ok(()) => tracing::info!(backup_id, "the cloud deletes the backup"),
            Err(error) => tracing::warn!(%error, backup_id, "the backup was not deleted"),
        }
        if session.refused() {
            ctx.accounts.recheck(&AccountKey::of(object));
        }
        let attempt_context = self.attempt_context(&account.account);
        ctx.backups.memory(self.uid, |memory, _| memory.deleted(backup_id, answer, attempt_context));
    }
}
