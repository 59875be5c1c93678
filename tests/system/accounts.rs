//! Accounts: three kinds of credentials, and what is said when they do not do.

use crate::{
    simulator::{ACCESS_KEY, DOMAIN, PASSWORD, SECRET_KEY, USER},
    support::eventually,
    world::{PATIENCE, World, is_true, message, record},
};
use database_backup_operator::api::{
    account::{CloudAccountStatus, ClusterCloudAccount},
    backup::DatabaseBackup,
    status::Phase,
};
use futures::StreamExt;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{
    Api, ResourceExt,
    api::{ListParams, PostParams},
};
use serde_json::json;
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

async fn account(world: &World) -> CloudAccountStatus {
    world.account_status("cloud").await
}

async fn until_account(world: &World, reason: &str) -> Condition {
    until_ready_says(world, "cloud", reason).await
}

/// The condition Ready of an account; all of it is empty before there is one.
pub fn ready_of(status: &CloudAccountStatus) -> Condition {
    let empty = || Condition {
        last_transition_time: Time(Timestamp::UNIX_EPOCH),
        message: String::new(),
        observed_generation: None,
        reason: String::new(),
        status: String::new(),
        type_: "Ready".into(),
    };
    status.conditions.iter().find(|condition| condition.type_ == "Ready").cloned().unwrap_or_else(empty)
}

/// Waits until an account's condition Ready has a reason, and answers with the condition.
pub async fn until_ready_says(world: &World, name: &str, reason: &str) -> Condition {
    eventually(&format!("the account {name} is {reason}"), PATIENCE, || async {
        let ready = ready_of(&world.account_status(name).await);
        if ready.reason == reason { Ok(ready) } else { Err(format!("{ready:?}\n{}", world.newest_lines())) }
    })
    .await
}

/// Every status of the cluster accounts from now on, oldest first, with the account's name.
pub struct Told {
    seen: Arc<Mutex<Vec<ClusterCloudAccount>>>,
    _watch: AbortOnDropHandle<()>,
}

impl Told {
    pub fn by(world: &World) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let watch = tokio::spawn(record(world.accounts.clone(), seen.clone()));
        Self { seen, _watch: AbortOnDropHandle::new(watch) }
    }

    /// Those of one account, each version once.
    pub fn of(&self, name: &str) -> Vec<CloudAccountStatus> {
        let seen = self.seen.lock().expect("nobody panicked with it");
        let mut versions: Vec<_> = seen.iter().filter(|account| account.name_any() == name).collect();
        versions.dedup_by_key(|account| account.resource_version());
        versions.into_iter().map(|account| account.status.clone().unwrap_or_default()).collect()
    }

    /// The reasons that an account's condition Ready had, each once in a row.
    pub fn reasons(&self, name: &str) -> Vec<String> {
        let mut reasons: Vec<String> = self.of(name).iter().map(|status| ready_of(status).reason).collect();
        reasons.dedup();
        reasons
    }
}

/// A backup object that names a cluster account.
pub fn backup(name: &str, account: &str, engine: &str, instance: &str) -> DatabaseBackup {
    let spec = json!({
        "accountRef": { "kind": "ClusterCloudAccount", "name": account }, "source": { "engine": engine, "instanceId": instance },
    });
    DatabaseBackup::new(name, serde_json::from_value(spec).expect("a spec"))
}

/// Creates objects, some at a time.
pub async fn create_all(api: &Api<DatabaseBackup>, objects: Vec<DatabaseBackup>) {
    let creating = futures::stream::iter(objects).for_each_concurrent(8, |object| async move {
        api.create(&PostParams::default(), &object).await.expect("it is created");
    });
    creating.await;
}

/// Waits until all objects whose name begins like this are in a phase, and answers with them.
pub async fn until_all(world: &World, begin: &str, phase: Phase) -> Vec<DatabaseBackup> {
    eventually(&format!("all {begin} are {}", phase.as_str()), PATIENCE, async || {
        let listed = world.backups.list(&ListParams::default()).await.map_err(|error| error.to_string())?;
        let all: Vec<_> = listed.items.into_iter().filter(|object| object.name_any().starts_with(begin)).collect();
        let others: Vec<_> = all.iter().filter(|object| object.status.as_ref().and_then(|status| status.phase) != Some(phase)).collect();
        let first = others.first().map(|object| (object.name_any(), object.status.clone()));
        match first {
            None if !all.is_empty() => Ok(all),
            first => Err(format!("{} of {} are not, such as {first:?}\n{}", others.len(), all.len(), world.newest_lines())),
        }
    })
    .await
}

/// Waits until the account's Events have these reasons.
async fn until_told(world: &World, reasons: &[&str]) {
    eventually(&format!("the account's Events are {reasons:?}"), PATIENCE, || async {
        let events = world.events().await;
        let told = |wanted: &&str| events.iter().any(|(reason, about)| reason == *wanted && about == "ClusterCloudAccount/cloud");
        if reasons.iter().all(told) { Ok(()) } else { Err(format!("{events:?}")) }
    })
    .await;
}

#[tokio::test]
async fn keys_and_given_tokens_work_as_well_as_passwords() {
    let mut world = World::without_operator().await;
    world.start_operator();
    world.secret("keys", &[("accessKey", ACCESS_KEY), ("secretKey", &format!("{SECRET_KEY}\\n"))]).await;
    world.account_with("cloud", "accessKeySecretRef: {name: keys}", 1000).await;
    world.cloud.add_instance("geminidb", "i-1in06");
    world.ask("signed", "GeminiDB", "i-1in06").await;
    world.until_phase("signed", Phase::Completed).await;
    let verified = account(&world).await;
    assert!(verified.project_id.is_some() && verified.last_verified_time.is_some(), "{verified:?}");

    world.cloud.add_token("given-token");
    world.secret("token", &[("token", "given-token")]).await;
    world.account_with("cloud", "tokenSecretRef: {name: token}", 1000).await;
    world.cloud.add_instance("geminidb", "i-2in06");
    world.ask("token", "GeminiDB", "i-2in06").await;
    world.until_phase("token", Phase::Completed).await;
}

#[tokio::test]
async fn keys_that_may_not_list_the_accounts_projects_find_their_own() {
    let mut world = World::without_operator().await;
    world.cloud.deny("iam", true);
    world.secret("keys", &[("accessKey", ACCESS_KEY), ("secretKey", SECRET_KEY)]).await;
    world.account_with("cloud", "accessKeySecretRef: {name: keys}", 1000).await;
    world.start_operator();
    until_account(&world, "Verified").await;
    assert!(account(&world).await.project_id.is_some());
}

#[tokio::test]
async fn a_wrong_password_is_said_and_a_changed_secret_heals_it_without_a_restart() {
    let mut world = World::without_operator().await;
    world.secret("cloud", &[("domainName", DOMAIN), ("username", USER), ("password", "wrong")]).await;
    world.account_with("cloud", "passwordSecretRef: {name: cloud}", 1000).await;
    world.start_operator();
    let ready = until_account(&world, "AuthenticationFailed").await;
    assert!(!ready.message.contains("wrong\""), "{}", ready.message);
    world.cloud.add_instance("dcs", "i-1");
    world.ask("waiting", "DCS", "i-1").await;
    world.until_reason("waiting", "AuthenticationFailed").await;
    world.until_seen("waiting", "Stalled", |status| is_true(status, "Stalled")).await;
    world.secret("cloud", &[("password", PASSWORD)]).await;
    until_account(&world, "Verified").await;
    world.until_phase("waiting", Phase::Completed).await;
    until_told(&world, &["CredentialsRefused", "Stalled", "Verified"]).await;
}

#[tokio::test]
async fn a_missing_secret_and_a_missing_key_are_named() {
    let mut world = World::without_operator().await;
    world.account_with("cloud", "passwordSecretRef: {name: cloud}", 1000).await;
    world.start_operator();
    let ready = until_account(&world, "SecretNotFound").await;
    assert!(ready.message.contains("operator/cloud"), "{}", ready.message);
    until_told(&world, &["SecretMissing"]).await;
    world.secret("cloud", &[("domainName", DOMAIN), ("username", USER)]).await;
    let ready = until_account(&world, "SecretInvalid").await;
    assert!(ready.message.contains("key password is missing"), "{}", ready.message);
    world.cloud.add_instance("dcs", "i-1");
    world.ask("waiting", "DCS", "i-1").await;
    let status = world.until_reason("waiting", "AccountNotReady").await;
    assert_eq!(
        message(&status),
        "ClusterCloudAccount cloud is not ready: SecretInvalid: its Secret cannot be used; whoever manages the account finds more in its status",
        "the platform's Secret is nobody else's business"
    );
    world.until_seen("waiting", "Stalled", |status| is_true(status, "Stalled")).await;
    world.secret("cloud", &[("password", PASSWORD)]).await;
    world.until_phase("waiting", Phase::Completed).await;
}

#[tokio::test]
async fn tokens_are_renewed_before_they_expire_and_after_they_are_refused() {
    let world = World::start().await;
    until_account(&world, "Verified").await;
    world.cloud.revoke_tokens();
    for instance in ["i-1", "i-2"] {
        world.cloud.add_instance("dcs", instance);
    }
    world.ask("revoked", "DCS", "i-1").await;
    world.until_phase("revoked", Phase::Completed).await;
    assert_eq!(world.backups_in_cloud(), 1);

    world.cloud.token_lifetime(std::time::Duration::from_secs(2));
    world.cloud.revoke_tokens();
    world.cloud.set_backup_duration(std::time::Duration::from_secs(6));
    let (asked, before) = (std::time::Instant::now(), world.cloud.count(Some("iam"), "token"));
    world.ask("short-lived", "DCS", "i-2").await;
    world.until_phase("short-lived", Phase::Completed).await;
    let (tokens, seconds) = (world.cloud.count(Some("iam"), "token") - before, asked.elapsed().as_secs());
    assert!(tokens >= 2, "each is good for 2 s, and the backup took 6");
    assert!(tokens as u64 <= seconds + 5, "{tokens} tokens in {seconds} s");
}

#[tokio::test]
async fn a_namespaced_account_serves_its_namespace_and_a_selector_is_kept() {
    let mut world = World::without_operator().await;
    world.start_operator();
    world.secret("cloud", &[("domainName", DOMAIN), ("username", USER), ("password", PASSWORD)]).await;
    let endpoints = world.endpoints();
    world
        .plane
        .apply(&format!(
            "{{apiVersion: dbbackup.dev/v1alpha1, kind: ClusterCloudAccount, metadata: {{name: cloud}}, spec: {{cloud: OpenTelekomCloud, region: eu-de, \
             credentials: {{passwordSecretRef: {{name: cloud}}}}, endpoints: {endpoints}, \
             allowedNamespaces: {{from: Selector, selector: {{matchLabels: {{backups: allowed}}}}}}}}}}"
        ))
        .await;
    world.cloud.add_instance("dcs", "i-1");
    world.ask("outside", "DCS", "i-1").await;
    let status = world.until_reason("outside", "NamespaceNotAllowed").await;
    assert!(message(&status).contains("does not allow namespace default"), "{}", message(&status));
    world.plane.kubectl_ok(&["label", "namespace", "default", "backups=allowed"]).await;
    world.until_phase("outside", Phase::Completed).await;
    // The namespaced kind has no endpoints to redirect, so here it can only say which Secret it looks for, in its own namespace.
    world
        .plane
        .apply(
            "{apiVersion: dbbackup.dev/v1alpha1, kind: CloudAccount, metadata: {name: default}, spec: {cloud: OpenTelekomCloud, region: eu-de, \
             credentials: {passwordSecretRef: {name: cloud}}}}",
        )
        .await;
    world.plane.apply("{apiVersion: dbbackup.dev/v1alpha1, kind: DatabaseBackup, metadata: {name: own}, spec: {source: {engine: DCS, instanceId: i-1}}}").await;
    let status = world.until_reason("own", "AccountNotReady").await;
    assert!(message(&status).contains("there is no Secret default/cloud"), "{}", message(&status));
}

#[tokio::test]
async fn plain_http_needs_the_operators_leave() {
    let mut world = World::without_operator().await;
    world.account("cloud", 1000).await;
    world.start_operator_with(&["--allow-insecure-endpoints=false"]);
    let ready = until_account(&world, "EndpointInsecure").await;
    assert!(ready.message.contains("plain http"), "{}", ready.message);
}

#[tokio::test]
async fn a_refused_login_names_the_field_to_look_at() {
    let mut world = World::without_operator().await;
    world.secret("keys", &[("accessKey", &format!("{ACCESS_KEY} ")), ("secretKey", SECRET_KEY)]).await;
    world.account_with("cloud", "accessKeySecretRef: {name: keys}", 1000).await;
    world.start_operator();
    let ready = until_account(&world, "AuthenticationFailed").await;
    assert!(ready.message.starts_with("key accessKey of the Secret begins or ends with white space"), "{}", ready.message);
    assert!(!ready.message.contains(ACCESS_KEY), "{}", ready.message);

    // A user that has no project of the region's name.
    world.secret("cloud", &[("domainName", DOMAIN), ("username", USER), ("password", PASSWORD)]).await;
    world.account_with("user", "passwordSecretRef: {name: cloud}", 1000).await;
    world.plane.kubectl_ok(&["wait", "--for=condition=Ready", "--timeout=60s", "ccacct", "user"]).await;
    world.plane.kubectl_ok(&["delete", "ccacct", "user"]).await;
    world.account_in("eu-xx", "user", "passwordSecretRef: {name: cloud}", 1000).await;
    eventually("the field is named", PATIENCE, async || {
        let status = world.account_status("user").await;
        let ready = status.conditions.iter().find(|condition| condition.type_ == "Ready").cloned().ok_or("not yet")?;
        let is_named =
            ready.reason == "ProjectNotFound" && ready.message.starts_with("set spec.projectId, since there is no project eu-xx");
        if is_named { Ok(()) } else { Err(format!("{ready:?}")) }
    })
    .await;
}

/// Somebody's server: its address, how many connections it has taken, and what keeps it going.
pub async fn collector() -> (String, Arc<AtomicUsize>, AbortOnDropHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("https://{}", listener.local_addr().expect("an address"));
    let taken = Arc::new(AtomicUsize::new(0));
    let counted = taken.clone();
    let serving = tokio::spawn(async move {
        while listener.accept().await.is_ok() {
            counted.fetch_add(1, Ordering::Relaxed);
        }
    });
    (url, taken, AbortOnDropHandle::new(serving))
}

#[tokio::test]
async fn nothing_is_sent_to_a_host_that_whoever_installs_the_operator_has_not_allowed() {
    let (url, taken, _serving) = collector().await;
    let mut world = World::without_operator().await;
    world.secret("platform", &[("token", "the-platforms-own")]).await;
    let manifest = |endpoints: &str| {
        format!(
            "{{apiVersion: dbbackup.dev/v1alpha1, kind: ClusterCloudAccount, metadata: {{name: cloud}}, spec: {{cloud: OpenTelekomCloud, region: eu-de, \
             credentials: {{tokenSecretRef: {{name: platform}}}}, allowedNamespaces: {{from: All}}, endpoints: {{{endpoints}}}}}}}"
        )
    };
    world.plane.apply(&manifest(&format!("iam: '{url}'"))).await;
    // Without leave for this machine it is a host like any other.
    world.start_operator_with(&["--allow-insecure-endpoints=false"]);
    let ready = until_account(&world, "EndpointNotAllowed").await;
    assert!(ready.message.contains("endpoints.iam") && ready.message.contains("--allowed-endpoint-hosts"), "{}", ready.message);
    world.ask("waiting", "DCS", "i-1").await;
    let status = world.until_reason("waiting", "EndpointMisconfigured").await;
    assert!(message(&status).contains("EndpointNotAllowed"), "{}", message(&status));
    world.until_seen("waiting", "Stalled", |status| is_true(status, "Stalled")).await;
    // A token is shown to the services, too.
    world.plane.apply(&manifest(&format!("iam: null, dcs: '{url}'"))).await;
    eventually("the other address is named", PATIENCE, async || {
        let ready = until_account(&world, "EndpointNotAllowed").await;
        if ready.message.contains("endpoints.dcs") { Ok(()) } else { Err(ready.message) }
    })
    .await;
    assert_eq!(taken.load(Ordering::Relaxed), 0, "nothing was sent");

    world.plane.apply(&manifest(&format!("iam: '{url}', dcs: null"))).await;
    assert!(world.terminate_operator().await.success());
    world.start_operator_with(&["--allow-insecure-endpoints=false", "--allowed-endpoint-hosts=127.0.0.1"]);
    eventually("what is allowed is asked", PATIENCE, async || match taken.load(Ordering::Relaxed) {
        0 => Err(format!("{:?}", account(&world).await)),
        _ => Ok(()),
    })
    .await;
}
