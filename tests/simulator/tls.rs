//! TLS in front of the services, with a certificate that may change while they run.

use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig, server::TlsStream};

/// What the services present.
#[derive(Clone)]
pub struct Tls {
    config: Arc<Mutex<Arc<ServerConfig>>>,
    http2: Arc<AtomicUsize>,
}

impl Tls {
    /// Presents this to every connection.
    pub fn new(config: Arc<ServerConfig>) -> Self {
        Self { config: Arc::new(Mutex::new(config)), http2: Arc::default() }
    }

    /// Presents this to connections from now on; those that stand go on.
    pub fn present(&self, config: Arc<ServerConfig>) {
        *self.config.lock().unwrap_or_else(PoisonError::into_inner) = config;
    }

    /// How many connections agreed on HTTP/2.
    pub fn http2_connections(&self) -> usize {
        self.http2.load(Ordering::SeqCst)
    }

    /// The handshake of a connection.
    pub async fn accept(self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let config = self.config.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let stream = TlsAcceptor::from(config).accept(stream).await?;
        if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
            self.http2.fetch_add(1, Ordering::SeqCst);
        }
        Ok(stream)
    }
}
