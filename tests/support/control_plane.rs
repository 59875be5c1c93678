//! A real etcd and kube-apiserver on free ports of loopback, each instance with a folder of its own.

use super::child::Leashed;
use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    sync::OnceLock,
    time::Duration,
};
use tempfile::TempDir;
use tokio::{io::AsyncWriteExt, process::Command, time::Instant};

/// A running control plane; it ends when it is dropped, or when this process ends.
pub struct ControlPlane {
    binaries: PathBuf,
    folder: TempDir,
    port: u16,
    etcd_port: u16,
    api_server: Option<Leashed>,
    _etcd: Leashed,
}

/// Ports may be taken between their choice and their use.
const TRIES: usize = 4;
/// A fresh control plane is ready within 3 s on 2 idle cores.
const START: Duration = Duration::from_secs(90);

/// The folder with the programs, built or found once per process.
fn binaries() -> Result<PathBuf, String> {
    static BINARIES: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let find = || {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/control-plane/build");
        let built = std::process::Command::new("bash").arg(script).stderr(Stdio::inherit()).output();
        let built = built.map_err(|error| format!("{script}: {error}"))?;
        if !built.status.success() {
            return Err("the control plane could not be built: see above".to_owned());
        }
        Ok(PathBuf::from(String::from_utf8_lossy(&built.stdout).trim()))
    };
    BINARIES.get_or_init(find).clone()
}

impl ControlPlane {
    /// Starts one. Panics with the servers' last words if that fails.
    pub async fn start() -> Self {
        let mut error = String::new();
        for _ in 0..TRIES {
            match Self::try_start().await {
                Ok(started) => return started,
                Err(reason) => error = reason,
            }
        }
        panic!("no control plane: {error}");
    }

    async fn try_start() -> Result<Self, String> {
        let binaries = tokio::task::spawn_blocking(binaries).await.map_err(|error| error.to_string())??;
        let folder = tempfile::Builder::new().prefix("dbbackup-test-").tempdir().map_err(|error| error.to_string())?;
        let [port, etcd_port, peer_port] = free_ports();
        let key = rcgen::KeyPair::generate().map_err(|error| error.to_string())?;
        write(&folder.path().join("sa.key"), &key.serialize_pem())?;
        write(&folder.path().join("sa.pub"), &key.public_key_pem())?;
        write(&folder.path().join("tokens.csv"), &format!("{TOKEN},admin,admin,\"system:masters\"\n"))?;
        write(&folder.path().join("audit.yaml"), AUDIT_POLICY)?;
        let etcd = start_etcd(&binaries, folder.path(), etcd_port, peer_port)?;
        let mut plane = Self { binaries, folder, port, etcd_port, api_server: None, _etcd: etcd };
        plane.start_api_server().await?;
        Ok(plane)
    }

    /// Starts the API server, on the same port and data as before.
    pub async fn start_api_server(&mut self) -> Result<(), String> {
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
            "--disable-admission-plugins=ServiceAccount".into(),
            "--endpoint-reconciler-type=none".into(),
            format!("--audit-policy-file={folder}/audit.yaml"),
            format!("--audit-log-path={folder}/audit.log"),
            "--audit-log-mode=blocking".into(),
        ];
        let log = self.folder.path().join("kube-apiserver.log");
        let mut server = Leashed::start(&self.binaries.join("kube-apiserver"), &args, &[], &log).map_err(|error| error.to_string())?;
        let deadline = Instant::now() + START;
        while !self.is_ready().await {
            if server.ended().is_some() || Instant::now() > deadline {
                return Err(format!("kube-apiserver is not ready:\n{}", tail(&log)));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        self.api_server = Some(server);
        Ok(())
    }

    /// Ends the API server at once; etcd stays.
    pub fn stop_api_server(&mut self) {
        self.api_server = None;
    }

    async fn is_ready(&self) -> bool {
        let certificate = self.folder.path().join("certs/apiserver.crt");
        if !certificate.exists() || write(&self.kubeconfig(), &self.kubeconfig_for(TOKEN)).is_err() {
            return false;
        }
        self.kubectl(&["get", "--raw", "/readyz"]).await.is_ok_and(|output| output.status.success())
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }

    /// A folder for whatever else belongs to this instance.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The text of a kubeconfig with a token.
    pub fn kubeconfig_for(&self, token: &str) -> String {
        let (port, certificate) = (self.port, self.folder.path().join("certs/apiserver.crt"));
        let certificate = certificate.display();
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: test\n\
             clusters: [{{name: test, cluster: {{server: \"https://127.0.0.1:{port}\", certificate-authority: \"{certificate}\"}}}}]\n\
             users: [{{name: test, user: {{token: \"{token}\"}}}}]\n\
             contexts: [{{name: test, context: {{cluster: test, user: test, namespace: default}}}}]\n"
        )
    }

    /// Runs kubectl.
    pub async fn kubectl(&self, args: &[&str]) -> std::io::Result<Output> {
        self.command(args).stdin(Stdio::null()).output().await
    }

    /// Runs kubectl, which must succeed, and answers with what it printed.
    pub async fn kubectl_ok(&self, args: &[&str]) -> String {
        let output = self.kubectl(args).await.expect("kubectl runs");
        assert!(output.status.success(), "kubectl {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
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
        // kubectl keeps what it discovered; a folder of its own keeps tests apart and the home folder clean.
        command.args(args).env("KUBECONFIG", self.kubeconfig()).env("KUBECACHEDIR", self.folder.path().join("kubectl")).kill_on_drop(true);
        command
    }

    /// A client with the administrator's rights.
    pub async fn client(&self) -> kube::Client {
        let kubeconfig = kube::config::Kubeconfig::read_from(self.kubeconfig()).expect("the kubeconfig was just written");
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &kube::config::KubeConfigOptions::default()).await;
        kube::Client::try_from(config.expect("the kubeconfig is complete")).expect("a client")
    }

    /// Every write of an object's status that the API server took, as (user agent, namespace/name).
    pub fn status_writes(&self) -> Vec<String> {
        let log = std::fs::read_to_string(self.folder.path().join("audit.log")).unwrap_or_default();
        let events = log.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        let stored = events.filter(|event| event["responseStatus"]["code"] == 200);
        stored.filter_map(|event| event["objectRef"]["name"].as_str().map(ToOwned::to_owned)).collect()
    }
}

const TOKEN: &str = "admin-of-this-test";

/// Only what tests count.
const AUDIT_POLICY: &str = "apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
  verbs: [update, patch]
  resources: [{group: dbbackup.dev, resources: [databasebackups/status]}]
- level: None
";

fn start_etcd(binaries: &Path, folder: &Path, port: u16, peer_port: u16) -> Result<Leashed, String> {
    let (client, peer) = (format!("http://127.0.0.1:{port}"), format!("http://127.0.0.1:{peer_port}"));
    let args = [
        format!("--data-dir={}/etcd", folder.display()),
        "--unsafe-no-fsync".into(),
        format!("--listen-client-urls={client}"),
        format!("--advertise-client-urls={client}"),
        format!("--listen-peer-urls={peer}"),
        format!("--initial-advertise-peer-urls={peer}"),
        format!("--initial-cluster=default={peer}"),
        "--log-level=error".into(),
    ];
    Leashed::start(&binaries.join("etcd"), &args, &[], &folder.join("etcd.log")).map_err(|error| error.to_string())
}

fn free_ports<const N: usize>() -> [u16; N] {
    let listeners: [TcpListener; N] = std::array::from_fn(|_| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    listeners.map(|listener| listener.local_addr().expect("bound").port())
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}

/// The last lines of a log.
fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}
