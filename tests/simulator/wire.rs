//! Connections that can really be cut.
//!
//! A lost answer must look to the client as it does in life: the socket ends and no byte of a response arrives. So each connection
//! carries a [`Cut`], and once it is pulled every read and write fails, which makes hyper drop the socket.

use std::{
    future::Future,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    extract::connect_info::Connected,
    serve::{IncomingStream, Listener},
};
use futures::task::AtomicWaker;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_rustls::server::TlsStream;

use super::tls::Tls;

#[derive(Default)]
struct Line {
    cut: AtomicBool,
    // An idle kept-alive connection sleeps in a read; it has to be woken to notice.
    reader: AtomicWaker,
}

/// The handle that ends one connection.
#[derive(Clone)]
pub struct Cut(Arc<Line>);

impl Cut {
    /// Ends the connection: nothing more is read from it or written to it.
    pub fn pull(&self) {
        self.0.cut.store(true, Ordering::SeqCst);
        self.0.reader.wake();
    }

    fn pulled(&self) -> io::Result<()> {
        if self.0.cut.load(Ordering::SeqCst) { Err(io::ErrorKind::ConnectionReset.into()) } else { Ok(()) }
    }
}

/// Every open connection of one service, to be cut together when the service "goes down".
#[derive(Clone, Default)]
pub struct Lines(Arc<Mutex<Vec<Weak<Line>>>>);

impl Lines {
    fn add(&self) -> Cut {
        let line = Arc::new(Line::default());
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|line| line.strong_count() > 0);
        all.push(Arc::downgrade(&line));
        Cut(line)
    }

    /// Cuts every connection that is open now.
    pub fn cut_all(&self) {
        for line in self.0.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            if let Some(line) = line.upgrade() {
                Cut(line).pull();
            }
        }
    }
}

/// What a connection is made of: TCP, or TLS over it.
trait Stream: AsyncRead + AsyncWrite + Send {}

impl<S: AsyncRead + AsyncWrite + Send> Stream for S {}

/// A connection with a [`Cut`].
pub struct Wire {
    stream: Pin<Box<dyn Stream>>,
    cut: Cut,
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        // Registered before the check: a pull between the two still wakes this task.
        self.cut.0.reader.register(cx.waker());
        self.cut.pulled()?;
        self.stream.as_mut().poll_read(cx, buf)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.cut.pulled()?;
        self.stream.as_mut().poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.cut.pulled()?;
        self.stream.as_mut().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_shutdown(cx)
    }
}

/// A listener whose connections can be cut.
pub struct Ear {
    listener: TcpListener,
    lines: Lines,
    tls: Option<Tls>,
    /// Handshakes under way: a slow one keeps nobody else waiting.
    handshakes: JoinSet<io::Result<(TlsStream<TcpStream>, SocketAddr)>>,
}

impl Ear {
    /// Listens on a socket, with TLS where it is given, and notes each connection in `lines`.
    pub fn new(listener: TcpListener, lines: Lines, tls: Option<Tls>) -> Self {
        Self { listener, lines, tls, handshakes: JoinSet::new() }
    }

    fn wire(&self, stream: impl Stream + 'static) -> Wire {
        Wire { stream: Box::pin(stream), cut: self.lines.add() }
    }
}

impl Listener for Ear {
    type Io = Wire;
    type Addr = SocketAddr;

    #[allow(clippy::manual_async_fn, reason = "the trait asks for a Send future")]
    fn accept(&mut self) -> impl Future<Output = (Wire, SocketAddr)> + Send {
        async move {
            loop {
                let accepted = tokio::select! {
                    accepted = self.listener.accept() => accepted,
                    Some(ended) = self.handshakes.join_next() => match ended {
                        Ok(Ok((stream, peer))) => return (self.wire(stream), peer),
                        _ => continue,
                    },
                };
                match (accepted, &self.tls) {
                    (Ok((stream, peer)), tls) => {
                        // Small answers must not wait for the peer's acknowledgement.
                        let _ = stream.set_nodelay(true);
                        let Some(tls) = tls.clone() else { return (self.wire(stream), peer) };
                        self.handshakes.spawn(async move { Ok((tls.accept(stream).await?, peer)) });
                    }
                    // Out of file descriptors, or a peer that left at once: try again, but do not spin.
                    (Err(_), _) => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl Connected<IncomingStream<'_, Ear>> for Cut {
    fn connect_info(stream: IncomingStream<'_, Ear>) -> Self {
        stream.io().cut.clone()
    }
}
