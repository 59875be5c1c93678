//! The objects themselves, under the fleet's lock: each with its newest version and what this process knows of it.

use super::{Watched, created};
use crate::{
    api::{
        backup::DatabaseBackup,
        conditions::Standing,
        status::{DatabaseBackupStatus, Phase},
    },
    cloud::engine::Engine,
    controller::accounts::AccountKey,
    plan::{
        backup::{
            memory::Memory,
            queue::{Claim, Contender, Life, claim},
            reason::Reason,
        },
        clock::Moment,
        place::Project,
        settings::Settings,
    },
};
use kube::{ResourceExt, runtime::reflector::ObjectRef};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

#[derive(Default)]
pub(super) struct Members {
    pub(super) by_uid: HashMap<String, Member>,
    pub(super) by_instance: HashMap<String, HashSet<String>>,
    /// When the API server's store was found put back to an earlier state.
    pub(super) put_back: Option<Moment>,
}

pub(super) struct Member {
    pub(super) object: Arc<DatabaseBackup>,
    pub(super) memory: Memory,
    /// When the watch showed that it came into being; absent for one that a listing showed.
    pub(super) born: Option<Moment>,
    /// Its version when the listing that is under way began: a listing that shows an older one is of a store that was put back.
    pub(super) listed_from: Option<u64>,
    /// What is known of it may be newer than what is stored now: the next version counts, whatever its number.
    pub(super) is_void: bool,
    /// A reconcile has taken the instance's turn and has not ended yet.
    pub(super) submitting: bool,
    /// Reconciles in a row that did not come to an end.
    pub(super) failures: u32,
    /// What it claimed of its instance when its peers were last woken for that; absent while its account cannot be used.
    pub(super) shown: Option<Claim>,
}

impl Members {
    pub(super) fn track(&mut self, object: Arc<DatabaseBackup>, born: Option<Moment>) {
        let Some(uid) = object.uid() else { return };
        if self.by_uid.contains_key(&uid) {
            self.newest(object);
            return;
        }
        self.by_instance.entry(object.spec.source.instance_id.clone()).or_default().insert(uid.clone());
        let (memory, listed_from, is_void) = (Memory::default(), None, false);
        self.by_uid.insert(uid, Member { object, memory, born, listed_from, is_void, submitting: false, failures: 0, shown: None });
    }

    pub(super) fn put_back(&mut self, now: Moment) {
        self.put_back = Some(now);
        for member in self.by_uid.values_mut() {
            member.memory = Memory::default();
            (member.born, member.listed_from, member.is_void) = (None, None, true);
        }
    }

    pub(super) fn newest(&mut self, object: Arc<DatabaseBackup>) -> Arc<DatabaseBackup> {
        let Some(member) = object.uid().and_then(|uid| self.by_uid.get_mut(&uid)) else { return object };
        if member.is_void || !is_older(&object, &member.object) {
            (member.object, member.is_void) = (object, false);
        }
        member.object.clone()
    }

    pub(super) fn remove(&mut self, uid: &str) -> Option<Member> {
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
    version(a).zip(version(b)).is_some_and(|(a, b)| a < b)
}

/// An object's version as a number, where it is one.
pub fn version(object: &DatabaseBackup) -> Option<u64> {
    object.metadata.resource_version.as_deref()?.parse().ok()
}

impl Member {
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
        let expires = self.phase() == Some(Phase::Completed) && self.status().is_some_and(|status| status.expiration_time.is_some());
        is_under_way || expires || self.object.metadata.deletion_timestamp.is_some()
    }

    pub(super) fn contender(&self, now: Moment) -> Contender {
        let created = created(&self.object);
        let deadline = Duration::from_secs(u64::try_from(self.object.spec.progress_deadline_seconds).unwrap_or_default());
        let importing = self.object.spec.source.existing_backup_id.is_some();
        let deleting = self.object.metadata.deletion_timestamp.is_some();
        let unseen = DatabaseBackupStatus::default();
        let status = self.status().unwrap_or(&unseen);
        let claim = claim(status, Life { created, deadline, importing, deleting }, &self.memory, now);
        let waits = match self.memory.reported {
            Some(reason) => reason == Reason::TooManyQueued || reason.standing() == Standing::OnItsWay,
            None => true,
        };
        Contender {
            created,
            uid: self.object.uid().unwrap_or_default(),
            label: format!("{}/{}", self.object.namespace().unwrap_or_default(), self.object.name_any()),
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
        let seen_lately = self.memory.sighting.as_ref().is_some_and(|seen| now.since(seen.started) < settings.resync_interval / 2);
        let lot = uid.bytes().fold(0_u64, |lot, byte| lot.wrapping_mul(31).wrapping_add(byte.into()));
        let synced = status.last_sync_time.as_ref().map_or_else(|| created(&self.object), |time| time.0);
        !seen_lately && now.since_wall(synced) >= settings.resync_after(lot)
    }

    pub(super) fn watched(&self, uid: &str, settings: &Settings, now: Moment) -> Option<Watched> {
        let status = self.status().filter(|status| matches!(status.phase, Some(Phase::Running | Phase::Completed | Phase::Missing)))?;
        let sent = self.memory.own_intent(status).map(|own| own.begun);
        Some(Watched {
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
                .unwrap_or_else(|| created(&self.object)),
            is_imported: self.object.spec.source.existing_backup_id.is_some(),
            object: self.object.clone(),
            is_running: status.phase == Some(Phase::Running),
            seen: self.memory.sighting.as_ref().map(|sighting| sighting.started).or(sent),
            is_due: self.is_due(uid, settings, now),
        })
    }
}
