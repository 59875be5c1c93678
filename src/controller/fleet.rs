//! Every backup object in memory: its newest version, what this process knows of it, and the queue of its instance.
//!
//! The watch feeds it before it causes a reconcile, and every own write feeds it at once, so a reconcile never decides on something older than what
//! this process wrote itself.

mod members;

use super::accounts::AccountKey;
use crate::{
    api::{
        backup::DatabaseBackup,
        status::{DatabaseBackupStatus, Phase},
    },
    cloud::{backup::RemoteBackup, engine::Engine},
    plan::{
        backup::{
            memory::{Memory, evidence::Evidence},
            name::own_marks,
            queue::{Claim, Contender, crowd, turn},
            seen::{Restored, Turn},
        },
        clock::Moment,
        place::Project,
        settings::Settings,
        summary::{self, Instance, standings},
    },
};
use jiff::Timestamp;
use kube::{ResourceExt, runtime::reflector::ObjectRef};
pub use members::version;
use members::{Member, Members};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::mpsc::UnboundedSender;

/// Every backup object in memory.
#[derive(Default)]
pub struct Fleet {
    members: Mutex<Members>,
    wakers: Mutex<Vec<Waker>>,
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

impl Fleet {
    /// Objects of a namespace (absent: all) are woken through this sender.
    pub fn wake_through(&self, namespace: Option<String>, sender: UnboundedSender<ObjectRef<DatabaseBackup>>) {
        lock(&self.wakers).push(Waker { namespace, sender });
    }

    /// The watch showed a version of an object; an older one than what is known changes nothing. One that was not known came into being now.
    pub fn track(&self, object: Arc<DatabaseBackup>, now: Moment) {
        lock(&self.members).track(object, Some(now));
    }

    /// A listing of a namespace (absent: all) begins. What is known of each object now, it has to show, or the store was put back.
    pub fn begin_listing(&self, namespace: Option<&str>) {
        for member in lock(&self.members).by_uid.values_mut().filter(|member| member.is_in(namespace)) {
            member.listed_from = version(&member.object);
        }
    }

    /// The API server's store was put back to an earlier state: what this process knows of the objects is forgotten, as by a restart.
    pub fn put_back(&self, now: Moment) {
        lock(&self.members).put_back(now);
    }

    /// When the store was found put back, if it was.
    pub fn was_put_back(&self) -> Option<Moment> {
        lock(&self.members).put_back
    }

    /// A version of an object came from elsewhere, such as the answer to a write. Answers with the newest. It may come after the watch showed that the
    /// object is gone, and does not bring it back: it would hold its instance for ever.
    pub fn newest(&self, object: Arc<DatabaseBackup>) -> Arc<DatabaseBackup> {
        lock(&self.members).newest(object)
    }

    /// A listing of a namespace (absent: all) showed exactly these objects, and it is the truth. Answers with whether it shows that the store was put back:
    /// then everything that was known is forgotten.
    pub fn replace(&self, namespace: Option<&str>, objects: Vec<Arc<DatabaseBackup>>, now: Moment) -> bool {
        let mut members = lock(&self.members);
        let is_older = |object: &Arc<DatabaseBackup>| {
            let known = object.uid().and_then(|uid| members.by_uid.get(&uid)?.listed_from);
            version(object).zip(known).is_some_and(|(listed, known)| listed < known)
        };
        let was_put_back = objects.iter().any(is_older);
        if was_put_back {
            members.put_back(now);
        }
        let listed: HashSet<String> = objects.iter().filter_map(|object| object.uid()).collect();
        let gone: Vec<String> = members
            .by_uid
            .iter()
            .filter(|(uid, member)| !listed.contains(*uid) && member.is_in(namespace))
            .map(|(uid, _)| uid.clone())
            .collect();
        for uid in gone {
            members.remove(&uid);
        }
        for object in objects {
            members.track(object, None);
        }
        was_put_back
    }

    /// An object is gone; those that waited for its instance are woken.
    pub fn forget(&self, uid: &str) {
        let removed = lock(&self.members).remove(uid);
        if let Some(member) = removed {
            self.wake_instance(&member.object.spec.source.instance_id, uid);
        }
    }

    /// Reads or changes what this process knows of an object, beside what its status says. `None` once the object is gone.
    pub fn memory<R>(&self, uid: &str, with: impl FnOnce(&mut Memory, &DatabaseBackupStatus) -> R) -> Option<R> {
        let mut members = lock(&self.members);
        let member = members.by_uid.get_mut(uid)?;
        let unseen = DatabaseBackupStatus::default();
        Some(with(&mut member.memory, member.object.status.as_ref().unwrap_or(&unseen)))
    }

    /// When an object came into being, if this process saw that.
    pub fn born(&self, uid: &str) -> Option<Moment> {
        lock(&self.members).by_uid.get(uid)?.born
    }

    /// A listing of an instance, read on behalf of one object, serves all others that wait to be asked for: each is told what it has there under any name
    /// that it may ever have had. Those that have something are woken.
    pub fn share_survey(&self, account: &AccountKey, engine: Engine, instance_id: &str, backups: &[RemoteBackup], evidence: &Evidence) {
        let by_mark: HashMap<&str, &RemoteBackup> = backups.iter().map(|backup| (backup.mark.as_str(), backup)).collect();
        let mut members = lock(&self.members);
        let members = &mut *members;
        let peers = members.by_instance.get(instance_id).into_iter().flatten();
        let mut found = Vec::new();
        for uid in peers {
            let Some(member) = members.by_uid.get_mut(uid).filter(|member| member.waits_with(account, engine)) else { continue };
            let name = member.object.name_any();
            let marks = own_marks(engine, &name, uid, instance_id);
            let own: Vec<RemoteBackup> = marks.filter_map(|mark| by_mark.get(mark.as_str()).map(|backup| (*backup).clone())).collect();
            if !own.is_empty() {
                found.push(member.reference());
            }
            member.memory.surveyed(&Evidence { found: own, ..evidence.clone() });
        }
        self.send_all(&found);
    }

    /// Whether it is this object's turn on its instance; if so, it keeps the turn until [`Fleet::end_turn`].
    pub fn take_turn(&self, uid: &str, place: &Project, place_of: impl Fn(&AccountKey) -> Option<Project>, now: Moment) -> Turn {
        let mut members = lock(&self.members);
        let Some(me) = members.by_uid.get(uid) else { return Turn::NotAsked };
        let mine = me.contender(now);
        // Whoever asks wants it.
        let mine = if mine.claim == Claim::Nothing { Contender { claim: Claim::Waits, ..mine } } else { mine };
        let peers = members.by_instance.get(&me.object.spec.source.instance_id).into_iter().flatten();
        let others: Vec<Contender> = peers
            .filter(|peer| *peer != uid)
            .filter_map(|peer| members.by_uid.get(peer))
            .filter(|peer| peer.is_of(place, &place_of))
            .map(|peer| peer.contender(now))
            .collect();
        let turn = crowd(&mine, others.iter()).map_or_else(|| turn(&mine, others.iter()), Turn::TooMany);
        if let Some(me) = members.by_uid.get_mut(uid).filter(|_| turn == Turn::Mine) {
            me.submitting = true;
            me.shown = Some(Claim::Holds);
        }
        turn
    }

    /// The reconcile has ended, well or not, and the turn with it, if it had taken it. Whoever waits for the instance is woken if the object claims something else
    /// of it than they were last woken for: not only a reconcile changes that, but also the time and the account, and a turn may end unused.
    pub fn end_turn(&self, uid: &str, well: bool, place_of: impl Fn(&AccountKey) -> Option<Project>, now: Moment) {
        let mut members = lock(&self.members);
        let Some(me) = members.by_uid.get_mut(uid) else { return };
        me.submitting = false;
        me.failures = if well { 0 } else { me.failures };
        let is_usable = me.is_recorded() || place_of(&AccountKey::of(&me.object)).is_some();
        let claim = is_usable.then(|| me.contender(now).claim);
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
    pub fn standings(&self) -> BTreeMap<Instance, summary::Standing> {
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

/// Changes whenever the object's annotations do.
pub fn annotations(object: &DatabaseBackup) -> u64 {
    let mut hasher = DefaultHasher::new();
    object.annotations().hash(&mut hasher);
    hasher.finish()
}

/// Whether Velero restored an object (its documentation: every restored object has the label), and what a person said to that.
pub fn restored(object: &DatabaseBackup) -> Restored {
    let answer = object.annotations().get("dbbackup.dev/restored").map(String::as_str);
    match (object.labels().contains_key("velero.io/restore-name"), answer) {
        (false, _) => Restored::No,
        (true, Some("take-another")) => Restored::TakeAnother,
        (true, _) => Restored::Yes,
    }
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
