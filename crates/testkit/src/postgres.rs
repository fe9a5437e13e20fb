//! PostgreSQL for tests: a fresh database in the shared throw-away cluster, or a whole cluster to switch off.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test kit fails by panicking: its callers are tests"
)]

use std::hash::{BuildHasher, RandomState};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, geteuid, kill_process};
use tempfile::TempDir;
use tokio_postgres::{Client, NoTls};

/// The variable in which `scripts/with-postgres` tells a test run where its cluster is.
pub const TEST_POSTGRES_VARIABLE: &str = "CRYPTOPAY_TEST_POSTGRES";

/// How long a server may take to start before the test gives up on it.
const PATIENCE: Duration = Duration::from_secs(60);

/// The cluster that all tests of a run share; each test makes databases of its own in it.
#[derive(Clone, Debug)]
pub struct TestPostgres {
    url: String,
}

impl TestPostgres {
    /// The cluster named by [`TEST_POSTGRES_VARIABLE`].
    ///
    /// # Panics
    ///
    /// If the variable is not set: a test that skipped itself would pass without having tested anything.
    #[must_use]
    #[track_caller]
    pub fn from_environment() -> Self {
        match std::env::var(TEST_POSTGRES_VARIABLE) {
            Ok(url) => Self { url },
            Err(_) => panic!(
                "{TEST_POSTGRES_VARIABLE} names no PostgreSQL cluster: run the tests with `just test`, or \
                 under `scripts/with-postgres`, which starts one for them"
            ),
        }
    }

    /// Makes an empty database that no other test knows, in this process or another, and gives its URL.
    ///
    /// It goes away together with the cluster.
    ///
    /// # Panics
    ///
    /// If the cluster is out of reach.
    pub async fn create_database(&self) -> String {
        create_database(&self.url).await
    }
}

/// Opens a connection beside the product's own, say to hold a transaction open.
///
/// It closes when the client is dropped.
///
/// # Panics
///
/// If the database is out of reach.
pub async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls)
        .await
        .unwrap_or_else(|error| panic!("connecting to {url}: {error:?}"));
    // Ends with the client, or with the server: then the client's next call tells its caller.
    tokio::spawn(connection);
    client
}

/// A cluster for one test alone, which may stop it and start it again: "the database goes away and comes back".
///
/// It is stopped, and its directory removed, on drop. Starting one takes about half a second and blocks.
#[derive(Debug)]
pub struct PrivateCluster {
    directory: TempDir,
    programs: PathBuf,
    server: Option<Child>,
}

impl PrivateCluster {
    /// Initialises a cluster and starts its server.
    ///
    /// # Panics
    ///
    /// If this machine has no PostgreSQL server, or if it does not start.
    #[must_use]
    pub fn start() -> Self {
        // Not `TMPDIR`: a socket's path has at most 107 bytes, and an unprivileged user must get there.
        let directory = TempDir::with_prefix_in("cryptopay-postgres-", "/tmp").expect("/tmp is writable");
        let mut cluster = Self { directory, programs: server_programs(), server: None };
        if geteuid().is_root() {
            run(Command::new("chown").arg("postgres:").arg(cluster.directory.path()));
        }
        run(cluster
            .program("initdb")
            .args(["--pgdata=data", "--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C"])
            .arg("--no-sync"));
        cluster.start_again();
        cluster
    }

    /// The URL of the cluster's maintenance database; it stays the same when the server starts again.
    #[must_use]
    pub fn url(&self) -> String {
        let directory = self.directory.path().to_string_lossy().replace('/', "%2F");
        format!("postgres://postgres@{directory}:5432/postgres")
    }

    /// Makes an empty database in this cluster and gives its URL.
    ///
    /// # Panics
    ///
    /// If the server is stopped.
    pub async fn create_database(&self) -> String {
        create_database(&self.url()).await
    }

    /// Stops the server as an operator would: every session ends at once, what was committed stays.
    ///
    /// Returns when the server has ended; stopping a stopped one does nothing.
    pub fn stop(&mut self) {
        self.shut_down(Signal::INT);
    }

    /// Starts the server over the same data, at the same URL, and returns when it takes connections.
    ///
    /// # Panics
    ///
    /// If it does not start, or is running already.
    pub fn start_again(&mut self) {
        assert!(self.server.is_none(), "the cluster is running");
        let mut server = self
            .program("postgres")
            .args(["-D", "data", "-p", "5432", "-c", "listen_addresses="])
            .args(["-c", "fsync=off", "-c", "shared_buffers=16MB"])
            .arg("-k")
            .arg(self.directory.path())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the server's program runs");
        let log = server.stderr.take().expect("the log is a pipe");
        let (ready, is_ready) = mpsc::channel();
        let reader = thread::spawn(move || read_log(BufReader::new(log), &ready));
        self.server = Some(server);

        if is_ready.recv_timeout(PATIENCE).is_err() {
            self.shut_down(Signal::QUIT);
            panic!("PostgreSQL did not start:\n{}", reader.join().unwrap_or_default());
        }
    }

    fn shut_down(&mut self, signal: Signal) {
        if let Some(mut server) = self.server.take() {
            // Fails only for a server that has ended by itself.
            kill_process(Pid::from_child(&server), signal).ok();
            server.wait().ok();
        }
    }

    /// One of PostgreSQL's programs, to be run in the cluster's directory by a user it accepts: never root.
    fn program(&self, name: &str) -> Command {
        let program = self.programs.join(name);
        let mut command = if geteuid().is_root() {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.current_dir(self.directory.path()).stdin(Stdio::null()).stdout(Stdio::null());
        command
    }
}

impl Drop for PrivateCluster {
    fn drop(&mut self) {
        // Immediate shutdown, for there is nothing to keep.
        self.shut_down(Signal::QUIT);
    }
}

async fn create_database(url: &str) -> String {
    // The hasher's keys are random, a new pair for every process and call.
    let unique = RandomState::new().hash_one(std::process::id());
    let name = format!("cryptopay_test_{unique:016x}");
    // Every test may copy template0 at once: nobody can be connected to it.
    let statement = format!("CREATE DATABASE {name} TEMPLATE template0");
    if let Err(error) = connect(url).await.batch_execute(&statement).await {
        panic!("{statement}: {error:?}");
    }
    with_database(url, &name)
}

/// The same server's URL with another database; parameters stay.
fn with_database(url: &str, database: &str) -> String {
    let (address, parameters) = match url.split_once('?') {
        Some((address, parameters)) => (address, format!("?{parameters}")),
        None => (url, String::new()),
    };
    let authority = address.find("://").map_or(0, |scheme| scheme + "://".len());
    let server = address[authority..].find('/').map_or(address, |path| &address[..authority + path]);
    format!("{server}/{database}{parameters}")
}

/// The folder of the newest PostgreSQL server here: Debian keeps one a major version, off the `PATH`.
fn server_programs() -> PathBuf {
    let major_version =
        |folder: &PathBuf| folder.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok());
    std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|folder| folder.join("bin/initdb").exists())
        .max_by_key(major_version)
        .map(|folder| folder.join("bin"))
        .or_else(|| {
            let path = std::env::var_os("PATH")?;
            std::env::split_paths(&path).find(|folder| folder.join("initdb").exists())
        })
        .expect("a PostgreSQL server is installed: `just setup` does it")
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Reads a server's log to its end, so that it never waits for a reader, and tells when it takes connections.
///
/// Gives back what was logged up to then, which is the reason if that moment never comes.
fn read_log(log: impl BufRead, ready: &Sender<()>) -> String {
    let mut start = String::new();
    let mut started = false;
    for line in log.lines().map_while(Result::ok) {
        if started {
            continue;
        }
        started = line.ends_with("database system is ready to accept connections");
        start = start + &line + "\n";
        if started {
            ready.send(()).ok();
        }
    }
    start
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_database_is_replaced_in_any_form_of_url() {
        for (url, expected) in [
            ("postgres://postgres@%2Ftmp%2Fa:5432/postgres", "postgres://postgres@%2Ftmp%2Fa:5432/other"),
            ("postgres:///postgres?host=/tmp/a&user=b", "postgres:///other?host=/tmp/a&user=b"),
            ("postgresql://a:b@localhost:5432", "postgresql://a:b@localhost:5432/other"),
            ("postgres://localhost?user=b", "postgres://localhost/other?user=b"),
        ] {
            assert_eq!(with_database(url, "other"), expected);
        }
    }

    #[tokio::test]
    async fn every_database_is_fresh_even_when_many_are_made_at_once() {
        let postgres = TestPostgres::from_environment();
        let made: Vec<_> = (0..8)
            .map(|_| {
                let postgres = postgres.clone();
                tokio::spawn(async move { postgres.create_database().await })
            })
            .collect();
        for database in made {
            let client = connect(&database.await.expect("created")).await;
            client.batch_execute("CREATE TABLE mine ()").await.expect("the name is free");
        }
    }

    #[tokio::test]
    async fn a_private_cluster_goes_away_and_comes_back_with_its_data() {
        let mut cluster = PrivateCluster::start();
        let url = cluster.create_database().await;
        let before = connect(&url).await;
        before.batch_execute("CREATE TABLE kept AS SELECT 7 AS number").await.expect("creates");

        cluster.stop();
        cluster.stop();
        assert!(before.batch_execute("SELECT 1").await.is_err());
        assert!(tokio_postgres::connect(&url, NoTls).await.is_err());

        cluster.start_again();
        let row = connect(&url).await.query_one("SELECT number FROM kept", &[]).await.expect("reads");
        assert_eq!(row.get::<_, i32>(0), 7);
    }

    #[test]
    fn a_dropped_cluster_leaves_nothing_behind() {
        let cluster = PrivateCluster::start();
        let directory = cluster.directory.path().to_owned();
        drop(cluster);
        assert!(!directory.exists());
    }
}
