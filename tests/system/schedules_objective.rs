//! `WithinObjective`: what the cloud holds of an instance, whoever took it.

use crate::{
    scheduled::{YEARLY, age, manifest, metric, says, status, until, world_with},
    simulator::{
        backup::{Given, Kind, Stage},
        faults::{Fault, FaultKind},
    },
};
use database_backup_operator::api::schedule::TakenBy;
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

const OBJECTIVE: &str = "objective: {maxAgeSeconds: 3600}";

fn aged(minutes: u64) -> Given {
    Given { age: Duration::from_secs(minutes * 60), ..Given::default() }
}

#[tokio::test]
async fn an_objective_is_judged_by_what_the_cloud_lists() {
    let world = world_with(&["--resync-interval=2s"]).await;
    let give = |service: &str, given| world.cloud.give_backup(service, &format!("i-{service}"), "given", given);
    let night = give("geminidb", Given { kind: Kind::Auto, ..aged(10) });
    give("taurusdb", aged(90));
    give("gaussdb", Given { stage: Stage::Failed, ..aged(5) });
    give("dcs", Given { is_useless: true, ..aged(5) });
    give("dds", Given { kind: Kind::Incremental, ..aged(5) });
    for engine in ["GeminiDB", "TaurusDB", "GaussDB", "DCS", "DDS"] {
        // It depends neither on slots nor on suspension.
        world.plane.apply(&manifest(&engine.to_lowercase(), YEARLY, engine, &format!("suspend: true\n  {OBJECTIVE}"))).await;
    }
    let fresh = until(&world, "geminidb", "is within", |status| says(status, "WithinObjective", "True", "Fresh")).await;
    let seen = fresh.objective.expect("what was seen");
    assert_eq!((seen.taken_by, seen.backup_id.is_some(), seen.last_met_time.is_some()), (Some(TakenBy::Cloud), true, false));
    let old = until(&world, "taurusdb", "is too old", |status| says(status, "WithinObjective", "False", "TooOld")).await;
    assert_eq!(old.objective.as_ref().and_then(|seen| seen.last_met_time.as_ref()), None, "it has never been within");
    assert!(says(&old, "Ready", "True", "Suspended"), "no part of Ready");
    for name in ["gaussdb", "dds"] {
        until(&world, name, "has none", |status| says(status, "WithinObjective", "False", "NoBackup")).await;
    }
    until(&world, "dcs", "has a useless one", |status| says(status, "WithinObjective", "False", "NotRestorable")).await;
    let labels = |name: &str| format!("schedule=\"{name}\"");
    assert_eq!(metric(&world, "dbbackup_objective_met", &labels("geminidb")).await, Some(1.0));
    assert_eq!(metric(&world, "dbbackup_objective_met", &labels("taurusdb")).await, Some(0.0));
    assert_eq!(metric(&world, "dbbackup_objective_max_age_seconds", &labels("dcs")).await, Some(3600.0));
    assert!(metric(&world, "dbbackup_newest_backup_timestamp_seconds", &labels("geminidb")).await.is_some());

    // A listing that fails is no verdict where nothing is known.
    let error = FaultKind::Status { status: 500, code: String::new(), message: String::new(), retry_after: None };
    world.cloud.inject(Fault::new(error).on("rds").at("list").always());
    world.plane.apply(&manifest("rds", YEARLY, "RDS", &format!("suspend: true\n  {OBJECTIVE}"))).await;
    until(&world, "rds", "is unknown", |status| says(status, "WithinObjective", "Unknown", "ListingFailed")).await;
    assert_eq!(metric(&world, "dbbackup_objective_met", &labels("rds")).await, None);
    world.cloud.faults.clear();
    until(&world, "rds", "has none", |status| says(status, "WithinObjective", "False", "NoBackup")).await;

    // What was true before is told of beside what is true now.
    world.cloud.lose_backup(&night);
    let lost = until(&world, "geminidb", "has none any more", |status| says(status, "WithinObjective", "False", "NoBackup")).await;
    assert!(lost.objective.is_some_and(|seen| seen.last_met_time.is_some()));

    // Somebody takes one.
    give("taurusdb", aged(1));
    let met = until(&world, "taurusdb", "is within", |status| says(status, "WithinObjective", "True", "Fresh")).await;
    assert_eq!(met.objective.and_then(|seen| seen.taken_by), Some(TakenBy::Other));

    // An hour later nobody has taken another: it says until when it was met.
    age(&world, "i-taurusdb", SignedDuration::from_hours(1));
    let missed = until(&world, "taurusdb", "is too old again", |status| says(status, "WithinObjective", "False", "TooOld")).await;
    let last_met = missed.objective.and_then(|seen| seen.last_met_time).expect("it has been within");
    assert!(last_met.0 <= Timestamp::now(), "{last_met:?}");
    let objective = status(&world, "taurusdb").await.objective.expect("it has one");
    assert_eq!(objective.last_met_time.as_ref(), Some(&last_met));
    assert!(says(&status(&world, "taurusdb").await, "Ready", "True", "Suspended"), "no part of Ready");
    // It is met again: nothing is left of that.
    give("taurusdb", aged(2));
    let again = until(&world, "taurusdb", "is within again", |status| says(status, "WithinObjective", "True", "Fresh")).await;
    assert_eq!(again.objective.and_then(|seen| seen.last_met_time), None);
}
