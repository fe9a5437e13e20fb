//! The routes that take a body, ready to be sent bad ones.

use cryptopay_testkit::{Backend, PASSWORD, TestApp};
use serde_json::{Value, json};

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
}

impl Scene {
    pub(crate) async fn set(backend: Backend) -> Self {
        let app = TestApp::start(backend).await;
        let alice = app.core.principal("alice").await;
        let login = app.core.login("alice").await;
        let key = app.core.api_key(&alice, &[cryptopay_domain::Permission::Read], None).await.details.id;
        let register = json!({
            "username": "new", "email": "new@example.com", "password": PASSWORD, "shop_name": "New"});
        let passwords = json!({"current_password": PASSWORD, "new_password": "gravel+Lantern.77.tide"});
        let api_key = json!({"name": "k", "permissions": ["read"], "expires_at": null});
        let rename = json!({"name": "k"});
        let route = |method, path: &str, good, required, optional| {
            let path = path.replace("{id}", &key.to_string());
            Route { method, path, good, required, optional }
        };
        let routes = vec![
            route(
                "POST",
                "/api/auth/register",
                register,
                &["username", "email", "password", "shop_name"],
                &[],
            ),
            route(
                "POST",
                "/api/auth/login",
                json!({"username": "alice", "password": PASSWORD}),
                &["username", "password"],
                &[],
            ),
            route(
                "POST",
                "/api/auth/token/refresh",
                json!({"refresh": login.refresh.expose()}),
                &["refresh"],
                &[],
            ),
            route("PATCH", "/api/auth/me", json!({"shop_name": "Other"}), &["shop_name"], &[]),
            route("POST", "/api/auth/password", passwords, &["current_password", "new_password"], &[]),
            route("POST", "/api/auth/api-keys", api_key, &["name", "permissions"], &["expires_at"]),
            route("PATCH", "/api/auth/api-keys/{id}", rename, &[], &["name", "permissions"]),
            route(
                "POST",
                "/api/auth/api-keys/{id}/rotate",
                json!({"overlap_seconds": 60}),
                &[],
                &["overlap_seconds"],
            ),
            route("POST", "/api/auth/logout", json!({}), &[], &[]),
        ];
        Self { access: login.access.expose().to_owned(), app, routes }
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
        let before = self.app.audit_events().await;
        let call = self.app.call(route.method, &route.path).bearer(&self.access);
        let answer = call.header("content-type", "application/json").body(body.clone()).send().await;
        let what = format!("{} {}: {answer:?}", route.path, String::from_utf8_lossy(&body));
        assert_eq!(answer.verdict(), verdict, "{what}");
        if verdict.ends_with("VALIDATION_ERROR") {
            assert_eq!(answer.fields(), fields, "{what}");
        }
        assert_eq!(self.app.audit_events().await, before, "{what}");
    }
}
