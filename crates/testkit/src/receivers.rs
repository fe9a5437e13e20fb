//! Receivers of webhooks as merchants build them, each a process of its own; `scripts/setup` installs their libraries.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// How long a receiver may take to start, and a delivery to come.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a receiver verifies deliveries with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceiverKind {
    /// An Express 4 application with the documented page's function, over `JSON.stringify(req.body)`.
    Express,
    /// The `standardwebhooks` library of npm.
    StandardNode,
    /// The `standardwebhooks` package of PyPI.
    StandardPython,
}

impl ReceiverKind {
    /// Every kind there is.
    pub const ALL: [Self; 3] = [Self::Express, Self::StandardNode, Self::StandardPython];
}

/// A running receiver on a free loopback port, killed when it is dropped.
pub struct WebhookReceiver {
    child: Child,
    input: ChildStdin,
    port: u16,
    confirmations: mpsc::Receiver<String>,
    deliveries: UnboundedReceiver<ReceivedDelivery>,
}

/// A delivery as a receiver saw and answered it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedDelivery {
    /// Its headers, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// Its body.
    pub body: String,
    /// What it was answered with.
    pub status: u16,
    /// Whether the signature was right.
    pub verified: bool,
}

impl WebhookReceiver {
    /// Starts a receiver that trusts no secret yet.
    #[must_use]
    pub fn start(kind: ReceiverKind) -> Self {
        let mut child = command(kind)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the receiver runs; `just setup` installs what it needs");
        let input = child.stdin.take().expect("a pipe");
        let output = child.stdout.take().expect("a pipe");
        let (said, confirmations) = mpsc::channel();
        let (arrived, deliveries) = unbounded_channel();
        thread::spawn(move || read_output(output, &said, &arrived));
        let mut receiver = Self { child, input, port: 0, confirmations, deliveries };
        let listening = receiver.confirmation();
        let port = listening.strip_prefix("listening ").and_then(|port| port.parse().ok());
        receiver.port = port.expect("a port to deliver to");
        receiver
    }

    /// Starts a receiver that trusts `secret`.
    #[must_use]
    pub fn trusting(kind: ReceiverKind, secret: &str) -> Self {
        let mut receiver = Self::start(kind);
        receiver.trust(secret);
        receiver
    }

    /// Where it takes deliveries.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/webhooks/cryptopay", self.port)
    }

    /// Makes it verify with `secret`, and no other, from now on.
    pub fn trust(&mut self, secret: &str) {
        writeln!(self.input, "{secret}").expect("the receiver listens");
        assert_eq!(self.confirmation(), "trusting");
    }

    /// The next delivery it has answered; waits for it.
    pub async fn next_delivery(&mut self) -> ReceivedDelivery {
        let next = tokio::time::timeout(PATIENCE, self.deliveries.recv());
        next.await.expect("a delivery in time").expect("the receiver runs")
    }

    /// The deliveries it has answered by now.
    pub fn deliveries(&mut self) -> Vec<ReceivedDelivery> {
        std::iter::from_fn(|| self.deliveries.try_recv().ok()).collect()
    }

    fn confirmation(&self) -> String {
        self.confirmations
            .recv_timeout(PATIENCE)
            .expect("the receiver runs; `just setup` installs what it needs")
    }
}

impl Drop for WebhookReceiver {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A program as merchants write them, in Node or Python by its name, with the libraries that `scripts/setup` installs.
#[must_use]
pub fn merchant_program(script: &Path) -> Command {
    let installed = installed().join("receivers");
    let interpreter = match script.extension() {
        Some(extension) if extension == "py" => installed.join("python/bin/python"),
        _ => PathBuf::from("node"),
    };
    let mut command = Command::new(interpreter);
    command
        .arg(script)
        .env("NODE_PATH", installed.join("node_modules"))
        // Express prints the stack of whatever a handler throws, but not under test.
        .env("NODE_ENV", "test");
    command
}

fn command(kind: ReceiverKind) -> Command {
    let script = match kind {
        ReceiverKind::Express => "express.js",
        ReceiverKind::StandardNode => "standard.js",
        ReceiverKind::StandardPython => "standard.py",
    };
    merchant_program(&root().join("tests/receivers").join(script))
}

/// Where `scripts/setup` puts libraries.
pub(crate) fn installed() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// The repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read_output(
    output: ChildStdout,
    said: &mpsc::Sender<String>,
    arrived: &UnboundedSender<ReceivedDelivery>,
) {
    for line in BufReader::new(output).lines() {
        let line = line.expect("text");
        // Whoever started the receiver may be gone already.
        if line.starts_with('{') {
            drop(arrived.send(parse_delivery(&line)));
        } else {
            drop(said.send(line));
        }
    }
}

fn parse_delivery(line: &str) -> ReceivedDelivery {
    let delivery: Value = serde_json::from_str(line).expect("JSON");
    let headers = delivery["headers"].as_object().expect("headers").iter();
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    ReceivedDelivery {
        headers: headers.map(|(name, value)| (name.clone(), text(value))).collect(),
        body: text(&delivery["body"]),
        status: delivery["status"].as_u64().and_then(|status| status.try_into().ok()).expect("a status"),
        verified: delivery["verified"].as_bool().expect("a verdict"),
    }
}
