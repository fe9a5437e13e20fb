//! A merchant who makes orders and wants to be told of them.

use cryptopay_testkit::{Backend, Installation, Server, eventually};
use serde_json::{Value, json};

use crate::PROGRAM;

/// An endpoint, and what its deliveries are signed with.
pub(crate) struct Endpoint {
    pub(crate) id: String,
    pub(crate) secret: String,
}

/// An installation whose webhooks may go to this machine.
pub(crate) async fn installation(backend: Backend) -> Installation {
    Installation::new(PROGRAM, backend).await.with("CRYPTOPAY_WEBHOOK_ALLOW_PRIVATE", "true")
}

/// Registers a merchant: an API key that may make, see and be told of orders.
pub(crate) async fn open(server: &Server, username: &str) -> String {
    server.register(username).await;
    let tokens = server.login(username).await;
    let permissions = ["read", "create_payments", "manage_webhooks"];
    server.create_api_key(&tokens.access, &permissions).await.1
}

/// Makes an endpoint for events of every kind.
pub(crate) async fn create_endpoint(server: &Server, key: &str, url: &str) -> Endpoint {
    let answer = server.post("/api/webhooks", key, &json!({"url": url, "events": ["*"]})).await;
    assert_eq!(answer.verdict(), "201");
    let endpoint = answer.json();
    Endpoint { id: text(&endpoint["id"]), secret: text(&endpoint["secret"]) }
}

/// Rotates an endpoint's secret: the new one.
pub(crate) async fn rotate_secret(
    server: &Server,
    key: &str,
    endpoint: &Endpoint,
    overlap_seconds: u32,
) -> String {
    let path = format!("/api/webhooks/{}/rotate-secret", endpoint.id);
    let answer = server.post(&path, key, &json!({"overlap_seconds": overlap_seconds})).await;
    assert_eq!(answer.verdict(), "200");
    text(&answer.json()["secret"])
}

/// Makes an order.
pub(crate) async fn create_order(server: &Server, key: &str) -> Value {
    create_order_with(server, key, &json!({})).await
}

/// Makes an order with this metadata.
pub(crate) async fn create_order_with(server: &Server, key: &str, metadata: &Value) -> Value {
    let body = json!({"amount": "49.90", "currency": "USD", "metadata": metadata});
    let answer = server.post("/api/payment-orders", key, &body).await;
    assert_eq!(answer.verdict(), "201");
    answer.json()
}

/// An endpoint's deliveries, newest first, once none of them is pending.
pub(crate) async fn settled_deliveries(server: &Server, key: &str, endpoint: &Endpoint) -> Vec<Value> {
    let path = format!("/api/webhooks/{}/deliveries?limit=100", endpoint.id);
    let mut deliveries = Vec::new();
    eventually("every delivery has ended", async || {
        let answer = server.get(&path, key).await;
        assert_eq!(answer.verdict(), "200");
        deliveries = answer.json()["results"].as_array().unwrap().clone();
        deliveries.iter().all(|delivery| delivery["status"] != "pending")
    })
    .await;
    deliveries
}

/// A JSON string's text.
pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}
