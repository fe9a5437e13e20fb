//! Clients that are slow on purpose: at whatever point they stall, their connection ends. Of the TLS handshake see `tls.rs`.

use std::time::Duration;

use cryptopay_http::{HttpConfig, ServerConfig};
use cryptopay_testkit::{Backend, TestApp, TestAuth};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

/// Far above any of the server's deadlines here, and far below for ever.
const PATIENCE: Duration = Duration::from_secs(60);
const REQUEST: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";

fn server() -> ServerConfig {
    ServerConfig {
        head_timeout: Duration::from_millis(500),
        keep_alive: Duration::from_millis(500),
        answer_timeout: Duration::from_millis(500),
        ..ServerConfig::default()
    }
}

async fn app() -> TestApp {
    TestApp::serve_with(TestAuth::start(Backend::Sqlite).await, HttpConfig::new(7), server())
}

/// All that comes until the server ends the connection, while a byte is sent now and then.
async fn dribble(connection: TcpStream, byte: &[u8]) -> String {
    let (mut reader, mut writer) = connection.into_split();
    let sending = async {
        while writer.write_all(byte).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        std::future::pending::<()>().await;
    };
    let receiving = async {
        let mut received = Vec::new();
        let mut buffer = [0; 4096];
        // A connection may end with a reset: bytes of ours were still on their way.
        while let Ok(count @ 1..) = reader.read(&mut buffer).await {
            received.extend_from_slice(&buffer[..count]);
        }
        String::from_utf8(received).unwrap()
    };
    tokio::select! {
        received = timeout(PATIENCE, receiving) => received.unwrap(),
        () = sending => unreachable!(),
    }
}

#[tokio::test]
async fn a_head_that_comes_byte_by_byte_is_not_waited_for() {
    let app = app().await;
    let mut connection = TcpStream::connect(app.address()).await.unwrap();
    connection.write_all(b"GET /healthz HTTP/1.1\r\nX-Slow: ").await.unwrap();
    let answer = dribble(connection, b"x").await;
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("REQUEST_TIMEOUT"), "{answer}");
}

#[tokio::test]
async fn neither_is_the_head_of_a_second_request() {
    let app = app().await;
    for pipelined in [true, false] {
        let mut connection = TcpStream::connect(app.address()).await.unwrap();
        let begun = b"GET /healthz HTTP/1.1\r\nX-Slow: ";
        if pipelined {
            connection.write_all(&[REQUEST, begun].concat()).await.unwrap();
        } else {
            connection.write_all(REQUEST).await.unwrap();
            connection.read_exact(&mut [0; 12]).await.unwrap();
            connection.write_all(begun).await.unwrap();
        }
        dribble(connection, b"x").await;
    }
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let app = app().await;
    let mut connection = TcpStream::connect(app.address()).await.unwrap();
    connection.write_all(REQUEST).await.unwrap();
    let mut received = String::new();
    timeout(PATIENCE, connection.read_to_string(&mut received)).await.unwrap().unwrap();
    assert!(received.starts_with("HTTP/1.1 200 "), "{received}");
}

#[tokio::test]
async fn a_body_that_comes_byte_by_byte_is_not_waited_for() {
    let app = app().await;
    for framing in ["Content-Length: 60000\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\nea60\r\n"] {
        let mut connection = TcpStream::connect(app.address()).await.unwrap();
        let head = format!("POST /nowhere HTTP/1.1\r\nHost: a\r\n{framing}");
        connection.write_all(head.as_bytes()).await.unwrap();
        let answer = dribble(connection, b"x").await;
        assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    }
}

#[tokio::test]
async fn answers_that_nobody_reads_are_not_kept() {
    let app = app().await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut connection = socket.connect(app.address()).await.unwrap();
    let request = b"GET /api/openapi.json HTTP/1.1\r\nHost: a\r\n\r\n";
    let asking = async { while connection.write_all(request).await.is_ok() {} };
    timeout(PATIENCE, asking).await.unwrap();
}
