//! The simulated cloud as a program of its own: `cargo run --example cloud-simulator -- --any-instance --backup-duration 5`.
//!
//! It prints one line of JSON with the URLs of its services, of its admin API and of a node's two agents, and serves until its standard
//! input closes or it gets SIGTERM.

#[path = "mod.rs"]
mod simulator;

use std::{
    io::{Read, Write, stdin, stdout},
    process::ExitCode,
    time::Duration,
};

use simulator::Simulator;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::oneshot,
};

const HELP: &str = "\
cloud-simulator: a simulated Huawei Cloud / Open Telekom Cloud for tests and demos

  --any-instance              every instance id exists
  --instance ENGINE=ID        add an instance (geminidb, taurusdb, dcs, rds, dds, gaussdb); may be repeated
  --backup-duration SECONDS   how long backups take (default 1)
  --backup-size BYTES         how big they get
  --list-lag SECONDS          how long new backups stay out of lists
  --token-lifetime SECONDS    how long tokens live (default a day)
  --hold                      backups run until the admin API lets them end
  --ignore-stdin              serve until SIGTERM even when standard input is closed

Nothing here is secret. Account sim-domain, user sim-user, password sim-password; access key AKSIMULATOR000000001 with the secret
SKSimulatorSecret0123456789ABCDEFGHIJKLM; projects eu-de, eu-nl, ap-southeast-1, cn-north-4. Another account has projects of the same names: other-domain, user other-user, password
other-password; access key AKSIMULATOR000000002 with the secret SKOtherSimulatorSecret0123456789ABCDEFGH. `curl` the admin URL for more dials.
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--help" || argument == "-h") {
        print!("{HELP}");
        return ExitCode::SUCCESS;
    }
    let cloud = Simulator::launch();
    let ignore_stdin = match set_up(&cloud, arguments.into_iter()) {
        Ok(ignore_stdin) => ignore_stdin,
        Err(why) => {
            eprintln!("cloud-simulator: {why}; try --help");
            return ExitCode::from(2);
        }
    };
    if announce(&cloud).is_err() {
        return ExitCode::FAILURE;
    }
    wait(ignore_stdin);
    ExitCode::SUCCESS
}

fn set_up(cloud: &Simulator, mut arguments: impl Iterator<Item = String>) -> Result<bool, String> {
    let mut ignore_stdin = false;
    while let Some(argument) = arguments.next() {
        let (name, mut inline) = match argument.split_once('=') {
            Some((name, value)) if name.starts_with("--") => (name.to_owned(), Some(value.to_owned())),
            _ => (argument, None),
        };
        let mut value = || inline.take().or_else(|| arguments.next()).ok_or_else(|| format!("{name} needs a value"));
        match name.as_str() {
            "--any-instance" => cloud.any_instance(true),
            "--hold" => cloud.hold_backups(true),
            "--ignore-stdin" => ignore_stdin = true,
            "--instance" => {
                let value = value()?;
                let (engine, id) = value.split_once('=').ok_or("--instance is ENGINE=ID")?;
                let engine = simulator::service::Service::named(engine).ok_or_else(|| format!("no engine is called {engine}"))?;
                cloud.add_instance(engine.name(), id);
            }
            "--backup-duration" => cloud.set_backup_duration(seconds(&value()?)?),
            "--list-lag" => cloud.set_list_lag(seconds(&value()?)?),
            "--token-lifetime" => cloud.token_lifetime(seconds(&value()?)?),
            "--backup-size" => cloud.set_backup_size(value()?.parse().map_err(|_| "--backup-size is a number of bytes")?),
            other => return Err(format!("unknown argument {other}")),
        }
    }
    Ok(ignore_stdin)
}

fn seconds(text: &str) -> Result<Duration, String> {
    let number = text.trim_end_matches('s').parse::<f64>().ok();
    number.and_then(|number| Duration::try_from_secs_f64(number).ok()).ok_or_else(|| format!("{text} is no number of seconds"))
}

fn announce(cloud: &Simulator) -> std::io::Result<()> {
    let mut line = serde_json::to_value(cloud.endpoints())?;
    line["admin"] = cloud.admin_url().into();
    line["metadata"] = cloud.metadata_url().into();
    line["pod_identity"] = cloud.pod_identity_uri().into();
    let mut out = stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

/// Waits for SIGTERM, SIGINT or the end of standard input.
fn wait(ignore_stdin: bool) {
    let (closed, at_end) = oneshot::channel::<()>();
    // A thread, since a read of standard input cannot be given up; it ends with the process.
    std::thread::spawn(move || {
        let mut rest = [0; 256];
        while !ignore_stdin && stdin().read(&mut rest).is_ok_and(|count| count > 0) {}
        if ignore_stdin {
            std::thread::park();
        }
        drop(closed);
    });
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
    runtime.block_on(async {
        let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) else { return };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = at_end => {}
        }
    });
}
