//! `wait`, as pipelines start it: each exit code, what is said on the way, and what it lives through.

use crate::{
    support::{
        api_proxy::{ApiProxy, Fault, Trouble},
        control_plane::ControlPlane,
        eventually,
    },
    world::{PATIENCE, World},
};
use database_backup_operator::api::status::Phase;
use std::{
    fs::File,
    path::Path,
    process::{Command as Shell, Stdio},
    time::Duration,
};
use tempfile::TempDir;
use tokio::{
    process::{Child, Command},
    time::Instant,
};

/// A running `wait`; it is killed when it is dropped.
pub struct Waiter {
    process: Child,
    folder: TempDir,
}

/// How one ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    /// What it said on its way.
    pub lines: Vec<String>,
    /// Why it did not end well.
    pub why: String,
}

impl Waiter {
    /// Starts one with these arguments behind `wait`, in an environment that holds nothing but the way to the cluster.
    pub fn start(kubeconfig: &Path, args: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = |name: &str| Stdio::from(File::create(folder.path().join(name)).expect("a file"));
        let mut command = Command::new(env!("CARGO_BIN_EXE_database-backup-operator"));
        command.arg("wait").args(args).env_clear().env("KUBECONFIG", kubeconfig);
        let process = command.stdin(Stdio::null()).stdout(file("out")).stderr(file("err")).kill_on_drop(true).spawn();
        Self { process: process.expect("it starts"), folder }
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).expect("it is text")
    }

    /// Waits until it has said something.
    pub async fn until_said(&self, text: &str) {
        eventually(&format!("it says {text}"), PATIENCE, async || {
            let said = self.read("out");
            if said.contains(text) { Ok(()) } else { Err(format!("{said}{}", self.read("err"))) }
        })
        .await;
    }

    /// Waits until it ends by itself.
    pub async fn end(mut self) -> Ended {
        let status = tokio::time::timeout(PATIENCE, self.process.wait()).await;
        let status = status.unwrap_or_else(|_| panic!("it does not end: {}", self.read("out"))).expect("a status");
        let lines = self.read("out").lines().map(str::to_owned).collect();
        Ended { code: status.code(), lines, why: self.read("err") }
    }
}

/// Waits until `wait` with these arguments has ended.
pub async fn wait(kubeconfig: &Path, args: &[&str]) -> Ended {
    Waiter::start(kubeconfig, args).end().await
}

impl Ended {
    #[track_caller]
    fn assert(&self, code: i32, why: &str) {
        assert!(self.code == Some(code) && self.why.contains(why), "{why}: {self:#?}");
    }
}

#[tokio::test]
async fn it_ends_with_0_when_all_are_completed_and_says_each_change_in_a_line_that_anybody_can_read() {
    let world = World::start_and_lead().await;
    for instance in ["i-1", "i-2"] {
        world.cloud.add_instance("dcs", instance);
    }
    world.cloud.hold_backups(true);
    world.ask("well", "DCS", "i-1").await;
    let generated = World::manifest("x", "DCS", "i-2", "").replace("{name: x}", "{generateName: before-}");
    let created = world.plane.with_input(&["create", "-f", "-", "-o", "name"], &generated).await.expect("created");
    let kubeconfig = world.plane.kubeconfig();
    let args = ["well", created.trim(), "well", "-n", "default", "--timeout=100s"];
    let waiter = Waiter::start(kubeconfig, &args);
    let generated = format!("default/{}", created.trim().split_once('/').expect("kind and name").1);
    waiter.until_said("default/well Running Running ").await;
    waiter.until_said(&format!("{generated} Running Running ")).await;
    world.cloud.hold_backups(false);
    world.cloud.complete_all();
    let ended = waiter.end().await;
    ended.assert(0, "");
    assert_eq!(ended.why, "");
    for line in &ended.lines {
        let fields: Vec<&str> = line.splitn(5, ' ').collect();
        let [time, name, _, _, message] = fields[..] else { panic!("{line}") };
        assert!(time.ends_with('Z') && time.len() == 20 && time.parse::<jiff::Timestamp>().is_ok(), "{line}");
        assert!((name == "default/well" || name == generated) && !message.is_empty(), "{line}");
        assert!(!line.contains(|c: char| c.is_control()), "{line}");
    }
    let of = |name: &str| ended.lines.iter().filter(|line| line.contains(&format!(" {name} "))).cloned().collect::<Vec<_>>();
    for name in ["default/well", &generated] {
        let lines = of(name);
        assert!(lines.last().is_some_and(|line| line.contains(" Completed Completed ")), "{lines:?}");
        let states: Vec<_> = lines.iter().map(|line| line.split_once(' ').expect("a time").1).collect();
        assert!(states.windows(2).all(|two| two[0] != two[1]), "nothing is said twice: {lines:?}");
    }
    // Whoever comes later hears the end at once.
    let ended = wait(kubeconfig, &args).await;
    ended.assert(0, "");
    assert_eq!(ended.lines.len(), 2, "{ended:?}");
}

#[tokio::test]
async fn without_a_backup_to_rely_on_it_ends_with_3_and_with_several_at_the_first() {
    let mut world = World::without_operator().await;
    world.account("cloud", 1000).await;
    for instance in ["i-failed", "i-well", "i-held", "i-expired"] {
        world.cloud.add_instance("dcs", instance);
    }
    world.cloud.add_instance("taurusdb", "i-missing");
    world.start_operator_with(&["--resync-interval=1s"]);
    world.until_account_is_verified().await;
    let kubeconfig = world.kubeconfig.clone();

    world.cloud.fail_next_backups(1, Some("dcs"));
    world.plane.apply(&World::manifest("failed", "DCS", "i-failed", "backoffLimit: 0")).await;
    let ended = wait(&kubeconfig, &["failed", "--timeout=100s"]).await;
    ended.assert(3, "database-backup-operator: default/failed: its backup failed: Failed BackupFailed ");
    assert!(ended.lines.last().is_some_and(|line| line.contains(" default/failed Failed BackupFailed ")), "{ended:?}");
    assert!(ended.why.contains("1 of 1 attempts failed") && ended.why.contains("create a new DatabaseBackup"), "{ended:?}");

    world.plane.apply(&World::manifest("lapsed", "DCS", "i-well", "takeBefore: \"2026-01-01T00:00:00Z\"")).await;
    wait(&kubeconfig, &["lapsed"]).await.assert(3, "no backup was taken, and none will be: Lapsed TooLate ");

    world.ask("missing", "TaurusDB", "i-missing").await;
    wait(&kubeconfig, &["missing"]).await.assert(0, "");
    let id = world.status("missing").await.backup_id.expect("an id");
    assert!(world.cloud.lose_backup(&id));
    world.until_phase("missing", Phase::Missing).await;
    wait(&kubeconfig, &["missing"]).await.assert(3, "its backup is gone in the cloud: Missing RemoteMissing ");

    world.plane.apply(&World::manifest("expired", "DCS", "i-expired", "expireAfterDays: 1")).await;
    world.until_phase("expired", Phase::Completed).await;
    let yesterday = (jiff::Timestamp::now() - jiff::SignedDuration::from_hours(25)).strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    world
        .patch_status("expired", &format!("{{\"status\":{{\"completionTime\":\"{yesterday}\",\"expirationTime\":\"{yesterday}\"}}}}"))
        .await;
    world.until_phase("expired", Phase::Expired).await;
    wait(&kubeconfig, &["expired"]).await.assert(3, "has expired and is deleted in the cloud");

    // One is enough; the other goes on.
    world.cloud.hold_backups(true);
    world.ask("held", "DCS", "i-held").await;
    let ended = wait(&kubeconfig, &["held", "failed", "lapsed", "--timeout=100s"]).await;
    ended.assert(3, "default/failed: its backup failed");
    assert!(ended.why.contains("default/lapsed: no backup was taken") && !ended.why.contains("held"), "{ended:?}");
    // What is final counts before what is not there.
    wait(&kubeconfig, &["held", "absent", "failed", "--timeout=100s"]).await.assert(3, "default/failed");
}

#[tokio::test]
async fn what_blocks_a_backup_is_waited_for_within_the_grace_and_ends_it_with_6_after_that() {
    let mut world = World::without_operator().await;
    world.account("cloud", 1000).await;
    world.cloud.add_instance("dcs", "i-1");
    world.start_operator_with(&["--blocked-grace=1h"]);
    world.until_account_is_verified().await;
    let kubeconfig = world.kubeconfig.clone();
    let of_account =
        |name: &str, account: &str| World::manifest(name, "DCS", "i-1", "").replace("name: cloud}", &format!("name: {account}}}"));

    // An account that comes after its backup.
    world.plane.apply(&of_account("early", "late")).await;
    let waiter = Waiter::start(&kubeconfig, &["early", "--timeout=100s"]);
    waiter.until_said("default/early Pending AccountNotFound ").await;
    world.account("late", 1000).await;
    waiter.end().await.assert(0, "");

    world.plane.apply(&of_account("blocked", "nobody")).await;
    world.until_reason("blocked", "AccountNotFound").await;
    let waiter = Waiter::start(&kubeconfig, &["blocked", "--timeout=100s"]);
    waiter.until_said("default/blocked Pending AccountNotFound ").await;
    assert!(world.terminate_operator().await.success());
    world.start_operator_with(&["--blocked-grace=1s"]);
    let ended = waiter.end().await;
    ended.assert(6, "default/blocked: its backup is blocked: Pending AccountNotFound ");
    assert!(ended.why.contains("nobody") && ended.why.contains("then wait again"), "{ended:?}");
}

#[tokio::test]
async fn without_an_operator_and_without_an_object_it_says_so_and_ends_in_time() {
    let world = World::without_operator().await;
    let kubeconfig = world.plane.kubeconfig();
    let begun = Instant::now();
    let absent = Waiter::start(kubeconfig, &["absent", "--timeout=100s"]);
    let late = Waiter::start(kubeconfig, &["late", "--timeout=100s"]);
    late.until_said("default/late - - there is no such DatabaseBackup").await;
    world.ask("late", "DCS", "i-1").await;
    late.until_said("default/late - - no operator has seen it yet").await;

    world.ask("unseen", "DCS", "i-1").await;
    let ended = wait(kubeconfig, &["unseen", "--timeout=2s"]).await;
    ended.assert(4, "default/unseen: not Completed within 2s (--timeout): - - no operator has seen it yet");
    let object = World::manifest("elsewhere", "DCS", "i-1", "");
    world.plane.kubectl_ok(&["create", "namespace", "shop"]).await;
    world.plane.with_input(&["create", "-n", "shop", "-f", "-"], &object).await.expect("created");
    wait(kubeconfig, &["elsewhere", "--timeout=1s", "-n", "shop"]).await.assert(4, "shop/elsewhere");
    wait(kubeconfig, &["elsewhere", "--timeout=1s"]).await.assert(5, "default/elsewhere: there is no such DatabaseBackup");

    // One that goes, at once and slowly.
    world.delete("late").await;
    late.end().await.assert(5, "default/late: it was deleted while it was waited for");
    let kept = World::manifest("kept", "DCS", "i-1", "").replace("{name: kept}", "{name: kept, finalizers: [example.org/keep]}");
    world.plane.apply(&kept).await;
    let waiter = Waiter::start(kubeconfig, &["kept", "--timeout=100s"]);
    waiter.until_said("default/kept - - no operator").await;
    world.delete("kept").await;
    waiter.end().await.assert(5, "default/kept: it was deleted while it was waited for");
    wait(kubeconfig, &["kept", "--timeout=1s"]).await.assert(5, "default/kept: it is being deleted");

    let waiter = Waiter::start(kubeconfig, &["unseen", "--timeout=100s"]);
    waiter.until_said("default/unseen").await;
    let pid = waiter.process.id().expect("it runs").to_string();
    assert!(Shell::new("sh").args(["-c", "kill -s TERM \"$1\"", "kill", &pid]).status().expect("sh runs").success());
    waiter.end().await.assert(1, "stopped by a signal");

    absent.end().await.assert(5, "default/absent: there is no such DatabaseBackup: are the name and the namespace (-n) right?");
    assert!(begun.elapsed() >= Duration::from_secs(15), "it may come a little later");
}

#[tokio::test]
async fn wrong_arguments_end_with_2_before_anybody_is_asked() {
    for (args, expected) in [
        (&[][..], "<NAME>..."),
        (&["orders", "--timeout=5"], "write a number with a unit"),
        (&["pod/orders"], "no name of a DatabaseBackup"),
        (&["orders", "-n", ""], "no name of a namespace"),
        (&["orders", "--for=condition=Ready"], "unexpected argument"),
    ] {
        wait(Path::new("/dev/null"), args).await.assert(2, expected);
    }
}

#[tokio::test]
async fn what_keeps_it_from_finding_out_ends_with_1_and_is_explained() {
    let world = World::without_operator().await;
    let plane = &world.plane;
    let kubeconfig_of = |text: String, name: &str| {
        let path = plane.folder().join(name);
        std::fs::write(&path, text).expect("it is written");
        path
    };
    plane.kubectl_ok(&["create", "serviceaccount", "nobody"]).await;
    let nobody = plane.kubeconfig_for_service_account("default", "nobody").await;
    let forbidden = Waiter::start(&nobody, &["orders", "--timeout=100s"]);
    // The right to list alone is not enough.
    plane.kubectl_ok(&["create", "serviceaccount", "lister"]).await;
    plane.kubectl_ok(&["create", "role", "lister", "--verb=list", "--resource=databasebackups.dbbackup.dev"]).await;
    plane.kubectl_ok(&["create", "rolebinding", "lister", "--role=lister", "--serviceaccount=default:lister"]).await;
    world.ask("orders", "DCS", "i-1").await;
    let lister = plane.kubeconfig_for_service_account("default", "lister").await;
    let lister = Waiter::start(&lister, &["orders", "--timeout=100s"]);
    let unknown = kubeconfig_of(plane.kubeconfig_for("no-such-token", "default"), "kubeconfig-unknown");
    let unknown = Waiter::start(&unknown, &["orders", "--timeout=100s"]);
    let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
    let own = std::fs::read_to_string(plane.kubeconfig()).expect("a kubeconfig");
    let port = own.split_once("https://127.0.0.1:").expect("an address").1.split('"').next().expect("a port").to_owned();
    let away = kubeconfig_of(own.replace(&format!("127.0.0.1:{port}"), &format!("127.0.0.1:{closed}")), "kubeconfig-away");
    let away = Waiter::start(&away, &["orders", "--timeout=100s"]);
    wait(Path::new("/nowhere/kubeconfig"), &["orders"]).await.assert(1, "no cluster to talk to: ");
    wait(Path::new("/dev/null"), &["orders"]).await.assert(1, "no cluster to talk to: ");

    forbidden.until_said("default/orders - - cannot be read: ").await;
    let ended = forbidden.end().await;
    ended.assert(1, "default/orders cannot be read: databasebackups.dbbackup.dev \"orders\" is forbidden: ");
    for expected in ["\"system:serviceaccount:default:nobody\" cannot list resource", "create role wait-for-backups --verb=list,watch"] {
        assert!(ended.why.contains(expected), "{ended:?}");
    }
    lister.end().await.assert(1, "cannot watch resource \"databasebackups\"");
    unknown.end().await.assert(1, "(401)");
    away.end().await.assert(1, "is the API server up, and its address right?");
    plane.kubectl_ok(&["delete", "crd", "databasebackups.dbbackup.dev"]).await;
    wait(plane.kubeconfig(), &["orders", "--timeout=100s"]).await.assert(1, "databasebackups.dbbackup.dev is not served: install the CRDs");
}

/// The commands that the message about missing rights names.
#[tokio::test]
async fn who_was_refused_and_runs_the_commands_that_it_is_told_may_wait() {
    let world = World::without_operator().await;
    world.plane.kubectl_ok(&["create", "serviceaccount", "ci"]).await;
    let kubeconfig = world.plane.kubeconfig_for_service_account("default", "ci").await;
    world.ask("orders", "DCS", "i-1").await;
    let refused = wait(&kubeconfig, &["orders", "--timeout=1s"]).await;
    refused.assert(1, "grant it with");
    let commands: Vec<&str> = refused.why.split('`').skip(1).step_by(2).collect();
    assert_eq!(commands.len(), 2, "{refused:?}");
    for command in commands {
        let args: Vec<String> = command.split_whitespace().skip(1).map(|arg| arg.replace("NAMESPACE:NAME", "default:ci")).collect();
        world.plane.kubectl_ok(&args.iter().map(String::as_str).collect::<Vec<_>>()).await;
    }
    let waiter = Waiter::start(&kubeconfig, &["orders", "--timeout=100s"]);
    waiter.until_said("default/orders - - no operator has seen it yet").await;
    finish(&world.plane, "orders").await;
    waiter.end().await.assert(0, "");
}

/// Writes what an operator would when the backup is there.
async fn finish(plane: &ControlPlane, name: &str) {
    let condition = "{\"type\":\"Ready\",\"status\":\"True\",\"reason\":\"Completed\",\"message\":\"it is there\",\"lastTransitionTime\":\"2026-03-01T00:00:00Z\"}";
    let patch = format!("{{\"status\":{{\"observedGeneration\":1,\"phase\":\"Completed\",\"conditions\":[{condition}]}}}}");
    plane.kubectl_ok(&["patch", "dbb", name, "--subresource=status", "--type=merge", "-p", &patch]).await;
}

#[tokio::test]
async fn it_goes_on_while_the_api_server_is_away_cuts_expires_and_refuses_its_watches() {
    let world = World::start_and_lead().await;
    world.cloud.add_instance("dcs", "i-1");
    world.cloud.hold_backups(true);
    world.ask("orders", "DCS", "i-1").await;
    world.until_phase("orders", Phase::Running).await;
    let proxy = ApiProxy::start(&world.plane);
    // The first answers are slow, and not all are good.
    proxy.inject(Fault::new(Trouble::Answer(429)));
    proxy.inject(Fault::new(Trouble::Answer(500)));
    proxy.inject(Fault::new(Trouble::Delay(Duration::from_secs(2))));
    let troubled = Waiter::start(proxy.kubeconfig(), &["orders", "--timeout=115s"]);
    let direct = Waiter::start(world.plane.kubeconfig(), &["orders", "--timeout=115s"]);
    for waiter in [&troubled, &direct] {
        waiter.until_said("default/orders Running Running ").await;
    }
    let watches = || proxy.count("GET", &["watch=true"]);
    eventually("it watches", PATIENCE, async || if watches() > 0 { Ok(()) } else { Err("not yet".to_owned()) }).await;
    for interrupt in [ApiProxy::cut_watches, ApiProxy::expire_watches] {
        let before = watches();
        interrupt(&proxy);
        eventually("it watches again", PATIENCE, async || if watches() > before { Ok(()) } else { Err(before.to_string()) }).await;
    }
    proxy.inject(Fault::new(Trouble::Answer(410)).watches(true));
    proxy.inject(Fault::new(Trouble::Answer(403)).watches(true));
    proxy.cut_watches();
    world.plane.stop_api_server();
    direct.until_said("default/orders - - cannot be read: ").await;
    world.plane.start_api_server().await.expect("it comes back");
    world.cloud.hold_backups(false);
    world.cloud.complete_all();
    for waiter in [troubled, direct] {
        let ended = waiter.end().await;
        ended.assert(0, "");
        assert!(ended.lines.last().is_some_and(|line| line.contains(" default/orders Completed Completed ")), "{ended:?}");
    }
}
