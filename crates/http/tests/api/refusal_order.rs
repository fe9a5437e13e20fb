//! When several causes of refusal meet, the first of the contract's order is told.

use cryptopay_domain::Permission;
use cryptopay_testkit::{Backend, Call, TestApp, TestAuth, on_both_databases};

const HUGE: usize = 70 * 1024;

on_both_databases! {
    the_first_cause_of_the_order_is_told => order;
    a_server_that_does_not_know_revocations_yet_refuses_in_order => order_before_loading;
}

/// A body with one thing wrong, in the order in which those are told.
#[derive(Clone, Copy, Debug)]
enum Body {
    TooLarge,
    WrongType,
    NoJson,
    WrongFields,
}

fn with(call: Call<'_>, body: Body) -> Call<'_> {
    match body {
        Body::TooLarge => call.header("content-type", "text/plain").body(vec![b'x'; HUGE]),
        Body::WrongType => call.header("content-type", "text/plain").body("not JSON"),
        Body::NoJson => call.header("content-type", "application/json").body("not JSON"),
        Body::WrongFields => call.header("content-type", "application/json").body(r#"{"unknown": 1}"#),
    }
}

const BODIES: [(Body, &str); 4] = [
    (Body::TooLarge, "413 PAYLOAD_TOO_LARGE"),
    (Body::WrongType, "415 UNSUPPORTED_MEDIA_TYPE"),
    (Body::NoJson, "400 INVALID_JSON"),
    (Body::WrongFields, "400 VALIDATION_ERROR"),
];

async fn order(backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.core.principal("alice").await;
    let access = app.core.login("alice").await.access;
    let reading = app.core.api_key(&alice, &[Permission::Read], None).await;
    let routes = [
        ("POST", "/api/auth/api-keys"),
        ("PATCH", "/api/auth/api-keys/nothing"),
        ("POST", "/api/auth/api-keys/nothing/rotate"),
        ("DELETE", "/api/auth/api-keys/nothing"),
        ("GET", "/api/auth/api-keys/nothing"),
        ("PATCH", "/api/auth/me"),
        ("POST", "/api/auth/logout"),
        ("POST", "/api/payment-orders"),
        ("POST", "/api/payment-orders/nothing/simulate"),
        ("POST", "/api/webhooks"),
        ("PATCH", "/api/webhooks/nothing"),
        ("DELETE", "/api/webhooks/nothing"),
        ("POST", "/api/webhooks/nothing/rotate-secret"),
        ("POST", "/api/webhooks/nothing/test"),
        ("POST", "/api/webhooks/nothing/deliveries/nothing/resend"),
        ("POST", "/api/webhooks/nothing/deliveries/nothing/diagnose"),
    ];
    for (body, verdict) in BODIES {
        for (method, path) in routes {
            let call = |path: &str, method: &str| with(app.call(method, &format!("{path}?x=1")), body);
            let what = format!("{method} {path} {body:?}");
            let told = call("/nowhere", method).send().await;
            assert_eq!(told.verdict(), "404 NOT_FOUND", "{what}");
            assert_eq!(call(path, "PUT").send().await.verdict(), "405 METHOD_NOT_ALLOWED", "{what}");
            assert_eq!(call(path, method).send().await.verdict(), "401 INVALID_TOKEN", "{what}");
            let told = call(path, method).bearer(reading.key.expose()).send().await;
            assert_eq!(told.verdict(), "403 INSUFFICIENT_PERMISSIONS", "{what}");
            let told = call(path, method).bearer(access.expose()).send().await;
            assert_eq!(told.verdict(), verdict, "{what}");
        }
        for path in ["/api/auth/register", "/api/auth/login", "/api/auth/token/refresh"] {
            let told = with(app.call("POST", path), body).bearer("nonsense").send().await;
            assert_eq!(told.verdict(), verdict, "{path} {body:?}");
        }
    }
    validation_comes_before_the_object_and_the_object_before_its_state(&app, access.expose()).await;
}

async fn validation_comes_before_the_object_and_the_object_before_its_state(app: &TestApp, access: &str) {
    let rotate =
        |query: &str| app.call("POST", &format!("/api/auth/api-keys/nothing/rotate{query}")).bearer(access);
    assert_eq!(rotate("?x=1").send().await.verdict(), "400 VALIDATION_ERROR");
    assert_eq!(rotate("").send().await.verdict(), "404 NOT_FOUND");

    let alice = app.core.auth.authenticate(access).await.unwrap();
    let key = app.core.api_key(&alice, &[Permission::Read], None).await.details.id;
    let path = format!("/api/auth/api-keys/{key}");
    assert_eq!(app.call("DELETE", &path).bearer(access).send().await.status, 200);
    let change = |body: &'static str| {
        app.call("PATCH", &path).bearer(access).header("content-type", "application/json").body(body)
    };
    assert_eq!(change(r#"{"name": ""}"#).send().await.verdict(), "400 VALIDATION_ERROR");
    assert_eq!(change(r#"{"name": "k"}"#).send().await.verdict(), "409 CONFLICT");
    app.core.register("bob").await;
    let bob = app.core.login("bob").await.access;
    let foreign = app.call("POST", &format!("{path}/rotate")).bearer(bob.expose());
    assert_eq!(foreign.send().await.verdict(), "404 NOT_FOUND");

    let webhook = |method: &str, tail: &str, body: &'static str| {
        let call = app.call(method, &format!("/api/webhooks/nothing{tail}")).bearer(access);
        call.header("content-type", "application/json").body(body)
    };
    for (method, tail, bad, good) in [
        ("PATCH", "", r#"{"events": []}"#, r#"{"events": ["*"]}"#),
        // That it may not be posted to is found out for whoever has the endpoint.
        ("PATCH", "", r#"{"url": 1}"#, r#"{"url": "https://127.0.0.1/"}"#),
        ("POST", "/rotate-secret", r#"{"overlap_seconds": -1}"#, "{}"),
        ("POST", "/test", r#"{"x": 1}"#, "{}"),
        ("POST", "/deliveries/nothing/resend", r#"{"x": 1}"#, "{}"),
        ("POST", "/deliveries/nothing/diagnose", "{}", r#"{"signature": ""}"#),
    ] {
        assert_eq!(webhook(method, tail, bad).send().await.verdict(), "400 VALIDATION_ERROR", "{tail}");
        assert_eq!(webhook(method, tail, good).send().await.verdict(), "404 NOT_FOUND", "{tail}");
    }

    // The query and the body are told together.
    let both = app.call("PATCH", "/api/auth/me?x=1").bearer(access);
    let both = both.header("content-type", "application/json").body("{}").send().await;
    assert_eq!(both.fields(), ["shop_name", "x"]);
    let list = app.get("/api/auth/api-keys?limit=0&cursor=x").bearer(access).send().await;
    assert_eq!(list.fields(), ["cursor", "limit"]);
    let asked = app.get("/api/auth/verify?permission=all&y=1").bearer(access).send().await;
    assert_eq!(asked.fields(), ["permission", "y"]);
}

async fn order_before_loading(backend: Backend) {
    let app = TestApp::serve(TestAuth::start_unloaded(backend).await, cryptopay_http::HttpConfig::new(1));
    app.core.register("alice").await;
    let login = app.core.login("alice").await;
    for (body, _) in BODIES {
        let call = || with(app.call("PATCH", "/api/auth/me?x=1"), body);
        assert_eq!(call().send().await.verdict(), "401 INVALID_TOKEN", "{body:?}");
        let told = call().bearer(login.access.expose()).send().await;
        assert_eq!(told.verdict(), "503 OVERLOADED", "{body:?}");
    }
    for (path, verdict) in [
        ("/readyz", "503 OVERLOADED"),
        ("/healthz", "200"),
        ("/.well-known/paseto-keys", "200"),
        ("/api/openapi.json", "200"),
        ("/api/auth/verify", "503 OVERLOADED"),
    ] {
        assert_eq!(app.get(path).bearer(login.access.expose()).send().await.verdict(), verdict, "{path}");
    }
    let refresh = serde_json::json!({"refresh": login.refresh.expose()});
    assert_eq!(app.post("/api/auth/token/refresh", &refresh).send().await.verdict(), "503 OVERLOADED");

    app.core.auth.load_revocations().await.unwrap();
    assert_eq!(app.get("/readyz").send().await.status, 200);
    assert_eq!(app.get("/api/auth/verify").bearer(login.access.expose()).send().await.status, 200);
    assert_eq!(app.post("/api/auth/token/refresh", &refresh).send().await.status, 200);
}
