//! `X-Sandbox-Error`: meeting every error on purpose.

use std::time::Duration;

use cryptopay_auth::AuthConfig;
use cryptopay_domain::{Environment, Permission};
use cryptopay_http::HttpConfig;
use cryptopay_testkit::{Backend, PASSWORD, TestApp, TestAuth, on_both_databases, test_config};
use serde_json::{Value, json};

use crate::scene::Scene;

on_both_databases! {
    every_error_of_the_table_can_be_met_at_every_route_and_nothing_is_carried_out => every_error;
    an_error_on_purpose_is_the_error_to_the_letter => to_the_letter;
    a_code_that_does_not_exist_is_told_which_do => unknown;
    only_a_valid_credential_meets_errors_on_purpose => credentials;
    production_ignores_the_header => production;
}

/// Every row of the table of errors.
const TABLE: [(u16, &str); 16] = [
    (400, "INVALID_JSON"),
    (400, "VALIDATION_ERROR"),
    (401, "INVALID_TOKEN"),
    (401, "INVALID_CREDENTIALS"),
    (403, "INSUFFICIENT_PERMISSIONS"),
    (404, "NOT_FOUND"),
    (405, "METHOD_NOT_ALLOWED"),
    (409, "USERNAME_TAKEN"),
    (409, "EMAIL_TAKEN"),
    (409, "CONFLICT"),
    (409, "IDEMPOTENCY_CONFLICT"),
    (413, "PAYLOAD_TOO_LARGE"),
    (415, "UNSUPPORTED_MEDIA_TYPE"),
    (429, "RATE_LIMITED"),
    (500, "INTERNAL_ERROR"),
    (503, "OVERLOADED"),
];

async fn every_error(backend: Backend) {
    let scene = Scene::set(backend).await;
    let documented = &serde_json::from_str::<Value>(&cryptopay_http::openapi_document()).unwrap()["components"]
        ["schemas"]["ErrorCode"]["enum"];
    assert_eq!(documented, &json!(TABLE.map(|(_, code)| code)));
    let before = scene.traces().await;
    for (status, code) in TABLE {
        let verdict = format!("{status} {code}");
        for route in &scene.routes {
            // A good request, and one that says nothing right.
            let call = || scene.app.call(route.method, &route.path).bearer(&scene.access).sandbox_error(code);
            assert_eq!(call().json(&route.good).send().await.verdict(), verdict, "{}", route.path);
            assert_eq!(call().body("not JSON").send().await.verdict(), verdict, "{}", route.path);
        }
        for path in [
            "/api/auth/verify",
            "/api/auth/verify/",
            "/api/auth/verify/ext/some/where",
            "/api/auth/sessions?limit=x",
            "/api/payment-orders/nothing",
            "/healthz",
        ] {
            let call = scene.app.get(path).bearer(&scene.access).sandbox_error(code);
            assert_eq!(call.send().await.verdict(), verdict, "{path}");
        }
    }
    assert_eq!(scene.traces().await, before, "something was carried out");
}

async fn to_the_letter(backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.core.principal("alice").await;
    let key = app.core.api_key(&alice, &[Permission::Read], None).await;
    let key = key.key.expose();
    let ask = async |method: &str, path: &str, code: &str| {
        app.call(method, path).bearer(key).sandbox_error(code).send().await
    };
    let orders = "/api/payment-orders/";

    let answer = ask("GET", orders, "RATE_LIMITED").await;
    let message = "Too many requests. Try again later.";
    let expected = json!({"error": {"code": "RATE_LIMITED", "message": message}, "retry_after": 60});
    assert_eq!((answer.header("retry-after"), answer.json()), (Some("60"), expected));

    let answer = ask("GET", orders, "INVALID_TOKEN").await;
    let message = "The provided token is invalid or expired";
    assert_eq!(answer.json(), json!({"error": {"code": "INVALID_TOKEN", "message": message}}));
    let challenge = r#"Bearer realm="cryptopay", error="invalid_token""#;
    assert_eq!(answer.header("www-authenticate"), Some(challenge));

    // The permission is the route's, whatever the key has.
    for (method, path, permission) in [
        ("GET", orders, json!("read")),
        ("POST", orders, json!("create_payments")),
        ("POST", "/api/webhooks", json!("manage_webhooks")),
        ("GET", "/api/auth/api-keys", json!("full_access")),
        ("GET", "/api/auth/me", Value::Null),
    ] {
        let answer = ask(method, path, "INSUFFICIENT_PERMISSIONS").await;
        assert_eq!(answer.json()["error"]["required_permission"], permission, "{path}");
        assert!(answer.header("www-authenticate").unwrap().contains("insufficient_scope"), "{path}");
    }
    let answer = ask("POST", orders, "METHOD_NOT_ALLOWED").await;
    assert_eq!(answer.header("allow"), Some("GET, POST"));
    let answer = ask("GET", orders, "VALIDATION_ERROR").await;
    assert_eq!(answer.fields(), ["limit"]);
    let answer = ask("POST", "/api/auth/login", "INVALID_CREDENTIALS").await;
    assert_eq!(answer.header("www-authenticate"), None);
    assert_eq!(ask("GET", "/nowhere", "CONFLICT").await.verdict(), "404 NOT_FOUND");
    assert_eq!(ask("PUT", orders, "CONFLICT").await.verdict(), "405 METHOD_NOT_ALLOWED");
}

async fn unknown(backend: Backend) {
    let app = TestApp::start(backend).await;
    app.core.register("alice").await;
    let access = app.core.login("alice").await.access;
    for path in ["/api/auth/verify", "/api/payment-orders"] {
        for code in ["", "conflict", "409", "TEAPOT", "CONFLICT,CONFLICT", "\u{e4}"] {
            let answer = app.get(path).bearer(access.expose()).sandbox_error(code).send().await;
            assert_eq!(answer.verdict(), "400 VALIDATION_ERROR", "{code}");
            let problem = &answer.json()["error"]["fields"]["X-Sandbox-Error"][0];
            let problem = problem.as_str().unwrap().to_owned();
            assert!(TABLE.iter().all(|(_, code)| problem.contains(code)), "{problem}");
        }
        let twice = app.get(path).bearer(access.expose()).sandbox_error("CONFLICT").sandbox_error("CONFLICT");
        assert_eq!(twice.send().await.fields(), ["X-Sandbox-Error"]);
    }
}

async fn credentials(backend: Backend) {
    let app = TestApp::start(backend).await;
    app.core.register("alice").await;
    for path in ["/api/payment-orders", "/api/auth/verify"] {
        let call = || app.get(path).sandbox_error("CONFLICT");
        for answer in [call().send().await, call().bearer("nonsense").send().await] {
            assert_eq!(answer.verdict(), "401 INVALID_TOKEN", "{path}");
        }
    }
    // Where nobody needs a credential, whoever has none is served.
    let login = json!({"username": "alice", "password": PASSWORD});
    let call = || app.post("/api/auth/login", &login).sandbox_error("OVERLOADED");
    assert_eq!(call().send().await.status, 200);
    assert_eq!(call().bearer("nonsense").send().await.status, 200);
    let access = app.core.login("alice").await.access;
    assert_eq!(call().bearer(access.expose()).send().await.verdict(), "503 OVERLOADED");
    app.core.clock.advance(Duration::from_secs(86_400));
    assert_eq!(call().bearer(access.expose()).send().await.status, 200, "expired is no credential");
}

async fn production(backend: Backend) {
    let app = TestApp::serve(production_core(backend).await, HttpConfig::new(1));
    app.core.register("alice").await;
    let access = app.core.login("alice").await.access;
    for code in ["CONFLICT", "nonsense"] {
        for path in ["/api/auth/verify", "/api/payment-orders", "/api/auth/me"] {
            let answer = app.get(path).bearer(access.expose()).header("x-sandbox-error", code).send().await;
            assert_eq!(answer.status, 200, "{path}");
        }
    }
}

/// A core of production.
pub(crate) async fn production_core(backend: Backend) -> TestAuth {
    let sandbox = test_config();
    let mut config = AuthConfig::new(Environment::Production, "https://pay.example".to_owned());
    config.hasher = sandbox.hasher;
    TestAuth::start_with(backend, config).await
}
