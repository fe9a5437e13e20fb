//! `cryptopay doctor`, in good health and with each thing broken.

use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;

use cryptopay_testkit::{Backend, Finished, Installation, on_both_databases};

use crate::PROGRAM;

on_both_databases! {
    a_healthy_installation_passes_every_check => healthy;
    an_installation_that_never_ran_passes => new;
    another_issuer_is_told => another_issuer;
    other_keys_are_told => other_keys;
}

/// Each key file: the check that reads it, its name, and what its keys begin with.
const KEY_FILES: [(&str, &str, &str); 2] = [
    ("signing keys", "signing-keys.json", "k4.secret."),
    ("encryption keys", "encryption-keys.json", "k4.local."),
];

/// An installation that has run.
async fn installed(backend: Backend) -> Installation {
    let installation = Installation::new(PROGRAM, backend).await;
    installation.run(&["user", "list"]).await.success();
    installation
}

async fn doctor(installation: &Installation) -> Finished {
    let finished = installation.run(&["doctor"]).await;
    assert!(!finished.stderr.contains("panicked"), "{finished:?}");
    finished
}

/// The only complaint, which has to hold all of `parts`.
async fn complains(installation: &Installation, check: &str, parts: &[&str]) {
    let finished = doctor(installation).await;
    assert_eq!(finished.status.code(), Some(1), "{finished:?}");
    let failed: Vec<_> = finished.stdout.lines().filter(|line| line.starts_with("FAIL")).collect();
    assert!(failed.iter().any(|line| line.starts_with(&format!("FAIL  {check}:"))), "{finished:?}");
    for part in parts {
        assert!(finished.stdout.contains(part), "{part} in {finished:?}");
    }
}

async fn healthy(backend: Backend) {
    let report = doctor(&installed(backend).await).await.success();
    let checks: Vec<_> = report.lines().map(|line| line.split(':').next().unwrap()).collect();
    let expected = [
        "configuration",
        "data directory",
        "listen address",
        "signing keys",
        "encryption keys",
        "database",
        "clock",
        "schema",
        "installation",
    ];
    assert_eq!(checks, expected.map(|check| format!("ok    {check}")), "{report}");
}

async fn new(backend: Backend) {
    let report = doctor(&Installation::new(PROGRAM, backend).await).await.success();
    assert!(report.contains("will be made at first start"), "{report}");
    assert!(report.contains("will run at the next start"), "{report}");
}

async fn another_issuer(backend: Backend) {
    let other = installed(backend).await.with("CRYPTOPAY_PUBLIC_URL", "https://other.example.com");
    complains(&other, "installation", &["http://localhost:8080", "--accept-issuer-change"]).await;
}

async fn other_keys(backend: Backend) {
    let first = Installation::new(PROGRAM, backend).await.with_database_outside();
    first.run(&["user", "list"]).await.success();
    let other = first.with_other_data_dir();
    complains(&other, "installation", &["same keys everywhere", "same encryption keys everywhere"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_directory_that_cannot_be_written_to_is_told() {
    let installation = Installation::new(PROGRAM, Backend::Sqlite).await;
    // Below a file nothing can be made, not even by root.
    let file = installation.directory().join("file");
    fs::write(&file, "").unwrap();
    let broken = installation.with_data_dir(file.join("data"));
    complains(&broken, "data directory", &["CRYPTOPAY_DATA_DIR", "FAIL  database:"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_directory_that_is_open_to_others_is_told_with_the_command_that_closes_it() {
    let installation = installed(Backend::Sqlite).await;
    fs::set_permissions(installation.data_dir(), Permissions::from_mode(0o755)).unwrap();
    complains(&installation, "data directory", &["755", "chmod 700"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_file_that_others_may_read_is_told_with_the_command_that_closes_it() {
    for (check, file, _) in KEY_FILES {
        let installation = installed(Backend::Sqlite).await;
        let keys = installation.data_dir().join(file);
        fs::set_permissions(&keys, Permissions::from_mode(0o644)).unwrap();
        complains(&installation, check, &["644", "chmod 600", file]).await;
        let error = installation.run(&["serve"]).await.failure();
        assert!(error.contains("chmod 600") && error.contains(file), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_key_file_is_told_without_quoting_it() {
    for (check, file, header) in KEY_FILES {
        let installation = installed(Backend::Sqlite).await;
        let keys = installation.data_dir().join(file);
        let text = fs::read_to_string(&keys).unwrap();
        let secret = &text.split(header).nth(1).unwrap()[..20];
        let other_kind = text.replace(header, "k4.sekret.");
        for damaged in [other_kind, text[..text.len() / 2].to_owned(), String::new()] {
            fs::write(&keys, &damaged).unwrap();
            complains(&installation, check, &["damaged", file, "ok    installation"]).await;
            let report = doctor(&installation).await;
            assert!(!format!("{report:?}").contains(secret), "{report:?}");
            let error = installation.run(&["serve"]).await.failure();
            assert!(error.contains("damaged") && !error.contains(secret), "{error}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_out_of_reach_is_told_without_its_password() {
    let url = "postgres://user:hunter2@127.0.0.1:1/none";
    let installation = Installation::new(PROGRAM, Backend::Sqlite).await.with("CRYPTOPAY_DATABASE_URL", url);
    complains(&installation, "database", &["CRYPTOPAY_DATABASE_URL"]).await;
    let error = installation.run(&["serve"]).await.failure();
    assert!(error.contains("127.0.0.1:1/none") && error.contains("doctor"), "{error}");
    let report = doctor(&installation).await;
    assert!(!format!("{report:?}{error}").contains("hunter2"), "{report:?} {error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_database_of_the_server_is_told() {
    let installation = Installation::new(PROGRAM, Backend::Postgres).await;
    let url = installation.variable("CRYPTOPAY_DATABASE_URL").unwrap().to_owned() + "_missing";
    let missing = installation.with("CRYPTOPAY_DATABASE_URL", &url);
    complains(&missing, "database", &["does not exist", "CRYPTOPAY_DATABASE_URL"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_no_database_is_told() {
    let installation = Installation::new(PROGRAM, Backend::Sqlite).await;
    let file = installation.secret_file("no.db", &"this is no database\n".repeat(200));
    let broken = installation.with("CRYPTOPAY_DATABASE_URL", &format!("sqlite://{file}"));
    complains(&broken, "database", &["CRYPTOPAY_DATABASE_URL"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_is_told() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let installation = installed(Backend::Sqlite).await.with("CRYPTOPAY_LISTEN", &address);
    complains(&installation, "listen address", &[&address, "in use"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_cannot_be_used_is_told() {
    let installation = installed(Backend::Sqlite).await.with("CRYPTOPAY_CORS_ORIGINS", "nonsense");
    complains(&installation, "configuration", &["CRYPTOPAY_CORS_ORIGINS", "'nonsense'"]).await;
}
