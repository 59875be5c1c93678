//! The front door of one service: a loopback port that can be shut (connects are refused) and opened again under the same number.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
};

use axum::Router;
use tokio::{net::TcpSocket, sync::Mutex, task::JoinHandle};

use super::{
    tls::Tls,
    wire::{Cut, Ear, Lines},
};

enum Position {
    Open(JoinHandle<()>),
    /// Bound, not listening: the port stays ours, and connects get a reset.
    Shut(TcpSocket),
}

/// One service's port.
pub struct Door {
    address: SocketAddr,
    app: Router,
    lines: Lines,
    tls: Option<Tls>,
    position: Mutex<Option<Position>>,
}

impl Door {
    /// Opens a free loopback port and serves `app` there, with TLS where it is given.
    pub fn open(app: Router, tls: Option<Tls>) -> io::Result<Self> {
        let socket = socket(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let address = socket.local_addr()?;
        let lines = Lines::default();
        let serving = serve(socket, app.clone(), lines.clone(), tls.clone())?;
        Ok(Self { address, app, lines, tls, position: Mutex::new(Some(Position::Open(serving))) })
    }

    /// Where the service is reached.
    pub fn url(&self) -> String {
        format!("{}://{}", if self.tls.is_some() { "https" } else { "http" }, self.address)
    }

    /// Cuts every connection that is open now.
    pub fn hang_up(&self) {
        self.lines.cut_all();
    }

    /// Shuts the door (cutting whoever is inside) or opens it again. Doing what is done already changes nothing.
    pub async fn refuse(&self, refuse: bool) -> io::Result<()> {
        let mut position = self.position.lock().await;
        *position = match (position.take(), refuse) {
            (Some(Position::Open(serving)), true) => {
                serving.abort();
                // The listening socket is closed only when the task is really gone.
                let _ = serving.await;
                self.lines.cut_all();
                Some(Position::Shut(socket(self.address)?))
            }
            (Some(Position::Shut(socket)), false) => {
                Some(Position::Open(serve(socket, self.app.clone(), self.lines.clone(), self.tls.clone())?))
            }
            (None, false) => Some(Position::Open(serve(socket(self.address)?, self.app.clone(), self.lines.clone(), self.tls.clone())?)),
            (unchanged, _) => unchanged,
        };
        Ok(())
    }
}

fn socket(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

fn serve(socket: TcpSocket, app: Router, lines: Lines, tls: Option<Tls>) -> io::Result<JoinHandle<()>> {
    let ear = Ear::new(socket.listen(1024)?, lines, tls);
    Ok(tokio::spawn(async move {
        let _ = axum::serve(ear, app.into_make_service_with_connect_info::<Cut>()).await;
    }))
}
