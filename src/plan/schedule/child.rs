//! The backups of a schedule: how they are named and made, and what is read of them.

use crate::{
    api::{
        HOLD, SCHEDULE,
        backup::{DatabaseBackup, DatabaseBackupSpec},
        conditions::{find, is_true, types},
        schedule::DatabaseBackupScheduleSpec,
        status::{DatabaseBackupStatus, DeleteReason, Origin, Phase},
    },
    cloud::engine::Engine,
    plan::{
        account::AccountKey,
        backup::{
            name::own_marks,
            reason::Reason,
            superseded::{Older, may_be_superseded},
        },
    },
};
use jiff::{SignedDuration, Timestamp, civil::DateTime, tz::TimeZone};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::ResourceExt;
use std::collections::BTreeSet;

/// How a slot is written in a name: UTC, to the minute.
const SLOT: &str = "%Y%m%d%H%M";
/// Digits of a slot in a name.
const SLOT_CHARS: usize = 12;

/// The name of a slot's backup.
pub fn name(schedule: &str, slot: Timestamp) -> String {
    format!("{schedule}-{}", slot.strftime(SLOT))
}

/// Schedule and slot of a name of this form.
pub fn parse(name: &str) -> Option<(&str, Timestamp)> {
    let (schedule, slot) = name.rsplit_once('-')?;
    let is_slot = slot.len() == SLOT_CHARS && slot.bytes().all(|byte| byte.is_ascii_digit()) && !schedule.is_empty();
    let slot = DateTime::strptime(SLOT, slot).ok().filter(|_| is_slot)?;
    Some((schedule, slot.to_zoned(TimeZone::UTC).ok()?.timestamp()))
}

/// The schedules, of its namespace, that an object is a backup of or looks like one of: by its label, and by its name.
pub fn schedules(object: &DatabaseBackup) -> BTreeSet<String> {
    let name = object.name_any();
    let by_name = parse(&name).map(|(schedule, _)| schedule.to_owned());
    object.labels().get(SCHEDULE).cloned().into_iter().chain(by_name).collect()
}

/// The latest time at which a slot's backup may still be taken. Without a deadline one that is made late has an hour.
pub fn take_before(slot: Timestamp, deadline: Option<SignedDuration>, now: Timestamp) -> Timestamp {
    let after = |time: Timestamp, by: SignedDuration| time.checked_add(by).unwrap_or(Timestamp::MAX);
    match deadline {
        Some(deadline) => after(slot, deadline),
        None => after(slot, SignedDuration::from_hours(24)).max(after(now, SignedDuration::from_hours(1))),
    }
}

/// The object for a slot. It has no owner and nothing of the schedule's own labels and annotations: who prunes or deletes the schedule leaves its backups.
pub fn new(schedule: &str, namespace: &str, spec: &DatabaseBackupScheduleSpec, slot: Timestamp, now: Timestamp) -> DatabaseBackup {
    let metadata = spec.backup_template.metadata.clone().unwrap_or_default();
    let mut labels = metadata.labels;
    labels.insert(SCHEDULE.to_owned(), schedule.to_owned());
    let template = &spec.backup_template.spec;
    let take_before = take_before(slot, spec.starting_deadline(), now);
    let spec = DatabaseBackupSpec {
        account_ref: template.account_ref.clone(),
        source: template.source.clone(),
        deletion_policy: template.deletion_policy,
        expire_after_days: None,
        take_before: Some(Time(take_before)),
        backoff_limit: template.backoff_limit,
        progress_deadline_seconds: template.progress_deadline_seconds,
    };
    let metadata = ObjectMeta {
        name: Some(name(schedule, slot)),
        namespace: Some(namespace.to_owned()),
        labels: Some(labels),
        annotations: Some(metadata.annotations).filter(|annotations| !annotations.is_empty()),
        ..ObjectMeta::default()
    };
    DatabaseBackup { metadata, spec, status: None }
}

/// An object that is a backup of a schedule, or looks like one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each answers a question of its own")]
pub struct Child {
    /// Name.
    pub name: String,
    /// UID.
    pub uid: String,
    /// The slot in its name, if that is of the schedule's form.
    pub slot: Option<Timestamp>,
    /// It has the schedule's label.
    pub is_labelled: bool,
    /// The instance that it is a backup of.
    pub instance: Instance,
    /// The account that it names.
    pub account: AccountKey,
    /// Its phase; absent if nobody has looked at it.
    pub phase: Option<Phase>,
    /// Reason of its condition `Ready`; empty without one.
    pub reason: String,
    /// Message of its condition `Ready`; empty without one.
    pub message: String,
    /// When its condition `Ready` last changed.
    pub since: Option<Timestamp>,
    /// It is blocked, or past its deadline.
    pub is_stalled: bool,
    /// It is being deleted.
    pub is_deleting: bool,
    /// Somebody holds it.
    pub is_held: bool,
    /// Retention has chosen it.
    pub is_retired: bool,
    /// Its backup was made by this very object, under one of its own names.
    pub is_own: bool,
    /// The cloud's id of its backup.
    pub backup_id: Option<String>,
    /// When its backup was completed, where it was.
    pub completed: Option<Timestamp>,
    /// Nothing of it is open or made in the cloud, so a newer one may take its place.
    pub is_replaceable: bool,
}

/// What is backed up.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instance {
    /// The service.
    pub engine: Engine,
    /// The instance's id.
    pub id: String,
}

impl Child {
    /// What is read of an object on behalf of a schedule.
    pub fn read(object: &DatabaseBackup, schedule: &str) -> Self {
        let unseen = DatabaseBackupStatus::default();
        let status = object.status.as_ref().unwrap_or(&unseen);
        let ready = find(&status.conditions, types::READY);
        let (name, uid, source) = (object.name_any(), object.uid().unwrap_or_default(), &object.spec.source);
        let is_deleting = object.metadata.deletion_timestamp.is_some();
        let completed = status.completion_time.as_ref().or(status.last_sync_time.as_ref()).map(|time| time.0);
        Self {
            slot: parse(&name).filter(|(parent, _)| *parent == schedule).map(|(_, slot)| slot),
            is_labelled: object.labels().get(SCHEDULE).is_some_and(|label| label == schedule),
            instance: Instance { engine: source.engine, id: source.instance_id.clone() },
            account: AccountKey::of(object),
            phase: status.phase,
            reason: ready.map(|ready| ready.reason.clone()).unwrap_or_default(),
            message: ready.map(|ready| ready.message.clone()).unwrap_or_default(),
            since: ready.map(|ready| ready.last_transition_time.0),
            is_stalled: is_true(&status.conditions, types::STALLED),
            is_deleting,
            is_held: object.annotations().contains_key(HOLD),
            is_retired: status.delete_reason == Some(DeleteReason::Retention),
            is_own: is_own(object, status, &name, &uid),
            backup_id: status.backup_id.clone(),
            completed: completed.filter(|_| status.phase == Some(Phase::Completed)),
            is_replaceable: may_be_superseded(Older { status, generation: object.metadata.generation, deleting: is_deleting }),
            name,
            uid,
        }
    }

    /// Whether it is one of the schedule's own, by label and by name.
    pub fn is_of_the_schedule(&self) -> bool {
        self.is_labelled && self.slot.is_some()
    }

    /// Whether nothing comes of it any more.
    pub fn has_ended(&self) -> bool {
        matches!(self.phase, Some(Phase::Completed | Phase::Failed | Phase::Missing | Phase::Expired | Phase::Lapsed))
    }

    /// Whether the next one waits for it. One that is stuck, or being deleted, keeps nothing waiting: that could last for ever.
    pub fn delays(&self) -> bool {
        !self.has_ended() && !self.is_stalled && !self.is_deleting
    }

    /// Whether the cloud has no room for its backup.
    pub fn waits_for_room(&self) -> bool {
        !self.has_ended() && !self.is_deleting && self.reason == Reason::QuotaExceeded.as_str()
    }
}

/// Whether the backup in the status carries a name that this object gave it.
fn is_own(object: &DatabaseBackup, status: &DatabaseBackupStatus, name: &str, uid: &str) -> bool {
    let source = &object.spec.source;
    let is_imported = source.existing_backup_id.is_some() || status.origin == Some(Origin::Imported);
    let mark = status.backup_name.as_deref().unwrap_or_default();
    !is_imported && !mark.is_empty() && own_marks(source.engine, name, uid, &source.instance_id).any(|own| own == mark)
}

impl DatabaseBackupScheduleSpec {
    /// How late a slot may begin.
    pub fn starting_deadline(&self) -> Option<SignedDuration> {
        self.starting_deadline_seconds.map(|seconds| SignedDuration::from_secs(seconds.max(60).into()))
    }
}
