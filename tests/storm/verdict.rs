//! What has to be true in the end.

use crate::{
    population::{Asked, End},
    runs::{self, Runs},
    schedules::Scheduled,
    simulator::{backup::BackupRecord, service::Service, state::RESTLESS},
    size::{POLL, Size},
    support::eventually,
    world::{World, ready},
};
use database_backup_operator::{
    api::{
        backup::DatabaseBackup,
        status::{CreateOutcome, DatabaseBackupStatus, Origin, Phase},
    },
    cloud::engine::Engine,
    plan::backup::status::{bytes, stored},
};
use kube::{ResourceExt, api::ListParams};
use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

/// List calls of an instance in a poll interval, for each object: kills make everybody look anew.
const LOOKS: f64 = 1.0;
/// List calls of whole projects in a poll interval: five engines with pages of running and of settled backups, for each of three accounts. Most are
/// not due every time.
const PROJECT_LISTINGS: f64 = 45.0;

/// What is wrong.
#[derive(Default)]
pub struct Verdict {
    /// Backups beyond the first of an attempt.
    pub duplicates: usize,
    /// Backups that an object tells of, or should have, and the cloud lacks.
    pub lost: usize,
    /// In words, each with its object.
    pub wrong: Vec<String>,
}

/// Waits until every object has come to its end, and every schedule to rest; answers with the last one that did, and what it was at.
pub async fn until_settled(world: &World, asked: &[Asked], schedules: &[Scheduled], size: &Size) -> String {
    let mut last = "nobody".to_owned();
    eventually(&format!("seed {}: every object comes to its end", size.seed), size.patience(), async || {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let objects = objects(world).await?;
        let mut open: Vec<String> = asked.iter().filter_map(|one| unsettled(one, objects.get(&one.name()))).collect();
        open.extend(runs::unsettled(world, schedules, &objects).await?);
        let Some(first) = open.first() else { return Ok(()) };
        last.clone_from(first);
        Err(format!("{} are not there yet:\n{}", open.len(), open.join("\n")))
    })
    .await;
    last
}

async fn objects(world: &World) -> Result<HashMap<String, DatabaseBackup>, String> {
    let listed = world.backups.list(&ListParams::default()).await.map_err(|error| error.to_string())?;
    Ok(listed.items.into_iter().map(|object| (object.name_any(), object)).collect())
}

fn unsettled(one: &Asked, object: Option<&DatabaseBackup>) -> Option<String> {
    let status = object.and_then(|object| object.status.as_ref());
    let is_settled = match one.end {
        End::Stays => status.is_some_and(|status| matches!(status.phase, Some(Phase::Completed | Phase::Failed))),
        End::Deleted | End::FlippedInTime | End::FlippedLate => object.is_none(),
    };
    let said = status.and_then(ready).map_or("nothing".to_owned(), |ready| format!("{}: {}", ready.reason, ready.message));
    (!is_settled).then(|| format!("{} ({}, {:?}) says {said}", one.name(), one.engine().as_str(), one.end))
}

/// The verdict on everything that happened in this time.
pub async fn of(world: &World, asked: &[Asked], schedules: &[Scheduled], strangers: &[String], time: Duration) -> (Verdict, Runs) {
    let objects = objects(world).await.expect("the API server answers");
    let (backups, mut verdict) = (world.cloud.backups(), Verdict::default());
    let scheduled: HashSet<&str> = schedules.iter().map(Scheduled::instance).collect();
    let foreign: HashSet<&String> = asked.iter().flat_map(|one| &one.lookalikes).chain(strangers).collect();
    let mut by_mark: HashMap<String, Vec<&BackupRecord>> = HashMap::new();
    for backup in &backups {
        if backup.name.starts_with(RESTLESS) || backup.remark.starts_with(RESTLESS) {
            // Somebody else's that comes and goes.
        } else if scheduled.contains(&*backup.instance) {
            // Those of schedules are looked at on their own.
        } else if !foreign.contains(&backup.id) {
            by_mark.entry(mark(backup)).or_default().push(backup);
        } else if backup.deleted {
            verdict.wrong.push(format!("the backup {} of somebody else is gone: {backup:?}", backup.id));
        }
    }
    let mut deletable = HashSet::new();
    for one in asked {
        let mut mine = vec![];
        for attempt in 1..=one.allowed() {
            let found = by_mark.remove(&one.mark(attempt)).unwrap_or_default();
            verdict.count(one, attempt, &found);
            mine.push(found.first().copied());
        }
        if one.may_delete() {
            deletable.extend(mine.iter().flatten().map(|backup| backup.id.clone()));
        }
        verdict.of_history(one, &world.history(&one.name()));
        match (one.end, objects.get(&one.name())) {
            (End::Stays, Some(object)) => verdict.of_object(one, object, &mine),
            (End::Stays, None) => verdict.wrong.push(format!("{} is gone, and nobody deleted it", one.name())),
            (_, Some(_)) => verdict.wrong.push(format!("{} is there again", one.name())),
            (_, None) => verdict.of_gone(one, &mine),
        }
    }
    verdict.wrong.extend(by_mark.values().flatten().map(|backup| format!("nobody asked for {backup:?}")));
    let runs = Runs::of(world, schedules, &objects, &mut verdict).await;
    deletable.extend(runs.deletable.iter().cloned());
    verdict.of_listings(world, asked, &runs, time);
    verdict.of_deletes(world, &deletable);
    (verdict, runs)
}

/// The name that a backup has in the cloud; DCS has it in the remark.
pub fn mark(backup: &BackupRecord) -> String {
    match backup.service {
        Service::Dcs => backup.remark.split(' ').next().unwrap_or_default().to_owned(),
        _ => backup.name.clone(),
    }
}

impl Verdict {
    pub fn count(&mut self, one: &Asked, attempt: usize, found: &[&BackupRecord]) {
        if found.len() > 1 {
            self.duplicates += found.len() - 1;
            self.wrong.push(format!("{} has {} backups for attempt {attempt}: {found:#?}", one.name(), found.len()));
        }
    }

    /// Nobody looks without pause. Whatever is decided, an object causes at most three looks in a poll interval; most cause far fewer.
    fn of_listings(&mut self, world: &World, asked: &[Asked], runs: &Runs, time: Duration) {
        let polls = time.as_secs_f64() / POLL.as_secs_f64();
        let mut neighbours: HashMap<&str, f64> = runs.neighbours.iter().map(|(instance, count)| (&**instance, *count)).collect();
        for one in asked {
            *neighbours.entry(&one.object.spec.source.instance_id).or_default() += 1.0;
        }
        let mut looks: HashMap<&str, f64> = HashMap::new();
        let calls = world.cloud.calls();
        for call in calls.iter().filter(|call| call.operation == "list") {
            let named = call.path_and_query.split(['/', '?', '&', '=']).find(|part| neighbours.contains_key(part));
            *looks.entry(named.unwrap_or("a project")).or_default() += 1.0;
        }
        for (instance, looks) in &looks {
            let most = polls * neighbours.get(instance).map_or(PROJECT_LISTINGS, |objects| objects * LOOKS);
            if *looks > most {
                self.wrong.push(format!("{looks:.0} list calls for {instance} in {polls:.0} poll intervals, more than {most:.0}"));
            }
        }
    }

    /// Deleted is only what may be, and each backup once.
    fn of_deletes(&mut self, world: &World, deletable: &HashSet<String>) {
        let mut accepted: HashMap<String, usize> = HashMap::new();
        for call in world.cloud.calls().into_iter().filter(|call| call.operation == "delete") {
            let id = call.path_and_query.rsplit('/').next().unwrap_or_default();
            if !deletable.contains(id) {
                self.wrong.push(format!("a DELETE that nobody may have sent: {call:?}"));
            }
            if call.status.is_some_and(|status| status < 300) {
                *accepted.entry(id.to_owned()).or_default() += 1;
            }
        }
        let twice = accepted.into_iter().filter(|(_, times)| *times > 1);
        self.wrong.extend(twice.map(|(id, times)| format!("the cloud accepted {times} DELETE calls for {id}")));
    }

    /// Nothing was ever said that cannot have been true: accounts and instances are there, no backup got lost, and what is settled stays settled.
    pub fn of_history(&mut self, one: &Asked, history: &[DatabaseBackupStatus]) {
        const NEVER: [&str; 8] = [
            "AccountNotFound",
            "AmbiguousRemote",
            "InstanceNotFound",
            "InvalidRequest",
            "Unsupported",
            "EndpointMisconfigured",
            "RemoteMissing",
            "ProgressDeadlineExceeded",
        ];
        for status in history {
            if let Some(said) = ready(status).filter(|ready| NEVER.contains(&ready.reason.as_str())) {
                self.wrong.push(format!("{} said {}: {}", one.name(), said.reason, said.message));
            }
        }
        for pair in history.windows(2) {
            let settled = pair[0].phase.filter(|phase| matches!(phase, Phase::Completed | Phase::Failed));
            if settled.is_some() && pair[1].phase != settled {
                self.wrong.push(format!("{} was {settled:?} and then {:?}", one.name(), pair[1].phase));
            }
        }
    }

    /// An object that stays: its backups are there, one for each attempt, and the status is true to them.
    pub fn of_object(&mut self, one: &Asked, object: &DatabaseBackup, mine: &[Option<&BackupRecord>]) {
        let unseen = DatabaseBackupStatus::default();
        let status = object.status.as_ref().unwrap_or(&unseen);
        let attempts = usize::try_from(status.attempts.unwrap_or_default()).unwrap_or_default();
        let mut facts = Facts { name: one.name(), wrong: &mut self.wrong };
        facts.same("attempts in the cloud", mine.iter().flatten().count(), attempts);
        facts.same("observedGeneration", Some(status.observed_generation), object.metadata.generation);
        for (nth, backup) in mine.iter().enumerate().take(attempts) {
            let Some(backup) = backup else {
                self.lost += 1;
                facts.wrong.push(format!("{}: the cloud lacks attempt {}; {status:?}", one.name(), nth + 1));
                continue;
            };
            facts.same("still there", !backup.deleted, true);
            match status.failed_attempts.get(nth) {
                Some(failed) => {
                    facts.same("failed attempt", (&failed.backup_name, failed.backup_id.as_ref()), (&mark(backup), Some(&backup.id)));
                    facts.same("a failed attempt in the cloud", is_failed(backup), true);
                }
                None => facts.of_completed(one.engine(), status, backup),
            }
        }
        let failed = status.failed_attempts.len();
        let expected = if failed == one.allowed() { Phase::Failed } else { Phase::Completed };
        facts.same("phase", status.phase, Some(expected));
        facts.same("attempts", attempts, if expected == Phase::Failed { failed } else { failed + 1 });
        let ready = ready(status).map(|ready| ready.status == "True");
        facts.same("Ready", ready, Some(expected == Phase::Completed));
    }

    /// An object that is gone: its backups went with it, or stay.
    fn of_gone(&mut self, one: &Asked, mine: &[Option<&BackupRecord>]) {
        for backup in mine.iter().flatten() {
            if one.takes_along() && !backup.deleted {
                self.wrong.push(format!("{} is gone, and its backup is still there: {backup:?}", one.name()));
            }
            if !one.may_delete() && backup.deleted {
                self.lost += 1;
                self.wrong.push(format!("{} ({:?}) is gone, and its backup went with it: {backup:?}", one.name(), one.end));
            }
        }
    }
}

pub fn is_failed(backup: &BackupRecord) -> bool {
    backup.status.eq_ignore_ascii_case("failed")
}

/// Compares what an object says with what is.
struct Facts<'a> {
    name: String,
    wrong: &'a mut Vec<String>,
}

impl Facts<'_> {
    #[allow(clippy::needless_pass_by_value, reason = "most are made for it")]
    fn same<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, is: T, should_be: T) {
        if is != should_be {
            self.wrong.push(format!("{}: {what} is {is:?} and should be {should_be:?}", self.name));
        }
    }

    fn of_completed(&mut self, engine: Engine, status: &DatabaseBackupStatus, backup: &BackupRecord) {
        self.same("backupId", status.backup_id.as_ref(), Some(&backup.id));
        self.same("backupName", status.backup_name.clone(), Some(mark(backup)));
        self.same("cloudStatus", status.cloud_status.as_ref(), Some(&backup.status));
        self.same("createOutcome", status.create_outcome, Some(CreateOutcome::Accepted));
        // DDS tells of whole kilobytes.
        let size = if engine == Engine::DDS { backup.size / 1024 * 1024 } else { backup.size };
        self.same("size", status.size.as_ref().and_then(bytes), Some(size));
        self.same("startTime", status.start_time.clone(), Some(stored(backup.created)));
        self.same("completionTime", status.completion_time.clone(), backup.ended.map(stored));
        self.same("projectId", status.project_id.as_ref(), Some(&backup.project));
        let has_jobs = matches!(engine, Engine::GeminiDB | Engine::TaurusDB | Engine::DDS | Engine::GaussDB);
        match status.origin {
            // Only the answer to the create call tells of the job.
            Some(Origin::Created) if has_jobs => self.same("jobId", status.job_id.as_ref(), Some(&backup.job)),
            Some(Origin::Created | Origin::Reattached) => self.same("jobId", status.job_id.as_ref(), None),
            other => self.same("origin", other, Some(Origin::Created)),
        }
    }
}
