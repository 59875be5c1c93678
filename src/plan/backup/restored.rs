//! Objects that are looked at late, or whose past this process does not know: restored by Velero without a status, or asked for until a time that has passed.

use super::{observed::Observed, reason::Reason, report::hold, seen::Restored, step::Step};
use crate::api::status::{DatabaseBackupStatus, Phase};
use std::time::Duration;

/// Velero creates an object without its status, and writes the status in a second request, which fails if somebody else wrote in between (velero#1687). So
/// nothing is written for a while; and then nothing is asked of the cloud until a status arrives, or a person says that another backup shall be taken.
pub(super) fn wait(o: &Observed<'_>) -> Option<Step> {
    if o.object.restored != Restored::Yes || has_a_past(o.status) || o.object.deleting {
        return None;
    }
    let age = o.object.born.map_or_else(|| o.now.since_wall(o.object.created), |born| o.now.since(born));
    let silent = o.settings.restore_pause().saturating_sub(age);
    if !silent.is_zero() && o.status.conditions.is_empty() {
        return Some(Step::RequeueAfter(Some(silent)));
    }
    if o.spec.source.existing_backup_id.is_some() {
        return None;
    }
    let message = "Velero restored this object without its status, so its backup may be in the cloud already; restore the status, or annotate it with \
                   dbbackup.dev/restored: take-another to take another one";
    Some(hold(o, Reason::RestoredObject, message, None))
}

/// Whether the status says anything of a backup.
fn has_a_past(status: &DatabaseBackupStatus) -> bool {
    let is_settled = !matches!(status.phase, None | Some(Phase::Pending));
    is_settled || status.backup_id.is_some() || status.backup_name.is_some()
}

/// Whether it is too late for a backup: by this machine's clock and, where it is known, by the cloud's.
pub(super) fn is_too_late(o: &Observed<'_>) -> bool {
    let Some(before) = o.spec.take_before.as_ref().map(|time| time.0) else { return false };
    o.now.wall >= before && o.account.cloud_now().is_none_or(|cloud_now| cloud_now >= before)
}

/// In how long it is too late, while that would change anything.
pub(super) fn too_late_in(o: &Observed<'_>) -> Option<Duration> {
    let before = o.spec.take_before.as_ref().filter(|_| matches!(o.status.phase, None | Some(Phase::Pending)))?;
    // By both clocks; the cloud's has whole seconds.
    let latest = o.account.cloud_now().map_or(o.now.wall, |cloud_now| cloud_now.min(o.now.wall));
    let left = Duration::try_from(before.0.duration_since(latest)).ok()?;
    (!left.is_zero()).then(|| left.min(Duration::from_secs(24 * 3600)))
}
