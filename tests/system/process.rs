//! The process: readiness, metrics, signals, flags.

use crate::{
    simulator::faults::{Fault, FaultKind},
    support::{eventually, json_lines},
    world::{PATIENCE, World},
};
use database_backup_operator::api::status::{Origin, Phase};
use std::{process::Command, time::Duration};

#[tokio::test]
async fn sigterm_lets_a_call_under_way_end_stores_what_is_known_and_exits_with_zero() {
    let mut world = World::start().await;
    world.cloud.add_instance("dcs", "i-1");
    world.cloud.hold_backups(true);
    world.cloud.inject(Fault::new(FaultKind::DelayAnswer(Duration::from_secs(2))).at("create"));
    world.ask("last", "DCS", "i-1").await;
    assert!(world.cloud.wait_until(PATIENCE, |cloud| cloud.count(None, "create") == 1), "the call is under way");
    let exit = world.terminate_operator().await;
    assert!(exit.success(), "{exit}");
    let status = world.status("last").await;
    assert_eq!((status.phase, status.origin), (Some(Phase::Running), Some(Origin::Created)));
}

#[tokio::test]
async fn it_is_ready_once_its_definitions_are_served_and_it_waits_for_them() {
    let mut world = World::without_operator().await;
    world.plane.kubectl_ok(&["delete", "crd", "clustercloudaccounts.dbbackup.dev"]).await;
    world.start_operator();
    eventually("not ready", PATIENCE, || async {
        match world.operator().get("/readyz").await {
            Ok((503, text)) if text.contains("CRDs") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    assert_eq!(world.operator().get("/healthz").await.map(|(status, _)| status), Ok(200), "alive all the same");
    eventually("the log says what is missing", PATIENCE, || async {
        world.operator().logs().contains("clustercloudaccounts.dbbackup.dev is not installed").then_some(()).ok_or(world.operator().logs())
    })
    .await;
    world.plane.kubectl_ok(&["apply", "-f", concat!(env!("CARGO_MANIFEST_DIR"), "/crds")]).await;
    eventually("ready", PATIENCE, || async {
        match world.operator().get("/readyz").await {
            Ok((200, _)) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}

#[tokio::test]
async fn an_older_definition_that_would_drop_a_field_keeps_it_from_starting() {
    let mut world = World::without_operator().await;
    let path = "/spec/versions/0/schema/openAPIV3Schema/properties/status/properties/requestTime";
    let patch = format!("[{{\"op\": \"remove\", \"path\": \"{path}\"}}]");
    world.plane.kubectl_ok(&["patch", "crd", "databasebackups.dbbackup.dev", "--type=json", "-p", &patch]).await;
    world.account("cloud", 1000).await;
    world.cloud.add_instance("dcs", "i-1");
    world.start_operator();
    world.ask("early", "DCS", "i-1").await;
    eventually("the log names the field", PATIENCE, || async {
        world.operator().logs().contains("lacks status.requestTime").then_some(()).ok_or(world.operator().logs())
    })
    .await;
    assert_eq!(world.cloud.count(None, "create"), 0);
    world.plane.kubectl_ok(&["apply", "-f", concat!(env!("CARGO_MANIFEST_DIR"), "/crds")]).await;
    world.until_phase("early", Phase::Completed).await;
}

#[tokio::test]
async fn metrics_count_reconciles_cloud_requests_and_backups() {
    let world = World::start().await;
    world.cloud.add_instance("dcs", "i-1");
    world.ask("counted", "DCS", "i-1").await;
    world.until_phase("counted", Phase::Completed).await;
    let (status, text) = world.operator().get("/metrics").await.expect("metrics");
    assert_eq!(status, 200);
    for line in [
        "dbbackup_cloud_requests_total{service=\"dcs\",operation=\"create\",code=\"ok\"} 1",
        "dbbackup_cloud_requests_total{service=\"iam\",operation=\"token\",code=\"ok\"} 1",
        "dbbackup_backups{phase=\"Completed\"} 1",
        "dbbackup_backups{phase=\"Failed\"} 0",
        "dbbackup_reconciles_total{kind=\"DatabaseBackup\",result=\"ok\"}",
        "dbbackup_duplicate_remotes_total 0",
    ] {
        assert!(text.contains(line), "{line} in\n{text}");
    }
}

#[tokio::test]
async fn with_namespaces_to_watch_it_leaves_the_others_alone_and_a_missing_one_does_not_matter() {
    let mut world = World::without_operator().await;
    world.account("cloud", 1000).await;
    world.plane.kubectl_ok(&["create", "namespace", "elsewhere"]).await;
    world.start_operator_with(&["--watch-namespaces=default,not-there-yet,default"]);
    for instance in ["i-1", "i-2"] {
        world.cloud.add_instance("dcs", instance);
    }
    world.plane.apply(&World::manifest("other", "DCS", "i-2", "").replace("name: other}", "name: other, namespace: elsewhere}")).await;
    world.ask("mine", "DCS", "i-1").await;
    world.until_phase("mine", Phase::Completed).await;
    assert_eq!(world.backups_in_cloud(), 1, "the other one is none of its business");
}

fn run(args: &[&str]) -> (bool, String) {
    let output =
        Command::new(env!("CARGO_BIN_EXE_database-backup-operator")).args(args).env_remove("KUBECONFIG").output().expect("it runs");
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn a_bundle_that_cannot_be_used_is_named_before_anything_is_asked() {
    let folder = tempfile::tempdir().expect("a folder");
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "").expect("written");
    let missing = folder.path().join("missing.pem");
    for (file, words) in [(&missing, "cannot be read: No such file"), (&empty, "it holds no certificate")] {
        for command in ["run", "check"] {
            let (succeeded, said) = run(&[command, "--listen=127.0.0.1:0", &format!("--ca-bundle={}", file.display())]);
            assert!(!succeeded && said.contains(&format!("--ca-bundle {}", file.display())) && said.contains(words), "{command}: {said}");
            assert!(!said.contains("KUBECONFIG"), "{command}: {said}");
        }
    }
}

#[test]
fn the_crd_command_prints_what_is_committed() {
    let (succeeded, printed) = run(&["crd"]);
    assert!(succeeded);
    for file in ["cloudaccounts", "clustercloudaccounts", "databasebackups", "databasebackupschedules"] {
        let committed = std::fs::read_to_string(format!("{}/crds/{file}.yaml", env!("CARGO_MANIFEST_DIR"))).expect("committed");
        assert!(printed.contains(&committed), "{file}");
    }
}

#[test]
fn wrong_flags_are_named_with_what_would_be_right() {
    for (flags, expected) in [
        (&["run", "--poll-interval=15"][..], "write a number with a unit"),
        (&["run", "--concurrency=0"][..], "--concurrency"),
        (&["run", "--log-format=xml"][..], "possible values"),
        (&["run", "--listen=nowhere"][..], "cannot listen on nowhere"),
        (&["run", "--lease-duration=1s"][..], "at least 2s"),
        (&["walk"][..], "unrecognized subcommand"),
    ] {
        let (succeeded, said) = run(flags);
        assert!(!succeeded && said.contains(expected), "{flags:?}: {said}");
    }
}

#[tokio::test]
async fn an_api_server_with_the_certificate_of_another_authority_is_named_as_the_cause() {
    let mut world = World::without_operator().await;
    let other = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate").cert.pem();
    let file = world.plane.folder().join("other.crt");
    std::fs::write(&file, other).expect("it is written");
    let kubeconfig = world.plane.folder().join("kubeconfig-other-ca");
    let own = std::fs::read_to_string(world.plane.kubeconfig()).expect("a kubeconfig");
    let certificate = world.plane.folder().join("certs/apiserver.crt").display().to_string();
    std::fs::write(&kubeconfig, own.replace(&certificate, &file.display().to_string())).expect("it is written");
    world.kubeconfig = kubeconfig;
    world.start_operator();
    eventually("it says what is in the way", PATIENCE, async || {
        let (code, text) = world.operator().get("/readyz").await?;
        (code == 503 && text.contains("invalid peer certificate") && text.contains("certificate authority")).then_some(()).ok_or(text)
    })
    .await;
    eventually("so does the log", PATIENCE, async || {
        let logs = world.operator().logs();
        (logs.contains("cannot be asked for the CRDs") && logs.contains("invalid peer certificate")).then_some(()).ok_or(logs)
    })
    .await;
    assert!(!world.operator().logs().contains("apply the CRDs"), "{}", world.operator().logs());
}

#[tokio::test]
async fn the_line_about_a_status_has_the_message_of_the_event_and_that_of_the_status() {
    let world = World::start().await;
    world.cloud.add_instance("dcs", "i-1");
    world.ask("first", "DCS", "i-1").await;
    world.until_phase("first", Phase::Completed).await;
    let logs = world.operator().logs();
    let line = logs.lines().find(|line| line.contains("status written")).expect("a line about it");
    assert_eq!(json_lines::problem(line), None);
    let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
    assert!(line["message"] == "status written" && line["status.message"].is_string(), "{line}");
    // What every operator's log is read with when it ends.
    for wrong in [r#"{"a":1,"a":2}"#, r#"{"a":[{"b":1,"b":1}]}"#, "database-backup-operator: text", "7", r#"{"a":1"#] {
        assert!(json_lines::problem(wrong).is_some(), "{wrong}");
    }
}
