//! Every backup object in memory: its newest version, what this process knows of it, and the queue of its instance.
//!
//! The watch feeds it before it causes a reconcile, and every own write feeds it at once, so a reconcile never decides on something older than what
//! this process wrote itself.

use super::accounts::AccountKey;
use crate::{
    api::{
        backup::DatabaseBackup,
        status::{DatabaseBackupStatus, Phase},
    },
    backup::{
        clock::Moment,
        memory::Memory,
        observed::{Place, Turn},
        settings::Settings,
        standing::{Instance, Standing, standings},
        turn::{Claim, Contender, claim, turn},
    },
    cloud::engine::Engine,
};
use jiff::Timestamp;
use kube::{ResourceExt, runtime::reflector::ObjectRef};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::mpsc::UnboundedSender;

/// Every backup object in memory.
#[derive(Default)]
pub struct Fleet {
    members: Mutex<Members>,
    wakers: Mutex<Vec<Waker>>,
}

#[derive(Default)]
struct Members {
    by_uid: HashMap<String, Member>,
    by_instance: HashMap<String, HashSet<String>>,
}

struct Member {
    object: Arc<DatabaseBackup>,
    memory: Memory,
    /// A reconcile has taken the instance's turn and has not ended yet.
    submitting: bool,
    /// Reconciles in a row that did not come to an end.
    failures: u32,
    /// What it claimed of its instance when its peers were last woken for that; absent while its account cannot be used.
    shown: Option<Claim>,
}

struct Waker {
    namespace: Option<String>,
    sender: UnboundedSender<ObjectRef<DatabaseBackup>>,
}

/// A backup that somebody has to look at.
#[derive(Clone, Debug)]
pub struct Watched {
    /// The object's UID.
    pub uid: String,
    /// The account to look with.
    pub account: AccountKey,
    /// The service to look at.
    pub engine: Engine,
    /// The instance.
    pub instance_id: String,
    /// The cloud's id of the backup.
    pub backup_id: String,
    /// The mark of its latest attempt.
    pub mark: String,
    /// When it was asked for, by the wall clock.
    pub asked: Timestamp,
    /// It was not asked for by this object, so nobody knows when it began.
    pub is_imported: bool,
    /// See [`nudge`].
    pub nudge: u64,
    /// Whether the cloud is taking it, as far as is known; else it is settled, and looked at from time to time.
    pub is_running: bool,
    /// When this process last saw it, by a listing or by the answer to its create call.
    pub seen: Option<Moment>,
    /// A settled one is due for its slow look.
    pub is_due: bool,
}

impl Fleet {
    /// Objects of a namespace (absent: all) are woken through this sender.
    pub fn wake_through(&self, namespace: Option<String>, sender: UnboundedSender<ObjectRef<DatabaseBackup>>) {
        lock(&self.wakers).push(Waker { namespace, sender });
    }

    /// The watch showed a version of an object; an older one than what is known changes nothing.
    pub fn track(&self, object: Arc<DatabaseBackup>) {
        lock(&self.members).track(object);
    }

    /// A version of an object came from elsewhere, such as the answer to a write. Answers with the newest. It may come after the watch showed that the
    /// object is gone, and does not bring it back: it would hold its instance for ever.
    pub fn newest(&self, object: Arc<DatabaseBackup>) -> Arc<DatabaseBackup> {
        lock(&self.members).newest(object)
    }

    /// A listing of a namespace (absent: all) showed exactly these objects.
    pub fn replace(&self, namespace: Option<&str>, objects: Vec<Arc<DatabaseBackup>>) {
        let mut members = lock(&self.members);
        let listed: HashSet<String> = objects.iter().filter_map(|object| object.uid()).collect();
        let gone: Vec<String> = members
            .by_uid
            .iter()
            .filter(|(uid, member)| !listed.contains(*uid) && namespace.is_none_or(|ns| member.object.namespace().as_deref() == Some(ns)))
            .map(|(uid, _)| uid.clone())
            .collect();
        for uid in gone {
            members.remove(&uid);
        }
        for object in objects {
            members.track(object);
        }
    }

    /// An object is gone; those that waited for its instance are woken.
    pub fn forget(&self, uid: &str) {
        let removed = lock(&self.members).remove(uid);
        if let Some(member) = removed {
            self.wake_instance(&member.object.spec.source.instance_id, uid);
        }
    }

    /// Reads or changes what this process knows of an object. `None` once the object is gone.
    pub fn memory<R>(&self, uid: &str, with: impl FnOnce(&mut Memory) -> R) -> Option<R> {
        lock(&self.members).by_uid.get_mut(uid).map(|member| with(&mut member.memory))
    }

    /// Whether it is this object's turn on its instance; if so, it keeps the turn until [`Fleet::end_turn`].
    pub fn take_turn(&self, uid: &str, place: &Place, place_of: impl Fn(&AccountKey) -> Option<Place>, now: Moment) -> Turn {
        let mut members = lock(&self.members);
        let Some(me) = members.by_uid.get(uid) else { return Turn::NotAsked };
        let mine = me.contender(now);
        // Whoever asks wants it.
        let mine = if mine.claim == Claim::Nothing { Contender { claim: Claim::Waits, ..mine } } else { mine };
        let peers = members.by_instance.get(&me.object.spec.source.instance_id).into_iter().flatten();
        let others: Vec<Contender> = peers
            .filter(|peer| *peer != uid)
            .filter_map(|peer| members.by_uid.get(peer))
            .filter(|peer| peer.place(&place_of).is_some_and(|there| there.cloud == place.cloud && there.project_id == place.project_id))
            .map(|peer| peer.contender(now))
            .collect();
        let turn = turn(&mine, others.iter());
        if let Some(me) = members.by_uid.get_mut(uid).filter(|_| turn == Turn::Mine) {
            me.submitting = true;
            me.shown = Some(Claim::Holds);
        }
        turn
    }

    /// The reconcile has ended, well or not, and the turn with it, if it had taken it. Whoever waits for the instance is woken if the object claims something else
    /// of it than they were last woken for: not only a reconcile changes that, but also the time and the account, and a turn may end unused.
    pub fn end_turn(&self, uid: &str, well: bool, place_of: impl Fn(&AccountKey) -> Option<Place>, now: Moment) {
        let mut members = lock(&self.members);
        let Some(me) = members.by_uid.get_mut(uid) else { return };
        me.submitting = false;
        me.failures = if well { 0 } else { me.failures };
        let claim = me.place(place_of).map(|_| me.contender(now).claim);
        let changed = std::mem::replace(&mut me.shown, claim) != claim;
        let instance = me.object.spec.source.instance_id.clone();
        drop(members);
        if changed {
            self.wake_instance(&instance, uid);
        }
    }

    /// A reconcile did not come to an end. Answers with how many before it did not either.
    pub fn failed(&self, uid: &str) -> u32 {
        let mut members = lock(&self.members);
        let Some(member) = members.by_uid.get_mut(uid) else { return 0 };
        member.failures = member.failures.saturating_add(1);
        member.failures - 1
    }

    /// Has an object reconciled soon.
    pub fn wake(&self, uid: &str) {
        let object = lock(&self.members).by_uid.get(uid).map(|member| ObjectRef::from_obj(member.object.as_ref()));
        if let Some(object) = object {
            self.send_all(&[object]);
        }
    }

    /// Wakes the unfinished objects of an instance, but for one.
    fn wake_instance(&self, instance_id: &str, except: &str) {
        let members = lock(&self.members);
        let peers = members.by_instance.get(instance_id).into_iter().flatten().filter(|uid| *uid != except);
        let objects: Vec<_> =
            peers.filter_map(|uid| members.by_uid.get(uid)).filter(|m| m.is_unfinished()).map(Member::reference).collect();
        drop(members);
        self.send_all(&objects);
    }

    /// Wakes the unfinished objects that name an account.
    pub fn wake_account(&self, account: &AccountKey) {
        let members = lock(&self.members);
        let objects: Vec<_> =
            members.by_uid.values().filter(|m| m.is_unfinished() && AccountKey::of(&m.object) == *account).map(Member::reference).collect();
        drop(members);
        self.send_all(&objects);
    }

    /// Wakes every unfinished object.
    pub fn wake_unfinished(&self) {
        let objects: Vec<_> = lock(&self.members).by_uid.values().filter(|m| m.is_unfinished()).map(Member::reference).collect();
        self.send_all(&objects);
    }

    /// Every running backup; and, where any settled one is due for its slow look, the settled ones, since one listing serves all of them.
    pub fn watched(&self, settings: &Settings, now: Moment) -> Vec<Watched> {
        let members = lock(&self.members);
        // Thousands of settled objects are asked this every few seconds, so nothing is copied for the answer.
        let any_due = members.by_uid.iter().any(|(uid, member)| member.is_due(uid, settings, now));
        let wanted = members.by_uid.iter().filter(|(_, member)| member.phase() == Some(Phase::Running) || any_due);
        wanted.filter_map(|(uid, member)| member.watched(uid, settings, now)).collect()
    }

    /// How many objects are in each phase; those without one yet count as Pending.
    pub fn count_by_phase(&self) -> Vec<(Phase, usize)> {
        let members = lock(&self.members);
        let mut counts: HashMap<Phase, usize> = HashMap::new();
        for member in members.by_uid.values() {
            *counts.entry(member.phase().unwrap_or(Phase::Pending)).or_default() += 1;
        }
        Phase::ALL.iter().map(|phase| (*phase, counts.get(phase).copied().unwrap_or_default())).collect()
    }

    /// How the backups of each instance stand.
    pub fn standings(&self) -> BTreeMap<Instance, Standing> {
        standings(lock(&self.members).by_uid.values().map(|member| member.object.as_ref()))
    }

    fn send_all(&self, objects: &[ObjectRef<DatabaseBackup>]) {
        for waker in lock(&self.wakers).iter() {
            for object in objects.iter().filter(|object| waker.namespace.is_none() || waker.namespace == object.namespace) {
                // The receiver is gone only when the process ends.
                let _ = waker.sender.send(object.clone());
            }
        }
    }
}

impl Members {
    fn track(&mut self, object: Arc<DatabaseBackup>) {
        let Some(uid) = object.uid() else { return };
        if self.by_uid.contains_key(&uid) {
            self.newest(object);
            return;
        }
        self.by_instance.entry(object.spec.source.instance_id.clone()).or_default().insert(uid.clone());
        self.by_uid.insert(uid, Member { object, memory: Memory::default(), submitting: false, failures: 0, shown: None });
    }

    fn newest(&mut self, object: Arc<DatabaseBackup>) -> Arc<DatabaseBackup> {
        let Some(member) = object.uid().and_then(|uid| self.by_uid.get_mut(&uid)) else { return object };
        if !is_older(&object, &member.object) {
            member.object = object;
        }
        member.object.clone()
    }

    fn remove(&mut self, uid: &str) -> Option<Member> {
        let member = self.by_uid.remove(uid)?;
        let instance = &member.object.spec.source.instance_id;
        if let Some(peers) = self.by_instance.get_mut(instance) {
            peers.remove(uid);
            if peers.is_empty() {
                self.by_instance.remove(instance);
            }
        }
        Some(member)
    }
}

/// Resource versions of one kind are comparable numbers (Kubernetes 1.35, before that by what etcd gives); where one is not, the newcomer wins.
fn is_older(a: &DatabaseBackup, b: &DatabaseBackup) -> bool {
    let version = |object: &DatabaseBackup| object.resource_version().and_then(|version| version.parse::<u64>().ok());
    version(a).zip(version(b)).is_some_and(|(a, b)| a < b)
}

impl Member {
    fn reference(&self) -> ObjectRef<DatabaseBackup> {
        ObjectRef::from_obj(self.object.as_ref())
    }

    fn status(&self) -> Option<&DatabaseBackupStatus> {
        self.object.status.as_ref()
    }

    fn phase(&self) -> Option<Phase> {
        self.status().and_then(|status| status.phase)
    }

    /// Whether anything is still to be done for it, a deletion among it.
    fn is_unfinished(&self) -> bool {
        let is_under_way = matches!(self.phase(), None | Some(Phase::Pending | Phase::Running));
        let expires = self.phase() == Some(Phase::Completed) && self.status().is_some_and(|status| status.expiration_time.is_some());
        is_under_way || expires || self.object.metadata.deletion_timestamp.is_some()
    }

    fn contender(&self, now: Moment) -> Contender {
        let created = created(&self.object);
        let deadline = Duration::from_secs(u64::try_from(self.object.spec.progress_deadline_seconds).unwrap_or_default());
        let importing = self.object.spec.source.existing_backup_id.is_some();
        let unseen = DatabaseBackupStatus::default();
        let claim = claim(self.status().unwrap_or(&unseen), created, deadline, importing, &self.memory, now);
        Contender {
            created,
            uid: self.object.uid().unwrap_or_default(),
            label: format!("{}/{}", self.object.namespace().unwrap_or_default(), self.object.name_any()),
            claim: if self.submitting { Claim::Holds } else { claim },
        }
    }

    /// Where its backup is or will be taken.
    fn place(&self, place_of: impl Fn(&AccountKey) -> Option<Place>) -> Option<Place> {
        place_of(&AccountKey::of(&self.object))
    }

    /// Settled, and due for its slow look; or lacking in a listing, and due for the next one that says whether it is gone.
    fn is_due(&self, uid: &str, settings: &Settings, now: Moment) -> bool {
        let Some(status) = self.status().filter(|status| matches!(status.phase, Some(Phase::Completed | Phase::Missing))) else {
            return false;
        };
        if let Some(absence) = self.memory.absence.filter(|absence| !absence.is_long(settings)) {
            return now.since(absence.last) >= settings.gone_after;
        }
        let seen_lately = self.memory.sighting.as_ref().is_some_and(|seen| now.since(seen.started) < settings.resync_interval / 2);
        let lot = uid.bytes().fold(0_u64, |lot, byte| lot.wrapping_mul(31).wrapping_add(byte.into()));
        let synced = status.last_sync_time.as_ref().map_or_else(|| created(&self.object), |time| time.0);
        !seen_lately && now.since_wall(synced) >= settings.resync_after(lot)
    }

    fn watched(&self, uid: &str, settings: &Settings, now: Moment) -> Option<Watched> {
        let status = self.status().filter(|status| matches!(status.phase, Some(Phase::Running | Phase::Completed | Phase::Missing)))?;
        let sent = self.memory.own_intent(status).map(|own| own.begun);
        Some(Watched {
            uid: uid.to_owned(),
            account: AccountKey::of(&self.object),
            engine: self.object.spec.source.engine,
            instance_id: self.object.spec.source.instance_id.clone(),
            backup_id: status.backup_id.clone()?,
            mark: status.backup_name.clone().unwrap_or_default(),
            asked: status.request_time.as_ref().map_or_else(|| created(&self.object), |time| time.0),
            is_imported: status.request_time.is_none(),
            nudge: nudge(&self.object),
            is_running: status.phase == Some(Phase::Running),
            seen: self.memory.sighting.as_ref().map(|sighting| sighting.started).or(sent),
            is_due: self.is_due(uid, settings, now),
        })
    }
}

/// Changes whenever the object's annotations do.
pub fn nudge(object: &DatabaseBackup) -> u64 {
    let mut hasher = DefaultHasher::new();
    object.annotations().hash(&mut hasher);
    hasher.finish()
}

/// When an object was created; every stored object has the time.
pub fn created(object: &DatabaseBackup) -> Timestamp {
    object.metadata.creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |t| t.0)
}

/// A poisoned lock only says that another thread panicked; every change under these locks is one assignment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
