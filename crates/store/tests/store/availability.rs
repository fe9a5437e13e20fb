//! A database that is away, comes back, or was never there.

use std::path::PathBuf;

use cryptopay_store::{DatabaseUrl, Store, StoreConfig};
use cryptopay_testkit::postgres::PrivateCluster;
use cryptopay_testkit::{Backend, TestDatabase};
use tokio::runtime::Handle;

use crate::fixture::{
    Fixture, assert_unavailable, at, at_once, audit, install, new_session, register, sqlite_path, verified,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_goes_away_and_comes_back_is_used_again_without_reopening() {
    let mut cluster = PrivateCluster::start();
    let url = DatabaseUrl::Postgres(cluster.create_database().await);
    Store::migrate(&url).await.unwrap();
    let config = StoreConfig { connections: 4, readers: 1 };
    let store = Store::open(&url, config, Handle::current()).unwrap();
    install(&store).await;
    let user = register(&store, "alice").await.id;
    // Every connection is open when the server ends.
    at_once(8, |_| ping(&store)).await.into_iter().collect::<Result<Vec<()>, _>>().unwrap();

    for _ in 0..2 {
        cluster.stop();
        for _ in 0..6 {
            assert_unavailable(store.ping().await);
        }
        assert_unavailable(store.insert_session(verified(new_session(user)), audit("login")).await);
        assert_unavailable(store.read_revocations(None, at(0)).await);
        assert_unavailable(Store::migrate(&url).await);

        cluster.start_again();
        at_once(8, |_| ping(&store)).await.into_iter().collect::<Result<Vec<()>, _>>().unwrap();
        assert!(store.insert_session(verified(new_session(user)), audit("login")).await.unwrap());
    }
}

fn ping(store: &Store) -> impl Future<Output = Result<(), cryptopay_store::StoreError>> + Send + 'static {
    let store = store.clone();
    async move { store.ping().await }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_cut_by_the_server_costs_at_most_the_operation_that_was_on_it() {
    let fixture = Fixture::new(Backend::Postgres).await;
    let store = &fixture.store;
    let operator = fixture.postgres().await;
    for _ in 0..3 {
        at_once(8, |_| ping(store)).await.into_iter().collect::<Result<Vec<()>, _>>().unwrap();
        let cut = "SELECT bool_and(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity \
                   WHERE datname = current_database() AND application_name = 'cryptopay'";
        assert!(operator.query_one(cut, &[]).await.unwrap().get::<_, bool>(0));
        // The server has closed them; each is met at most once more.
        let results = at_once(16, |_| ping(store)).await;
        assert!(results.iter().flatten().count() >= 8, "{results:?}");
        at_once(16, |_| ping(store)).await.into_iter().collect::<Result<Vec<()>, _>>().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_not_on_the_server_is_named() {
    let fixture = Fixture::new(Backend::Postgres).await;
    let url = crate::fixture::postgres_url(&fixture.database);
    let (server, _) = url.rsplit_once('/').unwrap();
    let url = DatabaseUrl::Postgres(format!("{server}/no_such_database"));
    let said = assert_unavailable(Store::migrate(&url).await);
    assert!(said.contains("database \"no_such_database\" does not exist"), "{said}");
    let store = Store::open(&url, StoreConfig::default(), Handle::current()).unwrap();
    let said = assert_unavailable(store.ping().await);
    assert!(said.contains("database \"no_such_database\" does not exist"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_directory_is_named() {
    let database = TestDatabase::create(Backend::Sqlite).await;
    let path = database.directory().join("missing").join("test.db");
    let url = DatabaseUrl::Sqlite(path.clone());
    for said in [
        assert_unavailable(Store::migrate(&url).await),
        assert_unavailable(Store::open(&url, StoreConfig::default(), Handle::current()).map(|_| ())),
    ] {
        assert!(said.contains(&*path.to_string_lossy()), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_no_database_is_named() {
    let database = TestDatabase::create(Backend::Sqlite).await;
    std::fs::write(sqlite_path(&database), "this is a letter, not a database ".repeat(100)).unwrap();
    let said = assert_unavailable(Store::migrate(database.url()).await);
    assert!(said.contains(&sqlite_path(&database)) && said.contains("not a database"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_only_file_is_read_and_a_write_says_why_it_failed() {
    let fixture = Fixture::new(Backend::Sqlite).await;
    let user = register(&fixture.store, "alice").await.id;
    // By SQLite's own means, since file modes do not bind root.
    let path = PathBuf::from(format!("file:{}?mode=ro", sqlite_path(&fixture.database)));
    let store = Store::open(&DatabaseUrl::Sqlite(path), StoreConfig::default(), Handle::current()).unwrap();
    assert!(store.find_user(user).await.unwrap().is_some());
    let said = assert_unavailable(store.insert_session(verified(new_session(user)), audit("login")).await);
    assert!(said.contains("readonly"), "{said}");
    assert!(store.find_user(user).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_server_has_a_clock_of_its_own() {
    assert_eq!(Fixture::new(Backend::Sqlite).await.store.server_clock().await.unwrap(), None);
    let shown = Fixture::new(Backend::Postgres).await.store.server_clock().await.unwrap();
    assert!(shown.expect("a server has one") > at(-365 * 86_400));
}
