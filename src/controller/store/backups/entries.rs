//! The objects themselves, under the store's lock: each with its newest version and what this process knows of it.

use crate::{
    api::{
        SCHEDULE,
        backup::DatabaseBackup,
        conditions::Kstatus,
        status::{DatabaseBackupStatus, Phase},
    },
    cloud::engine::Engine,
    controller::object::{created, version},
    plan::{
        account::AccountKey,
        backup::{
            memory::Memory,
            queue::{Claim, Contender, Life, claim},
            reason::Reason,
        },
        clock::Moment,
        place::Project,
        schedule::child::schedules,
        settings::Settings,
    },
};
use jiff::Timestamp;
use kube::{ResourceExt, runtime::reflector::ObjectRef};
use std::{
    collections::{HashMap, HashSet},
    hash::Hash,
    sync::Arc,
};

/// A backup that somebody has to look at.
#[derive(Clone, Debug)]
pub struct Polled {
    /// The object's UID.
    pub uid: String,
    /// The account to look with.
    pub account: AccountKey,
    /// The service to look at.
    pub engine: Engine,
    /// The instance.
    pub instance_id: String,
    /// The newest version of the object.
    pub object: Arc<DatabaseBackup>,
    /// The cloud's id of the backup.
    pub backup_id: String,
    /// The mark of its latest attempt.
    pub mark: String,
    /// When it was asked for, by the wall clock.
    pub asked: Timestamp,
    /// The object adopted it, so nobody knows when it began, nor whether somebody asked for it.
    pub is_imported: bool,
    /// Whether the cloud is taking it, as far as is known; else it is settled, and looked at from time to time.
    pub is_running: bool,
    /// When this process last saw it, by a listing or by the answer to its create call.
    pub seen: Option<Moment>,
    /// A settled one is due for its slow look.
    pub is_due: bool,
}

#[derive(Default)]
pub(super) struct BackupEntries {
    pub(super) by_uid: HashMap<String, BackupEntry>,
    pub(super) by_instance: HashMap<String, HashSet<String>>,
    /// By namespace and name of the schedule: its backups, and what looks like one of them.
    pub(super) by_schedule: HashMap<(String, String), HashSet<String>>,
    /// By the cloud's id of a backup: the objects that adopt it.
    pub(super) by_adopted: HashMap<String, HashSet<String>>,
    /// When the API server's store was found put back to an earlier state.
    pub(super) put_back: Option<Moment>,
}

pub(super) struct BackupEntry {
    pub(super) object: Arc<DatabaseBackup>,
    pub(super) memory: Memory,
    /// When the watch showed that it came into being; absent for one that a listing showed.
    pub(super) born: Option<Moment>,
    /// Its version when the listing that is under way began: a listing that shows an older one is of a store that was put back.
    pub(super) listed_from: Option<u64>,
    /// What is known of it may be newer than what is stored now: the next version counts, whatever its number.
    pub(super) is_void: bool,
    /// A reconcile was first in the instance's queue and has not ended yet.
    pub(super) submitting: bool,
    /// Reconciles in a row that did not come to an end.
    pub(super) failures: u32,
    /// What it claimed of its instance when its peers were last woken for that; absent while its account cannot be used.
    pub(super) shown: Option<Claim>,
}

impl BackupEntries {
    pub(super) fn track(&mut self, object: Arc<DatabaseBackup>, born: Option<Moment>) {
        let Some(uid) = object.uid() else { return };
        if self.by_uid.contains_key(&uid) {
            self.newest(object);
            return;
        }
        self.by_instance.entry(object.spec.source.instance_id.clone()).or_default().insert(uid.clone());
        if let Some(adopted) = &object.spec.source.existing_backup_id {
            self.by_adopted.entry(adopted.clone()).or_default().insert(uid.clone());
        }
        for schedule in schedules_of(&object) {
            self.by_schedule.entry(schedule).or_default().insert(uid.clone());
        }
        let (memory, listed_from, is_void) = (Memory::default(), None, false);
        self.by_uid.insert(uid, BackupEntry { object, memory, born, listed_from, is_void, submitting: false, failures: 0, shown: None });
    }

    pub(super) fn put_back(&mut self, now: Moment) {
        self.put_back = Some(now);
        for entry in self.by_uid.values_mut() {
            entry.memory = Memory::default();
            (entry.born, entry.listed_from, entry.is_void) = (None, None, true);
        }
    }

    pub(super) fn newest(&mut self, object: Arc<DatabaseBackup>) -> Arc<DatabaseBackup> {
        let Some(entry) = object.uid().and_then(|uid| self.by_uid.get_mut(&uid)) else { return object };
        if entry.is_void || !is_older(&object, &entry.object) {
            let before = std::mem::replace(&mut entry.object, object);
            entry.is_void = false;
            let newest = entry.object.clone();
            self.move_label(&before, &newest);
            return newest;
        }
        entry.object.clone()
    }

    /// A label may be put on an object, and taken off.
    fn move_label(&mut self, before: &DatabaseBackup, after: &DatabaseBackup) {
        if before.labels().get(SCHEDULE) == after.labels().get(SCHEDULE) {
            return;
        }
        let uid = after.uid().unwrap_or_default();
        for schedule in schedules_of(before) {
            drop_from(&mut self.by_schedule, &schedule, &uid);
        }
        for schedule in schedules_of(after) {
            self.by_schedule.entry(schedule).or_default().insert(uid.clone());
        }
    }

    pub(super) fn remove(&mut self, uid: &str) -> Option<BackupEntry> {
        let entry = self.by_uid.remove(uid)?;
        let source = &entry.object.spec.source;
        drop_from(&mut self.by_instance, &source.instance_id, uid);
        if let Some(adopted) = &source.existing_backup_id {
            drop_from(&mut self.by_adopted, adopted, uid);
        }
        for schedule in schedules_of(&entry.object) {
            drop_from(&mut self.by_schedule, &schedule, uid);
        }
        Some(entry)
    }
}

/// Takes a UID out of an index, and its place with the last one.
fn drop_from<K: Eq + Hash>(index: &mut HashMap<K, HashSet<String>>, key: &K, uid: &str) {
    if let Some(uids) = index.get_mut(key) {
        uids.remove(uid);
        if uids.is_empty() {
            index.remove(key);
        }
    }
}

/// Namespace and name of the schedules that an object is a backup of, or looks like one of.
pub(super) fn schedules_of(object: &DatabaseBackup) -> Vec<(String, String)> {
    let namespace = object.namespace().unwrap_or_default();
    schedules(object).into_iter().map(|name| (namespace.clone(), name)).collect()
}

/// Whether a version is older than another; where one of them is no number, the newcomer wins.
fn is_older(a: &DatabaseBackup, b: &DatabaseBackup) -> bool {
    version(a).zip(version(b)).is_some_and(|(a, b)| a < b)
}

impl BackupEntry {
    pub(super) fn reference(&self) -> ObjectRef<DatabaseBackup> {
        ObjectRef::from_obj(self.object.as_ref())
    }

    pub(super) fn status(&self) -> Option<&DatabaseBackupStatus> {
        self.object.status.as_ref()
    }

    pub(super) fn phase(&self) -> Option<Phase> {
        self.status().and_then(|status| status.phase)
    }

    /// Whether anything is still to be done for it, a deletion among it.
    pub(super) fn is_unfinished(&self) -> bool {
        let is_under_way = matches!(self.phase(), None | Some(Phase::Pending | Phase::Running));
        let is_to_go = |status: &DatabaseBackupStatus| status.expiration_time.is_some() || status.delete_reason.is_some();
        let goes = self.phase() == Some(Phase::Completed) && self.status().is_some_and(is_to_go);
        is_under_way || goes || self.object.metadata.deletion_timestamp.is_some()
    }

    pub(super) fn contender(&self, now: Moment) -> Contender {
        let created = created(self.object.as_ref());
        let deadline = self.object.spec.progress_deadline();
        let importing = self.object.spec.source.existing_backup_id.is_some();
        let deleting = self.object.metadata.deletion_timestamp.is_some();
        let unseen = DatabaseBackupStatus::default();
        let status = self.status().unwrap_or(&unseen);
        let claim = claim(status, Life { created, deadline, importing, deleting }, &self.memory, now);
        let waits = match self.memory.reported {
            Some(reason) => reason == Reason::TooManyQueued || reason.kstatus() == Kstatus::InProgress,
            None => true,
        };
        Contender {
            created,
            uid: self.object.uid().unwrap_or_default(),
            namespace: self.object.namespace().unwrap_or_default(),
            name: self.object.name_any(),
            claim: if self.submitting { Claim::Holds } else { claim },
            is_unasked: waits
                && !importing
                && !deleting
                && status.backup_name.is_none()
                && matches!(status.phase, None | Some(Phase::Pending)),
        }
    }

    pub(super) fn is_in(&self, namespace: Option<&str>) -> bool {
        namespace.is_none_or(|namespace| self.object.metadata.namespace.as_deref() == Some(namespace))
    }

    /// Whether the status says where its backup is.
    pub(super) fn is_recorded(&self) -> bool {
        self.status().is_some_and(|status| status.project_id.is_some())
    }

    /// Whether its backup is, or will be, taken in a project: where the status says so, else where its account points.
    pub(super) fn is_of(&self, project: &Project, project_of: impl Fn(&AccountKey) -> Option<Project>) -> bool {
        match self.status().filter(|_| self.is_recorded()) {
            Some(status) => project.holds(status),
            None => project_of(&AccountKey::of(&self.object)).is_some_and(|there| there == *project),
        }
    }

    /// Whether it waits to be asked for with this account, and what it has in the cloud is not known.
    pub(super) fn waits_with(&self, account: &AccountKey, engine: Engine) -> bool {
        let source = &self.object.spec.source;
        let is_on_its_way = matches!(self.phase(), None | Some(Phase::Pending)) && source.existing_backup_id.is_none();
        is_on_its_way && source.engine == engine && AccountKey::of(&self.object) == *account
    }

    /// Settled, and due for its slow look; or lacking in a listing, and due for the next one that says whether it is gone.
    pub(super) fn is_due(&self, uid: &str, settings: &Settings, now: Moment) -> bool {
        let Some(status) = self.status().filter(|status| matches!(status.phase, Some(Phase::Completed | Phase::Missing))) else {
            return false;
        };
        if let Some(absence) = self.memory.absence.filter(|absence| !absence.is_long(settings)) {
            return now.since(absence.last) >= settings.gone_after;
        }
        let seen_lately = self.memory.latest_result.as_ref().is_some_and(|seen| now.since(seen.started) < settings.resync_interval / 2);
        let lot = uid.bytes().fold(0_u64, |lot, byte| lot.wrapping_mul(31).wrapping_add(byte.into()));
        let synced = status.last_sync_time.as_ref().map_or_else(|| created(self.object.as_ref()), |time| time.0);
        !seen_lately && now.since_wall(synced) >= settings.resync_after(lot)
    }

    pub(super) fn polled(&self, uid: &str, settings: &Settings, now: Moment) -> Option<Polled> {
        let status = self.status().filter(|status| matches!(status.phase, Some(Phase::Running | Phase::Completed | Phase::Missing)))?;
        let sent = self.memory.own_intent(status).map(|own| own.begun);
        Some(Polled {
            uid: uid.to_owned(),
            account: AccountKey::of(&self.object),
            engine: self.object.spec.source.engine,
            instance_id: self.object.spec.source.instance_id.clone(),
            backup_id: status.backup_id.clone()?,
            mark: status.backup_name.clone().unwrap_or_default(),
            // The cloud's own time of its beginning may be the earlier one.
            asked: [status.request_time.as_ref().map(|time| time.0), status.start_time.as_ref().map(|time| time.0)]
                .into_iter()
                .flatten()
                .min()
                .unwrap_or_else(|| created(self.object.as_ref())),
            is_imported: self.object.spec.source.existing_backup_id.is_some(),
            object: self.object.clone(),
            is_running: status.phase == Some(Phase::Running),
            seen: self.memory.latest_result.as_ref().map(|latest| latest.started).max(sent),
            is_due: self.is_due(uid, settings, now),
        })
    }
}
