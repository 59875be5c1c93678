//! A proxy on the way, with and without a login: it gets its login and no call of the cloud's, and nobody gets to read it.

use super::{
    peer::{Peer, Site, create, send},
    tls::check_not_sent,
};
use std::{
    io,
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
};

/// `proxy-user` and `pr0xy-secret`.
const LOGIN: &str = "Basic cHJveHktdXNlcjpwcjB4eS1zZWNyZXQ=";

/// A proxy that connects to where it is asked to, or answers with this. Its address, and the requests that it heard.
async fn proxy(refusal: Option<&'static str>) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hearing = heard.clone();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(connect(socket, refusal, hearing.clone()));
        }
    });
    (address, heard)
}

async fn connect(mut socket: TcpStream, refusal: Option<&'static str>, heard: Arc<Mutex<Vec<String>>>) -> io::Result<()> {
    let mut head = vec![0; 8192];
    let read = socket.read(&mut head).await?;
    let head = String::from_utf8_lossy(&head[..read]).into_owned();
    let target = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next()).unwrap_or_default().to_owned();
    heard.lock().unwrap().push(head);
    if let Some(refusal) = refusal {
        socket.write_all(refusal.as_bytes()).await?;
        return socket.shutdown().await;
    }
    let mut there = TcpStream::connect(target).await?;
    socket.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
    copy_bidirectional(&mut socket, &mut there).await.map(drop)
}

async fn willing(mut peer: Peer, _: usize) -> io::Result<()> {
    loop {
        let (stream, _) = peer.request().await?;
        peer.answer(stream).await?;
    }
}

fn through(address: &str, login: &str) -> impl FnOnce(reqwest::ClientBuilder) -> reqwest::ClientBuilder {
    let proxy = reqwest::Proxy::all(format!("http://{login}{address}")).unwrap();
    |builder| builder.proxy(proxy)
}

#[tokio::test]
async fn calls_go_through_a_proxy_that_hears_its_login_and_nothing_of_the_call() {
    let (address, heard) = proxy(None).await;
    let site = Site::new();
    let endpoint = site.serve_http2(&[], willing).await;
    for (login, header) in [("", None), ("proxy-user:pr0xy-secret@", Some(LOGIN))] {
        let client = site.client_with(through(&address, login));
        assert_eq!(send(&client, &endpoint, &create("dbb-1")).await.unwrap().status, 200);
        let head = heard.lock().unwrap().pop().unwrap();
        assert!(head.starts_with(&format!("CONNECT {} HTTP/1.1\r\n", endpoint.host)), "{head}");
        assert_eq!(head.lines().find_map(|line| line.strip_prefix("proxy-authorization: ")), header, "{head}");
        assert!(!head.contains("t0p-secret") && !head.contains("dbb-1"), "{head}");
    }
    assert_eq!(site.arrived("dbb-1"), 2);
}

#[tokio::test]
async fn a_proxy_that_does_not_connect_means_that_nothing_was_sent_and_its_login_is_not_shown() {
    for (refusal, words) in [
        ("HTTP/1.1 407 Proxy Authentication Required\r\nproxy-authenticate: Basic\r\ncontent-length: 0\r\n\r\n", "HTTPS_PROXY"),
        ("HTTP/1.1 403 Forbidden\r\n\r\n", "the proxy does not connect to"),
        ("HTTP/1.1 502 Bad Gateway\r\n\r\n", "the proxy does not connect to"),
        ("", "the proxy does not connect to"),
        ("SSH-2.0-OpenSSH_9.2\r\n", "the proxy does not connect to"),
    ] {
        let (address, _) = proxy(Some(refusal)).await;
        let site = Site::new();
        let endpoint = site.serve_http2(&[], willing).await;
        let client = site.client_with(through(&address, "proxy-user:pr0xy-secret@"));
        let error = send(&client, &endpoint, &create("dbb-1")).await.unwrap_err();
        check_not_sent(&error, &endpoint, words);
        let shown = format!("{error} {error:?}");
        assert!(!["proxy-user", "pr0xy-secret", "cHJveHk"].iter().any(|secret| shown.contains(secret)), "{shown}");
        assert_eq!((site.arrived(""), site.connections()), (0, 0));
    }
}

#[tokio::test]
async fn a_proxy_that_is_not_there_means_that_nothing_was_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let site = Site::new();
    let endpoint = site.serve_http2(&[], willing).await;
    let error = send(&site.client_with(through(&address, "proxy-user:pr0xy-secret@")), &endpoint, &create("dbb-1")).await.unwrap_err();
    check_not_sent(&error, &endpoint, "refused");
    assert!(!format!("{error:?}").contains("pr0xy"), "{error:?}");
}

/// Whoever opens TLS on the way has to be trusted like the cloud.
#[tokio::test]
async fn a_proxy_that_opens_tls_with_its_own_authority_gets_nothing_until_that_is_trusted() {
    let (site, interceptor) = (Site::new(), Site::new());
    let endpoint = interceptor.serve_http2(&[], willing).await;
    let (address, _) = proxy(None).await;
    let error = send(&site.client_with(through(&address, "")), &endpoint, &create("dbb-1")).await.unwrap_err();
    check_not_sent(&error, &endpoint, "--ca-bundle");
    assert_eq!(send(&interceptor.client_with(through(&address, "")), &endpoint, &create("dbb-1")).await.unwrap().status, 200);
}
