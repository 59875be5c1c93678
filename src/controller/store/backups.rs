//! Every backup object in memory: its newest version, what this process knows of it, and the queue of its instance.
//!
//! The watch feeds it before it causes a reconcile, and every own write feeds it at once, so a reconcile never decides on something older than what
//! this process wrote itself.

mod entries;

use super::waker::Waker;
use crate::{
    api::{
        backup::DatabaseBackup,
        status::{DatabaseBackupStatus, Phase},
    },
    cloud::{backup::RemoteBackup, engine::Engine},
    controller::object::version,
    plan::{
        account::{AccountKey, Users, needs_for_deletion},
        backup::{
            listing_result::ListingResult,
            memory::Memory,
            name::own_marks,
            queue::{Claim, Contender, crowd, position},
            seen::Position,
        },
        clock::Moment,
        place::Project,
        settings::Settings,
        summary::{self, Instance, summaries},
    },
};
pub use entries::Polled;
use entries::{BackupEntries, BackupEntry};
use kube::{ResourceExt, runtime::reflector::ObjectRef};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Every backup object in memory.
#[derive(Default)]
pub struct Backups {
    entries: Mutex<BackupEntries>,
    /// Has objects reconciled soon.
    pub waker: Waker<DatabaseBackup>,
}

impl Backups {
    /// The watch showed a version of an object; an older one than what is known changes nothing. One that was not known came into being now.
    pub fn track(&self, object: Arc<DatabaseBackup>, now: Moment) {
        lock(&self.entries).track(object, Some(now));
    }

    /// An object was found before the watch showed it. Who knows how long it has been there.
    pub fn found(&self, object: Arc<DatabaseBackup>) {
        lock(&self.entries).track(object, None);
    }

    /// A listing of a namespace (absent: all) begins. What is known of each object now, it has to show, or the store was put back.
    pub fn begin_listing(&self, namespace: Option<&str>) {
        for entry in lock(&self.entries).by_uid.values_mut().filter(|entry| entry.is_in(namespace)) {
            entry.listed_from = version(entry.object.as_ref());
        }
    }

    /// The API server's store was put back to an earlier state: what this process knows of the objects is forgotten, as by a restart.
    pub fn put_back(&self, now: Moment) {
        lock(&self.entries).put_back(now);
    }

    /// When the store was found put back, if it was.
    pub fn was_put_back(&self) -> Option<Moment> {
        lock(&self.entries).put_back
    }

    /// A version of an object came from elsewhere, such as the answer to a write. Answers with the newest. It may come after the watch showed that the
    /// object is gone, and does not bring it back: it would hold its instance for ever.
    pub fn newest(&self, object: Arc<DatabaseBackup>) -> Arc<DatabaseBackup> {
        lock(&self.entries).newest(object)
    }

    /// Whether a listing that showed these objects says that the store was put back: one of them is older than what was known when the listing began.
    pub fn are_older(&self, objects: &[Arc<DatabaseBackup>]) -> bool {
        let entries = lock(&self.entries);
        let is_older = |object: &Arc<DatabaseBackup>| {
            let known = object.uid().and_then(|uid| entries.by_uid.get(&uid)?.listed_from);
            version(object.as_ref()).zip(known).is_some_and(|(listed, known)| listed < known)
        };
        objects.iter().any(is_older)
    }

    /// A listing of a namespace (absent: all) showed exactly these objects, and it is the truth.
    pub fn replace(&self, namespace: Option<&str>, objects: Vec<Arc<DatabaseBackup>>) {
        let mut entries = lock(&self.entries);
        let listed: HashSet<String> = objects.iter().filter_map(|object| object.uid()).collect();
        let gone: Vec<String> = entries
            .by_uid
            .iter()
            .filter(|(uid, entry)| !listed.contains(*uid) && entry.is_in(namespace))
            .map(|(uid, _)| uid.clone())
            .collect();
        for uid in gone {
            entries.remove(&uid);
        }
        for object in objects {
            entries.track(object, None);
        }
    }

    /// An object is gone; those that waited for its instance are woken.
    pub fn forget(&self, uid: &str) {
        let removed = lock(&self.entries).remove(uid);
        if let Some(entry) = removed {
            self.wake_instance(&entry.object.spec.source.instance_id, uid);
        }
    }

    /// Reads or changes what this process knows of an object, beside what its status says. `None` once the object is gone.
    pub fn memory<R>(&self, uid: &str, with: impl FnOnce(&mut Memory, &DatabaseBackupStatus) -> R) -> Option<R> {
        let mut entries = lock(&self.entries);
        let entry = entries.by_uid.get_mut(uid)?;
        let unseen = DatabaseBackupStatus::default();
        Some(with(&mut entry.memory, entry.object.status.as_ref().unwrap_or(&unseen)))
    }

    /// When an object came into being, if this process saw that.
    pub fn born(&self, uid: &str) -> Option<Moment> {
        lock(&self.entries).by_uid.get(uid)?.born
    }

    /// A listing of an instance, read on behalf of one object, serves all others that wait to be asked for: each gets what it has there under any name
    /// that it may ever have had. Those that have something are woken.
    pub fn share_survey(&self, account: &AccountKey, engine: Engine, instance_id: &str, backups: &[RemoteBackup], result: &ListingResult) {
        let by_mark: HashMap<&str, &RemoteBackup> = backups.iter().map(|backup| (backup.mark.as_str(), backup)).collect();
        let mut entries = lock(&self.entries);
        let entries = &mut *entries;
        let peers = entries.by_instance.get(instance_id).into_iter().flatten();
        let mut found = Vec::new();
        for uid in peers {
            let Some(entry) = entries.by_uid.get_mut(uid).filter(|entry| entry.waits_with(account, engine)) else { continue };
            let name = entry.object.name_any();
            let marks = own_marks(engine, &name, uid, instance_id);
            let own: Vec<RemoteBackup> = marks.filter_map(|mark| by_mark.get(mark.as_str()).map(|backup| (*backup).clone())).collect();
            if !own.is_empty() {
                found.push(entry.reference());
            }
            entry.memory.surveyed(&ListingResult { found: own, ..result.clone() });
        }
        self.waker.wake(&found);
    }

    /// The object's place in the queue of its instance; if it is first, it stays so until [`Backups::leave_queue`].
    pub fn join_queue(&self, uid: &str, place: &Project, place_of: impl Fn(&AccountKey) -> Option<Project>, now: Moment) -> Position {
        let mut entries = lock(&self.entries);
        let Some(me) = entries.by_uid.get(uid) else { return Position::NotAsked };
        let mine = me.contender(now);
        // Whoever asks wants it.
        let mine = if mine.claim == Claim::Nothing { Contender { claim: Claim::Waits, ..mine } } else { mine };
        let peers = entries.by_instance.get(&me.object.spec.source.instance_id).into_iter().flatten();
        let others: Vec<Contender> = peers
            .filter(|peer| *peer != uid)
            .filter_map(|peer| entries.by_uid.get(peer))
            .filter(|peer| peer.is_of(place, &place_of))
            .map(|peer| peer.contender(now))
            .collect();
        let position = crowd(&mine, others.iter()).map_or_else(|| position(&mine, others.iter()), Position::TooMany);
        if let Some(me) = entries.by_uid.get_mut(uid).filter(|_| position == Position::First) {
            me.submitting = true;
            me.shown = Some(Claim::Holds);
        }
        position
    }

    /// The reconcile has ended, well or not, and the place in the queue with it. Whoever waits for the instance is woken if the object claims something else
    /// of it than they were last woken for: not only a reconcile changes that, but also the time and the account, and a first place may end unused.
    pub fn leave_queue(&self, uid: &str, well: bool, place_of: impl Fn(&AccountKey) -> Option<Project>, now: Moment) {
        let mut entries = lock(&self.entries);
        let Some(me) = entries.by_uid.get_mut(uid) else { return };
        me.submitting = false;
        me.failures = if well { 0 } else { me.failures };
        let is_usable = me.is_recorded() || place_of(&AccountKey::of(&me.object)).is_some();
        let claim = is_usable.then(|| me.contender(now).claim);
        let changed = std::mem::replace(&mut me.shown, claim) != claim;
        let instance = me.object.spec.source.instance_id.clone();
        drop(entries);
        if changed {
            self.wake_instance(&instance, uid);
        }
    }

    /// A reconcile did not come to an end. Answers with how many before it did not either.
    pub fn failed(&self, uid: &str) -> u32 {
        let mut entries = lock(&self.entries);
        let Some(entry) = entries.by_uid.get_mut(uid) else { return 0 };
        entry.failures = entry.failures.saturating_add(1);
        entry.failures - 1
    }

    /// The backups of a schedule, and what looks like one of them.
    pub fn of_schedule(&self, namespace: &str, name: &str) -> Vec<Arc<DatabaseBackup>> {
        let entries = lock(&self.entries);
        let uids = entries.by_schedule.get(&(namespace.to_owned(), name.to_owned())).into_iter().flatten();
        uids.filter_map(|uid| entries.by_uid.get(uid)).map(|entry| entry.object.clone()).collect()
    }

    /// Whether another object, which is not about to go, adopts this backup. It may name the instance wrongly, and still counts.
    pub fn is_adopted(&self, backup_id: &str, except_uid: &str) -> bool {
        let entries = lock(&self.entries);
        let others = entries.by_adopted.get(backup_id).into_iter().flatten().filter(|uid| *uid != except_uid);
        others.filter_map(|uid| entries.by_uid.get(uid)).any(|other| other.object.metadata.deletion_timestamp.is_none())
    }

    /// Whether an object has a backup of an instance.
    pub fn has(&self, instance_id: &str, backup_id: &str) -> bool {
        let entries = lock(&self.entries);
        let mut peers = entries.by_instance.get(instance_id).into_iter().flatten().filter_map(|uid| entries.by_uid.get(uid));
        peers.any(|entry| entry.status().and_then(|status| status.backup_id.as_deref()) == Some(backup_id))
    }

    /// Has an object reconciled soon.
    pub fn wake(&self, uid: &str) {
        let object = lock(&self.entries).by_uid.get(uid).map(|entry| ObjectRef::from_obj(entry.object.as_ref()));
        if let Some(object) = object {
            self.waker.wake(&[object]);
        }
    }

    /// Wakes the unfinished objects of an instance, but for one.
    fn wake_instance(&self, instance_id: &str, except: &str) {
        let entries = lock(&self.entries);
        let peers = entries.by_instance.get(instance_id).into_iter().flatten().filter(|uid| *uid != except);
        let objects: Vec<_> =
            peers.filter_map(|uid| entries.by_uid.get(uid)).filter(|m| m.is_unfinished()).map(BackupEntry::reference).collect();
        drop(entries);
        self.waker.wake(&objects);
    }

    /// Wakes the unfinished objects that name an account.
    pub fn wake_account(&self, account: &AccountKey) {
        let entries = lock(&self.entries);
        let objects: Vec<_> = entries
            .by_uid
            .values()
            .filter(|m| m.is_unfinished() && AccountKey::of(&m.object) == *account)
            .map(BackupEntry::reference)
            .collect();
        drop(entries);
        self.waker.wake(&objects);
    }

    /// How many objects need an account.
    pub fn users_of(&self, account: &AccountKey) -> Users {
        let entries = lock(&self.entries);
        let naming = entries.by_uid.values().filter(|entry| AccountKey::of(&entry.object) == *account);
        naming.fold(Users::default(), |users, entry| Users {
            all: users.all + 1,
            for_deletion: users.for_deletion + usize::from(needs_for_deletion(&entry.object)),
        })
    }

    /// Wakes every unfinished object.
    pub fn wake_unfinished(&self) {
        let objects: Vec<_> = lock(&self.entries).by_uid.values().filter(|m| m.is_unfinished()).map(BackupEntry::reference).collect();
        self.waker.wake(&objects);
    }

    /// Every running backup; and, where any settled one is due for its slow look, the settled ones, since one listing serves all of them.
    pub fn polled(&self, settings: &Settings, now: Moment) -> Vec<Polled> {
        let entries = lock(&self.entries);
        // Thousands of settled objects are asked this every few seconds, so nothing is copied for the answer.
        let any_due = entries.by_uid.iter().any(|(uid, entry)| entry.is_due(uid, settings, now));
        let wanted = entries.by_uid.iter().filter(|(_, entry)| entry.phase() == Some(Phase::Running) || any_due);
        wanted.filter_map(|(uid, entry)| entry.polled(uid, settings, now)).collect()
    }

    /// How many objects are in each phase; those without one yet count as Pending.
    pub fn count_by_phase(&self) -> Vec<(Phase, usize)> {
        let mut counts: HashMap<Phase, usize> = HashMap::new();
        for object in self.objects() {
            let phase = object.status.as_ref().and_then(|status| status.phase);
            *counts.entry(phase.unwrap_or(Phase::Pending)).or_default() += 1;
        }
        Phase::ALL.iter().map(|phase| (*phase, counts.get(phase).copied().unwrap_or_default())).collect()
    }

    /// How the backups of each instance stand.
    pub fn summaries(&self) -> BTreeMap<Instance, summary::Summary> {
        summaries(self.objects().iter().map(AsRef::as_ref))
    }

    /// Every object. Reconciles wait for the lock, so no more than pointers are copied under it.
    fn objects(&self) -> Vec<Arc<DatabaseBackup>> {
        lock(&self.entries).by_uid.values().map(|entry| entry.object.clone()).collect()
    }
}

/// A poisoned lock only says that another thread panicked; every change under these locks is one assignment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
