//! The store: one of two databases behind one set of operations.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cryptopay_domain::Timestamp;
use diesel::migration::{Migration, MigrationSource};
use diesel_async::{AsyncMigrationHarness, RunQueryDsl};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use tokio::runtime::Handle;

use crate::database_url::DatabaseUrl;
use crate::error::StoreError;
use crate::moment::{At, Moment};
use crate::postgres::{self, PgConn, PostgresPool};
use crate::sqlite::{SqlitePool, connect_blocking};

/// The SQLite migrations, embedded.
pub const SQLITE_MIGRATIONS: EmbeddedMigrations = embed_migrations!("../../migrations/sqlite");
/// The PostgreSQL migrations, embedded.
pub const POSTGRES_MIGRATIONS: EmbeddedMigrations = embed_migrations!("../../migrations/postgres");

/// How long a caller waits for the database before it is told that it is out of reach. The operation itself
/// still runs to its end.
const DEADLINE: Duration = Duration::from_secs(12);

/// How many connections a store may hold.
#[derive(Clone, Copy, Debug)]
pub struct StoreConfig {
    /// Connections to PostgreSQL.
    pub connections: usize,
    /// Reading connections to SQLite, beside its one writer.
    pub readers: usize,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self { connections: 16, readers: 4 }
    }
}

/// The store. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    pub(crate) backend: Arc<Backend>,
}

pub(crate) enum Backend {
    Sqlite(SqlitePool),
    Postgres(PostgresPool),
}

impl Store {
    /// Opens a store whose schema is up to date. PostgreSQL operations run as tasks of `runtime`, which has
    /// to outlive the callers: a vanished caller never stops a query half-way.
    ///
    /// # Errors
    /// [`StoreError::Connection`] when a SQLite file cannot be opened; PostgreSQL is first asked at first use.
    pub fn open(url: &DatabaseUrl, config: StoreConfig, runtime: Handle) -> Result<Self, StoreError> {
        let backend = match url {
            DatabaseUrl::Sqlite(path) => Backend::Sqlite(SqlitePool::open(path, config.readers)?),
            DatabaseUrl::Postgres(url) => {
                Backend::Postgres(PostgresPool::new(url, config.connections, runtime)?)
            }
        };
        Ok(Self { backend: Arc::new(backend) })
    }

    /// Brings the schema up to date and tells which migrations were run. Replicas that start at once take
    /// turns. Needs a multi-thread runtime.
    ///
    /// # Errors
    /// [`StoreError::Connection`] when the database cannot be reached, [`StoreError::Migration`] when a
    /// migration fails.
    pub async fn migrate(url: &DatabaseUrl) -> Result<Vec<String>, StoreError> {
        match url {
            DatabaseUrl::Sqlite(path) => migrate_sqlite(path),
            DatabaseUrl::Postgres(url) => migrate_postgres(url).await,
        }
    }

    /// The migrations that [`Store::migrate`] would run.
    ///
    /// # Errors
    /// As [`Store::migrate`].
    pub async fn pending_migrations(url: &DatabaseUrl) -> Result<Vec<String>, StoreError> {
        match url {
            DatabaseUrl::Sqlite(path) => {
                let mut connection = connect_blocking(&path.to_string_lossy())?;
                pending(&mut connection, SQLITE_MIGRATIONS)
            }
            DatabaseUrl::Postgres(url) => {
                let mut harness = AsyncMigrationHarness::new(connect_postgres(url).await?);
                pending(&mut harness, POSTGRES_MIGRATIONS)
            }
        }
    }

    /// What a database server's own clock shows, for comparing alone; `None` when there is no server.
    ///
    /// # Errors
    /// [`StoreError`] when it does not answer.
    pub async fn server_clock(&self) -> Result<Option<Timestamp>, StoreError> {
        if matches!(&*self.backend, Backend::Sqlite(_)) {
            return Ok(None);
        }
        let shown: At = reading!(self, |conn| {
            let clock = diesel::dsl::sql::<Moment>("clock_timestamp()");
            Ok(diesel::select(clock).get_result(conn).await?)
        })?;
        Ok(Some(shown.0))
    }

    /// Touches the database.
    ///
    /// # Errors
    /// [`StoreError`] when it does not answer.
    pub async fn ping(&self) -> Result<(), StoreError> {
        reading!(self, |conn| {
            diesel::select(diesel::dsl::sql::<diesel::sql_types::Integer>("1")).execute(conn).await?;
            Ok(())
        })
    }

    /// Ends waiting with an error once the database has had its time.
    pub(crate) async fn within_deadline<T>(
        operation: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        tokio::time::timeout(DEADLINE, operation).await.unwrap_or(Err(StoreError::Deadline(DEADLINE)))
    }
}

fn migrate_sqlite(path: &Path) -> Result<Vec<String>, StoreError> {
    let mut connection = connect_blocking(&path.to_string_lossy())?;
    // The write lock is held throughout: a second process that starts at once waits and finds nothing to do.
    connection.exclusive_transaction(|connection| run_pending(connection, SQLITE_MIGRATIONS))
}

async fn migrate_postgres(url: &str) -> Result<Vec<String>, StoreError> {
    /// Any number that nothing else locks: "cryptopa" in ASCII.
    const LOCK: i64 = 0x6372_7970_746f_7061;
    let mut connection = connect_postgres(url).await?;
    diesel::sql_query("SELECT pg_advisory_lock($1)")
        .bind::<diesel::sql_types::BigInt, _>(LOCK)
        .execute(&mut connection)
        .await?;
    // The lock goes with the connection.
    let mut harness = AsyncMigrationHarness::new(connection);
    run_pending(&mut harness, POSTGRES_MIGRATIONS)
}

async fn connect_postgres(url: &str) -> Result<PgConn, StoreError> {
    tokio::time::timeout(DEADLINE, postgres::connect(url))
        .await
        .map_err(|_| StoreError::Deadline(DEADLINE))?
        .map_err(|error| StoreError::Connection(error.to_string()))
}

fn run_pending<DB: diesel::backend::Backend>(
    harness: &mut impl MigrationHarness<DB>,
    migrations: EmbeddedMigrations,
) -> Result<Vec<String>, StoreError>
where
    EmbeddedMigrations: MigrationSource<DB>,
{
    let pending = harness.pending_migrations(migrations).map_err(migration_error)?;
    harness.run_migrations(&pending).map_err(migration_error)?;
    Ok(names(&pending))
}

fn pending<DB: diesel::backend::Backend>(
    harness: &mut impl MigrationHarness<DB>,
    migrations: EmbeddedMigrations,
) -> Result<Vec<String>, StoreError>
where
    EmbeddedMigrations: MigrationSource<DB>,
{
    let pending = harness.pending_migrations(migrations).map_err(migration_error)?;
    Ok(names(&pending))
}

fn names<DB: diesel::backend::Backend>(migrations: &[Box<dyn Migration<DB>>]) -> Vec<String> {
    migrations.iter().map(|migration| migration.name().to_string()).collect()
}

#[expect(clippy::needless_pass_by_value, reason = "the shape `map_err` wants")]
fn migration_error(error: Box<dyn std::error::Error + Send + Sync>) -> StoreError {
    StoreError::Migration(error.to_string())
}
