//! Migrations: there and back, and by several replicas at once.

use cryptopay_store::{POSTGRES_MIGRATIONS, SQLITE_MIGRATIONS, Store};
use cryptopay_testkit::postgres::connect;
use cryptopay_testkit::{Backend, TestDatabase, on_both_databases};
use diesel::sql_types::Text;
use diesel::{Connection, QueryableByName, RunQueryDsl, SqliteConnection};
use diesel_async::{AsyncConnection, AsyncMigrationHarness, AsyncPgConnection};
use diesel_migrations::MigrationHarness;

use crate::fixture::{at_once, postgres_url, sqlite_path};

on_both_databases! {
    a_migration_undone_leaves_nothing_and_done_again_leaves_the_same => up_down_up;
    replicas_that_start_at_once_migrate_the_database_once => many_replicas;
    a_migrated_database_has_nothing_pending => nothing_pending;
}

async fn up_down_up(backend: Backend) {
    let database = TestDatabase::create(backend).await;
    let empty = schema(&database).await;
    Store::migrate(database.url()).await.unwrap();
    let first = schema(&database).await;
    assert!(first.iter().any(|line| line.contains("revocations_by_forgetting")), "{first:#?}");

    revert(&database).await;
    assert_eq!(schema(&database).await, empty);
    Store::migrate(database.url()).await.unwrap();
    assert_eq!(schema(&database).await, first);
}

async fn many_replicas(backend: Backend) {
    let database = TestDatabase::create(backend).await;
    let url = database.url().clone();
    let ran = at_once(8, |_| {
        let url = url.clone();
        async move { Store::migrate(&url).await }
    })
    .await;
    let mut ran: Vec<String> = ran.into_iter().flat_map(|replica| replica.expect("it migrates")).collect();
    assert!(!ran.is_empty());
    let runs = ran.len();
    ran.sort();
    ran.dedup();
    assert_eq!(ran.len(), runs, "a migration ran twice");
    database.open().await.ping().await.unwrap();
}

async fn nothing_pending(backend: Backend) {
    let database = TestDatabase::create(backend).await;
    let pending = Store::pending_migrations(database.url()).await.unwrap();
    assert_eq!(Store::migrate(database.url()).await.unwrap(), pending);
    assert_eq!(Store::pending_migrations(database.url()).await.unwrap(), Vec::<String>::new());
    assert_eq!(Store::migrate(database.url()).await.unwrap(), Vec::<String>::new());
}

async fn revert(database: &TestDatabase) {
    if let cryptopay_store::DatabaseUrl::Postgres(url) = database.url() {
        let connection = AsyncPgConnection::establish(url).await.unwrap();
        AsyncMigrationHarness::new(connection).revert_all_migrations(POSTGRES_MIGRATIONS).unwrap();
    } else {
        let mut connection = SqliteConnection::establish(&sqlite_path(database)).unwrap();
        connection.revert_all_migrations(SQLITE_MIGRATIONS).unwrap();
    }
}

/// The tables, their columns, constraints and indexes, one a line, but for the migrations' own.
async fn schema(database: &TestDatabase) -> Vec<String> {
    if matches!(database.url(), cryptopay_store::DatabaseUrl::Sqlite(_)) {
        sqlite_schema(&sqlite_path(database))
    } else {
        postgres_schema(&postgres_url(database)).await
    }
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

fn sqlite_schema(path: &str) -> Vec<String> {
    let mut connection = SqliteConnection::establish(path).unwrap();
    let lines: Vec<Line> = diesel::sql_query(
        "SELECT name || ': ' || coalesce(sql, '') AS line FROM sqlite_master \
         WHERE tbl_name <> '__diesel_schema_migrations' AND name <> 'sqlite_sequence' ORDER BY line",
    )
    .load(&mut connection)
    .unwrap();
    lines.into_iter().map(|line| line.line).collect()
}

async fn postgres_schema(url: &str) -> Vec<String> {
    let lines = "SELECT format('%s.%s %s %s %s %s', table_name, column_name, data_type, is_nullable, \
             column_default, collation_name) \
         FROM information_schema.columns \
         WHERE table_schema = 'public' AND table_name <> '__diesel_schema_migrations' \
         UNION ALL SELECT indexdef FROM pg_indexes \
         WHERE schemaname = 'public' AND tablename <> '__diesel_schema_migrations' \
         UNION ALL SELECT format('%s %s %s', conrelid::regclass, conname, pg_get_constraintdef(oid)) \
         FROM pg_constraint WHERE connamespace = 'public'::regnamespace \
         AND conrelid::regclass::text <> '__diesel_schema_migrations' \
         UNION ALL SELECT format('sequence %s', sequence_name) FROM information_schema.sequences \
         ORDER BY 1";
    connect(url).await.query(lines, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
}
