//! `GET /api/auth/verify`, and its spelling for proxies that ask about somebody else's request.

use std::time::Duration;

use cryptopay_domain::Permission;
use cryptopay_testkit::{Answer, Backend, Cast, Persona, TestApp, on_both_databases};
use serde_json::{Value, json};

on_both_databases! {
    a_credential_is_told_what_it_is_in_the_body_and_in_the_headers => shapes;
    an_expiry_is_when_it_stops_to_the_second => expiries;
    a_permission_may_be_asked_about => asking;
    a_proxy_may_ask_with_any_request => foreign_requests;
    a_key_of_production_is_told_so_and_nothing_else_is => other_environment;
}

const HEADERS: [&str; 4] = ["x-auth-user-id", "x-auth-username", "x-auth-permissions", "x-auth-credential"];

fn headers(answer: &Answer) -> [Option<&str>; 4] {
    HEADERS.map(|name| answer.header(name))
}

async fn shapes(backend: Backend) {
    let app = TestApp::start(backend).await;
    let user = app.core.register("Alice").await;
    let access = app.core.login("alice").await.access;
    let alice = app.core.auth.authenticate(access.expose()).await.unwrap();
    let all = json!(["read", "create_payments", "manage_webhooks", "full_access"]);

    let answer = app.get("/api/auth/verify").bearer(access.expose()).send().await;
    let session = alice.credential.id();
    assert_eq!(
        answer.json(),
        json!({
            "valid": true,
            "user": {"id": user.id.0, "username": "Alice", "permissions": all},
            "expires_at": "2026-01-03T12:00:00Z",
            "credential": {"type": "access_token", "id": session, "name": null},
            "environment": "sandbox"})
    );
    let id = user.id.0.to_string();
    let listed = "read,create_payments,manage_webhooks,full_access";
    let label = format!("access_token:{session}");
    assert_eq!(headers(&answer), [&id, "Alice", listed, &label].map(Some));

    use Permission::{CreatePayments, FullAccess, ManageWebhooks, Read};
    for (asked, effective) in [
        (&[FullAccess][..], listed),
        (&[ManageWebhooks, Read], "read,manage_webhooks"),
        (&[CreatePayments], "create_payments"),
    ] {
        let key = app.core.api_key(&alice, asked, None).await;
        // The second answer comes from memory.
        for _ in 0..2 {
            let answer = app.get("/api/auth/verify/").bearer(key.key.expose()).send().await;
            let body = answer.json();
            assert_eq!(body["expires_at"], Value::Null);
            let names: Vec<_> = effective.split(',').collect();
            assert_eq!(body["user"]["permissions"], json!(names));
            let id = key.details.id.to_string();
            assert_eq!(body["credential"], json!({"type": "api_key", "id": id, "name": "till"}));
            let label = format!("api_key:{id}");
            assert_eq!(headers(&answer)[2..], [Some(effective), Some(label.as_str())]);
        }
    }
}

async fn expiries(backend: Backend) {
    let app = TestApp::start(backend).await;
    // Not on the second, so that whatever is rounded shows.
    app.core.clock.advance(Duration::from_micros(700_001));
    let alice = app.core.principal("alice").await;
    let access = app.core.login("alice").await.access;
    let key = app.core.api_key(&alice, &[Permission::Read], None).await;
    let rotate = format!("/api/auth/api-keys/{}/rotate", key.details.id);
    let body = json!({"overlap_seconds": 60});
    assert_eq!(app.post(&rotate, &body).bearer(access.expose()).send().await.status, 201);

    let verify = |credential: String| {
        let app = &app;
        async move { app.get("/api/auth/verify").bearer(&credential).send().await }
    };
    let overlapping = verify(key.key.expose().to_owned()).await;
    assert_eq!(overlapping.json()["expires_at"], "2026-01-02T12:01:00Z");
    for (credential, end) in
        [(key.key.expose(), "2026-01-02T12:01:00Z"), (access.expose(), "2026-01-03T12:00:00Z")]
    {
        let end = cryptopay_domain::Timestamp::parse(end).unwrap();
        app.core.clock.set(cryptopay_domain::Timestamp::from_unix_micros(end.unix_micros() - 1));
        assert_eq!(verify(credential.to_owned()).await.status, 200);
        app.core.clock.set(end);
        assert_eq!(verify(credential.to_owned()).await.verdict(), "401 INVALID_TOKEN");
    }
}

async fn asking(backend: Backend) {
    let app = TestApp::start(backend).await;
    let cast = Cast::assemble(&app.core).await;
    for route in ["/api/auth/verify", "/api/auth/verify/", "/api/auth/verify/ext/x"] {
        for asked in Permission::ALL {
            let path = format!("{route}?permission={asked}");
            for (persona, may) in [
                (Persona::Alice, true),
                (Persona::Key(Permission::FullAccess), true),
                (Persona::Key(Permission::Read), asked == Permission::Read),
                (Persona::Key(Permission::CreatePayments), asked == Permission::CreatePayments),
            ] {
                let lines = cast.authorization(&app.core, persona).await;
                // The first time from the store, the second time from memory.
                for _ in 0..2 {
                    let answer = app.get(&path).header("authorization", &lines[0]).send().await;
                    let expected = if may { "200" } else { "403 INSUFFICIENT_PERMISSIONS" };
                    assert_eq!(answer.verdict(), expected, "{persona:?} {path}");
                    assert_eq!(answer.header("x-auth-user-id").is_some(), may, "{persona:?} {path}");
                    if !may {
                        assert_eq!(answer.json()["error"]["required_permission"], asked.as_str());
                    }
                }
            }
            assert_eq!(app.get(&path).send().await.verdict(), "401 INVALID_TOKEN");
        }
        for unknown in ["", "admin", "READ", "read,create_payments", "read&permission=read", "%00"] {
            let lines = cast.authorization(&app.core, Persona::Alice).await;
            let path = format!("{route}?permission={unknown}");
            let answer = app.get(&path).header("authorization", &lines[0]).send().await;
            assert_eq!(answer.verdict(), "400 VALIDATION_ERROR", "{path}");
            assert_eq!(answer.fields(), ["permission"], "{path}");
        }
    }
    // A credential is never read from anywhere else.
    let key = cast.key(Permission::FullAccess);
    for query in ["access_token", "token", "api_key", "authorization"] {
        let answer = app.get(&format!("/api/auth/verify?{query}={key}")).send().await;
        assert_eq!(answer.verdict(), "401 INVALID_TOKEN", "{query}");
        let answer = app.get(&format!("/api/auth/verify?{query}={key}")).bearer(key).send().await;
        assert_eq!(answer.verdict(), "400 VALIDATION_ERROR", "{query}");
    }
}

async fn foreign_requests(backend: Backend) {
    let app = TestApp::start(backend).await;
    let cast = Cast::assemble(&app.core).await;
    let key = cast.key(Permission::CreatePayments);
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "PROPFIND", "TRACE"] {
        for path in
            ["", "/", "/orders/7?a=1&a=2&x", "/a//b/%2e%2e/%0a", "/x?permission=create_payments&limit=0"]
        {
            let path = format!("/api/auth/verify/ext{path}");
            for body in ["", "not JSON \0"] {
                if method == "HEAD" && !body.is_empty() {
                    continue;
                }
                let call = || app.call(method, &path).header("content-type", "text/html").body(body);
                let answer = call().bearer(key).send().await;
                assert_eq!(answer.status, 200, "{method} {path}");
                assert!(headers(&answer).iter().all(Option::is_some), "{method} {path}");
                assert_eq!(call().send().await.status, 401, "{method} {path}");
                assert_eq!(call().bearer("nonsense").send().await.status, 401, "{method} {path}");
            }
        }
    }
    let large = app.post("/api/auth/verify/ext/upload", &json!("x".repeat(3_000_000))).bearer(key);
    assert_eq!(large.send().await.status, 200);
}

async fn other_environment(backend: Backend) {
    let app = TestApp::start(backend).await;
    let cast = Cast::assemble(&app.core).await;
    let lines = cast.authorization(&app.core, Persona::ProductionKey).await;
    let answer = app.get("/api/auth/verify").header("authorization", &lines[0]).send().await;
    let message = answer.json()["error"]["message"].to_string();
    assert!(message.contains("production") && message.contains("sandbox"), "{message}");
    // By the prefix alone: whether the key exists, nobody is told.
    let answer = app.get("/api/auth/verify").bearer("cp_live_").send().await;
    assert_eq!(answer.json()["error"]["message"].to_string(), message);
    assert_eq!(answer.verdict(), "401 INVALID_TOKEN");
}
