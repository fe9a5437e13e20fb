//! SQLite: one writer that commits in groups, a few readers, each on a thread of its own.
//!
//! Diesel's SQLite connection blocks. Its async wrapper is given an executor that runs each statement in
//! place, and the threads here are where that place is: a store operation costs one hop to its thread,
//! whatever the number of its statements, and nothing is ever abandoned in mid-query.
//!
//! Writes that are waiting share one transaction, each under a savepoint of its own: one flush to the disk
//! serves all of them, one failure harms no other, and none is answered before the commit.

use std::error::Error;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use diesel::connection::{AnsiTransactionManager, SimpleConnection};
use diesel::result::Error as DieselError;
use diesel::{Connection, SqliteConnection};
use diesel_async::sync_connection_wrapper::{SpawnBlocking, SyncConnectionWrapper};
use diesel_async::{AsyncConnection, TransactionManager};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use tokio::sync::oneshot;

use crate::StoreError;

/// How many writes may share a commit.
const GROUP: usize = 64;
/// How many operations may wait for a thread before the store counts as overloaded.
const QUEUE: usize = 4096;

/// Runs each statement where it is awaited.
pub(crate) struct InPlace;

impl SpawnBlocking for InPlace {
    fn spawn_blocking<'a, R>(
        &mut self,
        task: impl FnOnce() -> R + Send + 'static,
    ) -> BoxFuture<'a, Result<R, Box<dyn Error + Send + Sync + 'static>>>
    where
        R: Send + 'static,
    {
        ready(Ok(task())).boxed()
    }

    fn get_runtime() -> Self {
        Self
    }
}

/// A connection that queries run on.
pub(crate) type SqliteConn = SyncConnectionWrapper<SqliteConnection, InPlace>;
type Manager = <SqliteConn as AsyncConnection>::TransactionManager;

/// An operation waiting for its thread.
trait Operation: Send {
    /// Runs it, keeping its result, and tells whether what it wrote is to be kept.
    fn run<'c>(&'c mut self, connection: &'c mut SqliteConn) -> BoxFuture<'c, bool>;

    /// Gives its caller the result, or `failure` in its stead.
    fn answer(self: Box<Self>, failure: Option<StoreError>);
}

type Job = Box<dyn Operation>;

struct Pending<T, F> {
    operation: Option<F>,
    result: Result<T, StoreError>,
    caller: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Operation for Pending<T, F>
where
    T: Send + 'static,
    F: for<'c> FnOnce(&'c mut SqliteConn) -> BoxFuture<'c, Result<T, StoreError>> + Send + 'static,
{
    fn run<'c>(&'c mut self, connection: &'c mut SqliteConn) -> BoxFuture<'c, bool> {
        async move {
            if let Some(operation) = self.operation.take() {
                self.result = operation(connection).await;
            }
            self.result.is_ok()
        }
        .boxed()
    }

    fn answer(self: Box<Self>, failure: Option<StoreError>) {
        // The caller may be gone; what was committed stays committed.
        let _ = self.caller.send(failure.map_or(self.result, Err));
    }
}

/// The threads that own the connections.
pub(crate) struct SqlitePool {
    write: SyncSender<Job>,
    read: SyncSender<Job>,
}

impl SqlitePool {
    /// Opens the database file, creating it if need be, and starts the threads.
    pub(crate) fn open(path: &Path, readers: usize) -> Result<Self, StoreError> {
        let path: Arc<str> = Arc::from(path.to_string_lossy().into_owned());
        let (write, writes) = sync_channel::<Job>(QUEUE);
        let (read, reads) = sync_channel::<Job>(QUEUE);
        // The writer first: it creates the file and turns WAL on.
        let writer = connect(&path)?;
        let spawned = |error: std::io::Error| StoreError::Connection(error.to_string());
        let writer_path = Arc::clone(&path);
        thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || write_loop(&writes, writer, &writer_path))
            .map_err(spawned)?;
        let reads = Arc::new(Mutex::new(reads));
        for number in 0..readers {
            let connection = connect(&path)?;
            let (reads, path) = (Arc::clone(&reads), Arc::clone(&path));
            thread::Builder::new()
                .name(format!("store-reader-{number}"))
                .spawn(move || read_loop(&reads, connection, &path))
                .map_err(spawned)?;
        }
        Ok(Self { write, read })
    }

    /// Runs a query that changes nothing.
    pub(crate) async fn read<T, F>(&self, operation: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConn) -> BoxFuture<'c, Result<T, StoreError>> + Send + 'static,
    {
        submit(&self.read, operation).await
    }

    /// Runs a write in a transaction and answers after its commit.
    pub(crate) async fn write<T, F>(&self, operation: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConn) -> BoxFuture<'c, Result<T, StoreError>> + Send + 'static,
    {
        submit(&self.write, operation).await
    }
}

async fn submit<T, F>(queue: &SyncSender<Job>, operation: F) -> Result<T, StoreError>
where
    T: Send + 'static,
    F: for<'c> FnOnce(&'c mut SqliteConn) -> BoxFuture<'c, Result<T, StoreError>> + Send + 'static,
{
    let (caller, answer) = oneshot::channel();
    let job = Pending { operation: Some(operation), result: Err(StoreError::Closed), caller };
    queue.try_send(Box::new(job)).map_err(|error| match error {
        TrySendError::Full(_) => StoreError::Connection("too many operations are waiting".to_owned()),
        TrySendError::Disconnected(_) => StoreError::Closed,
    })?;
    answer.await.map_err(|_| StoreError::Closed)?
}

/// Opens a blocking connection. WAL lets readers go on during a write; FULL makes a commit survive the loss
/// of power and not only of the process.
pub(crate) fn connect_blocking(path: &str) -> Result<SqliteConnection, StoreError> {
    let mut connection =
        SqliteConnection::establish(path).map_err(|error| StoreError::Connection(error.to_string()))?;
    connection.batch_execute(
        "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
         PRAGMA foreign_keys = ON; PRAGMA cache_size = -4096; PRAGMA temp_store = MEMORY; \
         PRAGMA trusted_schema = OFF;",
    )?;
    Ok(connection)
}

fn connect(path: &str) -> Result<SqliteConn, StoreError> {
    connect_blocking(path).map(SqliteConn::new)
}

fn read_loop(jobs: &Mutex<Receiver<Job>>, mut connection: SqliteConn, path: &str) {
    loop {
        let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(mut job) = next else { return };
        run(&mut job, &mut connection);
        job.answer(None);
        heal(&mut connection, path);
    }
}

fn write_loop(jobs: &Receiver<Job>, mut connection: SqliteConn, path: &str) {
    while let Ok(first) = jobs.recv() {
        let mut group = vec![first];
        group.extend(jobs.try_iter().take(GROUP - 1));
        commit_group(group, &mut connection);
        heal(&mut connection, path);
    }
}

/// Runs the waiting writes in one transaction and answers them when it is on the disk.
fn commit_group(group: Vec<Job>, connection: &mut SqliteConn) {
    if let Err(error) = begin_immediate(connection) {
        answer_all(group, Some(&error));
        return;
    }
    let alone = group.len() == 1;
    let mut kept = Vec::with_capacity(group.len());
    for mut job in group {
        // A nested transaction is a savepoint; a write that is alone needs none.
        let begun = alone || now(Manager::begin_transaction(connection)).is_ok();
        let keep = begun && run(&mut job, connection);
        if keep && (alone || now(Manager::commit_transaction(connection)).is_ok()) {
            kept.push(job);
        } else {
            if begun && !alone {
                let _ = now(Manager::rollback_transaction(connection));
            }
            job.answer(None);
        }
    }
    if kept.is_empty() {
        let _ = now(Manager::rollback_transaction(connection));
        return;
    }
    match now(Manager::commit_transaction(connection)) {
        Ok(()) => answer_all(kept, None),
        // SQLite's commit is atomic and local: when it fails, nothing was written.
        Err(error) => {
            let _ = now(Manager::rollback_transaction(connection));
            answer_all(kept, Some(&error));
        }
    }
}

fn answer_all(jobs: Vec<Job>, failure: Option<&DieselError>) {
    for job in jobs {
        job.answer(failure.map(|error| StoreError::Connection(error.to_string())));
    }
}

/// Takes the write lock at once, so that no transaction fails half-way because another one wrote.
fn begin_immediate(connection: &mut SqliteConn) -> Result<(), DieselError> {
    now(connection.spawn_blocking(|connection| {
        AnsiTransactionManager::begin_transaction_sql(connection, "BEGIN IMMEDIATE")
    }))
}

/// Runs one job, a panic included: its caller then sees a closed store.
fn run(job: &mut Job, connection: &mut SqliteConn) -> bool {
    let outcome = std::panic::catch_unwind(AssertUnwindSafe(|| job.run(connection).now_or_never()));
    match outcome {
        Ok(keep) => keep.unwrap_or(false),
        Err(_) => {
            tracing::error!("a store operation panicked");
            false
        }
    }
}

/// A connection left inside a transaction is replaced.
fn heal(connection: &mut SqliteConn, path: &str) {
    if Manager::is_broken_transaction_manager(connection) {
        match connect(path) {
            Ok(fresh) => *connection = fresh,
            Err(error) => tracing::error!(%error, "a database connection could not be replaced"),
        }
    }
}

/// The result of a future that never waits, because every statement runs in place.
fn now<T>(future: impl Future<Output = Result<T, DieselError>>) -> Result<T, DieselError> {
    future.now_or_never().unwrap_or(Err(DieselError::BrokenTransactionManager))
}
