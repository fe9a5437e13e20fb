//! The routes that take a body, ready to be sent bad ones.

use std::sync::Arc;

use cryptopay_auth::Principal;
use cryptopay_domain::WebhookEndpointId;
use cryptopay_testkit::{Backend, PASSWORD, TestApp};
use serde_json::{Value, json};

use crate::objects::{everything, payment_order, webhook_endpoint};

/// A route that takes a body, with a good one.
pub(crate) struct Route {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) good: Value,
    pub(crate) required: &'static [&'static str],
    pub(crate) optional: &'static [&'static str],
}

/// Alice, her access token, and the routes with her objects.
pub(crate) struct Scene {
    pub(crate) app: TestApp,
    pub(crate) access: String,
    pub(crate) routes: Vec<Route>,
    alice: Arc<Principal>,
    endpoint: WebhookEndpointId,
}

impl Scene {
    #[rustfmt::skip]
    pub(crate) async fn set(backend: Backend) -> Self {
        let app = TestApp::start(backend).await;
        let alice = app.core.principal("alice").await;
        let login = app.core.login("alice").await;
        let key = app.core.api_key(&alice, &[cryptopay_domain::Permission::Read], None).await.details.id;
        let key = format!("/api/auth/api-keys/{key}");
        let order = format!("/api/payment-orders/{}", payment_order(&app, &alice).await);
        let endpoint = webhook_endpoint(&app, &alice).await;
        let webhook = format!("/api/webhooks/{endpoint}");
        let delivery = app.payments.send_test(&alice, endpoint).await.unwrap().id;
        let delivery = format!("{webhook}/deliveries/{delivery}");

        let register = json!({
            "username": "new", "email": "new@example.com", "password": PASSWORD, "shop_name": "New"});
        let passwords = json!({"current_password": PASSWORD, "new_password": "gravel+Lantern.77.tide"});
        let api_key = json!({"name": "k", "permissions": ["read"], "expires_at": null});
        let new_order = json!({
            "amount": "49.90", "currency": "USD", "description": "d", "metadata": {"k": "v"}});
        let new_webhook = json!({"url": "https://shop.example/hook", "events": ["*"], "description": "d"});
        let route = |method, path: &str, good, required, optional| {
            Route { method, path: path.to_owned(), good, required, optional }
        };
        let routes = vec![
            route("POST", "/api/auth/register", register, &["username", "email", "password", "shop_name"], &[]),
            route("POST", "/api/auth/login", json!({"username": "alice", "password": PASSWORD}), &["username", "password"], &[]),
            route("POST", "/api/auth/token/refresh", json!({"refresh": login.refresh.expose()}), &["refresh"], &[]),
            route("PATCH", "/api/auth/me", json!({"shop_name": "Other"}), &["shop_name"], &[]),
            route("POST", "/api/auth/password", passwords, &["current_password", "new_password"], &[]),
            route("POST", "/api/auth/api-keys", api_key, &["name", "permissions"], &["expires_at"]),
            route("PATCH", &key, json!({"name": "k"}), &[], &["name", "permissions"]),
            route("POST", &format!("{key}/rotate"), json!({"overlap_seconds": 60}), &[], &["overlap_seconds"]),
            route("POST", "/api/auth/logout", json!({}), &[], &[]),
            route("POST", "/api/payment-orders", new_order, &["amount", "currency"], &["description", "metadata"]),
            route("POST", &format!("{order}/simulate"), json!({"status": "paid"}), &["status"], &[]),
            route("POST", "/api/webhooks", new_webhook, &["url", "events"], &["description"]),
            route("PATCH", &webhook, json!({"description": "d"}), &[], &["url", "events", "description", "status"]),
            route("POST", &format!("{webhook}/rotate-secret"), json!({"overlap_seconds": 60}), &[], &["overlap_seconds"]),
            route("POST", &format!("{webhook}/test"), json!({}), &[], &[]),
            route("POST", &format!("{delivery}/resend"), json!({}), &[], &[]),
            route("POST", &format!("{delivery}/diagnose"), json!({"signature": "x"}), &["signature"], &[]),
        ];
        Self { access: login.access.expose().to_owned(), app, routes, alice, endpoint }
    }

    /// Sends a body, and expects it to be refused without a trace.
    pub(crate) async fn refuse(
        &self,
        route: &Route,
        body: impl Into<Vec<u8>>,
        verdict: &str,
        fields: &[&str],
    ) {
        let body = body.into();
        let before = self.traces().await;
        let call = self.app.call(route.method, &route.path).bearer(&self.access);
        let answer = call.header("content-type", "application/json").body(body.clone()).send().await;
        let what = format!("{} {}: {answer:?}", route.path, String::from_utf8_lossy(&body));
        assert_eq!(answer.verdict(), verdict, "{what}");
        if verdict.ends_with("VALIDATION_ERROR") {
            assert_eq!(answer.fields(), fields, "{what}");
        }
        assert_eq!(self.traces().await, before, "{what}");
    }

    /// What a request can leave behind: events of the audit log, orders, deliveries.
    pub(crate) async fn traces(&self) -> (usize, String) {
        let (payments, alice) = (&self.app.payments, &self.alice);
        let orders = payments.list_orders(alice, everything()).await.unwrap().items;
        let deliveries = payments.list_deliveries(alice, self.endpoint, everything()).await.unwrap().items;
        (self.app.audit_events().await, format!("{orders:?} {deliveries:?}"))
    }
}
