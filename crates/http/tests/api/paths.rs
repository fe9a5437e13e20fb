//! Paths and methods: two spellings, no redirects, and what is not there.

use cryptopay_testkit::{Answer, Backend, PASSWORD, TestApp, on_both_databases};
use serde_json::json;

on_both_databases! {
    both_spellings_of_a_path_are_one_route => spellings;
    a_method_that_is_not_there_is_told_those_that_are => methods;
    what_is_not_there_is_a_404_whoever_asks => unknown_routes;
    the_interactive_page_is_served_from_the_binary => docs;
}

async fn spellings(backend: Backend) {
    let app = TestApp::start(backend).await;
    app.core.register("alice").await;
    for operation in app.document.operations() {
        let path = operation.path.replace("{path}", "x");
        let path = ["{id}", "{delivery}"]
            .into_iter()
            .fold(path, |path, name| path.replace(name, "0193f1b2c3d4700089abcdef01234567"));
        let mut verdicts = Vec::new();
        for spelling in [path.clone(), format!("{path}/")] {
            let access = app.core.login("alice").await.access;
            let mut call = app.call(&operation.method, &spelling).bearer(access.expose());
            if path == "/api/auth/login" {
                call = call.json(&json!({"username": "alice", "password": PASSWORD}));
            }
            let answer = call.send().await;
            let names = |answer: &Answer| {
                let mut names: Vec<_> = answer.headers.keys().map(ToString::to_string).collect();
                names.sort();
                names
            };
            verdicts.push((answer.verdict(), names(&answer)));
        }
        assert_eq!(verdicts[0], verdicts[1], "{operation:?}");
        let (verdict, _) = &verdicts[0];
        let is_about_an_object = operation.path.contains("{id}");
        assert!(is_about_an_object || !verdict.starts_with("404"), "{operation:?} {verdict}");
        assert!(!verdict.starts_with("405"), "{operation:?} {verdict}");
    }
}

const METHODS: &[(&str, &str)] = &[
    ("/api/auth/verify", "GET"),
    ("/api/auth/register", "POST"),
    ("/api/auth/login", "POST"),
    ("/api/auth/token/refresh", "POST"),
    ("/api/auth/logout", "POST"),
    ("/api/auth/me", "GET, PATCH"),
    ("/api/auth/password", "POST"),
    ("/api/auth/sessions", "GET, DELETE"),
    ("/api/auth/sessions/{id}", "DELETE"),
    ("/api/auth/api-keys", "GET, POST"),
    ("/api/auth/api-keys/{id}", "GET, PATCH, DELETE"),
    ("/api/auth/api-keys/{id}/rotate", "POST"),
    ("/api/auth/api-keys/{id}/usage", "GET"),
    ("/api/payment-orders", "GET, POST"),
    ("/api/payment-orders/{id}", "GET"),
    ("/api/payment-orders/{id}/simulate", "POST"),
    ("/api/webhooks", "GET, POST"),
    ("/api/webhooks/{id}", "GET, PATCH, DELETE"),
    ("/api/webhooks/{id}/rotate-secret", "POST"),
    ("/api/webhooks/{id}/test", "POST"),
    ("/api/webhooks/{id}/deliveries", "GET"),
    ("/api/webhooks/{id}/deliveries/{delivery}/resend", "POST"),
    ("/api/webhooks/{id}/deliveries/{delivery}/diagnose", "POST"),
    ("/api/openapi.json", "GET"),
    ("/.well-known/paseto-keys", "GET"),
    ("/healthz", "GET"),
    ("/readyz", "GET"),
];

async fn methods(backend: Backend) {
    let app = TestApp::start(backend).await;
    let mut documented: Vec<_> = app.document.operations().into_iter().map(|one| one.path).collect();
    documented.dedup();
    documented.retain(|path| path != "/api/auth/verify/ext/{path}");
    let mut listed: Vec<_> = METHODS.iter().map(|(path, _)| (*path).to_owned()).collect();
    listed.sort();
    documented.sort();
    assert_eq!(listed, documented, "a path without its methods");

    for (path, allow) in METHODS {
        for spelling in [(*path).to_owned(), format!("{path}/")] {
            let spelling = spelling.replace("{id}", "x").replace("{delivery}", "y");
            for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"] {
                if allow.split(", ").any(|allowed| allowed == method) {
                    continue;
                }
                // Whoever asks, and whatever is sent along.
                for call in [
                    app.call(method, &spelling),
                    app.call(method, &spelling).bearer("nonsense").body("not JSON"),
                ] {
                    let answer = call.send().await;
                    assert_eq!(answer.verdict(), "405 METHOD_NOT_ALLOWED", "{method} {spelling}");
                    assert_eq!(answer.header("allow"), Some(*allow), "{method} {spelling}");
                }
            }
        }
    }
}

async fn unknown_routes(backend: Backend) {
    let app = TestApp::start(backend).await;
    app.core.register("alice").await;
    let access = app.core.login("alice").await.access;
    for path in [
        "/",
        "/api",
        "/api/",
        "/api/auth",
        "/api/auth/verify/x",
        "/api/auth/verifyx",
        "/api/auth/verify//",
        "/api//auth/verify",
        "/API/auth/verify",
        "/api/auth/api-keys/x/y",
        "/api/auth/api-keys/x/rotate/y",
        "/api/auth/token",
        "/.well-known",
        "/healthz/x",
        "/metrics",
        "/docs/nothing.js",
        "/favicon.ico",
        "/api/auth/%00",
        "/api/auth/%ff%fe",
    ] {
        for method in ["GET", "POST", "OPTIONS", "DELETE"] {
            if path.starts_with("/docs") && method != "GET" {
                continue;
            }
            for call in [app.call(method, path), app.call(method, path).bearer(access.expose())] {
                let answer = call.send().await;
                assert_eq!(answer.verdict(), "404 NOT_FOUND", "{method} {path}");
                assert_eq!(answer.header("www-authenticate"), None, "{method} {path}");
            }
        }
    }
}

async fn docs(backend: Backend) {
    let app = TestApp::start(backend).await;
    for path in ["/docs", "/docs/"] {
        let answer = app.get(path).send().await;
        assert_eq!(answer.status, 200);
        assert!(answer.header("content-type").unwrap().starts_with("text/html"));
        assert!(answer.header("content-security-policy").unwrap().contains("script-src 'self'"));
        let page = String::from_utf8(answer.body).unwrap();
        for part in page.split(['"', '\'']).filter(|part| part.ends_with(".js") || part.ends_with(".css")) {
            let file = app.get(&format!("/docs/{}", part.trim_start_matches("./"))).send().await;
            assert_eq!(file.status, 200, "{part}");
        }
    }
    assert_eq!(app.call("POST", "/docs").send().await.verdict(), "405 METHOD_NOT_ALLOWED");
}
