//! Events, where a name is as long as it may be.

use crate::{
    support::eventually,
    world::{PATIENCE, World},
};
use database_backup_operator::api::status::Phase;
use serde_json::Value;

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
