//! A way to a server that a case can cut: bytes pass as they are until it does.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

/// Passes connections on to an address. Dropping it ends them all.
pub struct Proxy {
    address: SocketAddr,
    passing: Arc<Mutex<JoinSet<()>>>,
    accepting: AbortHandle,
}

impl Proxy {
    /// Listens on a free port, and passes on what comes.
    pub async fn to(server: SocketAddr) -> Proxy {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let passing = Arc::new(Mutex::new(JoinSet::new()));
        let accepting = tokio::spawn(accept(listener, server, Arc::clone(&passing))).abort_handle();
        Proxy { address, passing, accepting }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Cuts every connection, with what is on its way; new ones pass.
    pub fn cut(&self) {
        self.passing.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}

async fn accept(listener: TcpListener, server: SocketAddr, passing: Arc<Mutex<JoinSet<()>>>) {
    while let Ok((client, _)) = listener.accept().await {
        let mut passing = passing.lock().unwrap_or_else(PoisonError::into_inner);
        while passing.try_join_next().is_some() {}
        passing.spawn(pass(client, server));
    }
}

async fn pass(mut client: TcpStream, server: SocketAddr) {
    // A client is told that the server is down by the end of its connection.
    let Ok(mut server) = TcpStream::connect(server).await else { return };
    let delay = client.set_nodelay(true).and(server.set_nodelay(true));
    delay.expect("a new socket takes options");
    let _ = copy_bidirectional(&mut client, &mut server).await;
}
