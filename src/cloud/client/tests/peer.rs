//! The other end of a connection: TLS with whatever certificate a test wants, and HTTP/2 frame by frame, so that it can do what no library does.

use super::authority::{Authority, BOTH, DAY};
use crate::cloud::{
    client::{Auth, Client, Observer, builder},
    endpoints::Endpoint,
    engine::Engine,
    errors::Error,
    request::{Reply, Request},
};
use http::uri::Scheme;
use jiff::Timestamp;
use secrecy::SecretString;
use std::{
    future::Future,
    io,
    ops::Range,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig, server::TlsStream};

/// A connection with TLS.
pub type Secure = TlsStream<TcpStream>;

/// A server that is known by an authority's certificates, and what it heard.
#[derive(Clone)]
pub struct Site {
    pub authority: Arc<Authority>,
    config: Arc<Mutex<Arc<ServerConfig>>>,
    connections: Arc<AtomicUsize>,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Site {
    /// One with a good certificate, which speaks both protocols.
    pub fn new() -> Self {
        let authority = Arc::new(Authority::new());
        let config = Arc::new(Mutex::new(authority.certify_now("127.0.0.1")));
        Self { authority, config, connections: Arc::default(), heard: Arc::default() }
    }

    /// Presents this to connections from now on.
    pub fn present(&self, config: Arc<ServerConfig>) {
        *self.config.lock().unwrap() = config;
    }

    /// Presents a certificate of the same name that is valid then.
    pub fn renew(&self, validity: Range<i64>) {
        self.present(self.authority.certify("127.0.0.1", validity, BOTH));
    }

    /// Speaks HTTP/1.1 only.
    pub fn old(self) -> Self {
        self.present(self.authority.certify("127.0.0.1", -DAY..DAY, &[b"http/1.1"]));
        self
    }

    /// A client that trusts the authority beside those of the machine.
    pub fn client(&self) -> Client {
        self.client_with(|builder| builder)
    }

    /// The same with further settings.
    pub fn client_with(&self, more: impl FnOnce(reqwest::ClientBuilder) -> reqwest::ClientBuilder) -> Client {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let root = reqwest::Certificate::from_pem(self.authority.pem().as_bytes()).unwrap();
        let observer: Arc<dyn Observer> = Arc::new(super::Heard::default());
        Client::built(more(builder().no_proxy().tls_certs_merge([root])), observer).unwrap()
    }

    /// Serves connections, which are numbered from 1, until the test ends. Those without TLS are counted, and nothing else.
    pub async fn serve<F>(&self, serve: impl Fn(Secure, usize) -> F + Send + Sync + 'static) -> Endpoint
    where
        F: Future<Output = io::Result<()>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let (site, serve) = (self.clone(), Arc::new(serve));
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let _ = socket.set_nodelay(true);
                let nth = site.connections.fetch_add(1, Ordering::SeqCst) + 1;
                let (config, serve) = (site.config.lock().unwrap().clone(), serve.clone());
                tokio::spawn(async move {
                    let socket = TlsAcceptor::from(config).accept(socket).await?;
                    serve(socket, nth).await
                });
            }
        });
        Endpoint { scheme: Scheme::HTTPS, host }
    }

    /// Serves HTTP/2 connections.
    pub async fn serve_http2<F>(
        &self,
        settings: &'static [(u16, u32)],
        serve: impl Fn(Peer, usize) -> F + Send + Sync + 'static,
    ) -> Endpoint
    where
        F: Future<Output = io::Result<()>> + Send + 'static,
    {
        let (heard, serve) = (self.heard.clone(), Arc::new(serve));
        self.serve(move |stream, nth| {
            let (heard, serve) = (heard.clone(), serve.clone());
            async move { serve(Peer::accept(stream, settings, heard).await?, nth).await }
        })
        .await
    }

    /// Connections so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// How many whole requests arrived whose body has this in it.
    pub fn arrived(&self, text: &str) -> usize {
        self.heard.lock().unwrap().iter().filter(|body| body.contains(text)).count()
    }

    /// A whole request arrived.
    pub fn hear(&self, body: &str) {
        self.heard.lock().unwrap().push(body.to_owned());
    }
}

/// A create call for a backup of this name.
pub fn create(mark: &str) -> Request {
    let new =
        crate::cloud::backup::NewBackup { instance_id: "i-1".into(), mark: mark.into(), description: "d".into(), backup_format: None };
    Engine::TaurusDB.service().create("p-1", &new)
}

/// A listing.
pub fn list() -> Request {
    let scope = crate::cloud::backup::ListScope::Instance { instance_id: "i-1".into(), automatic: false };
    Engine::TaurusDB.service().list("p-1", &scope, 0)
}

/// A DELETE call.
pub fn delete() -> Request {
    Engine::TaurusDB.service().delete("p-1", "i-1", "b-1").unwrap()
}

/// Sends a request.
pub async fn send(client: &Client, endpoint: &Endpoint, request: &Request) -> Result<Reply, Error> {
    let token = SecretString::from("t0p-secret");
    client.send(endpoint, request, Auth::Token(&token), Timestamp::now(), || true).await
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
/// More of a header block.
pub const CONTINUATION: u8 = 9;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
/// The block of headers ends with this frame.
pub const END_HEADERS: u8 = 4;
/// A setting: how many streams may be open.
pub const MAX_CONCURRENT_STREAMS: u16 = 3;
/// A setting: how much of a body may be sent without being asked for.
pub const INITIAL_WINDOW_SIZE: u16 = 4;
/// An error code: nothing is wrong.
pub const NO_ERROR: u32 = 0;
/// An error code: the stream was not processed.
pub const REFUSED_STREAM: u32 = 7;
/// `:status: 200`, in HPACK.
const OK: &[u8] = &[0x88];

/// The server's end of an HTTP/2 connection (RFC 9113).
pub struct Peer {
    stream: Secure,
    heard: Arc<Mutex<Vec<String>>>,
    bodies: Vec<(u32, Vec<u8>)>,
    /// Whether pings are answered.
    pub is_awake: bool,
}

struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

impl Peer {
    async fn accept(mut stream: Secure, settings: &[(u16, u32)], heard: Arc<Mutex<Vec<String>>>) -> io::Result<Self> {
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let mut preface = [0; 24];
        stream.read_exact(&mut preface).await?;
        assert_eq!(&preface, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        let mut peer = Self { stream, heard, bodies: Vec::new(), is_awake: true };
        peer.settings(settings).await?;
        Ok(peer)
    }

    /// The next request that arrives whole: its stream, and its body.
    pub async fn request(&mut self) -> io::Result<(u32, String)> {
        let (stream, body) = self.request_unheard().await?;
        self.heard.lock().unwrap().push(body.clone());
        Ok((stream, body))
    }

    /// The same of one that is not processed.
    pub async fn request_unheard(&mut self) -> io::Result<(u32, String)> {
        loop {
            let frame = self.frame().await?;
            match frame.kind {
                SETTINGS if frame.flags & ACK == 0 => self.send(SETTINGS, ACK, 0, &[]).await?,
                PING if frame.flags & ACK == 0 && self.is_awake => self.send(PING, ACK, 0, &frame.payload).await?,
                HEADERS => self.bodies.push((frame.stream, Vec::new())),
                DATA => {
                    let open = self.bodies.iter_mut().find(|(stream, _)| *stream == frame.stream);
                    open.expect("headers come first").1.extend(frame.payload);
                }
                RST_STREAM => self.bodies.retain(|(stream, _)| *stream != frame.stream),
                _ => continue,
            }
            if matches!(frame.kind, HEADERS | DATA) && frame.flags & END_STREAM != 0 {
                let at = self.bodies.iter().position(|(stream, _)| *stream == frame.stream).expect("headers come first");
                let body = String::from_utf8(self.bodies.remove(at).1).expect("JSON");
                return Ok((frame.stream, body));
            }
        }
    }

    async fn frame(&mut self) -> io::Result<Frame> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head).await?;
        let mut payload = vec![0; usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2])];
        self.stream.read_exact(&mut payload).await?;
        let stream = u32::from_be_bytes([head[5] & 0x7f, head[6], head[7], head[8]]);
        Ok(Frame { kind: head[3], flags: head[4], stream, payload })
    }

    async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> io::Result<()> {
        let length = u32::try_from(payload.len()).expect("a short frame").to_be_bytes();
        let mut bytes = vec![length[1], length[2], length[3], kind, flags];
        bytes.extend(stream.to_be_bytes());
        bytes.extend(payload);
        self.stream.write_all(&bytes).await?;
        self.stream.flush().await
    }

    /// Answers a request with 200.
    pub async fn answer(&mut self, stream: u32) -> io::Result<()> {
        self.send(HEADERS, END_HEADERS, stream, OK).await?;
        self.end(stream).await
    }

    /// Sends a body, which is the end of an answer.
    pub async fn end(&mut self, stream: u32) -> io::Result<()> {
        self.send(DATA, END_STREAM, stream, b"{}").await
    }

    /// Sends a piece of a header block, with these flags.
    pub async fn headers(&mut self, kind: Option<u8>, flags: u8, stream: u32, block: &[u8]) -> io::Result<()> {
        self.send(kind.unwrap_or(HEADERS), flags, stream, block).await
    }

    /// Tells of settings.
    pub async fn settings(&mut self, settings: &[(u16, u32)]) -> io::Result<()> {
        let payload: Vec<u8> = settings.iter().flat_map(|(name, value)| [&name.to_be_bytes()[..], &value.to_be_bytes()].concat()).collect();
        self.send(SETTINGS, 0, 0, &payload).await
    }

    /// Takes no new streams; none after `last` was or will be processed.
    pub async fn go_away(&mut self, last: u32, code: u32) -> io::Result<()> {
        self.send(GOAWAY, 0, 0, &[last.to_be_bytes(), code.to_be_bytes()].concat()).await
    }

    /// Ends a stream.
    pub async fn reset(&mut self, stream: u32, code: u32) -> io::Result<()> {
        self.send(RST_STREAM, 0, stream, &code.to_be_bytes()).await
    }
}
