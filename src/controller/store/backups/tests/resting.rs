//! Objects at rest: as good as any other for every question, and woken when their time comes.

use super::*;
use crate::plan::account::AccountKey;

/// A backup that was completed at 00:00:30; with this in its status beside.
fn completed(uid: &str, version: &str, more: &serde_json::Value) -> Arc<DatabaseBackup> {
    let mut status = json!({
        "phase": "Completed", "backupId": format!("b-{uid}"), "backupName": format!("dbb-{uid}"), "observedGeneration": 1, "lastSyncTime": "2026-01-01T00:00:30Z",
        "completionTime": "2026-01-01T00:00:30Z", "size": "1Ki", "requestTime": "2026-01-01T00:00:10.000000Z",
    });
    if let (Some(status), Some(more)) = (status.as_object_mut(), more.as_object()) {
        status.extend(more.clone());
    }
    let mut object = DatabaseBackup::clone(&object(uid, 1, &status));
    (object.metadata.generation, object.metadata.resource_version) = (Some(1), Some(version.into()));
    Arc::new(object)
}

fn rests(backups: &Backups, uid: &str) -> bool {
    backups.rest(uid, None, &Settings::default(), now())
}

fn later(seconds: u64) -> Moment {
    now().plus(Duration::from_secs(seconds))
}

#[test]
fn an_object_comes_out_of_its_rest_as_it_was_and_counts_meanwhile() {
    let backups = Backups::default();
    let object = completed("done", "7", &json!({}));
    backups.track(object.clone(), now());
    let key = AccountKey::of(&object);
    let known = || (backups.summaries(), backups.count_by_phase(), backups.users_of(&key), backups.ids_of("i-1"));
    let before = known();
    assert!(rests(&backups, "done"));
    assert!(!backups.is_any_live(std::iter::once("done")));
    assert_eq!(before, known());
    let json = |object: &DatabaseBackup| serde_json::to_value(object).expect("JSON");
    assert_eq!(json(&backups.find("done").expect("there")), json(&object));
    assert!(backups.is_any_live(std::iter::once("done")));
    backups.forget("done");
    assert_eq!((backups.summaries().len(), backups.users_of(&key).all), (0, 0), "nothing is left of it");
}

#[test]
fn only_another_version_ends_the_rest_of_an_object_that_is_seen_again() {
    let backups = Backups::default();
    backups.shown(completed("done", "7", &json!({})), &Settings::default(), now());
    let is_live = || backups.is_any_live(std::iter::once("done"));
    assert!(!is_live(), "a listing shows many, and they rest at once");
    assert!(!backups.track(completed("done", "7", &json!({})), now()) && !is_live());
    assert!(backups.track(completed("done", "8", &json!({})), now()) && is_live());
    assert!(rests(&backups, "done"));
    backups.newest(completed("done", "6", &json!({})));
    assert!(!is_live(), "an answer that comes late");
    // What was shown and rests need not be reconciled after the listing; what does not rest, does.
    backups.shown(object("new", 2, &json!({})), &Settings::default(), now());
    assert_eq!(backups.end_listing(None).iter().map(|key| key.id.to_string()).collect::<Vec<_>>(), ["new"]);
}

#[test]
fn one_at_rest_is_woken_when_its_time_is_up_and_not_before() {
    let backups = Backups::default();
    let queue = backups.waker.open(None);
    backups.track(completed("expiring", "7", &json!({ "expirationTime": "2026-01-01T00:11:00Z" })), now());
    assert!(rests(&backups, "expiring"));
    backups.wake_due(later(599));
    assert_eq!(woken(&queue), [] as [&str; 0]);
    backups.wake_due(later(600));
    assert_eq!(woken(&queue), ["expiring"]);
    backups.wake_due(later(601));
    assert_eq!(woken(&queue), [] as [&str; 0], "once");
    assert!(backups.find("expiring").is_some());
    assert!(!backups.rest("expiring", None, &Settings::default(), later(601)), "its time is up");
}

#[test]
fn one_at_rest_is_looked_at_when_its_slow_look_is_due_and_others_with_it_that_will_be_before_long() {
    let (backups, settings) = (Backups::default(), Settings::default());
    for uid in ["a", "b", "c", "d"] {
        backups.track(completed(uid, "7", &json!({})), now());
        assert!(rests(&backups, uid));
    }
    // It was read eleven hours later.
    backups.track(completed("young", "7", &json!({ "lastSyncTime": "2026-01-01T11:00:00Z" })), now());
    assert!(rests(&backups, "young"));
    backups.end_listing(None);
    let hours = |hours: u64| later(hours * 3600);
    assert!(backups.due(&settings, hours(9)).is_empty());
    let due = backups.due(&settings, hours(15));
    assert_eq!(due.len(), 1, "one listing for all of them");
    let (account, engine, _) = due.into_iter().next().expect("one");
    // Between the first and the last of them.
    let at = hours(14);
    let settled = backups.settled(&account, engine, Some("i-1"), &settings, at);
    let mut uids: Vec<&str> = settled.iter().map(|backup| &*backup.uid).collect();
    uids.sort_unstable();
    assert!(uids.starts_with(&["a", "b", "c", "d"]) && settled.iter().all(|backup| !backup.is_running), "{uids:?}");
    assert!(settled.iter().any(|backup| backup.is_due));
    assert_eq!(backups.settled(&account, engine, Some("another"), &settings, at).len(), 0);
    let soon = backups.settled(&account, engine, None, &settings, now());
    assert!(soon.is_empty(), "{soon:?}");
    assert!(!backups.is_any_live(std::iter::once("a")), "to be asked for ends nobody's rest");
}

#[test]
fn what_is_told_to_one_at_rest_is_known_when_it_is_reconciled() {
    let backups = Backups::default();
    backups.track(completed("done", "7", &json!({})), now());
    assert!(rests(&backups, "done"));
    let place = Arc::new(Place { project: place(), endpoint: "host".into() });
    let lacking = ListingResult { place, started: later(9), covers: Covers::Everything, found: Vec::new() };
    backups.memory("done", |memory, status| memory.polled(status, lacking));
    assert_eq!(backups.memory("done", |memory, _| memory.absence.is_some()), Some(true));
    assert!(!rests(&backups, "done"), "there is a doubt");
}

#[test]
fn nothing_is_polled_for_before_all_that_one_listing_serves_is_known() {
    let (backups, settings) = (Backups::default(), Settings::default());
    let running = json!({ "phase": "Running", "backupId": "b-1", "requestTime": "2026-01-01T00:00:10.000000Z" });
    let polled = || [backups.running().len(), backups.running_lots().len(), backups.due(&settings, later(15 * 3600)).len()];
    backups.shown(object("running", 1, &running), &settings, now());
    backups.shown(completed("settled", "7", &json!({})), &settings, now());
    assert_eq!(polled(), [0; 3]);
    backups.end_listing(Some("billing"));
    assert_eq!(polled(), [0; 3], "another namespace");
    backups.end_listing(Some("shop"));
    assert_eq!(polled(), [1; 3]);
    assert!(backups.are_listed(Some("shop")) && !backups.are_listed(None));
}
