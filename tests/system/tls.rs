//! TLS to the cloud, and a proxy on the way: with HTTP/2, with certificates that end, and with a login that nobody gets to see.

use crate::{
    authority::{Authority, BOTH, DAY},
    simulator::faults::{Fault, FaultKind},
    support::eventually,
    world::{PATIENCE, World, message},
};
use database_backup_operator::api::status::Phase;
use std::{
    collections::BTreeSet,
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// A cloud with TLS, an account for everybody, and the file that says whom the operator trusts.
async fn world() -> (World, Authority, String) {
    let authority = Authority::new();
    let world = World::over_tls(authority.certify_now("127.0.0.1")).await;
    world.account("cloud", 1000).await;
    let file = world.plane.folder().join("roots.pem");
    std::fs::write(&file, authority.pem()).expect("written");
    (world, authority, file.display().to_string())
}

#[tokio::test]
async fn a_certificate_that_expires_is_named_nothing_is_sent_and_a_renewed_one_heals_it() {
    let (mut world, authority, roots) = world().await;
    for instance in ["i-1", "i-2"] {
        world.cloud.add_instance("dcs", instance);
    }
    world.start_operator_with_env(&[], &[("SSL_CERT_FILE", &roots)]);
    world.until_account_is_verified().await;
    world.operator().ready().await;
    world.cloud.hold_backups(true);
    world.ask("running", "DCS", "i-1").await;
    world.until_phase("running", Phase::Running).await;
    assert!(world.cloud.tls().http2_connections() > 0, "HTTP/2 by ALPN");

    world.cloud.tls().present(authority.certify("127.0.0.1", -2 * DAY..-DAY, BOTH));
    world.cloud.hang_up();
    world.ask("asked", "DCS", "i-2").await;
    world.account("later", 1000).await;
    for name in ["running", "asked"] {
        let status = world.until_seen(name, "told of the certificate", |status| message(status).contains("has expired")).await;
        assert!(message(&status).contains("127.0.0.1:") && message(&status).lines().count() == 1, "{}", message(&status));
    }
    assert_eq!(world.status("running").await.phase, Some(Phase::Running), "the cloud goes on with it");
    let said = eventually("the account names the certificate", PATIENCE, async || {
        let said = world.account_status("later").await.conditions.first().map(|ready| ready.message.clone()).unwrap_or_default();
        if said.contains("has expired") { Ok(said) } else { Err(said) }
    })
    .await;
    assert!(said.lines().count() == 1, "{said}");
    assert_eq!(world.cloud.count(None, "create"), 1, "nothing was sent");
    assert_eq!(world.status("asked").await.failed_attempts.len(), 0);

    world.cloud.tls().present(authority.certify_now("127.0.0.1"));
    world.cloud.hold_backups(false);
    world.cloud.complete_all();
    for name in ["running", "asked"] {
        let status = world.until_phase(name, Phase::Completed).await;
        assert_eq!((status.attempts, status.failed_attempts.len()), (Some(1), 0), "no attempt was spent");
    }
    assert_eq!((world.backups_in_cloud(), world.cloud.count(None, "create")), (2, 2));
    assert!(!world.has_been("asked", "OutcomeUnknown"), "it is known that nothing was sent");
    world.plane.kubectl_ok(&["wait", "--for=condition=Ready", "--timeout=60s", "ccacct", "later"]).await;
}

#[tokio::test]
async fn an_authority_that_is_not_trusted_is_named_and_nothing_is_sent() {
    let (mut world, ..) = world().await;
    let file = world.plane.folder().join("others.pem");
    std::fs::write(&file, Authority::new().pem()).expect("written");
    world.start_operator_with_env(&[], &[("SSL_CERT_FILE", &file.display().to_string())]);
    let said = world.until_account("names the authority", |status| {
        status.conditions.first().is_some_and(|ready| ready.reason == "CloudUnavailable" && ready.message.contains("--ca-bundle"))
    });
    said.await;
    assert!(world.cloud.calls().is_empty(), "{:?}", world.cloud.calls());
}

/// `SSL_CERT_FILE` says where the public roots are, as the image has them in a file of its own.
#[tokio::test]
async fn a_private_authority_is_trusted_besides_the_public_ones_and_a_backup_names_its_cluster() {
    let (mut world, _public, roots) = world().await;
    let private = Authority::new();
    let bundle = world.plane.folder().join("bundle.pem");
    std::fs::write(&bundle, private.pem()).expect("written");
    for instance in ["i-1in07", "i-2in07"] {
        world.cloud.add_instance("taurusdb", instance);
    }
    let (bundle, flags) = (bundle.display().to_string(), ["--cluster-name=prod-eu"]);
    world.start_operator_with_env(&flags, &[("SSL_CERT_FILE", &roots), ("DBBACKUP_CA_BUNDLE", &bundle)]);
    world.ask("by-public", "TaurusDB", "i-1in07").await;
    world.until_phase("by-public", Phase::Completed).await;
    let before = world.cloud.tls().http2_connections();

    world.cloud.tls().present(private.certify_now("127.0.0.1"));
    world.cloud.hang_up();
    world.ask("by-private", "TaurusDB", "i-2in07").await;
    world.until_phase("by-private", Phase::Completed).await;
    assert!(world.cloud.tls().http2_connections() > before, "another connection");
    assert!(world.operator().logs().contains("authorities are trusted besides the public ones"));
    let described: BTreeSet<String> = world.cloud.backups().into_iter().map(|backup| backup.description).collect();
    assert_eq!(described, ["public", "private"].map(|name| format!("DatabaseBackup default/by-{name} in prod-eu")).into());
}

#[tokio::test]
async fn an_answer_that_is_lost_over_http2_leads_to_adoption_not_to_a_second_backup() {
    let (mut world, _, roots) = world().await;
    world.cloud.add_instance("taurusdb", "i-1in07");
    world.cloud.inject(Fault::new(FaultKind::LoseAnswer).at("create"));
    world.start_operator_with_env(&[], &[("SSL_CERT_FILE", &roots)]);
    world.ask("lost", "TaurusDB", "i-1in07").await;
    world.until_phase("lost", Phase::Completed).await;
    assert!(world.has_been("lost", "OutcomeUnknown"));
    assert_eq!((world.backups_in_cloud(), world.cloud.count(None, "create")), (1, 1));
}

/// A proxy that wants a login, and how many connections it made.
struct Proxy {
    address: String,
    connected: Arc<AtomicUsize>,
    heads: Arc<Mutex<Vec<String>>>,
}

/// `proxy-user` and `pr0xy-secret`.
const LOGIN: &str = "Basic cHJveHktdXNlcjpwcjB4eS1zZWNyZXQ=";

impl Proxy {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let proxy = Self { address, connected: Arc::default(), heads: Arc::default() };
        let (connected, heads) = (proxy.connected.clone(), proxy.heads.clone());
        thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let (connected, heads) = (connected.clone(), heads.clone());
                thread::spawn(move || {
                    let _ = connect(socket, &connected, &heads);
                });
            }
        });
        proxy
    }
}

fn connect(mut socket: TcpStream, connected: &AtomicUsize, heads: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut head = vec![0; 8192];
    let read = socket.read(&mut head)?;
    let head = String::from_utf8_lossy(&head[..read]).into_owned();
    let target = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next()).unwrap_or_default().to_owned();
    let is_welcome = head.lines().any(|line| line.to_lowercase().starts_with("proxy-authorization: ") && line.ends_with(LOGIN));
    heads.lock().expect("nobody panicked with it").push(head);
    if !is_welcome {
        socket.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\nproxy-authenticate: Basic\r\ncontent-length: 0\r\n\r\n")?;
        return socket.shutdown(Shutdown::Write);
    }
    let mut there = TcpStream::connect(target)?;
    connected.fetch_add(1, Ordering::SeqCst);
    socket.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
    let (mut from, mut to) = (socket.try_clone()?, there.try_clone()?);
    let up = thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
    let _ = std::io::copy(&mut there, &mut socket);
    let _ = socket.shutdown(Shutdown::Write);
    let _ = up.join();
    Ok(())
}

/// `ALL_PROXY` is read by the client of the cloud alone; how the API server is reached is another matter.
/// Address and port of the API server, as they stand in its kubeconfig.
fn api_server(world: &World) -> String {
    let kubeconfig = std::fs::read_to_string(world.plane.kubeconfig()).expect("a kubeconfig");
    let (_, rest) = kubeconfig.split_once("https://").expect("a server");
    rest.chars().take_while(|c| c.is_ascii_digit() || ".:".contains(*c)).collect()
}

#[tokio::test]
async fn through_a_proxy_with_a_login_backups_are_taken_and_nobody_gets_to_see_it() {
    let (mut world, _, roots) = world().await;
    let proxy = Proxy::start();
    world.cloud.add_instance("dcs", "i-1");
    let through = |login: &str| format!("http://{login}@{}", proxy.address);
    // The API server is reached directly: what goes wrong on the way to it is another test's.
    let direct = api_server(&world);

    // A wrong login: nothing is sent, and the message says what to correct.
    let wrong = through("proxy-user:wr0ng-secret");
    world.start_operator_with_env(&["--log-level=trace"], &[("SSL_CERT_FILE", &roots), ("ALL_PROXY", &wrong), ("NO_PROXY", &direct)]);
    let refused = world.until_account("names the login", |status| {
        status.conditions.first().is_some_and(|ready| ready.message.contains("the proxy") && ready.message.contains("HTTPS_PROXY"))
    });
    refused.await;
    assert!(world.cloud.calls().is_empty() && proxy.connected.load(Ordering::SeqCst) == 0);
    world.kill_operator();

    let right = through("proxy-user:pr0xy-secret");
    world.start_operator_with_env(&["--log-level=trace"], &[("SSL_CERT_FILE", &roots), ("ALL_PROXY", &right), ("NO_PROXY", &direct)]);
    world.ask("through", "DCS", "i-1").await;
    world.until_phase("through", Phase::Completed).await;
    assert!(proxy.connected.load(Ordering::SeqCst) > 0 && world.cloud.tls().http2_connections() > 0);
    assert_eq!(world.cloud.count(None, "create"), 1);
    let shown = [
        world.operator().logs(),
        world.plane.kubectl_ok(&["get", "dbb,ccacct", "-o", "yaml"]).await,
        world.plane.kubectl_ok(&["get", "events", "-A", "-o", "yaml"]).await,
        world.operator().metrics().await,
    ];
    for text in shown {
        for secret in ["pr0xy-secret", "wr0ng-secret", "cHJveHktdXNlc", crate::simulator::PASSWORD] {
            assert!(!text.contains(secret), "{secret} is shown: {}", text.lines().find(|line| line.contains(secret)).unwrap_or_default());
        }
    }
    world.kill_operator();

    // Not for this host.
    let before = proxy.heads.lock().expect("nobody panicked with it").len();
    world.cloud.add_instance("dcs", "i-2");
    world.start_operator_with_env(&[], &[("SSL_CERT_FILE", &roots), ("ALL_PROXY", &wrong), ("NO_PROXY", "127.0.0.1")]);
    world.ask("past", "DCS", "i-2").await;
    world.until_phase("past", Phase::Completed).await;
    assert_eq!(proxy.heads.lock().expect("nobody panicked with it").len(), before, "NO_PROXY is kept");
}
