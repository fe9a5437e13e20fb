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
use std::time::{Duration, Instant};

use diesel::connection::{AnsiTransactionManager, SimpleConnection};
use diesel::result::{DatabaseErrorKind, Error as DieselError};
use diesel::{Connection, SqliteConnection};
use diesel_async::sync_connection_wrapper::{SpawnBlocking, SyncConnectionWrapper};
use diesel_async::{AsyncConnection, TransactionManager};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use tokio::sync::oneshot;

use crate::StoreError;

/// How many writes may share a commit.
const GROUP: usize = 64;
/// How long another process's lock is waited for.
const BUSY: Duration = Duration::from_secs(5);
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
/// of power and not only of the process. Mapping the file, as far as SQLite does (2 GiB), spares a read of each page
/// that is not in the cache: what a lookup costs among a million rows, which take 600 MiB.
pub(crate) fn connect_blocking(path: &str) -> Result<SqliteConnection, StoreError> {
    const SETUP: &str = "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
                         PRAGMA foreign_keys = ON; PRAGMA cache_size = -4096; PRAGMA mmap_size = 2147418112; \
                         PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF;";
    let unusable = |error: &dyn Error| StoreError::Connection(format!("{path}: {error}"));
    let mut connection = SqliteConnection::establish(path).map_err(|error| unusable(&error))?;
    // A new file is turned to WAL under an exclusive lock, for which SQLite does not wait: another process that
    // starts at the same moment is through in a few milliseconds.
    let give_up_at = Instant::now() + BUSY;
    loop {
        match connection.batch_execute(SETUP) {
            Err(error) if is_locked(&error) && Instant::now() < give_up_at => thread::sleep(BUSY / 500),
            tried => return tried.map(|()| connection).map_err(|error| unusable(&error)),
        }
    }
}

/// Diesel has no kind for it: `sqlite3_errmsg` of `SQLITE_BUSY`.
fn is_locked(error: &DieselError) -> bool {
    matches!(error, DieselError::DatabaseError(_, information) if information.message() == "database is locked")
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

/// Runs the waiting writes in one transaction and answers all of them when its outcome is known: a refusal,
/// too, may rest on what another write of the group has done.
fn commit_group(mut group: Vec<Job>, connection: &mut SqliteConn) {
    let outcome = begin_immediate(connection).and_then(|()| run_group(&mut group, connection));
    let failure = match outcome {
        Ok(true) => now(Manager::commit_transaction(connection)).err().as_ref().map(unknown_commit),
        Ok(false) => {
            let _ = now(Manager::rollback_transaction(connection));
            None
        }
        Err(error) => Some(nothing_written(&error)),
    };
    for job in group {
        job.answer(failure.as_ref().map(|failure| failure()));
    }
}

/// Runs each write of a group under a savepoint of its own, and tells whether there is anything to commit.
///
/// It stops at the first savepoint that fails. SQLite rolls the whole transaction back by itself after some
/// failures (a full disk); the next savepoint would then begin, and its release commit, another one.
fn run_group(group: &mut [Job], connection: &mut SqliteConn) -> Result<bool, DieselError> {
    // A write that is alone needs no savepoint.
    if let [job] = group {
        return Ok(run(job, connection));
    }
    let mut any = false;
    for job in group {
        now(Manager::begin_transaction(connection))?;
        if run(job, connection) {
            now(Manager::commit_transaction(connection))?;
            any = true;
        } else {
            now(Manager::rollback_transaction(connection))?;
        }
    }
    Ok(any)
}

/// Makes an error for each write of a group.
type Failure = Box<dyn Fn() -> StoreError>;

fn nothing_written(error: &DieselError) -> Failure {
    let text = error.to_string();
    Box::new(move || StoreError::Connection(text.clone()))
}

/// When the disk fails in the middle of a commit, what it holds is known only when it is read again.
fn unknown_commit(error: &DieselError) -> Failure {
    let text = error.to_string();
    Box::new(move || {
        let information = Box::new(text.clone());
        StoreError::CommitUnknown(DieselError::DatabaseError(DatabaseErrorKind::Unknown, information))
    })
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

#[cfg(test)]
mod tests {
    use diesel::QueryableByName;
    use diesel::sql_types::{BigInt, Text};
    use diesel_async::RunQueryDsl;

    use super::*;

    #[derive(QueryableByName, Debug, PartialEq, Eq)]
    struct Pragmas {
        #[diesel(sql_type = BigInt)]
        synchronous: i64,
        #[diesel(sql_type = Text)]
        journal_mode: String,
        #[diesel(sql_type = BigInt)]
        foreign_keys: i64,
        #[diesel(sql_type = BigInt)]
        busy_timeout: i64,
    }

    fn pragmas(connection: &mut SqliteConn) -> BoxFuture<'_, Result<Pragmas, StoreError>> {
        let query = diesel::sql_query(
            "SELECT synchronous, journal_mode, foreign_keys, timeout AS busy_timeout FROM \
             pragma_synchronous, pragma_journal_mode, pragma_foreign_keys, pragma_busy_timeout",
        );
        async move { Ok(query.get_result(connection).await?) }.boxed()
    }

    #[tokio::test]
    async fn every_live_connection_is_durable_and_checks_foreign_keys() {
        let directory = tempfile::tempdir().unwrap();
        let pool = SqlitePool::open(&directory.path().join("test.db"), 1).unwrap();
        let expected = Pragmas {
            synchronous: 2, // FULL
            journal_mode: "wal".to_owned(),
            foreign_keys: 1,
            busy_timeout: 5000,
        };
        assert_eq!(pool.write(|connection| pragmas(connection)).await.unwrap(), expected);
        assert_eq!(pool.read(|connection| pragmas(connection)).await.unwrap(), expected);
    }

    #[test]
    fn a_new_file_is_opened_by_many_at_once() {
        for _ in 0..20 {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("test.db").to_string_lossy().into_owned();
            let together = std::sync::Barrier::new(4);
            thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        together.wait();
                        connect_blocking(&path).unwrap();
                    });
                }
            });
        }
    }

    /// Hands a whole group to the writer at once, and gives the answers.
    fn commit_together(connection: &mut SqliteConn, statements: &[&'static str]) -> Vec<Option<StoreError>> {
        let mut group: Vec<Job> = Vec::new();
        let mut answers = Vec::new();
        for sql in statements.iter().copied() {
            let (caller, answer) = oneshot::channel();
            group.push(pending(caller, move |connection| {
                async move { Ok(diesel::sql_query(sql).execute(connection).await?) }.boxed()
            }));
            answers.push(answer);
        }
        commit_group(group, connection);
        answers.into_iter().map(|mut answer| answer.try_recv().expect("it is answered").err()).collect()
    }

    fn pending<T, F>(caller: oneshot::Sender<Result<T, StoreError>>, operation: F) -> Job
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConn) -> BoxFuture<'c, Result<T, StoreError>> + Send + 'static,
    {
        Box::new(Pending { operation: Some(operation), result: Err(StoreError::Closed), caller })
    }

    #[test]
    fn a_group_whose_transaction_was_lost_writes_nothing_and_says_so_to_all() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("test.db").to_string_lossy().into_owned();
        let mut connection = connect(&path).unwrap();
        let made = commit_together(&mut connection, &["CREATE TABLE notes (text TEXT UNIQUE)"]);
        assert!(made[0].is_none(), "{made:?}");

        // The second rolls everything back, as SQLite itself does when the disk is full.
        let answers = commit_together(
            &mut connection,
            &[
                "INSERT INTO notes VALUES ('before')",
                "INSERT OR ROLLBACK INTO notes VALUES ('before')",
                "INSERT INTO notes VALUES ('after')",
            ],
        );
        assert!(answers.iter().all(|answer| answer.as_ref().is_some_and(StoreError::is_unavailable)));
        heal(&mut connection, &path);

        let mut beside = connect(&path).unwrap();
        let left = commit_together(&mut beside, &["INSERT INTO notes VALUES ('before'), ('after')"]);
        assert!(left[0].is_none(), "something was written: {left:?}");
        let healed =
            commit_together(&mut connection, &["DELETE FROM notes", "INSERT INTO notes VALUES ('x')"]);
        assert!(healed.iter().all(Option::is_none), "{healed:?}");
    }
}
