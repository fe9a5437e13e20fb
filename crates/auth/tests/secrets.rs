//! No secret reaches a log line or the database, whatever a caller does.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests are tests, though the lint does not see it"
)]

use std::io::{self, Write};
use std::sync::{Mutex, OnceLock};

use cryptopay_auth::{ChangePasswordCommand, EncryptionKeyFile, KeyFile, RegisterCommand};
use cryptopay_domain::api_key::{ApiKeyChange, ApiKeyRequest};
use cryptopay_domain::{DisplayName, EmailAddress, PageRequest, Permission, Username};
use cryptopay_store::DatabaseUrl;
use cryptopay_testkit::postgres::connect;
use cryptopay_testkit::{
    Backend, OTHER_PASSWORD, PASSWORD, TestAuth, TestDatabase, context, login_command, on_both_databases,
};
use ring::rand::SystemRandom;
use secrecy::SecretString;
use tracing_subscriber::fmt::MakeWriter;

on_both_databases! {
    no_secret_is_logged_or_kept => nothing_leaks;
}

/// Everything that was logged by this process.
static LOGGED: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct Capture;

impl Write for Capture {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOGGED.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Capture {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        Self
    }
}

/// Captures everything down to `TRACE`, what dependencies log included.
fn capture_logs() {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(|| Capture)
            .init();
    });
}

/// The flows, and every secret that they used.
async fn walk_all_flows(test: &TestAuth) -> Vec<String> {
    let auth = &test.auth;
    let mut secrets: Vec<String> =
        [PASSWORD, OTHER_PASSWORD, "sea-Mistyped-77-lorry", "password1"].map(str::to_owned).to_vec();
    let register = |username: &str, password: &str| RegisterCommand {
        username: Username::parse(username).unwrap(),
        email: EmailAddress::parse(&format!("{username}@example.com")).unwrap(),
        password: SecretString::from(password),
        shop_name: DisplayName::parse("Test Shop").unwrap(),
    };
    assert!(auth.register(register("alice", "password1"), &context()).await.is_err());
    auth.register(register("alice", PASSWORD), &context()).await.unwrap();
    assert!(auth.register(register("alice", OTHER_PASSWORD), &context()).await.is_err());
    // Typed into the wrong field, as people do.
    assert!(auth.login(login_command(PASSWORD, PASSWORD), &context()).await.is_err());
    assert!(auth.login(login_command("alice", "sea-Mistyped-77-lorry"), &context()).await.is_err());

    let login = auth.login(login_command("alice", PASSWORD), &context()).await.unwrap();
    tracing::info!(?login, "even when somebody logs an answer");
    let alice = auth.authenticate(login.access.expose()).await.unwrap();
    let first = auth.refresh(login.refresh.expose(), &context()).await.unwrap();
    let again = auth.refresh(login.refresh.expose(), &context()).await.unwrap();
    for pair in [&first, &again] {
        secrets.extend([pair.access.expose().to_owned(), pair.refresh.expose().to_owned()]);
    }
    secrets.extend([login.access.expose().to_owned(), login.refresh.expose().to_owned()]);

    let request = ApiKeyRequest {
        name: DisplayName::parse("till").unwrap(),
        permissions: [Permission::FullAccess].into_iter().collect(),
        expires_at: None,
    };
    let made = auth.create_api_key(&alice, request, &context()).await.unwrap();
    tracing::info!(?made, "even when somebody logs an answer");
    let key = auth.authenticate(made.key.expose()).await.unwrap();
    let day = std::time::Duration::from_secs(86_400);
    let rotated = auth.rotate_api_key(&key, made.details.id, day, &context()).await.unwrap();
    auth.authenticate(rotated.key.expose()).await.unwrap();
    let rename = ApiKeyChange { name: Some(DisplayName::parse("till 2").unwrap()), permissions: None };
    auth.change_api_key(&alice, made.details.id, rename, &context()).await.unwrap();
    auth.list_api_keys(&alice, PageRequest::default()).await.unwrap();
    auth.revoke_api_key(&alice, made.details.id, &context()).await.unwrap();
    for made in [&made, &rotated] {
        secrets.push(made.key.expose().to_owned());
        assert!(auth.authenticate(made.key.expose()).await.is_err());
        assert!(auth.refresh(made.key.expose(), &context()).await.is_err());
    }

    assert!(auth.refresh(first.access.expose(), &context()).await.is_err());
    assert!(auth.authenticate(first.refresh.expose()).await.is_err());
    let command = ChangePasswordCommand {
        current_password: SecretString::from(PASSWORD),
        new_password: SecretString::from(OTHER_PASSWORD),
    };
    tracing::info!(?command, "even when somebody logs a command");
    auth.change_password(&alice, command, &context()).await.unwrap();
    // The successor is in use: its predecessor is theft, and the session ends.
    auth.authenticate(first.access.expose()).await.unwrap();
    test.clock.advance(day);
    assert!(auth.refresh(login.refresh.expose(), &context()).await.is_err());
    auth.write_uses().await.unwrap();

    let random = SystemRandom::new();
    let webhook_secret = "whsec_bm9ib2R5IG1heSByZWFkIHRoaXMgaW4gYSBsb2c";
    let ring = auth.encryption();
    let sealed = ring.seal("here", webhook_secret.as_bytes(), &random).unwrap();
    let refused = ring.open("elsewhere", &sealed).unwrap_err();
    tracing::info!(?ring, ?sealed, ?refused, "even when somebody logs the keys");
    secrets.push(webhook_secret.to_owned());

    let directory = test.database.directory();
    for (path, header) in [
        (KeyFile::in_directory(directory).path(), "k4.secret."),
        (EncryptionKeyFile::in_directory(directory).path(), "k4.local."),
    ] {
        let keys = std::fs::read_to_string(path).unwrap();
        let paserk = keys.split('"').find(|piece| piece.starts_with(header)).unwrap();
        secrets.push(paserk.trim_start_matches(header).to_owned());
    }
    secrets
}

/// Every byte that is kept.
async fn everything_kept(database: &TestDatabase) -> Vec<u8> {
    match database.url() {
        DatabaseUrl::Sqlite(path) => ["", "-wal", "-shm"]
            .iter()
            .flat_map(|suffix| std::fs::read(format!("{}{suffix}", path.display())).unwrap_or_default())
            .collect(),
        DatabaseUrl::Postgres(url) => {
            let client = connect(url).await;
            let tables = client
                .query("SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'", &[])
                .await
                .unwrap();
            assert!(tables.len() >= 6);
            let mut kept = Vec::new();
            for table in tables {
                let table: String = table.get(0);
                let rows = client.query(&format!("SELECT t::text FROM {table} t"), &[]).await.unwrap();
                for row in rows {
                    kept.extend_from_slice(row.get::<_, String>(0).as_bytes());
                    kept.push(b'\n');
                }
            }
            kept
        }
    }
}

fn holds(haystack: &[u8], needle: &str) -> bool {
    haystack.windows(needle.len()).any(|window| window.eq_ignore_ascii_case(needle.as_bytes()))
}

async fn nothing_leaks(backend: Backend) {
    capture_logs();
    let test = TestAuth::start(backend).await;
    let secrets = walk_all_flows(&test).await;
    let kept = everything_kept(&test.database).await;
    let logged = LOGGED.lock().unwrap().clone();
    // What is searched is really there.
    assert!(holds(&kept, "alice@example.com") && holds(&kept, "api_key.rotated"));
    assert!(holds(&logged, "a session is ended"));
    assert!(secrets.len() >= 14);
    for secret in secrets {
        for (place, bytes) in [("database", &kept), ("log", &logged)] {
            assert!(!holds(bytes, &secret), "{secret:.24} is in the {place}");
            // Nor the half that authenticates it.
            if secret.len() > 40 {
                assert!(!holds(bytes, &secret[secret.len() / 2..]), "{secret:.24} is in the {place}");
            }
        }
    }
    assert!(!holds(&logged, "$scrypt$"), "a password hash is in the log");
}
