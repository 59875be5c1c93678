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
    let standings: Vec<Standing> = objects.iter().map(Standing::of).collect();
    summary(objects.iter().map(|object| object.metadata.uid.as_deref().unwrap_or_default()).zip(&standings).collect())
}

fn each(objects: &[DatabaseBackup], most: usize) -> BTreeMap<Instance, Summary> {
    let standings: Vec<Standing> = objects.iter().map(Standing::of).collect();
    let spot = |object: &'_ DatabaseBackup| -> (String, Engine, String) {
        (object.namespace().unwrap_or_default(), object.spec.source.engine, object.spec.source.instance_id.clone())
    };
    let spots: Vec<_> = objects.iter().map(spot).collect();
    let uid = |object: &'_ DatabaseBackup| object.uid().unwrap_or_default();
    let uids: Vec<String> = objects.iter().map(uid).collect();
    let each = spots.iter().zip(&uids).zip(&standings);
    bounded(
        each.map(|(((namespace, engine, id), uid), standing)| ((namespace.as_str(), *engine, id.as_str()), uid.as_str(), standing)),
        most,
    )
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
fn a_backup_that_goes_by_retention_was_a_success_and_is_no_longer_counted_as_kept() {
    let going = object(1, &json!({ "phase": "Completed", "completionTime": "2026-03-01T00:10:00Z", "deleteReason": "Retention" }));
    let summary = of(&[going, completed(2, "200")]);
    assert_eq!((summary.retained, summary.deleting, summary.oldest), (1, 1, Some(at("2T00:10"))));
    let alone = of(&[object(1, &json!({ "phase": "Completed", "completionTime": "2026-03-01T00:10:00Z", "deleteReason": "Retention" }))]);
    assert_eq!((alone.retained, alone.oldest, alone.last_success), (0, None, Some(at("1T00:10"))));
    let gone = object(1, &json!({ "phase": "Missing", "deleteReason": "Retention" }));
    assert_eq!(of(&[gone]).deleting, 0, "it means nothing without a backup");
}

#[test]
fn only_backups_that_are_there_and_stay_are_counted_as_held() {
    let held = |mut object: DatabaseBackup| {
        object.annotations_mut().insert(HOLD.into(), "audit".into());
        object
    };
    let going = object(3, &json!({ "phase": "Completed", "deleteReason": "Retention" }));
    let objects = [completed(1, "1"), held(completed(2, "1")), held(going), held(object(4, &json!({ "phase": "Failed" })))];
    assert_eq!(of(&objects).held, 1);
    assert_eq!(together(&[of(&objects), of(&objects)]).held, 2);
}

#[test]
fn a_backup_that_is_gone_is_no_success_and_one_that_expired_was_one_and_is_not_there() {
    let gone = object(2, &json!({ "phase": "Missing", "completionTime": "2026-03-02T00:10:00Z", "size": "5" }));
    let summary = of(&[gone]);
    assert_eq!((summary.last_success, summary.retained, summary.missing, summary.size), (None, 0, 1, None));
    let expired = object(2, &json!({ "phase": "Expired", "completionTime": "2026-03-02T00:10:00Z" }));
    let summary = of(&[expired]);
    assert_eq!((summary.last_success, summary.retained, summary.oldest, summary.last_status), (Some(at("2T00:10")), 0, None, Some(true)));
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

/// An object of an instance, with this status.
fn of_instance(namespace: &str, instance: &str, day: u8, status: &Value) -> DatabaseBackup {
    let mut object = object(day, status);
    object.metadata.namespace = Some(namespace.into());
    object.spec.source.instance_id = instance.into();
    object
}

fn taken(day: u8) -> Value {
    json!({ "phase": "Completed", "backupId": "b-1", "completionTime": format!("2026-03-0{day}T00:10:00Z") })
}

fn stalled() -> Value {
    json!({ "phase": "Pending", "conditions": [condition("Stalled")] })
}

fn shown(objects: &[DatabaseBackup], most: usize) -> Vec<(String, String)> {
    each(objects, most).into_keys().map(|instance| (instance.namespace, instance.instance_id)).collect()
}

#[test]
fn instances_of_other_namespaces_and_engines_are_others() {
    let mut elsewhere = of_instance("shop", "i-1", 1, &taken(1));
    elsewhere.spec.source.engine = Engine::TaurusDB;
    let objects = [of_instance("shop", "i-1", 1, &taken(1)), of_instance("billing", "i-1", 1, &taken(1)), elsewhere];
    assert_eq!(each(&objects, MOST).len(), 3);
    assert!(each(&[], MOST).is_empty(), "nothing is left of objects that are gone");
}

#[test]
fn invented_instances_stand_together_and_are_still_stuck() {
    let mut objects: Vec<_> = (0..600).map(|nth| of_instance("shop", &format!("invented-{nth}"), 1, &stalled())).collect();
    objects.push(of_instance("shop", "i-1", 1, &taken(1)));
    let failed = json!({ "phase": "Failed", "failedAttempts": [{ "backupName": "dbb-1", "backupId": "b-1", "message": "no" }] });
    objects.push(of_instance("shop", "i-2", 1, &failed));
    assert_eq!(shown(&objects, MOST), ["i-1", "i-2", OTHER].map(|id| ("shop".to_owned(), id.to_owned())));
    let all = each(&objects, MOST);
    let other = all.iter().find(|(instance, _)| instance.instance_id == OTHER).unwrap().1;
    assert_eq!((other.stalled, other.last_attempt, other.last_success), (600, Some(at("1T00:00")), None));
    // Before anything is wrong there is nothing to say but that.
    let new = [of_instance("shop", "new", 1, &json!({ "phase": "Pending", "requestTime": "2026-03-01T00:05:00.000000Z" }))];
    assert_eq!(*each(&new, MOST).first_key_value().unwrap().1, Summary::default());
    let refused = [of_instance("shop", "new", 1, &json!({ "phase": "Failed" })), of_instance("shop", "newer", 2, &stalled())];
    let refused = each(&refused, MOST).pop_first().unwrap().1;
    assert_eq!((refused.last_failure, refused.last_status, refused.stalled), (Some(at("1T00:00")), Some(false), 1));
}

#[test]
fn one_object_with_an_id_gives_its_instance_a_place_of_its_own_with_all_its_objects() {
    let objects = [of_instance("shop", "i-1", 1, &taken(1)), of_instance("shop", "i-1", 2, &stalled())];
    assert_eq!(shown(&objects, MOST), [("shop".to_owned(), "i-1".to_owned())]);
    assert_eq!(each(&objects, MOST).pop_first().unwrap().1.stalled, 1);
    assert_eq!(shown(&[of_instance("shop", OTHER, 1, &taken(1))], MOST), [("shop".to_owned(), OTHER.to_owned())]);
}

#[test]
fn beyond_the_bound_the_newest_of_whoever_has_too_many_stand_together() {
    let mut objects: Vec<_> = (1..=8).map(|day| of_instance("shop", &format!("i-{}", 9 - day), day, &taken(day))).collect();
    objects.push(of_instance("billing", "i-1", 9, &taken(9)));
    let own = |namespace: &str, id: &str| (namespace.to_owned(), id.to_owned());
    let expected = [own("billing", "i-1"), own("shop", "i-6"), own("shop", "i-7"), own("shop", "i-8"), own("shop", OTHER)];
    assert_eq!(shown(&objects, 4), expected, "the tenant with one keeps it");
    let all = each(&objects, 4);
    let other = all.last_key_value().unwrap().1;
    assert_eq!((other.retained, other.last_success, other.size), (5, Some(at("4T00:10")), None), "the oldest of the newest");
    objects.push(of_instance("shop", "newcomer", 9, &taken(9)));
    assert_eq!(shown(&objects, 4), expected, "a newcomer takes nobody's place");
    objects.push(of_instance("shop", "newcomer-2", 9, &json!({ "phase": "Failed", "backupId": "b-1" })));
    let all = each(&objects, 4);
    let other = all.last_key_value().unwrap().1;
    assert_eq!((other.last_success, other.last_failure), (None, Some(at("9T00:00"))), "one that fails speaks for all");
}

#[test]
fn accounts_beyond_the_bound_are_ready_if_all_of_them_are() {
    let key = |namespace: &str, name: &str| AccountKey {
        kind: crate::api::backup::AccountKind::CloudAccount,
        namespace: Some(namespace.into()),
        name: name.into(),
    };
    let mut all: Vec<_> = (0..1500).map(|nth| (key("many", &format!("account-{nth:04}")), nth != 1400)).collect();
    all.push((key("shop", "default"), true));
    let accounts = accounts(all);
    assert_eq!(accounts.len(), MOST + 1);
    assert_eq!((accounts[&key("shop", "default")], accounts[&key("many", "account-0000")]), (true, true));
    assert!(!accounts[&key("many", OTHER)]);
}
