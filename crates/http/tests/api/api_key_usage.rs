//! The use of API keys over HTTP: what counts as what.

use std::time::Duration;

use cryptopay_auth::{Clock as _, NewApiKey};
use cryptopay_domain::Permission;
use cryptopay_http::{HttpConfig, RateLimiter, RateLimits};
use cryptopay_testkit::{Backend, TestApp, TestAuth, on_both_databases};
use serde_json::{Value, json};

on_both_databases! {
    every_request_with_a_key_is_counted_by_what_it_is_answered => counting;
    what_is_beyond_a_limit_is_a_refusal => limited;
    a_key_that_never_used_a_permission_is_told_how_to_do_without => narrowing;
}

/// Alice, her access token, and a key that reads and manages webhooks.
struct Shop {
    app: TestApp,
    key: NewApiKey,
}

impl Shop {
    async fn open(app: TestApp) -> Self {
        let alice = app.core.principal("alice").await;
        let permissions = [Permission::Read, Permission::ManageWebhooks];
        let key = app.core.api_key(&alice, &permissions, None).await;
        Self { app, key }
    }

    async fn send(&self, method: &str, path: &str) -> u16 {
        let call = self.app.call(method, path).bearer(self.key.key.expose());
        let call = if method == "POST" { call.json(&json!({})) } else { call };
        call.send().await.status
    }

    async fn usage(&self) -> Value {
        let access = self.app.core.login("alice").await.access;
        let path = format!("/api/auth/api-keys/{}/usage/", self.key.details.id);
        let answer = self.app.get(&path).bearer(access.expose()).send().await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    /// Today's requests and refusals.
    async fn today(&self) -> (Value, Value) {
        let today = self.usage().await["days"][13].clone();
        (today["requests"].clone(), today["refusals"].clone())
    }
}

async fn counting(backend: Backend) {
    let shop = Shop::open(TestApp::start(backend).await).await;
    let mut usage = shop.usage().await;
    let days = usage["days"].as_array().unwrap().clone();
    assert_eq!(days.len(), 14);
    assert_eq!(days[0], json!({"date": "2025-12-20", "requests": 0, "refusals": 0}));
    assert_eq!(days[13], json!({"date": "2026-01-02", "requests": 0, "refusals": 0}));
    usage.as_object_mut().unwrap().remove("days");
    let never = json!({"last_used_at": null});
    let id = shop.key.details.id.to_string();
    assert_eq!(
        usage,
        json!({
            "api_key": id, "last_used_at": null, "last_verified_at": null, "suggested_permissions": null,
            "permissions": {
                "read": never, "create_payments": never, "manage_webhooks": never, "full_access": never}})
    );

    let mut expected = (0, 0);
    for (method, path, status, refused) in [
        // The first is looked up, the others are answered from memory.
        ("GET", "/api/auth/verify?permission=read", 200, 0),
        ("GET", "/api/auth/verify?permission=read", 200, 0),
        ("GET", "/api/auth/verify/?permission=create_payments", 403, 1),
        ("POST", "/api/auth/verify/ext/a?permission=read", 200, 0),
        ("GET", "/api/payment-orders", 200, 0),
        ("GET", "/api/payment-orders/none", 404, 0),
        ("GET", "/api/payment-orders?limit=0", 400, 0),
        ("POST", "/api/payment-orders", 403, 1),
        ("GET", "/api/auth/me", 403, 1),
        ("GET", &format!("/api/auth/api-keys/{id}/usage"), 403, 1),
    ] {
        assert_eq!(shop.send(method, path).await, status, "{method} {path}");
        expected = (expected.0 + 1, expected.1 + refused);
        assert_eq!(shop.today().await, (expected.0.into(), expected.1.into()), "{method} {path}");
    }
    // Open routes look at no credential, and an error on purpose is nobody's use.
    assert_eq!(shop.send("GET", "/healthz").await, 200);
    let call = shop.app.get("/api/payment-orders").bearer(shop.key.key.expose());
    assert_eq!(call.sandbox_error("INSUFFICIENT_PERMISSIONS").send().await.status, 403);
    assert_eq!(shop.today().await, (10.into(), 4.into()));

    let usage = shop.usage().await;
    let used = json!({"last_used_at": "2026-01-02T12:00:00Z"});
    assert_eq!(
        usage["permissions"],
        json!({"read": used, "create_payments": never, "manage_webhooks": never, "full_access": never})
    );
    assert_eq!(usage["last_verified_at"], Value::Null);
    shop.app.core.clock.advance(Duration::from_secs(60));
    assert_eq!(shop.send("GET", "/api/auth/verify").await, 200);
    let usage = shop.usage().await;
    assert_eq!(usage["last_verified_at"], "2026-01-02T12:01:00Z");
    assert_eq!(usage["permissions"]["read"], used);

    let revoke = format!("/api/auth/api-keys/{id}");
    let access = shop.app.core.login("alice").await.access;
    assert_eq!(shop.app.call("DELETE", &revoke).bearer(access.expose()).send().await.status, 200);
    assert_eq!(shop.send("GET", "/api/auth/verify").await, 401);
    assert_eq!(shop.today().await, (12.into(), 5.into()), "somebody still calls with a revoked key");
}

async fn limited(backend: Backend) {
    let core = TestAuth::start(backend).await;
    let clock = core.clock.clone();
    let time = move || Duration::from_micros(u64::try_from(clock.now().unix_micros()).unwrap());
    let limits = RateLimits { credential: "2/60".parse().unwrap(), ..RateLimits::default() };
    let mut config = HttpConfig::new(7);
    config.rate_limiter = Some(RateLimiter::with_time(limits, time));
    let shop = Shop::open(TestApp::serve(core, config)).await;
    for (path, status, expected) in [
        ("/api/payment-orders", 200, (1, 0)),
        ("/api/payment-orders", 200, (2, 0)),
        ("/api/payment-orders", 429, (3, 1)),
        ("/api/auth/verify?permission=create_payments", 429, (4, 2)),
    ] {
        assert_eq!(shop.send("GET", path).await, status);
        assert_eq!(shop.today().await, (expected.0.into(), expected.1.into()));
    }
}

async fn narrowing(backend: Backend) {
    let shop = Shop::open(TestApp::start(backend).await).await;
    assert_eq!(shop.send("GET", "/api/webhooks").await, 200);
    assert_eq!(shop.usage().await["suggested_permissions"], Value::Null, "it is too early to tell");
    shop.app.core.clock.advance(Duration::from_secs(14 * 86_400));
    let suggested = shop.usage().await["suggested_permissions"].clone();
    assert_eq!(suggested, json!(["read"]));

    let access = shop.app.core.login("alice").await.access;
    let path = format!("/api/auth/api-keys/{}", shop.key.details.id);
    let call = shop.app.call("PATCH", &path).bearer(access.expose());
    let changed = call.json(&json!({"permissions": suggested})).send().await;
    assert_eq!(changed.json()["permissions"], json!(["read"]));
    assert_eq!(shop.usage().await["suggested_permissions"], Value::Null);
}
