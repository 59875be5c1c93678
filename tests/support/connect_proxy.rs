//! An HTTP proxy that tunnels with CONNECT, as companies have them, with or without a login.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    runtime::Runtime,
};

/// What became of the requests that came.
#[derive(Clone, Debug, Default)]
pub struct Tunnels {
    /// Where tunnels were built to, such as `127.0.0.1:6443`, in their order.
    pub built: Vec<String>,
    /// How many were refused for want of the right login.
    pub refused: usize,
}

/// A running proxy, on a thread of its own; it ends when it is dropped.
pub struct ConnectProxy {
    address: SocketAddr,
    tunnels: Arc<Mutex<Tunnels>>,
    runtime: Option<Runtime>,
}

impl ConnectProxy {
    /// Starts one that wants this value of `Proxy-Authorization`, if any.
    pub fn start(authorization: Option<&str>) -> Self {
        Self::start_towards(authorization, ToOwned::to_owned)
    }

    /// The same, which builds each tunnel to what this makes of the target.
    pub fn start_towards(authorization: Option<&str>, towards: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a thread");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("a socket");
        let address = listener.local_addr().expect("a bound socket has an address");
        let tunnels = Arc::new(Mutex::new(Tunnels::default()));
        let (authorization, seen, towards) = (authorization.map(ToOwned::to_owned), tunnels.clone(), Arc::new(towards));
        runtime.spawn(async move {
            let listener = TcpListener::from_std(listener).expect("a socket");
            while let Ok((client, _)) = listener.accept().await {
                let (authorization, seen, towards) = (authorization.clone(), seen.clone(), towards.clone());
                tokio::spawn(async move { tunnel(client, authorization.as_deref(), &seen, &*towards).await });
            }
        });
        Self { address, tunnels, runtime: Some(runtime) }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What became of the requests so far.
    pub fn tunnels(&self) -> Tunnels {
        self.tunnels.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for ConnectProxy {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn tunnel(
    mut client: TcpStream,
    authorization: Option<&str>,
    seen: &Mutex<Tunnels>,
    towards: &(impl Fn(&str) -> String + Send + Sync),
) -> io::Result<()> {
    let head = head(&mut client).await?;
    let mut lines = head.lines();
    let target = lines.next().and_then(|line| line.strip_prefix("CONNECT ")?.split(' ').next()).unwrap_or_default().to_owned();
    let given = lines.filter_map(|line| line.split_once(": ")).find(|(name, _)| name.eq_ignore_ascii_case("proxy-authorization"));
    let is_let_in = authorization.is_none_or(|wanted| given.is_some_and(|(_, given)| given == wanted));
    {
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        if is_let_in { seen.built.push(target.clone()) } else { seen.refused += 1 }
    }
    if !is_let_in {
        return client
            .write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n")
            .await;
    }
    let mut server = TcpStream::connect(towards(&target)).await?;
    client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
    copy_bidirectional(&mut client, &mut server).await.map(drop)
}

/// Byte by byte: what follows belongs to the tunnel.
async fn head(client: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}
