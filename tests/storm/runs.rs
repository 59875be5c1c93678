//! What became of the schedules: which slots ran and which were missed, which backups are left, and which retention took.

use crate::{
    crew,
    population::{Asked, End},
    schedules::{Role, Scheduled, api, is_decided},
    simulator::{backup::BackupRecord, state::RESTLESS},
    verdict::{Verdict, is_failed, mark},
    world::World,
};
use database_backup_operator::api::{
    HOLD, SCHEDULE,
    backup::{DatabaseBackup, DeletionPolicy},
    schedule::{DatabaseBackupSchedule, DatabaseBackupScheduleStatus},
    status::{DeleteReason, Phase},
};
use kube::{ResourceExt, api::ListParams};
use std::collections::{BTreeSet, HashMap, HashSet};

/// Of all schedules together.
#[derive(Default)]
pub struct Runs {
    ran: usize,
    missed: i64,
    lapsed: usize,
    retired: usize,
    forgotten: usize,
    held: usize,
    /// The ids of what might be deleted.
    pub deletable: HashSet<String>,
    /// For each instance, how many there are who look at it.
    pub neighbours: HashMap<String, f64>,
    schedules: HashMap<String, DatabaseBackupSchedule>,
    /// The lines in which the operators say that they delete something.
    deletions: Vec<String>,
}

/// Objects by their names.
type Objects = HashMap<String, DatabaseBackup>;

/// Which schedules and backups of theirs have not come to rest.
pub async fn unsettled(world: &World, schedules: &[Scheduled], objects: &Objects) -> Result<Vec<String>, String> {
    let here = listed(world).await?;
    let mut open = vec![];
    for one in schedules {
        let name = one.name();
        let Some(object) = here.get(&name) else {
            open.push(format!("{name} is not there"));
            continue;
        };
        let unseen = DatabaseBackupScheduleStatus::default();
        let status = object.status.as_ref().unwrap_or(&unseen);
        let ready = status.conditions.iter().find(|condition| condition.type_ == "Ready");
        if Some(status.observed_generation) != object.metadata.generation || ready.is_none_or(|ready| ready.status != "True") {
            open.push(format!("{name} is not ready: {ready:?}"));
        }
        if !is_decided(one, status) {
            open.push(format!("{name} has not decided: {:?}, last {:?}", status.next_schedule_time, status.last_schedule_time));
        }
        let children = || objects.values().filter(|object| object.labels().get(SCHEDULE) == Some(&name));
        open.extend(children().filter(|child| !is_at_rest(child)).map(|child| format!("{} is {:?}", child.name_any(), phase(child))));
        let unheld = children().filter(|child| phase(child) == Some(Phase::Completed) && !is_held(child)).count();
        if one.max_count().is_some_and(|most| unheld > most) {
            open.push(format!("{name} keeps {unheld} backups"));
        }
        let failed = children().filter(|child| matches!(phase(child), Some(Phase::Failed | Phase::Lapsed))).count();
        if failed > usize::try_from(object.spec.failed_history_limit).unwrap_or_default() {
            open.push(format!("{name} keeps {failed} that failed or lapsed"));
        }
    }
    Ok(open)
}

async fn listed(world: &World) -> Result<HashMap<String, DatabaseBackupSchedule>, String> {
    let listed = api(world).list(&ListParams::default()).await.map_err(|error| error.to_string())?;
    Ok(listed.items.into_iter().map(|object| (object.name_any(), object)).collect())
}

fn phase(child: &DatabaseBackup) -> Option<Phase> {
    child.status.as_ref().and_then(|status| status.phase)
}

fn is_held(child: &DatabaseBackup) -> bool {
    child.annotations().contains_key(HOLD)
}

fn is_at_rest(child: &DatabaseBackup) -> bool {
    let stays = child.metadata.deletion_timestamp.is_none() && child.status.as_ref().is_some_and(|status| status.delete_reason.is_none());
    stays && matches!(phase(child), Some(Phase::Completed | Phase::Failed | Phase::Lapsed))
}

/// Whether anything can be restored from it, or could while it was there: what failed has no bytes.
fn is_good(backup: &BackupRecord) -> bool {
    backup.ended.is_some() && backup.size > 0
}

impl Runs {
    /// The verdict on them, which goes into `verdict`.
    pub async fn of(world: &World, schedules: &[Scheduled], objects: &Objects, verdict: &mut Verdict) -> Self {
        let logs = (0..2).map(|nth| std::fs::read_to_string(crew::log(nth)).unwrap_or_default());
        let says = |line: &&str| line.contains("retention deletes a backup") || line.contains("deleted beyond failedHistoryLimit");
        let deletions = logs.flat_map(|log| log.lines().filter(says).map(ToOwned::to_owned).collect::<Vec<_>>()).collect();
        let mut runs = Self { deletions, schedules: listed(world).await.expect("the API server answers"), ..Self::default() };
        let backups = world.cloud.backups();
        for one in schedules {
            let is_its_own = |backup: &&BackupRecord| {
                backup.instance == one.instance() && !backup.name.starts_with(RESTLESS) && !backup.remark.starts_with(RESTLESS)
            };
            runs.of_schedule(world, one, objects, backups.iter().filter(is_its_own).collect(), verdict);
        }
        runs
    }

    /// In words.
    pub fn told(&self, schedules: &[Scheduled]) -> String {
        let Self { ran, missed, lapsed, retired, forgotten, held, .. } = self;
        format!(
            "{} schedules ({ran} slots ran, {missed} missed, {lapsed} lapsed, {retired} went by retention, {forgotten} by failedHistoryLimit, {held} held)",
            schedules.len()
        )
    }

    fn of_schedule(&mut self, world: &World, one: &Scheduled, objects: &Objects, backups: Vec<&BackupRecord>, verdict: &mut Verdict) {
        let (name, possible) = (one.name(), one.possible());
        let mut by_mark: HashMap<String, Vec<&BackupRecord>> = HashMap::new();
        for backup in backups {
            by_mark.entry(mark(backup)).or_default().push(backup);
        }
        let (mut ran, mut taken, mut left) = (0, 0, 0);
        for child in &possible {
            let versions = world.versions(child);
            let Some(first) = versions.first().or_else(|| objects.get(child)) else { continue };
            ran += 1;
            let uids: BTreeSet<Option<String>> = versions.iter().chain(objects.get(child)).map(ResourceExt::uid).collect();
            if uids.len() > 1 {
                verdict.wrong.push(format!("{child} was made {} times", uids.len()));
            }
            let asked = Asked { object: first.clone(), end: End::Stays, lookalikes: vec![] };
            let mut mine = vec![];
            for attempt in 1..=asked.allowed() {
                let found = by_mark.remove(&asked.mark(attempt)).unwrap_or_default();
                verdict.count(&asked, attempt, &found);
                mine.push(found.first().copied());
            }
            let good = mine.iter().flatten().copied().filter(|backup| is_good(backup)).count();
            taken += good.min(1);
            if good > 1 {
                verdict.wrong.push(format!("{child} has {good} good backups: {mine:#?}"));
            }
            verdict.of_history(&asked, &world.history(child));
            match objects.get(child) {
                Some(object) => {
                    left += usize::from(phase(object) == Some(Phase::Completed));
                    self.of_child(&asked, object, &mine, verdict);
                }
                None => self.of_gone(&asked, &versions, &mine, verdict),
            }
        }
        verdict.wrong.extend(by_mark.values().flatten().map(|backup| format!("no child of {name} asked for {backup:?}")));
        let invented = objects.iter().filter(|(child, object)| object.labels().get(SCHEDULE) == Some(&name) && !possible.contains(*child));
        verdict.wrong.extend(invented.map(|(child, _)| format!("{child} is of a slot that was never due")));
        for slot in &one.void {
            let child = one.child(*slot);
            if !world.versions(&child).is_empty() {
                verdict.wrong.push(format!("{child} was made while {name} was suspended"));
            }
        }
        for child in &one.held {
            if !objects.get(child).is_some_and(is_held) {
                verdict.lost += 1;
                verdict.wrong.push(format!("{child} was held, and is gone"));
            }
        }
        if let Some(most) = one.max_count().filter(|most| left < taken.min(*most)) {
            verdict.wrong.push(format!("{name} has {left} good backups of {taken}, and maxCount is {most}"));
        }
        self.held += one.held.len();
        self.ran += ran;
        self.neighbours.insert(one.instance().to_owned(), f64::from(u32::try_from(ran).unwrap_or(u32::MAX)) + 3.0);
        self.of_counts(one, ran, objects, verdict);
    }

    /// What the schedule itself says.
    fn of_counts(&mut self, one: &Scheduled, ran: usize, objects: &Objects, verdict: &mut Verdict) {
        let name = one.name();
        let Some(status) = self.schedules.get(&name).and_then(|object| object.status.as_ref()) else {
            verdict.wrong.push(format!("{name} is gone, or says nothing"));
            return;
        };
        // Nobody can say how many slots a schedule had while it rested or was away, or which were decided when they were put back.
        let decided = i64::try_from(ran).unwrap_or(i64::MAX) + status.missed_runs;
        if matches!(one.role, Role::Keeps | Role::IsLate) && decided != i64::try_from(one.due.len()).unwrap_or(i64::MAX) {
            verdict.wrong.push(format!("{name}: of {} slots {ran} ran, and {} were missed", one.due.len(), status.missed_runs));
        }
        let is_lapsed = |object: &&DatabaseBackup| object.labels().get(SCHEDULE) == Some(&name) && phase(object) == Some(Phase::Lapsed);
        let lapsed: BTreeSet<String> = objects.values().filter(is_lapsed).map(ResourceExt::name_any).collect();
        let told: BTreeSet<String> = status.lapsed_backup_names.iter().cloned().collect();
        if lapsed != told || status.lapsed_runs < i64::try_from(lapsed.len()).unwrap_or(i64::MAX) {
            verdict.wrong.push(format!("{name}: {lapsed:?} lapsed, and it says {told:?}, {} in all", status.lapsed_runs));
        }
        let newest = objects
            .values()
            .filter(|object| object.labels().get(SCHEDULE) == Some(&name) && phase(object) == Some(Phase::Completed))
            .filter_map(|object| object.status.as_ref()?.completion_time.clone())
            .max_by_key(|time| time.0);
        if newest.as_ref().map(|time| time.0) > status.last_successful_time.as_ref().map(|time| time.0) {
            verdict.wrong.push(format!("{name}: the newest was completed at {newest:?}, and it says {:?}", status.last_successful_time));
        }
        self.missed += status.missed_runs;
    }

    /// A child that is there says truthfully how it went, and nothing of it is gone.
    fn of_child(&mut self, asked: &Asked, object: &DatabaseBackup, mine: &[Option<&BackupRecord>], verdict: &mut Verdict) {
        let (name, records) = (asked.name(), || mine.iter().flatten().copied());
        match phase(object) {
            Some(Phase::Completed) => verdict.of_object(asked, object, mine),
            // One that a newer run superseded may have attempts left.
            Some(ended @ (Phase::Failed | Phase::Lapsed)) => {
                self.lapsed += usize::from(ended == Phase::Lapsed);
                let failed = object.status.as_ref().map(|status| status.failed_attempts.clone()).unwrap_or_default();
                let told: Vec<_> = failed.iter().filter_map(|attempt| attempt.backup_id.as_ref()).collect();
                let there: Vec<_> = records().map(|backup| &backup.id).collect();
                if told != there || !records().all(is_failed) || ended == Phase::Lapsed && !there.is_empty() {
                    verdict.wrong.push(format!("{name} {}, and the cloud has {mine:?}; {:?}", ended.as_str(), object.status));
                }
                verdict.wrong.extend(records().filter(|backup| backup.deleted).map(|backup| format!("{name}: {backup:?} is gone")));
            }
            other => verdict.wrong.push(format!("{name} is {other:?} in the end: {:?}", object.status)),
        }
    }

    /// A child that is gone was chosen, and its backup is gone, too; or nothing good came of it.
    fn of_gone(&mut self, asked: &Asked, versions: &[DatabaseBackup], mine: &[Option<&BackupRecord>], verdict: &mut Verdict) {
        let (name, records) = (asked.name(), || mine.iter().flatten().copied());
        // The watch may have been away in the very moment in which the status said so.
        let says = |what: &str| self.deletions.iter().any(|line| line.contains(what) && line.contains(&format!("\"{name}\"")));
        let is_chosen =
            |child: &DatabaseBackup| child.status.as_ref().is_some_and(|status| status.delete_reason == Some(DeleteReason::Retention));
        let is_retired = versions.iter().any(is_chosen) || says("retention deletes a backup");
        let is_forgotten = says("deleted beyond failedHistoryLimit");
        let lapsed = versions.last().and_then(phase) == Some(Phase::Lapsed);
        self.lapsed += usize::from(lapsed);
        let takes_along = is_retired || asked.object.spec.deletion_policy == DeletionPolicy::Delete;
        if is_retired {
            self.retired += 1;
        } else if is_forgotten {
            self.forgotten += 1;
            verdict.wrong.extend(
                records().filter(|backup| is_good(backup)).map(|good| format!("{name} was deleted as one that failed, and has {good:?}")),
            );
        } else {
            verdict.wrong.push(format!("{name} is gone, and nobody chose it: {:?}", versions.last()));
        }
        for backup in records().filter(|backup| backup.deleted != takes_along) {
            verdict.lost += usize::from(backup.deleted);
            verdict.wrong.push(format!("{name} is gone ({:?}, by retention: {is_retired}): {backup:?}", asked.object.spec.deletion_policy));
        }
        if takes_along {
            self.deletable.extend(records().map(|backup| backup.id.clone()));
        }
    }
}
