//! A receiver of webhooks inside the test: it keeps what it is sent, and answers as the test says.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// How long a test waits for a delivery before it fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// A receiver on a free loopback port, which stops when it is dropped.
pub struct TestReceiver {
    address: SocketAddr,
    state: Arc<State>,
    listening: JoinHandle<()>,
}

/// What a receiver does with a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// Answers with a status.
    Answer(u16),
    /// Answers 200, and says this.
    Say(&'static str),
    /// Takes it and never answers.
    Hang,
    /// Takes it and closes the connection.
    HangUp,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Received {
    /// The path it was sent to.
    pub path: String,
    /// Its headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: Vec<u8>,
    /// When all of it was there.
    pub at: Instant,
}

struct State {
    behaviour: Mutex<Behaviour>,
    received: watch::Sender<Vec<Received>>,
}

impl TestReceiver {
    /// A receiver that answers 200 until it is told otherwise.
    pub async fn start() -> Self {
        Self::behaving(Behaviour::Answer(200)).await
    }

    /// A receiver that does as the test says.
    pub async fn behaving(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let state =
            Arc::new(State { behaviour: Mutex::new(behaviour), received: watch::Sender::new(Vec::new()) });
        let listening = tokio::spawn(listen(listener, Arc::clone(&state)));
        Self { address, state, listening }
    }

    /// What it does from now on.
    pub fn behave(&self, behaviour: Behaviour) {
        *self.state.behaviour.lock().unwrap_or_else(PoisonError::into_inner) = behaviour;
    }

    /// A URL of it.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What came so far.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        self.state.received.borrow().clone()
    }

    /// Waits until so much has come, and gives all of it.
    pub async fn wait_for(&self, count: usize) -> Vec<Received> {
        let mut received = self.state.received.subscribe();
        let waiting = received.wait_for(|received| received.len() >= count);
        let Ok(reached) = tokio::time::timeout(PATIENCE, waiting).await else {
            panic!("{} deliveries came instead of {count}", self.received().len());
        };
        reached.expect("the receiver runs").clone()
    }
}

impl Drop for TestReceiver {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

impl Received {
    /// A header's value; empty when it is not there.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(header, _)| header == name);
        found.map_or("", |(_, value)| value.as_str())
    }
}

/// Accepts connections; those that are open end together with this future.
async fn listen(listener: TcpListener, state: Arc<State>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (connection, _) = accepted.expect("a connection");
                connections.spawn(serve(connection, Arc::clone(&state)));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Serves one connection until either side closes it.
async fn serve(connection: TcpStream, state: Arc<State>) {
    let mut connection = BufReader::new(connection);
    while let Some(received) = read_request(&mut connection).await {
        let behaviour = *state.behaviour.lock().unwrap_or_else(PoisonError::into_inner);
        state.received.send_modify(|all| all.push(received));
        let (status, body) = match behaviour {
            Behaviour::Answer(status) => (status, format!("answered {status}")),
            Behaviour::Say(body) => (200, body.to_owned()),
            Behaviour::Hang => std::future::pending().await,
            Behaviour::HangUp => return,
        };
        let answer = format!(
            "HTTP/1.1 {status} \r\ncontent-length: {}\r\ncontent-type: text/plain\r\n\r\n{body}",
            body.len()
        );
        if connection.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn read_request(connection: &mut BufReader<TcpStream>) -> Option<Received> {
    let request_line = read_line(connection).await?;
    let path = request_line.split(' ').nth(1)?.to_owned();
    let mut headers = Vec::new();
    loop {
        let line = read_line(connection).await?;
        let Some((name, value)) = line.split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let mut body = vec![0; length.map_or(0, |(_, length)| length.parse().expect("a length"))];
    connection.read_exact(&mut body).await.ok()?;
    Some(Received { path, headers, body, at: Instant::now() })
}

async fn read_line(connection: &mut BufReader<TcpStream>) -> Option<String> {
    let mut line = String::new();
    match connection.read_line(&mut line).await {
        Ok(0) | Err(_) => None,
        Ok(_) => Some(line.trim_end().to_owned()),
    }
}
