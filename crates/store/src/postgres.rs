//! PostgreSQL: a pool, and operations that run to their end whoever stops waiting.

use std::time::Duration;

use deadpool::Runtime;
use diesel_async::pooled_connection::deadpool::{Object, Pool};
use diesel_async::pooled_connection::{AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod};
use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection, TransactionManager};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::runtime::Handle;

use crate::StoreError;

/// A connection that queries run on.
pub(crate) type PgConn = AsyncPgConnection;
type Manager = <PgConn as AsyncConnection>::TransactionManager;

/// How long an operation waits for a connection.
const POOL_DEADLINE: Duration = Duration::from_secs(3);
/// What each connection is told first: a statement that hangs, or a transaction whose owner does, gives way;
/// an acknowledged commit is on the disk whatever the server's default.
const SETUP: &str = "SET statement_timeout = '10s'; SET idle_in_transaction_session_timeout = '20s'; \
                     SET synchronous_commit = on; SET application_name = 'cryptopay';";

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
                let mut connection = PgConn::establish(url).await?;
                connection
                    .batch_execute(SETUP)
                    .await
                    .map_err(diesel::ConnectionError::CouldntSetupConfiguration)?;
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

async fn get(pool: &Pool<PgConn>) -> Result<Object<PgConn>, StoreError> {
    pool.get().await.map_err(|error| StoreError::Connection(error.to_string()))
}

async fn transact<T, F>(connection: &mut PgConn, operation: F) -> Result<T, StoreError>
where
    F: for<'c> FnOnce(&'c mut PgConn) -> BoxFuture<'c, Result<T, StoreError>>,
{
    Manager::begin_transaction(connection).await?;
    match operation(connection).await {
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
