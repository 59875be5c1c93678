//! No secret is ever shown.

use crate::{
    keyless::{identity, register, sign_with_rsa},
    simulator::{
        ACCESS_KEY, DOMAIN, DOMAIN_ID, OTHER_ACCESS_KEY, PASSWORD, SECRET_KEY, USER,
        agents::Which,
        faults::{Fault, FaultKind},
        issuer::Issuer,
        settings::MetadataTokens,
    },
    support::{
        api_proxy::{ApiProxy, Fault as ApiFault, Trouble},
        eventually,
    },
    world::{PATIENCE, World},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use database_backup_operator::api::status::Phase;
use k8s_openapi::ByteString;
use std::process::Command;

/// Everything that a log level can bring out.
const LOG_ALL: &str = "--log-level=trace,kube=trace,kube_client=trace,kube_client::client=trace,hyper=trace,hyper_util=trace,h2=trace,\
                       reqwest=trace,rustls=trace,tower=trace";

/// How a JWT that an API server signed begins: `{"alg":`.
const JWT: &str = "eyJhbGciOi";

/// What looks like a token: JWTs, tokens of the simulated IAM, security tokens of agencies, tokens of the metadata service, and signatures.
pub fn tokens_in(text: &str) -> Vec<String> {
    let begins = [JWT, "MIIsim", "ggpjbi1ub3J0aC00", "SDK-HMAC-SHA256"].into_iter().filter(|begin| text.contains(begin));
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c)));
    let is_jwt = |word: &&str| word.find("eyJ").is_some_and(|at| word[at..].split('.').filter(|part| part.len() > 8).count() >= 3);
    let is_metadata_token = |before: &&str| {
        let hex = before.bytes().rev().take_while(u8::is_ascii_hexdigit).count();
        hex >= 32
    };
    let before_padding =
        text.match_indices("==").map(|(at, _)| &text[..at]).filter(is_metadata_token).map(|_| "a token of the metadata service");
    begins.chain(words.filter(is_jwt)).chain(before_padding).map(str::to_owned).collect()
}

/// Everything that a running operator shows to anybody.
async fn emitted(world: &World) -> [(&'static str, String); 4] {
    let kinds = "databasebackups,databasebackupschedules,cloudaccounts,clustercloudaccounts";
    [
        ("log", world.operator().logs()),
        ("objects", world.plane.kubectl_ok(&["get", kinds, "-A", "-o", "yaml"]).await),
        ("events", world.plane.kubectl_ok(&["get", "events", "-A", "-o", "yaml"]).await),
        ("metrics", world.operator().metrics().await),
    ]
}

/// Tokens that a running operator shows to anybody, and where.
pub async fn shown_tokens(world: &World) -> Vec<String> {
    let all = emitted(world).await;
    all.iter().flat_map(|(place, text)| tokens_in(text).into_iter().map(move |token| format!("{place}: {token}"))).collect()
}

#[test]
fn tokens_are_recognised() {
    let issuer = Issuer::new("https://issuer.example", "key");
    let jwt = issuer.sign(&issuer.claims("audience", "shop", "backups", 1_700_000_000));
    let metadata = format!("{}==", "0f".repeat(16));
    for token in [&jwt, &jwt.replace(JWT, "eyJ0eXAiOi"), "MIIsim0", &metadata, "Authorization: SDK-HMAC-SHA256 Access=A"] {
        for text in [format!("x \"{token}\" y"), format!("token={token}&"), format!("Bearer {token}")] {
            assert_ne!(tokens_in(&text), [""; 0], "{text}");
        }
    }
    for text in ["eyJ", "uid: 0f0f0f0f-0f0f-0f0f-0f0f-0f0f0f0f0f0f", "a == b", "release.v1.eyJ.x", "0123456789abcdef0123456789abcdef"] {
        assert_eq!(tokens_in(text), [""; 0], "{text}");
    }
}

/// The secret halves of the keys that the agencies hand out now, and their security tokens.
fn keys_of_agencies(world: &World) -> Vec<String> {
    let mut cloud = world.cloud.cloud();
    let keys = [Which::Metadata, Which::PodIdentity].map(|which| cloud.agency_key(which, DOMAIN_ID));
    keys.into_iter().flat_map(|key| [key.secret, key.security_token]).collect()
}

#[tokio::test]
async fn no_secret_value_of_any_kind_of_credentials_is_in_logs_objects_events_metrics_or_a_check() {
    const TOKEN: &str = "given-token-0123456789";
    const WRONG: [&str; 4] = ["wrong-password-987", "wrong-secret-key-987", "wrong-token-987", "wrong-pod-token-987"];
    let mut world = World::without_operator().await;
    sign_with_rsa(&world).await;
    register(&world, &["backups"]).await;
    // Its own token is a JWT, too.
    for args in [
        &["-n", "operator", "create", "serviceaccount", "backups"][..],
        &["-n", "operator", "create", "serviceaccount", "agent"],
        &["create", "clusterrolebinding", "agent", "--clusterrole=cluster-admin", "--serviceaccount=operator:agent"],
    ] {
        world.plane.kubectl_ok(args).await;
    }
    world.kubeconfig = world.plane.kubeconfig_for_service_account("operator", "agent").await;
    let file = world.plane.folder().join("pod-token");
    let write = |token: &str| std::fs::write(&file, token).expect("the folder of this control plane is there");
    write(WRONG[3]);
    let metadata = format!("--metadata-endpoint={}", world.cloud.metadata_url());
    let (uri, path) = (world.cloud.pod_identity_uri(), file.to_string_lossy().into_owned());
    let pod = [("HC_CONTAINER_CREDENTIALS_FULL_URI", uri.as_str()), ("HC_CONTAINER_AUTHORIZATION_TOKEN_FILE", path.as_str())];
    world.cloud.settings(|dials| (dials.metadata.tokens, dials.metadata.agency) = (MetadataTokens::Required, None));
    world.cloud.add_token(TOKEN);
    world.secret("password", &[("domainName", DOMAIN), ("username", USER), ("password", PASSWORD)]).await;
    world.secret("keys", &[("accessKey", ACCESS_KEY), ("secretKey", SECRET_KEY)]).await;
    world.secret("token", &[("token", TOKEN)]).await;
    world.secret("wrong-password", &[("domainName", DOMAIN), ("username", USER), ("password", WRONG[0])]).await;
    world.secret("wrong-keys", &[("accessKey", OTHER_ACCESS_KEY), ("secretKey", WRONG[1])]).await;
    world.secret("wrong-token", &[("token", WRONG[2])]).await;
    world.start_operator_with_env(&[LOG_ALL, &metadata], &pod);
    let right = ["password", "keys", "token", "federated", "node", "pod"];
    let wrong = ["wrong-password", "wrong-keys", "wrong-token", "wrong-federated"];
    let credentials = |name: &str| match name {
        "federated" => identity("cluster-oidc", "backups", "database-backups"),
        "wrong-federated" => identity("cluster-oidc", "backups", "somebody-else"),
        "node" => "instanceAgency: {}".to_owned(),
        "pod" => "podIdentity: {}".to_owned(),
        name if name.ends_with("password") => format!("passwordSecretRef: {{name: {name}}}"),
        name if name.ends_with("keys") => format!("accessKeySecretRef: {{name: {name}}}"),
        name => format!("tokenSecretRef: {{name: {name}}}"),
    };
    for name in right.into_iter().chain(wrong) {
        world.account_with(name, &credentials(name), 1000).await;
        world.cloud.add_instance("dcs", name);
        // One call of each goes wrong, so that error paths are seen, too.
        world.cloud.inject(Fault::new(FaultKind::FailAfter { status: 500, code: "DCS.5000".into() }).at("create").containing(name));
        world.plane.apply(&World::manifest(name, "DCS", name, "").replace("name: cloud}", &format!("name: {name}}}"))).await;
    }
    // The agencies fail first, too.
    for name in ["node", "pod"] {
        world.until_reason(name, "AccountNotReady").await;
    }
    world.cloud.settings(|dials| dials.metadata.agency = Some(DOMAIN_ID.to_owned()));
    write(&world.cloud.pod_identity_token());
    for name in right {
        world.until_phase(name, Phase::Completed).await;
    }
    for name in wrong {
        world.until_reason(name, "AuthenticationFailed").await;
    }
    // And a service refuses what was good for all of them.
    let mut secrets = keys_of_agencies(&world);
    world.cloud.revoke_tokens();
    world.cloud.revoke_agency_keys();
    world.cloud.set_secret_key(ACCESS_KEY, "another-secret-key");
    for name in ["password", "federated", "node", "pod"] {
        let again = format!("{name}-again");
        world.plane.apply(&World::manifest(&again, "DCS", name, "").replace("name: cloud}", &format!("name: {name}}}"))).await;
        world.until_phase(&again, Phase::Completed).await;
    }
    secrets.extend(keys_of_agencies(&world));
    secrets.extend([PASSWORD, SECRET_KEY, TOKEN].into_iter().chain(WRONG).map(str::to_owned));
    secrets.push(world.cloud.pod_identity_token());
    let encoded: Vec<String> = secrets.iter().map(|secret| BASE64_STANDARD.encode(secret)).collect();
    let mut shown = emitted(&world).await.to_vec();
    for name in right.into_iter().chain(wrong) {
        shown.push(("check", check(&world, name, &metadata, &pod)));
    }
    for (place, text) in shown {
        assert!(text.len() > 200, "{place} is there: {text}");
        for secret in secrets.iter().chain(&encoded) {
            assert!(!text.contains(secret), "{place} shows {secret}");
        }
        assert_eq!(tokens_in(&text), [""; 0], "{place}");
    }
    assert!(world.operator().logs().contains("Kubernetes request"), "the log is as talkative as it can be");
}

/// What `check --account` prints, at the same level.
fn check(world: &World, account: &str, metadata: &str, envs: &[(&str, &str)]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_database-backup-operator"));
    // Everything is on loopback.
    for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        command.env_remove(name);
    }
    let place = ["--cluster-resource-namespace=operator", "--allow-insecure-endpoints=true", LOG_ALL, metadata];
    command.args(["check", "--account", account]).args(place).env("KUBECONFIG", &world.kubeconfig).envs(envs.iter().copied());
    let output = command.output().expect("it runs");
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

#[tokio::test]
async fn a_secret_whose_answer_is_cut_on_its_way_is_not_in_the_log_whatever_is_to_be_logged() {
    let mut world = World::without_operator().await;
    let proxy = ApiProxy::start(&world.plane);
    proxy.inject(ApiFault::new(Trouble::Halve).on("GET").containing("/secrets/").always());
    world.kubeconfig = proxy.kubeconfig().to_owned();
    world.start_operator_with(&[LOG_ALL]);
    // Long, so that the half that comes holds all of it.
    let data = [("a", PASSWORD), ("domainName", DOMAIN), ("username", USER), ("password", PASSWORD), ("zz", &"z".repeat(4000))];
    world.secret("cloud", &data).await;
    world.account_with("cloud", "passwordSecretRef: {name: cloud}", 1000).await;
    eventually("the log says that it cannot be read", PATIENCE, async || {
        let logs = world.operator().logs();
        (logs.contains("a Secret could not be read") && logs.contains("its answer broke off")).then_some(()).ok_or(logs)
    })
    .await;
    let account = world.plane.kubectl_ok(&["get", "ccacct", "-o", "yaml"]).await;
    let encoded = serde_json::to_string(&ByteString(PASSWORD.into())).expect("text");
    for (place, text) in [("log", world.operator().logs()), ("account", account)] {
        for secret in [PASSWORD, encoded.trim_matches('"')] {
            assert!(!text.contains(secret), "{place} shows {secret}");
        }
    }
    proxy.clear();
    world.until_account_is_verified().await;
    let logs = world.operator().logs();
    assert!(!logs.contains(PASSWORD) && !logs.contains(encoded.trim_matches('"')), "nor afterwards");
    assert!(logs.contains("Kubernetes request"), "what is safe is there to be had");
}
