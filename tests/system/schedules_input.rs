//! What a schedule may not be, and what is said of it.

use crate::scheduled::{YEARLY, condition, manifest, says, template, until, world_with};

#[tokio::test]
async fn a_schedule_that_cannot_be_understood_says_so_in_one_line_at_once() {
    let world = world_with(&["--blocked-grace=1h"]).await;
    let wrong = [
        ("garbage", "whenever", "Etc/UTC"),
        ("every", "@every 5m", "Etc/UTC"),
        ("zoned", "TZ=Europe/Berlin 0 2 * * *", "Etc/UTC"),
        ("seconds", "0 0 2 * * *", "Etc/UTC"),
        ("nowhere", "0 2 * * *", "Europe/Atlantis"),
        ("never", "0 2 31 2 *", "Etc/UTC"),
    ];
    for (name, cron, zone) in wrong {
        world.plane.apply(&manifest(name, cron, "DCS", &format!("timeZone: {zone}"))).await;
    }
    for (name, ..) in wrong {
        let told = until(&world, name, "is refused", |status| says(status, "Ready", "False", "InvalidSchedule")).await;
        assert!(condition(&told, "Stalled").is_some_and(|stalled| stalled.status == "True"), "at once: {told:?}");
        let message = &condition(&told, "Ready").expect("it is said").message;
        assert!(!message.contains('\n') && message.len() > 20 && message.len() < 300, "{name}: {message}");
        assert_eq!(told.next_schedule_time, None, "{name}");
        println!("{name}: {message}");
    }
    world.plane.apply(&manifest("garbage", YEARLY, "DCS", "")).await;
    let mended = until(&world, "garbage", "is mended", |status| says(status, "Ready", "True", "Scheduled")).await;
    assert!(mended.next_schedule_time.is_some());
}

#[tokio::test]
async fn what_the_api_server_can_refuse_it_refuses_in_one_line() {
    let world = world_with(&[]).await;
    let long = world.plane.apply_refused(&manifest(&"n".repeat(51), YEARLY, "DCS", "")).await;
    assert!(long.contains("at most 50 characters"), "{long}");
    world.plane.apply(&manifest(&"n".repeat(50), YEARLY, "DCS", "")).await;
    let source = "source: {engine: GaussDBforMySQL, instanceId: i-taurusdb}, deletionPolicy: Retain";
    let kept = world.plane.apply_refused(&template("mysql", YEARLY, source, "retention: {maxCount: 3}")).await;
    assert!(kept.contains("its API cannot delete backups"), "{kept}");
    world.plane.apply(&template("mysql", YEARLY, source, "")).await;
    let adopting = template("adopting", YEARLY, "source: {engine: DCS, instanceId: i-dcs, existingBackupId: x}", "");
    assert!(world.plane.apply_refused(&adopting).await.contains("existingBackupId cannot be set"));
}
