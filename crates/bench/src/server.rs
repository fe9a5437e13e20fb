//! The servers that are measured, as child processes on a core of their own.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{Instant, sleep};

use crate::http_client::Connection;
use crate::machine;
use crate::options::CeilingOptions;
use crate::process_tree::{Memory, ProcessTree, memory};

/// How long a server may take to start or to stop.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server; killed when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// How long it took from its start to the first 200.
    pub(crate) start_to_first_200: Duration,
}

impl Server {
    /// Starts `cryptopay serve`, built at `program`, with its data and its log in `directory`, without rate
    /// limits, and ready to deliver webhooks to this machine; its database is SQLite there unless `database` is
    /// another one. Waits until `first` is answered with 200.
    pub(crate) async fn start(
        program: &Path,
        directory: &Path,
        database: Option<&str>,
        first: &[u8],
    ) -> Result<Self> {
        let settings = [("CRYPTOPAY_RATE_LIMITS", "off"), ("CRYPTOPAY_WEBHOOK_ALLOW_PRIVATE", "true")];
        Self::start_with(program, directory, database, &settings, first).await
    }

    /// The same with these settings, and the defaults of all others.
    pub(crate) async fn start_with(
        program: &Path,
        directory: &Path,
        database: Option<&str>,
        settings: &[(&str, &str)],
        first: &[u8],
    ) -> Result<Self> {
        let address = free_address()?;
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("CRYPTOPAY_") {
                command.env_remove(name);
            }
        }
        command
            .arg("serve")
            .env("CRYPTOPAY_LISTEN", address.to_string())
            .env("CRYPTOPAY_DATA_DIR", directory)
            .envs(settings.iter().copied())
            .envs(database.map(|url| ("CRYPTOPAY_DATABASE_URL", url)));
        Self::spawn(command, &directory.join("server.log"), address, first).await
    }

    /// Starts the ceiling, its log in `directory`.
    pub(crate) async fn start_ceiling(directory: &Path, shape: AnswerShape, first: &[u8]) -> Result<Self> {
        let options = CeilingOptions {
            listen: free_address()?,
            headers: shape.headers,
            head_bytes: shape.head_bytes,
            body_bytes: shape.body_bytes,
        };
        let mut command = Command::new(std::env::current_exe()?);
        command
            .arg("ceiling")
            .args(["--listen", &options.listen.to_string()])
            .args(["--headers", &options.headers.to_string()])
            .args(["--head-bytes", &options.head_bytes.to_string()])
            .args(["--body-bytes", &options.body_bytes.to_string()]);
        Self::spawn(command, &directory.join("ceiling.log"), options.listen, first).await
    }

    /// The processes whose time it takes.
    pub(crate) fn tree(&self) -> ProcessTree {
        ProcessTree::new([self.child.id()])
    }

    /// The memory it holds.
    pub(crate) fn memory(&self) -> Result<Memory> {
        memory(self.child.id())
    }

    /// So many connections to it.
    pub(crate) async fn connect(&self, count: usize) -> Result<Vec<Connection>> {
        let mut connections = Vec::with_capacity(count);
        for _ in 0..count {
            connections.push(Connection::open(self.address).await?);
        }
        Ok(connections)
    }

    /// Tells it to stop and waits until it has.
    pub(crate) async fn stop(mut self) -> Result<()> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        let told = Instant::now();
        while self.child.try_wait()?.is_none() {
            if told.elapsed() > PATIENCE {
                bail!("the server did not stop within {PATIENCE:?}");
            }
            sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    async fn spawn(mut command: Command, log: &Path, address: SocketAddr, first: &[u8]) -> Result<Self> {
        let output = File::options().create(true).append(true).open(log)?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let began = Instant::now();
        let child = machine::on_server_core(|| {
            command.spawn().with_context(|| format!("{} does not start", command.get_program().display()))
        })?;
        let mut server = Self { child, address, start_to_first_200: Duration::ZERO };
        while !server.answers(first).await {
            if server.child.try_wait()?.is_some() || began.elapsed() > PATIENCE {
                bail!("the server does not serve; it said: {}", tail(log));
            }
            sleep(Duration::from_millis(1)).await;
        }
        server.start_to_first_200 = began.elapsed();
        Ok(server)
    }

    async fn answers(&self, request: &[u8]) -> bool {
        match Connection::open(self.address).await {
            Ok(mut connection) => connection.exchange(request).await.is_ok_and(|reply| reply.status == 200),
            Err(_) => false,
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only for a server that has ended by itself.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// The size of an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AnswerShape {
    pub(crate) headers: usize,
    pub(crate) head_bytes: usize,
    pub(crate) body_bytes: usize,
}

/// A `GET` of what is 200 as soon as a server serves.
pub(crate) fn readiness() -> Vec<u8> {
    b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec()
}

/// An address on loopback that nobody listens on.
pub(crate) fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().rev().take(20).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}
