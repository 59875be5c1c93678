//! Who is woken when an instance becomes free, and what is known of objects at rest.

mod resting;

use super::*;
use crate::{
    cloud::engine::Cloud,
    controller::store::queue::Queue,
    plan::{backup::listing_result::Covers, place::Place},
};
use serde_json::json;
use std::time::Duration;

fn object(uid: &str, second: u32, status: &serde_json::Value) -> Arc<DatabaseBackup> {
    let object = json!({
        "apiVersion": "dbbackup.dev/v1alpha1", "kind": "DatabaseBackup",
        "metadata": { "name": uid, "namespace": "shop", "uid": uid, "creationTimestamp": format!("2026-01-01T00:00:{second:02}Z") },
        "spec": { "source": { "engine": "TaurusDB", "instanceId": "i-1" } },
        "status": status,
    });
    Arc::new(serde_json::from_value(object).expect("a valid object"))
}

fn now() -> Moment {
    Moment { wall: "2026-01-01T00:01:00Z".parse().expect("a time"), mono: Duration::from_secs(60) }
}

fn place() -> Project {
    Project { cloud: Cloud::OpenTelekomCloud, region: "eu-de".into(), project_id: "p-1".into() }
}

/// An older and a younger object on one instance, each reconciled once, and who is woken from now on.
fn two(younger: &serde_json::Value) -> (Backups, Arc<Queue>) {
    let backups = Backups::default();
    backups.track(object("older", 1, &json!({})), now());
    backups.track(object("younger", 2, younger), now());
    for uid in ["older", "younger"] {
        backups.leave_queue(uid, true, |_| Some(place()), now());
    }
    let queue = backups.waker.open(None);
    (backups, queue)
}

fn woken(queue: &Queue) -> Vec<String> {
    queue.drain().into_iter().map(|key| key.id.to_string()).collect()
}

#[test]
fn a_turn_that_ends_unused_wakes_who_was_told_to_wait_for_it() {
    let (backups, queue) = two(&json!({}));
    let position = |uid| backups.join_queue(uid, &place(), |_| Some(place()), now());
    // The older one is not in the way: it backs off, say.
    backups.memory("older", |memory, _| memory.reported = Some(crate::plan::backup::reason::Reason::BackoffAfterFailure));
    assert_eq!(position("younger"), Position::First);
    backups.memory("older", |memory, _| memory.reported = None);
    assert_eq!(position("older"), Position::Behind(Some("shop/younger".into())));
    // The younger one's reconcile failed before anything was written, so it claims what it did before.
    backups.leave_queue("younger", true, |_| Some(place()), now());
    assert_eq!(woken(&queue), ["older"]);
    assert_eq!(position("older"), Position::First);
}

#[test]
fn one_that_holds_the_instance_no_longer_since_its_deadline_is_over_wakes_who_waits() {
    let (backups, queue) = two(&json!({ "phase": "Running", "backupId": "b-1" }));
    let late = now().plus(Duration::from_secs(7200));
    backups.leave_queue("younger", true, |_| Some(place()), late);
    assert_eq!(woken(&queue), ["older"]);
    backups.leave_queue("younger", true, |_| Some(place()), late);
    assert_eq!(woken(&queue), [] as [&str; 0], "once");
}

#[test]
fn one_whose_account_can_no_longer_be_used_wakes_who_waits() {
    let (backups, queue) = two(&json!({ "phase": "Running", "backupId": "b-1" }));
    backups.leave_queue("younger", true, |_| None, now());
    assert_eq!(woken(&queue), ["older"]);
}

#[test]
fn a_backup_that_was_just_asked_for_again_is_not_looked_for_because_its_last_attempt_was_seen_long_ago() {
    let backups = Backups::default();
    let asked = "2026-01-01T00:01:00Z";
    let status = json!({ "phase": "Running", "backupId": "b-2", "backupName": "dbb-2", "requestTime": "2026-01-01T00:01:00.000000Z" });
    backups.track(object("one", 1, &status), now());
    let long_ago = Moment { mono: Duration::ZERO, ..now() };
    let place = Arc::new(Place { project: place(), endpoint: "host".into() });
    let failed = ListingResult { place, started: long_ago, covers: Covers::Everything, found: Vec::new() };
    backups.memory("one", |memory, status| {
        memory.polled(status, failed);
        memory.intend(asked.parse().expect("a time"), now());
    });
    backups.end_listing(None);
    let polled = backups.running();
    assert_eq!(polled.iter().map(|backup| backup.seen).collect::<Vec<_>>(), [Some(now())]);
}

#[test]
fn a_write_whose_answer_comes_after_the_object_is_gone_does_not_bring_it_back() {
    let holding = json!({ "phase": "Pending", "backupName": "dbb-b", "attempts": 1 });
    let (backups, queue) = two(&holding);
    let position = || backups.join_queue("older", &place(), |_| Some(place()), now());
    assert_eq!(position(), Position::Behind(Some("shop/younger".into())), "its call is in doubt");
    backups.forget("younger");
    assert_eq!(woken(&queue), ["older"]);
    backups.newest(object("younger", 2, &holding));
    assert_eq!(position(), Position::First);
}

#[test]
fn what_a_listing_of_a_store_that_was_put_back_shows_is_not_replaced_by_anything_older() {
    let version = |version: &str| {
        let mut object = DatabaseBackup::clone(&object("one", 1, &json!({})));
        object.metadata.resource_version = Some(version.into());
        Arc::new(object)
    };
    let backups = Backups::default();
    backups.track(version("10"), now());
    backups.begin_listing(None);
    assert!(!backups.is_put_back_by(&version("10")) && backups.is_put_back_by(&version("5")));
    backups.put_back(now());
    backups.begin_listing(None);
    assert!(!backups.is_put_back_by(&version("5")), "that is known");
    backups.shown(version("5"), &Settings::default(), now());
    assert_eq!(backups.newest(version("3")).metadata.resource_version.as_deref(), Some("5"), "an answer that comes late");
    assert_eq!(backups.newest(version("6")).metadata.resource_version.as_deref(), Some("6"));
}

#[test]
fn what_a_whole_listing_does_not_show_is_gone_and_what_is_written_meanwhile_stays() {
    let elsewhere = |uid: &str| {
        let mut object = object(uid, 1, &json!({})).as_ref().clone();
        object.metadata.namespace = Some("billing".into());
        Arc::new(object)
    };
    let backups = Backups::default();
    for object in [object("kept", 1, &json!({})), object("gone", 2, &json!({})), elsewhere("another's")] {
        backups.track(object, now());
    }
    backups.begin_listing(Some("shop"));
    backups.newest(object("gone", 2, &json!({ "phase": "Running" })));
    backups.shown(object("kept", 1, &json!({})), &Settings::default(), now());
    backups.track(object("made meanwhile", 3, &json!({})), now());
    assert!(backups.find("gone").is_some(), "before the listing's end nothing is known to be gone");
    let mut keys: Vec<String> = backups.end_listing(Some("shop")).into_iter().map(|key| key.id.to_string()).collect();
    keys.sort();
    assert_eq!(keys, ["kept", "made meanwhile"]);
    assert!(backups.find("gone").is_none() && backups.find("another's").is_some());
}

#[test]
fn a_version_that_is_known_from_the_answer_to_a_write_is_no_news() {
    let version = |version: &str| {
        let mut object = DatabaseBackup::clone(&object("one", 1, &json!({})));
        object.metadata.resource_version = Some(version.into());
        Arc::new(object)
    };
    let backups = Backups::default();
    assert!(backups.track(version("1"), now()));
    backups.newest(version("2"));
    assert!(!backups.track(version("2"), now()));
    assert!(backups.track(version("3"), now()), "somebody else wrote");
}

#[test]
fn a_backup_that_another_live_object_adopts_is_known_to_be_adopted() {
    let adopter = |uid: &str, backup_id: &str, deleted: serde_json::Value| {
        let mut adopter = object(uid, 3, &json!({})).as_ref().clone();
        adopter.spec.source.existing_backup_id = Some(backup_id.into());
        adopter.metadata.deletion_timestamp = serde_json::from_value(deleted).expect("a time");
        Arc::new(adopter)
    };
    let backups = Backups::default();
    backups.track(object("owner", 1, &json!({ "backupId": "b-1" })), now());
    backups.track(adopter("another's", "b-2", json!(null)), now());
    backups.track(adopter("leaving", "b-1", json!("2026-01-01T00:00:30Z")), now());
    assert!(!backups.is_adopted("b-1", "owner"));
    backups.track(adopter("adopter", "b-1", json!(null)), now());
    assert!(backups.is_adopted("b-1", "owner") && !backups.is_adopted("b-1", "adopter"), "not by itself");
}

#[test]
fn only_what_came_into_being_before_this_process_counts_as_known_from_its_beginning() {
    let backups = Backups::default();
    backups.found(object("found", 1, &json!({})));
    backups.track(object("found", 1, &json!({})), now());
    backups.track(object("made", 2, &json!({})), now());
    assert_eq!((backups.born("found"), backups.born("made")), (None, Some(now())), "another process may have asked for it");
}

#[tokio::test]
async fn whoever_polls_is_told_of_a_listing_and_of_an_account_that_may_be_usable_now() {
    let backups = Backups::default();
    let is_told = async || tokio::time::timeout(Duration::from_millis(1), backups.poll_soon.notified()).await.is_ok();
    assert!(!is_told().await);
    backups.end_listing(None);
    assert!(is_told().await);
    backups.wake_account(&AccountKey::of(&object("a", 1, &json!({}))));
    assert!(is_told().await && !is_told().await);
}
