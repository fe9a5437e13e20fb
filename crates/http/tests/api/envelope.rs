//! What every answer carries beside what it says: `TestApp` checks it of each; here is what varies.

use cryptopay_http::HttpConfig;
use cryptopay_testkit::{Backend, PASSWORD, TestApp, TestAuth, on_both_databases};
use serde_json::json;

const SHOP: &str = "https://shop.example.com";

on_both_databases! {
    an_acceptable_request_id_is_kept_and_any_other_replaced => request_ids;
    a_preflight_is_answered_before_authentication => preflights;
    a_preflight_of_somebody_elses_request_is_no_way_past_the_credential => foreign_preflights;
    what_may_be_kept_says_so_and_nothing_else_may => caching;
}

async fn request_ids(backend: Backend) {
    let app = TestApp::start(backend).await;
    let long = "x".repeat(128);
    for (path, status) in [("/healthz", 200), ("/nothing", 404), ("/api/auth/verify", 401)] {
        for kept in ["a", "A-b_c.9", &long] {
            let answer = app.get(path).header("x-request-id", kept).send().await;
            assert_eq!(answer.status, status);
            assert_eq!(answer.header("x-request-id"), Some(kept));
        }
        for replaced in ["", "a b", "a/b", "\u{e4}", &format!("{long}x")] {
            let answer = app.get(path).header("x-request-id", replaced).send().await;
            let id = answer.header("x-request-id").unwrap();
            assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
        }
    }
}

async fn preflights(backend: Backend) {
    let core = TestAuth::start(backend).await;
    let mut config = HttpConfig::new(1);
    config.cors_origins = vec![SHOP.to_owned()];
    let app = TestApp::serve(core, config);
    for path in ["/api/auth/me", "/api/auth/me/", "/api/payment-orders/", "/api/auth/login"] {
        let preflight = app.call("OPTIONS", path).header("origin", SHOP);
        let answer = preflight.header("access-control-request-method", "PATCH").send().await;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), Some(SHOP), "{path}");
        let allowed = answer.header("access-control-allow-headers").unwrap();
        for header in ["Authorization", "Content-Type", "Idempotency-Key", "X-Request-Id", "X-Sandbox-Error"]
        {
            assert!(allowed.split(", ").any(|one| one == header), "{allowed}");
        }
        assert_eq!(answer.header("access-control-allow-credentials"), None);

        let preflight = app.call("OPTIONS", path).header("origin", "https://evil.example.com");
        let answer = preflight.header("access-control-request-method", "PATCH").send().await;
        assert_eq!(answer.header("access-control-allow-origin"), None, "{path}");
    }
    // Errors too must be readable by the page that caused them.
    for path in ["/api/auth/me", "/nothing"] {
        let answer = app.get(path).header("origin", SHOP).send().await;
        assert_eq!(answer.header("access-control-allow-origin"), Some(SHOP));
        assert_eq!(answer.header("vary"), Some("Origin"));
    }
}

/// A proxy that passes a browser's preflight on to `verify/ext` asks whether the upstream may be called.
async fn foreign_preflights(backend: Backend) {
    let core = TestAuth::start(backend).await;
    core.register("alice").await;
    let access = core.login("alice").await.access;
    let mut config = HttpConfig::new(1);
    config.cors_origins = vec![SHOP.to_owned()];
    for config in [HttpConfig::new(1), config] {
        let core =
            TestAuth { auth: core.auth.clone(), clock: core.clock.clone(), ..TestAuth::start(backend).await };
        let app = TestApp::serve(core, config);
        for path in ["/api/auth/verify/ext", "/api/auth/verify/ext/", "/api/auth/verify/ext/orders/7"] {
            let preflight = || {
                let call = app.call("OPTIONS", path).header("origin", SHOP);
                call.header("access-control-request-method", "DELETE")
            };
            assert_eq!(preflight().send().await.verdict(), "401 INVALID_TOKEN", "{path}");
            let answer = preflight().bearer(access.expose()).send().await;
            assert_eq!(answer.status, 200, "{path}");
            assert_eq!(answer.header("x-auth-username"), Some("alice"), "{path}");
        }
    }
}

async fn caching(backend: Backend) {
    let app = TestApp::start(backend).await;
    app.core.register("alice").await;
    let answer = app.get("/.well-known/paseto-keys").send().await;
    assert_eq!(answer.header("cache-control"), Some("public, max-age=300"));
    let body = answer.json();
    let [key] = body["keys"].as_array().unwrap().as_slice() else { panic!("{body}") };
    assert_eq!(key["status"], "active");

    let login = json!({"username": "alice", "password": PASSWORD});
    let answer = app.post("/api/auth/login", &login).send().await;
    assert_eq!((answer.status, answer.header("cache-control")), (200, Some("no-store")));
    assert_eq!(answer.header("set-cookie"), None);
    assert_eq!(answer.header("server"), None);
}
