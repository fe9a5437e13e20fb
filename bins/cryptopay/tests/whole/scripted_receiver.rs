//! A receiver of webhooks that does as it is told, and remembers what came.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use cryptopay_testkit::eventually;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What it does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// Answers with this status, those that were left hanging included.
    Answer(u16),
    /// Leaves it hanging.
    Hang,
}

/// A receiver on a port of its own, which is closed when this is dropped.
pub(crate) struct ScriptedReceiver {
    address: SocketAddr,
    shared: Arc<Shared>,
    listening: JoinSet<()>,
}

/// A request that came.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    /// The event's id, as the header has it.
    pub(crate) event: String,
    /// The body.
    pub(crate) body: Vec<u8>,
    /// What has become of it.
    pub(crate) fate: Fate,
}

/// What has become of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It hangs, and whoever sent it waits.
    Hanging,
    /// It was answered.
    Answered,
    /// Whoever sent it went away.
    Abandoned,
}

struct Shared {
    behaviour: watch::Sender<Behaviour>,
    received: Mutex<Vec<Received>>,
}

impl ScriptedReceiver {
    pub(crate) async fn start(behaviour: Behaviour) -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), behaviour).await
    }

    pub(crate) async fn start_at(address: SocketAddr, behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared =
            Arc::new(Shared { behaviour: watch::Sender::new(behaviour), received: Mutex::default() });
        let serving = Arc::clone(&shared);
        let mut listening = JoinSet::new();
        listening.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(Arc::clone(&serving).converse(stream));
            }
        });
        Self { address, shared, listening }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/webhooks/cryptopay", self.address)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops listening: whoever connects is refused from now on.
    pub(crate) async fn stop(mut self) {
        self.listening.shutdown().await;
    }

    pub(crate) fn behave(&self, behaviour: Behaviour) {
        self.shared.behaviour.send_replace(behaviour);
    }

    /// Everything that has come.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.shared.lock().clone()
    }

    /// The events that hang at this moment, one entry for each request.
    pub(crate) fn hanging(&self) -> Vec<String> {
        let received = self.received();
        let hanging = received.into_iter().filter(|request| request.fate == Fate::Hanging);
        hanging.map(|request| request.event).collect()
    }

    /// Waits until events of so many orders have been answered, and checks what at-least-once promises: whatever
    /// came more than once came with the same id and the same bytes.
    pub(crate) async fn answered_orders(&self, orders: usize) -> BTreeSet<String> {
        let mut answered = BTreeSet::new();
        eventually("an event of every order is answered", async || {
            let received = self.received();
            let done = received.iter().filter(|request| request.fate == Fate::Answered);
            answered = done.map(|request| request.order()).collect();
            answered.len() >= orders
        })
        .await;
        let mut bodies = BTreeMap::new();
        let mut events = BTreeMap::new();
        for request in self.received() {
            let order = request.order();
            assert_eq!(*events.entry(order).or_insert(request.event.clone()), request.event);
            assert_eq!(*bodies.entry(request.event).or_insert(request.body.clone()), request.body);
        }
        answered
    }
}

impl Received {
    /// The order that it tells of.
    pub(crate) fn order(&self) -> String {
        let event: Value = serde_json::from_slice(&self.body).unwrap();
        assert_eq!(event["id"], *self.event);
        event["data"]["id"].as_str().unwrap().to_owned()
    }
}

impl Shared {
    async fn converse(self: Arc<Self>, mut stream: TcpStream) {
        let mut buffer = Vec::new();
        while stream.read_buf(&mut buffer).await.is_ok_and(|read| read > 0) {
            let Some(request) = read_request(&buffer) else { continue };
            buffer.clear();
            let number = self.enter(request);
            let mut behaviour = self.behaviour.subscribe();
            let told = async {
                loop {
                    if let Behaviour::Answer(status) = *behaviour.borrow_and_update() {
                        return status;
                    }
                    behaviour.changed().await.unwrap();
                }
            };
            let mut nothing = [0];
            tokio::select! {
                status = told => {
                    let answer = format!("HTTP/1.1 {status} As Told\r\nContent-Length: 2\r\n\r\nOK");
                    stream.write_all(answer.as_bytes()).await.ok();
                    self.lock()[number].fate = Fate::Answered;
                }
                _ = stream.peek(&mut nothing) => {
                    self.lock()[number].fate = Fate::Abandoned;
                    return;
                }
            }
        }
    }

    fn enter(&self, request: Received) -> usize {
        let mut received = self.lock();
        received.push(request);
        received.len() - 1
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Received>> {
        self.received.lock().unwrap()
    }
}

/// The request, once all of it is there.
fn read_request(buffer: &[u8]) -> Option<Received> {
    let end = buffer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&buffer[..end]).unwrap().to_ascii_lowercase();
    let header = |name: &str| {
        let lines = head.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(found, _)| *found == name).map(|(_, value)| value.to_owned()).unwrap()
    };
    let body = &buffer[end..];
    let whole = body.len() == header("content-length").parse::<usize>().unwrap();
    whole.then(|| Received { event: header("webhook-id"), body: body.to_owned(), fate: Fate::Hanging })
}
