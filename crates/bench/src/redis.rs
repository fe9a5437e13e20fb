//! A Redis or Valkey of a scenario's own, on a socket in its directory and on the server's core.

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::time::{Instant, sleep};

use crate::machine;
use crate::process_tree::ProcessTree;

/// How long it may take to start.
const PATIENCE: Duration = Duration::from_secs(30);
/// Under these names it is installed.
const PROGRAMS: [&str; 2] = ["redis-server", "valkey-server"];

/// A running one, that keeps nothing; killed when dropped.
#[derive(Debug)]
pub(crate) struct Redis {
    child: Child,
    url: String,
}

impl Redis {
    /// Starts it on loopback, where `directory` is its own.
    pub(crate) async fn start(directory: &Path) -> Result<Self> {
        let port = crate::server::free_address()?.port();
        let socket = directory.join("redis.sock");
        let child = machine::on_server_core(|| {
            PROGRAMS
                .iter()
                .find_map(|program| {
                    Command::new(program)
                        .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
                        .args(["--save", "", "--appendonly", "no", "--daemonize", "no"])
                        .args(["--dir".as_ref(), directory.as_os_str()])
                        .args(["--unixsocket".as_ref(), socket.as_os_str()])
                        .stdin(Stdio::null())
                        .stdout(Stdio::null())
                        .stderr(Stdio::null())
                        .spawn()
                        .ok()
                })
                .with_context(|| {
                    format!("there is neither {}; `just setup` installs one", PROGRAMS.join(" nor "))
                })
        })?;
        let redis = Self { child, url: format!("redis://127.0.0.1:{port}") };
        let began = Instant::now();
        while UnixStream::connect(&socket).is_err() {
            ensure!(began.elapsed() < PATIENCE, "Redis does not start");
            sleep(Duration::from_millis(5)).await;
        }
        Ok(redis)
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The process whose time it takes.
    pub(crate) fn tree(&self) -> ProcessTree {
        ProcessTree::new([self.child.id()])
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // Both fail only for a server that has ended by itself.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
