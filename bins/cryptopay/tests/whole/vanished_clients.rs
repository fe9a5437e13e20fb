//! Clients that close the connection in mid-query, by the hundred.

use std::sync::Arc;

use cryptopay_testkit::{Backend, Installation, Server, eventually, on_both_databases};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::PROGRAM;

on_both_databases! {
    hundreds_of_vanished_clients_leave_every_connection_healthy => vanished;
}

async fn vanished(backend: Backend) {
    let server = Installation::new(PROGRAM, backend).await.serve().await;
    server.register("alice").await;
    let tokens = server.login("alice").await;
    let (_, key) = server.create_api_key(&tokens.access, &["read"]).await;

    let list = format!(
        "GET /api/auth/api-keys HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\r\n",
        tokens.access
    );
    let body = r#"{"name":"x","permissions":["read"],"expires_at":null,"#;
    let half_a_body = format!(
        "POST /api/auth/api-keys HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        tokens.access,
        body.len() + 100
    );
    let refresh_body = format!(r#"{{"refresh":"{}"}}"#, tokens.refresh);
    let refresh = post("/api/auth/token/refresh", &refresh_body);
    let login = post("/api/auth/login", r#"{"username":"alice","password":"wrong-password-1"}"#);
    let mut gone = Vec::new();
    for (request, count) in [(&list, 300), (&half_a_body, 50), (&refresh, 100), (&login, 20)] {
        for _ in 0..count {
            gone.push(tokio::spawn(send_and_vanish(server.address(), request.clone())));
        }
    }
    for client in gone {
        client.await.unwrap();
    }

    // More at once than there are connections to the database: one that is lost would be missed.
    let server = Arc::new(server);
    let mut answers = JoinSet::new();
    for _ in 0..40 {
        let (server, access) = (Arc::clone(&server), tokens.access.clone());
        answers.spawn(async move { server.get("/api/auth/sessions", &access).await });
    }
    for answer in answers.join_all().await {
        assert_eq!(answer.verdict(), "200");
    }
    assert_eq!(server.verify(&key).await, "200");
    assert_keys(&server, &tokens.access, 1).await;
    eventually("waiting logins of vanished clients make room", async || {
        let login = serde_json::json!({"username": "alice", "password": cryptopay_testkit::PASSWORD});
        server.post("/api/auth/login", "", &login).await.status == 200
    })
    .await;
    server.refresh(&tokens).await;
}

/// A request that was cut off in its body has done nothing.
async fn assert_keys(server: &Server, bearer: &str, expected: usize) {
    let keys = server.get("/api/auth/api-keys", bearer).await.json();
    assert_eq!(keys["results"].as_array().map(Vec::len), Some(expected), "{keys}");
}

async fn send_and_vanish(address: std::net::SocketAddr, request: String) {
    let mut connection = TcpStream::connect(address).await.expect("a connection");
    connection.write_all(request.as_bytes()).await.expect("it is read");
    tokio::task::yield_now().await;
}

fn post(path: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}
