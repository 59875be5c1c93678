//! Which objects go that no backup came of.

use super::{child::Child, draft::Draft, seen::Seen};
use crate::api::status::Phase;

/// Counts backups that have lapsed, each once: their names stay in the status for as long as they are there.
pub(super) fn count_lapsed(s: &Seen<'_>, draft: &mut Draft) {
    let mut lapsed: Vec<String> = s.own().filter(|child| child.phase == Some(Phase::Lapsed)).map(|child| child.name.clone()).collect();
    lapsed.sort_unstable();
    let new = lapsed.iter().filter(|name| !s.status.lapsed_backup_names.contains(name)).count();
    draft.status.lapsed_runs = draft.status.lapsed_runs.saturating_add(i64::try_from(new).unwrap_or(i64::MAX));
    draft.status.lapsed_backup_names = lapsed;
}

/// The UIDs of the failed and lapsed ones beyond `failedHistoryLimit`, oldest first. The status has counted them before.
pub(super) fn surplus(s: &Seen<'_>) -> Vec<String> {
    let has_failed = |child: &&Child| matches!(child.phase, Some(Phase::Failed | Phase::Lapsed));
    let mut failed: Vec<&Child> = s.own().filter(has_failed).filter(|child| !child.is_deleting && !child.is_held).collect();
    failed.sort_by_key(|child| child.slot);
    let limit = usize::try_from(s.spec.failed_history_limit).unwrap_or_default();
    failed.iter().rev().skip(limit).rev().map(|child| child.uid.clone()).collect()
}
