#![allow(clippy::unnecessary_wraps, reason = "what a look showed may be trouble, too")]

use super::*;
use serde_json::{Value, json};

const TIMEOUT: Duration = Duration::from_mins(30);

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A version of the object with this UID.
fn object(uid: &str, status: &Value) -> DatabaseBackup {
    let object = json!({
        "apiVersion": "dbbackup.dev/v1alpha1", "kind": "DatabaseBackup",
        "metadata": { "name": "orders", "namespace": "shop", "uid": uid, "generation": 1 },
        "spec": { "source": { "engine": "DCS", "instanceId": "i-1" } },
        "status": status,
    });
    serde_json::from_value(object).expect("an object")
}

/// A status with these conditions, each with this reason.
fn status(phase: &str, reason: &str, conditions: &[(&str, &str)]) -> Value {
    let condition = |(type_, status): &(&str, &str)| {
        let (message, since) = (format!("about {reason}"), "2026-03-01T00:00:00Z");
        json!({ "type": type_, "status": status, "reason": reason, "message": message, "lastTransitionTime": since })
    };
    let conditions: Vec<Value> = conditions.iter().map(condition).collect();
    json!({ "observedGeneration": 1, "phase": phase, "conditions": conditions })
}

const READY: [(&str, &str); 1] = [("Ready", "True")];
const ON_ITS_WAY: [(&str, &str); 2] = [("Ready", "False"), ("Reconciling", "True")];
const STALLED: [(&str, &str); 2] = [("Ready", "False"), ("Stalled", "True")];

fn running() -> Look {
    Ok(Some(object("u-1", &status("Running", "Running", &ON_ITS_WAY))))
}

fn completed() -> Look {
    Ok(Some(object("u-1", &status("Completed", "Completed", &READY))))
}

fn failed() -> Look {
    Ok(Some(object("u-1", &status("Failed", "BackupFailed", &STALLED))))
}

fn being_deleted(look: Look) -> Look {
    let mut object = look.expect("a look").expect("an object");
    object.metadata.deletion_timestamp = Some(serde_json::from_value(json!("2026-03-01T00:00:00Z")).expect("a time"));
    Ok(Some(object))
}

fn trouble(is_refusal: bool, message: &str) -> Look {
    Err(Trouble { is_refusal, message: message.to_owned() })
}

fn wait_for(names: &[&str]) -> Wait {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    Wait::new("shop", &names, TIMEOUT)
}

/// A wait for one backup that has seen these, one a second.
fn after(looks: Vec<Look>) -> (Wait, Vec<String>) {
    let mut wait = wait_for(&["orders"]);
    let lines = (0..).zip(looks).filter_map(|(second, look)| wait.look("orders", look, seconds(second))).collect();
    (wait, lines)
}

fn outcome_at(wait: &Wait, now: u64) -> Option<Outcome> {
    wait.end(seconds(now)).map(|end| end.outcome)
}

#[test]
fn each_status_means_one_thing_for_whoever_waits() {
    use Outcome::{Blocked, Done, Failed};
    for (phase, reason, conditions, expected) in [
        ("Pending", "Submitting", &ON_ITS_WAY[..], None),
        ("Running", "Running", &ON_ITS_WAY, None),
        ("Completed", "Completed", &READY, Some(Done)),
        ("Failed", "BackupFailed", &STALLED, Some(Failed)),
        ("Failed", "InvalidRequest", &STALLED, Some(Failed)),
        ("Missing", "RemoteMissing", &STALLED, Some(Failed)),
        // Ready, and there is no backup all the same.
        ("Expired", "Expired", &READY, Some(Failed)),
        ("Lapsed", "TooLate", &READY, Some(Failed)),
        ("Lapsed", "Superseded", &READY, Some(Failed)),
        // Blocked within the grace, and after it.
        ("Pending", "AccountNotFound", &ON_ITS_WAY, None),
        ("Pending", "AccountNotFound", &STALLED, Some(Blocked)),
        ("Running", "AccessDenied", &STALLED, Some(Blocked)),
        ("Running", "ProgressDeadlineExceeded", &STALLED, Some(Blocked)),
        ("Pending", "ProgressDeadlineExceeded", &STALLED, Some(Blocked)),
        // Not written by this operator.
        ("Completed", "Odd", &[("Ready", "False")], None),
        ("Pending", "Odd", &READY, None),
        ("Running", "Odd", &[], None),
    ] {
        let seen = status(phase, reason, conditions);
        assert_eq!(outcome(&object("u-1", &seen)), expected, "{phase} {reason} {conditions:?}");
        // It says nothing about a version that nobody has seen.
        for generation in [-1, 0, 2] {
            let mut stale = seen.clone();
            stale["observedGeneration"] = generation.into();
            assert_eq!(outcome(&object("u-1", &stale)), None, "{phase} {reason} of generation {generation}");
        }
    }
    for unseen in [json!(null), json!({}), json!({ "observedGeneration": -1 }), json!({ "observedGeneration": 1 })] {
        assert_eq!(outcome(&object("u-1", &unseen)), None, "{unseen}");
    }
}

#[test]
fn every_outcome_has_an_exit_code_of_its_own() {
    use Outcome::{Blocked, Done, Error, Failed, NotFound, TimedOut};
    let codes = [Done, Error, Failed, TimedOut, NotFound, Blocked].map(Outcome::exit_code);
    assert_eq!(codes, [0, 1, 3, 4, 5, 6]);
}

#[test]
fn each_change_is_said_once() {
    let (wait, lines) = after(vec![
        Ok(Some(object("u-1", &json!({ "observedGeneration": -1 })))),
        running(),
        running(),
        trouble(false, "no route"),
        trouble(false, "no route"),
        running(),
        completed(),
    ]);
    assert!(lines[0].starts_with("shop/orders - - no operator has seen it yet"), "{lines:?}");
    let running = "shop/orders Running Running about Running";
    assert_eq!(
        lines[1..],
        [running, "shop/orders - - cannot be read: no route", running, "shop/orders Completed Completed about Completed"]
    );
    assert_eq!(wait.end(seconds(9)), Some(End { outcome: Outcome::Done, why: vec![] }));
}

#[test]
fn a_line_is_one_line_without_control_characters_whatever_is_in_the_status() {
    let mut seen = status("Running", "Running", &ON_ITS_WAY);
    seen["conditions"][0]["message"] = format!("first\nsecond\u{1b}[31m {}", "x".repeat(5000)).into();
    seen["conditions"][0]["reason"] = "".into();
    let (_, lines) = after(vec![Ok(Some(object("u-1", &seen))), trouble(true, &"y\n".repeat(5000))]);
    assert!(lines[0].starts_with("shop/orders Running - first second [31m xxx"), "{lines:?}");
    assert!(lines.iter().all(|line| line.len() < 600 && !line.contains(|c: char| c.is_control())), "{lines:?}");
}

#[test]
fn what_it_ended_for_is_said_with_what_to_do() {
    let blocked = object("u-1", &status("Pending", "QuotaExceeded", &STALLED));
    let lapsed = object("u-1", &status("Lapsed", "TooLate", &READY));
    let superseded = object("u-1", &status("Lapsed", "Superseded", &READY));
    let mut going = status("Completed", "Completed", &READY);
    going["deleteReason"] = "Retention".into();
    let going = object("u-1", &going);
    for (seen, expected) in [
        (
            failed(),
            "shop/orders: its backup failed: Failed BackupFailed about BackupFailed; once that is mended, create a new DatabaseBackup",
        ),
        (Ok(Some(lapsed)), "shop/orders: no backup was taken, and none will be: Lapsed TooLate about TooLate; if one is wanted"),
        (
            Ok(Some(superseded)),
            "shop/orders: no backup was taken, and none will be: Lapsed Superseded about Superseded; wait for the run that took its place",
        ),
        (
            Ok(Some(going)),
            "shop/orders: its backup is being deleted, since its schedule keeps fewer: Completed Completed about Completed; for",
        ),
        (Ok(Some(blocked)), "shop/orders: its backup is blocked: Pending QuotaExceeded about QuotaExceeded; it goes on by itself"),
    ] {
        let (wait, _) = after(vec![seen]);
        let why = wait.end(seconds(1)).expect("an end").why;
        assert!(why.len() == 1 && why[0].starts_with(expected), "{why:?}");
    }
}

#[test]
fn the_time_is_over_for_what_is_on_its_way_and_the_last_thing_that_was_seen_is_said() {
    let (wait, _) = after(vec![running(), trouble(false, "no route")]);
    assert_eq!(outcome_at(&wait, 1799), None, "an API server that is away is waited for");
    let end = wait.end(TIMEOUT).expect("the time is over");
    assert_eq!(end.outcome, Outcome::TimedOut);
    assert_eq!(end.why, ["shop/orders: not Completed within 1800s (--timeout): Running Running about Running"]);
}

#[test]
fn an_object_may_come_a_little_later_and_one_that_is_being_deleted_is_none() {
    for absent in [Ok(None), being_deleted(completed())] {
        let (mut wait, lines) = after(vec![absent]);
        assert!(lines[0].contains("it is waited for, but not for longer than 15 s"), "{lines:?}");
        assert_eq!((outcome_at(&wait, 14), outcome_at(&wait, 15)), (None, Some(Outcome::NotFound)));
        wait.look("orders", running(), seconds(14));
        assert_eq!(outcome_at(&wait, 20), None);
    }
    let mut short = Wait::new("shop", &["orders".to_owned()], seconds(1));
    short.look("orders", Ok(None), seconds(0));
    assert_eq!(outcome_at(&short, 1), Some(Outcome::NotFound), "it was never there, so that is what it ends for");
}

#[test]
fn an_object_that_goes_while_it_is_waited_for_is_the_end_also_if_another_of_its_name_has_come() {
    let another = Ok(Some(object("u-2", &status("Completed", "Completed", &READY))));
    for (lost, expected) in
        [(Ok(None), "it was deleted"), (being_deleted(completed()), "it was deleted"), (another, "deleted and created again")]
    {
        let (wait, lines) = after(vec![running(), lost]);
        let end = wait.end(seconds(2)).expect("an end");
        assert!(end.outcome == Outcome::NotFound && end.why[0].contains(expected), "{end:?}");
        assert!(lines[1].contains(expected), "{lines:?}");
    }
    // Before that it is the one that is waited for.
    let (wait, _) = after(vec![Ok(None), being_deleted(running()), Ok(None), completed()]);
    assert_eq!(outcome_at(&wait, 4), Some(Outcome::Done));
}

#[test]
fn what_cannot_be_read_at_first_ends_it_soon_and_later_only_a_refusal_that_lasts_does() {
    let unanswered = wait_for(&["orders"]);
    assert_eq!((outcome_at(&unanswered, 14), outcome_at(&unanswered, 15)), (None, Some(Outcome::Error)));
    for is_refusal in [true, false] {
        let (wait, _) = after(vec![trouble(is_refusal, "no")]);
        assert_eq!((outcome_at(&wait, 14), outcome_at(&wait, 15)), (None, Some(Outcome::Error)));
        assert_eq!(wait.end(seconds(15)).expect("an end").why, ["shop/orders cannot be read: no"]);
    }
    let (mut wait, _) = after(vec![running(), trouble(true, "no"), trouble(true, "no")]);
    assert_eq!(wait.next(seconds(15)), seconds(16), "asked again when the refusal has lasted");
    assert_eq!((outcome_at(&wait, 15), outcome_at(&wait, 16)), (None, Some(Outcome::Error)));
    // An answer in between, or a server that is away, begins it anew.
    for (at, between) in [(15, running()), (20, trouble(false, "away"))] {
        wait.look("orders", between, seconds(at));
        wait.look("orders", trouble(true, "no"), seconds(at));
        assert_eq!((outcome_at(&wait, at + 14), outcome_at(&wait, at + 15)), (None, Some(Outcome::Error)));
    }
}

#[test]
fn of_several_the_first_that_fails_is_the_end_once_each_was_looked_at() {
    let mut wait = wait_for(&["a", "b", "c"]);
    wait.look("a", completed(), seconds(0));
    wait.look("b", failed(), seconds(0));
    assert_eq!(outcome_at(&wait, 0), None, "c may have ended, too");
    wait.look("c", running(), seconds(1));
    assert_eq!(outcome_at(&wait, 1), Some(Outcome::Failed));

    let mut wait = wait_for(&["a", "b"]);
    wait.look("a", completed(), seconds(0));
    wait.look("b", running(), seconds(0));
    assert_eq!(outcome_at(&wait, 1), None, "all have to be Completed");
    wait.look("a", Ok(None), seconds(2));
    assert_eq!(outcome_at(&wait, 2), None, "what was Completed is not waited for any more");
    wait.look("b", completed(), seconds(3));
    assert_eq!(outcome_at(&wait, 3), Some(Outcome::Done));
}

#[test]
fn of_several_ends_what_is_final_comes_before_what_may_still_change() {
    let blocked = || Ok(Some(object("u-1", &status("Pending", "QuotaExceeded", &STALLED))));
    let mut wait = wait_for(&["a", "b", "c", "d", "e"]);
    for (name, look) in [("a", running()), ("b", trouble(true, "no")), ("c", Ok(None)), ("d", blocked()), ("e", failed())] {
        wait.look(name, look, seconds(0));
    }
    let expected = [Outcome::Failed, Outcome::Blocked, Outcome::NotFound, Outcome::Error, Outcome::TimedOut];
    for expected in expected {
        let end = wait.end(TIMEOUT).expect("an end");
        assert_eq!((end.outcome, end.why.len()), (expected, 1), "{:?}", end.why);
        wait.backups.pop();
    }
}
