//! How the backups of an instance stand, all its objects together: what an alert or a dashboard asks.

use super::backup::status::bytes;
use crate::{
    api::{
        FINALIZER,
        backup::DatabaseBackup,
        conditions::{is_true, types},
        status::{DatabaseBackupStatus, Phase},
    },
    cloud::engine::Engine,
};
use jiff::Timestamp;
use kube::ResourceExt;
use std::collections::BTreeMap;

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
    /// Backups that are there.
    pub retained: usize,
    /// Completion of the oldest of them.
    pub oldest: Option<Timestamp>,
    /// Objects that need somebody: blocked for longer than the grace, or past their deadline.
    pub stalled: usize,
    /// Backups that were there and are gone in the cloud.
    pub missing: usize,
    /// Objects that are held by this operator's finalizer until their backups in the cloud are gone.
    pub deleting: usize,
}

/// How the backups of each instance stand.
pub fn summaries<'a>(objects: impl Iterator<Item = &'a DatabaseBackup>) -> BTreeMap<Instance, Summary> {
    let mut by_instance: BTreeMap<Instance, Vec<&DatabaseBackup>> = BTreeMap::new();
    for object in objects {
        let (namespace, source) = (object.namespace().unwrap_or_default(), &object.spec.source);
        let instance = Instance { namespace, engine: source.engine, instance_id: source.instance_id.clone() };
        by_instance.entry(instance).or_default().push(object);
    }
    by_instance.into_iter().map(|(instance, objects)| (instance, summary(objects))).collect()
}

fn summary(mut objects: Vec<&DatabaseBackup>) -> Summary {
    // Oldest first. The API keeps whole seconds; which of two in one is the newer must not change from scrape to scrape.
    objects.sort_by_key(|object| (created(object), object.metadata.uid.as_deref()));
    let unseen = DatabaseBackupStatus::default();
    let mut summary = Summary::default();
    let mut newest_there = None;
    for object in objects {
        let status = object.status.as_ref().unwrap_or(&unseen);
        // One that lapsed was never meant to be taken.
        let created = created(object).filter(|_| status.phase != Some(Phase::Lapsed));
        let asked = status.request_time.as_ref().map(|time| time.0).or(created);
        summary.last_attempt = summary.last_attempt.max(asked);
        match status.phase {
            Some(Phase::Completed | Phase::Expired) => {
                summary.last_status = Some(true);
                summary.last_success = summary.last_success.max(completed(status));
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
            Some(Phase::Pending | Phase::Running) | None => summary.stalled += usize::from(is_true(&status.conditions, types::STALLED)),
        }
        if status.phase == Some(Phase::Completed) {
            let completed = completed(status);
            summary.retained += 1;
            summary.oldest = [summary.oldest, completed].into_iter().flatten().min();
            if completed >= newest_there {
                (newest_there, summary.size) = (completed, status.size.as_ref().and_then(bytes));
            }
        }
        let is_held = object.metadata.deletion_timestamp.is_some() && object.finalizers().iter().any(|name| name == FINALIZER);
        summary.deleting += usize::from(is_held);
    }
    summary
}

fn created(object: &DatabaseBackup) -> Option<Timestamp> {
    object.metadata.creation_timestamp.as_ref().map(|time| time.0)
}

/// When a backup was completed. Where the cloud does not say: since when the object has been Ready, which it stays. Without any time it would look as if
/// there had never been one.
fn completed(status: &DatabaseBackupStatus) -> Option<Timestamp> {
    let ready = || status.conditions.iter().find(|condition| condition.type_ == types::READY && condition.status == "True");
    status.completion_time.as_ref().or_else(|| ready().map(|ready| &ready.last_transition_time)).map(|time| time.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn at(text: &str) -> Timestamp {
        format!("2026-03-0{text}:00Z").parse().unwrap()
    }

    /// An object created on a day, with this status.
    fn object(day: u8, status: &Value) -> DatabaseBackup {
        let object = json!({
            "apiVersion": "dbbackup.dev/v1alpha1", "kind": "DatabaseBackup",
            "metadata": {
                "name": format!("day-{day}"), "namespace": "shop", "uid": format!("u-{day}"),
                "creationTimestamp": format!("2026-03-0{day}T00:00:00Z"),
            },
            "spec": { "source": { "engine": "DCS", "instanceId": "i-1" } },
            "status": status,
        });
        serde_json::from_value(object).unwrap()
    }

    fn of(objects: &[DatabaseBackup]) -> Summary {
        let mut summaries = summaries(objects.iter());
        assert_eq!(summaries.len(), 1);
        summaries.pop_first().unwrap().1
    }

    fn completed(day: u8, size: &str) -> DatabaseBackup {
        object(day, &json!({ "phase": "Completed", "completionTime": format!("2026-03-0{day}T00:10:00Z"), "size": size }))
    }

    fn condition(type_: &str) -> Value {
        json!({ "type": type_, "status": "True", "reason": "R", "message": "", "lastTransitionTime": "2026-03-01T00:20:00Z" })
    }

    #[test]
    fn the_newest_backup_speaks_for_the_instance_whatever_the_order() {
        let mut objects = vec![completed(2, "200"), completed(1, "100"), completed(3, "300")];
        for _ in 0..3 {
            objects.rotate_left(1);
            let summary = of(&objects);
            assert_eq!((summary.last_success, summary.oldest), (Some(at("3T00:10")), Some(at("1T00:10"))));
            assert_eq!((summary.size, summary.retained, summary.last_status), (Some(300), 3, Some(true)));
            assert_eq!(summary.last_attempt, Some(at("3T00:00")));
        }
    }

    #[test]
    fn of_two_from_one_second_the_same_one_speaks_whatever_the_order() {
        let mut other = object(1, &json!({ "phase": "Failed" }));
        other.metadata.uid = Some("u-0".into());
        let one = completed(1, "100");
        assert_eq!(of(&[one.clone(), other.clone()]), of(&[other, one]));
    }

    #[test]
    fn a_failure_after_a_success_is_the_last_status_and_leaves_the_last_success() {
        let summary = of(&[completed(1, "100"), object(2, &json!({ "phase": "Failed" }))]);
        assert_eq!((summary.last_status, summary.last_success), (Some(false), Some(at("1T00:10"))));
        assert_eq!(summary.last_failure, Some(at("2T00:00")));
        let summary = of(&[object(1, &json!({ "phase": "Failed" })), completed(2, "100")]);
        assert_eq!((summary.last_status, summary.last_failure), (Some(true), Some(at("1T00:00"))));
    }

    #[test]
    fn a_completion_that_the_cloud_does_not_date_is_dated_by_the_object() {
        let undated = object(1, &json!({ "phase": "Completed", "conditions": [condition("Ready")] }));
        let summary = of(&[undated]);
        assert_eq!((summary.last_success, summary.oldest), (Some(at("1T00:20")), Some(at("1T00:20"))));
    }

    #[test]
    fn only_this_operators_finalizer_is_waiting_for_the_cloud() {
        let mut leaving = completed(1, "100");
        leaving.metadata.deletion_timestamp = leaving.metadata.creation_timestamp.clone();
        leaving.metadata.finalizers = Some(vec!["somebody.else/finalizer".into()]);
        assert_eq!(of(std::slice::from_ref(&leaving)).deleting, 0);
        leaving.finalizers_mut().push(FINALIZER.into());
        assert_eq!(of(&[leaving]).deleting, 1);
    }

    #[test]
    fn a_backup_that_is_gone_is_no_success_and_one_that_expired_was_one_and_is_not_there() {
        let gone = object(2, &json!({ "phase": "Missing", "completionTime": "2026-03-02T00:10:00Z", "size": "5" }));
        let summary = of(&[gone]);
        assert_eq!((summary.last_success, summary.retained, summary.missing, summary.size), (None, 0, 1, None));
        let expired = object(2, &json!({ "phase": "Expired", "completionTime": "2026-03-02T00:10:00Z" }));
        let summary = of(&[expired]);
        assert_eq!(
            (summary.last_success, summary.retained, summary.oldest, summary.last_status),
            (Some(at("2T00:10")), 0, None, Some(true))
        );
    }

    #[test]
    fn an_object_on_its_way_is_an_attempt_and_nothing_else_until_it_stalls() {
        let asked = json!({ "phase": "Running", "requestTime": "2026-03-01T00:05:00.000000Z" });
        assert_eq!(of(&[object(1, &asked)]), Summary { last_attempt: Some(at("1T00:05")), ..Summary::default() });
        let stalled = object(1, &json!({ "phase": "Pending", "conditions": [condition("Stalled")] }));
        assert_eq!(of(&[stalled]).stalled, 1);
        let failed = object(1, &json!({ "phase": "Failed", "conditions": [condition("Stalled")] }));
        assert_eq!(of(&[failed]).stalled, 0, "that is a failure, which the last status tells");
    }

    #[test]
    fn instances_of_other_namespaces_and_engines_are_others() {
        let mut other = completed(1, "1");
        other.metadata.namespace = Some("billing".into());
        assert_eq!(summaries([&completed(1, "1"), &other].into_iter()).len(), 2);
        assert!(summaries([].into_iter()).is_empty(), "nothing is left of objects that are gone");
    }
}
