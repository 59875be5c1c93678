//! The objects themselves, under the store's lock: each with its newest version and what this process knows of it.

use super::{
    facts::{Facts, Names},
    packed::{Packed, Samples},
};
use crate::{
    api::{
        backup::DatabaseBackup,
        conditions::Kstatus,
        status::{DatabaseBackupStatus, Phase},
    },
    cloud::engine::Engine,
    controller::{
        object::{created, version},
        store::queue::Key,
    },
    plan::{
        account::{AccountKey, Users},
        backup::{
            memory::Memory,
            queue::{Claim, Contender, Life, claim},
            reason::Reason,
            rest::{Residue, rest},
        },
        clock::Moment,
        schedule::child::schedules,
        settings::Settings,
        summary::{Instance, Summary},
    },
};
use jiff::Timestamp;
use kube::ResourceExt;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    hash::Hash,
    sync::{Arc, LazyLock},
    time::Duration,
};

/// Whose own timer is shorter is not worth packing.
const SOON: Duration = Duration::from_secs(60);

#[derive(Default)]
pub(super) struct BackupEntries {
    pub(super) by_uid: HashMap<Arc<str>, BackupEntry>,
    /// Those that are not at rest.
    pub(super) live: HashSet<Arc<str>>,
    /// Of those, the ones of each instance.
    pub(super) by_instance: HashMap<Arc<str>, HashSet<Arc<str>>>,
    /// By namespace and name of the schedule: its backups, and what looks like one of them.
    pub(super) by_schedule: HashMap<(String, String), HashSet<Arc<str>>>,
    /// By the cloud's id of a backup: the objects that adopt it.
    pub(super) by_adopted: HashMap<String, HashSet<Arc<str>>>,
    /// Those at rest for which the cloud is to be looked at, by when.
    pub(super) looks: BTreeSet<(Timestamp, Arc<str>)>,
    /// Those at rest that are to be reconciled, by when.
    wakes: BTreeSet<(Timestamp, Arc<str>)>,
    /// How many objects need each account.
    pub(super) users: HashMap<Arc<AccountKey>, Users>,
    /// How the backups of each instance stand, until anything changes.
    pub(super) standings: Option<Arc<BTreeMap<Instance, Summary>>>,
    /// When the API server's store was found put back to an earlier state.
    pub(super) put_back: Option<Moment>,
    /// The watches that have shown everything, by namespace (absent: all).
    pub(super) listed: HashSet<Option<String>>,
    names: Names,
    samples: Samples,
}

pub(super) struct BackupEntry {
    pub(super) state: State,
    pub(super) facts: Facts,
    /// Of its newest version.
    pub(super) version: Option<u64>,
    /// Its version when the listing that is under way began: a listing that shows an older one is of a store that was put back.
    pub(super) listed_from: Option<u64>,
    /// The listing under way has not shown it yet.
    pub(super) is_unlisted: bool,
    /// What is known of it may be newer than what is stored now: the next version counts, whatever its number.
    pub(super) is_void: bool,
}

pub(super) enum State {
    Live(Box<Live>),
    Resting(Resting),
}

/// An object for which something is to be done, or may be.
pub(super) struct Live {
    pub(super) object: Arc<DatabaseBackup>,
    pub(super) memory: Memory,
    /// When the watch showed that it came into being; absent for one that a listing showed.
    pub(super) born: Option<Moment>,
    /// A reconcile was first in the instance's queue and has not ended yet.
    pub(super) submitting: bool,
    /// Reconciles in a row that did not come to an end.
    pub(super) failures: u32,
    /// What it claimed of its instance when its peers were last woken for that; absent while its account cannot be used.
    pub(super) shown: Option<Claim>,
}

/// An object that nothing is to be done for.
pub(super) struct Resting {
    pub(super) packed: Packed,
    /// When the cloud is to be looked at for it; absent if never.
    pub(super) look: Option<Timestamp>,
    /// When it is to be reconciled; absent if never.
    pub(super) wake: Option<Timestamp>,
    /// What is left of its memory.
    residue: Residue,
}

// What a hundred thousand objects at rest take is half of it this.
const _: () = assert!(size_of::<BackupEntry>() <= 256);

impl BackupEntries {
    /// A version of an object. Answers whether it is another one than what was known.
    pub(super) fn track(&mut self, object: Arc<DatabaseBackup>, born: Option<Moment>) -> bool {
        let Some(uid) = object.metadata.uid.as_deref() else { return false };
        if let Some(known) = self.by_uid.get(uid) {
            let version = version(object.as_ref());
            let is_news = known.is_void || version.is_none() || version != known.version;
            if is_news {
                self.newest(object);
            }
            return is_news;
        }
        let (uid, facts) = (Arc::from(uid), Facts::of(&object, &mut self.names));
        if let Some(adopted) = &object.spec.source.existing_backup_id {
            self.by_adopted.entry(adopted.clone()).or_default().insert(Arc::clone(&uid));
        }
        self.index(&uid, &facts, &object);
        let version = version(object.as_ref());
        let state = State::Live(Box::new(Live::new(object, born, None)));
        self.by_uid.insert(uid, BackupEntry { state, facts, version, listed_from: None, is_unlisted: false, is_void: false });
        true
    }

    /// Everything that is looked up by something else than the UID.
    fn index(&mut self, uid: &Arc<str>, facts: &Facts, object: &DatabaseBackup) {
        self.standings = None;
        self.live.insert(Arc::clone(uid));
        self.by_instance.entry(Arc::clone(&facts.instance_id)).or_default().insert(Arc::clone(uid));
        for schedule in schedules_of(object) {
            self.by_schedule.entry(schedule).or_default().insert(Arc::clone(uid));
        }
        let users = self.users.entry(Arc::clone(&facts.account)).or_default();
        users.all += 1;
        users.for_deletion += usize::from(facts.is_to_be_deleted);
    }

    fn drop_from_index(&mut self, uid: &Arc<str>, facts: &Facts, object: &DatabaseBackup) {
        self.standings = None;
        self.live.remove(uid);
        drop_from(&mut self.by_instance, &facts.instance_id, uid);
        for schedule in schedules_of(object) {
            drop_from(&mut self.by_schedule, &schedule, uid);
        }
        if let Some(users) = self.users.get_mut(&facts.account) {
            users.all -= 1;
            users.for_deletion -= usize::from(facts.is_to_be_deleted);
            if users.all == 0 {
                self.users.remove(&facts.account);
            }
        }
        self.names.release(facts);
    }

    /// Whether everything is known that a listing shows beside this object.
    pub(super) fn is_listed(&self, facts: &Facts) -> bool {
        self.listed.iter().any(|namespace| facts.is_in(namespace.as_deref()))
    }

    pub(super) fn put_back(&mut self, now: Moment) {
        self.put_back = Some(now);
        for entry in self.by_uid.values_mut() {
            match &mut entry.state {
                State::Live(live) => (live.memory, live.born) = (Memory::default(), None),
                State::Resting(resting) => resting.residue = Residue::default(),
            }
            (entry.listed_from, entry.is_void) = (None, true);
        }
    }

    /// A version of an object that is known, unless it is older. Answers with the newest.
    pub(super) fn newest(&mut self, object: Arc<DatabaseBackup>) -> Arc<DatabaseBackup> {
        let uid = object.metadata.uid.as_deref().unwrap_or_default();
        let Some((uid, entry)) = self.by_uid.get_key_value(uid) else { return object };
        let version = version(object.as_ref());
        // Where one of them is no number, the newcomer wins.
        let is_older = version.zip(entry.version).is_some_and(|(new, known)| new < known);
        let Some(known) = self.whole(uid) else { return object };
        if is_older && !entry.is_void {
            return known;
        }
        let uid = Arc::clone(uid);
        let facts = Facts::of(&object, &mut self.names);
        self.revive(&uid);
        let Some(mut entry) = self.by_uid.remove(&uid) else { return object };
        self.drop_from_index(&uid, &entry.facts, &known);
        self.index(&uid, &facts, &object);
        (entry.facts, entry.version, entry.is_void) = (facts, version, false);
        if let State::Live(live) = &mut entry.state {
            live.object = object.clone();
        }
        self.by_uid.insert(uid, entry);
        object
    }

    pub(super) fn remove(&mut self, uid: &str) -> Option<Facts> {
        let known = self.whole(uid);
        let (uid, entry) = self.by_uid.remove_entry(uid)?;
        if let Some(object) = known {
            if let Some(adopted) = &object.spec.source.existing_backup_id {
                drop_from(&mut self.by_adopted, adopted, &uid);
            }
            self.drop_from_index(&uid, &entry.facts, &object);
        }
        self.forget_due(&uid, &entry.state);
        Some(entry.facts)
    }

    /// The newest version of an object, which goes on resting if it does.
    pub(super) fn whole(&self, uid: &str) -> Option<Arc<DatabaseBackup>> {
        match &self.by_uid.get(uid)?.state {
            State::Live(live) => Some(live.object.clone()),
            State::Resting(resting) => resting.packed.unpack(),
        }
    }

    /// An object that is not at rest.
    pub(super) fn live(&self, uid: &str) -> Option<(&BackupEntry, &Live)> {
        let entry = self.by_uid.get(uid)?;
        match &entry.state {
            State::Live(live) => Some((entry, live)),
            State::Resting(_) => None,
        }
    }

    /// The end of its rest.
    pub(super) fn revive(&mut self, uid: &str) -> Option<&mut Live> {
        let (uid, entry) = self.by_uid.get_key_value(uid)?;
        if let State::Resting(resting) = &entry.state {
            let (uid, instance_id) = (Arc::clone(uid), Arc::clone(&entry.facts.instance_id));
            // It claims nothing of its instance, and nobody waits to hear so.
            let mut live = Box::new(Live::new(resting.packed.unpack()?, None, Some(Claim::Nothing)));
            live.memory = live.object.status.as_ref().map(|status| resting.residue.revived(status)).unwrap_or_default();
            self.live.insert(Arc::clone(&uid));
            self.by_instance.entry(instance_id).or_default().insert(Arc::clone(&uid));
            let before = std::mem::replace(&mut self.by_uid.get_mut(&uid)?.state, State::Live(live));
            self.forget_due(&uid, &before);
            return self.live_mut(&uid);
        }
        let uid = Arc::clone(uid);
        self.live_mut(&uid)
    }

    pub(super) fn live_mut(&mut self, uid: &str) -> Option<&mut Live> {
        match &mut self.by_uid.get_mut(uid)?.state {
            State::Live(live) => Some(live),
            State::Resting(_) => None,
        }
    }

    fn forget_due(&mut self, uid: &Arc<str>, state: &State) {
        if let State::Resting(resting) = state {
            for (times, at) in [(&mut self.looks, resting.look), (&mut self.wakes, resting.wake)] {
                if let Some(at) = at {
                    times.remove(&(at, Arc::clone(uid)));
                }
            }
        }
    }

    /// Lets an object rest, if there is nothing to do for it. `again_after`: when it was to be looked at again anyway. Answers whether it rests.
    pub(super) fn rest(&mut self, uid: &str, again_after: Option<Duration>, settings: &Settings, now: Moment) -> bool {
        let Some((uid, entry)) = self.by_uid.get_key_value(uid) else { return false };
        let State::Live(live) = &entry.state else { return true };
        let status = live.status().unwrap_or(&UNSEEN);
        let is_soon = again_after.is_some_and(|after| after < SOON);
        if live.submitting || entry.is_void || is_soon || !live.memory.is_calm(status) {
            return false;
        }
        let Some(rest) = rest(&live.object, now.wall) else { return false };
        let Some(packed) = Packed::new(&live.object, &mut self.samples) else { return false };
        let look = rest.synced.map(|synced| later(synced, settings.resync_after(lot(uid))));
        let wake = rest.expires.into_iter().chain(again_after.map(|after| later(now.wall, after))).min();
        let (uid, resting) = (Arc::clone(uid), Resting { packed, look, wake, residue: live.memory.residue(now) });
        self.looks.extend(look.map(|at| (at, Arc::clone(&uid))));
        self.wakes.extend(wake.map(|at| (at, Arc::clone(&uid))));
        self.live.remove(&uid);
        if let Some(entry) = self.by_uid.get_mut(&uid) {
            drop_from(&mut self.by_instance, &entry.facts.instance_id, &uid);
            entry.state = State::Resting(resting);
        }
        true
    }

    /// Those at rest whose time has come to be reconciled.
    pub(super) fn take_due(&mut self, now: Timestamp) -> Vec<Key> {
        let mut keys = Vec::new();
        while self.wakes.first().is_some_and(|(at, _)| *at <= now)
            && let Some((_, uid)) = self.wakes.pop_first()
        {
            let Some(entry) = self.by_uid.get_mut(&uid) else { continue };
            if let State::Resting(resting) = &mut entry.state {
                resting.wake = None;
            }
            keys.push(entry.key(&uid));
        }
        keys
    }
}

/// The status of an object that nobody has looked at.
static UNSEEN: LazyLock<DatabaseBackupStatus> = LazyLock::new(DatabaseBackupStatus::default);

/// A number that differs from object to object.
fn lot(uid: &str) -> u64 {
    uid.bytes().fold(0_u64, |lot, byte| lot.wrapping_mul(31).wrapping_add(byte.into()))
}

fn later(time: Timestamp, by: Duration) -> Timestamp {
    time.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// Takes a UID out of an index, and its place with the last one.
fn drop_from<K: Eq + Hash>(index: &mut HashMap<K, HashSet<Arc<str>>>, key: &K, uid: &Arc<str>) {
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

impl BackupEntry {
    pub(super) fn key(&self, uid: &Arc<str>) -> Key {
        Key { namespace: Some(self.facts.namespace.clone()), id: Arc::clone(uid) }
    }
}

impl Live {
    fn new(object: Arc<DatabaseBackup>, born: Option<Moment>, shown: Option<Claim>) -> Self {
        Self { object, memory: Memory::default(), born, submitting: false, failures: 0, shown }
    }

    pub(super) fn status(&self) -> Option<&DatabaseBackupStatus> {
        self.object.status.as_ref()
    }

    pub(super) fn phase(&self) -> Option<Phase> {
        self.status().and_then(|status| status.phase)
    }

    pub(super) fn contender(&self, now: Moment) -> Contender<'_> {
        let created = created(self.object.as_ref());
        let deadline = self.object.spec.progress_deadline();
        let importing = self.object.spec.source.existing_backup_id.is_some();
        let deleting = self.object.metadata.deletion_timestamp.is_some();
        let status = self.status().unwrap_or(&UNSEEN);
        let claim = claim(status, Life { created, deadline, importing, deleting }, &self.memory, now);
        let waits = match self.memory.reported {
            Some(reason) => reason == Reason::TooManyQueued || reason.kstatus() == Kstatus::InProgress,
            None => true,
        };
        Contender {
            created,
            uid: self.object.metadata.uid.as_deref().unwrap_or_default(),
            namespace: self.object.metadata.namespace.as_deref().unwrap_or_default(),
            name: self.object.metadata.name.as_deref().unwrap_or_default(),
            claim: if self.submitting { Claim::Holds } else { claim },
            is_unasked: waits
                && !importing
                && !deleting
                && status.backup_name.is_none()
                && matches!(status.phase, None | Some(Phase::Pending)),
        }
    }

    /// Whether the status says where its backup is.
    pub(super) fn is_recorded(&self) -> bool {
        self.status().is_some_and(|status| status.project_id.is_some())
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
        let synced = status.last_sync_time.as_ref().map_or_else(|| created(self.object.as_ref()), |time| time.0);
        !seen_lately && now.since_wall(synced) >= settings.resync_after(lot(uid))
    }
}
