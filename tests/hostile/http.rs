//! Answers that are hostile as HTTP. The clock is tokio's own and paused: it jumps where everybody waits, so that nobody has to.

use crate::{
    memory::measured,
    server::{LONGEST, answer, check_message, client, create, list, opened_by_password, server, session, session_of},
};
use database_backup_operator::cloud::{
    client::Auth,
    codes::Class,
    endpoints::Endpoint,
    engine::Engine,
    errors::{Error, Failure, NotSent},
    iam,
    request::Request,
};
use http::uri::Scheme;
use jiff::Timestamp;
use secrecy::SecretString;
use std::{io, time::Duration};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    time::sleep,
};

const PIECE: &[u8] = &[b' '; 64 * 1024];

/// Sends this again and again, until the client hangs up.
async fn flood(mut socket: TcpStream, head: &str, again: &str) -> io::Result<()> {
    socket.write_all(head.as_bytes()).await?;
    let pieces = again.repeat(PIECE.len().div_ceil(again.len()));
    loop {
        socket.write_all(pieces.as_bytes()).await?;
    }
}

/// Sends this, and then one more byte each second.
async fn drip(mut socket: TcpStream, head: &str, byte: u8) -> io::Result<()> {
    socket.set_nodelay(true)?;
    socket.write_all(head.as_bytes()).await?;
    loop {
        sleep(Duration::from_secs(1)).await;
        socket.write_all(&[byte]).await?;
    }
}

/// Sends this, so often this, and then nothing more.
async fn stall(mut socket: TcpStream, head: &str, again: &str, times: usize) -> io::Result<()> {
    socket.write_all(head.as_bytes()).await?;
    socket.write_all(again.repeat(times).as_bytes()).await?;
    std::future::pending().await
}

/// Has a create call and a listing answered like this: whatever comes of them, in bounded memory and time, with a clear message, and never as a
/// refusal that is sure of itself. Answers with the two messages.
async fn met<F: Future<Output = io::Result<()>> + Send + 'static>(
    what: &str,
    answer: impl Fn(TcpStream) -> F + Send + 'static,
) -> (String, String) {
    let measured = measured().await;
    let session = session(&server(answer).await).await;
    let (created, took) = create(&session, Engine::TaurusDB).await;
    let error = created.expect_err(what);
    assert!(took <= LONGEST, "{what}: {took:?}");
    assert!(!error.is_definite_rejection(), "{what}: {error}");
    let (listed, took) = list(&session, Engine::TaurusDB).await;
    let failed = listed.expect_err(what);
    assert!(took <= LONGEST, "{what}: {took:?}");
    measured.check(what);
    check_message(&error.to_string());
    check_message(&failed.to_string());
    (error.to_string(), failed.to_string())
}

#[tokio::test]
async fn a_body_of_100_megabytes_is_cut_off_at_its_bound() {
    let head = "HTTP/1.1 201 Created\r\ncontent-length: 104857600\r\n\r\n";
    let (created, listed) = met("100 MB", move |socket| flood(socket, head, "[")).await;
    assert!(created.contains("longer than 1024 KB"), "{created}");
    assert!(listed.contains("longer than 8192 KB"), "{listed}");
}

#[tokio::test]
async fn a_body_of_endless_chunks_is_cut_off_at_its_bound() {
    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let chunk = format!("1000\r\n{}\r\n", "{\"a\":[".repeat(0x1000).split_at(0x1000).0);
    let (created, _) = met("endless chunks", move |socket| {
        let chunk = chunk.clone();
        async move { flood(socket, head, &chunk).await }
    })
    .await;
    assert!(created.contains("longer than 1024 KB"), "{created}");
}

#[tokio::test]
async fn a_chunk_whose_extension_has_no_end_breaks_the_answer_off() {
    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5;";
    met("an endless extension", move |socket| flood(socket, head, "x")).await;
}

/// The library reads on, without memory for it; the clock ends it.
#[tokio::test(start_paused = true)]
async fn a_chunk_whose_size_has_no_end_is_cut_off_by_the_clock() {
    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let (created, _) = met("an endless size", move |socket| stall(socket, head, "0", 1_000_000)).await;
    assert!(created.contains("no answer in time"), "{created}");
}

#[tokio::test]
async fn trailers_without_end_break_the_answer_off() {
    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\n{\r\n0\r\n";
    met("endless trailers", move |socket| flood(socket, head, "x-more: yes\r\n")).await;
}

#[tokio::test]
async fn headers_without_end_break_the_answer_off() {
    let head = "HTTP/1.1 201 Created\r\n";
    for (what, again) in [("many headers", "x-more: yes\r\n"), ("an endless value", "x"), ("an endless fold", "x-more:\r\n ")] {
        let (created, _) = met(what, move |socket| flood(socket, head, again)).await;
        assert!(created.contains("was not answered: the connection broke"), "{what}: {created}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_drips_is_cut_off_by_the_clock() {
    let head = "HTTP/1.1 201 Created\r\ncontent-length: 1000000\r\n\r\n{";
    let (created, listed) = met("a dripping body", move |socket| drip(socket, head, b' ')).await;
    for message in [created, listed] {
        assert!(message.contains("was not answered: no answer in time"), "{message}");
    }
}

#[tokio::test(start_paused = true)]
async fn headers_that_drip_are_cut_off_by_the_clock() {
    let head = "HTTP/1.1 201 Created\r\nx-slow: ";
    let (created, _) = met("dripping headers", move |socket| drip(socket, head, b'x')).await;
    assert!(created.contains("no answer in time"), "{created}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_never_comes_or_never_ends_is_not_waited_for() {
    for (what, head) in [
        ("no answer", ""),
        ("half a status", "HTTP/1.1 2"),
        ("half a head", "HTTP/1.1 201 Created\r\nx-a: b\r\n"),
        ("half a body", "HTTP/1.1 201 Created\r\ncontent-length: 9\r\n\r\n{"),
        ("half a chunk", "HTTP/1.1 201 Created\r\ntransfer-encoding: chunked\r\n\r\n9\r\n{"),
    ] {
        let (created, _) = met(what, move |socket| stall(socket, head, "", 0)).await;
        assert!(created.contains("no answer in time"), "{what}: {created}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_hundred_thousand_interim_answers_are_no_answer() {
    let (created, _) = met("interim answers", |socket| stall(socket, "", "HTTP/1.1 100 Continue\r\n\r\n", 100_000)).await;
    assert!(created.contains("no answer in time"), "{created}");
}

#[tokio::test]
async fn what_is_no_http_leaves_the_outcome_unknown() {
    for bytes in [
        &b""[..],
        b"\x15\x03\x03\x00\x02\x02\x28",
        b"\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/0.9 201 Created\r\n\r\n",
        b"HTTP/1.1 99999 Huge\r\n\r\n",
        b"HTTP/1.1 201 Created\r\ncontent-length: -1\r\n\r\n{}",
        b"HTTP/1.1 201 Created\r\ncontent-length: 18446744073709551616\r\n\r\n{}",
        b"HTTP/1.1 201 Created\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}x",
        b"HTTP/1.1 201 Created\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n{}",
        b"HTTP/1.1 201 Created\r\nx-a\x00b: c\r\n\r\n{}",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let what = String::from_utf8_lossy(bytes).into_owned();
        met(&what, move |mut socket| async move {
            socket.write_all(bytes).await?;
            socket.shutdown().await
        })
        .await;
    }
}

#[tokio::test]
async fn an_answer_of_another_kind_leaves_the_outcome_unknown() {
    for status in
        ["101 Switching Protocols", "204 No Content", "301 Moved", "304 Not Modified", "404 Not Found", "418 Teapot", "600 What", "999 No"]
    {
        let (created, _) = met(status, move |mut socket| async move {
            let head = format!("HTTP/1.1 {status}\r\nlocation: http://127.0.0.1:1/\r\nupgrade: x\r\nconnection: close\r\n\r\n");
            socket.write_all(head.as_bytes()).await
        })
        .await;
        assert!(created.contains(&status[..3]) || status.starts_with("204"), "{status}: {created}");
    }
}

#[tokio::test]
async fn a_refusal_with_a_body_without_end_is_read_by_its_status_alone() {
    for (status, class, definite) in [(400, Class::Invalid, false), (401, Class::Unauthenticated, true), (503, Class::Unavailable, false)] {
        let measured = measured().await;
        let head = format!("HTTP/1.1 {status} No\r\ntransfer-encoding: chunked\r\n\r\n");
        let session = session(
            &server(move |socket| {
                let head = head.clone();
                async move { flood(socket, &head, "17\r\n{\"error_code\":\"DBS.2000\"\r\n").await }
            })
            .await,
        )
        .await;
        let error = create(&session, Engine::TaurusDB).await.0.expect_err("a refusal");
        assert_eq!((error.class(), error.is_definite_rejection(), error.code()), (class, definite, None), "{error}");
        check_message(&error.to_string());
        measured.check("a refusal without end");
    }
}

/// On one thread, so that the server and the calls take turns.
#[tokio::test(start_paused = true)]
async fn many_long_answers_at_once_share_one_room() {
    let measured = measured().await;
    // Each sends most of what a listing may have, and then holds it until its time is over.
    let host = server(|mut socket| async move {
        socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 8000000\r\n\r\n").await?;
        for _ in 0..7_000_000 / PIECE.len() {
            socket.write_all(PIECE).await?;
        }
        std::future::pending().await
    })
    .await;
    // Of as many accounts, since one has only a few calls under way.
    let client = client();
    let sessions = futures::future::join_all((0..30).map(|_| session_of(client.clone(), &host))).await;
    let calls = futures::future::join_all(sessions.iter().map(|session| list(session, Engine::DCS))).await;
    measured.check("30 long answers");
    let messages: Vec<String> = calls.into_iter().map(|(listed, _)| listed.expect_err("no end").to_string()).collect();
    for message in &messages {
        check_message(message);
    }
    assert!(messages.iter().any(|message| message.contains("too many long answers at once")), "{messages:?}");
    assert!(messages.iter().any(|message| message.contains("no answer in time")), "{messages:?}");
}

async fn asked_over_tls(host: String) -> (Error, Duration) {
    let request: Request = iam::token("d", "u", &SecretString::from("hunter2"), None, "eu-de");
    let endpoint = Endpoint { scheme: Scheme::HTTPS, host };
    let started = tokio::time::Instant::now();
    let answer = client().send(&endpoint, &request, Auth::Nothing, Timestamp::UNIX_EPOCH, || true).await;
    (answer.expect_err("no TLS"), started.elapsed())
}

#[tokio::test]
async fn what_is_no_tls_means_that_nothing_was_sent() {
    for bytes in [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], b"\x16\x03\x03\xff\xff", PIECE, b""] {
        let host = server(move |mut socket| async move { socket.write_all(bytes).await }).await;
        let (error, _) = asked_over_tls(host).await;
        assert!(matches!(error.failure, Failure::NotSent { cause: NotSent::NoConnection, .. }), "{error}");
        check_message(&error.to_string());
    }
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_never_ends_is_not_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let host = listener.local_addr().expect("an address").to_string();
    let (error, took) = asked_over_tls(host).await;
    assert!(matches!(error.failure, Failure::NotSent { cause: NotSent::NoConnection, .. }), "{error}");
    assert!(took <= LONGEST, "{took:?}");
    check_message(&error.to_string());
}

#[tokio::test]
async fn who_repeats_the_question_for_a_token_is_not_quoted() {
    let question = r#"{"auth":{"identity":{"password":{"user":{"password":"hunter2"}}}}}"#;
    let long = question.repeat(1 + 1024 * 1024 / question.len());
    for (status, body) in [("201 Created", question), ("400 Bad Request", question), ("201 Created", long.as_str())] {
        let whole = answer(status, body.as_bytes());
        let host = server(move |mut socket| {
            let whole = whole.clone();
            async move { socket.write_all(&whole).await }
        })
        .await;
        let error = opened_by_password(&host).await.err().expect("no token").to_string();
        check_message(&error);
        assert!(!error.contains("hunter2") && !error.contains("auth"), "{error}");
    }
}
