//! The page merchants read, word for word: what its examples send, and what it says comes back.

use std::time::Duration;

use cryptopay_domain::Permission;
use cryptopay_testkit::{Backend, TestApp, on_both_databases, page_signature};
use serde_json::{Value, json};

use crate::objects::event_bytes;

on_both_databases! {
    the_pages_examples_work_to_the_letter => examples;
    the_pages_errors_are_the_servers_to_the_letter => errors;
    the_pages_own_client_refreshes_and_repeats => client;
    every_permission_of_the_page_guards_something_real => permissions;
    the_pages_receiver_would_accept_what_is_to_be_sent => webhook;
}

const REGISTER: &str = r#"{
"username": "your-username",
"email": "your-email@example.com",
"password": "your-secure-password",
"shop_name": "Your Business Name"
}"#;

fn names(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

/// `curl -X POST … -H "Content-Type: application/json" -d …`
async fn curl(app: &TestApp, path: &str, body: &str) -> (u16, Value) {
    let call = app.call("POST", path).header("content-type", "application/json");
    let answer = call.body(body).send().await;
    (answer.status, answer.json())
}

async fn examples(backend: Backend) {
    let app = TestApp::start(backend).await;
    let (status, registered) = curl(&app, "/api/auth/register", REGISTER).await;
    assert_eq!(status, 201, "{registered}");
    let id = registered["user"]["id"].as_i64().unwrap();
    assert_eq!(
        registered,
        json!({"user": {
            "id": id, "username": "your-username", "email": "your-email@example.com",
            "shop_name": "Your Business Name", "created_at": "2026-01-02T12:00:00Z"}})
    );

    // The page's login uses another password, and the right one works.
    let (status, _) =
        curl(&app, "/api/auth/login", r#"{"username": "your-username", "password": "your-password"}"#).await;
    assert_eq!(status, 401);
    let (status, login) =
        curl(&app, "/api/auth/login", r#"{"username": "your-username", "password": "your-secure-password"}"#)
            .await;
    assert_eq!(status, 200);
    let user = json!({"id": id, "username": "your-username", "email": "your-email@example.com"});
    assert_eq!(names(&login), ["access", "refresh", "user"]);
    assert_eq!(login["user"], user);

    let access = login["access"].as_str().unwrap();
    let orders = app.get("/api/payment-orders/").bearer(access).header("content-type", "application/json");
    let orders = orders.send().await;
    assert_eq!(orders.json(), json!({"results": [], "next": null, "previous": null}));

    let refresh = json!({"refresh": login["refresh"]}).to_string();
    let (status, pair) = curl(&app, "/api/auth/token/refresh/", &refresh).await;
    assert_eq!((status, names(&pair)), (200, vec!["access", "refresh"]));
    assert!(pair["access"].is_string() && pair["refresh"].is_string());
    assert_ne!(pair["refresh"], login["refresh"]);

    let key = json!({"name": "till", "permissions": ["read", "create_payments"], "expires_at": "2027-01-02T12:00:00Z"});
    let key =
        app.post("/api/auth/api-keys", &key).bearer(pair["access"].as_str().unwrap()).send().await.json();
    let verified = app.get("/api/auth/verify/").bearer(key["key"].as_str().unwrap()).send().await;
    assert_eq!(
        verified.json(),
        json!({
            "valid": true,
            "user": {"id": id, "username": "your-username", "permissions": ["read", "create_payments"]},
            "expires_at": "2027-01-02T12:00:00Z",
            "credential": {"type": "api_key", "id": key["id"], "name": "till"},
            "environment": "sandbox"})
    );
}

async fn errors(backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.core.principal("alice").await;
    let answer = app.get("/api/auth/verify/").bearer("eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9...").send().await;
    assert_eq!(
        (answer.status, answer.json()),
        (
            401,
            json!({"error": {"code": "INVALID_TOKEN", "message": "The provided token is invalid or expired"}})
        )
    );
    let key = app.core.api_key(&alice, &[Permission::CreatePayments], None).await;
    let answer = app.get("/api/payment-orders/").bearer(key.key.expose()).send().await;
    let mut body = answer.json();
    assert_eq!(body["error"].as_object_mut().unwrap().remove("required_permission"), Some("read".into()));
    assert_eq!(
        (answer.status, body),
        (
            403,
            json!({"error": {
            "code": "INSUFFICIENT_PERMISSIONS",
            "message": "Your API key doesn't have permission for this operation"}})
        )
    );
}

/// The page's `CryptoPayClient`, in Rust: a 401 is followed by a refresh and the whole request again.
struct CryptoPayClient<'a> {
    app: &'a TestApp,
    access: String,
    refresh: String,
}

impl CryptoPayClient<'_> {
    async fn make_request(&mut self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        let first = self.fetch(method, path, body).await;
        if first.0 != 401 {
            return first;
        }
        let pair = self.app.post("/api/auth/token/refresh/", &json!({"refresh": self.refresh})).send().await;
        assert_eq!(pair.status, 200, "Failed to refresh token");
        self.access = pair.json()["access"].as_str().unwrap().to_owned();
        self.refresh = pair.json()["refresh"].as_str().unwrap().to_owned();
        self.fetch(method, path, body).await
    }

    async fn fetch(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        let call = self.app.call(method, path).bearer(&self.access);
        let call = call.header("content-type", "application/json");
        let call = match body {
            Some(body) => call.body(body.to_string()),
            None => call,
        };
        let answer = call.send().await;
        (answer.status, answer.json())
    }
}

async fn client(backend: Backend) {
    let app = TestApp::start(backend).await;
    app.core.register("alice").await;
    let login = app.core.login("alice").await;
    let mut client = CryptoPayClient {
        app: &app,
        access: login.access.expose().to_owned(),
        refresh: login.refresh.expose().to_owned(),
    };
    assert_eq!(client.make_request("GET", "/api/payment-orders/", None).await.0, 200);
    for day in 0..40 {
        app.core.clock.advance(Duration::from_secs(86_400));
        let key = json!({"name": format!("day {day}"), "permissions": ["read"]});
        let (status, key) = client.make_request("POST", "/api/auth/api-keys/", Some(&key)).await;
        assert_eq!(status, 201, "{key}");
        let path = format!("/api/auth/api-keys/{}/", key["id"].as_str().unwrap());
        assert_eq!(client.make_request("DELETE", &path, None).await.1["status"], "revoked");
    }
    // Nothing happened before the 401s: each key was made once.
    let (_, keys) = client.make_request("GET", "/api/auth/api-keys/?limit=100", None).await;
    assert_eq!(keys["results"].as_array().unwrap().len(), 40);
    // A wrong present password must not make it refresh.
    let passwords = json!({"current_password": "wrong", "new_password": "gravel+Lantern.77.tide"});
    let refresh = client.refresh.clone();
    assert_eq!(client.make_request("POST", "/api/auth/password/", Some(&passwords)).await.0, 400);
    assert_eq!(client.refresh, refresh);
}

/// "Read Only: View payment orders", "Create Payments: Create new payment orders", "Manage Webhooks: Configure
/// webhook endpoints", "Full Access: All operations".
async fn permissions(backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.core.principal("alice").await;
    let order = json!({"amount": "49.90", "currency": "USD"});
    let webhook = json!({"url": "https://shop.example.com/webhooks/cryptopay", "events": ["*"]});
    for (permission, view, pay, configure) in [
        (Permission::Read, 200, 403, 403),
        (Permission::CreatePayments, 403, 201, 403),
        (Permission::ManageWebhooks, 403, 403, 201),
        (Permission::FullAccess, 200, 201, 201),
    ] {
        let key = app.core.api_key(&alice, &[permission], None).await;
        let key = key.key.expose();
        let orders = "/api/payment-orders/";
        assert_eq!(app.get(orders).bearer(key).send().await.status, view, "{permission}");
        assert_eq!(app.post(orders, &order).bearer(key).send().await.status, pay, "{permission}");
        let made = app.post("/api/webhooks/", &webhook).bearer(key).send().await;
        assert_eq!(made.status, configure, "{permission}");
    }
}

/// `verifyWebhookSignature`: the HMAC-SHA256 of the payload in hex, keyed with `WEBHOOK_SECRET` as text.
async fn webhook(backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.core.principal("alice").await;
    let access = app.core.login("alice").await.access;
    let post = |path: String, body: Value| app.post(&path, &body).bearer(access.expose());
    let hook =
        json!({"url": "https://shop.example.com/webhooks/cryptopay", "events": ["payment_order.paid"]});
    let endpoint = post("/api/webhooks/".to_owned(), hook).send().await.json();
    let order = json!({"amount": "49.90", "currency": "USD", "metadata": {"order": "1042"}});
    let order = post("/api/payment-orders/".to_owned(), order).send().await.json();
    let path = format!("/api/payment-orders/{}/simulate/", order["id"].as_str().unwrap());
    let paid = post(path, json!({"status": "paid"})).send().await.json();

    let path = format!("/api/webhooks/{}/deliveries/", endpoint["id"].as_str().unwrap());
    let deliveries = app.get(&path).bearer(access.expose()).send().await.json();
    let [delivery] = deliveries["results"].as_array().unwrap().as_slice() else { panic!("{deliveries}") };
    assert_eq!(
        (&delivery["event_type"], &delivery["status"]),
        (&json!("payment_order.paid"), &json!("pending"))
    );
    let id = |value: &Value| value["id"].as_str().unwrap().to_owned();
    let bytes =
        event_bytes(&app, &alice, id(&endpoint).parse().unwrap(), id(delivery).parse().unwrap()).await;
    let event: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(
        event,
        json!({
            "id": delivery["event_id"], "type": "payment_order.paid", "created_at": paid["updated_at"],
            "data": paid})
    );
    // The sandbox's doctor confirms what the page's code computes.
    let signature = page_signature(endpoint["secret"].as_str().unwrap(), &bytes);
    let path = format!("{path}{}/diagnose/", id(delivery));
    let diagnosis = post(path, json!({"signature": signature})).send().await.json();
    assert_eq!(diagnosis["verdict"], "correct");
}
