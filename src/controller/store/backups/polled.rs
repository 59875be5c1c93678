//! Backups that the cloud is looked at for.

use super::{
    entries::{BackupEntries, Live},
    facts::Facts,
};
use crate::{
    api::{
        backup::DatabaseBackup,
        status::{DatabaseBackupStatus, Phase},
    },
    cloud::{api::Lists, engine::Engine},
    controller::object::created,
    plan::{
        account::AccountKey,
        backup::memory::Memory,
        clock::Moment,
        place::{Project, recorded},
        settings::Settings,
    },
};
use jiff::Timestamp;
use std::{collections::BTreeSet, sync::Arc};

/// A backup that somebody has to look at.
#[derive(Clone, Debug)]
pub struct Polled {
    /// The object's UID.
    pub uid: Arc<str>,
    /// Its namespace.
    pub namespace: Arc<str>,
    /// The account to look with.
    pub account: Arc<AccountKey>,
    /// The service to look at.
    pub engine: Engine,
    /// The instance.
    pub instance_id: Arc<str>,
    /// Where the status says that its backup is.
    recorded: Option<[String; 3]>,
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

impl Polled {
    /// Whether the status says that its backup is in this project, or does not say where.
    pub fn is_in(&self, project: &Project) -> bool {
        self.recorded.as_ref().is_none_or(|recorded| project.is([&recorded[0], &recorded[1], &recorded[2]]))
    }

    /// Whose listing shows it.
    pub fn lot(&self) -> Lot {
        lot(&self.account, self.engine, &self.instance_id)
    }

    fn new(uid: &Arc<str>, facts: &Facts, object: &DatabaseBackup, memory: Option<&Memory>, is_due: bool) -> Option<Self> {
        let unseen = DatabaseBackupStatus::default();
        let status = object.status.as_ref().unwrap_or(&unseen);
        if !matches!(status.phase, Some(Phase::Running | Phase::Completed | Phase::Missing)) {
            return None;
        }
        let sent = memory.and_then(|memory| memory.own_intent(status)).map(|own| own.begun);
        Some(Self {
            uid: uid.clone(),
            namespace: facts.namespace.clone(),
            account: facts.account.clone(),
            engine: facts.engine,
            instance_id: facts.instance_id.clone(),
            recorded: recorded(status).map(|words| words.map(ToOwned::to_owned)),
            backup_id: status.backup_id.clone()?,
            mark: status.backup_name.clone().unwrap_or_default(),
            // The cloud's own time of its beginning may be the earlier one.
            asked: [status.request_time.as_ref().map(|time| time.0), status.start_time.as_ref().map(|time| time.0)]
                .into_iter()
                .flatten()
                .min()
                .unwrap_or_else(|| created(object)),
            is_imported: object.spec.source.existing_backup_id.is_some(),
            is_running: status.phase == Some(Phase::Running),
            seen: memory.and_then(|memory| memory.latest_result.as_ref()).map(|latest| latest.started).max(sent),
            is_due,
        })
    }
}

/// Whose backups one listing shows: an account's, of a service, and for a service that lists per instance, of that.
pub type Lot = (Arc<AccountKey>, Engine, Option<Arc<str>>);

fn lot(account: &Arc<AccountKey>, engine: Engine, instance_id: &Arc<str>) -> Lot {
    (account.clone(), engine, (engine.api().lists == Lists::Instance).then(|| instance_id.clone()))
}

fn lot_of(facts: &Facts) -> Lot {
    lot(&facts.account, facts.engine, &facts.instance_id)
}

/// The running backups whose namespace has been listed: else one listing would serve those that were shown so far, and all others only an interval later.
fn all_running(entries: &BackupEntries) -> impl Iterator<Item = (&Arc<str>, &Facts, &Live)> {
    let live = entries.live.iter().filter_map(|uid| entries.live(uid).map(|(entry, live)| (uid, &entry.facts, live)));
    live.filter(|(_, facts, live)| live.phase() == Some(Phase::Running) && entries.is_listed(facts))
}

/// Where there are running backups. None is copied for the answer: it is asked for every few seconds.
pub(super) fn running_lots(entries: &BackupEntries) -> BTreeSet<Lot> {
    all_running(entries).map(|(_, facts, _)| lot_of(facts)).collect()
}

/// Every running backup.
pub(super) fn running(entries: &BackupEntries) -> Vec<Polled> {
    all_running(entries).filter_map(|(uid, facts, live)| Polled::new(uid, facts, &live.object, Some(&live.memory), false)).collect()
}

/// Where any settled backup is due for its slow look. None is copied for this answer either.
pub(super) fn due(entries: &BackupEntries, settings: &Settings, now: Moment) -> BTreeSet<Lot> {
    let due = entries.looks.iter().take_while(|(at, _)| *at <= now.wall);
    let live = entries.live.iter().filter(|uid| entries.live(uid).is_some_and(|(_, live)| live.is_due(uid, settings, now)));
    let known =
        due.map(|(_, uid)| uid).chain(live).filter_map(|uid| entries.by_uid.get(uid)).filter(|entry| entries.is_listed(&entry.facts));
    known.map(|entry| lot_of(&entry.facts)).collect()
}

/// The settled backups among those meant that are due, or will be before long: one listing serves all of them.
pub(super) fn settled(entries: &BackupEntries, is_meant: impl Fn(&Facts) -> bool, settings: &Settings, now: Moment) -> Vec<Polled> {
    let before_long = now.wall.checked_add(settings.resync_interval / 2).unwrap_or(Timestamp::MAX);
    let live = entries.live.iter().filter_map(|uid| {
        let (entry, live) = entries.live(uid).filter(|(entry, _)| is_meant(&entry.facts))?;
        Polled::new(uid, &entry.facts, &live.object, Some(&live.memory), live.is_due(uid, settings, now))
    });
    let resting = entries.looks.iter().take_while(|(at, _)| *at <= before_long).filter_map(|(look, uid)| {
        let facts = entries.by_uid.get(uid).map(|entry| &entry.facts).filter(|facts| is_meant(facts))?;
        Polled::new(uid, facts, entries.whole(uid)?.as_ref(), None, *look <= now.wall)
    });
    live.chain(resting).filter(|backup| !backup.is_running).collect()
}
