//! Every schedule in memory: its newest version, and what this process knows of it.

use super::{queue::Key, waker::Waker};
use crate::{
    api::{backup::DatabaseBackup, schedule::DatabaseBackupSchedule},
    controller::object::version,
    plan::{
        account::AccountKey,
        clock::Moment,
        schedule::{child::schedules, memory::Memory},
    },
};
use kube::ResourceExt;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Every schedule in memory.
#[derive(Default)]
pub struct Schedules {
    entries: Mutex<HashMap<Name, ScheduleEntry>>,
    /// Has schedules reconciled soon.
    pub waker: Waker,
}

/// Namespace and name.
type Name = (String, String);

struct ScheduleEntry {
    object: Arc<DatabaseBackupSchedule>,
    memory: Memory,
    /// What is known of it may be newer than what is stored now: the next version counts, whatever its number.
    is_void: bool,
    /// The listing under way has not shown it yet.
    is_unlisted: bool,
}

impl ScheduleEntry {
    fn key(&self) -> Key {
        key(&self.object)
    }

    fn is_in(&self, namespace: Option<&str>) -> bool {
        namespace.is_none_or(|namespace| self.object.metadata.namespace.as_deref() == Some(namespace))
    }

    fn names(&self, account: &AccountKey) -> bool {
        let namespace = self.object.namespace().unwrap_or_default();
        AccountKey::named(&self.object.spec.backup_template.spec.account_ref, &namespace) == *account
    }
}

impl Schedules {
    /// A version of a schedule came from its watch, or from the answer to a write. Answers with the newest one.
    pub fn newest(&self, object: Arc<DatabaseBackupSchedule>, now: Moment) -> Arc<DatabaseBackupSchedule> {
        let mut entries = self.entries();
        let Some(entry) = entries.get_mut(&name(&object)).filter(|entry| entry.object.uid() == object.uid()) else {
            let entry = ScheduleEntry { object: object.clone(), memory: Memory::new(now), is_void: false, is_unlisted: false };
            entries.insert(name(&object), entry);
            return object;
        };
        let is_older = version(object.as_ref()).zip(version(entry.object.as_ref())).is_some_and(|(new, known)| new < known);
        if entry.is_void || !is_older {
            (entry.object, entry.is_void) = (object, false);
        }
        entry.object.clone()
    }

    /// A schedule is gone; another one of its name stays.
    pub fn forget(&self, object: &DatabaseBackupSchedule) {
        let mut entries = self.entries();
        if entries.get(&name(object)).is_some_and(|entry| entry.object.uid() == object.uid()) {
            entries.remove(&name(object));
        }
    }

    /// The newest version of a schedule.
    pub fn find(&self, key: &Key) -> Option<Arc<DatabaseBackupSchedule>> {
        let name = (key.namespace.as_deref().unwrap_or_default().to_owned(), key.id.to_string());
        self.entries().get(&name).map(|entry| entry.object.clone())
    }

    /// A listing of a namespace (absent: all) begins.
    pub fn begin_listing(&self, namespace: Option<&str>) {
        for entry in self.entries().values_mut().filter(|entry| entry.is_in(namespace)) {
            entry.is_unlisted = true;
        }
    }

    /// It shows a schedule.
    pub fn shown(&self, object: Arc<DatabaseBackupSchedule>, now: Moment) {
        let object = self.newest(object, now);
        if let Some(entry) = self.entries().get_mut(&name(&object)) {
            entry.is_unlisted = false;
        }
    }

    /// It has shown every schedule that there is: the rest is gone. Answers with them.
    pub fn end_listing(&self, namespace: Option<&str>) -> Vec<Key> {
        let mut entries = self.entries();
        entries.retain(|_, entry| !entry.is_unlisted || !entry.is_in(namespace));
        entries.values().filter(|entry| entry.is_in(namespace)).map(ScheduleEntry::key).collect()
    }

    /// The API server's store was put back to an earlier state.
    pub fn put_back(&self, now: Moment) {
        for entry in self.entries().values_mut() {
            entry.memory.put_back(now);
            entry.is_void = true;
        }
    }

    /// Reads or changes what this process knows of a schedule. `None` once it is gone.
    pub fn memory<R>(&self, object: &DatabaseBackupSchedule, with: impl FnOnce(&mut Memory) -> R) -> Option<R> {
        let mut entries = self.entries();
        entries.get_mut(&name(object)).filter(|entry| entry.object.uid() == object.uid()).map(|entry| with(&mut entry.memory))
    }

    /// Wakes the schedules of a namespace (absent: all).
    pub fn wake_namespace(&self, namespace: Option<&str>) {
        self.wake_where(|entry| entry.is_in(namespace));
    }

    /// Wakes the schedules that a backup belongs to, or seems to.
    pub fn wake_parents(&self, backup: &DatabaseBackup) {
        let namespace = backup.namespace().unwrap_or_default();
        let parents = schedules(backup);
        let entries = self.entries();
        let found = parents.into_iter().filter_map(|parent| entries.get(&(namespace.clone(), parent)));
        let keys: Vec<Key> = found.map(ScheduleEntry::key).collect();
        drop(entries);
        self.waker.wake(keys);
    }

    /// Wakes the schedules whose template names an account.
    pub fn wake_account(&self, account: &AccountKey) {
        self.wake_where(|entry| entry.names(account));
    }

    /// How many schedules have a template that names an account.
    pub fn naming(&self, account: &AccountKey) -> usize {
        self.entries().values().filter(|entry| entry.names(account)).count()
    }

    /// Wakes a schedule.
    pub fn wake(&self, object: &DatabaseBackupSchedule) {
        self.waker.wake([key(object)]);
    }

    /// Wakes every schedule.
    pub fn wake_all(&self) {
        self.wake_where(|_| true);
    }

    /// Every schedule, and how many objects only seem to be its backups.
    pub fn all(&self) -> Vec<(Arc<DatabaseBackupSchedule>, usize)> {
        self.entries().values().map(|entry| (entry.object.clone(), entry.memory.strays.len())).collect()
    }

    fn wake_where(&self, is_meant: impl Fn(&ScheduleEntry) -> bool) {
        let keys: Vec<Key> = self.entries().values().filter(|entry| is_meant(entry)).map(ScheduleEntry::key).collect();
        self.waker.wake(keys);
    }

    /// Every change under the lock is complete in itself.
    fn entries(&self) -> MutexGuard<'_, HashMap<Name, ScheduleEntry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn name(object: &DatabaseBackupSchedule) -> Name {
    (object.namespace().unwrap_or_default(), object.name_any())
}

fn key(object: &DatabaseBackupSchedule) -> Key {
    Key::new(object.metadata.namespace.as_deref(), object.metadata.name.as_deref().unwrap_or_default())
}
