//! What a first start says and makes.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use cryptopay_testkit::{Backend, Installation, on_both_databases};
use tokio::task::JoinSet;

use crate::PROGRAM;

on_both_databases! {
    the_banner_says_where_it_listens_what_it_works_on_and_what_to_try_next => banner;
    without_a_subcommand_it_serves => no_subcommand;
    first_starts_at_once_end_with_one_installation => at_once;
}

async fn banner(backend: Backend) {
    let server = Installation::new(PROGRAM, backend).await.serve().await;
    let banner = server.banner();
    let database = match backend {
        Backend::Sqlite => "database     SQLite in ",
        Backend::Postgres => "database     PostgreSQL at ",
    };
    let listening = format!("listening    http://{}\n", server.address());
    let dashboard = format!("dashboard    http://{}/dashboard\n", server.address());
    for part in [
        listening.as_str(),
        &dashboard,
        "environment  sandbox\n",
        database,
        "Try next:",
        "/api/auth/register",
    ] {
        assert!(banner.contains(part), "{part} in {banner}");
    }
    assert!(!banner.contains("postgres@"), "the database's user is nobody's business: {banner}");
    assert_eq!(server.get("/docs/", "").await.status, 200);
}

async fn no_subcommand(backend: Backend) {
    let server = Installation::new(PROGRAM, backend).await.serve_by(&[]).await;
    for path in ["/healthz", "/healthz/", "/readyz", "/readyz/"] {
        assert_eq!(server.get(path, "").await.status, 200, "{path}");
    }
}

async fn at_once(backend: Backend) {
    let installation = Installation::new(PROGRAM, backend).await;
    let mut starts = JoinSet::new();
    for _ in 0..4 {
        let installation = installation.clone();
        starts.spawn(async move { installation.serve().await });
    }
    let servers = starts.join_all().await;
    servers[0].register("alice").await;
    let tokens = servers[1].login("alice").await;
    for server in &servers {
        assert_eq!(server.verify(&tokens.access).await, "200");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_keeps_is_readable_by_its_owner_alone() {
    let installation = Installation::new(PROGRAM, Backend::Sqlite).await;
    let server = installation.serve().await;
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(installation.data_dir().to_owned()), 0o700);
    let mut names = Vec::new();
    for entry in fs::read_dir(installation.data_dir()).unwrap() {
        let path = entry.unwrap().path();
        names.push(path.file_name().unwrap().to_string_lossy().into_owned());
        assert_eq!(mode(path.clone()), 0o600, "{}", path.display());
    }
    for name in ["cryptopay.db", "signing-keys.json", "encryption-keys.json"] {
        assert!(names.iter().any(|found| found == name), "{name} in {names:?}");
    }
    assert!(names.iter().all(|name| !name.ends_with(".tmp")), "{names:?}");
    drop(server);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limit_of_open_files_is_raised_as_far_as_it_goes() {
    let directory = tempfile::tempdir().unwrap();
    let limited = directory.path().join("limited");
    fs::write(&limited, format!("#!/bin/sh\nulimit -S -n 256\nexec '{PROGRAM}' \"$@\"\n")).unwrap();
    fs::set_permissions(&limited, Permissions::from_mode(0o700)).unwrap();
    let server = Installation::new(&limited.to_string_lossy(), Backend::Sqlite).await.serve().await;
    let limits = fs::read_to_string(format!("/proc/{}/limits", server.process())).unwrap();
    let numbers = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    let (soft, hard) = numbers.trim_start().split_once(' ').unwrap();
    assert_ne!(soft, "256");
    assert_eq!(Some(soft), hard.split_whitespace().next());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_port_is_named_with_the_way_out() {
    let installation = Installation::new(PROGRAM, Backend::Sqlite).await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let error = installation.with("CRYPTOPAY_LISTEN", &address).run(&["serve"]).await.failure();
    assert!(error.contains(&address) && error.contains("CRYPTOPAY_LISTEN"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_directory_that_cannot_be_made_is_named_with_the_way_out() {
    let installation = Installation::new(PROGRAM, Backend::Sqlite).await;
    // Below a file nothing can be made, not even by root.
    let file = installation.directory().join("file");
    fs::write(&file, "").unwrap();
    for command in ["serve", "migrate"] {
        let error = installation.clone().with_data_dir(file.join("data")).run(&[command]).await.failure();
        assert!(error.contains("CRYPTOPAY_DATA_DIR"), "{error}");
    }
}
