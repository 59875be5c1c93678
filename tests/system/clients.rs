//! Whoever reaches the port of probes and metrics cannot take the process's memory, its files or its answers away.

use crate::{
    support::{eventually, operator::Operator},
    world::{PATIENCE, World},
};
use database_backup_operator::api::status::Phase;
use std::{fs, os::unix::fs::PermissionsExt, path::Path, time::Duration};
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    time::{Instant, sleep, timeout},
};

const BINARY: &str = env!("CARGO_BIN_EXE_database-backup-operator");

fn resident_mb(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs, on Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a size");
    line.split_whitespace().next().and_then(|kilobytes| kilobytes.parse::<u64>().ok()).expect("a number") / 1024
}

fn open_files(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).expect("it runs, on Linux").count()
}

/// Seconds of CPU that were used so far, in ticks.
fn ticks(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs, on Linux");
    let fields: Vec<&str> = stat.rsplit_once(')').expect("a name").1.split_whitespace().collect();
    fields[11..13].iter().map(|field| field.parse::<u64>().expect("a number")).sum()
}

async fn answers(operator: &Operator) {
    for path in ["/healthz", "/readyz", "/metrics"] {
        let asked = Instant::now();
        let (code, text) = operator.get(path).await.expect(path);
        assert_eq!(code, 200, "{path}: {text} after {:?}", asked.elapsed());
    }
}

/// A head that does not end; how much of it is taken is the server's choice.
async fn unfinished(address: String) -> Option<TcpStream> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    let head = format!("GET /metrics HTTP/1.1\r\nHost: x\r\nX-Long: {}", "a".repeat(400 * 1024));
    let _ = timeout(Duration::from_secs(1), stream.write_all(head.as_bytes())).await;
    Some(stream)
}

/// Asks for the metrics, and reads nothing.
async fn unread(address: String) -> Option<TcpStream> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await.ok()?;
    Some(stream)
}

#[tokio::test(flavor = "multi_thread")]
async fn four_hundred_clients_that_do_not_finish_or_do_not_read_cost_little_and_probes_get_through() {
    let world = World::start().await;
    world.operator().ready().await;
    let (pid, address) = (world.operator().pid(), world.operator().url().await.replace("http://", ""));
    answers(world.operator()).await;
    let (memory, files) = (resident_mb(pid), open_files(pid));
    let mut held: Vec<_> = (0..400).map(|_| tokio::spawn(unfinished(address.clone()))).collect();
    held.extend((0..400).map(|_| tokio::spawn(unread(address.clone()))));
    for nth in 0..20 {
        answers(world.operator()).await;
        assert!(open_files(pid) < files + 64 + 20, "{} files after {nth} rounds", open_files(pid));
        sleep(Duration::from_millis(50)).await;
    }
    let grown = resident_mb(pid).saturating_sub(memory);
    assert!(grown < 30, "{grown} MB more than before");
    eventually("nobody is waited for any longer", PATIENCE, async || {
        let open = open_files(pid);
        (open <= files + 8).then_some(()).ok_or_else(|| format!("{open} files, {files} before"))
    })
    .await;
    drop(held);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_without_a_free_file_neither_ends_nor_turns_in_a_circle() {
    let world = World::without_operator().await;
    world.account("cloud", 1000).await;
    world.cloud.add_instance("dcs", "i-1");
    let script = world.plane.folder().join("with-few-files");
    fs::write(&script, format!("#!/bin/sh\nulimit -n 40\nexec {BINARY} \"$@\"\n")).expect("it is written");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("it is ours");
    let log = world.plane.folder().join("few-files.log");
    let flags = ["--cluster-resource-namespace=operator", "--poll-interval=300ms", "--settle-delay=5s"];
    let operator = Operator::start(Path::new(&script), world.plane.kubeconfig(), &log, &flags);
    operator.ready().await;
    let address = operator.url().await.replace("http://", "");
    let mut held = Vec::new();
    for _ in 0..60 {
        held.push(TcpStream::connect(&address).await.expect("the system takes it"));
    }
    eventually("it says so", PATIENCE, async || {
        operator.logs().contains("could not be accepted").then_some(()).ok_or_else(|| operator.logs())
    })
    .await;
    let before = ticks(operator.pid());
    sleep(Duration::from_secs(2)).await;
    let used = ticks(operator.pid()) - before;
    assert!(used < 100, "{used} ticks in 2 s");
    eventually("it answers again", PATIENCE, async || match operator.get("/readyz").await? {
        (200, _) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    world.ask("first", "DCS", "i-1").await;
    world.until_phase("first", Phase::Completed).await;
    drop(held);
}
