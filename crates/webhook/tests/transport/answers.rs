//! Receivers that answer, well or badly.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use cryptopay_webhook::{Target, Timeouts};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::mpsc;

use crate::receiver::{PATIENT, Receiver, any_address, outcome, post, read_request, transport};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

fn with_body(body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

#[tokio::test]
async fn a_webhook_arrives_as_it_was_sent() {
    let (seen, mut requests) = mpsc::unbounded_channel();
    let receiver = Receiver::start(move |mut stream| {
        let seen = seen.clone();
        async move {
            seen.send(read_request(&mut stream).await.unwrap()).unwrap();
            stream.write_all(OK.as_bytes()).await.unwrap();
        }
    })
    .await;
    let target = Target::parse(&receiver.url(), &any_address()).unwrap();
    let headers = [("X-Webhook-Signature", "abc".to_owned()), ("webhook-id", "msg_1".to_owned())];
    let body = "{\"description\":\"Zürich\"}";
    let exchange = transport(PATIENT).post(&target, &headers, Bytes::from_static(body.as_bytes())).await;

    assert_eq!(exchange.status_code, Some(200));
    assert_eq!(exchange.error, None);
    assert_eq!(exchange.response.as_deref(), Some("ok"));
    let request = requests.recv().await.unwrap();
    let (head, received) = request.split_once("\r\n\r\n").unwrap();
    assert_eq!(received, body);
    let mut lines = head.split("\r\n");
    assert_eq!(lines.next(), Some("POST /hooks?shop=1 HTTP/1.1"));
    let mut lines: Vec<String> = lines.map(str::to_lowercase).collect();
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "accept: */*",
            "content-length: 25",
            "content-type: application/json",
            &format!("host: {}", receiver.address),
            "user-agent: cryptopay-webhooks/1",
            "webhook-id: msg_1",
            "x-webhook-signature: abc",
        ]
    );
}

#[tokio::test]
async fn the_status_is_told_whatever_it_is() {
    for status in [200, 204, 299, 300, 304, 400, 404, 410, 429, 500, 503, 599, 999] {
        let receiver =
            Receiver::answering(format!("HTTP/1.1 {status} Whatever\r\ncontent-length: 0\r\n\r\n")).await;
        let exchange = outcome(&receiver).await;
        assert_eq!(exchange.status_code, Some(status));
        assert_eq!(exchange.error, None);
        assert_eq!(exchange.response.as_deref(), Some(""));
    }
}

#[tokio::test]
async fn no_redirect_is_followed() {
    let private = Receiver::answering(OK).await;
    for status in [301, 302, 303, 307, 308] {
        let receiver = Receiver::answering(format!(
            "HTTP/1.1 {status} Elsewhere\r\nlocation: {}\r\ncontent-length: 4\r\n\r\ngone",
            private.url()
        ))
        .await;
        let exchange = outcome(&receiver).await;
        assert_eq!(exchange.status_code, Some(status));
        assert_eq!(exchange.response.as_deref(), Some("gone"));
        assert_eq!(receiver.connections(), 1);
    }
    assert_eq!(private.connections(), 0);
}

#[tokio::test]
async fn a_connection_carries_the_next_post() {
    let answer = with_body(&[b'x'; 16 * 1024]);
    let receiver = Receiver::answering(answer).await;
    let transport = transport(PATIENT);
    for _ in 0..5 {
        let exchange = post(&transport, &receiver.url()).await;
        assert_eq!(exchange.response.as_deref(), Some("x".repeat(1024).as_str()));
    }
    assert_eq!(receiver.connections(), 1);
}

#[tokio::test]
async fn a_connection_that_the_server_closed_meanwhile_costs_no_webhook() {
    // Each second request of a connection is met by its end, as when an idle connection is closed.
    let receiver = Receiver::start(|mut stream| async move {
        read_request(&mut stream).await.unwrap();
        stream.write_all(OK.as_bytes()).await.unwrap();
        read_request(&mut stream).await;
    })
    .await;
    let transport = transport(PATIENT);
    for _ in 0..10 {
        assert_eq!(post(&transport, &receiver.url()).await.status_code, Some(200));
    }
    assert_eq!(receiver.connections(), 10);
}

#[tokio::test]
async fn of_megabytes_only_the_first_kilobyte_is_kept_and_little_is_read() {
    let megabytes = 64;
    let sent = Arc::new(AtomicUsize::new(0));
    let (done, mut ended) = mpsc::unbounded_channel();
    let counter = Arc::clone(&sent);
    let receiver = Receiver::start(move |mut stream| {
        let (counter, done) = (Arc::clone(&counter), done.clone());
        async move {
            read_request(&mut stream).await.unwrap();
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", megabytes << 20);
            stream.write_all(head.as_bytes()).await.unwrap();
            while stream.write_all(&[b'm'; 1 << 16]).await.is_ok() {
                counter.fetch_add(1 << 16, Ordering::SeqCst);
            }
            done.send(()).unwrap();
        }
    })
    .await;
    let exchange = outcome(&receiver).await;
    assert_eq!(exchange.status_code, Some(200));
    assert_eq!(exchange.error, None);
    assert_eq!(exchange.response, Some("m".repeat(1024)));
    ended.recv().await.unwrap();
    // What the sockets on both sides hold in between is the kernel's affair.
    assert!(sent.load(Ordering::SeqCst) < 32 << 20, "{} bytes were taken", sent.load(Ordering::SeqCst));
}

#[tokio::test]
async fn an_endless_answer_ends_for_us() {
    let receiver = Receiver::start(|mut stream| async move {
        read_request(&mut stream).await.unwrap();
        let head = "HTTP/1.1 202 Accepted\r\ntransfer-encoding: chunked\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        while stream.write_all(b"4\r\nmore\r\n").await.is_ok() {}
    })
    .await;
    let exchange = outcome(&receiver).await;
    assert_eq!(exchange.status_code, Some(202));
    assert_eq!(exchange.response, Some("more".repeat(256)));
}

#[tokio::test]
async fn a_body_that_drips_does_not_hold_a_success_up() {
    let receiver = Receiver::start(|mut stream| async move {
        read_request(&mut stream).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\ndrip").await.unwrap();
        std::future::pending::<()>().await;
    })
    .await;
    let impatient = Timeouts { body: Duration::from_millis(50), ..PATIENT };
    let exchange = post(&transport(impatient), &receiver.url()).await;
    assert_eq!(exchange.status_code, Some(200));
    assert_eq!(exchange.error, None);
    assert_eq!(exchange.response.as_deref(), Some("drip"));
    assert!(exchange.duration >= Duration::from_millis(50));
    assert!(exchange.duration < PATIENT.total);
}

#[tokio::test]
async fn a_body_that_breaks_off_leaves_the_status_standing() {
    let receiver = Receiver::start(|mut stream| async move {
        read_request(&mut stream).await.unwrap();
        stream.write_all(b"HTTP/1.1 500 Oh\r\ncontent-length: 1000\r\n\r\nTraceb").await.unwrap();
    })
    .await;
    let exchange = outcome(&receiver).await;
    assert_eq!(exchange.status_code, Some(500));
    assert_eq!(exchange.response.as_deref(), Some("Traceb"));
}

#[tokio::test]
async fn an_answer_that_is_no_text_becomes_one() {
    let receiver = Receiver::answering(with_body(b"\xff\0\x1f\x8b\xe2\x82")).await;
    let expected = "\u{FFFD}\u{FFFD}\u{1f}\u{FFFD}\u{FFFD}";
    assert_eq!(outcome(&receiver).await.response.as_deref(), Some(expected));
}

#[tokio::test]
async fn a_compressed_answer_is_not_unpacked() {
    let bomb = "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 3\r\n\r\nabc";
    let receiver = Receiver::answering(bomb).await;
    assert_eq!(outcome(&receiver).await.response.as_deref(), Some("abc"));
}
