//! A control plane, a cloud and an operator for one test.

use crate::{
    simulator::{ACCESS_KEY, DOMAIN, PASSWORD, SECRET_KEY, Simulator, USER, backup::BackupRecord},
    support::{
        control_plane::{Audit, ControlPlane},
        eventually,
        operator::Operator,
    },
};
use database_backup_operator::api::{
    account::{CloudAccountStatus, ClusterCloudAccount},
    backup::DatabaseBackup,
    status::{DatabaseBackupStatus, Phase},
};
use futures::StreamExt;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{
    Api, ResourceExt,
    runtime::{WatchStreamExt, watcher},
};
use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};
use tempfile::TempDir;
use tokio_rustls::rustls::ServerConfig;
use tokio_util::task::AbortOnDropHandle;

/// Long enough for the slowest machine; nothing waits that long on a good one.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Timings that keep every rule and a test short: the settle delay is 5 s, so an intent lives for 1 s.
const FLAGS: [&str; 6] = [
    "--poll-interval=300ms",
    "--settle-delay=5s",
    "--blocked-grace=2s",
    "--retry-backoff=500ms",
    "--gone-after=2s",
    "--cluster-resource-namespace=operator",
];

/// A control plane, a cloud and an operator. Everything ends when it is dropped.
pub struct World {
    operator: Option<Operator>,
    pub cloud: Simulator,
    pub plane: ControlPlane,
    pub backups: Api<DatabaseBackup>,
    pub accounts: Api<ClusterCloudAccount>,
    /// What the operator starts with; the control plane's own, unless something stands in between.
    pub kubeconfig: PathBuf,
    log: PathBuf,
    _folder: TempDir,
    seen: Arc<Mutex<Vec<DatabaseBackup>>>,
    _watch: AbortOnDropHandle<()>,
}

impl World {
    /// With CRDs, an account named `cloud` for everybody, and a running operator.
    pub async fn start() -> Self {
        let mut world = Self::without_operator().await;
        world.account("cloud", 1000).await;
        world.start_operator();
        world
    }

    /// The same with an operator that leads and has seen everything: whatever is asked for now, it sees come into being, and need not look for first.
    pub async fn start_and_lead() -> Self {
        let world = Self::start().await;
        world.until_account_is_verified().await;
        world.operator().ready().await;
        world
    }

    /// With CRDs and nothing else.
    pub async fn without_operator() -> Self {
        Self::on_record(Audit::StatusWrites).await
    }

    /// The same with another record.
    pub async fn on_record(audit: Audit) -> Self {
        Self::bare(audit).await.with_crds().await
    }

    /// With CRDs and a cloud that is reached by https only, and presents this.
    pub async fn over_tls(config: Arc<ServerConfig>) -> Self {
        Self::bare_over_tls(config).await.with_crds().await
    }

    pub async fn with_crds(self) -> Self {
        self.plane.kubectl_ok(&["apply", "-f", concat!(env!("CARGO_MANIFEST_DIR"), "/crds")]).await;
        self.plane.kubectl_ok(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"]).await;
        self.plane.kubectl_ok(&["create", "namespace", "operator"]).await;
        self
    }

    /// A control plane with this record, and a cloud; what else there is, is installed by the test.
    pub async fn bare(audit: Audit) -> Self {
        Self::bare_with(audit, Simulator::start().await).await
    }

    /// A control plane with nothing in it, and a cloud that is reached by https only, and presents this.
    pub async fn bare_over_tls(config: Arc<ServerConfig>) -> Self {
        Self::bare_with(Audit::StatusWrites, Simulator::start_tls(config).await).await
    }

    async fn bare_with(audit: Audit, cloud: Simulator) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let plane = ControlPlane::start_with(audit).await;
        cloud.set_backup_duration(Duration::from_millis(400));
        let client = plane.client().await;
        let backups: Api<DatabaseBackup> = Api::all(client.clone());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let watch = tokio::spawn(record(backups.clone(), seen.clone()));
        let folder = tempfile::tempdir().expect("a folder for the log");
        Self {
            operator: None,
            kubeconfig: plane.kubeconfig().to_owned(),
            cloud,
            plane,
            backups,
            accounts: Api::all(client),
            log: folder.path().join("operator.log"),
            _folder: folder,
            seen,
            _watch: AbortOnDropHandle::new(watch),
        }
    }

    /// Starts the operator, again if it was ended.
    pub fn start_operator(&mut self) {
        self.start_operator_with(&[]);
    }

    /// The same with further flags; the last of a name counts.
    pub fn start_operator_with(&mut self, flags: &[&str]) {
        self.start_operator_with_env(flags, &[]);
    }

    /// The same with variables of the environment, too.
    pub fn start_operator_with_env(&mut self, flags: &[&str], envs: &[(&str, &str)]) {
        let binary = Path::new(env!("CARGO_BIN_EXE_database-backup-operator"));
        self.operator = Some(Operator::start_with_env(binary, &self.kubeconfig, &self.log, &flags_with(flags), envs));
    }

    pub fn operator(&self) -> &Operator {
        self.operator.as_ref().expect("the operator was started")
    }

    /// kill -9.
    pub fn kill_operator(&mut self) {
        self.operator.take().expect("the operator was started").kill();
    }

    /// SIGTERM.
    pub async fn terminate_operator(&mut self) -> std::process::ExitStatus {
        self.operator.take().expect("the operator was started").terminate().await
    }

    /// The endpoints of the simulated cloud, as they stand in a manifest.
    pub fn endpoints(&self) -> String {
        self.cloud.endpoints().manifest()
    }

    /// A cluster account for everybody, by password.
    pub async fn account(&self, name: &str, rate: u32) {
        self.secret(name, &[("domainName", DOMAIN), ("username", USER), ("password", PASSWORD)]).await;
        self.account_with(name, &format!("passwordSecretRef: {{name: {name}}}"), rate).await;
    }

    /// The same by access key, which needs no IAM but to find its project.
    pub async fn account_by_key(&self, name: &str, rate: u32) {
        self.secret(name, &[("accessKey", ACCESS_KEY), ("secretKey", SECRET_KEY)]).await;
        self.account_with(name, &format!("accessKeySecretRef: {{name: {name}}}"), rate).await;
    }

    /// Puts another account's domain, user and password into the Secret of the account `cloud`.
    pub async fn change_user(&self, [domain, user, password]: [&str; 3]) {
        self.secret("cloud", &[("domainName", domain), ("username", user), ("password", password)]).await;
    }

    /// A cluster account for everybody, with these credentials.
    pub async fn account_with(&self, name: &str, credentials: &str, rate: u32) {
        self.account_in("eu-de", name, credentials, rate).await;
    }

    /// The same for a region.
    pub async fn account_in(&self, region: &str, name: &str, credentials: &str, rate: u32) {
        let endpoints = self.endpoints();
        self.plane
            .apply(&format!(
                "apiVersion: dbbackup.dev/v1alpha1
kind: ClusterCloudAccount
metadata: {{name: {name}}}
spec:
  cloud: OpenTelekomCloud
  region: {region}
  credentials: {{{credentials}}}
  allowedNamespaces: {{from: All}}
  maxRequestsPerSecond: {rate}
  endpoints: {endpoints}
"
            ))
            .await;
    }

    /// A Secret in the operator's namespace.
    pub async fn secret(&self, name: &str, values: &[(&str, &str)]) {
        self.secret_in("operator", name, values).await;
    }

    /// A Secret in a namespace.
    pub async fn secret_in(&self, namespace: &str, name: &str, values: &[(&str, &str)]) {
        let data: String = values.iter().map(|(key, value)| format!("  {key}: \"{value}\"\n")).collect();
        self.plane
            .apply(&format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}, namespace: {namespace}}}\nstringData:\n{data}"))
            .await;
    }

    /// A backup of an instance, with further fields of its spec.
    pub fn manifest(name: &str, engine: &str, instance: &str, more: &str) -> String {
        format!(
            "---
apiVersion: dbbackup.dev/v1alpha1
kind: DatabaseBackup
metadata: {{name: {name}}}
spec:
  accountRef: {{kind: ClusterCloudAccount, name: cloud}}
  source: {{engine: {engine}, instanceId: {instance}}}
  {more}
"
        )
    }

    /// Asks for a backup of an instance.
    pub async fn ask(&self, name: &str, engine: &str, instance: &str) {
        self.plane.apply(&Self::manifest(name, engine, instance, "")).await;
    }

    /// Changes an object with a merge patch.
    pub async fn patch(&self, name: &str, patch: &str) {
        self.plane.kubectl_ok(&["patch", "dbb", name, "--type=merge", "-p", patch]).await;
    }

    /// Changes an object's status with a merge patch, as only a test, a restore or an operator does.
    pub async fn patch_status(&self, name: &str, patch: &str) {
        self.plane.kubectl_ok(&["patch", "dbb", name, "--subresource=status", "--type=merge", "-p", patch]).await;
    }

    /// Sets an annotation.
    pub async fn annotate(&self, name: &str, annotation: &str) {
        self.plane.kubectl_ok(&["annotate", "dbb", name, annotation, "--overwrite"]).await;
    }

    /// Flips an object's policy to Retain.
    pub async fn retain(&self, name: &str) {
        self.patch(name, r#"{"spec": {"deletionPolicy": "Retain"}}"#).await;
    }

    /// Deletes an object, and does not wait until it is gone.
    pub async fn delete(&self, name: &str) {
        self.plane.kubectl_ok(&["delete", "dbb", name, "--wait=false"]).await;
    }

    pub async fn until_gone(&self, name: &str) {
        eventually(&format!("{name} is gone"), PATIENCE, async || match self.backups_here().get_opt(name).await {
            Ok(None) => Ok(()),
            Ok(Some(object)) => Err(format!("{:?}\n{}", object.status, self.newest_lines())),
            Err(error) => Err(error.to_string()),
        })
        .await;
    }

    /// The reasons of all Events, and what each is about, such as `DatabaseBackup/name`.
    pub async fn events(&self) -> Vec<(String, String)> {
        let events = self.plane.kubectl_ok(&["get", "events", "--all-namespaces", "-o", "json"]).await;
        let events: serde_json::Value = serde_json::from_str(&events).expect("JSON");
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let about = |event: &serde_json::Value| {
            let of = &event["involvedObject"];
            format!("{}/{}", text(&of["kind"]), text(&of["name"]))
        };
        events["items"].as_array().into_iter().flatten().map(|event| (text(&event["reason"]), about(event))).collect()
    }

    pub async fn account_status(&self, name: &str) -> CloudAccountStatus {
        self.accounts.get(name).await.expect("the account is there").status.unwrap_or_default()
    }

    /// Waits until the account `cloud` is as wanted.
    pub async fn until_account(&self, what: &str, wanted: impl Fn(&CloudAccountStatus) -> bool) -> CloudAccountStatus {
        eventually(&format!("the account {what}"), PATIENCE, async || {
            let status = self.account_status("cloud").await;
            if wanted(&status) { Ok(status) } else { Err(format!("{status:?}\n{}", self.newest_lines())) }
        })
        .await
    }

    /// Waits until the account `cloud` has been verified for a project.
    pub async fn until_account_points_to(&self, project: &str) {
        self.until_account(&format!("points to {project}"), |status| status.project_id.as_deref() == Some(project)).await;
    }

    /// Starts another operator beside the first.
    pub fn another_operator(&self, name: &str, flags: &[&str]) -> Operator {
        let all: Vec<&str> = flags_with(flags);
        let log = self.plane.folder().join(format!("{name}.log"));
        Operator::start(Path::new(env!("CARGO_BIN_EXE_database-backup-operator")), &self.kubeconfig, &log, &all)
    }

    pub fn backups_here(&self) -> Api<DatabaseBackup> {
        Api::default_namespaced(self.backups.clone().into_client())
    }

    pub async fn object(&self, name: &str) -> DatabaseBackup {
        self.backups_here().get(name).await.expect("the object is there")
    }

    pub async fn status(&self, name: &str) -> DatabaseBackupStatus {
        self.object(name).await.status.unwrap_or_default()
    }

    /// Waits until an object's status is as wanted.
    pub async fn until(&self, name: &str, what: &str, wanted: impl Fn(&DatabaseBackupStatus) -> bool) -> DatabaseBackupStatus {
        eventually(&format!("{name} {what}"), PATIENCE, || async {
            let status = self.status(name).await;
            if wanted(&status) {
                return Ok(status);
            }
            Err(format!("{status:?}\n{}", self.newest_lines()))
        })
        .await
    }

    pub async fn until_phase(&self, name: &str, phase: Phase) -> DatabaseBackupStatus {
        self.until(name, phase.as_str(), |status| status.phase == Some(phase)).await
    }

    /// Waits until an object has had a reason, and answers with the version that had it.
    pub async fn until_reason(&self, name: &str, reason: &str) -> DatabaseBackupStatus {
        self.until_seen(name, reason, |status| ready(status).is_some_and(|ready| ready.reason == reason)).await
    }

    /// Waits until an object has been as wanted, and answers with the version that was: some pass faster than anybody looks.
    pub async fn until_seen(&self, name: &str, what: &str, wanted: impl Fn(&DatabaseBackupStatus) -> bool) -> DatabaseBackupStatus {
        eventually(&format!("{name} has been {what}"), PATIENCE, async || {
            let history = self.history(name);
            let version = history.iter().find(|status| wanted(status));
            version.cloned().ok_or_else(|| format!("{:?}\n{}", history.last(), self.newest_lines()))
        })
        .await
    }

    /// The end of the operator's log, newest first.
    pub fn newest_lines(&self) -> String {
        let logs = self.operator.as_ref().map(Operator::logs).unwrap_or_default();
        logs.lines().rev().take(12).collect::<Vec<_>>().join("\n")
    }

    pub async fn until_account_is_verified(&self) {
        self.plane.kubectl_ok(&["wait", "--for=condition=Ready", "--timeout=60s", "ccacct", "cloud"]).await;
    }

    /// Every version of an object that was ever served, oldest first.
    pub fn versions(&self, name: &str) -> Vec<DatabaseBackup> {
        let seen = self.seen.lock().expect("nobody panicked with it");
        seen.iter().filter(|object| object.name_any() == name).cloned().collect()
    }

    /// The status of each of them.
    pub fn history(&self, name: &str) -> Vec<DatabaseBackupStatus> {
        self.versions(name).into_iter().filter_map(|object| object.status).collect()
    }

    /// The phases that an object went through, each once in a row.
    pub fn phases(&self, name: &str) -> Vec<&'static str> {
        let mut phases: Vec<_> = self.history(name).iter().filter_map(|status| status.phase).map(Phase::as_str).collect();
        phases.dedup();
        phases
    }

    /// How often an object's status was written.
    pub fn writes(&self, name: &str) -> usize {
        self.plane.status_writes().iter().filter(|written| *written == name).count()
    }

    /// Whether an object has had a reason, as far as anybody has seen.
    pub fn has_been(&self, name: &str, reason: &str) -> bool {
        self.history(name).iter().any(|status| ready(status).is_some_and(|ready| ready.reason == reason))
    }

    /// The reasons that an object had, each once in a row.
    pub fn reasons(&self, name: &str) -> Vec<String> {
        let mut reasons: Vec<_> = self.history(name).iter().filter_map(|status| Some(ready(status)?.reason.clone())).collect();
        reasons.dedup();
        reasons
    }

    /// The ids of the backups that are still in the cloud.
    pub fn left(&self) -> Vec<String> {
        self.cloud.backups().into_iter().filter(|backup| !backup.deleted).map(|backup| backup.id).collect()
    }

    /// Backups in the cloud that operators had it make, gone ones included: those with one of their marks.
    pub fn own_backups(&self) -> Vec<BackupRecord> {
        let is_own = |backup: &BackupRecord| backup.name.starts_with("dbb-") || backup.remark.starts_with("dbb-");
        self.cloud.backups().into_iter().filter(is_own).collect()
    }

    /// Backups in the cloud, gone ones included.
    pub fn backups_in_cloud(&self) -> usize {
        self.cloud.backups().len()
    }
}

/// The usual flags with these, which win.
fn flags_with<'a>(flags: &[&'a str]) -> Vec<&'a str> {
    let mut all: Vec<&str> = FLAGS.to_vec();
    all.retain(|default| !flags.iter().any(|flag| flag.split('=').next() == default.split('=').next()));
    all.extend(flags);
    all
}

/// Keeps every version of every object of a kind, oldest first.
pub async fn record<K>(api: Api<K>, seen: Arc<Mutex<Vec<K>>>)
where
    K: kube::Resource + Clone + std::fmt::Debug + serde::de::DeserializeOwned + Send + 'static,
{
    let stream = watcher(api, watcher::Config::default()).default_backoff().touched_objects();
    stream
        .for_each(|object| {
            if let (Ok(object), Ok(mut seen)) = (object, seen.lock()) {
                seen.push(object);
            }
            std::future::ready(())
        })
        .await;
}

pub fn condition<'a>(status: &'a DatabaseBackupStatus, type_: &str) -> Option<&'a Condition> {
    status.conditions.iter().find(|condition| condition.type_ == type_)
}

pub fn ready(status: &DatabaseBackupStatus) -> Option<&Condition> {
    condition(status, "Ready")
}

pub fn message(status: &DatabaseBackupStatus) -> String {
    ready(status).map(|ready| ready.message.clone()).unwrap_or_default()
}

pub fn is_true(status: &DatabaseBackupStatus, type_: &str) -> bool {
    condition(status, type_).is_some_and(|condition| condition.status == "True")
}
