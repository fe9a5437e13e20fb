//! HTTP as bytes: requests that no library would send, and a server that shows what arrived.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Where clients come from: another address than the proxies' own, so that the two can be told apart.
pub(crate) const CLIENT: &str = "127.0.0.2";
/// How long a test waits for an answer before it fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// A request or an answer, as it stood on the wire.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    /// The request line or the status line.
    pub(crate) line: String,
    /// Names as they were spelt, and values, in their order.
    pub(crate) headers: Vec<(String, String)>,
    /// The body.
    pub(crate) body: Vec<u8>,
}

/// A server that closes its port when it is dropped.
pub(crate) struct WireServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    _serving: JoinSet<()>,
}

struct Shared {
    /// What every request is answered with: the status, and headers beyond the framing.
    head: String,
    received: Mutex<Vec<Message>>,
    connections: Mutex<usize>,
}

/// Sends a request from [`CLIENT`]; `head` is everything before the body but its length, lines
/// ended by `\n`.
pub(crate) async fn send(to: SocketAddr, head: &str, body: &[u8]) -> Message {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(CLIENT.parse().unwrap(), 0)).unwrap();
    let exchange = async {
        let mut stream = socket.connect(to).await.unwrap();
        let needs_length = !body.is_empty() && !head.contains("\nTransfer-Encoding");
        let length = if needs_length { format!("Content-Length: {}\r\n", body.len()) } else { String::new() };
        let head =
            format!("{}\r\nHost: api.example.com\r\n{length}\r\n", head.trim_end().replace('\n', "\r\n"));
        stream.write_all(&[head.as_bytes(), body].concat()).await.unwrap();
        let is_bare = head.starts_with("HEAD ");
        let answer = if is_bare { read_head(&mut stream).await } else { read_message(&mut stream).await };
        answer.expect("an answer")
    };
    timeout(PATIENCE, exchange).await.expect("an answer in time")
}

impl Message {
    /// The status of an answer.
    pub(crate) fn status(&self) -> u16 {
        self.line.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status")
    }

    /// The values of all headers of this name, whatever its case.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let named = self.headers.iter().filter(|(found, _)| found.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str()).collect()
    }

    /// The value of the one header of this name.
    pub(crate) fn the(&self, name: &str) -> &str {
        let all = self.all(name);
        assert_eq!(all.len(), 1, "{name}: {self:?}");
        all[0]
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    /// Status and error code, such as `401 INVALID_TOKEN`.
    pub(crate) fn verdict(&self) -> String {
        format!("{} {}", self.status(), self.json()["error"]["code"].as_str().expect("a code"))
    }
}

impl WireServer {
    /// An application that knows nothing of authentication: it answers 200 to everything.
    pub(crate) async fn application() -> Self {
        Self::answering("200 OK").await
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Everything that has come since this was asked last.
    pub(crate) fn take_received(&self) -> Vec<Message> {
        std::mem::take(&mut *self.shared.received.lock().unwrap())
    }

    /// The one request that has come since this was asked last.
    pub(crate) fn take_the_request(&self) -> Message {
        let mut received = self.take_received();
        assert_eq!(received.len(), 1, "{received:?}");
        received.remove(0)
    }

    /// How many connections were opened to it.
    pub(crate) fn connections(&self) -> usize {
        *self.shared.connections.lock().unwrap()
    }

    /// A server that answers everything with this: a status, and headers beyond the framing.
    pub(crate) async fn answering(head: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            head: head.to_owned(),
            received: Mutex::default(),
            connections: Mutex::default(),
        });
        let serving = Arc::clone(&shared);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                *serving.connections.lock().unwrap() += 1;
                connections.spawn(Arc::clone(&serving).converse(stream));
            }
        });
        Self { address, shared, _serving: tasks }
    }
}

impl Shared {
    async fn converse(self: Arc<Self>, mut stream: TcpStream) {
        while let Some(request) = read_message(&mut stream).await {
            let body = json!({"you": "asked"}).to_string();
            let head = format!("HTTP/1.1 {}\r\nContent-Length: {}\r\n\r\n", self.head, body.len());
            let answer = if request.line.starts_with("HEAD ") { head } else { head + &body };
            self.received.lock().unwrap().push(request);
            if stream.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    }
}

/// The next message, or nothing once the other side has closed.
async fn read_message(stream: &mut TcpStream) -> Option<Message> {
    let mut message = read_head(stream).await?;
    if message.all("transfer-encoding").is_empty() {
        let length =
            message.all("content-length").first().map_or(0, |length| length.parse().expect("a length"));
        message.body.resize(length, 0);
        stream.read_exact(&mut message.body).await.ok()?;
    } else {
        message.body = read_chunks(stream).await?;
    }
    Some(message)
}

async fn read_head(stream: &mut TcpStream) -> Option<Message> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).expect("text");
    let mut lines = head.trim_end().split("\r\n");
    let line = lines.next().expect("a first line").to_owned();
    let headers = lines.map(|header| {
        let (name, value) = header.split_once(':').expect("a header");
        (name.to_owned(), value.trim().to_owned())
    });
    Some(Message { line, headers: headers.collect(), body: Vec::new() })
}

async fn read_chunks(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            line.push(stream.read_u8().await.ok()?);
        }
        let length =
            usize::from_str_radix(std::str::from_utf8(&line).expect("text").trim(), 16).expect("a length");
        let mut chunk = vec![0; length + 2];
        stream.read_exact(&mut chunk).await.ok()?;
        if length == 0 {
            return Some(body);
        }
        body.extend(&chunk[..length]);
    }
}
