//! The real operator as a process.

use super::{NO_PROXY, child::Leashed, eventually, json_lines};
use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::ExitStatus,
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// A running operator; it is killed when it is dropped, and when this process ends.
pub struct Operator {
    process: Leashed,
    log: PathBuf,
    /// Where in the log this one begins: forerunners may have written to it, too.
    begin: usize,
    /// Whether each line that it writes has to be JSON.
    writes_json: bool,
}

/// Every line that any test has an operator write is read as a pipeline would. The last one may be unfinished after a kill.
impl Drop for Operator {
    fn drop(&mut self) {
        if !self.writes_json || std::thread::panicking() {
            return;
        }
        let logs = self.own_logs();
        let (finished, _) = logs.rsplit_once('\n').unwrap_or_default();
        let wrong: Vec<String> = finished.lines().filter_map(json_lines::problem).take(5).collect();
        assert!(wrong.is_empty(), "lines that a pipeline would drop:\n{}", wrong.join("\n"));
    }
}

/// What a test needs of every operator, unless it says otherwise.
const BASE: [(&str, &str); 4] =
    [("--leader-elect", "false"), ("--listen", "127.0.0.1:0"), ("--allow-insecure-endpoints", "true"), ("--log-format", "json")];

/// It lets creates in flight end for up to 20 s.
const SHUTDOWN: Duration = Duration::from_secs(40);

impl Operator {
    /// Starts `run` with these flags, and with no leader election, a free port, plain http allowed and a log in JSON where they do not say otherwise.
    /// What it logs is appended to `log`, which several may share one after the other.
    pub fn start(binary: &Path, kubeconfig: &Path, log: &Path, args: &[&str]) -> Self {
        Self::start_with_env(binary, kubeconfig, log, args, &[])
    }

    /// The same with variables of the environment.
    pub fn start_with_env(binary: &Path, kubeconfig: &Path, log: &Path, args: &[&str], envs: &[(&str, &str)]) -> Self {
        let is_given = |flag: &str| args.iter().any(|arg| arg.split('=').next() == Some(flag));
        let base = BASE.iter().filter(|(flag, _)| !is_given(flag)).map(|(flag, value)| format!("{flag}={value}"));
        let args: Vec<String> = ["run".to_owned()].into_iter().chain(base).chain(args.iter().map(|arg| (*arg).to_owned())).collect();
        // Settings of whoever runs the tests are not for this one.
        let own: Vec<String> = std::env::vars().map(|(name, _)| name).filter(|name| name.starts_with("DBBACKUP_")).collect();
        let mut environment: Vec<(&str, Option<&OsStr>)> = own.iter().map(|name| (name.as_str(), None)).collect();
        environment.extend(NO_PROXY);
        environment.extend([("KUBECONFIG", Some(kubeconfig.as_os_str())), ("NO_COLOR", Some(OsStr::new("1")))]);
        environment.extend(envs.iter().map(|(name, value)| (*name, Some(OsStr::new(*value)))));
        let begin = read(log).len();
        let process = Leashed::start(binary, &args, &environment, log).expect("the operator starts");
        let writes_json = !args.iter().any(|arg| arg == "--log-format=text");
        Self { process, log: log.to_owned(), begin, writes_json }
    }

    /// Everything that it and its forerunners with the same log wrote.
    pub fn logs(&self) -> String {
        String::from_utf8_lossy(&read(&self.log)).into_owned()
    }

    /// What it wrote itself.
    pub fn own_logs(&self) -> String {
        String::from_utf8_lossy(read(&self.log).get(self.begin..).unwrap_or_default()).into_owned()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Whether it is still there.
    pub fn is_running(&self) -> bool {
        self.process.ended().is_none()
    }

    /// SIGKILL: it gets no chance to do anything more.
    pub fn kill(self) {
        drop(self);
    }

    /// SIGTERM, and how it ended.
    pub async fn terminate(&self) -> ExitStatus {
        self.process.signal("TERM");
        self.wait(SHUTDOWN).await
    }

    /// Waits for it to end by itself.
    pub async fn wait(&self, within: Duration) -> ExitStatus {
        self.process.wait(within).await
    }

    /// SIGSTOP: it stays, and does nothing.
    pub fn pause(&self) {
        self.process.signal("STOP");
    }

    /// SIGCONT.
    pub fn resume(&self) {
        self.process.signal("CONT");
    }

    /// Where it listens, from its log.
    pub async fn url(&self) -> String {
        format!("http://{}", self.address().await)
    }

    async fn address(&self) -> String {
        eventually("the operator listens", Duration::from_secs(30), async || {
            let logs = self.own_logs();
            let line = logs.lines().rfind(|line| line.contains("listening"));
            let rest = line.and_then(|line| line.split_once("addr")).map(|(_, rest)| rest.trim_start_matches(['"', ':', '=']));
            let address = rest.and_then(|rest| rest.split([' ', '"', ',', '}']).next());
            address
                .map(ToOwned::to_owned)
                .ok_or_else(|| format!("{}\n{logs}", if self.is_running() { "no line about it" } else { "it has ended" }))
        })
        .await
    }

    /// What it serves under a path: status code and body.
    pub async fn get(&self, path: &str) -> Result<(u16, String), String> {
        let address = self.address().await;
        let exchange = async {
            let mut stream = TcpStream::connect(&address).await?;
            stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").as_bytes()).await?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.map(|_| answer)
        };
        let timed = tokio::time::timeout(Duration::from_secs(10), exchange).await.map_err(|_| format!("{path}: no answer"))?;
        let answer = timed.map_err(|error| format!("{path}: {error}"))?;
        let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(|| format!("{path}: not HTTP: {answer}"))?;
        let code = head.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or_else(|| format!("{path}: no status: {head}"))?;
        Ok((code, body.to_owned()))
    }

    /// The text of `/metrics`.
    pub async fn metrics(&self) -> String {
        match self.get("/metrics").await {
            Ok((200, text)) => text,
            other => panic!("no metrics: {other:?}\n{}", self.own_logs()),
        }
    }

    /// Waits until `/readyz` says so.
    pub async fn ready(&self) {
        eventually("the operator is ready", Duration::from_secs(30), async || match self.get("/readyz").await? {
            (200, _) => Ok(()),
            (code, text) => Err(format!("{code} {text}\n{}", self.own_logs())),
        })
        .await;
    }
}

fn read(log: &Path) -> Vec<u8> {
    std::fs::read(log).unwrap_or_default()
}
