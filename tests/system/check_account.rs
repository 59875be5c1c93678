//! `check --account`: an account verified by hand, step by step.

use crate::{
    keyless::{identity, register, sign_with_rsa},
    secrecy::tokens_in,
    simulator::{DOMAIN, PASSWORD, SECRET_KEY, USER},
    world::World,
};
use std::{collections::BTreeMap, process::Command};

/// The engines, in no order.
const ENGINES: [&str; 7] = ["DCS", "DDS", "GaussDB", "GaussDBforMySQL", "GeminiDB", "RDS", "TaurusDB"];
const WRONG: &str = "wrong-password-987";

/// What a check came to.
struct Checked {
    code: Option<i32>,
    out: String,
    err: String,
    /// Result and detail of each step by its name.
    rows: BTreeMap<String, (String, String)>,
}

impl Checked {
    fn has(&self, step: &str, result: &str, part: &str) {
        let row = self.rows.get(step);
        assert!(row.is_some_and(|(said, detail)| said == result && detail.contains(part)), "{step} {result} {part}: {}", self.out);
    }

    /// Nothing but these steps.
    fn has_only(&self, steps: &[&str]) {
        assert!(self.rows.keys().map(String::as_str).eq(steps.iter().copied()), "{}", self.out);
    }

    fn ends_with(&self, code: i32, part: &str) {
        assert!(self.code == Some(code) && self.err.contains(part), "{:?}: {}{}", self.code, self.out, self.err);
    }
}

/// Checks an account, and that nothing secret is printed.
fn check(world: &World, account: &str, more: &[&str]) -> Checked {
    let mut command = Command::new(env!("CARGO_BIN_EXE_database-backup-operator"));
    // Everything is on loopback.
    for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        command.env_remove(name);
    }
    let place = ["check", "--account", account, "--cluster-resource-namespace=operator"];
    command.args(place).args(more).env("KUBECONFIG", &world.kubeconfig).env("DBBACKUP_ALLOW_INSECURE_ENDPOINTS", "true");
    let output = command.output().expect("it runs");
    let (out, err) = (String::from_utf8_lossy(&output.stdout).into_owned(), String::from_utf8_lossy(&output.stderr).into_owned());
    for text in [&out, &err] {
        for secret in [PASSWORD, SECRET_KEY, WRONG] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
        assert_eq!(tokens_in(text), [""; 0], "{text}");
    }
    let words = |line: &str| {
        let (step, rest) = line.split_once("  ")?;
        let (result, detail) = rest.trim_start().split_once("  ")?;
        Some((step.to_owned(), (result.to_owned(), detail.trim_start().to_owned())))
    };
    let mut lines = out.lines();
    if let Some(heading) = lines.next() {
        assert_eq!(heading.split_whitespace().collect::<Vec<_>>(), ["STEP", "RESULT", "DETAIL"]);
    }
    let rows: BTreeMap<_, _> = lines.map(|line| words(line).unwrap_or_else(|| panic!("no row: {line}"))).collect();
    Checked { code: output.status.code(), out, err, rows }
}

#[tokio::test]
async fn a_check_of_an_account_says_which_step_fails_and_ends_with_0_where_it_can_be_used() {
    let world = World::without_operator().await;
    world.account("cloud", 1000).await;
    let good = check(&world, "cloud", &[]);
    good.ends_with(0, "");
    good.has("account", "ok", "ClusterCloudAccount cloud: OpenTelekomCloud in eu-de");
    good.has("addresses", "ok", "IAM at 127.0.0.1:");
    good.has("credentials", "ok", "user and password in Secret operator/cloud");
    good.has("login", "ok", "IAM accepts the credentials");
    good.has("project", "ok", "054b04b03b8026fa2f50c011a0c5a02b");
    for engine in ENGINES {
        good.has(engine, "ok", "127.0.0.1:");
    }
    for by_instance in ["DCS", "RDS"] {
        good.has(by_instance, "ok", "it lists by instance, so what is permitted was not tried");
    }
    good.has("GaussDB", "ok", "lists the project's backups");
    assert_eq!(good.rows.len(), 5 + ENGINES.len(), "{}", good.out);
    assert_eq!(world.cloud.count(None, "create"), 0, "it only reads");

    // A service that nobody listens at, and one where a permission is missing: the others can be used.
    world.cloud.refuse_connections("dds", true);
    world.cloud.deny("gaussdb", true);
    let partly = check(&world, "cloud", &[]);
    partly.ends_with(0, "");
    partly.has("DDS", "unusable", "not reached: ");
    partly.has("GaussDB", "unusable", "no permission: ");
    partly.has("TaurusDB", "ok", "lists the project's backups");
    for service in ["geminidb", "taurusdb", "dcs", "rds", "gaussdb"] {
        world.cloud.refuse_connections(service, true);
    }
    let nowhere = check(&world, "cloud", &[]);
    nowhere.ends_with(1, "the account cannot be used: see the table above");
    nowhere.has("login", "ok", "");
    for engine in ENGINES {
        nowhere.has(engine, "unusable", "not reached: ");
    }

    world.secret("wrong", &[("domainName", DOMAIN), ("username", USER), ("password", WRONG)]).await;
    world.account_with("wrong", "passwordSecretRef: {name: wrong}", 1000).await;
    let wrong = check(&world, "wrong", &[]);
    wrong.ends_with(1, "the account cannot be used");
    wrong.has("login", "failed", "AuthenticationFailed: check user and password");
    wrong.has_only(&["account", "addresses", "credentials", "login"]);
    world.account_with("no-secret", "passwordSecretRef: {name: nobody}", 1000).await;
    let no_secret = check(&world, "no-secret", &[]);
    no_secret.ends_with(1, "the account cannot be used");
    no_secret.has("credentials", "failed", "SecretNotFound: there is no Secret operator/nobody: create it");
    no_secret.has_only(&["account", "credentials"]);
    world.account_in("eu-xx", "no-project", "passwordSecretRef: {name: cloud}", 1000).await;
    let no_project = check(&world, "no-project", &[]);
    no_project.ends_with(1, "the account cannot be used");
    no_project.has("project", "failed", "ProjectNotFound: set spec.projectId");
    // kubectl waits until the API server has begun to serve a kind.
    world.plane.kubectl_ok(&["get", "cacct", "-A"]).await;
    for (account, what) in [("nowhere", "there is no ClusterCloudAccount nowhere"), ("shop/cloud", "there is no CloudAccount shop/cloud")] {
        let missing = check(&world, account, &[]);
        missing.ends_with(1, "the account cannot be used");
        missing.has("account", "failed", what);
        missing.has_only(&["account"]);
    }
    let insecure = check(&world, "cloud", &["--allow-insecure-endpoints=false"]);
    insecure.ends_with(1, "the account cannot be used");
    insecure.has("addresses", "failed", "EndpointInsecure: ");
    for wrong in ["a/b/c", "", "Cloud", "shop/"] {
        let refused = check(&world, wrong, &[]);
        refused.ends_with(2, "is no name of an account: write NAMESPACE/NAME");
    }
}

#[tokio::test]
async fn a_check_of_an_account_without_a_stored_key_says_whose_rights_it_has() {
    let world = World::without_operator().await;
    sign_with_rsa(&world).await;
    register(&world, &["backups"]).await;
    world.account_with("federated", &identity("cluster-oidc", "backups", "database-backups"), 1000).await;
    let missing = check(&world, "federated", &[]);
    missing.ends_with(1, "the account cannot be used");
    missing.has("credentials", "failed", "ServiceAccountNotFound: there is no ServiceAccount operator/backups: create it");
    world.plane.kubectl_ok(&["-n", "operator", "create", "serviceaccount", "backups"]).await;
    let federated = check(&world, "federated", &[]);
    federated.ends_with(0, "");
    federated.has("credentials", "ok", "ServiceAccount operator/backups, by the identity provider cluster-oidc");
    world.account_with("node", "instanceAgency: {}", 1000).await;
    let metadata = format!("--metadata-endpoint={}", world.cloud.metadata_url());
    let node = check(&world, "node", &[&metadata]);
    node.ends_with(0, "");
    node.has("credentials", "ok", "the agency of the node");
    world.cloud.refuse_metadata(true);
    let away = check(&world, "node", &[&metadata]);
    away.ends_with(1, "the account cannot be used");
    away.has("credentials", "failed", "AgencyUnavailable: the node's metadata service at ");
    world.account_with("pod", "podIdentity: {}", 1000).await;
    let pod = check(&world, "pod", &[]);
    pod.ends_with(1, "the account cannot be used");
    pod.has("credentials", "failed", "AgencyNotFound: CCE Pod Identity has put no agent into the operator's Pod");
}
