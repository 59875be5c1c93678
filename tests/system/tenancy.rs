//! Attempts to cross from one tenant to another, or to have credentials sent elsewhere: each is refused with a reason, and nothing is sent.

use crate::{
    accounts::{collector, ready_of, until_ready_says},
    authority::{Authority, DAY},
    simulator::{DOMAIN, PASSWORD, USER},
    support::{connect_proxy::ConnectProxy, control_plane::Audit, eventually},
    world::{PATIENCE, World, message},
};
use database_backup_operator::api::{
    account::{CloudAccount, CloudAccountStatus},
    status::Phase,
};
use kube::{Api, ResourceExt, api::ListParams};
use std::sync::{Arc, Mutex, atomic::Ordering};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig};
use tokio_util::task::AbortOnDropHandle;

/// The metadata service of a node, in every way that somebody might write it, in front of the cloud's own name or behind it.
const METADATA: [&str; 22] = [
    "http://169.254.169.254",
    "https://169.254.169.254",
    "http://169.254.169.254:80",
    "http://169.254.169.254.",
    "http://metadata.internal",
    "https://metadata.internal",
    "http://metadata.google.internal",
    "http://instance-data",
    "http://instance-data.",
    "http://169.254.169.254.nip.io",
    "http://2852039166",
    "http://0xa9fea9fe",
    "http://0xa9.0xfe.0xa9.0xfe",
    "http://0251.0376.0251.0376",
    "http://169.16689662",
    "http://[::ffff:169.254.169.254]",
    "http://[::ffff:a9fe:a9fe]",
    "http://[fd00:ec2::254]",
    "https://iam.eu-de.otc.t-systems.com@169.254.169.254",
    "https://169.254.169.254#.eu-de.otc.t-systems.com",
    "https://169.254.169.254/.eu-de.otc.t-systems.com",
    "http://169.254.169.254%2f.eu-de.otc.t-systems.com",
];

/// The platform's Secret, as names that would be a path there.
const ELSEWHERE: [&str; 6] = [
    "operator/platform",
    "../../operator/secrets/platform",
    "..%2F..%2Foperator%2Fsecrets%2Fplatform",
    "own/../../../operator/secrets/platform",
    "own?fieldManager=x",
    "own#platform",
];

/// A cluster account with these endpoints.
fn cluster_account(name: &str, secret: &str, endpoints: &str) -> String {
    format!(
        "---
apiVersion: dbbackup.dev/v1alpha1
kind: ClusterCloudAccount
metadata: {{name: {name}}}
spec:
  cloud: OpenTelekomCloud
  region: eu-de
  credentials: {{passwordSecretRef: {{name: {secret}}}}}
  allowedNamespaces: {{from: All}}
  endpoints: {endpoints}
"
    )
}

/// A CloudAccount of the namespace `shop`.
fn shops_account(name: &str, reference: &str, more: &str) -> String {
    format!(
        "---
apiVersion: dbbackup.dev/v1alpha1
kind: CloudAccount
metadata: {{name: {name}, namespace: shop}}
spec:
  cloud: OpenTelekomCloud
  region: eu-de
  credentials: {{passwordSecretRef: {reference}}}
  {more}
"
    )
}

async fn shops_status(world: &World, name: &str) -> CloudAccountStatus {
    let api: Api<CloudAccount> = Api::namespaced(world.backups.clone().into_client(), "shop");
    api.get(name).await.expect("it is there").status.unwrap_or_default()
}

/// Waits until an account of `shop` is not Ready for a reason, and answers with the message.
async fn until_shop_is_told(world: &World, name: &str, reason: &str) -> String {
    eventually(&format!("{name} is {reason}"), PATIENCE, async || {
        let ready = ready_of(&shops_status(world, name).await);
        if ready.reason == reason && ready.status == "False" { Ok(ready.message) } else { Err(format!("{ready:?}")) }
    })
    .await
}

#[tokio::test]
async fn no_field_of_an_account_leads_to_another_namespace_or_to_a_host_that_was_not_allowed() {
    let mut world = World::on_record(Audit::Everything).await;
    let (url, taken, _serving) = collector().await;
    let gateway = url.trim_start_matches("https://").to_owned();
    // Whatever leaves this machine goes through here, and comes to nobody.
    let proxy = ConnectProxy::start_towards(None, move |_| gateway.clone());
    let address = format!("http://{}", proxy.address());
    world.start_operator_with_env(&[], &[("HTTPS_PROXY", address.as_str()), ("HTTP_PROXY", address.as_str()), ("NO_PROXY", "127.0.0.1")]);
    let credentials = [("domainName", DOMAIN), ("username", USER), ("password", PASSWORD)];
    world.plane.kubectl_ok(&["create", "namespace", "shop"]).await;
    world.secret("platform", &credentials).await;
    world.secret_in("shop", "own", &credentials).await;

    // Secrets of another namespace.
    for (nth, name) in ELSEWHERE.iter().enumerate() {
        let account = format!("outside-{nth}");
        // Where the definition refuses it, there is nothing more to see.
        if world.plane.with_input(&["apply", "-f", "-"], &shops_account(&account, &format!("{{name: '{name}'}}"), "")).await.is_ok() {
            let said = until_shop_is_told(&world, &account, "SecretNotFound").await;
            assert_eq!(said, "no Secret can have the name in spec.credentials: write the name of one in namespace shop", "{name}");
        }
    }
    let named = "{name: platform, namespace: operator}";
    let said = world.plane.apply_refused(&shops_account("named", named, "")).await;
    assert!(said.contains("unknown field \"spec.credentials.passwordSecretRef.namespace\""), "{said}");
    let unchecked = ["apply", "--validate=false", "-f", "-"];
    world.plane.with_input(&unchecked, &shops_account("named", named, "")).await.expect("it is dropped");
    let said = until_shop_is_told(&world, "named", "SecretNotFound").await;
    assert_eq!(said, "there is no Secret shop/platform: create it");
    world.plane.apply(&cluster_account("tenants", "own", &world.endpoints())).await;
    let said = until_ready_says(&world, "tenants", "SecretNotFound").await.message;
    assert_eq!(said, "there is no Secret operator/own: create it");
    let record = world.plane.audit_events();
    let others = record.iter().filter(|event| event["userAgent"].as_str().is_none_or(|agent| !agent.starts_with("kubectl/")));
    let mut asked: Vec<_> = others.filter_map(|event| event["requestURI"].as_str()).filter(|uri| uri.contains("/secrets")).collect();
    asked.sort_unstable();
    asked.dedup();
    assert_eq!(asked, ["/api/v1/namespaces/operator/secrets/own", "/api/v1/namespaces/shop/secrets/platform"]);

    // The metadata service.
    let mut manifests = String::new();
    for (nth, metadata) in METADATA.iter().enumerate() {
        manifests += &cluster_account(&format!("iam-{nth}"), "platform", &format!("{{iam: '{metadata}'}}"));
        let iam = world.cloud.endpoints().iam;
        manifests += &cluster_account(&format!("dcs-{nth}"), "platform", &format!("{{iam: '{iam}', dcs: '{metadata}'}}"));
    }
    world.plane.apply(&manifests).await;
    eventually("each is refused", PATIENCE, async || {
        let listed = world.accounts.list(&ListParams::default()).await.map_err(|error| error.to_string())?;
        for account in listed.items.iter().filter(|account| account.name_any() != "tenants") {
            let (name, ready) = (account.name_any(), ready_of(&account.status.clone().unwrap_or_default()));
            let field = format!("endpoints.{}", name.split('-').next().unwrap_or_default());
            let is_refused = ["EndpointNotAllowed", "EndpointMisconfigured"].contains(&&*ready.reason) && ready.status == "False";
            if !is_refused || !ready.message.contains(&field) || ready.message.lines().count() != 1 {
                return Err(format!("{:?}: {ready:?}", account.spec.endpoints));
            }
        }
        if listed.items.len() == 2 * METADATA.len() + 1 { Ok(()) } else { Err(format!("{} accounts", listed.items.len())) }
    })
    .await;
    assert!(world.cloud.calls().is_empty(), "{:?}", world.cloud.calls());
    let tunnels = proxy.tunnels();
    assert!(tunnels.built.is_empty() && taken.load(Ordering::Relaxed) == 0, "{tunnels:?}");

    // Endpoints of a namespaced account are no field: it goes where the table says.
    let endpoints = format!("endpoints: {{iam: '{url}', dcs: '{url}'}}");
    let said = world.plane.apply_refused(&shops_account("elsewhere", "{name: own}", &endpoints)).await;
    assert!(said.contains("unknown field \"spec.endpoints\""), "{said}");
    world.plane.with_input(&unchecked, &shops_account("elsewhere", "{name: own}", &endpoints)).await.expect("it is dropped");
    let stored = world.plane.kubectl_ok(&["-n", "shop", "get", "cacct", "elsewhere", "-o", "jsonpath={.spec.endpoints}"]).await;
    assert_eq!(stored, "");
    let said = until_shop_is_told(&world, "elsewhere", "CloudUnavailable").await;
    assert!(said.contains("iam.eu-de.otc.t-systems.com"), "{said}");
    let tunnels = proxy.tunnels();
    let is_table_iam = |target: &String| target == "iam.eu-de.otc.t-systems.com:443";
    assert!(!tunnels.built.is_empty() && tunnels.built.iter().all(is_table_iam), "{tunnels:?}");
    assert_eq!(taken.load(Ordering::Relaxed), tunnels.built.len(), "nobody came to it but through the proxy");
    assert!(world.cloud.calls().is_empty(), "{:?}", world.cloud.calls());
}

/// A server that sends everybody elsewhere.
struct Redirector {
    url: String,
    /// The first lines of the requests that it heard.
    heard: Arc<Mutex<Vec<String>>>,
    _serving: AbortOnDropHandle<()>,
}

impl Redirector {
    async fn start(config: Arc<ServerConfig>, status: &'static str, to: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("https://{}", listener.local_addr().expect("an address"));
        let heard = Arc::new(Mutex::new(Vec::new()));
        let (acceptor, hearing) = (TlsAcceptor::from(config), heard.clone());
        let serving = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (acceptor, hearing, to) = (acceptor.clone(), hearing.clone(), to.clone());
                tokio::spawn(async move {
                    let mut stream = acceptor.accept(socket).await?;
                    let (mut head, mut body) = (Vec::new(), 0);
                    while !head.ends_with(b"\r\n\r\n") {
                        head.push(stream.read_u8().await?);
                    }
                    let head = String::from_utf8_lossy(&head).to_lowercase();
                    for line in head.lines().filter_map(|line| line.strip_prefix("content-length: ")) {
                        body = line.parse().unwrap_or_default();
                    }
                    stream.read_exact(&mut vec![0; body]).await?;
                    let line = head.lines().next().unwrap_or_default().to_owned();
                    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
                    hearing.lock().expect("nobody panicked with it").push(line);
                    let answer = format!("HTTP/1.1 {status}\r\nlocation: {to}{path}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                    stream.write_all(answer.as_bytes()).await?;
                    stream.shutdown().await
                });
            }
        });
        Self { url, heard, _serving: AbortOnDropHandle::new(serving) }
    }

    /// How many requests began like this.
    fn heard(&self, begin: &str) -> usize {
        self.heard.lock().expect("nobody panicked with it").iter().filter(|line| line.starts_with(begin)).count()
    }
}

#[tokio::test]
async fn a_host_that_is_allowed_can_send_nobody_to_another_one() {
    let authority = Authority::new();
    let mut world = World::over_tls(authority.certify_now("127.0.0.1")).await;
    let roots = world.plane.folder().join("roots.pem");
    std::fs::write(&roots, authority.pem()).expect("written");
    let (url, taken, _serving) = collector().await;
    let to = url.replace("127.0.0.1", "localhost");
    let certified = || authority.certify("127.0.0.1", -DAY..DAY, &[b"http/1.1"]);
    // With either the method and the body, which here is a password, would be sent again.
    let iam = Redirector::start(certified(), "308 Permanent Redirect", to.clone()).await;
    let service = Redirector::start(certified(), "307 Temporary Redirect", to).await;
    world.secret("platform", &[("domainName", DOMAIN), ("username", USER), ("password", PASSWORD)]).await;
    world.plane.apply(&cluster_account("by-iam", "platform", &format!("{{iam: '{}'}}", iam.url))).await;
    let endpoints = format!("{{iam: '{}', dcs: '{}'}}", world.cloud.endpoints().iam, service.url);
    world.plane.apply(&cluster_account("cloud", "platform", &endpoints)).await;
    world.start_operator_with_env(
        &["--allow-insecure-endpoints=false", "--allowed-endpoint-hosts=127.0.0.1"],
        // The services of the table are looked for as well: behind a proxy that is not there.
        &[("SSL_CERT_FILE", &roots.display().to_string()), ("HTTPS_PROXY", "http://127.0.0.1:9"), ("NO_PROXY", "127.0.0.1")],
    );
    let ready = until_ready_says(&world, "by-iam", "EndpointMisconfigured").await;
    assert!(ready.message.contains("HTTP 308"), "{}", ready.message);
    assert!(iam.heard("post /v3/auth/tokens?") >= 1);
    // What it sees come into being it need not look for first.
    world.until_account_is_verified().await;
    world.operator().ready().await;
    world.cloud.add_instance("dcs", "i-1");
    world.ask("redirected", "DCS", "i-1").await;
    let status = world.until_seen("redirected", "told of the redirect", |status| message(status).contains("HTTP 307")).await;
    assert!(message(&status).lines().count() == 1 && status.phase != Some(Phase::Completed), "{status:?}");
    assert!(service.heard("post /v2/") >= 1, "the create call came: {:?}", service.heard);
    assert_eq!(service.heard("get / "), 0, "a look whether it can be reached asks for nothing");
    assert_eq!(taken.load(Ordering::Relaxed), 0, "nobody followed");
    assert!(world.cloud.calls().iter().all(|call| call.operation == "token"), "{:?}", world.cloud.calls());
}

#[tokio::test]
async fn a_namespace_that_loses_its_account_gets_no_new_backup_and_what_it_has_is_watched_and_deleted() {
    let mut world = World::without_operator().await;
    world.cloud.any_instance(true);
    world.account("cloud", 1000).await;
    let select = |team: &str| {
        format!(r#"{{"spec": {{"allowedNamespaces": {{"from": "Selector", "selector": {{"matchLabels": {{"team": "{team}"}}}}}}}}}}"#)
    };
    let patch = async |world: &World, patch: &str| {
        world.plane.kubectl_ok(&["patch", "ccacct", "cloud", "--type=merge", "-p", patch]).await;
    };
    patch(&world, &select("shop")).await;
    world.plane.kubectl_ok(&["label", "namespace", "default", "team=shop"]).await;
    world.start_operator();
    world.until_account_is_verified().await;
    for by_label in [true, false] {
        let how = if by_label { "label" } else { "selector" };
        let [done, running, next] = ["done", "running", "next"].map(|name| format!("{name}-{how}"));
        world.plane.apply(&World::manifest(&done, "TaurusDB", &format!("{done}in07"), "deletionPolicy: Delete")).await;
        world.until_phase(&done, Phase::Completed).await;
        world.cloud.hold_backups(true);
        world.ask(&running, "TaurusDB", &format!("{running}in07")).await;
        world.until_phase(&running, Phase::Running).await;
        let creates = world.cloud.count(None, "create");
        if by_label {
            world.plane.kubectl_ok(&["label", "namespace", "default", "team-"]).await;
        } else {
            patch(&world, &select("billing")).await;
            world.until_account("has seen its selector", |status| ready_of(status).observed_generation == Some(3)).await;
        }
        world.ask(&next, "TaurusDB", &format!("{next}in07")).await;
        let status = world.until_reason(&next, "NamespaceNotAllowed").await;
        assert!(message(&status).contains("does not allow namespace default"), "{}", message(&status));
        world.cloud.hold_backups(false);
        world.cloud.complete_all();
        world.until_phase(&running, Phase::Completed).await;
        world.delete(&done).await;
        world.until_gone(&done).await;
        assert_eq!(world.cloud.count(None, "create"), creates, "no create call since");
        if by_label {
            world.plane.kubectl_ok(&["label", "namespace", "default", "team=shop"]).await;
        } else {
            patch(&world, &select("shop")).await;
        }
        world.until_phase(&next, Phase::Completed).await;
    }
    assert_eq!((world.own_backups().len(), world.cloud.count(None, "delete")), (6, 2));
}
