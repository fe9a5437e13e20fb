//! How the server stops.

use std::time::{Duration, Instant};

use cryptopay_domain::{PageRequest, UserId};
use cryptopay_testkit::{Backend, Installation, eventually, on_both_databases};
use rustix::process::Signal;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::PROGRAM;

on_both_databases! {
    the_last_uses_are_written_before_it_ends => last_uses;
}

async fn a_request_in_flight_is_answered(signal: Signal) {
    let server = Installation::new(PROGRAM, Backend::Sqlite).await.serve().await;
    let body = r#"{"refresh": "none"}"#;
    let mut connection = TcpStream::connect(server.address()).await.unwrap();
    let head = format!(
        "POST /api/auth/token/refresh HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nExpect: 100-continue\r\n\r\n",
        body.len()
    );
    connection.write_all(head.as_bytes()).await.unwrap();
    // The server asks for the body: the request is being served.
    let mut go_on = [0; 25];
    connection.read_exact(&mut go_on).await.unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");

    server.signal(signal);
    let address = server.address();
    eventually("nobody is let in any more", async || TcpStream::connect(address).await.is_err()).await;
    connection.write_all(body.as_bytes()).await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 401") && answer.contains("INVALID_TOKEN"), "{answer}");

    let finished = server.finished().await;
    assert_eq!(finished.status.code(), Some(0), "{finished:?}");
    assert!(finished.stdout.contains("stopped"), "{finished:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn on_sigterm_a_request_in_flight_is_answered() {
    a_request_in_flight_is_answered(Signal::TERM).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_sigint_a_request_in_flight_is_answered() {
    a_request_in_flight_is_answered(Signal::INT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_does_not_hold_it_up() {
    let server = Installation::new(PROGRAM, Backend::Sqlite).await.serve().await;
    let mut idle = TcpStream::connect(server.address()).await.unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut first = [0; 15];
    idle.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200 OK");
    let told = Instant::now();
    assert_eq!(server.stop().await.status.code(), Some(0));
    assert!(told.elapsed() < Duration::from_secs(10), "{:?}", told.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn told_a_second_time_it_stops_at_once() {
    let server = Installation::new(PROGRAM, Backend::Sqlite).await.serve().await;
    let mut stuck = TcpStream::connect(server.address()).await.unwrap();
    let head =
        b"POST /api/auth/token/refresh HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                 Content-Length: 9\r\nExpect: 100-continue\r\n\r\n";
    stuck.write_all(head).await.unwrap();
    stuck.read_exact(&mut [0; 25]).await.unwrap();
    server.signal(Signal::INT);
    let address = server.address();
    eventually("it is stopping", async || TcpStream::connect(address).await.is_err()).await;
    let told = Instant::now();
    server.signal(Signal::INT);
    assert_eq!(server.finished().await.status.code(), Some(0));
    assert!(told.elapsed() < Duration::from_secs(5), "{:?}", told.elapsed());
}

async fn last_uses(backend: Backend) {
    let installation = Installation::new(PROGRAM, backend).await;
    let server = installation.serve().await;
    server.register("alice").await;
    let tokens = server.login("alice").await;
    let (id, key) = server.create_api_key(&tokens.access, &["read"]).await;
    assert_eq!(server.verify(&tokens.access).await, "200");
    assert_eq!(server.verify(&key).await, "200");
    assert_eq!(server.stop().await.status.code(), Some(0));

    let request = PageRequest { limit: cryptopay_domain::page::PageLimit::default(), position: None };
    let now = cryptopay_domain::Timestamp::from_unix_seconds(0);
    let sessions = installation.store().list_sessions(UserId(1), request, now).await.unwrap();
    let session = &sessions.items[0];
    assert!(session.last_used_at > session.created_at, "{session:?}");
    let keys = installation.run(&["api-key", "list", "alice"]).await.success();
    assert!(keys.contains(&id) && !keys.contains("used never"), "{keys}");
}
