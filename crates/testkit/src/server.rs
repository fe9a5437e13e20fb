//! The program as a process: an installation of it, its command line, and its server on a real socket.
//!
//! Every secret that goes to a server or comes from it is remembered, and when the server has stopped, its
//! output is searched for all of them: each test of the whole is a test of the logs as well.

use std::collections::BTreeSet;
use std::fs::{self, File, Permissions};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::str::FromStr as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use cryptopay_store::{DatabaseUrl, Store, StoreConfig};
use reqwest::{Client, Method};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Handle;

use crate::app::Answer;
use crate::auth::PASSWORD;
use crate::client::{client, client_trusting};
use crate::database::Backend;
use crate::postgres::TestPostgres;

/// How long a process may take to start, to stop or to answer.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long to wait between two looks at a condition that a test waits for.
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);
/// The fields of requests and answers that nobody may ever find in a log.
const SECRET_FIELDS: [&str; 7] =
    ["password", "current_password", "new_password", "access", "refresh", "key", "secret"];

/// The program with its configuration and its data. Clones share the data.
#[derive(Clone)]
pub struct Installation {
    program: PathBuf,
    data_dir: PathBuf,
    variables: Vec<(String, String)>,
    started: Arc<AtomicUsize>,
    directory: Arc<TempDir>,
}

/// A running server, killed when it is dropped.
pub struct Server {
    address: SocketAddr,
    url: String,
    child: Child,
    client: Client,
    output: Arc<Output>,
    stderr_reader: Option<thread::JoinHandle<()>>,
    /// Data and log stay for as long as the server needs them.
    _directory: Arc<TempDir>,
}

/// A process that has ended.
#[derive(Debug)]
pub struct Finished {
    /// How it ended.
    pub status: ExitStatus,
    /// What it printed to standard output.
    pub stdout: String,
    /// What it printed to standard error.
    pub stderr: String,
}

/// What a login gave.
#[derive(Clone, Debug)]
pub struct Tokens {
    /// The access token.
    pub access: String,
    /// The refresh token.
    pub refresh: String,
}

struct Output {
    log: PathBuf,
    stderr: Mutex<String>,
    secrets: Mutex<BTreeSet<String>>,
}

impl Installation {
    /// An installation of `program` that has never run, on an empty database.
    pub async fn new(program: &str, backend: Backend) -> Self {
        let installation = Self::without_database(program);
        match backend {
            Backend::Sqlite => installation,
            Backend::Postgres => {
                let url = TestPostgres::from_environment().create_database().await;
                installation.with("CRYPTOPAY_DATABASE_URL", &url)
            }
        }
    }

    /// The same, on embedded SQLite in its data directory, the default.
    #[must_use]
    pub fn without_database(program: &str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let data_dir = directory.path().join("data");
        let installation = Self {
            program: PathBuf::from(program),
            data_dir,
            variables: Vec::new(),
            started: Arc::default(),
            directory: Arc::new(directory),
        };
        installation.with("CRYPTOPAY_LISTEN", "127.0.0.1:0")
    }

    /// The same installation under another configuration.
    #[must_use]
    pub fn with(mut self, variable: &str, value: &str) -> Self {
        self.variables.retain(|(name, _)| name != variable);
        self.variables.push((variable.to_owned(), value.to_owned()));
        self
    }

    /// What a variable of its configuration is.
    #[must_use]
    pub fn variable(&self, variable: &str) -> Option<&str> {
        self.variables.iter().find(|(name, _)| name == variable).map(|(_, value)| value.as_str())
    }

    /// The same with its database outside of its data directory, so that another one can share it.
    #[must_use]
    pub fn with_database_outside(self) -> Self {
        if self.variable("CRYPTOPAY_DATABASE_URL").is_some() {
            return self;
        }
        let url = format!("sqlite://{}", self.directory.path().join("shared.db").display());
        self.with("CRYPTOPAY_DATABASE_URL", &url)
    }

    /// The same database and configuration with a data directory of its own, which holds copies of the key
    /// files, if there are any yet.
    #[must_use]
    pub fn replica(&self) -> Self {
        let replica = self.with_other_data_dir();
        for name in ["signing-keys.json", "encryption-keys.json"] {
            let keys = self.data_dir.join(name);
            if keys.exists() {
                fs::create_dir_all(&replica.data_dir).expect("a data directory");
                fs::copy(keys, replica.data_dir.join(name)).expect("a copy of the keys");
            }
        }
        replica
    }

    /// The same database and configuration with a data directory of its own, which does not exist yet.
    #[must_use]
    pub fn with_other_data_dir(&self) -> Self {
        let data_dir =
            self.directory.path().join(format!("data-{}", self.started.fetch_add(1, Ordering::Relaxed)));
        Self { data_dir, ..self.clone() }
    }

    /// The same with a data directory of the test's choice.
    #[must_use]
    pub fn with_data_dir(self, data_dir: PathBuf) -> Self {
        Self { data_dir, ..self }
    }

    /// Where it keeps keys and the embedded database.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// A directory for the test's own files, which goes away with the installation.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Writes a file that its owner alone may read, and gives its path.
    #[must_use]
    pub fn secret_file(&self, name: &str, content: &str) -> String {
        let path = self.directory.path().join(name);
        fs::write(&path, content).expect("a file");
        fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("permissions");
        path.to_string_lossy().into_owned()
    }

    /// Its database, opened beside the program.
    #[must_use]
    pub fn store(&self) -> Store {
        let url = match self.variable("CRYPTOPAY_DATABASE_URL") {
            Some(url) => DatabaseUrl::parse(url).expect("a database URL"),
            None => DatabaseUrl::Sqlite(self.data_dir.join("cryptopay.db")),
        };
        let config = StoreConfig { connections: 2, readers: 1 };
        Store::open(&url, config, Handle::current()).expect("the store opens")
    }

    /// A process of the program that knows nothing but this installation's configuration.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("CRYPTOPAY_") {
                command.env_remove(name);
            }
        }
        if self.variable("CRYPTOPAY_ENVIRONMENT") != Some("production") {
            // Tests send as fast as they can. Production insists on limits.
            command.env("CRYPTOPAY_RATE_LIMITS", "off");
        }
        command
            .args(arguments)
            .env("CRYPTOPAY_DATA_DIR", &self.data_dir)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .current_dir(self.directory.path())
            .stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub async fn run(&self, arguments: &[&str]) -> Finished {
        self.run_with_input(arguments, "").await
    }

    /// Runs a command to its end, with `input` as its standard input.
    pub async fn run_with_input(&self, arguments: &[&str], input: &str) -> Finished {
        let mut command = self.command(arguments);
        let input = input.to_owned();
        let run = move || {
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut child = command.spawn().expect("the program runs");
            // A command that needs no input may have ended already.
            drop(child.stdin.take().expect("a pipe").write_all(input.as_bytes()));
            let output = child.wait_with_output().expect("the program ends");
            Finished {
                status: output.status,
                stdout: String::from_utf8(output.stdout).expect("text"),
                stderr: String::from_utf8(output.stderr).expect("text"),
            }
        };
        let running = tokio::task::spawn_blocking(run);
        tokio::time::timeout(PATIENCE, running).await.expect("the command ends").expect("it ran")
    }

    /// Starts the server and waits until it is ready.
    pub async fn serve(&self) -> Server {
        self.serve_by(&["serve"]).await
    }

    /// Starts the server with these arguments and waits until it is ready.
    pub async fn serve_by(&self, arguments: &[&str]) -> Server {
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        let log = self.data_dir.with_extension(format!("{number}.log"));
        let mut command = self.command(arguments);
        command.stdout(File::create(&log).expect("a log file")).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program runs");
        let output = Arc::new(Output { log, stderr: Mutex::default(), secrets: Mutex::default() });
        let stderr = child.stderr.take().expect("a pipe");
        let (found, address) = mpsc::channel();
        let reading = Arc::clone(&output);
        let reader = thread::spawn(move || reading.read_stderr(stderr, &found));
        let waiting = tokio::task::spawn_blocking(move || address.recv_timeout(PATIENCE));
        let Ok(address) = waiting.await.expect("it ran") else {
            drop(child.kill());
            drop(child.wait());
            panic!("the server did not start: {}", output.everything());
        };
        let (url, client) = match self.variable("CRYPTOPAY_TLS_CERTIFICATE_FILE") {
            None => (format!("http://{address}"), client()),
            Some(certificate) => {
                let pem = std::fs::read(certificate).expect("the certificate");
                (format!("https://localhost:{}", address.port()), client_trusting(&pem))
            }
        };
        let directory = Arc::clone(&self.directory);
        let stderr_reader = Some(reader);
        let server = Server { address, url, child, client, output, stderr_reader, _directory: directory };
        // Not `eventually`: starts run side by side on several threads, which its closure cannot.
        let began = Instant::now();
        while server.get("/readyz", "").await.status != 200 {
            assert!(began.elapsed() < PATIENCE, "the server is not ready: {}", server.output.everything());
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
        server
    }
}

impl Server {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process.
    #[must_use]
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// What it has logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(&self.output.log).expect("the log")
    }

    /// Remembers a secret that came or went by another way than this, to be looked for in the log.
    pub fn keep_secret(&self, secret: &str) {
        self.output.keep_secret(secret);
    }

    /// What it has printed to standard error so far.
    #[must_use]
    pub fn banner(&self) -> String {
        self.output.stderr.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks for something, with a bearer credential unless it is empty.
    pub async fn get(&self, path: &str, bearer: &str) -> Answer {
        self.send("GET", path, bearer, None).await
    }

    /// Posts JSON, with a bearer credential unless it is empty.
    pub async fn post(&self, path: &str, bearer: &str, body: &Value) -> Answer {
        self.send("POST", path, bearer, Some(body)).await
    }

    /// Sends a request that has to be answered.
    pub async fn send(&self, method: &str, path: &str, bearer: &str, body: Option<&Value>) -> Answer {
        self.try_send(method, path, bearer, body).await.expect("an answer")
    }

    /// Sends a request, perhaps to a server that dies over it.
    ///
    /// # Errors
    /// When no whole answer comes.
    pub async fn try_send(
        &self,
        method: &str,
        path: &str,
        bearer: &str,
        body: Option<&Value>,
    ) -> Result<Answer, reqwest::Error> {
        let method = Method::from_str(method).expect("a method");
        let mut request = self.client.request(method, format!("{}{path}", self.url));
        if !bearer.is_empty() {
            self.output.keep_secret(bearer);
            request = request.bearer_auth(bearer);
        }
        if let Some(body) = body {
            self.output.keep_secrets_of(body);
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.bytes().await?.to_vec();
        if let Ok(json) = serde_json::from_slice(&body) {
            self.output.keep_secrets_of(&json);
        }
        Ok(Answer { status, headers, body })
    }

    /// Registers a merchant whose password is [`PASSWORD`].
    pub async fn register(&self, username: &str) {
        let email = format!("{username}@example.com");
        let body = json!({
            "username": username, "email": email, "password": PASSWORD, "shop_name": "Test Shop",
        });
        let answer = self.post("/api/auth/register", "", &body).await;
        assert_eq!(answer.verdict(), "201");
    }

    /// Logs a merchant in with [`PASSWORD`].
    pub async fn login(&self, username: &str) -> Tokens {
        let body = json!({"username": username, "password": PASSWORD});
        let answer = self.post("/api/auth/login", "", &body).await;
        assert_eq!(answer.verdict(), "200");
        Tokens::read(&answer.json())
    }

    /// Refreshes, successfully.
    pub async fn refresh(&self, tokens: &Tokens) -> Tokens {
        let body = json!({"refresh": tokens.refresh});
        let answer = self.post("/api/auth/token/refresh", "", &body).await;
        assert_eq!(answer.verdict(), "200");
        Tokens::read(&answer.json())
    }

    /// Makes an API key with these permissions: its identifier and the key itself.
    pub async fn create_api_key(&self, bearer: &str, permissions: &[&str]) -> (String, String) {
        let body = json!({"name": "test", "permissions": permissions, "expires_at": null});
        let answer = self.post("/api/auth/api-keys", bearer, &body).await;
        assert_eq!(answer.verdict(), "201");
        let key = answer.json();
        let text = |field: &str| key[field].as_str().expect("text").to_owned();
        (text("id"), text("key"))
    }

    /// What `verify` says of a credential, such as `200` or `401 INVALID_TOKEN`.
    pub async fn verify(&self, bearer: &str) -> String {
        self.get("/api/auth/verify", bearer).await.verdict()
    }

    /// Sends a signal and goes on.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("the server runs");
    }

    /// Tells the server to stop, and waits until it has.
    pub async fn stop(self) -> Finished {
        self.signal(Signal::TERM);
        self.finished().await
    }

    /// Kills the server as a power cut would.
    pub async fn kill(self) -> Finished {
        self.signal(Signal::KILL);
        self.finished().await
    }

    /// Waits until the server has stopped by itself.
    pub async fn finished(mut self) -> Finished {
        let mut status = None;
        eventually("the server stops", async || {
            status = self.child.try_wait().expect("a child");
            status.is_some()
        })
        .await;
        if let Some(reader) = self.stderr_reader.take() {
            reader.join().expect("the reader ends");
        }
        Finished { status: status.expect("it has ended"), stdout: self.log(), stderr: self.banner() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only for a server that has ended.
        drop(self.child.kill());
        drop(self.child.wait());
        if let Some(reader) = self.stderr_reader.take() {
            drop(reader.join());
        }
        if !thread::panicking() {
            self.output.assert_without_secrets();
        }
    }
}

impl Tokens {
    fn read(body: &Value) -> Self {
        let text = |field: &str| body[field].as_str().expect("a token").to_owned();
        Self { access: text("access"), refresh: text("refresh") }
    }
}

impl Finished {
    /// Standard output of a command that has to succeed.
    #[track_caller]
    pub fn success(self) -> String {
        assert!(self.status.success(), "{self:?}");
        self.stdout
    }

    /// Standard error of a command that has to fail, and fail by saying so: neither by a panic nor a signal.
    #[must_use]
    #[track_caller]
    pub fn failure(self) -> String {
        assert!(matches!(self.status.code(), Some(1 | 2)), "{self:?}");
        assert!(!self.stderr.contains("panicked"), "{self:?}");
        self.stderr
    }
}

impl Output {
    fn read_stderr(&self, stderr: ChildStderr, address: &Sender<SocketAddr>) {
        let mut lines = BufReader::new(stderr);
        let mut line = String::new();
        while lines.read_line(&mut line).is_ok_and(|read| read > 0) {
            // The whole banner is there by the time the caller learns the address.
            let mut text = self.stderr.lock().unwrap_or_else(PoisonError::into_inner);
            text.push_str(&line);
            let url = line.split_once("open http").and_then(|(_, url)| url.split_once("://"));
            let found = url.map(|(_, address)| address.split('/').next()?.parse().ok());
            if let Some(found) = found.flatten() {
                // Nobody waits any more when a start took too long.
                let _ = address.send(found);
            }
            line.clear();
        }
        let mut rest = String::new();
        drop(lines.read_to_string(&mut rest));
    }

    fn keep_secret(&self, secret: &str) {
        // Shorter ones stand in the log by accident.
        if secret.len() >= 8 {
            self.secrets.lock().unwrap_or_else(PoisonError::into_inner).insert(secret.to_owned());
        }
    }

    fn keep_secrets_of(&self, body: &Value) {
        for field in SECRET_FIELDS {
            if let Some(secret) = body[field].as_str() {
                self.keep_secret(secret);
            }
        }
    }

    fn everything(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        log + &self.stderr.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn assert_without_secrets(&self) {
        let everything = self.everything();
        for secret in &*self.secrets.lock().unwrap_or_else(PoisonError::into_inner) {
            assert!(!everything.contains(secret), "the server printed {secret}");
        }
        assert!(!everything.contains("k4.secret"), "the server printed a signing key");
        assert!(!everything.contains("k4.local"), "the server printed an encryption key");
        assert!(!everything.contains("panicked"), "the server panicked: {everything}");
    }
}

/// Waits until `condition` holds.
///
/// # Panics
/// When it does not within a minute.
pub async fn eventually(what: &str, condition: impl AsyncFnMut() -> bool) {
    let took = time_until(what, PATIENCE, condition).await;
    assert!(took < PATIENCE, "{what}");
}

/// Waits until `condition` holds, and tells how long that took.
///
/// # Panics
/// When it takes longer than `patience`.
pub async fn time_until(
    what: &str,
    patience: Duration,
    mut condition: impl AsyncFnMut() -> bool,
) -> Duration {
    let began = Instant::now();
    while !condition().await {
        assert!(began.elapsed() < patience, "not within {patience:?}: {what}");
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
    began.elapsed()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output_after(log: &str) -> (TempDir, Output) {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("log");
        fs::write(&path, log).expect("a log");
        let output = Output { log: path, stderr: Mutex::default(), secrets: Mutex::default() };
        output.keep_secrets_of(&json!({"key": "cp_test_0123456789", "name": "a-name-of-a-key"}));
        (directory, output)
    }

    #[test]
    fn names_may_be_logged() {
        output_after("created a-name-of-a-key").1.assert_without_secrets();
    }

    #[test]
    #[should_panic(expected = "the server printed cp_test_0123456789")]
    fn a_secret_in_the_log_fails_the_test() {
        output_after("created cp_test_0123456789").1.assert_without_secrets();
    }
}
