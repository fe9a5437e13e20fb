//! Requests that the HTTP library itself cannot read: refused in the contract's shape all the same.

use std::time::Duration;

use cryptopay_http::{HttpConfig, ServerConfig};
use cryptopay_testkit::{Backend, TestApp, TestAuth};
use serde_json::Value;

/// Holds the one answer on a connection against the shape of every error.
fn assert_refused(answers: &str, status: u16, code: &str) {
    let (head, body) = answers.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{answers}");
    for header in [
        "content-type: application/json",
        "x-content-type-options: nosniff",
        "cache-control: no-store",
        "connection: close",
        "x-request-id: ",
    ] {
        assert!(head.contains(header), "{header} is missing: {answers}");
    }
    let body: Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["error"]["code"], code, "{answers}");
    assert!(body["error"]["message"].is_string(), "{answers}");
}

#[tokio::test]
async fn what_is_no_http_is_refused_in_the_contracts_shape() {
    let app = TestApp::start(Backend::Sqlite).await;
    for malformed in [
        "rubbish\r\n\r\n",
        "GET /healthz HTTP/9.9\r\nHost: a\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n",
        "POST /api/auth/login HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
        "POST /api/auth/login HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
    ] {
        assert_refused(&app.raw(malformed.as_bytes()).await, 400, "BAD_REQUEST");
    }
    let endless = format!("GET /healthz HTTP/1.1\r\nHost: a\r\nX-Long: {}", "a".repeat(200_000));
    assert_refused(&app.raw(endless.as_bytes()).await, 431, "REQUEST_HEADER_FIELDS_TOO_LARGE");
}

#[tokio::test]
async fn an_answer_before_it_on_the_same_connection_is_kept() {
    let app = TestApp::start(Backend::Sqlite).await;
    let answers = app.raw(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\nrubbish\r\n\r\n").await;
    let second = answers.find("HTTP/1.1 400 ").expect("a refusal");
    assert!(answers.starts_with("HTTP/1.1 200 "), "{answers}");
    assert_refused(&answers[second..], 400, "BAD_REQUEST");
}

#[tokio::test]
async fn a_head_that_never_comes_is_told_so() {
    // The library's clock ticks twice a second: less would be over before it began.
    let impatient = ServerConfig { head_timeout: Duration::from_secs(1), ..ServerConfig::default() };
    let core = TestAuth::start(Backend::Sqlite).await;
    let app = TestApp::serve_with(core, HttpConfig::new(7), impatient);
    assert_refused(&app.raw(b"GET /healthz HTTP/1.1\r\nHost: a\r\n").await, 408, "REQUEST_TIMEOUT");
    assert_refused(&app.raw(b"").await, 408, "REQUEST_TIMEOUT");
}
