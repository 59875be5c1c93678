//! How the backups of an instance stand, all its objects together: what an alert or a dashboard asks. And how the accounts do.
//!
//! Each has a series of its own for every figure, so there is a bound. What an instance is called is up to whoever writes an object; only one of which the
//! cloud has made a backup stands by itself, and at most [`MOST`] of those do. All others of a namespace and engine stand together, as [`OTHER`].

use super::{account::AccountKey, backup::status::bytes, share};
use crate::{
    api::{
        FINALIZER, HOLD,
        backup::DatabaseBackup,
        conditions::{is_true, types},
        status::{DatabaseBackupStatus, DeleteReason, Phase},
    },
    cloud::engine::Engine,
};
use jiff::Timestamp;
use kube::ResourceExt;
use std::{collections::BTreeMap, num::NonZero};

/// An instance, as backups of a namespace name it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instance {
    /// Namespace of the objects.
    pub namespace: String,
    /// The service.
    pub engine: Engine,
    /// The cloud's id of the instance.
    pub instance_id: String,
}

/// How its backups stand. All of it is read off the objects that there are, so it survives a restart and goes with them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Completion of the newest backup that was taken well; one that is gone in the cloud does not count, one that expired does.
    pub last_success: Option<Timestamp>,
    /// When a backup was last asked for.
    pub last_attempt: Option<Timestamp>,
    /// When the newest backup that failed for good was asked for.
    pub last_failure: Option<Timestamp>,
    /// How the newest object that came to an end did: true for Completed and Expired, false for Failed and Missing.
    pub last_status: Option<bool>,
    /// Bytes of the newest backup that is there, where the cloud says.
    pub size: Option<u64>,
    /// Backups that are there, and not on their way out by retention.
    pub retained: usize,
    /// Completion of the oldest of them.
    pub oldest: Option<Timestamp>,
    /// Objects that need somebody: blocked for longer than the grace, or past their deadline.
    pub stalled: usize,
    /// Backups that were there and are gone in the cloud.
    pub missing: usize,
    /// Objects that go once their backups in the cloud are gone: by this operator's finalizer, or by retention.
    pub deleting: usize,
    /// Those of the retained that somebody holds, by an annotation.
    pub held: usize,
}

/// The most instances, and the most accounts, that stand by themselves.
pub const MOST: usize = 1000;
/// What stands in the place of an instance's id, or an account's name, for all that do not stand by themselves. No cloud has such an id.
pub const OTHER: &str = "other";

/// A time in whole seconds since 1970, as series have it: a third of the room of a [`Timestamp`], of which there are three for each object.
type Second = NonZero<i64>;

fn second(time: Timestamp) -> Option<Second> {
    Second::new(time.as_second())
}

fn timestamp(second: Second) -> Option<Timestamp> {
    Timestamp::from_second(second.get()).ok()
}

/// What one object says of its instance.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Standing {
    /// Its phase; absent before its first status.
    pub phase: Option<Phase>,
    /// When it was created.
    created: Option<Second>,
    /// When it was asked for.
    asked: Option<Second>,
    /// When it was completed.
    completed: Option<Second>,
    /// Bytes, where the cloud says.
    size: Option<u64>,
    /// The cloud has made a backup of it, once at least.
    has_id: bool,
    is_stalled: bool,
    is_held: bool,
    goes_by_retention: bool,
    /// It is deleted, and waits for the cloud.
    is_leaving: bool,
}

impl Standing {
    /// What an object says.
    pub fn of(object: &DatabaseBackup) -> Self {
        let unseen = DatabaseBackupStatus::default();
        let status = object.status.as_ref().unwrap_or(&unseen);
        let created = object.metadata.creation_timestamp.as_ref().and_then(|time| second(time.0));
        let is_there = status.phase == Some(Phase::Completed);
        Self {
            phase: status.phase,
            created,
            // One that lapsed was never meant to be taken.
            asked: match &status.request_time {
                Some(time) => second(time.0),
                None => created.filter(|_| status.phase != Some(Phase::Lapsed)),
            },
            completed: completed(status).and_then(second),
            size: status.size.as_ref().and_then(bytes),
            has_id: status.backup_id.is_some() || status.failed_attempts.iter().any(|attempt| attempt.backup_id.is_some()),
            is_stalled: is_true(&status.conditions, types::STALLED),
            is_held: object.annotations().contains_key(HOLD),
            goes_by_retention: is_there && status.delete_reason == Some(DeleteReason::Retention),
            is_leaving: object.metadata.deletion_timestamp.is_some() && object.finalizers().iter().any(|name| name == FINALIZER),
        }
    }
}

/// Where an object stands: namespace, engine and id of its instance.
pub type Spot<'a> = (&'a str, Engine, &'a str);

/// How the backups of each instance stand, or of several together. Each object: its instance, its UID, and what it says.
pub fn summaries<'a>(objects: impl Iterator<Item = (Spot<'a>, &'a str, &'a Standing)>) -> BTreeMap<Instance, Summary> {
    bounded(objects, MOST)
}

fn bounded<'a>(objects: impl Iterator<Item = (Spot<'a>, &'a str, &'a Standing)>, most: usize) -> BTreeMap<Instance, Summary> {
    let mut by_instance: BTreeMap<Spot<'a>, Vec<(&str, &Standing)>> = BTreeMap::new();
    for (instance, uid, standing) in objects {
        by_instance.entry(instance).or_default().push((uid, standing));
    }
    let mut known: Vec<(Timestamp, Spot<'a>)> =
        by_instance.iter().filter_map(|(instance, objects)| Some((known_since(objects)?, *instance))).collect();
    // Those that have been known for longest stay, so that none of them goes when another one comes.
    known.sort_unstable();
    let known = known.into_iter().filter(|(_, (_, _, instance_id))| *instance_id != OTHER);
    let (alone, _) = share::within(known.map(|(_, instance)| (instance.0, instance)), most);
    let named =
        |(namespace, engine, instance_id): Spot<'a>| Instance { namespace: namespace.into(), engine, instance_id: instance_id.into() };
    let mut summaries: BTreeMap<Instance, Summary> = BTreeMap::new();
    for instance in alone {
        let objects = by_instance.remove(&instance).unwrap_or_default();
        summaries.insert(named(instance), summary(objects));
    }
    let mut others: BTreeMap<Spot<'a>, Vec<Summary>> = BTreeMap::new();
    for ((namespace, engine, _), objects) in by_instance {
        others.entry((namespace, engine, OTHER)).or_default().push(summary(objects));
    }
    summaries.extend(others.into_iter().map(|(other, summaries)| (named(other), together(&summaries))));
    summaries
}

/// Since when there has been an object of which the cloud made a backup; absent if there is none.
fn known_since(objects: &[(&str, &Standing)]) -> Option<Timestamp> {
    let known = objects.iter().filter(|(_, standing)| standing.has_id);
    known.map(|(_, standing)| standing.created.and_then(timestamp).unwrap_or_default()).min()
}

/// Several instances as one: numbers are sums, and the times are those of the one that stands worst, so that whatever alert it deserves is raised.
fn together(instances: &[Summary]) -> Summary {
    let sum = |of: fn(&Summary) -> usize| instances.iter().map(of).sum();
    let worst = instances.iter().map(|instance| (badness(instance), instance)).min_by_key(|(badness, it)| (*badness, it.last_success));
    let times = worst.filter(|(badness, _)| *badness != Badness::Unremarkable).map(|(_, instance)| instance.clone()).unwrap_or_default();
    Summary {
        size: None,
        retained: sum(|it| it.retained),
        oldest: instances.iter().filter_map(|instance| instance.oldest).min(),
        stalled: sum(|it| it.stalled),
        missing: sum(|it| it.missing),
        deleting: sum(|it| it.deleting),
        held: sum(|it| it.held),
        ..times
    }
}

/// How badly an instance stands among others, worst first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Badness {
    /// Its newest backup failed.
    Failing,
    /// No backup of it was ever taken, and somebody has to do something.
    NeverSucceeded,
    /// Its newest backup is this old.
    Succeeded,
    /// One was asked for, and that is all there is to say.
    Unremarkable,
}

fn badness(instance: &Summary) -> Badness {
    match (instance.last_success, instance.last_failure) {
        (success, Some(failure)) if success < Some(failure) => Badness::Failing,
        (Some(_), _) => Badness::Succeeded,
        (None, _) if instance.stalled > 0 => Badness::NeverSucceeded,
        (None, _) => Badness::Unremarkable,
    }
}

/// The accounts, and whether each is ready; beyond the bound those of a kind and namespace together, ready if all of them are.
pub fn accounts(mut readiness: Vec<(AccountKey, bool)>) -> BTreeMap<AccountKey, bool> {
    readiness.sort_unstable();
    let (named_so, accounts): (Vec<_>, Vec<_>) = readiness.into_iter().partition(|(key, _)| key.name == OTHER);
    let (alone, beyond) = share::within(accounts.into_iter().map(|account| ((account.0.kind, account.0.namespace.clone()), account)), MOST);
    let mut readiness: BTreeMap<AccountKey, bool> = alone.into_iter().collect();
    for (key, is_ready) in beyond.into_iter().chain(named_so) {
        *readiness.entry(AccountKey { name: OTHER.into(), ..key }).or_insert(true) &= is_ready;
    }
    readiness
}

fn summary(mut objects: Vec<(&str, &Standing)>) -> Summary {
    // Oldest first. The API keeps whole seconds; which of two in one is the newer must not change from scrape to scrape.
    objects.sort_by_key(|(uid, standing)| (standing.created, *uid));
    let mut summary = Summary::default();
    let mut newest_there = None;
    for (_, object) in objects {
        let (asked, completed) = (object.asked.and_then(timestamp), object.completed.and_then(timestamp));
        summary.last_attempt = summary.last_attempt.max(asked);
        match object.phase {
            Some(Phase::Completed | Phase::Expired) => {
                summary.last_status = Some(true);
                summary.last_success = summary.last_success.max(completed);
            }
            Some(Phase::Failed) => {
                summary.last_status = Some(false);
                summary.last_failure = summary.last_failure.max(asked);
            }
            Some(Phase::Missing) => {
                summary.last_status = Some(false);
                summary.missing += 1;
            }
            // Nothing was taken, and nothing was to be.
            Some(Phase::Lapsed) => {}
            Some(Phase::Pending | Phase::Running) | None => summary.stalled += usize::from(object.is_stalled),
        }
        if object.phase == Some(Phase::Completed) && !object.goes_by_retention {
            summary.retained += 1;
            summary.held += usize::from(object.is_held);
            summary.oldest = [summary.oldest, completed].into_iter().flatten().min();
            if completed >= newest_there {
                (newest_there, summary.size) = (completed, object.size);
            }
        }
        summary.deleting += usize::from(object.is_leaving || object.goes_by_retention);
    }
    summary
}

/// When a backup was completed. Where the cloud does not say: since when the object has been Ready, which it stays. Without any time it would look as if
/// there had never been one.
fn completed(status: &DatabaseBackupStatus) -> Option<Timestamp> {
    let ready = || status.conditions.iter().find(|condition| condition.type_ == types::READY && condition.status == "True");
    status.completion_time.as_ref().or_else(|| ready().map(|ready| &ready.last_transition_time)).map(|time| time.0)
}

#[cfg(test)]
mod tests;
