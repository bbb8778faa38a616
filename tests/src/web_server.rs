//! A web server for webhooks: keeps what it is sent, and answers, hangs, hangs up or is gone as it is told.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::eventually::eventually;

/// What it does with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Manner {
    /// It answers with a status.
    Status(u16),
    /// It answers with a status, headers (each line with its end) and a body.
    Full(u16, String, Vec<u8>),
    /// It answers with a status and a body that never ends.
    Flood(u16),
    /// It says nothing more.
    Hang,
    /// It ends the connection.
    HangUp,
}

/// A request that came.
#[derive(Debug, Clone)]
pub struct Received {
    /// Method and path.
    pub line: String,
    /// Names in small letters, in the order in which they came.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// When.
    pub at: Instant,
    /// On which connection: the first is 0.
    pub connection: usize,
}

/// A web server on a port of its own, which nobody else takes while it is gone.
#[derive(Debug)]
pub struct WebServer {
    address: SocketAddr,
    /// Holds the port without listening on it.
    _guard: TcpSocket,
    shared: Arc<Shared>,
    serving: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    received: Mutex<Vec<Received>>,
    next: Mutex<VecDeque<Manner>>,
    manner: Mutex<Manner>,
}

impl WebServer {
    /// Starts one that answers 200.
    pub async fn start() -> WebServer {
        let guard = socket();
        guard.bind((Ipv4Addr::LOCALHOST, 0).into()).expect("there is a free port");
        let address = guard.local_addr().expect("it is bound");
        let shared = Shared {
            received: Mutex::default(),
            next: Mutex::default(),
            manner: Mutex::new(Manner::Status(200)),
        };
        let mut server = WebServer { address, _guard: guard, shared: Arc::new(shared), serving: None };
        server.come_back().await;
        server
    }

    /// Its address and port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of a path, which begins with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What it does with requests from now on.
    pub fn behave(&self, manner: Manner) {
        *lock(&self.shared.manner) = manner;
    }

    /// What it does with the next requests, one after the other, before it behaves as told otherwise.
    pub fn behave_once(&self, manners: impl IntoIterator<Item = Manner>) {
        lock(&self.shared.next).extend(manners);
    }

    /// Is gone: connections end, and new ones are refused.
    pub async fn vanish(&mut self) {
        if let Some(serving) = self.serving.take() {
            serving.abort();
            let _ = serving.await;
        }
    }

    /// Is there again.
    pub async fn come_back(&mut self) {
        self.vanish().await;
        let socket = socket();
        socket.bind(self.address).expect("the port is held");
        let listener = socket.listen(1024).expect("nobody else listens on the port");
        self.serving = Some(tokio::spawn(serve(listener, Arc::clone(&self.shared))));
    }

    /// What came so far.
    pub fn received(&self) -> Vec<Received> {
        lock(&self.shared.received).clone()
    }

    /// Waits until so many requests have come, and gives all that have.
    pub async fn receives(&self, count: usize) -> Vec<Received> {
        eventually(&format!("{count} requests come"), async || {
            let received = self.received();
            if received.len() >= count { Ok(received) } else { Err(received.len()) }
        })
        .await
    }
}

impl Drop for WebServer {
    fn drop(&mut self) {
        if let Some(serving) = &self.serving {
            serving.abort();
        }
    }
}

impl Received {
    /// The value of a header, which comes once at most.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(known, _)| known == name);
        let value = values.next().map(|(_, value)| value.as_str());
        assert!(values.next().is_none(), "{name} comes twice");
        value
    }

    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a body of text")
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("not JSON ({error}): {:?}", self.text()))
    }

    /// The id that stays the same when it is sent again.
    pub fn id(&self) -> &str {
        self.header("idempotency-key").expect("each request has one")
    }
}

fn socket() -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseaddr(true).expect("a socket can be set so");
    socket
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    // Dropped with this task, and the connections with it.
    let mut connections = JoinSet::new();
    let mut count = 0;
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let _ = converse(stream, &shared, count).await;
        });
        count += 1;
    }
}

/// Takes requests until one is not answered in good order.
async fn converse(stream: TcpStream, shared: &Shared, connection: usize) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    while let Some(received) = read(&mut stream, connection).await? {
        lock(&shared.received).push(received);
        let manner = lock(&shared.next).pop_front();
        let manner = manner.unwrap_or_else(|| lock(&shared.manner).clone());
        match manner {
            Manner::Status(status) => {
                let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n");
                stream.write_all(answer.as_bytes()).await?;
            }
            Manner::Full(status, headers, body) => {
                let length = body.len();
                let head = format!("HTTP/1.1 {status} X\r\n{headers}Content-Length: {length}\r\n\r\n");
                stream.write_all(head.as_bytes()).await?;
                stream.write_all(&body).await?;
            }
            Manner::Flood(status) => {
                stream.write_all(format!("HTTP/1.1 {status} X\r\n\r\n").as_bytes()).await?;
                loop {
                    stream.write_all(&[b'x'; 4096]).await?;
                }
            }
            Manner::Hang => std::future::pending().await,
            Manner::HangUp => return Ok(()),
        }
        stream.flush().await?;
    }
    Ok(())
}

/// Reads a request with a `Content-Length`; `None` where the connection ends before it.
async fn read(stream: &mut BufReader<TcpStream>, connection: usize) -> std::io::Result<Option<Received>> {
    let mut line = String::new();
    if stream.read_line(&mut line).await? == 0 {
        return Ok(None);
    }
    let line = line.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
    let mut headers: Vec<(String, String)> = Vec::new();
    loop {
        let mut header = String::new();
        stream.read_line(&mut header).await?;
        let Some((name, value)) = header.trim_end().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let mut body = vec![0; length.map_or(0, |(_, value)| value.parse().expect("a length"))];
    stream.read_exact(&mut body).await?;
    Ok(Some(Received { line, headers, body, at: Instant::now(), connection }))
}
