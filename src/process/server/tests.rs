use super::*;
use axum::{body::Bytes, http::StatusCode, routing::get};
use std::{net::SocketAddr, sync::atomic::AtomicUsize, time::Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Longer than any test waits for something that comes.
const LONG: Duration = Duration::from_secs(60);

/// `/` answers at once, `/slow` when it is let go, `/long` with 8 MB; each counts in `asked`.
struct Site {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
    slow: Arc<tokio::sync::Semaphore>,
    _server: AbortOnDropHandle<()>,
}

const LENGTH: usize = 8 << 20;

async fn site(bounds: Bounds) -> Site {
    let (asked, slow) = (Arc::new(AtomicUsize::new(0)), Arc::new(tokio::sync::Semaphore::new(0)));
    let text = Bytes::from(vec![b'x'; LENGTH]);
    let (counter, gate) = (asked.clone(), slow.clone());
    let router = Router::new()
        .route("/", get(|| async { "ok" }))
        .route("/slow", get(async move || gate.acquire().await.map_or(StatusCode::IM_A_TEAPOT, |_| StatusCode::OK)))
        .route("/long", get(move || async { text }))
        .layer(axum::middleware::map_request(move |request: Request| {
            counter.fetch_add(1, Ordering::SeqCst);
            std::future::ready(request)
        }));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("it is bound");
    let server = tokio::spawn(async move { serve(listener, router, bounds, Clock::start()).await });
    Site { address, asked, slow, _server: AbortOnDropHandle::new(tokio::spawn(async move { drop(AbortOnDropHandle::new(server).await) })) }
}

impl Site {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("the port is open")
    }

    /// Sends this and reads until the end.
    async fn exchange(&self, request: &str) -> io::Result<String> {
        let mut stream = self.connect().await;
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        timeout(LONG, stream.read_to_string(&mut answer)).await.expect("it ends").map(|_| answer)
    }

    async fn is_well(&self) {
        let answer = self.exchange("GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("ok"), "{answer}");
    }
}

/// Waits until the server has ended this connection.
async fn ended(stream: &mut TcpStream) {
    let mut piece = [0; 1024];
    while timeout(LONG, stream.read(&mut piece)).await.expect("it ends").is_ok_and(|read| read > 0) {}
}

/// Nothing comes on this connection, and it is open.
fn is_open(stream: &TcpStream) -> bool {
    stream.try_read(&mut [0; 16]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

#[tokio::test(flavor = "multi_thread")]
async fn of_four_hundred_unfinished_heads_no_more_are_open_than_allowed_and_probes_get_through() {
    let site = site(Bounds { head: LONG, whole: LONG, ..BOUNDS }).await;
    let mut held = Vec::new();
    for nth in 0..400 {
        let mut stream = site.connect().await;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: ").await.expect("it is open");
        held.push(stream);
        if nth % 50 == 0 {
            site.is_well().await;
        }
    }
    site.is_well().await;
    // The oldest have ended, and the youngest are open.
    for stream in &mut held[..400 - BOUNDS.connections] {
        ended(stream).await;
    }
    let open = held[400 - BOUNDS.connections..].iter().filter(|stream| is_open(stream)).count();
    assert!((BOUNDS.connections - 2..=BOUNDS.connections).contains(&open), "{open}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_of_more_than_16_kb_or_64_fields_is_refused_without_being_read() {
    let site = site(Bounds { head: LONG, ..BOUNDS }).await;
    let mut stream = site.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nX-Long: ").await.expect("it is open");
    let mut sent = 0;
    // Until it is refused; what the sockets of both sides hold is on its way meanwhile.
    while let Ok(Ok(())) = timeout(LONG, stream.write_all(&[b'a'; 1024])).await {
        sent += 1024;
        assert!(sent < 64 << 20, "it takes everything");
    }
    let fields: String = (0..65).map(|nth| format!("X-{nth}: y\r\n")).collect();
    for head in [format!("X-Long: {}\r\n", "a".repeat(20_000)), fields] {
        let answer = site.exchange(&format!("GET / HTTP/1.1\r\n{head}\r\n")).await.unwrap_or_default();
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431 "), "{answer}");
    }
    assert_eq!(site.asked.load(Ordering::SeqCst), 0);
    site.is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_finish_a_head_or_sends_nothing_is_cut_off() {
    let site = site(Bounds { head: Duration::from_millis(200), whole: LONG, ..BOUNDS }).await;
    let begun = Instant::now();
    for sent in ["", "GET / HTTP/1.1\r\nHost: x\r\n"] {
        let mut stream = site.connect().await;
        stream.write_all(sent.as_bytes()).await.expect("it is open");
        ended(&mut stream).await;
    }
    assert!(begun.elapsed() < LONG);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_read_its_answer_is_cut_off() {
    let site = site(Bounds { whole: Duration::from_millis(500), ..BOUNDS }).await;
    let mut stream = site.connect().await;
    stream.write_all(b"GET /long HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("it is open");
    while site.asked.load(Ordering::SeqCst) == 0 {
        sleep(Duration::from_millis(5)).await;
    }
    sleep(Duration::from_secs(1)).await;
    let mut got = Vec::new();
    let _ = timeout(LONG, stream.read_to_end(&mut got)).await.expect("it ends");
    assert!(got.len() < LENGTH, "{} bytes came", got.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_for_one_request_and_bodies_are_not_waited_for() {
    let site = site(BOUNDS).await;
    let answer = site.exchange(&"GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(1000)).await.unwrap_or_default();
    assert!(answer.matches("HTTP/1.1 ").count() <= 1, "{answer}");
    assert_eq!(site.asked.load(Ordering::SeqCst), 1);
    let begun = Instant::now();
    let answer = site.exchange("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nbegun").await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.to_lowercase().contains("connection: close"), "{answer}");
    assert!(begun.elapsed() < BOUNDS.whole, "the rest of the body was not waited for");
    let answer = site.exchange("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap_or_default();
    assert!(!answer.contains(" 200 "), "HTTP/1 only: {answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn those_that_wait_for_their_client_go_before_those_that_are_being_answered() {
    let site = site(Bounds { connections: 2, head: LONG, whole: LONG }).await;
    let mut asking = site.connect().await;
    asking.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("it is open");
    while site.asked.load(Ordering::SeqCst) == 0 {
        sleep(Duration::from_millis(5)).await;
    }
    let mut silent = site.connect().await;
    site.is_well().await;
    ended(&mut silent).await;
    site.slow.add_permits(1);
    let mut answer = String::new();
    timeout(LONG, asking.read_to_string(&mut answer)).await.expect("it ends").expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}
