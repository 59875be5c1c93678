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
};

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

/// A TCP stream with a [`Cut`].
pub struct Wire {
    stream: TcpStream,
    cut: Cut,
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        // Registered before the check: a pull between the two still wakes this task.
        self.cut.0.reader.register(cx.waker());
        self.cut.pulled()?;
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.cut.pulled()?;
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.cut.pulled()?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// A listener whose connections can be cut.
pub struct Ear {
    /// The socket that listens.
    pub listener: TcpListener,
    /// Where accepted connections are noted.
    pub lines: Lines,
}

impl Listener for Ear {
    type Io = Wire;
    type Addr = SocketAddr;

    #[allow(clippy::manual_async_fn, reason = "the trait asks for a Send future")]
    fn accept(&mut self) -> impl Future<Output = (Wire, SocketAddr)> + Send {
        async move {
            loop {
                match self.listener.accept().await {
                    Ok((stream, peer)) => {
                        // Small answers must not wait for the peer's acknowledgement.
                        let _ = stream.set_nodelay(true);
                        return (Wire { stream, cut: self.lines.add() }, peer);
                    }
                    // Out of file descriptors, or a peer that left at once: try again, but do not spin.
                    Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
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
