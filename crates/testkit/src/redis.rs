//! A Redis or Valkey of a test's own, on a socket in a directory of its own.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(30);
const BETWEEN_LOOKS: Duration = Duration::from_millis(5);
/// Under these names it is installed.
const PROGRAMS: [&str; 2] = ["redis-server", "valkey-server"];

/// A server that forgets everything when it ends, and ends when this is dropped.
pub struct TestRedis {
    directory: TempDir,
    child: Option<Child>,
}

impl TestRedis {
    /// Starts one.
    #[must_use]
    pub fn start() -> Self {
        let mut redis = Self { directory: tempfile::tempdir().expect("a temporary directory"), child: None };
        redis.restart();
        redis
    }

    /// Where it listens, as a URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis+unix://{}", self.socket().display())
    }

    /// Ends it at once, as a crash would.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Both fail only for a server that has ended by itself.
            drop(child.kill());
            drop(child.wait());
        }
        drop(std::fs::remove_file(self.socket()));
    }

    /// Makes it hang: it takes what it is sent, and does not answer.
    pub fn pause(&self) {
        let child = self.child.as_ref().expect("a running server");
        kill_process(Pid::from_child(child), Signal::STOP).expect("it is ours");
    }

    /// Ends every connection to it.
    pub fn drop_connections(&self) {
        self.command("CLIENT KILL TYPE normal SKIPME yes");
    }

    /// How often it has run a script.
    #[must_use]
    pub fn scripts_run(&self) -> usize {
        let statistics = self.command("INFO commandstats");
        let calls = statistics.lines().find_map(|line| line.strip_prefix("cmdstat_evalsha:calls="));
        let calls = calls.and_then(|rest| rest.split(',').next()).map(str::parse);
        calls.transpose().expect("a number").unwrap_or_default()
    }

    /// Starts it again where it was, empty.
    pub fn restart(&mut self) {
        self.kill();
        self.child =
            Some(PROGRAMS.into_iter().find_map(|program| self.spawn(program)).unwrap_or_else(|| {
                panic!(
                    "there is neither {} on this machine; `just setup` installs one",
                    PROGRAMS.join(" nor ")
                )
            }));
        let began = Instant::now();
        while UnixStream::connect(self.socket()).is_err() {
            assert!(began.elapsed() < PATIENCE, "the Redis server did not start");
            std::thread::sleep(BETWEEN_LOOKS);
        }
    }

    /// What it answers to one command.
    fn command(&self, command: &str) -> String {
        let mut stream = UnixStream::connect(self.socket()).expect("a connection");
        write!(stream, "{command}\r\nQUIT\r\n").expect("it takes commands");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("text");
        answer
    }

    fn spawn(&self, program: &str) -> Option<Child> {
        let mut command = Command::new(program);
        command
            .args(["--port", "0", "--save", "", "--appendonly", "no", "--daemonize", "no"])
            .args(["--dir".as_ref(), self.directory.path().as_os_str()])
            .args(["--unixsocket".as_ref(), self.socket().as_os_str()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command.spawn().ok()
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("redis.sock")
    }
}

impl Drop for TestRedis {
    fn drop(&mut self) {
        self.kill();
    }
}
