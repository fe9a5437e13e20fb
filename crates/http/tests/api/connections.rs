//! Connections: what one client may hold, and what all may.

use cryptopay_http::{HttpConfig, ServerConfig};
use cryptopay_testkit::{Backend, TestApp, TestAuth};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const REQUEST: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";

/// Whether the server answers on a connection; `false` when it closes it.
async fn is_answered(connection: &mut TcpStream) -> bool {
    let mut answer = [0; 12];
    // Writing to a connection that is closed already may fail; reading tells.
    drop(connection.write_all(REQUEST).await);
    connection.read_exact(&mut answer).await.is_ok() && &answer == b"HTTP/1.1 200"
}

async fn app(config: HttpConfig) -> TestApp {
    let server = ServerConfig { connections_per_client: 2, connections: 10, ..ServerConfig::default() };
    TestApp::serve_with(TestAuth::start(Backend::Sqlite).await, config, server)
}

#[tokio::test]
async fn a_client_holds_no_more_connections_than_its_share_and_gets_its_places_back() {
    let app = app(HttpConfig::new(7)).await;
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut connection = TcpStream::connect(app.address()).await.unwrap();
        assert!(is_answered(&mut connection).await);
        held.push(connection);
    }
    let mut third = TcpStream::connect(app.address()).await.unwrap();
    assert!(!is_answered(&mut third).await);

    drop(held);
    // The server sees the ends when it gets to them.
    loop {
        let mut again = TcpStream::connect(app.address()).await.unwrap();
        if is_answered(&mut again).await {
            break;
        }
    }
}

#[tokio::test]
async fn a_trusted_proxy_holds_as_many_as_there_are() {
    let mut config = HttpConfig::new(7);
    config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    let app = app(config).await;
    let mut held = Vec::new();
    for _ in 0..10 {
        let mut connection = TcpStream::connect(app.address()).await.unwrap();
        assert!(is_answered(&mut connection).await);
        held.push(connection);
    }

    let mut one_more = TcpStream::connect(app.address()).await.unwrap();
    assert!(!is_answered(&mut one_more).await, "there is an end to all of them");
}
