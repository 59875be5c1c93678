//! The real operator as a process.

use super::{child::Leashed, eventually};
use std::{
    path::{Path, PathBuf},
    process::ExitStatus,
    time::Duration,
};

/// A running operator; it ends when it is dropped, or when this process ends.
pub struct Operator {
    process: Leashed,
    log: PathBuf,
}

impl Operator {
    /// Starts `run` with these flags besides those that every test needs. What it logs is appended to `log`.
    pub fn start(binary: &Path, kubeconfig: &Path, log: &Path, flags: &[&str]) -> Self {
        let base = ["run", "--leader-elect=false", "--listen=127.0.0.1:0", "--allow-insecure-endpoints=true"];
        let args: Vec<String> = base.iter().chain(flags).map(|flag| (*flag).to_owned()).collect();
        let kubeconfig = kubeconfig.to_string_lossy();
        let process = Leashed::start(binary, &args, &[("KUBECONFIG", &kubeconfig), ("NO_COLOR", "1")], log).expect("the operator starts");
        Self { process, log: log.to_owned() }
    }

    /// Everything that it and its forerunners with the same log wrote.
    pub fn logs(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// SIGKILL: it gets no chance to do anything more.
    pub fn kill(self) {
        drop(self);
    }

    /// SIGSTOP.
    pub fn pause(&self) {
        self.process.signal("STOP");
    }

    /// SIGCONT.
    pub fn resume(&self) {
        self.process.signal("CONT");
    }

    /// SIGTERM, and how it ended.
    pub async fn terminate(mut self) -> ExitStatus {
        self.process.signal("TERM");
        self.process.wait(Duration::from_secs(40)).await.expect("the operator ends after SIGTERM")
    }

    /// Whether it is still there.
    pub fn is_running(&mut self) -> bool {
        self.process.ended().is_none()
    }

    /// Where it listens, from its latest log line about it.
    pub async fn url(&self) -> String {
        eventually("the operator listens", Duration::from_secs(20), || async {
            let logs = self.logs();
            let line = logs.lines().rfind(|line| line.contains("listening")).ok_or("no line yet")?;
            let addr = line.split("addr=").nth(1).and_then(|rest| rest.split_whitespace().next()).ok_or("no address in it")?;
            Ok(format!("http://{addr}"))
        })
        .await
    }

    /// What it serves under a path.
    pub async fn get(&self, path: &str) -> Result<(u16, String), String> {
        let url = format!("{}{path}", self.url().await);
        let response = reqwest::get(&url).await.map_err(|error| error.to_string())?;
        Ok((response.status().as_u16(), response.text().await.map_err(|error| error.to_string())?))
    }
}
