//! Receivers that do not answer.

use std::time::Duration;

use bytes::Bytes;
use cryptopay_webhook::{Exchange, Target, Timeouts};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

use crate::receiver::{PATIENT, Receiver, any_address, outcome, post, read_request, transport};

#[track_caller]
fn assert_error(exchange: &Exchange, error: &str) {
    assert_eq!(exchange.error.as_deref(), Some(error));
    assert_eq!(exchange.status_code, None);
    assert_eq!(exchange.response, None);
}

const HURRIED: Timeouts = Timeouts { total: Duration::from_millis(100), ..PATIENT };

#[tokio::test]
async fn a_receiver_that_hangs_costs_the_total_and_no_more() {
    let receiver = Receiver::start(|mut stream| async move {
        read_request(&mut stream).await.unwrap();
        std::future::pending::<()>().await;
    })
    .await;
    let exchange = post(&transport(HURRIED), &receiver.url()).await;
    assert_error(&exchange, "timed out after 100 ms");
    assert!(exchange.duration >= HURRIED.total);
    assert!(exchange.duration < PATIENT.total);
}

#[test]
fn by_default_a_post_takes_ten_seconds_at_most() {
    let Timeouts { total, connect, body } = Timeouts::default();
    assert_eq!([total, connect, body].map(|it| it.as_secs()), [10, 5, 2]);
}

#[tokio::test]
async fn a_head_that_drips_does_not_prolong_anything() {
    let receiver = Receiver::start(|mut stream| async move {
        read_request(&mut stream).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nx: ").await.unwrap();
        while stream.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    assert_error(&post(&transport(HURRIED), &receiver.url()).await, "timed out after 100 ms");
}

#[tokio::test]
async fn interim_answers_do_not_prolong_anything() {
    let receiver = Receiver::start(|mut stream| async move {
        read_request(&mut stream).await.unwrap();
        while stream.write_all(b"HTTP/1.1 102 Processing\r\n\r\n").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    assert_error(&post(&transport(HURRIED), &receiver.url()).await, "timed out after 100 ms");
}

#[tokio::test]
async fn a_head_without_end_is_refused() {
    for line in ["x", "x: y\r\n"] {
        let receiver = Receiver::start(move |mut stream| async move {
            read_request(&mut stream).await.unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\n").await.unwrap();
            while stream.write_all(line.repeat(1000).as_bytes()).await.is_ok() {}
        })
        .await;
        assert_error(&outcome(&receiver).await, "the answer is not HTTP");
    }
}

#[tokio::test]
async fn nobody_there_is_a_refused_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    assert_error(&post(&transport(PATIENT), &format!("http://{address}/")).await, "connection refused");
}

#[tokio::test]
async fn a_connection_that_closes_early_is_told_as_such() {
    for said in ["", "H", "HTTP/1.1 200 OK\r\ncontent-le"] {
        let receiver = Receiver::start(move |mut stream| async move {
            read_request(&mut stream).await.unwrap();
            stream.write_all(said.as_bytes()).await.unwrap();
        })
        .await;
        assert_error(&outcome(&receiver).await, "the connection was closed before an answer");
        assert_eq!(receiver.connections(), 1);
    }
    let at_once = Receiver::start(|stream| async move { drop(stream) }).await;
    assert_error(&outcome(&at_once).await, "the connection was closed before an answer");
}

#[tokio::test]
async fn rubbish_is_no_answer() {
    for rubbish in [
        "SSH-2.0-OpenSSH_9.6\r\n",
        "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\r\n\r\n",
        "HTTP/9.9 200 OK\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n",
        "<html></html>\r\n\r\n",
    ] {
        let receiver = Receiver::answering(rubbish).await;
        assert_error(&outcome(&receiver).await, "the answer is not HTTP");
    }
}

#[tokio::test]
async fn a_receiver_without_tls_is_told_from_one_that_is_not_trusted() {
    let receiver = Receiver::start(|mut stream| async move {
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        std::future::pending::<()>().await;
    })
    .await;
    let url = format!("https://{}/", receiver.address);
    assert_error(&post(&transport(PATIENT), &url).await, "TLS: no agreement with the server");
}

#[tokio::test]
async fn a_connection_that_is_not_made_in_time_is_told_as_such() {
    // It accepts, but never agrees on TLS, which is part of connecting.
    let receiver = Receiver::start(|stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let url = format!("https://{}/", receiver.address);
    let hurried = Timeouts { connect: Duration::from_millis(100), ..PATIENT };
    assert_error(&post(&transport(hurried), &url).await, "could not connect within 100 ms");
}

#[tokio::test]
async fn a_header_that_cannot_be_sent_sends_nothing() {
    let receiver = Receiver::answering("").await;
    let target = Target::parse(&receiver.url(), &any_address()).unwrap();
    for (name, value) in [("x", "a\r\nb: c"), ("x y", "a"), ("", "a")] {
        let exchange =
            transport(PATIENT).post(&target, &[(name, value.to_owned())], Bytes::from_static(b"{}")).await;
        assert_error(&exchange, "the request could not be sent");
    }
    assert_eq!(receiver.connections(), 0);
}
