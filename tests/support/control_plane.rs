//! A real etcd and kube-apiserver on free ports of loopback, each instance with a folder of its own.

use super::{
    NO_PROXY,
    child::{Broom, Leashed},
    tools::Tools,
};
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::Value;
use std::{
    ffi::OsStr,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tempfile::TempDir;
use tokio::{
    io::AsyncWriteExt,
    process::Command,
    time::{Instant, sleep, timeout},
};

/// A running control plane; it ends when it is dropped, and when this process ends.
pub struct ControlPlane {
    binaries: PathBuf,
    port: u16,
    etcd_port: u16,
    peer_port: u16,
    // Dropped in this order: whoever writes ends before what is written to.
    controllers: Mutex<Option<Leashed>>,
    api_server: Mutex<Option<Leashed>>,
    etcd: Mutex<Option<Leashed>>,
    kubeconfig: PathBuf,
    _broom: Broom,
    folder: TempDir,
}

/// What the API server keeps a record of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audit {
    /// Writes of a `DatabaseBackup`'s status.
    StatusWrites,
    /// Every request but the API server's own.
    Everything,
}

/// What etcd held at a moment: a copy of its data, which goes with the control plane.
pub struct Snapshot(PathBuf);

/// Why a start failed.
enum Failure {
    /// Another program was quicker to take a port.
    PortTaken(String),
    Other(String),
}

const TOKEN: &str = "admin-of-this-test";
/// A port may be taken between its choice and its use.
const TRIES: usize = 5;
/// A fresh control plane is ready within 3 s on 2 idle cores.
const START: Duration = Duration::from_secs(90);

impl ControlPlane {
    /// Starts one. Panics with the servers' last words if that fails.
    pub async fn start() -> Self {
        Self::start_with(Audit::StatusWrites).await
    }

    /// Starts one that keeps this record.
    pub async fn start_with(audit: Audit) -> Self {
        let mut tries = 0..TRIES;
        loop {
            match Self::try_start(audit, free_ports()).await {
                Ok(started) => return started,
                Err(Failure::PortTaken(_)) if tries.next().is_some() => {}
                Err(Failure::PortTaken(reason) | Failure::Other(reason)) => panic!("no control plane: {reason}"),
            }
        }
    }

    async fn try_start(audit: Audit, [port, etcd_port, peer_port]: [u16; 3]) -> Result<Self, Failure> {
        let binaries = tokio::task::spawn_blocking(|| Tools::ControlPlane.folder()).await.map_err(other)?.map_err(Failure::Other)?;
        let folder = tempfile::Builder::new().prefix("dbbackup-test-").tempdir().map_err(other)?;
        let broom = Broom::start(folder.path()).map_err(other)?;
        let path = |name: &str| folder.path().join(name);
        let key = rcgen::KeyPair::generate().map_err(other)?;
        write(&path("sa.key"), &key.serialize_pem())?;
        write(&path("sa.pub"), &key.public_key_pem())?;
        write(&path("tokens.csv"), &format!("{TOKEN},admin,admin,\"system:masters\"\n"))?;
        write(&path("audit.yaml"), audit.policy())?;
        let kubeconfig = path("kubeconfig");
        let (controllers, api_server, etcd) = Default::default();
        let plane = Self { binaries, port, etcd_port, peer_port, controllers, api_server, etcd, kubeconfig, _broom: broom, folder };
        write(&plane.kubeconfig, &plane.kubeconfig_for(TOKEN, "default"))?;
        plane.launch_etcd()?;
        plane.launch_api_server().await?;
        Ok(plane)
    }

    fn launch_etcd(&self) -> Result<(), Failure> {
        let started = start_etcd(&self.binaries, self.folder.path(), self.etcd_port, self.peer_port)?;
        *lock(&self.etcd) = Some(started);
        Ok(())
    }

    async fn launch_api_server(&self) -> Result<(), Failure> {
        let folder = self.folder.path().display();
        let args = [
            format!("--etcd-servers=http://127.0.0.1:{}", self.etcd_port),
            format!("--cert-dir={folder}/certs"),
            format!("--secure-port={}", self.port),
            "--bind-address=127.0.0.1".into(),
            "--advertise-address=127.0.0.1".into(),
            "--service-cluster-ip-range=10.96.0.0/16".into(),
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local".into(),
            format!("--service-account-key-file={folder}/sa.pub"),
            format!("--service-account-signing-key-file={folder}/sa.key"),
            format!("--token-auth-file={folder}/tokens.csv"),
            "--authorization-mode=RBAC".into(),
            "--allow-privileged".into(),
            // There is no controller that would give each namespace its `default` account.
            "--disable-admission-plugins=ServiceAccount".into(),
            "--endpoint-reconciler-type=none".into(),
            format!("--audit-policy-file={folder}/audit.yaml"),
            format!("--audit-log-path={folder}/audit.log"),
            "--audit-log-mode=blocking".into(),
        ];
        let log = self.folder.path().join("kube-apiserver.log");
        let begin = std::fs::metadata(&log).map_or(0, |log| log.len());
        let server = Leashed::start(&self.binaries.join("kube-apiserver"), &args, &[], &log).map_err(other)?;
        let deadline = Instant::now() + START;
        loop {
            let Err(reason) = self.is_ready().await else { break };
            let etcd = lock(&self.etcd).as_ref().and_then(Leashed::ended);
            for (name, ended, log, begin) in
                [("etcd", etcd, &self.folder.path().join("etcd.log"), 0), ("kube-apiserver", server.ended(), &log, begin)]
            {
                if let Some(status) = ended {
                    let text = format!("{name} ended ({status}):\n{}", tail(log, begin));
                    return Err(if text.contains("address already in use") { Failure::PortTaken(text) } else { Failure::Other(text) });
                }
            }
            if Instant::now() > deadline {
                return Err(Failure::Other(format!("kube-apiserver is not ready after {START:?}: {reason}\n{}", tail(&log, begin))));
            }
            sleep(Duration::from_millis(50)).await;
        }
        *lock(&self.api_server) = Some(server);
        Ok(())
    }

    /// `/readyz`, and the namespace that everything goes to, which comes a moment later.
    async fn is_ready(&self) -> Result<(), String> {
        if !self.folder.path().join("certs/apiserver.crt").exists() {
            return Err("it has no certificate yet".into());
        }
        let client = self.try_client().await?;
        for path in ["/readyz", "/api/v1/namespaces/default"] {
            let request = http::Request::get(path).body(Vec::new()).map_err(|error| error.to_string())?;
            let answer = timeout(Duration::from_secs(5), client.request_text(request)).await;
            answer.map_err(|_| format!("{path}: no answer"))?.map_err(|error| format!("{path}: {error}"))?;
        }
        Ok(())
    }

    /// Ends the API server at once; etcd stays.
    pub fn stop_api_server(&self) {
        let server = lock(&self.api_server).take();
        drop(server);
    }

    /// Starts it again, on the same port and data as before, and waits until it is ready.
    pub async fn start_api_server(&self) -> Result<(), String> {
        let mut tries = 0..TRIES;
        loop {
            match self.launch_api_server().await {
                Ok(()) => return Ok(()),
                // Its own connections of before, or a passer-by's: kubeconfigs name this port, so there is no other.
                Err(Failure::PortTaken(_)) if tries.next().is_some() => sleep(Duration::from_millis(500)).await,
                Err(Failure::PortTaken(reason) | Failure::Other(reason)) => return Err(reason),
            }
        }
    }

    /// Ends the API server at once and starts it again.
    pub async fn restart_api_server(&self) {
        self.stop_api_server();
        self.start_api_server().await.unwrap_or_else(|reason| panic!("the API server does not come back: {reason}"));
    }

    /// What etcd holds now. The servers are away meanwhile, and back on the same ports when this returns.
    pub async fn snapshot(&self) -> Snapshot {
        self.stop_servers().await;
        let taken = std::fs::read_dir(self.folder.path()).into_iter().flatten().flatten();
        let nth = taken.filter(|entry| entry.file_name().to_string_lossy().starts_with("snapshot-")).count();
        let copy = self.folder.path().join(format!("snapshot-{nth}"));
        copy_folder(&self.folder.path().join("etcd"), &copy).expect("etcd's data can be copied");
        self.start_servers().await;
        Snapshot(copy)
    }

    /// Puts etcd back to what it held then, as somebody does who restores a cluster: revisions go back, too. Whoever watches is told nothing.
    pub async fn restore(&self, snapshot: &Snapshot) {
        self.stop_servers().await;
        let data = self.folder.path().join("etcd");
        std::fs::remove_dir_all(&data).expect("etcd's data can be removed");
        copy_folder(&snapshot.0, &data).expect("the snapshot can be copied");
        self.start_servers().await;
    }

    /// Ends the API server at once, and etcd in order, so that its data is whole.
    async fn stop_servers(&self) {
        self.stop_api_server();
        let etcd = lock(&self.etcd).take().expect("etcd runs");
        etcd.signal("TERM");
        etcd.wait(START).await;
    }

    async fn start_servers(&self) {
        let mut tries = 0..TRIES;
        loop {
            let started = match self.launch_etcd() {
                Ok(()) => self.launch_api_server().await,
                failed => failed,
            };
            match started {
                Ok(()) => return,
                // As after a restart of the API server alone.
                Err(Failure::PortTaken(_)) if tries.next().is_some() => sleep(Duration::from_millis(500)).await,
                Err(Failure::PortTaken(reason) | Failure::Other(reason)) => panic!("the control plane does not come back: {reason}"),
            }
        }
    }

    /// Adds what a cluster removes by itself: objects of deleted owners, and deleted namespaces with their content. An error where the folder
    /// of `KUBEBUILDER_ASSETS` has no kube-controller-manager.
    pub fn start_controllers(&self) -> Result<(), String> {
        let program = self.binaries.join("kube-controller-manager");
        if !program.exists() {
            return Err(format!("{} is missing", program.display()));
        }
        let args = [
            format!("--kubeconfig={}", self.kubeconfig.display()),
            "--controllers=garbage-collector-controller,namespace-controller,clusterrole-aggregation-controller".into(),
            "--leader-elect=false".into(),
            "--secure-port=0".into(),
        ];
        let started = Leashed::start(&program, &args, &NO_PROXY, &self.folder.path().join("kube-controller-manager.log"));
        *lock(&self.controllers) = Some(started.map_err(|error| error.to_string())?);
        Ok(())
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// A kubeconfig with a fresh token of a `ServiceAccount`, which has to exist; its namespace is that of the context.
    pub async fn kubeconfig_for_service_account(&self, namespace: &str, name: &str) -> PathBuf {
        let token = self.kubectl_ok(&["create", "token", name, "--namespace", namespace, "--duration", "1h"]).await;
        let path = self.folder.path().join(format!("kubeconfig-{namespace}-{name}"));
        std::fs::write(&path, self.kubeconfig_for(token.trim(), namespace)).expect("the folder of this control plane is there");
        path
    }

    /// The text of a kubeconfig with a token.
    pub fn kubeconfig_for(&self, token: &str, namespace: &str) -> String {
        let (port, certificate) = (self.port, self.folder.path().join("certs/apiserver.crt"));
        let certificate = certificate.display();
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: test\n\
             clusters: [{{name: test, cluster: {{server: \"https://127.0.0.1:{port}\", certificate-authority: \"{certificate}\"}}}}]\n\
             users: [{{name: test, user: {{token: \"{token}\"}}}}]\n\
             contexts: [{{name: test, context: {{cluster: test, user: test, namespace: {namespace}}}}}]\n"
        )
    }

    /// A folder for whatever else belongs to this instance.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The ids of the processes that belong to it.
    pub fn pids(&self) -> Vec<u32> {
        let servers = [&self.api_server, &self.controllers, &self.etcd];
        servers.into_iter().filter_map(|server| lock(server).as_ref().map(Leashed::pid)).collect()
    }

    /// Runs kubectl; `--kubeconfig` makes it somebody else's.
    pub async fn kubectl(&self, args: &[&str]) -> std::io::Result<Output> {
        self.command(args).stdin(Stdio::null()).output().await
    }

    /// Runs kubectl, which must succeed, and answers with what it printed.
    pub async fn kubectl_ok(&self, args: &[&str]) -> String {
        let output = self.kubectl(args).await.expect("kubectl runs");
        // What `kubectl diff` has to say is in its output.
        let [said, complaint] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        assert!(output.status.success(), "kubectl {args:?}: {complaint}{said}");
        said
    }

    /// Runs kubectl, which must fail, and answers with its complaint.
    pub async fn kubectl_fails(&self, args: &[&str]) -> String {
        let output = self.kubectl(args).await.expect("kubectl runs");
        assert!(!output.status.success(), "kubectl {args:?} succeeded: {}", String::from_utf8_lossy(&output.stdout));
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// Applies a manifest as a user does.
    pub async fn apply(&self, manifest: &str) {
        self.with_input(&["apply", "-f", "-"], manifest).await.unwrap_or_else(|error| panic!("{error}\n{manifest}"));
    }

    /// Applies a manifest that has to be refused, and answers with what kubectl said.
    pub async fn apply_refused(&self, manifest: &str) -> String {
        match self.with_input(&["apply", "-f", "-"], manifest).await {
            Err(error) => error,
            Ok(output) => panic!("accepted: {output}\n{manifest}"),
        }
    }

    /// Runs kubectl with standard input: what it printed, or its complaint.
    pub async fn with_input(&self, args: &[&str], input: &str) -> Result<String, String> {
        let spawned = self.command(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut kubectl = spawned.map_err(|error| error.to_string())?;
        if let Some(mut stdin) = kubectl.stdin.take() {
            // kubectl may have complained already and gone.
            let _ = stdin.write_all(input.as_bytes()).await;
        }
        let output = kubectl.wait_with_output().await.map_err(|error| error.to_string())?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(self.binaries.join("kubectl"));
        for (name, _) in NO_PROXY {
            command.env_remove(name);
        }
        // kubectl keeps what it discovered, and reads preferences; a folder of its own keeps tests apart and the home folder out.
        let cache = self.folder.path().join("kubectl");
        command.args(args).env("KUBECONFIG", &self.kubeconfig).env("KUBECACHEDIR", cache).env("KUBERC", "off").kill_on_drop(true);
        // Lets `apply --prune --applyset` be used, which prunes by a label as GitOps tools do.
        command.env("KUBECTL_APPLYSET", "true");
        command
    }

    /// A client with the administrator's rights.
    pub async fn client(&self) -> kube::Client {
        self.try_client().await.unwrap_or_else(|error| panic!("no client: {error}"))
    }

    /// A client with the rights of a user.
    pub async fn client_as(&self, user: &str) -> kube::Client {
        self.try_client_as(Some(user)).await.unwrap_or_else(|error| panic!("no client: {error}"))
    }

    async fn try_client(&self) -> Result<kube::Client, String> {
        self.try_client_as(None).await
    }

    async fn try_client_as(&self, user: Option<&str>) -> Result<kube::Client, String> {
        let kubeconfig = Kubeconfig::read_from(&self.kubeconfig).map_err(|error| error.to_string())?;
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
        let mut config = config.map_err(|error| error.to_string())?;
        config.proxy_url = None;
        config.auth_info.impersonate = user.map(ToOwned::to_owned);
        kube::Client::try_from(config).map_err(|error| error.to_string())
    }

    /// The requests on record, oldest first; a request is there when its answer is, give or take a moment.
    pub fn audit_events(&self) -> Vec<Value> {
        let log = std::fs::read_to_string(self.folder.path().join("audit.log")).unwrap_or_default();
        log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Those of one program: what its user agent begins with, such as `kubectl/`.
    pub fn audit_events_of(&self, user_agent: &str) -> Vec<Value> {
        let is_its_own = |event: &Value| event["userAgent"].as_str().is_some_and(|agent| agent.starts_with(user_agent));
        self.audit_events().into_iter().filter(is_its_own).collect()
    }

    /// The name of the `DatabaseBackup` of every status write that was accepted, oldest first.
    pub fn status_writes(&self) -> Vec<String> {
        let is_write = |event: &Value| {
            let (verb, object) = (event["verb"].as_str(), &event["objectRef"]);
            matches!(verb, Some("update" | "patch")) && object["resource"] == "databasebackups" && object["subresource"] == "status"
        };
        let accepted = self.audit_events().into_iter().filter(|event| is_write(event) && event["responseStatus"]["code"] == 200);
        accepted.filter_map(|event| event["objectRef"]["name"].as_str().map(ToOwned::to_owned)).collect()
    }
}

impl Audit {
    fn policy(self) -> &'static str {
        match self {
            Self::StatusWrites => {
                "apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
  verbs: [update, patch]
  resources: [{group: dbbackup.dev, resources: [databasebackups/status]}]
- level: None
"
            }
            Self::Everything => {
                "apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: None
  users: ['system:apiserver']
- level: Metadata
"
            }
        }
    }
}

fn start_etcd(binaries: &Path, folder: &Path, port: u16, peer_port: u16) -> Result<Leashed, Failure> {
    let (client, peer) = (format!("http://127.0.0.1:{port}"), format!("http://127.0.0.1:{peer_port}"));
    let args = [
        format!("--data-dir={}/etcd", folder.display()),
        // The data dies with the test.
        "--unsafe-no-fsync".into(),
        format!("--listen-client-urls={client}"),
        format!("--advertise-client-urls={client}"),
        format!("--listen-peer-urls={peer}"),
        format!("--initial-advertise-peer-urls={peer}"),
        format!("--initial-cluster=default={peer}"),
        "--log-level=error".into(),
    ];
    Leashed::start(&binaries.join("etcd"), &args, &[] as &[(&str, Option<&OsStr>)], &folder.join("etcd.log")).map_err(other)
}

fn copy_folder(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// Held together, so that they differ.
fn free_ports() -> [u16; 3] {
    let listeners: [TcpListener; 3] = std::array::from_fn(|_| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    listeners.map(|listener| listener.local_addr().expect("a bound socket has an address").port())
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text).map_err(|error| Failure::Other(format!("{}: {error}", path.display())))
}

fn other(error: impl std::fmt::Display) -> Failure {
    Failure::Other(error.to_string())
}

fn lock(server: &Mutex<Option<Leashed>>) -> MutexGuard<'_, Option<Leashed>> {
    server.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The last lines of a log.
fn tail(log: &Path, begin: u64) -> String {
    let bytes = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(bytes.get(usize::try_from(begin).unwrap_or_default()..).unwrap_or_default()).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}
