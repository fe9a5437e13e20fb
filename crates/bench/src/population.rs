//! Many users, each with an API key, written straight into the tables: by way of HTTP a million registrations
//! would take three days of scrypt.

use std::fmt::Write as _;
use std::fs::File;
use std::path::Path;
use std::pin::pin;

use actix_web::web::Bytes;
use anyhow::Result;
use cryptopay_domain::Environment;
use cryptopay_token::ApiKey;
use futures_util::SinkExt as _;
use ring::rand::SystemRandom;
use rusqlite::params;
use tokio_postgres::Client;

use crate::bench::progress;
use crate::database::{Database, connect};

/// Bytes of rows that are handed to PostgreSQL at a time.
const CHUNK: usize = 1 << 20;

/// Somebody with a key.
#[derive(Clone, Debug)]
pub(crate) struct Inhabitant {
    /// Who it is.
    pub(crate) username: String,
    /// The whole key.
    pub(crate) key: String,
}

/// A row of each table that an inhabitant has.
struct Rows {
    user_id: i64,
    username: String,
    key_id: String,
    key: ApiKey,
}

/// What all copies have in common: the one merchant that was registered properly.
struct Original {
    password_hash: String,
    created_at: String,
}

/// Makes `size` users, each with a key that has `permissions` (comma-separated), in a database that holds one
/// registered merchant; `directory` is the server's data directory. They come back in a random order.
pub(crate) async fn settle(
    database: &Database,
    directory: &Path,
    size: u32,
    permissions: &str,
) -> Result<Vec<Inhabitant>> {
    match database {
        Database::Embedded => settle_sqlite(&directory.join("cryptopay.db"), size, permissions),
        Database::OfCluster { url, .. } => settle_postgres(url, size, permissions).await,
    }
}

fn settle_sqlite(database: &Path, size: u32, permissions: &str) -> Result<Vec<Inhabitant>> {
    let mut connection = rusqlite::Connection::open(database)?;
    connection.execute_batch("PRAGMA synchronous = OFF; PRAGMA cache_size = -1000000;")?;
    let original = connection.query_row("SELECT password_hash, created_at FROM users", [], |row| {
        Ok(Original { password_hash: row.get(0)?, created_at: row.get(1)? })
    })?;
    let mut inhabitants = Vec::new();
    let transaction = connection.transaction()?;
    {
        let mut user = transaction.prepare(
            "INSERT INTO users (id, username, username_lookup, email, email_lookup, shop_name, password_hash, \
             created_at) VALUES (?1, ?2, ?2, ?3, ?3, 'Benchmark', ?4, ?5)",
        )?;
        let mut key = transaction.prepare(
            "INSERT INTO api_keys (id, user_id, name, prefix, hash, permissions, created_at, last_used_at) \
             VALUES (?1, ?2, 'Benchmark', ?3, ?4, ?5, ?6, ?6)",
        )?;
        for rows in rows(size) {
            let rows = rows?;
            let Original { password_hash, created_at } = &original;
            user.execute(params![rows.user_id, rows.username, rows.email(), password_hash, created_at])?;
            key.execute(params![
                rows.key_id,
                rows.user_id,
                rows.key.prefix(),
                rows.key.hash().0,
                permissions,
                created_at
            ])?;
            inhabitants.push(rows.into_inhabitant());
        }
    }
    transaction.commit()?;
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    drop(connection);
    // What is left to be written would be written while we measure.
    File::open(database)?.sync_all()?;
    Ok(shuffled(inhabitants))
}

async fn settle_postgres(url: &str, size: u32, permissions: &str) -> Result<Vec<Inhabitant>> {
    let client = connect(url).await?;
    let row = client.query_one("SELECT password_hash, created_at::text FROM users", &[]).await?;
    let original = Original { password_hash: row.get(0), created_at: row.get(1) };
    let mut users = Copy::begin(
        &client,
        "COPY users (id, username, username_lookup, email, email_lookup, shop_name, password_hash, created_at) \
         FROM STDIN",
    );
    let mut keys = Copy::begin(
        &client,
        "COPY api_keys (id, user_id, name, prefix, hash, permissions, created_at, last_used_at) FROM STDIN",
    );
    let mut inhabitants = Vec::new();
    for rows in rows(size) {
        let rows = rows?;
        let Original { password_hash, created_at } = &original;
        let (id, username, email) = (rows.user_id, &rows.username, rows.email());
        writeln!(
            users.rows,
            "{id}\t{username}\t{username}\t{email}\t{email}\tBenchmark\t{password_hash}\t{created_at}"
        )?;
        write!(keys.rows, "{}\t{id}\tBenchmark\t{}\t\\\\x", rows.key_id, rows.key.prefix())?;
        for byte in rows.key.hash().0 {
            write!(keys.rows, "{byte:02x}")?;
        }
        writeln!(keys.rows, "\t{permissions}\t{created_at}\t{created_at}")?;
        inhabitants.push(rows.into_inhabitant());
    }
    users.send().await?;
    keys.send().await?;
    // Each by itself: VACUUM runs in no transaction, not even that of a batch.
    for statement in [
        "SELECT setval(pg_get_serial_sequence('users', 'id'), (SELECT max(id) FROM users))",
        "VACUUM ANALYZE",
        "CHECKPOINT",
    ] {
        client.batch_execute(statement).await?;
    }
    // A server that has run for a while has its working set in its buffers. Where the extension is not
    // installed, the first rounds will read from the system's cache instead.
    let prewarm = "CREATE EXTENSION pg_prewarm; \
                   SELECT pg_prewarm(oid::regclass) FROM pg_class \
                   WHERE relkind IN ('r', 'i') AND relnamespace = 'public'::regnamespace";
    if let Err(error) = client.batch_execute(prewarm).await {
        progress(format_args!("PostgreSQL's buffers stay cold: {error}"));
    }
    Ok(shuffled(inhabitants))
}

/// So many well-formed keys that nobody has.
pub(crate) fn strangers(count: usize) -> Result<Vec<String>> {
    let random = SystemRandom::new();
    (0..count).map(|_| Ok(ApiKey::generate(Environment::Sandbox, &random)?.expose().to_owned())).collect()
}

fn rows(size: u32) -> impl Iterator<Item = Result<Rows>> {
    let random = SystemRandom::new();
    (1..=size).map(move |number| {
        Ok(Rows {
            // The registered merchant has the first number.
            user_id: i64::from(number) + 1,
            username: format!("merchant-{number:07}"),
            // Ordered by time, like the server's own.
            key_id: format!("019a0000000070008000{number:012x}"),
            key: ApiKey::generate(Environment::Sandbox, &random)?,
        })
    })
}

impl Rows {
    fn email(&self) -> String {
        format!("{}@example.com", self.username)
    }

    fn into_inhabitant(self) -> Inhabitant {
        Inhabitant { key: self.key.expose().to_owned(), username: self.username }
    }
}

/// Keys are random, and thus in a random order when sorted.
fn shuffled(mut inhabitants: Vec<Inhabitant>) -> Vec<Inhabitant> {
    inhabitants.sort_unstable_by(|one, other| one.key.cmp(&other.key));
    inhabitants
}

/// Rows on their way into a table of PostgreSQL, in the text format of `COPY`.
struct Copy<'a> {
    client: &'a Client,
    statement: &'static str,
    rows: String,
}

impl<'a> Copy<'a> {
    fn begin(client: &'a Client, statement: &'static str) -> Self {
        Self { client, statement, rows: String::new() }
    }

    async fn send(self) -> Result<()> {
        let mut sink = pin!(self.client.copy_in(self.statement).await?);
        let rows = Bytes::from(self.rows);
        for start in (0..rows.len()).step_by(CHUNK) {
            sink.send(rows.slice(start..rows.len().min(start + CHUNK))).await?;
        }
        sink.finish().await?;
        Ok(())
    }
}
