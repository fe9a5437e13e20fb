//! What the commands answer.

use cryptopay_testkit::{Backend, Installation, PASSWORD, on_both_databases};
use serde_json::Value;

use crate::PROGRAM;

on_both_databases! {
    migrating_twice_does_it_once => migrate;
    a_merchant_is_made_with_the_password_from_standard_input => user_create;
    merchants_and_keys_are_listed => lists;
}

async fn migrate(backend: Backend) {
    let installation = Installation::new(PROGRAM, backend).await;
    let first = installation.run(&["migrate"]).await.success();
    assert!(first.contains(": ran "), "{first}");
    let second = installation.run(&["migrate"]).await.success();
    assert!(second.contains("the schema is up to date"), "{second}");
}

async fn user_create(backend: Backend) {
    let installation = Installation::new(PROGRAM, backend).await;
    let create = async |username: &str, email: &str, password: &str| {
        let names = ["--username", username, "--email", email, "--shop-name", "Alice's Shop"];
        installation.run_with_input(&[&["user", "create"], names.as_slice()].concat(), password).await
    };
    let said = create("alice", "alice@example.com", &format!("{PASSWORD}\n")).await.success();
    assert_eq!(said, "alice is registered with number 1\n");
    for (username, email, password, reason) in [
        ("bob", "bob@example.com", "password1", "the password is refused"),
        ("bob", "bob@example.com", "", "the password is refused"),
        ("ALICE", "other@example.com", PASSWORD, "the username is taken"),
        ("bob", "Alice@Example.com", PASSWORD, "the e-mail address is taken"),
        ("b", "bob@example.com", PASSWORD, "--username"),
        ("bob", "bob", PASSWORD, "--email"),
    ] {
        let error = create(username, email, password).await.failure();
        assert!(error.contains(reason) && !error.contains(PASSWORD), "{reason}: {error}");
    }
    let server = installation.serve().await;
    server.login("alice").await;
    assert_eq!(installation.run(&["user", "list"]).await.success().lines().count(), 1);
}

async fn lists(backend: Backend) {
    let installation = Installation::new(PROGRAM, backend).await;
    assert_eq!(installation.run(&["user", "list"]).await.success(), "");
    let server = installation.serve().await;
    server.register("alice").await;
    let access = server.login("alice").await.access;
    let (id, key) = server.create_api_key(&access, &["read"]).await;

    let users = installation.run(&["user", "list"]).await.success();
    for part in ["alice", "alice@example.com", "enabled", "Test Shop"] {
        assert!(users.contains(part), "{part} in {users}");
    }
    let keys = installation.run(&["api-key", "list", "alice"]).await.success();
    for part in [id.as_str(), &key[..12], "active", "read", "expires never"] {
        assert!(keys.contains(part), "{part} in {keys}");
    }
    assert!(!keys.contains(&key), "the key itself is shown once, to its owner");

    for arguments in [
        ["api-key", "list", "nobody"],
        ["api-key", "revoke", "00000000000000000000000000000000"],
        ["api-key", "revoke", "nonsense"],
        ["user", "disable", "nobody"],
        ["user", "enable", "no body"],
    ] {
        let error = installation.run(&arguments).await.failure();
        assert!(error.contains(arguments[2]), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_openapi_document_is_printed_without_touching_anything() {
    let installation = Installation::new(PROGRAM, Backend::Sqlite).await;
    let document: Value =
        serde_json::from_str(&installation.run(&["openapi"]).await.success()).expect("JSON");
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    assert!(document["paths"]["/api/auth/verify"]["get"].is_object());
    assert!(!installation.data_dir().exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_has_seen_enough_is_no_error() {
    let installation = Installation::new(PROGRAM, Backend::Sqlite).await;
    let mut command = installation.command(&["openapi"]);
    let mut child = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let status = tokio::task::spawn_blocking(move || child.wait().unwrap()).await.unwrap();
    assert!(status.success(), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_help_names_every_variable_and_shows_no_secret() {
    let installation = Installation::new(PROGRAM, Backend::Sqlite)
        .await
        .with("CRYPTOPAY_DATABASE_URL", "postgres://user:hunter2@localhost/db")
        .with("CRYPTOPAY_SIGNING_KEYS", "k4.secret.hunter2")
        .with("CRYPTOPAY_ENCRYPTION_KEYS", "k4.local.hunter2");
    let help = installation.run(&["serve", "--help"]).await.success();
    for variable in [
        "ENVIRONMENT",
        "LISTEN",
        "DATA_DIR",
        "PUBLIC_URL",
        "DATABASE_URL",
        "DATABASE_URL_FILE",
        "ACCESS_TTL",
        "REFRESH_TTL",
        "REFRESH_GRACE",
        "TRUSTED_PROXIES",
        "CORS_ORIGINS",
        "SIGNING_KEYS",
        "SIGNING_KEYS_FILE",
        "ENCRYPTION_KEYS",
        "ENCRYPTION_KEYS_FILE",
        "WEBHOOK_ALLOW_PRIVATE",
    ] {
        assert!(help.contains(&format!("CRYPTOPAY_{variable}")), "{variable} in {help}");
    }
    assert!(!help.contains("hunter2"), "{help}");
}
