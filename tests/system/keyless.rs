//! Accounts without a stored key: workload identity with the tokens of the real API server, the node's agency, and Pod identity.

use crate::{
    permissions::installed,
    secrecy::shown_tokens,
    simulator::{
        DOMAIN_ID, OTHER_DOMAIN_ID,
        agents::Which,
        faults::{Fault, FaultKind},
        identity::Provider,
        issuer::private_key_pem,
        settings::MetadataTokens,
    },
    support::{eventually, helm::CHART},
    world::{PATIENCE, World, record},
};
use database_backup_operator::api::{
    account::{CloudAccountStatus, ClusterCloudAccount},
    status::Phase,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio_util::task::AbortOnDropHandle;

/// Namespace and name of everything that the chart installs.
const NAME: &str = "database-backup-operator";
/// The operator, as the API server knows it.
const AGENT: &str = "system:serviceaccount:database-backup-operator:database-backup-operator";

/// The cluster, as IAM knows it, and the client id of that identity provider.
const PROVIDER: &str = "cluster-oidc";
const CLIENT: &str = "database-backups";

/// Where nobody listens: whatever goes through these proxies does not arrive. What is on this machine is excepted by its address, and not by its name.
const DEAD_PROXIES: [(&str, &str); 4] = [
    ("HTTP_PROXY", "http://127.0.0.1:9"),
    ("http_proxy", "http://127.0.0.1:9"),
    ("HTTPS_PROXY", "http://127.0.0.1:9"),
    ("NO_PROXY", "127.0.0.1"),
];

/// Gives the API server an RSA key to sign with, as every distribution has one: IAM takes RS256 alone. Tokens that exist are good for nothing afterwards.
pub async fn sign_with_rsa(world: &World) {
    let pem = private_key_pem();
    // It takes a private key where it needs a public one, too.
    for name in ["sa.key", "sa.pub"] {
        std::fs::write(world.plane.folder().join(name), &pem).expect("the folder of this control plane is there");
    }
    world.plane.restart_api_server().await;
}

/// The issuer of the cluster's tokens, which is an audience of its API server, too.
async fn issuer(world: &World) -> String {
    let said = world.plane.kubectl_ok(&["get", "--raw", "/.well-known/openid-configuration"]).await;
    let said: Value = serde_json::from_str(&said).expect("JSON");
    said["issuer"].as_str().expect("an issuer").to_owned()
}

/// Registers the cluster at IAM with what its API server says of itself, and a rule for these ServiceAccounts of the namespace `operator`.
pub async fn register(world: &World, service_accounts: &[&str]) {
    let jwks = world.plane.kubectl_ok(&["get", "--raw", "/openid/v1/jwks"]).await;
    let provider = Provider::new(PROVIDER, CLIENT, &issuer(world).await, &jwks);
    let admitted =
        service_accounts.iter().fold(provider, |provider, name| provider.admit(&format!("system:serviceaccount:operator:{name}")));
    world.cloud.add_identity_provider(admitted);
}

/// Credentials of a ServiceAccount.
pub fn identity(provider: &str, service_account: &str, audience: &str) -> String {
    format!("workloadIdentity: {{identityProvider: {provider}, serviceAccountName: {service_account}, audience: '{audience}'}}")
}

/// A world with the chart installed, whose API server signs with RSA; the operator has the rights of the chart and may ask for tokens of these.
async fn federated(service_accounts: &str) -> World {
    let mut world = installed(&["--set", &format!("workloadIdentity.serviceAccounts={service_accounts}")]).await;
    sign_with_rsa(&world).await;
    world.kubeconfig = world.plane.kubeconfig_for_service_account(NAME, NAME).await;
    world
}

async fn service_account(world: &World, namespace: &str, name: &str) {
    world.plane.kubectl_ok(&["-n", namespace, "create", "serviceaccount", name]).await;
}

/// Logins at IAM, of whichever way.
fn logins(world: &World) -> usize {
    world.cloud.count(Some("iam"), "token")
}

/// Waits until something is so.
async fn until_so(world: &World, what: &str, is_so: impl Fn() -> bool) {
    eventually(what, PATIENCE, async || if is_so() { Ok(()) } else { Err(world.newest_lines()) }).await;
}

/// When the tokens end that IAM gave for those of the cluster.
fn tokens(world: &World) -> Vec<Timestamp> {
    let cloud = world.cloud.cloud();
    let of_the_cluster = cloud.tokens.iter().filter(|token| token.provider.as_deref() == Some(PROVIDER));
    of_the_cluster.filter_map(|token| token.expires).collect()
}

/// The reason and the message of an account, such as `ccacct/cloud`.
async fn said(world: &World, account: &str) -> (String, String) {
    let path = r#"jsonpath={range .status.conditions[?(@.type=="Ready")]}{.reason}{"\n"}{.message}{end}"#;
    let said = world.plane.kubectl_ok(&["get", account, "-o", path]).await;
    said.split_once('\n').map(|(reason, message)| (reason.to_owned(), message.to_owned())).unwrap_or_default()
}

/// Waits until an account has this reason, and answers with its message.
async fn until(world: &World, account: &str, reason: &str) -> String {
    eventually(&format!("{account} is {reason}"), PATIENCE, async || match said(world, account).await {
        (said, message) if said == reason => Ok(message),
        other => Err(format!("{other:?}\n{}", world.newest_lines())),
    })
    .await
}

fn has_all(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part} is not in: {text}");
    }
}

/// Every version of the cluster accounts.
struct Watched(Arc<Mutex<Vec<ClusterCloudAccount>>>, #[allow(dead_code, reason = "ends with it")] AbortOnDropHandle<()>);

impl Watched {
    fn start(world: &World) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let watch = tokio::spawn(record(world.accounts.clone(), seen.clone()));
        Self(seen, AbortOnDropHandle::new(watch))
    }

    /// What was said whenever an account was not ready that had been before.
    fn relapses(&self) -> Vec<String> {
        let is_ready = |status: &CloudAccountStatus| status.conditions.iter().any(|c| c.type_ == "Ready" && c.status == "True");
        let seen = self.0.lock().expect("nobody panicked with it");
        let statuses = seen.iter().filter_map(|account| account.status.as_ref());
        statuses.skip_while(|status| !is_ready(status)).filter(|status| !is_ready(status)).map(|status| format!("{status:?}")).collect()
    }
}

#[tokio::test]
async fn a_backup_lives_its_life_by_workload_identity_and_tokens_that_end_or_are_revoked_are_renewed() {
    let mut world = federated("{operator/backups}").await;
    register(&world, &["backups"]).await;
    service_account(&world, "operator", "backups").await;
    for instance in ["i-1", "i-2"] {
        world.cloud.add_instance("dcs", instance);
    }
    let accounts = Watched::start(&world);
    world.cloud.token_lifetime(Duration::from_secs(6));
    world.cloud.hold_backups(true);
    world.account_with("cloud", &identity(PROVIDER, "backups", CLIENT), 1000).await;
    world.start_operator_with(&["--log-level=debug"]);
    world.until_account_is_verified().await;
    let (asked, before) = (Instant::now(), logins(&world));
    world.plane.apply(&World::manifest("short-lived", "DCS", "i-1", "deletionPolicy: Delete")).await;
    world.until_phase("short-lived", Phase::Running).await;
    let ends = tokens(&world).into_iter().max().expect("a token");
    until_so(&world, "the token has ended with which it began", || Timestamp::now() > ends).await;
    world.cloud.complete_all();
    world.until_phase("short-lived", Phase::Completed).await;
    let (renewals, seconds) = (logins(&world) - before, asked.elapsed().as_secs());
    assert!(renewals >= 1 && renewals as u64 <= seconds / 3 + 2, "{renewals} tokens of 6 s in {seconds} s");

    // A token that lives long, which is taken back while it is in use.
    world.cloud.token_lifetime(Duration::from_secs(3600));
    let later = Timestamp::now() + SignedDuration::from_mins(10);
    until_so(&world, "a token that lives long is held", || tokens(&world).iter().any(|ends| *ends > later)).await;
    world.ask("revoked", "DCS", "i-2").await;
    world.until_phase("revoked", Phase::Running).await;
    let before = logins(&world);
    world.cloud.revoke_federated_tokens(PROVIDER);
    until_so(&world, "it logs in again", || logins(&world) > before).await;
    world.cloud.hold_backups(false);
    world.cloud.complete_all();
    world.until_phase("revoked", Phase::Completed).await;
    world.delete("short-lived").await;
    world.until_gone("short-lived").await;
    assert_eq!((logins(&world) - before, world.left().len()), (1, 1), "one login more, one backup less");
    assert_eq!(accounts.relapses(), [""; 0], "it was ready all the time");

    let asked: Vec<Value> = world.plane.audit_events().into_iter().filter(|event| event["user"]["username"] == AGENT).collect();
    let tokens: Vec<&Value> = asked.iter().filter(|event| event["objectRef"]["subresource"] == "token").collect();
    let is_named = |event: &&Value| {
        let object = &event["objectRef"];
        object["namespace"] == "operator" && object["name"] == "backups" && event["responseStatus"]["code"] == 201
    };
    assert!(tokens.iter().all(is_named), "{tokens:?}");
    assert!(tokens.len() >= 2 * logins(&world), "a fresh token for each login, and the audiences before: {}", tokens.len());
    assert!(!asked.iter().any(|event| event["objectRef"]["resource"] == "secrets"), "it has read no Secret");
    // Helm keeps its release in one.
    let secrets = world.plane.kubectl_ok(&["get", "secrets", "-A", "--field-selector=type!=helm.sh/release.v1", "-o", "name"]).await;
    assert_eq!(secrets, "", "there is none to be read");
    assert_eq!(shown_tokens(&world).await, [""; 0]);
}

#[tokio::test]
async fn what_keeps_a_workload_identity_from_the_cloud_is_said_and_heals() {
    let mut world = federated("{operator/backups,operator/unmapped,default/backups}").await;
    let issuer = issuer(&world).await;
    let account = |name: &str, credentials: &str| {
        format!(
            "{{apiVersion: dbbackup.dev/v1alpha1, kind: CloudAccount, metadata: {{name: {name}}}, \
             spec: {{cloud: OpenTelekomCloud, region: eu-de, credentials: {{{credentials}}}}}}}"
        )
    };
    for audience in ["https://kubernetes.default.svc", &issuer] {
        let refused = world.plane.apply_refused(&account("own", &identity(PROVIDER, "backups", audience))).await;
        has_all(&refused, &["that is an audience of the Kubernetes API itself: write the client id of the identity provider at IAM"]);
    }
    // The definition cannot know each issuer that there is. Without its rule, the operator finds out by itself.
    for kind in ["cloudaccounts", "clustercloudaccounts"] {
        let path = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/credentials/properties/workloadIdentity/properties/audience";
        let patch = format!(r#"[{{"op": "remove", "path": "{path}/x-kubernetes-validations"}}]"#);
        world.plane.kubectl_ok(&["patch", "crd", &format!("{kind}.dbbackup.dev"), "--type=json", "-p", &patch]).await;
    }
    let own = account("own", &identity(PROVIDER, "backups", &issuer));
    eventually("the rule is away", PATIENCE, async || world.plane.with_input(&["apply", "-f", "-"], &own).await).await;
    world.account_with("cloud", &identity(PROVIDER, "backups", &issuer), 1000).await;
    world.cloud.add_instance("dcs", "i-1");
    world.ask("waiting", "DCS", "i-1").await;
    // The namespaced kind points to the real cloud, where nothing of this may arrive.
    world.start_operator_with_env(&["--log-level=debug"], &DEAD_PROXIES);
    has_all(&until(&world, "cacct/own", "ServiceAccountNotFound").await, &["there is no ServiceAccount default/backups: create it"]);
    has_all(&until(&world, "ccacct/cloud", "ServiceAccountNotFound").await, &["there is no ServiceAccount operator/backups: create it"]);
    for namespace in ["default", "operator"] {
        service_account(&world, namespace, "backups").await;
    }
    for name in ["cacct/own", "ccacct/cloud"] {
        has_all(&until(&world, name, "AudienceNotAllowed").await, &[&issuer, "write the client id of the identity provider"]);
    }
    assert_eq!(world.cloud.calls().len(), 0, "nothing has been sent");
    world.plane.apply(&account("own", &identity(PROVIDER, "other", CLIENT))).await;
    has_all(
        &until(&world, "cacct/own", "ServiceAccountForbidden").await,
        &["default/other", "the chart's workloadIdentity.serviceAccounts"],
    );
    world.until_reason("waiting", "AccountNotReady").await;

    register(&world, &["backups", "other"]).await;
    world.account_with("cloud", &identity(PROVIDER, "backups", CLIENT), 1000).await;
    until(&world, "ccacct/cloud", "Verified").await;
    world.until_phase("waiting", Phase::Completed).await;

    for name in ["other", "unmapped"] {
        service_account(&world, "operator", name).await;
    }
    world.account_with("ungranted", &identity(PROVIDER, "other", CLIENT), 1000).await;
    has_all(&until(&world, "ccacct/ungranted", "ServiceAccountForbidden").await, &["operator/other", "workloadIdentity.serviceAccounts"]);
    let kubeconfig = world.kubeconfig.to_string_lossy().into_owned();
    let token = async |name: &str| world.plane.kubectl(&["--kubeconfig", &kubeconfig, "-n", "operator", "create", "token", name]).await;
    let refused = token("other").await.expect("kubectl runs");
    let complaint = String::from_utf8_lossy(&refused.stderr);
    has_all(&complaint, &["forbidden", r#"serviceaccounts "other""#]);
    assert!(token("backups").await.expect("kubectl runs").status.success(), "the one that is named");

    for (name, provider, service_account, audience, reason) in [
        ("nobody", "no-such-provider", "backups", CLIENT, "AuthenticationFailed"),
        ("stranger", PROVIDER, "backups", "somebody-else", "AuthenticationFailed"),
        // IAM answers 403, as for a group that has no rights in the project.
        ("unmapped", PROVIDER, "unmapped", CLIENT, "AccessDenied"),
    ] {
        world.account_with(name, &identity(provider, service_account, audience), 1000).await;
        let message = until(&world, &format!("ccacct/{name}"), reason).await;
        has_all(&message, &[provider, &format!("client id {audience}"), &format!("system:serviceaccount:operator:{service_account}")]);
    }
    // The definitions stay as they have been made here.
    let values = "crds.enabled=false,workloadIdentity.serviceAccounts={operator/backups,operator/other}";
    let upgrade = ["upgrade", NAME, CHART, "--namespace", NAME, "--reset-then-reuse-values", "--set", values];
    world.plane.helm_ok(&upgrade).await;
    until(&world, "ccacct/ungranted", "Verified").await;
    assert_eq!(shown_tokens(&world).await, [""; 0]);
}

/// What has been asked of the metadata service since then: method and status.
fn asked_since(world: &World, before: usize) -> Vec<(String, Option<u16>)> {
    world.cloud.metadata_calls().into_iter().skip(before).map(|call| (call.method, call.status)).collect()
}

/// Asks for a backup of a new instance.
async fn backup(world: &World, name: &str) {
    world.cloud.add_instance("dcs", &format!("i-{name}"));
    world.ask(name, "DCS", &format!("i-{name}")).await;
}

/// The node's agency, by a metadata service that the proxy of the environment is not asked for.
async fn on_a_node() -> World {
    let mut world = World::without_operator().await;
    let url = world.cloud.metadata_url().replace("127.0.0.1", "localhost");
    world.account_with("cloud", "instanceAgency: {}", 1000).await;
    world.start_operator_with_env(&[&format!("--metadata-endpoint={url}")], &DEAD_PROXIES);
    world
}

#[tokio::test]
async fn keys_of_the_nodes_agency_are_had_from_every_kind_of_metadata_service_and_renewed() {
    let world = on_a_node().await;
    for agency in ["instanceAgency", "podIdentity"] {
        let refused = format!(
            "{{apiVersion: dbbackup.dev/v1alpha1, kind: CloudAccount, metadata: {{name: own}}, \
             spec: {{cloud: OpenTelekomCloud, region: eu-de, credentials: {{{agency}: {{}}}}}}}}"
        );
        let refused = world.plane.apply_refused(&refused).await;
        has_all(&refused, &["instanceAgency and podIdentity are the operator's own rights: they are for ClusterCloudAccounts"]);
    }
    let accounts = Watched::start(&world);
    let kinds = [
        (MetadataTokens::Required, 200),
        (MetadataTokens::Optional, 200),
        (MetadataTokens::None, 404),
        (MetadataTokens::None, 405),
        (MetadataTokens::None, 503),
    ];
    for (nth, (tokens, status)) in kinds.into_iter().enumerate() {
        world.until_account_is_verified().await;
        world.cloud.settings(|dials| {
            dials.metadata.tokens = tokens;
            // Of those that have none.
            dials.metadata.no_tokens_status = status;
        });
        let before = world.cloud.metadata_calls().len();
        // What is held is good for nothing from now on.
        world.cloud.revoke_agency_keys();
        backup(&world, &format!("kind-{nth}")).await;
        world.until_phase(&format!("kind-{nth}"), Phase::Completed).await;
        let asked = asked_since(&world, before);
        assert_eq!(asked[..2], [("PUT".to_owned(), Some(status)), ("GET".to_owned(), Some(200))], "{tokens:?}");
    }

    // Keys that end in the middle of a run.
    world.cloud.settings(|dials| dials.metadata.key_lifetime_ms = 4000);
    world.cloud.set_backup_duration(Duration::from_secs(6));
    world.cloud.revoke_agency_keys();
    let (begun, before) = (Instant::now(), world.cloud.count(Some("iam"), "projects"));
    backup(&world, "short-lived").await;
    world.until_phase("short-lived", Phase::Completed).await;
    let keys = world.cloud.cloud().access_keys.iter().filter(|key| key.access.starts_with("HST")).count();
    assert!(keys >= 2, "each is good for 4 s, and the backup took 6: {keys}");
    let (asked, seconds) = (world.cloud.count(Some("iam"), "projects") - before, begun.elapsed().as_secs());
    assert!(asked as u64 <= 2 * seconds + 4, "IAM was asked {asked} times in {seconds} s");
    assert_eq!(accounts.relapses(), [""; 0], "it was ready all the time");
    assert_eq!(world.cloud.worst_run(), 0, "nothing was signed wrongly");
    assert_eq!(shown_tokens(&world).await, [""; 0]);
}

#[tokio::test]
async fn a_metadata_service_that_is_away_is_missed_when_keys_are_needed_and_not_before() {
    let world = on_a_node().await;
    world.until_account_is_verified().await;
    let accounts = Watched::start(&world);
    // It hangs, and what is held goes on.
    let before = world.cloud.metadata_calls().len();
    world.cloud.settings(|dials| dials.metadata.hangs = true);
    world.plane.kubectl_ok(&["annotate", "ccacct", "cloud", "asked=again"]).await;
    let in_vain = || asked_since(&world, before).iter().filter(|call| call.1.is_none()).count();
    until_so(&world, "it is asked in vain, twice", || in_vain() >= 2).await;
    backup(&world, "meanwhile").await;
    world.until_phase("meanwhile", Phase::Completed).await;
    assert_eq!(accounts.relapses(), [""; 0], "it was ready all the time");

    // IAM is away when the platform gives others in their place: those that are held go on here, too.
    world.cloud.settings(|dials| dials.metadata.hangs = false);
    world.cloud.inject(Fault::new(FaultKind::CutBefore).on("iam").always());
    // Whoever asks next gets new ones, and the old ones stay good.
    world.cloud.cloud().agency_key(Which::Metadata, OTHER_DOMAIN_ID);
    let before = world.cloud.metadata_calls().len();
    world.plane.kubectl_ok(&["annotate", "ccacct", "cloud", "asked=another-time", "--overwrite"]).await;
    until_so(&world, "it has new ones", || asked_since(&world, before).len() >= 4).await;
    backup(&world, "renewed").await;
    world.until_phase("renewed", Phase::Completed).await;
    assert_eq!(accounts.relapses(), [""; 0], "it was ready all the time");
    let verified = world.cloud.count(Some("iam"), "projects");
    world.cloud.faults.clear();
    until_so(&world, "the new ones are verified", || {
        let answers = world.cloud.calls().into_iter().filter(|call| call.operation == "projects").map(|call| call.status);
        answers.skip(verified).any(|status| status == Some(200))
    })
    .await;

    // Nothing is held any more.
    world.cloud.settings(|dials| dials.metadata.hangs = true);
    let begun = Instant::now();
    world.cloud.revoke_agency_keys();
    backup(&world, "waiting").await;
    let url = world.cloud.metadata_url().replace("127.0.0.1", "localhost");
    let message = until(&world, "ccacct/cloud", "AgencyUnavailable").await;
    has_all(
        &message,
        &[&format!("the node's metadata service at {url} cannot be reached (no answer in time)"), "let the operator's Pod reach it"],
    );
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    world.until_reason("waiting", "AccountNotReady").await;
    world.cloud.settings(|dials| (dials.metadata.hangs, dials.metadata.agency) = (false, None));
    has_all(&until(&world, "ccacct/cloud", "AgencyNotFound").await, &["the node has no agency: assign one"]);
    world.cloud.settings(|dials| dials.metadata.agency = Some(DOMAIN_ID.to_owned()));
    until(&world, "ccacct/cloud", "Verified").await;
    world.until_phase("waiting", Phase::Completed).await;

    // And nobody listens there.
    let begun = Instant::now();
    world.cloud.refuse_metadata(true);
    world.cloud.revoke_agency_keys();
    backup(&world, "in-vain").await;
    has_all(&until(&world, "ccacct/cloud", "AgencyUnavailable").await, &[&url, "refused", "let the operator's Pod reach it"]);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn keys_of_the_pods_agency_are_had_with_whatever_token_is_in_the_file_now() {
    let mut world = World::without_operator().await;
    let file = world.plane.folder().join("pod-token");
    let write = |token: &str| std::fs::write(&file, format!("{token}\n")).expect("the folder of this control plane is there");
    write(&world.cloud.pod_identity_token());
    world.account_with("cloud", "podIdentity: {}", 1000).await;
    let (uri, path) = (world.cloud.pod_identity_uri(), file.to_string_lossy().into_owned());
    let pod = [("HC_CONTAINER_CREDENTIALS_FULL_URI", uri.as_str()), ("HC_CONTAINER_AUTHORIZATION_TOKEN_FILE", path.as_str())];
    world.start_operator_with_env(&["--log-level=debug"], &pod);
    backup(&world, "first").await;
    world.until_phase("first", Phase::Completed).await;
    // The file is a moment later than the agent.
    world.cloud.set_pod_identity_token("rotated-pod-token");
    world.cloud.revoke_agency_keys();
    backup(&world, "rotated").await;
    let message = until(&world, "ccacct/cloud", "AgencyUnavailable").await;
    has_all(&message, &[&format!("the agent of CCE Pod Identity at {uri} gives no keys: it answered with HTTP 401")]);
    write("rotated-pod-token");
    until(&world, "ccacct/cloud", "Verified").await;
    world.until_phase("rotated", Phase::Completed).await;
    world.cloud.settings(|dials| dials.pod_identity.agency = None);
    world.plane.kubectl_ok(&["annotate", "ccacct", "cloud", "asked=again"]).await;
    has_all(&until(&world, "ccacct/cloud", "AgencyNotFound").await, &["has no agency for the operator's Pod"]);
    std::fs::remove_file(&file).expect("it is there");
    has_all(&until(&world, "ccacct/cloud", "AgencyUnavailable").await, &[&format!("{path} cannot be read")]);
    assert!(!world.operator().logs().contains("rotated-pod-token"), "the log shows a token of the Pod");
    assert_eq!(shown_tokens(&world).await, [""; 0]);

    assert!(world.terminate_operator().await.success());
    world.start_operator();
    let message = until(&world, "ccacct/cloud", "AgencyNotFound").await;
    has_all(&message, &["CCE Pod Identity has put no agent into the operator's Pod: associate an agency with its ServiceAccount"]);
}
