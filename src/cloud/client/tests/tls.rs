//! Certificates: whoever cannot be trusted gets nothing, and the message says what is wrong and where.

use super::{
    authority::{Authority, BOTH, DAY},
    peer::{Peer, Site, create, send},
};
use crate::cloud::{
    client::{Client, authorities::Authorities},
    endpoints::Endpoint,
    errors::{Error, Failure, NotSent},
};
use std::io;
use tokio::io::AsyncReadExt;

/// Answers every request.
async fn willing(mut peer: Peer, _: usize) -> io::Result<()> {
    loop {
        let (stream, _) = peer.request().await?;
        peer.answer(stream).await?;
    }
}

/// That nothing was sent, which is sure, and is said in one line with this in it.
pub fn check_not_sent(error: &Error, endpoint: &Endpoint, words: &str) {
    assert!(matches!(error.failure, Failure::NotSent { cause: NotSent::NoConnection, .. }), "{error}");
    assert!(error.is_definite_rejection(), "{error}");
    let message = error.to_string();
    assert!(message.contains(words) && message.contains(&endpoint.host), "{message}");
    assert!(message.chars().count() <= 200 && !message.chars().any(char::is_control), "{message}");
}

#[tokio::test]
async fn a_certificate_that_is_good_for_nothing_here_gets_no_byte_of_a_call_and_is_named() {
    let good = Site::new();
    let elsewhere = |validity, host| good.authority.certify(host, validity, BOTH);
    for (config, words) in [
        (elsewhere(-2 * DAY..-DAY, "127.0.0.1"), "has expired"),
        (elsewhere(-DAY..-1, "127.0.0.1"), "has expired"),
        (elsewhere(DAY..2 * DAY, "127.0.0.1"), "is not valid yet"),
        (elsewhere(-DAY..DAY, "gaussdb.example.com"), "is not one of"),
        (Authority::new().certify("127.0.0.1", -DAY..DAY, BOTH), "signed by no authority that is trusted here"),
    ] {
        let site = good.clone();
        site.present(config);
        let endpoint = site.serve_http2(&[], willing).await;
        let error = send(&site.client(), &endpoint, &create("dbb-1")).await.unwrap_err();
        check_not_sent(&error, &endpoint, words);
        assert!(!error.to_string().contains("UNIX"), "a time that differs from try to try: {error}");
        assert_eq!(site.arrived(""), 0);
    }
}

#[tokio::test]
async fn a_certificate_of_its_own_is_as_bad_as_that_of_a_stranger() {
    let (site, stranger) = (Site::new(), Site::new());
    let endpoint = stranger.serve_http2(&[], willing).await;
    let error = send(&site.client(), &endpoint, &create("dbb-1")).await.unwrap_err();
    check_not_sent(&error, &endpoint, "--ca-bundle");
}

#[tokio::test]
async fn a_certificate_that_expires_between_two_calls_keeps_new_connections_out_until_it_is_renewed() {
    let site = Site::new();
    let endpoint = site
        .serve_http2(&[], |mut peer, _| async move {
            let (stream, _) = peer.request().await?;
            peer.answer(stream).await?;
            let (stream, _) = peer.request().await?;
            peer.answer(stream).await?;
            // It ends in order: the next call needs another.
            peer.go_away(stream, 0).await
        })
        .await;
    let client = site.client();
    send(&client, &endpoint, &create("dbb-1")).await.unwrap();
    site.renew(-2 * DAY..-DAY);
    send(&client, &endpoint, &create("dbb-2")).await.expect("the connection that stands goes on");
    let error = until_refused(&client, &endpoint).await;
    check_not_sent(&error, &endpoint, "has expired");
    site.renew(-DAY..DAY);
    send(&client, &endpoint, &create("dbb-4")).await.unwrap();
    assert_eq!(["dbb-1", "dbb-2", "dbb-3", "dbb-4"].map(|mark| site.arrived(mark)), [1, 1, 0, 1]);
}

/// The first error of a call once the connection is gone; one that is made before the client has noticed has no outcome.
async fn until_refused(client: &Client, endpoint: &Endpoint) -> Error {
    loop {
        match send(client, endpoint, &create("dbb-3")).await {
            Err(error) if matches!(error.failure, Failure::NotSent { .. }) => return error,
            Err(_) => {}
            Ok(reply) => panic!("{reply:?}"),
        }
    }
}

#[tokio::test]
async fn a_server_without_a_common_protocol_gets_nothing() {
    let site = Site::new();
    site.present(site.authority.certify("127.0.0.1", -DAY..DAY, &[b"spdy/3"]));
    let endpoint = site.serve(|_, _| async { Ok(()) }).await;
    let error = send(&site.client(), &endpoint, &create("dbb-1")).await.unwrap_err();
    check_not_sent(&error, &endpoint, "no connection to");
}

#[tokio::test]
async fn no_version_of_tls_is_offered_that_is_older_than_1_2() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = Endpoint { scheme: http::uri::Scheme::HTTPS, host: listener.local_addr().unwrap().to_string() };
    let hello = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut hello = vec![0; 4096];
        let read = socket.read(&mut hello).await.unwrap();
        hello.truncate(read);
        hello
    };
    let (client, request) = (Site::new().client(), create("dbb-1"));
    let (hello, error) = tokio::join!(hello, send(&client, &endpoint, &request));
    error.unwrap_err();
    // The extension supported_versions (RFC 8446, 4.2.1): 43, its length, that of the list, then 1.3 and 1.2.
    let offered = [0, 43, 0, 5, 4, 3, 4, 3, 3];
    assert!(hello.windows(offered.len()).any(|bytes| bytes == offered), "{hello:02x?}");
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_named() {
    let site = Site::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = Endpoint { scheme: http::uri::Scheme::HTTPS, host: listener.local_addr().unwrap().to_string() };
    drop(listener);
    let error = send(&site.client(), &endpoint, &create("dbb-1")).await.unwrap_err();
    check_not_sent(&error, &endpoint, "refused");
}

#[tokio::test]
async fn each_authority_of_a_bundle_is_trusted_and_what_else_is_in_the_file_is_passed_over() {
    let sites = [Site::new(), Site::new()];
    let bundle = format!("Corporate roots\n{}\n# The new one:\n{}", sites[0].authority.pem(), sites[1].authority.pem());
    let authorities = Authorities::from_pem(bundle.as_bytes()).unwrap();
    assert_eq!(authorities.count(), 2);
    let client = Client::trusting(&authorities, std::sync::Arc::new(super::Heard::default())).unwrap();
    for site in &sites {
        let endpoint = site.serve_http2(&[], willing).await;
        assert_eq!(send(&client, &endpoint, &create("dbb-1")).await.unwrap().status, 200);
    }
    let stranger = Site::new();
    let endpoint = stranger.serve_http2(&[], willing).await;
    check_not_sent(&send(&client, &endpoint, &create("dbb-1")).await.unwrap_err(), &endpoint, "--ca-bundle adds one");
}

#[test]
fn a_bundle_without_a_certificate_that_can_be_used_is_refused_in_one_line() {
    let good = Authority::new().pem();
    let (key, cut) = (good.replace("CERTIFICATE", "PRIVATE KEY"), good.replace("-----END CERTIFICATE-----", ""));
    let garbage = "-----BEGIN CERTIFICATE-----\nbm90IGEgY2VydGlmaWNhdGU=\n-----END CERTIFICATE-----\n";
    let second = format!("{good}{garbage}");
    for (bundle, words) in [
        ("", "it holds no certificate"),
        ("ca.crt", "it holds no certificate"),
        (key.as_str(), "it holds no certificate"),
        (cut.as_str(), "it is not PEM"),
        (garbage, "certificate 1 of 1 cannot be used"),
        (second.as_str(), "certificate 2 of 2 cannot be used"),
    ] {
        let error = Authorities::from_pem(bundle.as_bytes()).expect_err(words);
        assert!(error.contains(words) && error.lines().count() == 1, "{bundle}: {error}");
    }
}
