//! Every backup object in memory: its newest version, what this process knows of it, and the queue of its instance.
//!
//! The watch feeds it before it causes a reconcile, and every own write feeds it at once, so a reconcile never decides on something older than what
//! this process wrote itself.

mod entries;
mod facts;
mod packed;
mod polled;

use super::{queue::Key, waker::Waker};
use crate::{
    api::{
        backup::DatabaseBackup,
        status::{DatabaseBackupStatus, Phase},
    },
    cloud::{backup::RemoteBackup, engine::Engine},
    controller::object::version,
    plan::{
        account::{AccountKey, Users},
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
use entries::{BackupEntries, BackupEntry, State};
use facts::Facts;
use kube::ResourceExt;
pub use polled::{Lot, Polled};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::Notify;

/// Every backup object in memory.
#[derive(Default)]
pub struct Backups {
    entries: Mutex<BackupEntries>,
    /// Has objects reconciled soon.
    pub waker: Waker,
    /// There may be something to poll for: an account can be used, or a listing has shown everything.
    pub poll_soon: Notify,
}

impl Backups {
    /// The watch showed a version of an object; an older one than what is known changes nothing. One that was not known came into being now. Answers whether it
    /// is another version than what was known.
    pub fn track(&self, object: Arc<DatabaseBackup>, now: Moment) -> bool {
        lock(&self.entries).track(object, Some(now))
    }

    /// An object was found before the watch showed it. Who knows how long it has been there.
    pub fn found(&self, object: Arc<DatabaseBackup>) {
        lock(&self.entries).track(object, None);
    }

    /// The newest version of an object, which is about to be reconciled.
    pub fn find(&self, uid: &str) -> Option<Arc<DatabaseBackup>> {
        lock(&self.entries).revive(uid).map(|live| live.object.clone())
    }

    /// A listing of a namespace (absent: all) begins. What is known of each object now, it has to show, or the store was put back.
    pub fn begin_listing(&self, namespace: Option<&str>) {
        for entry in lock(&self.entries).by_uid.values_mut().filter(|entry| entry.facts.is_in(namespace)) {
            (entry.listed_from, entry.is_unlisted) = (if entry.is_void { None } else { entry.version }, true);
        }
    }

    /// Whether the listing under way says, by showing this object, that the store was put back: it is older than what was known when the listing began.
    pub fn is_put_back_by(&self, object: &DatabaseBackup) -> bool {
        let known = object.metadata.uid.as_deref().and_then(|uid| lock(&self.entries).by_uid.get(uid)?.listed_from);
        version(object).zip(known).is_some_and(|(listed, known)| listed < known)
    }

    /// The listing under way shows an object. One that nothing is to be done for rests at once: there may be very many.
    pub fn shown(&self, object: Arc<DatabaseBackup>, settings: &Settings, now: Moment) {
        let mut entries = lock(&self.entries);
        let uid = object.uid().unwrap_or_default();
        let is_unused = entries.live(&uid).is_none();
        entries.track(object, None);
        if is_unused {
            entries.rest(&uid, None, settings, now);
        }
        if let Some(entry) = entries.by_uid.get_mut(uid.as_str()) {
            entry.is_unlisted = false;
        }
    }

    /// The listing of a namespace (absent: all) has shown everything that there is: the rest is gone. Answers with what has to be reconciled.
    pub fn end_listing(&self, namespace: Option<&str>) -> Vec<Key> {
        let mut entries = lock(&self.entries);
        let is_gone = |(uid, entry): (&Arc<str>, &BackupEntry)| (entry.is_unlisted && entry.facts.is_in(namespace)).then(|| uid.clone());
        for uid in entries.by_uid.iter().filter_map(is_gone).collect::<Vec<_>>() {
            entries.remove(&uid);
        }
        entries.listed.insert(namespace.map(ToOwned::to_owned));
        self.poll_soon.notify_one();
        let here = entries.live.iter().filter_map(|uid| Some((uid, entries.by_uid.get(uid)?)));
        here.filter(|(_, entry)| entry.facts.is_in(namespace)).map(|(uid, entry)| entry.key(uid)).collect()
    }

    /// Whether the watch of a namespace (absent: of all) has shown every backup that there is.
    pub fn are_listed(&self, namespace: Option<&str>) -> bool {
        lock(&self.entries).listed.contains(&namespace.map(ToOwned::to_owned))
    }

    /// A reconcile has ended, and the object is to be looked at again after so long (absent: when something happens). Answers whether it rests: then it is
    /// woken here when its time comes.
    pub fn rest(&self, uid: &str, again_after: Option<Duration>, settings: &Settings, now: Moment) -> bool {
        lock(&self.entries).rest(uid, again_after, settings, now)
    }

    /// Wakes those at rest whose time has come.
    pub fn wake_due(&self, now: Moment) {
        let keys = lock(&self.entries).take_due(now.wall);
        self.waker.wake(keys);
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

    /// An object is gone; those that waited for its instance are woken.
    pub fn forget(&self, uid: &str) {
        let removed = lock(&self.entries).remove(uid);
        if let Some(facts) = removed {
            self.wake_instance(&facts.instance_id, uid);
        }
    }

    /// Reads or changes what this process knows of an object, beside what its status says. `None` once the object is gone.
    pub fn memory<R>(&self, uid: &str, with: impl FnOnce(&mut Memory, &DatabaseBackupStatus) -> R) -> Option<R> {
        let mut entries = lock(&self.entries);
        let live = entries.revive(uid)?;
        let unseen = DatabaseBackupStatus::default();
        Some(with(&mut live.memory, live.object.status.as_ref().unwrap_or(&unseen)))
    }

    /// When an object came into being, if this process saw that.
    pub fn born(&self, uid: &str) -> Option<Moment> {
        lock(&self.entries).live(uid)?.1.born
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
            let Some(entry) = entries.by_uid.get_mut(uid) else { continue };
            let key = entry.key(uid);
            let State::Live(live) = &mut entry.state else { continue };
            if !live.waits_with(account, engine) {
                continue;
            }
            let name = live.object.name_any();
            let marks = own_marks(engine, &name, uid, instance_id);
            let own: Vec<RemoteBackup> = marks.filter_map(|mark| by_mark.get(mark.as_str()).map(|backup| (*backup).clone())).collect();
            if !own.is_empty() {
                found.push(key);
            }
            live.memory.surveyed(&ListingResult { found: own, ..result.clone() });
        }
        self.waker.wake(found);
    }

    /// The object's place in the queue of its instance; if it is first, it stays so until [`Backups::leave_queue`].
    pub fn join_queue(&self, uid: &str, place: &Project, place_of: impl Fn(&AccountKey) -> Option<Project>, now: Moment) -> Position {
        let mut entries = lock(&self.entries);
        let Some((_, me)) = entries.live(uid) else { return Position::NotAsked };
        let mine = me.contender(now);
        // Whoever asks wants it.
        let mine = if mine.claim == Claim::Nothing { Contender { claim: Claim::Waits, ..mine } } else { mine };
        // Who rests claims nothing.
        let peers = entries.by_instance.get(me.object.spec.source.instance_id.as_str()).into_iter().flatten();
        // Where an account points is asked for once.
        let mut pointing: Vec<(&Arc<AccountKey>, bool)> = Vec::new();
        let mut points_here = |account| {
            let known = pointing.iter().find(|(known, _)| Arc::ptr_eq(known, account)).map(|(_, points_here)| *points_here);
            known.unwrap_or_else(|| {
                let points_here = place_of(account).is_some_and(|there| there == *place);
                pointing.push((account, points_here));
                points_here
            })
        };
        // A backup is, or will be, taken where the status says so, else where its account points.
        let others: Vec<Contender<'_>> = peers
            .filter(|peer| ***peer != *uid)
            .filter_map(|peer| entries.live(peer))
            .filter(|(entry, peer)| match peer.status().filter(|_| peer.is_recorded()) {
                Some(status) => place.holds(status),
                None => points_here(&entry.facts.account),
            })
            .map(|(_, peer)| peer.contender(now))
            .collect();
        let position = crowd(&mine, others.iter()).map_or_else(|| position(&mine, others.iter()), Position::TooMany);
        if let Some(me) = entries.live_mut(uid).filter(|_| position == Position::First) {
            me.submitting = true;
            me.shown = Some(Claim::Holds);
        }
        position
    }

    /// The reconcile has ended, well or not, and the place in the queue with it. Whoever waits for the instance is woken if the object claims something else
    /// of it than they were last woken for: not only a reconcile changes that, but also the time and the account, and a first place may end unused.
    pub fn leave_queue(&self, uid: &str, well: bool, place_of: impl Fn(&AccountKey) -> Option<Project>, now: Moment) {
        let mut entries = lock(&self.entries);
        let Some(me) = entries.live_mut(uid) else { return };
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
        let Some(entry) = entries.live_mut(uid) else { return 0 };
        entry.failures = entry.failures.saturating_add(1);
        entry.failures - 1
    }

    /// The backups of a schedule, and what looks like one of them.
    pub fn of_schedule(&self, namespace: &str, name: &str) -> Vec<Arc<DatabaseBackup>> {
        let entries = lock(&self.entries);
        let uids = entries.by_schedule.get(&(namespace.to_owned(), name.to_owned())).into_iter().flatten();
        uids.filter_map(|uid| entries.whole(uid)).collect()
    }

    /// One of the backups of a schedule.
    pub fn child(&self, namespace: &str, schedule: &str, uid: &str) -> Option<Arc<DatabaseBackup>> {
        let entries = lock(&self.entries);
        let children = entries.by_schedule.get(&(namespace.to_owned(), schedule.to_owned()))?;
        children.contains(uid).then(|| entries.whole(uid)).flatten()
    }

    /// Whether another object, which is not about to go, adopts this backup. It may name the instance wrongly, and still counts.
    pub fn is_adopted(&self, backup_id: &str, except_uid: &str) -> bool {
        let entries = lock(&self.entries);
        let others = entries.by_adopted.get(backup_id).into_iter().flatten().filter(|uid| ***uid != *except_uid);
        others.filter_map(|uid| entries.by_uid.get(uid)).any(|other| !other.facts.is_leaving)
    }

    /// The ids of the backups that objects have of an instance.
    pub fn ids_of(&self, instance_id: &str) -> HashSet<String> {
        let entries = lock(&self.entries);
        let here = entries.by_uid.iter().filter(|(_, entry)| *entry.facts.instance_id == *instance_id);
        here.filter_map(|(uid, _)| entries.whole(uid)?.status.as_ref()?.backup_id.clone()).collect()
    }

    /// Has an object reconciled soon.
    pub fn wake(&self, uid: &str) {
        let key = lock(&self.entries).by_uid.get_key_value(uid).map(|(uid, entry)| entry.key(uid));
        self.waker.wake(key);
    }

    /// Wakes the unfinished objects of an instance, but for one.
    fn wake_instance(&self, instance_id: &str, except: &str) {
        let entries = lock(&self.entries);
        let peers = entries.by_instance.get(instance_id).into_iter().flatten().filter(|uid| ***uid != *except);
        let keys = unfinished(&entries, peers, |_| true);
        drop(entries);
        self.waker.wake(keys);
    }

    /// Wakes the unfinished objects that name an account.
    pub fn wake_account(&self, account: &AccountKey) {
        let entries = lock(&self.entries);
        let keys = unfinished(&entries, entries.live.iter(), |facts| *facts.account == *account);
        drop(entries);
        self.poll_soon.notify_one();
        self.waker.wake(keys);
    }

    /// How many objects need an account.
    pub fn users_of(&self, account: &AccountKey) -> Users {
        lock(&self.entries).users.get(account).copied().unwrap_or_default()
    }

    /// Wakes every unfinished object.
    pub fn wake_unfinished(&self) {
        let entries = lock(&self.entries);
        let keys = unfinished(&entries, entries.live.iter(), |_| true);
        drop(entries);
        self.waker.wake(keys);
    }

    /// Where there are running backups that may be polled for.
    pub fn running_lots(&self) -> BTreeSet<Lot> {
        polled::running_lots(&lock(&self.entries))
    }

    /// Every running backup, as far as everything is known that one listing serves with it.
    pub fn running(&self) -> Vec<Polled> {
        polled::running(&lock(&self.entries))
    }

    /// Where any settled backup is due for its slow look.
    pub fn due(&self, settings: &Settings, now: Moment) -> BTreeSet<Lot> {
        polled::due(&lock(&self.entries), settings, now)
    }

    /// The settled backups of an account and service (and of an instance, if one is given) that are due for their slow look, or will be before long: one
    /// listing serves all of them.
    pub fn settled(
        &self,
        account: &AccountKey,
        engine: Engine,
        instance_id: Option<&str>,
        settings: &Settings,
        now: Moment,
    ) -> Vec<Polled> {
        let is_meant = |facts: &Facts| {
            *facts.account == *account && facts.engine == engine && instance_id.is_none_or(|instance_id| *facts.instance_id == *instance_id)
        };
        polled::settled(&lock(&self.entries), is_meant, settings, now)
    }

    /// Whether any of these objects is not at rest.
    pub fn is_any_live<'a>(&self, mut uids: impl Iterator<Item = &'a str>) -> bool {
        let entries = lock(&self.entries);
        uids.any(|uid| entries.live.contains(uid))
    }

    /// How many objects are in each phase; those without one yet count as Pending.
    pub fn count_by_phase(&self) -> Vec<(Phase, usize)> {
        let mut counts: HashMap<Phase, usize> = HashMap::new();
        for entry in lock(&self.entries).by_uid.values() {
            *counts.entry(entry.facts.standing.phase.unwrap_or(Phase::Pending)).or_default() += 1;
        }
        Phase::ALL.iter().map(|phase| (*phase, counts.get(phase).copied().unwrap_or_default())).collect()
    }

    /// How the backups of each instance stand.
    pub fn summaries(&self) -> Arc<BTreeMap<Instance, summary::Summary>> {
        let mut entries = lock(&self.entries);
        if let Some(known) = &entries.standings {
            return known.clone();
        }
        let all = Arc::new(summaries(entries.by_uid.iter().map(|(uid, entry)| (entry.facts.spot(), &**uid, &entry.facts.standing))));
        entries.standings = Some(all.clone());
        all
    }
}

/// Those of some objects that are not done, and meant.
fn unfinished<'a>(entries: &BackupEntries, uids: impl Iterator<Item = &'a Arc<str>>, is_meant: impl Fn(&Facts) -> bool) -> Vec<Key> {
    let known = uids.filter_map(|uid| Some((uid, entries.by_uid.get(uid)?)));
    known.filter(|(_, entry)| entry.facts.is_unfinished && is_meant(&entry.facts)).map(|(uid, entry)| entry.key(uid)).collect()
}

/// A poisoned lock only says that another thread panicked; every change under these locks is one assignment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
