//! API keys over HTTP.

use std::time::Duration;

use cryptopay_domain::Permission;
use cryptopay_testkit::{Answer, Backend, TestApp, on_both_databases};
use serde_json::{Value, json};

on_both_databases! {
    a_key_is_made_shown_changed_and_revoked => life;
    a_key_reaches_no_further_than_itself_and_what_it_made => children;
    a_rotation_is_repeated_until_its_answer_arrives => rotation;
    narrowing_takes_effect_at_once_and_reaches_what_lies_under => narrowing;
    a_hundred_keys_are_enough => limit;
}

const KEYS: &str = "/api/auth/api-keys";

/// A merchant and her access token.
struct Shop {
    app: TestApp,
    access: String,
}

impl Shop {
    async fn open(backend: Backend) -> Self {
        let app = TestApp::start(backend).await;
        app.core.register("alice").await;
        let access = app.core.login("alice").await.access.expose().to_owned();
        Self { app, access }
    }

    async fn call(&self, by: &str, method: &str, path: &str, body: Option<Value>) -> Answer {
        let call = self.app.call(method, &format!("{KEYS}{path}")).bearer(by);
        match body {
            Some(body) => call.json(&body).send().await,
            None => call.send().await,
        }
    }

    /// Makes a key, and gives it with its description.
    async fn make(&self, by: &str, body: Value) -> (String, Value) {
        let answer = self.call(by, "POST", "", Some(body)).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        key_of(&answer)
    }

    async fn verify(&self, key: &str) -> u16 {
        self.app.get("/api/auth/verify").bearer(key).send().await.status
    }
}

fn key_of(answer: &Answer) -> (String, Value) {
    let mut body = answer.json();
    let key = body.as_object_mut().unwrap().remove("key").unwrap();
    (key.as_str().unwrap().to_owned(), body)
}

fn path_of(key: &Value) -> String {
    format!("/{}", key["id"].as_str().unwrap())
}

async fn life(backend: Backend) {
    let shop = Shop::open(backend).await;
    let full = json!({"name": "  till ", "permissions": ["create_payments", "read", "read"], "expires_at": "2026-01-03T14:00:00+02:00"});
    let (key, made) = shop.make(&shop.access, full).await;
    assert_eq!(
        made,
        json!({
            "id": made["id"], "name": "till", "prefix": key[..12], "permissions": ["read", "create_payments"],
            "created_at": "2026-01-02T12:00:00Z", "expires_at": "2026-01-03T12:00:00Z", "last_used_at": null,
            "status": "active"})
    );
    assert!(key.starts_with("cp_test_") && key.len() == 57, "{key}");
    let path = path_of(&made);
    assert_eq!(shop.call(&shop.access, "GET", &path, None).await.json(), made);
    let listed = shop.call(&shop.access, "GET", "", None).await.json();
    assert_eq!(listed["results"], json!([made]));
    assert!(!listed.to_string().contains(&key[12..]), "the key is seen again");

    shop.app.core.clock.advance(Duration::from_secs(120));
    assert_eq!(shop.verify(&key).await, 200);
    let used = shop.call(&shop.access, "GET", &path, None).await.json();
    assert_eq!(used["last_used_at"], "2026-01-02T12:02:00Z");

    let renamed = shop.call(&shop.access, "PATCH", &path, Some(json!({"name": "other"}))).await.json();
    assert_eq!((&renamed["name"], &renamed["permissions"]), (&json!("other"), &made["permissions"]));
    let verified = shop.app.get("/api/auth/verify").bearer(&key).send().await.json();
    assert_eq!(verified["credential"]["name"], "other");
    for empty in [json!({}), json!({"permissions": []})] {
        let answer = shop.call(&shop.access, "PATCH", &path, Some(empty)).await;
        assert_eq!(answer.verdict(), "400 VALIDATION_ERROR");
    }
    let wider = Some(json!({"permissions": ["read", "manage_webhooks"]}));
    let answer = shop.call(&shop.access, "PATCH", &path, wider).await;
    assert_eq!(
        (answer.verdict().as_str(), answer.fields()),
        ("400 VALIDATION_ERROR", vec!["permissions".to_owned()])
    );

    for _ in 0..3 {
        let revoked = shop.call(&shop.access, "DELETE", &path, None).await;
        assert_eq!((revoked.status, &revoked.json()["status"]), (200, &json!("revoked")));
        assert_eq!(shop.verify(&key).await, 401);
    }
    assert_eq!(shop.call(&shop.access, "GET", &path, None).await.json()["status"], "revoked");
    let rotated = shop.call(&shop.access, "POST", &format!("{path}/rotate"), None).await;
    assert_eq!(rotated.verdict(), "409 CONFLICT");
    shop.app.core.clock.advance(Duration::from_secs(91 * 86_400));
    let access = shop.app.core.login("alice").await.access;
    assert_eq!(shop.call(access.expose(), "GET", "", None).await.json()["results"], json!([]));
    assert_eq!(shop.call(access.expose(), "GET", &path, None).await.verdict(), "404 NOT_FOUND");
}

async fn children(backend: Backend) {
    let shop = Shop::open(backend).await;
    let day = json!("2026-01-03T12:00:00Z");
    let (other, other_made) =
        shop.make(&shop.access, json!({"name": "other", "permissions": ["full_access"]})).await;
    let (parent, parent_made) = shop
        .make(&shop.access, json!({"name": "parent", "permissions": ["full_access"], "expires_at": day}))
        .await;
    for (body, field) in [
        (json!({"name": "k", "permissions": ["read"], "expires_at": null}), "expires_at"),
        (json!({"name": "k", "permissions": ["read"]}), "expires_at"),
        (json!({"name": "k", "permissions": ["read"], "expires_at": "2026-01-03T12:00:01Z"}), "expires_at"),
    ] {
        let answer = shop.call(&parent, "POST", "", Some(body)).await;
        assert_eq!(
            (answer.verdict().as_str(), answer.fields()),
            ("400 VALIDATION_ERROR", vec![field.to_owned()])
        );
    }
    let (child, child_made) =
        shop.make(&parent, json!({"name": "child", "permissions": ["full_access"], "expires_at": day})).await;
    let (grandchild, grandchild_made) =
        shop.make(&child, json!({"name": "grandchild", "permissions": ["read"], "expires_at": day})).await;

    let ids = |answer: &Answer| -> Vec<Value> {
        answer.json()["results"].as_array().unwrap().iter().map(|key| key["id"].clone()).collect()
    };
    let all = [&grandchild_made, &child_made, &parent_made, &other_made].map(|key| key["id"].clone());
    assert_eq!(ids(&shop.call(&shop.access, "GET", "", None).await), all);
    assert_eq!(ids(&shop.call(&parent, "GET", "", None).await), all[..3]);
    assert_eq!(ids(&shop.call(&child, "GET", "", None).await), all[..2]);
    assert_eq!(ids(&shop.call(&other, "GET", "", None).await), all[3..]);
    for (method, tail, body) in [
        ("GET", "", None),
        ("PATCH", "", Some(json!({"name": "mine"}))),
        ("DELETE", "", None),
        ("POST", "/rotate", None),
    ] {
        for (by, whose) in [(&child, &parent_made), (&child, &other_made), (&other, &child_made)] {
            let answer = shop.call(by, method, &format!("{}{tail}", path_of(whose)), body.clone()).await;
            assert_eq!(answer.verdict(), "404 NOT_FOUND", "{method} {tail}");
        }
    }
    assert_eq!(shop.call(&parent, "DELETE", &path_of(&parent_made), None).await.json()["status"], "revoked");
    for key in [&parent, &child, &grandchild] {
        assert_eq!(shop.verify(key).await, 401);
    }
    assert_eq!(shop.verify(&other).await, 200);
    let listed = shop.call(&shop.access, "GET", "", None).await.json();
    let status = |place: usize| listed["results"][place]["status"].clone();
    assert_eq!([status(0), status(1), status(2), status(3)], ["revoked", "revoked", "revoked", "active"]);
}

async fn rotation(backend: Backend) {
    let shop = Shop::open(backend).await;
    let end = json!("2026-01-02T13:00:00Z");
    let (old, made) =
        shop.make(&shop.access, json!({"name": "till", "permissions": ["read"], "expires_at": end})).await;
    let rotate = format!("{}/rotate", path_of(&made));
    let by = &shop.access;
    let (lost, _) = key_of(&shop.call(by, "POST", &rotate, None).await);
    let expiring = shop.call(by, "GET", &path_of(&made), None).await.json();
    assert_eq!((&expiring["status"], &expiring["expires_at"]), (&json!("expiring"), &end));
    let verified = shop.app.get("/api/auth/verify").bearer(&old).send().await.json();
    assert_eq!(verified["expires_at"], end, "an overlap never outlives the key's own end");

    shop.app.core.clock.advance(Duration::from_secs(60));
    let answer = shop.call(by, "POST", &rotate, Some(json!({"overlap_seconds": 300}))).await;
    assert_eq!(answer.status, 201);
    let (new, successor) = key_of(&answer);
    for (name, value) in [
        ("name", json!("till")),
        ("permissions", json!(["read"])),
        ("expires_at", end),
        ("status", json!("active")),
    ] {
        assert_eq!(successor[name], value, "{name}");
    }
    assert_eq!([shop.verify(&old).await, shop.verify(&lost).await, shop.verify(&new).await], [200, 401, 200]);
    let verified = shop.app.get("/api/auth/verify").bearer(&old).send().await.json();
    assert_eq!(verified["expires_at"], "2026-01-02T12:06:00Z", "the overlap starts anew");

    // Its successor has been used by now.
    assert_eq!(shop.call(by, "POST", &rotate, None).await.verdict(), "409 CONFLICT");
    shop.app.core.clock.advance(Duration::from_secs(300));
    assert_eq!([shop.verify(&old).await, shop.verify(&new).await], [401, 200]);
    assert_eq!(shop.call(by, "GET", &path_of(&made), None).await.json()["status"], "expired");
    assert_eq!(shop.call(by, "POST", &rotate, None).await.verdict(), "409 CONFLICT");

    // Without an overlap the old one stops at once.
    let rotate = format!("{}/rotate", path_of(&successor));
    let (last, _) = key_of(&shop.call(by, "POST", &rotate, Some(json!({"overlap_seconds": 0}))).await);
    assert_eq!([shop.verify(&new).await, shop.verify(&last).await], [401, 200]);
}

async fn narrowing(backend: Backend) {
    let shop = Shop::open(backend).await;
    let (parent, parent_made) =
        shop.make(&shop.access, json!({"name": "parent", "permissions": ["full_access"]})).await;
    let (both, _) =
        shop.make(&parent, json!({"name": "both", "permissions": ["read", "create_payments"]})).await;
    let (hooks, _) = shop.make(&parent, json!({"name": "hooks", "permissions": ["manage_webhooks"]})).await;
    for key in [&parent, &both, &hooks] {
        assert_eq!(shop.verify(key).await, 200);
    }
    let narrow = Some(json!({"permissions": ["read"]}));
    let answer = shop.call(&shop.access, "PATCH", &path_of(&parent_made), narrow).await;
    assert_eq!(answer.json()["permissions"], json!(["read"]));
    let opens = async |key: &str| {
        let answer = shop.app.get("/api/auth/verify").bearer(key).send().await;
        answer.header("x-auth-permissions").map(str::to_owned)
    };
    assert_eq!(opens(&parent).await.as_deref(), Some("read"));
    assert_eq!(opens(&both).await.as_deref(), Some("read"));
    assert_eq!(opens(&hooks).await, None, "a key without any permission is revoked");
    assert_eq!(shop.call(&parent, "GET", "", None).await.verdict(), "403 INSUFFICIENT_PERMISSIONS");
}

async fn limit(backend: Backend) {
    let shop = Shop::open(backend).await;
    let alice = shop.app.core.auth.authenticate(&shop.access).await.unwrap();
    let mut last = None;
    for _ in 0..100 {
        last = Some(shop.app.core.api_key(&alice, &[Permission::Read], None).await.details.id);
    }
    let body = || Some(json!({"name": "one too many", "permissions": ["read"]}));
    assert_eq!(shop.call(&shop.access, "POST", "", body()).await.verdict(), "409 CONFLICT");
    let path = format!("/{}", last.unwrap());
    assert_eq!(shop.call(&shop.access, "POST", &format!("{path}/rotate"), None).await.status, 201);
    assert_eq!(shop.call(&shop.access, "POST", "", body()).await.verdict(), "409 CONFLICT");
    let listed = shop.call(&shop.access, "GET", "?limit=3", None).await.json();
    for place in 0..3 {
        assert_eq!(
            shop.call(&shop.access, "DELETE", &path_of(&listed["results"][place]), None).await.status,
            200
        );
    }
    assert_eq!(shop.call(&shop.access, "POST", "", body()).await.status, 201);
}
