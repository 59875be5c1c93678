//! HTTP/1.1: connections that end at the wrong moment, and answers that are followed by what does not belong to them. No create call arrives twice.

use super::peer::{Secure, Site, create, list, send};
use crate::cloud::errors::Failure;
use std::{io, sync::Arc};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";

/// Reads a whole request and answers with its body.
async fn request(stream: &mut Secure) -> io::Result<String> {
    let mut read = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&read).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |length| length.parse().unwrap());
            if body.len() >= length {
                return Ok(body.to_owned());
            }
        }
        if stream.read_buf(&mut read).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

async fn say(stream: &mut Secure, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes).await?;
    stream.flush().await
}

#[tokio::test]
async fn a_kept_connection_that_is_closed_once_the_next_call_arrived_loses_its_answer_and_the_call_is_not_repeated() {
    let site = Site::new().old();
    let heard = site.clone();
    let endpoint = site
        .serve(move |mut stream, _| {
            let site = heard.clone();
            async move {
                request(&mut stream).await?;
                say(&mut stream, OK).await?;
                site.hear(&request(&mut stream).await?);
                stream.shutdown().await
            }
        })
        .await;
    let client = site.client();
    send(&client, &endpoint, &list()).await.unwrap();
    let error = send(&client, &endpoint, &create("dbb-1")).await.unwrap_err();
    assert!(matches!(error.failure, Failure::NoAnswer { .. }), "{error}");
    assert_eq!((site.arrived("dbb-1"), site.connections()), (1, 1));
}

/// The server closes at the moment at which the next call is written: sometimes before, sometimes after.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kept_connection_that_is_closed_while_the_next_call_is_written_never_makes_two_of_it() {
    let site = Site::new().old();
    let heard = site.clone();
    let endpoint = site
        .serve(move |mut stream, _| {
            let site = heard.clone();
            async move {
                site.hear(&request(&mut stream).await?);
                say(&mut stream, OK).await?;
                stream.shutdown().await
            }
        })
        .await;
    let client = Arc::new(site.client());
    let mut answered = 0;
    for nth in 0..200 {
        let mark = format!("dbb-{nth:03}");
        match send(&client, &endpoint, &create(&mark)).await {
            Ok(_) => {
                answered += 1;
                assert_eq!(site.arrived(&mark), 1, "{mark}");
            }
            Err(error) => {
                assert!(matches!(error.failure, Failure::NoAnswer { .. }), "{error}");
                assert!(site.arrived(&mark) <= 1, "{mark}");
            }
        }
    }
    assert!(answered > 0, "each second one at least goes over a new connection");
}

#[tokio::test]
async fn an_answer_is_read_for_itself_whatever_comes_before_and_after_it() {
    let garbage = b"\x00garbage HTTP/1.1 201 Created\r\ncontent-length: 2\r\n\r\n[]";
    let second = b"HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n";
    let interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n";
    for (before, after) in [(&b""[..], &garbage[..]), (b"", second), (interim, b""), (interim, garbage)] {
        let site = Site::new().old();
        let heard = site.clone();
        let whole = [before, OK, after].concat();
        let endpoint = site
            .serve(move |mut stream, _| {
                let (site, whole) = (heard.clone(), whole.clone());
                async move {
                    loop {
                        site.hear(&request(&mut stream).await?);
                        say(&mut stream, &whole).await?;
                    }
                }
            })
            .await;
        let client = site.client();
        let reply = send(&client, &endpoint, &create("dbb-1")).await.unwrap();
        assert_eq!((reply.status, reply.body.as_slice()), (200, &b"{}"[..]));
        // What came after it is no answer to this one.
        let reply = send(&client, &endpoint, &create("dbb-2")).await.unwrap();
        assert_eq!((reply.status, reply.body.as_slice()), (200, &b"{}"[..]));
        assert_eq!(["dbb-1", "dbb-2"].map(|mark| site.arrived(mark)), [1, 1]);
    }
}
