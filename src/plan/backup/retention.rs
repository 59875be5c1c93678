//! A Completed backup whose object nobody deletes goes when its time is up, or when its schedule keeps fewer; unless somebody keeps it.

use super::{
    memory::Memory,
    observed::Observed,
    reason::Reason,
    report::ready_message,
    rule::{Rule, is_kept},
    seen::Seen,
};
use crate::api::status::{DatabaseBackupStatus, DeleteReason, Origin, Phase};

/// Who keeps a backup that would go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keeper {
    /// A person, by an annotation.
    Hold,
    /// Another object, which adopts it.
    Adopter,
    /// Nobody: the operator did not take it, and what it did not take it never deletes.
    Importer,
}

impl Keeper {
    /// Why it stays, behind what else is said of it.
    fn words(self) -> &'static str {
        match self {
            Self::Hold => "; it was to be deleted, and stays because of the annotation dbbackup.dev/hold",
            Self::Adopter => "; it was to be deleted, and stays because another DatabaseBackup adopts it",
            Self::Importer => "; it was to be deleted, and stays because the operator did not take it",
        }
    }
}

/// Why a backup goes although nobody deletes its object, as far as this machine's clock knows. Once the cloud has accepted a deletion nothing takes that
/// back: the way is gone to its end, so that the status says what became of the backup.
pub(super) fn why(seen: &Seen<'_>, memory: &Memory) -> Option<DeleteReason> {
    let status = seen.status;
    if status.phase != Some(Phase::Completed) {
        return None;
    }
    let is_surplus = status.delete_reason == Some(DeleteReason::Retention) && !seen.object.deleting;
    let expired = is_due(seen).then_some(DeleteReason::Expired);
    let why = if is_surplus { Some(DeleteReason::Retention) } else { expired }?;
    let is_too_late = status.delete_reason == Some(why) && memory.is_deletion_accepted();
    (!is_spared(seen, why) || is_too_late).then_some(why)
}

/// Whether its time is up by this machine's clock.
fn is_due(seen: &Seen<'_>) -> bool {
    seen.status.expiration_time.as_ref().is_some_and(|at| at.0 <= seen.now.wall)
}

/// Whether somebody keeps it from going for this reason.
pub(super) fn is_spared(seen: &Seen<'_>, why: DeleteReason) -> bool {
    match (why, keeper(seen)) {
        (DeleteReason::ObjectDeleted, _) | (_, None) => false,
        (DeleteReason::Retention, Some(_)) => true,
        (DeleteReason::Expired, Some(keeper)) => keeper == Keeper::Hold,
    }
}

fn keeper(seen: &Seen<'_>) -> Option<Keeper> {
    let is_imported = seen.spec.source.existing_backup_id.is_some() || seen.status.origin == Some(Origin::Imported);
    let keepers =
        [(seen.object.held && is_kept(Rule::Hold), Keeper::Hold), (seen.object.adopted, Keeper::Adopter), (is_imported, Keeper::Importer)];
    keepers.into_iter().find_map(|(keeps, keeper)| keeps.then_some(keeper))
}

/// The status says that the backup goes, and it does not.
pub(super) fn is_called_off(o: &Observed<'_>) -> bool {
    let is_kept_from = |why| why != DeleteReason::ObjectDeleted && is_spared(o, why);
    o.status.phase == Some(Phase::Completed) && !o.object.deleting && o.status.delete_reason.is_some_and(is_kept_from)
}

/// Whether a message about a Completed backup says that it is to be deleted, or what keeps it from that. Those of earlier versions have the same words.
pub(super) fn tells_of_deletion(message: &str) -> bool {
    ["delete", "time is up"].iter().any(|words| message.contains(words))
}

/// What is said of a Completed backup that somebody keeps from going.
pub(super) fn kept_by(o: &Observed<'_>, next: &DatabaseBackupStatus) -> Option<&'static str> {
    let keeper = keeper(o)?;
    if keeper == Keeper::Hold && next.expiration_time.as_ref().is_some_and(|at| at.0 <= o.now.wall) {
        return Some("; its time is up, but it is held: remove the annotation dbbackup.dev/hold");
    }
    let is_called_off = o.status.delete_reason.is_some() && next.delete_reason.is_none();
    let is_said = ready_message(o, Reason::Completed).is_some_and(|said| said.ends_with(keeper.words()));
    (is_called_off || is_said).then(|| keeper.words())
}
