//! Proxies on the way to the API server, and what their addresses must never give away.

use crate::{
    support::{connect_proxy::ConnectProxy, eventually, operator::Operator},
    world::{PATIENCE, World},
};
use database_backup_operator::api::status::Phase;
use std::{
    path::{Path, PathBuf},
    process::Command,
};

const BINARY: &str = env!("CARGO_BIN_EXE_database-backup-operator");

/// The login in an address, what it is, and what of either must not be seen.
const LOGIN: &str = "operator:p%40ss%3Aw0rd";
const BASIC: &str = "Basic b3BlcmF0b3I6cEBzczp3MHJk";
const SECRET: [&str; 3] = ["p%40ss", "p@ss", "cEBzczp3MHJk"];

/// Everything that a log level can bring out.
const FLAGS: [&str; 4] = [
    "--cluster-resource-namespace=operator",
    "--poll-interval=300ms",
    "--settle-delay=5s",
    "--log-level=trace,kube=trace,hyper_util=trace",
];

fn start(world: &World, kubeconfig: &Path, envs: &[(&str, &str)]) -> Operator {
    Operator::start_with_env(Path::new(BINARY), kubeconfig, &world.plane.folder().join("proxied.log"), &FLAGS, envs)
}

/// The API server's host and port.
fn server(world: &World) -> String {
    let kubeconfig = std::fs::read_to_string(world.plane.kubeconfig()).expect("a kubeconfig");
    let address = kubeconfig.split("https://").nth(1).and_then(|rest| rest.split('"').next());
    address.expect("an address").to_owned()
}

/// A kubeconfig that names a proxy for the cluster.
fn with_proxy_url(world: &World, url: &str) -> PathBuf {
    let kubeconfig = std::fs::read_to_string(world.plane.kubeconfig()).expect("a kubeconfig");
    let path = world.plane.folder().join("kubeconfig-with-proxy");
    std::fs::write(&path, kubeconfig.replace("{server:", &format!("{{proxy-url: \"{url}\", server:"))).expect("it is written");
    path
}

async fn world() -> World {
    let world = World::without_operator().await;
    world.account("cloud", 1000).await;
    world.cloud.add_instance("dcs", "i-1");
    world
}

async fn takes_a_backup(world: &World, operator: &Operator) {
    operator.ready().await;
    world.ask("first", "DCS", "i-1").await;
    world.until_phase("first", Phase::Completed).await;
}

fn shows_no_secret(text: &str) {
    for secret in SECRET {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}

#[tokio::test]
async fn it_works_through_a_proxy_that_wants_a_login_and_never_shows_it() {
    let world = world().await;
    let proxy = ConnectProxy::start(Some(BASIC));
    let address = format!("http://{LOGIN}@{}", proxy.address());
    let operator = start(&world, world.plane.kubeconfig(), &[("HTTPS_PROXY", &address)]);
    takes_a_backup(&world, &operator).await;
    let tunnels = proxy.tunnels();
    assert!(!tunnels.built.is_empty() && tunnels.built.iter().all(|target| *target == server(&world)), "{tunnels:?}");
    assert_eq!(tunnels.refused, 0);
    shows_no_secret(&operator.logs());
    let backup = world.plane.kubectl_ok(&["get", "dbb,ccacct,events", "-A", "-o", "yaml"]).await;
    shows_no_secret(&backup);
}

#[tokio::test]
async fn a_kubeconfig_s_own_proxy_a_lower_case_variable_and_no_proxy_are_heeded() {
    let world = world().await;
    let (proxy, other) = (ConnectProxy::start(None), ConnectProxy::start(None));
    let (address, elsewhere) = (format!("http://{}", proxy.address()), format!("http://{}", other.address()));
    let host = "127.0.0.1";
    for (kubeconfig, envs) in [
        (world.plane.kubeconfig().to_owned(), &[("https_proxy", address.as_str())][..]),
        (world.plane.kubeconfig().to_owned(), &[("ALL_PROXY", &address), ("NO_PROXY", "10.0.0.0/8,localhost,")]),
        (with_proxy_url(&world, &address), &[("HTTPS_PROXY", &elsewhere), ("NO_PROXY", host)]),
    ] {
        let before = proxy.tunnels().built.len();
        let operator = start(&world, &kubeconfig, envs);
        operator.ready().await;
        assert!(proxy.tunnels().built.len() > before, "{envs:?}");
    }
    let before = proxy.tunnels().built.len();
    for no_proxy in [host, "10.0.0.0/8, 127.0.0.0/8,", "*"] {
        for name in ["NO_PROXY", "no_proxy"] {
            let operator = start(&world, world.plane.kubeconfig(), &[("HTTPS_PROXY", &address), (name, no_proxy)]);
            operator.ready().await;
            assert_eq!(proxy.tunnels().built.len(), before, "{name}={no_proxy}");
        }
    }
    assert!(other.tunnels().built.is_empty());
    let operator = start(&world, world.plane.kubeconfig(), &[("HTTPS_PROXY", &address), ("NO_PROXY", host)]);
    takes_a_backup(&world, &operator).await;
}

/// What `check` says, and whether it is content.
fn check(kubeconfig: &Path, envs: &[(&str, &str)]) -> (bool, String) {
    let mut command = Command::new(BINARY);
    for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"] {
        command.env_remove(name);
    }
    let output = command.arg("check").env("KUBECONFIG", kubeconfig).envs(envs.iter().copied()).output().expect("it runs");
    (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_cannot_be_used_is_named_in_one_line_without_its_login() {
    let world = world().await;
    let proxy = ConnectProxy::start(Some("Basic of-somebody-else"));
    let kubeconfig = world.plane.kubeconfig();
    let good = format!("http://{LOGIN}@{}", proxy.address());
    let cases = [
        (good.clone(), "proxy authorization required"),
        (format!("http://{LOGIN}@127.0.0.1:1"), "through the proxy: "),
        (format!("socks5://{LOGIN}@{}", proxy.address()), "SOCKS proxies are not supported"),
        (format!("http://{LOGIN}@"), "is not the address of a proxy"),
        (format!("http://operator:p@ss w0rd@{}", proxy.address()), "is not the address of a proxy"),
    ];
    for (address, expected) in &cases {
        let by_variable = check(kubeconfig, &[("HTTPS_PROXY", address)]);
        let by_kubeconfig = check(&with_proxy_url(&world, address), &[]);
        for (is_well, said) in [by_variable, by_kubeconfig] {
            assert!(!is_well && said.contains(expected) && said.trim().lines().count() == 1, "{address}: {said}");
            shows_no_secret(&said);
        }
    }
    for (address, expected) in &cases[2..] {
        let operator = start(&world, kubeconfig, &[("HTTPS_PROXY", address)]);
        assert!(!operator.wait(PATIENCE).await.success());
        let logs = operator.own_logs();
        assert!(logs.contains(expected), "{logs}");
        shows_no_secret(&logs);
    }
    let operator = start(&world, kubeconfig, &[("HTTPS_PROXY", &good)]);
    eventually("it says what is in the way", PATIENCE, async || {
        let (code, text) = operator.get("/readyz").await?;
        (code == 503 && text.contains("proxy authorization required")).then_some(()).ok_or(text)
    })
    .await;
    eventually("so does the log", PATIENCE, async || {
        let logs = operator.own_logs();
        (logs.contains("cannot be asked for the CRDs") && logs.contains("proxy authorization required")).then_some(()).ok_or(logs)
    })
    .await;
    shows_no_secret(&operator.own_logs());
    assert!(!operator.own_logs().contains("apply the CRDs"), "{}", operator.own_logs());
}
