//! Hostile input: the process keeps its memory, its words and its one backup.

use crate::{
    simulator::faults::{Fault, FaultKind},
    world::{World, message},
};
use database_backup_operator::api::status::Phase;

/// The limit in `deploy/manifests/operator.yaml`; beyond it the process would be killed.
const LIMIT_MB: u64 = 128;

/// Text that is as long as nobody sends it.
const HUGE: u64 = 100 << 20;

fn raw(body: &str) -> FaultKind {
    FaultKind::Raw { status: 200, body: body.into(), content_type: "application/json".into() }
}

fn done_but(body: &str) -> FaultKind {
    FaultKind::RawAfter { status: 200, body: body.into(), content_type: "application/json".into() }
}

fn endless(head: &str, again: &str) -> FaultKind {
    FaultKind::Endless { head: head.into(), again: again.into() }
}

/// The most memory that a process has had so far.
fn peak_mb(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs, on Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a size");
    line.split_whitespace().next().and_then(|kilobytes| kilobytes.parse::<u64>().ok()).expect("a number") / 1024
}

#[tokio::test]
async fn bodies_without_end_or_sense_cost_neither_the_memory_nor_the_one_backup() {
    let world = World::start().await;
    let deep = "[".repeat(100_000);
    let wrong = r#"{"backup":[],"backup_id":{},"job_id":7,"backups":"none","total_count":[],"backup_record_response":7,"total_num":{}}"#;
    for (name, engine, service, fault, said) in [
        ("huge", "TaurusDB", "taurusdb", FaultKind::HugeBody(HUGE), "the answer is longer than 1024 KB"),
        ("endless", "DCS", "dcs", endless("{\"a\":[", "{\"\":0},"), "the answer is longer than 1024 KB"),
        ("deep", "GeminiDB", "geminidb", done_but(&deep), "the answer is not a JSON object"),
        ("wrong", "GaussDBforMySQL", "taurusdb", done_but(wrong), "the answer has no backup"),
    ] {
        world.cloud.add_instance(service, name);
        world.cloud.inject(Fault::new(fault).at("create").containing(name));
        for list in [
            FaultKind::HugeBody(HUGE),
            endless("{\"total_count\":1,\"total_num\":1,\"backups\":[", "{\"id\":\"a\",\"x\":{\"\":0}},"),
            raw(&format!("{{\"backups\":{deep}")),
            raw(wrong),
        ] {
            world.cloud.inject(Fault::new(list).at("list").containing(name));
        }
        world.ask(name, engine, name).await;
        let status = world.until_reason(name, "OutcomeUnknown").await;
        assert!(message(&status).contains(said), "{}", message(&status));
    }
    for name in ["huge", "endless", "deep", "wrong"] {
        world.until_phase(name, Phase::Completed).await;
        for status in world.history(name) {
            let message = message(&status);
            assert!(message.chars().count() <= 256 && !message.chars().any(char::is_control), "{message:?}");
        }
    }
    assert!(world.cloud.faults.waiting().is_empty(), "each was met: {:?}", world.cloud.faults.waiting());
    assert_eq!(world.backups_in_cloud(), 4, "one for each object");
    let peak = peak_mb(world.operator().pid());
    assert!(peak < LIMIT_MB, "{peak} MB");
}

/// The API server takes an offset of 99 hours for a time; nobody else does.
#[tokio::test]
async fn an_object_that_cannot_be_read_does_not_keep_the_others_from_their_backups() {
    let mut world = World::start().await;
    for instance in ["i-1", "i-2", "i-3"] {
        world.cloud.add_instance("dcs", instance);
    }
    let set = async |world: &World, time: &str| {
        let patch = format!(r#"{{"status":{{"startTime":{time}}}}}"#);
        world.plane.kubectl_ok(&["patch", "dbb", "odd", "--subresource=status", "--type=merge", "-p", &patch]).await;
    };
    world.ask("odd", "DCS", "i-1").await;
    world.until_phase("odd", Phase::Completed).await;
    set(&world, "\"2025-01-01T00:00:00+99:99\"").await;
    world.ask("after", "DCS", "i-2").await;
    world.until_phase("after", Phase::Completed).await;
    world.kill_operator();
    world.start_operator();
    world.ask("restarted", "DCS", "i-3").await;
    world.until_phase("restarted", Phase::Completed).await;
    let logs = world.operator().own_logs();
    assert!(logs.contains("cannot be read and is left alone") && logs.contains("odd"), "{logs}");
    set(&world, "null").await;
    world.plane.kubectl_ok(&["delete", "dbb", "odd", "--timeout=20s"]).await;
    assert_eq!(world.backups_in_cloud(), 3);
}
