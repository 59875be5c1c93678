//! Events: where a name is as long as it may be, and where the API server does not take them as fast as they are said.

use crate::{
    support::{
        api_proxy::{ApiProxy, Fault, Trouble},
        eventually,
    },
    world::{PATIENCE, World},
};
use database_backup_operator::api::status::Phase;
use jiff::Timestamp;
use serde_json::Value;
use std::time::Duration;

/// The Events of a backup: reason, and how often it was said.
async fn events(world: &World, name: &str) -> Vec<(String, i64)> {
    let about = format!("involvedObject.kind=DatabaseBackup,involvedObject.name={name}");
    let listed = world.plane.kubectl_ok(&["get", "events", "--field-selector", &about, "-o", "json"]).await;
    let listed: Value = serde_json::from_str(&listed).expect("JSON");
    let said = |event: &Value| (event["reason"].as_str().unwrap_or_default().to_owned(), event["series"]["count"].as_i64().unwrap_or(1));
    let mut said: Vec<_> = listed["items"].as_array().expect("items").iter().map(said).collect();
    said.sort();
    said
}

#[tokio::test]
async fn an_object_of_the_longest_name_has_its_events_and_so_has_another_one_that_differs_in_the_end() {
    let world = World::start().await;
    let begin = "a".repeat(249);
    let (first, second, dotted) = (format!("{begin}-one"), format!("{begin}-two"), format!("{}.{}", "b".repeat(235), "c".repeat(17)));
    for (nth, name) in [&first, &second, &dotted].into_iter().enumerate() {
        assert_eq!(name.len(), 253);
        let instance = format!("i-{nth}");
        world.cloud.add_instance("dcs", &instance);
        // The first fails twice before it succeeds.
        if nth == 0 {
            world.cloud.fail_next_backups(2, Some("dcs"));
        }
        world.ask(name, "DCS", &instance).await;
        world.until_phase(name, Phase::Completed).await;
    }
    for (name, expected) in [
        (&first, &[("AttemptFailed", 2), ("Completed", 1), ("Submitted", 3)]),
        (&second, &[("Completed", 1), ("Submitted", 1), ("", 0)]),
        (&dotted, &[("Completed", 1), ("Submitted", 1), ("", 0)]),
    ] {
        let expected: Vec<_> =
            expected.iter().filter(|(_, count)| *count > 0).map(|(reason, count)| ((*reason).to_owned(), *count)).collect();
        eventually("its Events are there", PATIENCE, async || {
            let said = events(&world, name).await;
            if said == expected { Ok(()) } else { Err(format!("{said:?}\n{}", world.newest_lines())) }
        })
        .await;
    }
    assert!(!world.operator().logs().contains("an Event could not be written"));
}

/// With an operator behind a proxy that leads and has seen everything, and so many DCS instances `i-0`, `i-1` …
async fn behind_a_proxy(instances: usize) -> (World, ApiProxy) {
    let mut world = World::without_operator().await;
    world.account("cloud", 1000).await;
    for nth in 0..instances {
        world.cloud.add_instance("dcs", &format!("i-{nth}"));
    }
    let api = ApiProxy::start(&world.plane);
    world.kubeconfig = api.kubeconfig().to_owned();
    world.start_operator();
    world.until_account_is_verified().await;
    world.operator().ready().await;
    // The account's own is written.
    eventually("the account's Event", PATIENCE, async || match world.events().await {
        events if events.is_empty() => Err("none".to_owned()),
        _ => Ok(()),
    })
    .await;
    (world, api)
}

/// Asks for a backup of each instance; the names of the objects.
async fn ask_for_all(world: &World, instances: usize) -> Vec<String> {
    let names: Vec<String> = (0..instances).map(|nth| format!("b-{nth}")).collect();
    let all: String = names.iter().zip(0..).map(|(name, nth)| World::manifest(name, "DCS", &format!("i-{nth}"), "")).collect();
    world.plane.apply(&all).await;
    names
}

async fn until_all(world: &World, names: &[String], phase: Phase) {
    for name in names {
        world.until_phase(name, phase).await;
    }
}

/// New Events that the operator has tried to write.
fn tried(api: &ApiProxy) -> usize {
    api.count("POST", &["/events", "DatabaseBackup"])
}

/// An Event is written.
fn new_event(trouble: Trouble) -> Fault {
    Fault::new(trouble).on("POST").containing("/events").always()
}

/// Events about backups, as the API server has them.
async fn events_of_backups(world: &World) -> Vec<Value> {
    let listed = world.plane.kubectl_ok(&["get", "events.events.k8s.io", "-o", "json"]).await;
    let listed: Value = serde_json::from_str(&listed).expect("JSON");
    let about_backups = |event: &&Value| event["regarding"]["kind"] == "DatabaseBackup";
    listed["items"].as_array().expect("items").iter().filter(about_backups).cloned().collect()
}

#[tokio::test]
async fn statuses_do_not_wait_for_events_that_the_api_server_is_slow_to_take_and_these_tell_when_they_were_said() {
    let count = 20;
    let (world, api) = behind_a_proxy(count).await;
    // Each one is given up after 15 s.
    api.inject(new_event(Trouble::Delay(Duration::from_secs(3600))));
    let names = ask_for_all(&world, count).await;
    until_all(&world, &names, Phase::Completed).await;
    // Two are written at once. Whoever waited for his own before he went on would have tried it by now.
    let in_vain = tried(&api);
    assert!((1..count).contains(&in_vain), "{in_vain} of {} Events were tried before all backups were Completed", 2 * count);
    let said = Timestamp::now();
    api.clear();
    let events = eventually("the others are written", PATIENCE, async || {
        let events = events_of_backups(&world).await;
        // Those that were under way when the API server was well again were counted before.
        if events.len() >= 2 * count - in_vain { Ok(events) } else { Err(format!("{}\n{}", events.len(), world.newest_lines())) }
    })
    .await;
    for event in &events {
        let time: Timestamp = event["eventTime"].as_str().and_then(|time| time.parse().ok()).expect("a time");
        assert!(time <= said, "{event}");
    }
    assert!(names.iter().all(|name| world.writes(name) == 3), "an Event changes no status");
}

#[tokio::test]
async fn events_that_the_api_server_refuses_are_in_the_log_and_the_backups_are_taken() {
    let (world, api) = behind_a_proxy(3).await;
    api.inject(new_event(Trouble::Answer(500)));
    let names = ask_for_all(&world, 3).await;
    until_all(&world, &names, Phase::Completed).await;
    eventually("the log says so of each", PATIENCE, async || {
        let told = world.operator().logs().matches("an Event could not be written").count();
        if told == 6 { Ok(()) } else { Err(format!("{told}\n{}", world.newest_lines())) }
    })
    .await;
    assert_eq!((tried(&api), events_of_backups(&world).await.len()), (6, 0));
    assert!(world.operator().is_running());
}

#[tokio::test]
async fn what_was_said_before_an_orderly_end_is_written() {
    let (mut world, api) = behind_a_proxy(2).await;
    world.cloud.hold_backups(true);
    let names = ask_for_all(&world, 2).await;
    until_all(&world, &names, Phase::Running).await;
    eventually("both are Submitted", PATIENCE, async || match events_of_backups(&world).await.len() {
        2 => Ok(()),
        count => Err(format!("{count} Events")),
    })
    .await;
    api.inject(new_event(Trouble::Delay(Duration::from_millis(300))));
    world.cloud.hold_backups(false);
    until_all(&world, &names, Phase::Completed).await;
    assert!(world.terminate_operator().await.success());
    let events = events_of_backups(&world).await;
    let completed = events.iter().filter(|event| event["reason"] == "Completed").count();
    assert_eq!(completed, 2, "{events:?}");
}
