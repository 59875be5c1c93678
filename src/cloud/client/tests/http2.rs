//! HTTP/2: connections that end, streams that are refused, and servers that do what none should. Whatever happens, no create call arrives twice, nor later
//! than its caller was told.

use super::peer::{
    CONTINUATION, END_HEADERS, INITIAL_WINDOW_SIZE, MAX_CONCURRENT_STREAMS, NO_ERROR, Peer, REFUSED_STREAM, Site, create, delete, list,
    send,
};
use crate::cloud::errors::{Error, Failure};
use std::{future::pending, io, sync::Arc, time::Duration};
use tokio::{sync::Notify, time};

/// That nobody knows whether it was processed.
fn check_unknown(error: &Error) {
    assert!(matches!(error.failure, Failure::NoAnswer { .. }) && !error.is_definite_rejection(), "{error}");
    let message = error.to_string();
    assert!(message.chars().count() <= 256 && !message.chars().any(char::is_control), "{message}");
}

async fn answer_all(peer: &mut Peer) -> io::Result<()> {
    loop {
        let (stream, _) = peer.request().await?;
        peer.answer(stream).await?;
    }
}

#[tokio::test]
async fn calls_share_a_connection() {
    let site = Site::new();
    let endpoint = site.serve_http2(&[], |mut peer, _| async move { answer_all(&mut peer).await }).await;
    let client = site.client();
    for mark in ["dbb-1", "dbb-2", "dbb-3"] {
        assert_eq!(send(&client, &endpoint, &create(mark)).await.unwrap().status, 200);
    }
    assert_eq!((site.arrived("dbb-"), site.connections()), (3, 1));
}

/// A gateway that is restarted, or has had enough of a connection, says so after an answer (nginx: `keepalive_requests`).
#[tokio::test]
async fn after_a_goodbye_the_next_call_takes_another_connection_and_arrives_once() {
    let site = Site::new();
    let endpoint = site
        .serve_http2(&[], |mut peer, _| async move {
            let (stream, _) = peer.request().await?;
            peer.answer(stream).await?;
            peer.go_away(stream, NO_ERROR).await?;
            // Nothing that comes after it is processed.
            loop {
                peer.request_unheard().await?;
            }
        })
        .await;
    let client = site.client();
    let mut answered = 0;
    for nth in 0..100 {
        let mark = format!("dbb-{nth:03}");
        match send(&client, &endpoint, &create(&mark)).await {
            Ok(_) => {
                answered += 1;
                assert_eq!(site.arrived(&mark), 1, "{mark}");
            }
            // Sent before the goodbye was read.
            Err(error) => {
                check_unknown(&error);
                assert_eq!(site.arrived(&mark), 0, "{mark}");
            }
        }
    }
    assert!(answered > 50, "{answered}");
}

/// RFC 9113, 6.8 and 8.7, says that such a stream was not processed, and reqwest would send it again. Whatever stands before the service may have passed it on.
#[tokio::test]
async fn a_call_that_is_refused_after_it_arrived_is_not_sent_again_and_has_no_outcome() {
    for is_goodbye in [true, false] {
        let site = Site::new();
        let endpoint = site
            .serve_http2(&[], move |mut peer, _| async move {
                let (stream, _) = peer.request().await?;
                if is_goodbye {
                    peer.go_away(stream - 1, NO_ERROR).await?;
                } else {
                    peer.reset(stream, REFUSED_STREAM).await?;
                }
                answer_all(&mut peer).await
            })
            .await;
        let client = site.client();
        check_unknown(&send(&client, &endpoint, &create("dbb-1")).await.unwrap_err());
        let _ = send(&client, &endpoint, &list()).await;
        assert_eq!(site.arrived("dbb-1"), 1, "goodbye: {is_goodbye}");
    }
}

#[tokio::test]
async fn a_call_under_way_is_answered_after_a_goodbye_that_includes_it_or_has_no_outcome() {
    for is_answered in [true, false] {
        let site = Site::new();
        let endpoint = site
            .serve_http2(&[], move |mut peer, _| async move {
                let (stream, _) = peer.request().await?;
                peer.go_away(stream, NO_ERROR).await?;
                if is_answered { peer.answer(stream).await } else { Ok(()) }
            })
            .await;
        match send(&site.client(), &endpoint, &create("dbb-1")).await {
            Ok(reply) => assert!(is_answered, "{reply:?}"),
            Err(error) => {
                assert!(!is_answered, "{error}");
                check_unknown(&error);
            }
        }
        assert_eq!(site.arrived("dbb-1"), 1);
    }
}

#[tokio::test]
async fn a_call_whose_stream_or_connection_ends_has_no_outcome_and_is_not_sent_again() {
    // INTERNAL_ERROR, CANCEL, ENHANCE_YOUR_CALM, HTTP_1_1_REQUIRED and a code that there is not.
    for code in [2, 8, 11, 13, 4711] {
        for is_goodbye in [true, false] {
            let site = Site::new();
            let endpoint = site
                .serve_http2(&[], move |mut peer, _| async move {
                    let (stream, _) = peer.request().await?;
                    if is_goodbye { peer.go_away(0, code).await } else { peer.reset(stream, code).await }
                })
                .await;
            check_unknown(&send(&site.client(), &endpoint, &create("dbb-1")).await.unwrap_err());
            assert_eq!(site.arrived("dbb-1"), 1, "{code}");
        }
    }
}

/// A call that waits for a stream is given up by its time; it must not be sent when one becomes free, since its caller has begun to look for its backup.
#[tokio::test(start_paused = true)]
async fn a_call_that_found_no_free_stream_is_not_sent_after_it_was_given_up() {
    for streams in [0, 1] {
        let (site, free) = (Site::new(), Arc::new(Notify::new()));
        let freed = free.clone();
        let endpoint = site
            .serve_http2(&[], move |mut peer, _| {
                let free = freed.clone();
                async move {
                    let (stream, _) = peer.request().await?;
                    peer.settings(&[(MAX_CONCURRENT_STREAMS, streams)]).await?;
                    peer.answer(stream).await?;
                    for _ in 0..streams {
                        peer.request().await?;
                    }
                    // It goes on to read, so that whatever is sent is heard of.
                    tokio::select! {
                        () = free.notified() => {}
                        heard = peer.request() => drop(heard?),
                    }
                    peer.settings(&[(MAX_CONCURRENT_STREAMS, 100)]).await?;
                    answer_all(&mut peer).await
                }
            })
            .await;
        let client = site.client();
        send(&client, &endpoint, &list()).await.unwrap();
        let hanging = async {
            for _ in 0..streams {
                check_unknown(&send(&client, &endpoint, &list()).await.unwrap_err());
            }
        };
        let waiting = async {
            time::sleep(Duration::from_millis(100)).await;
            check_unknown(&send(&client, &endpoint, &create("dbb-1")).await.unwrap_err());
            // As much time as the listing has: where that holds a stream it would come in time.
            if streams == 0 {
                check_unknown(&send(&client, &endpoint, &delete()).await.unwrap_err());
            }
            free.notify_one();
        };
        tokio::join!(hanging, waiting);
        assert_eq!(send(&client, &endpoint, &create("dbb-2")).await.unwrap().status, 200, "{streams}");
        assert_eq!(["dbb-1", "dbb-2"].map(|mark| site.arrived(mark)), [0, 1], "{streams}");
        // Its body is empty, so what counts is that nothing but the listings and the last call arrived.
        assert_eq!(site.arrived(""), 2 + usize::try_from(streams).unwrap(), "{streams}");
    }
}

/// The same where the stream is there and the server does not want the body yet.
#[tokio::test(start_paused = true)]
async fn a_call_whose_body_is_not_taken_is_not_sent_after_it_was_given_up() {
    let (site, free) = (Site::new(), Arc::new(Notify::new()));
    let freed = free.clone();
    let endpoint = site
        .serve_http2(&[], move |mut peer, _| {
            let free = freed.clone();
            async move {
                let (stream, _) = peer.request().await?;
                peer.settings(&[(INITIAL_WINDOW_SIZE, 0)]).await?;
                peer.answer(stream).await?;
                tokio::select! {
                    () = free.notified() => {}
                    heard = peer.request() => drop(heard?),
                }
                peer.settings(&[(INITIAL_WINDOW_SIZE, 65_535)]).await?;
                answer_all(&mut peer).await
            }
        })
        .await;
    let client = site.client();
    send(&client, &endpoint, &list()).await.unwrap();
    check_unknown(&send(&client, &endpoint, &create("dbb-1")).await.unwrap_err());
    free.notify_one();
    assert_eq!(send(&client, &endpoint, &create("dbb-2")).await.unwrap().status, 200);
    assert_eq!(["dbb-1", "dbb-2"].map(|mark| site.arrived(mark)), [0, 1]);
}

/// A network that forgot the connection, or a server that hangs: without a look at it, every call of the next minutes would be lost on it.
#[tokio::test(start_paused = true)]
async fn a_connection_that_fell_silent_is_not_used_again() {
    let site = Site::new();
    let endpoint = site
        .serve_http2(&[], |mut peer, nth| async move {
            if nth == 1 {
                let (stream, _) = peer.request().await?;
                peer.answer(stream).await?;
                peer.is_awake = false;
                loop {
                    peer.request().await?;
                }
            }
            answer_all(&mut peer).await
        })
        .await;
    let client = site.client();
    send(&client, &endpoint, &create("dbb-1")).await.unwrap();
    check_unknown(&send(&client, &endpoint, &create("dbb-2")).await.unwrap_err());
    assert_eq!(send(&client, &endpoint, &create("dbb-3")).await.unwrap().status, 200);
    assert_eq!(["dbb-1", "dbb-2", "dbb-3"].map(|mark| site.arrived(mark)), [1, 1, 1]);
    assert_eq!(site.connections(), 2);
}

/// A slow answer is no silence: the create call of a service may take its 20 seconds.
#[tokio::test(start_paused = true)]
async fn a_slow_answer_over_a_connection_that_answers_pings_is_waited_for() {
    let site = Site::new();
    let endpoint = site
        .serve_http2(&[], |mut peer, _| async move {
            let (stream, _) = peer.request().await?;
            let _ = time::timeout(Duration::from_secs(19), peer.request()).await;
            peer.answer(stream).await
        })
        .await;
    assert_eq!(send(&site.client(), &endpoint, &create("dbb-1")).await.unwrap().status, 200);
}

/// `x-more: ` and 60,000 times x, as HPACK writes it without an index and without Huffman's code.
fn long_header() -> Vec<u8> {
    // 60,000 as an integer with a prefix of 7 bits (RFC 7541, 5.1): 127, and 0x61 + 0x53 * 128 + 3 * 128 * 128 on top.
    const LENGTH: [u8; 4] = [127, 0xe1, 0xd3, 3];
    [&[0, 6][..], b"x-more", &LENGTH, &vec![b'x'; 60_000]].concat()
}

#[tokio::test]
async fn headers_without_end_break_the_answer_off() {
    for is_ended in [true, false] {
        let site = Site::new();
        let endpoint = site
            .serve_http2(&[], move |mut peer, _| async move {
                let (stream, _) = peer.request().await?;
                let block = long_header();
                peer.headers(None, 0, stream, &[0x88]).await?;
                let mut rounds = 0;
                loop {
                    rounds += 1;
                    // 600 KB, and an end; or none.
                    let is_last = is_ended && rounds == 10;
                    for piece in block.chunks(16_000) {
                        peer.headers(Some(CONTINUATION), 0, stream, piece).await?;
                    }
                    if is_last {
                        peer.headers(Some(CONTINUATION), END_HEADERS, stream, &[]).await?;
                        return pending().await;
                    }
                }
            })
            .await;
        let client = site.client();
        let broken = time::timeout(Duration::from_secs(15), send(&client, &endpoint, &create("dbb-1"))).await;
        check_unknown(&broken.expect("long before its time is over").unwrap_err());
        assert_eq!(site.arrived("dbb-1"), 1);
    }
}

#[tokio::test]
async fn a_token_of_60_kilobytes_fits_into_an_answers_headers() {
    let site = Site::new();
    let endpoint = site
        .serve_http2(&[], |mut peer, _| async move {
            let (stream, _) = peer.request().await?;
            let block = [&[0x88][..], &long_header()].concat();
            let (first, rest) = block.split_at(16_000);
            peer.headers(None, 0, stream, first).await?;
            for piece in rest.chunks(16_000) {
                peer.headers(Some(CONTINUATION), 0, stream, piece).await?;
            }
            peer.headers(Some(CONTINUATION), END_HEADERS, stream, &[]).await?;
            peer.end(stream).await
        })
        .await;
    assert_eq!(send(&site.client(), &endpoint, &create("dbb-1")).await.unwrap().status, 200);
}

/// 103 Early Hints, again and again.
#[tokio::test(start_paused = true)]
async fn interim_answers_without_end_are_no_answer() {
    let site = Site::new();
    let endpoint = site
        .serve_http2(&[], |mut peer, _| async move {
            let (stream, _) = peer.request().await?;
            for _ in 0..10_000 {
                peer.headers(None, END_HEADERS, stream, &[0x08, 3, b'1', b'0', b'3']).await?;
            }
            pending().await
        })
        .await;
    check_unknown(&send(&site.client(), &endpoint, &create("dbb-1")).await.unwrap_err());
    assert_eq!(site.arrived("dbb-1"), 1);
}

#[tokio::test]
async fn a_server_that_agreed_on_http2_and_does_not_speak_it_leaves_the_outcome_unknown() {
    use tokio::io::AsyncWriteExt;
    let site = Site::new();
    let endpoint = site
        .serve(|mut stream, _| async move {
            stream.write_all(b"HTTP/1.1 201 Created\r\ncontent-length: 2\r\n\r\n{}").await?;
            stream.flush().await?;
            stream.shutdown().await
        })
        .await;
    let error = send(&site.client(), &endpoint, &create("dbb-1")).await.unwrap_err();
    check_unknown(&error);
}
