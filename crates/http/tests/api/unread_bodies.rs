//! Bodies that nobody wants: read away while they are small, cut off when they are not.

use cryptopay_testkit::{Backend, TestApp, on_both_databases};
use futures_util::future::join_all;

on_both_databases! {
    a_small_unread_body_leaves_the_connection_open => small;
    a_large_body_is_refused_and_the_connection_closed => large;
    a_body_that_breaks_off_writes_nothing => broken_off;
}

const LAST: &str = "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
const TEN_MEGABYTES: usize = 10 * 1024 * 1024;

/// A request with a body whose length is announced.
fn announced(request: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "{request} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// The same, in chunks.
fn chunked(request: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "{request} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    let mut bytes = head.into_bytes();
    for chunk in body.chunks(8192) {
        bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        bytes.extend_from_slice(chunk);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
    bytes
}

/// The statuses of the answers on one connection.
fn statuses(answers: &str) -> Vec<&str> {
    answers.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect()
}

const REFUSED: [(&str, &str); 5] = [
    ("POST /nowhere", "404"),
    ("PUT /api/auth/login", "405"),
    ("POST /api/auth/logout", "401"),
    ("GET /api/auth/verify", "401"),
    ("POST /api/auth/verify/ext/x", "401"),
];

async fn small(backend: Backend) {
    let app = TestApp::start(backend).await;
    for (request, status) in REFUSED {
        for size in [1, 1000, 64 * 1024] {
            for encode in [announced, chunked] {
                let bytes = [encode(request, &vec![b'x'; size]), LAST.into()].concat();
                let answers = app.raw(&bytes).await;
                assert_eq!(statuses(&answers), [status, "200"], "{request} {size}: {answers}");
            }
        }
    }
}

async fn large(backend: Backend) {
    let app = TestApp::start(backend).await;
    let before = app.audit_events().await;
    let routes =
        ["register", "login", "token/refresh"].map(|route| (format!("POST /api/auth/{route}"), "413"));
    let refused = REFUSED.map(|(request, status)| (request.to_owned(), status));
    // All at once: a connection that is cut off takes its time to close.
    let mut cases = Vec::new();
    for (request, status) in routes.into_iter().chain(refused) {
        for size in [65 * 1024, TEN_MEGABYTES] {
            for encode in [announced, chunked] {
                let bytes = encode(&request, &vec![b' '; size]);
                let (app, request) = (&app, request.clone());
                cases.push(async move {
                    let answers = app.raw(&bytes).await;
                    assert_eq!(statuses(&answers), [status], "{request} {size}: {answers}");
                    assert!(answers.contains("connection: close"), "{request} {size}: {answers}");
                });
            }
        }
    }
    join_all(cases).await;
    assert_eq!(app.audit_events().await, before);
}

async fn broken_off(backend: Backend) {
    let app = TestApp::start(backend).await;
    let before = app.audit_events().await;
    let body = r#"{"username": "alice", "email": "alice@example.com", "password": "violet-Tractor-91-moss", "shop_name": "S"}"#;
    let whole = String::from_utf8(chunked("POST /api/auth/register", body.as_bytes())).unwrap();
    // The chunk's size is a lie, so the body never ends as it should.
    let broken = whole.replace("\r\n0\r\n\r\n", "\r\nzz\r\n\r\n");
    let answers = app.raw(broken.as_bytes()).await;
    assert!(!answers.starts_with("HTTP/1.1 2"), "{answers}");
    assert_eq!(app.audit_events().await, before);
}
