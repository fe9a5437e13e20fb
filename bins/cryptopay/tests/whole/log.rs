//! What the server writes about its work. That no secret is in it, [`cryptopay_testkit::Server`] checks after
//! every test.

use cryptopay_testkit::{Backend, Installation, OTHER_PASSWORD, PASSWORD, on_both_databases};
use serde_json::{Value, json};

use crate::PROGRAM;

on_both_databases! {
    each_answer_is_one_line_of_json_without_query_and_secret => access_lines;
    at_the_finest_level_no_secret_is_logged_either => finest_level;
}

async fn access_lines(backend: Backend) {
    let server = Installation::new(PROGRAM, backend).await.serve().await;
    server.register("alice").await;
    let access = server.login("alice").await.access;
    let (id, key) = server.create_api_key(&access, &["read"]).await;
    assert_eq!(server.get("/api/auth/verify/?permission=read", &key).await.status, 200);
    assert_eq!(server.get("/api/nowhere/hunter2?token=hunter2", &key).await.status, 404);
    let path = format!("/api/auth/verify?access_token={access}");
    assert_eq!(server.get(&path, "").await.status, 401, "never from a query string");

    let finished = server.stop().await;
    assert!(!finished.stdout.contains("hunter2") && !finished.stdout.contains("permission=read"));
    assert!(!finished.stdout.contains(&access));
    let lines: Vec<Value> =
        finished.stdout.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let of = |route: &str, status: u64| {
        let is_it = |line: &&Value| {
            line["target"] == "cryptopay::access" && line["route"] == route && line["status"] == status
        };
        lines.iter().filter(is_it).count()
    };
    for (route, status) in [
        ("/api/auth/register", 201),
        ("/api/auth/login", 200),
        ("/api/auth/api-keys", 201),
        ("/api/auth/verify", 200),
        ("/api/auth/verify", 401),
        ("-", 404),
    ] {
        assert_eq!(of(route, status), 1, "{route} {status} in {}", finished.stdout);
    }
    let verified = lines.iter().find(|line| line["route"] == "/api/auth/verify" && line["status"] == 200);
    let verified = verified.unwrap();
    assert_eq!(verified["credential"], format!("api_key:{id}"));
    for field in ["timestamp", "level", "method", "micros", "client", "id"] {
        assert!(!verified[field].is_null(), "{field} in {verified}");
    }
}

async fn finest_level(backend: Backend) {
    let installation = Installation::new(PROGRAM, backend).await.with("CRYPTOPAY_LOG", "trace");
    let server = installation.serve().await;
    server.register("alice").await;
    let tokens = server.login("alice").await;
    let (id, key) = server.create_api_key(&tokens.access, &["full_access"]).await;
    assert_eq!(server.verify(&key).await, "200");
    let rotated = server.post(&format!("/api/auth/api-keys/{id}/rotate"), &key, &json!({})).await;
    assert_eq!(rotated.verdict(), "201");
    let endpoint = json!({"url": "https://198.41.0.4/hook", "events": ["*"]});
    let endpoint = server.post("/api/webhooks", &key, &endpoint).await.json();
    let rotate = format!("/api/webhooks/{}/rotate-secret", endpoint["id"].as_str().unwrap());
    let rotated = server.post(&rotate, &key, &json!({})).await;
    assert_eq!(rotated.verdict(), "200");
    assert_ne!(endpoint["secret"].as_str().unwrap(), rotated.json()["secret"].as_str().unwrap());
    let renewed = server.refresh(&tokens).await;
    let change = json!({"current_password": PASSWORD, "new_password": OTHER_PASSWORD});
    assert_eq!(server.post("/api/auth/password", &renewed.access, &change).await.verdict(), "200");
    let typo = json!({"username": "a-password-typed-into-the-wrong-field", "password": "wrong-password-1"});
    assert_eq!(server.post("/api/auth/login", "", &typo).await.verdict(), "401 INVALID_CREDENTIALS");
    assert_eq!(
        server.post("/api/auth/login", "", &json!({"password": ["nested-secret-1"]})).await.status,
        400
    );

    let finished = server.stop().await;
    assert!(finished.stdout.contains(r#""level":"TRACE""#), "it is the finest level");
    for secret in ["typed-into-the-wrong-field", "nested-secret-1"] {
        assert!(!finished.stdout.contains(secret), "{secret}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn people_get_text_when_they_ask_for_it() {
    let installation = Installation::new(PROGRAM, Backend::Sqlite).await.with("CRYPTOPAY_LOG_FORMAT", "text");
    let finished = installation.serve().await.stop().await;
    assert!(finished.stdout.contains("listening"), "{finished:?}");
    assert!(finished.stdout.lines().all(|line| !line.starts_with('{')), "{finished:?}");
}
