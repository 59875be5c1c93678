//! An HTTP/1 server that a client can hold up neither by what it sends nor by what it does not: bounded in time, in bytes and in connections.

use crate::{controller::clock::Clock, plan::clock::Moment};
use axum::{Router, extract::Request};
use hyper::{
    server::conn::http1,
    service::{Service, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use std::{
    io::{self, ErrorKind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};
use tokio_util::task::AbortOnDropHandle;

/// What all clients together may take.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Connections at once. One more ends the one that waits longest for its client.
    pub connections: usize,
    /// Until the head of the request is there.
    pub head: Duration,
    /// Until the answer has been taken, counted from the connection's first moment.
    pub whole: Duration,
}

/// Probes and scrapes of all that may ask take a fraction of it.
pub const BOUNDS: Bounds = Bounds { connections: 64, head: Duration::from_secs(5), whole: Duration::from_secs(15) };

/// Longest head of a request, and what is read ahead of a body that nobody reads.
const HEAD_BYTES: usize = 16 * 1024;
/// Fields of a head.
const HEAD_FIELDS: usize = 64;
/// Before the next try after a connection could not be accepted.
const PAUSE: Duration = Duration::from_millis(200);
/// How long a connection is safe from those that come after it: a probe sends its head as soon as it is connected.
const GRACE: Duration = Duration::from_millis(100);

/// Serves until it is aborted. Each connection is for one request: whoever keeps asking connects again, and no connection is kept for nothing.
pub async fn serve(listener: TcpListener, router: Router, bounds: Bounds, clock: Clock) -> ! {
    let mut open: Vec<Connection> = Vec::new();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                make_room(&mut open, bounds.connections - 1, &clock).await;
                open.push(Connection::new(stream, router.clone(), bounds, clock.now()));
            }
            // Its client was gone already.
            Err(error) if is_about_the_client(&error) => {}
            // Mostly that no file descriptor is left: one is freed, and without a pause this would be a circle.
            Err(error) => {
                tracing::warn!(%error, open = open.len(), "a connection could not be accepted");
                let fewer = open.len().saturating_sub(1);
                make_room(&mut open, fewer, &clock).await;
                sleep(PAUSE).await;
            }
        }
    }
}

fn is_about_the_client(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset)
}

/// Ends connections until there are no more than these: first those that wait for their client, the oldest before the others. Where all are young, more of
/// them wait in the listener's queue.
async fn make_room(open: &mut Vec<Connection>, at_most: usize, clock: &Clock) {
    loop {
        open.retain(|connection| !connection.task.is_finished());
        let waiting = open.iter().position(|connection| !connection.answering.load(Ordering::Relaxed)).unwrap_or(0);
        match open.get(waiting).filter(|_| open.len() > at_most) {
            None => return,
            Some(oldest) => match clock.now().until(oldest.begun.plus(GRACE)) {
                Duration::ZERO => drop(open.remove(waiting)),
                grace => sleep(grace).await,
            },
        }
    }
}

/// A connection; it ends when it is dropped.
struct Connection {
    begun: Moment,
    task: AbortOnDropHandle<()>,
    /// The client has asked, and it is this side that it waits for.
    answering: Arc<AtomicBool>,
}

impl Connection {
    fn new(stream: TcpStream, router: Router, bounds: Bounds, begun: Moment) -> Self {
        let answering = Arc::new(AtomicBool::new(false));
        let exchange = timeout(bounds.whole, exchange(stream, router, bounds.head, answering.clone()));
        // What goes wrong on a connection is its client's business.
        let task = tokio::spawn(async move { drop(exchange.await) });
        Self { begun, task: AbortOnDropHandle::new(task), answering }
    }
}

async fn exchange(stream: TcpStream, router: Router, head: Duration, answering: Arc<AtomicBool>) -> hyper::Result<()> {
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |request: Request<hyper::body::Incoming>| {
        let (answer, answering) = (router.call(request), answering.clone());
        async move {
            answering.store(true, Ordering::Relaxed);
            let answer = answer.await;
            answering.store(false, Ordering::Relaxed);
            answer
        }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head)
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEAD_FIELDS)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service)
        .await
}

#[cfg(test)]
mod tests;
