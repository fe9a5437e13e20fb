//! A database of its own for every test, on either backend.

use std::sync::Arc;

use cryptopay_store::{DatabaseUrl, Store, StoreConfig};
use tempfile::TempDir;
use tokio::runtime::Handle;

use crate::postgres::TestPostgres;

/// Which database a test runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// Embedded SQLite, a file in a temporary directory.
    Sqlite,
    /// A fresh database in the cluster that the test command started.
    Postgres,
}

/// An empty database. A SQLite file goes away with it, a PostgreSQL one with its cluster. Clones are one database.
#[derive(Clone)]
pub struct TestDatabase {
    url: DatabaseUrl,
    directory: Arc<TempDir>,
}

impl TestDatabase {
    /// Makes an empty database.
    pub async fn create(backend: Backend) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let url = match backend {
            Backend::Sqlite => DatabaseUrl::Sqlite(directory.path().join("test.db")),
            Backend::Postgres => {
                DatabaseUrl::Postgres(TestPostgres::from_environment().create_database().await)
            }
        };
        Self { url, directory: Arc::new(directory) }
    }

    /// A database that is there already, such as one of a cluster that the test itself stops.
    #[must_use]
    pub fn at(url: DatabaseUrl) -> Self {
        Self { url, directory: Arc::new(tempfile::tempdir().expect("a temporary directory")) }
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> &DatabaseUrl {
        &self.url
    }

    /// A directory that lives as long as the database: for key files and the like.
    #[must_use]
    pub fn directory(&self) -> &std::path::Path {
        self.directory.path()
    }

    /// A store on it, its schema up to date. Each call makes a store of its own, like another replica.
    pub async fn open(&self) -> Store {
        Store::migrate(&self.url).await.expect("migrations run");
        let config = StoreConfig { connections: 8, readers: 2 };
        Store::open(&self.url, config, Handle::current()).expect("the store opens")
    }
}

/// Writes one test for each backend: `on_both_databases! { sentence => function; }`, where `function` takes a
/// [`Backend`], becomes `sentence::sqlite` and
/// `sentence::postgres`, each on a multi-thread runtime.
#[macro_export]
macro_rules! on_both_databases {
    ($($(#[$attribute:meta])* $name:ident => $test:ident;)+) => {$(
        $(#[$attribute])*
        mod $name {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                super::$test($crate::Backend::Sqlite).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                super::$test($crate::Backend::Postgres).await;
            }
        }
    )+};
}
