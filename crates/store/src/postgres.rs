//! PostgreSQL: a pool, and operations that run to their end whoever stops waiting.

use std::error::Error;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use deadpool::Runtime;
use diesel::{ConnectionError, ConnectionResult};
use diesel_async::pooled_connection::deadpool::{Object, Pool};
use diesel_async::pooled_connection::{AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod};
use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection, TransactionManager};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::runtime::Handle;
use tokio_postgres::{Config, NoTls};

use crate::StoreError;

/// A connection that queries run on.
pub(crate) type PgConn = AsyncPgConnection;
type Manager = <PgConn as AsyncConnection>::TransactionManager;

/// How long an operation waits for a connection.
const POOL_DEADLINE: Duration = Duration::from_secs(3);
/// How long a peer may leave data unacknowledged, or a connection be idle before the peer is asked.
const SILENCE: Duration = Duration::from_secs(15);
/// What each connection is told first: a statement that hangs, or a transaction whose owner does, gives way;
/// an acknowledged commit is on the disk whatever the server's default.
///
/// A plan is kept for as long as its statement stays prepared, and so are those that check foreign keys
/// (`plan_cache_mode`). One that was made while a table was nearly empty would go on reading all of it until its
/// statistics are renewed, so whatever an index serves is served by it. What that makes the planner believe of the costs
/// would have every statement without one compiled, which takes a hundred times as long as to run it.
const SETUP: &str = "SET statement_timeout = '10s'; SET idle_in_transaction_session_timeout = '20s'; \
                     SET synchronous_commit = on; SET application_name = 'cryptopay'; \
                     SET enable_seqscan = off; SET jit = off;";

/// The pool and the runtime that operations run on.
pub(crate) struct PostgresPool {
    pool: Pool<PgConn>,
    runtime: Handle,
}

impl PostgresPool {
    /// Makes the pool; connections are opened when they are needed.
    pub(crate) fn new(url: &str, connections: usize, runtime: Handle) -> Result<Self, StoreError> {
        let mut config = ManagerConfig::<PgConn>::default();
        config.custom_setup = Box::new(|url| {
            async move {
                let mut connection = connect(url).await?;
                connection.batch_execute(SETUP).await.map_err(ConnectionError::CouldntSetupConfiguration)?;
                Ok(connection)
            }
            .boxed()
        });
        // A connection whose socket has closed is noticed without asking the server each time.
        config.recycling_method = RecyclingMethod::Fast;
        let manager = AsyncDieselConnectionManager::new_with_config(url, config);
        let pool = Pool::builder(manager)
            .max_size(connections)
            .wait_timeout(Some(POOL_DEADLINE))
            .create_timeout(Some(POOL_DEADLINE))
            .recycle_timeout(Some(POOL_DEADLINE))
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| StoreError::Connection(error.to_string()))?;
        Ok(Self { pool, runtime })
    }

    /// Runs a query that changes nothing.
    pub(crate) async fn read<T, F>(&self, operation: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut PgConn) -> BoxFuture<'c, Result<T, StoreError>> + Send + 'static,
    {
        let pool = self.pool.clone();
        self.to_the_end(async move { operation(&mut *get(&pool).await?).await }).await
    }

    /// Runs a write in a transaction and answers after its commit.
    pub(crate) async fn write<T, F>(&self, operation: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut PgConn) -> BoxFuture<'c, Result<T, StoreError>> + Send + 'static,
    {
        let pool = self.pool.clone();
        self.to_the_end(async move { transact(&mut *get(&pool).await?, operation).await }).await
    }

    /// Dropping a query half-way would leave its connection in an unknown state, so it runs as a task.
    async fn to_the_end<T: Send + 'static>(
        &self,
        operation: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.runtime.spawn(operation).await.map_err(|_| StoreError::Closed)?
    }
}

/// Opens a connection.
///
/// A network that has gone silent is noticed in seconds. By default TCP takes a quarter of an hour for it, and
/// hours if nothing was being sent, during which the pool would be full of dead connections.
pub(crate) async fn connect(url: &str) -> ConnectionResult<PgConn> {
    let bad = |error: tokio_postgres::Error| ConnectionError::BadConnection(chain(&error));
    let mut config: Config = url.parse().map_err(bad)?;
    config.tcp_user_timeout(SILENCE).keepalives(true).keepalives_idle(SILENCE);
    config.keepalives_interval(SILENCE / 3).keepalives_retries(3);
    let (client, connection) = config.connect(NoTls).await.map_err(bad)?;
    PgConn::try_from_client_and_connection(client, connection).await
}

/// An error and its causes: the driver's own text does not go on to tell them.
fn chain(error: &dyn Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {}", chain(cause)),
        None => error.to_string(),
    }
}

async fn get(pool: &Pool<PgConn>) -> Result<Object<PgConn>, StoreError> {
    pool.get().await.map_err(|error| StoreError::Connection(error.to_string()))
}

async fn transact<T, F>(connection: &mut PgConn, operation: F) -> Result<T, StoreError>
where
    F: for<'c> FnOnce(&'c mut PgConn) -> BoxFuture<'c, Result<T, StoreError>>,
{
    Manager::begin_transaction(connection).await?;
    // After a panic, too, the transaction ends at once: in the pool it would go on holding its locks.
    let outcome = AssertUnwindSafe(operation(connection)).catch_unwind().await.unwrap_or_else(|_| {
        tracing::error!("a store operation panicked");
        Err(StoreError::Closed)
    });
    match outcome {
        Ok(value) => {
            Manager::commit_transaction(connection).await.map_err(StoreError::CommitUnknown)?;
            Ok(value)
        }
        Err(error) => {
            // A connection that cannot even roll back is broken, and the pool drops it.
            let _ = Manager::rollback_transaction(connection).await;
            Err(error)
        }
    }
}

#[cfg(test)]
mod tests {
    use cryptopay_testkit::postgres::TestPostgres;
    use diesel::QueryableByName;
    use diesel::sql_types::Text;
    use diesel_async::RunQueryDsl;

    use super::*;

    #[derive(QueryableByName, Debug, PartialEq, Eq)]
    struct Settings {
        #[diesel(sql_type = Text)]
        synchronous_commit: String,
        #[diesel(sql_type = Text)]
        statement_timeout: String,
        #[diesel(sql_type = Text)]
        enable_seqscan: String,
        #[diesel(sql_type = Text)]
        jit: String,
    }

    #[tokio::test]
    async fn every_live_connection_commits_to_the_disk_gives_up_in_time_and_uses_indexes() {
        let url = TestPostgres::from_environment().create_database().await;
        let pool = PostgresPool::new(&url, 1, Handle::current()).unwrap();
        let settings = pool.read(|connection| {
            let query = diesel::sql_query(
                "SELECT current_setting('synchronous_commit') AS synchronous_commit, \
                 current_setting('statement_timeout') AS statement_timeout, \
                 current_setting('enable_seqscan') AS enable_seqscan, current_setting('jit') AS jit",
            );
            async move { Ok(query.get_result::<Settings>(connection).await?) }.boxed()
        });
        let [synchronous_commit, statement_timeout, enable_seqscan, jit] =
            ["on", "10s", "off", "off"].map(str::to_owned);
        let expected = Settings { synchronous_commit, statement_timeout, enable_seqscan, jit };
        assert_eq!(settings.await.unwrap(), expected);
    }
}
