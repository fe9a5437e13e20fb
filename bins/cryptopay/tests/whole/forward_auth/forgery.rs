//! What a client makes up about itself, its address or its path gains it nothing behind a proxy.

use cryptopay_testkit::PASSWORD;
use serde_json::{Value, json};

use super::Shop;
use super::proxy::ProxyKind;
use super::wire::{CLIENT, send};

behind_every_proxy! {
    what_a_client_says_of_itself_never_reaches_the_application => forged_headers;
    the_application_sees_the_path_that_was_judged => ambiguous_paths;
    a_client_address_cannot_be_forged => client_address;
}

async fn forged_headers(kind: ProxyKind) {
    let shop = Shop::open(kind).await;
    let truth = ["1", "alice", "read,create_payments,manage_webhooks,full_access"];
    for forged in [
        "X-Auth-User-Id: forged",
        "x-auth-user-id: forged",
        "X-AUTH-USER-ID: forged",
        "X-Auth-User-Id: forged\nX-Auth-User-Id: forged",
        "X-Auth-User-Id:\nX-Auth-User-Id: forged",
        "X-Auth-Username: forged\nX-Auth-Permissions: forged\nx-auth-credential: forged",
        "X_Auth_User_Id: forged",
        "X_AUTH_USER_ID: forged\nx_auth_permissions: forged",
        "X-Auth_User_Id: forged",
        "x_auth-user-id: forged",
        "X-Auth-User-Id : forged",
        " X-Auth-User-Id: forged",
        "X-Auth-User-Id\t: forged",
        "Accept: a\n X-Auth-User-Id: forged",
        "X-Auth-User-Id: 1\n forged",
        "Connection: X-Auth-User-Id, X-Auth-Permissions\nX-Auth-User-Id: forged",
        "Connection: keep-alive\nConnection: x-auth-username",
        "X-HTTP-Method-Override: forged\nX-HTTP-Method: forged\nX-Method-Override: forged",
        "X-Original-URL: /forged\nX-Rewrite-URL: /forged",
        "X-Forwarded-For: forged\nForwarded: for=forged\nX-Forwarded-Host: forged",
    ] {
        for request in ["GET /orders/1", "GET /healthz"] {
            let answer = shop.ask(request, &shop.access, forged).await;
            let received = shop.application.take_received();
            if received.is_empty() {
                // 401 where the forged line is taken for a part of the credential.
                assert!(matches!(answer.status(), 400 | 401), "{forged}: {answer:?}");
                continue;
            }
            let seen = &received[0];
            // A folded line belongs to the header above it, which is the client's own.
            let mut believed = seen.headers.iter().filter(|(name, _)| name != "Accept");
            assert!(believed.all(|(_, value)| !value.contains("forged")), "{forged}: {seen:?}");
            let is_identity = |name: &str| name.to_ascii_lowercase().replace('_', "-").starts_with("x-auth-");
            let identity = seen.headers.iter().filter(|(name, _)| is_identity(name)).count();
            if request == "GET /healthz" {
                assert_eq!(identity, 0, "nobody was asked who this is: {seen:?}");
                continue;
            }
            assert_eq!(identity, 4, "{forged}: {seen:?}");
            let names = ["x-auth-user-id", "x-auth-username", "x-auth-permissions"];
            assert_eq!(names.map(|name| seen.the(name)), truth, "{forged}");
        }
    }
}

async fn ambiguous_paths(kind: ProxyKind) {
    let shop = Shop::open(kind).await;
    let (_, reads) = shop.server.create_api_key(&shop.access, &["read"]).await;
    let mut let_through = 0;
    for path in [
        "/secret/../orders/1",
        "/secret/..%2forders/1",
        "/secret%2F..%2Forders/1",
        "/secret/%2e%2e/orders/1",
        "/secret/.%2E/orders/1",
        "/secret/x/../../orders/1",
        "/orders/../secret",
        "/orders/..%2fsecret",
        "/orders/%2e%2e%2fsecret",
        "/orders/..",
        "/orders/.",
        "//orders/1",
        "/secret//../orders/1",
        "/orders/1%3fx",
        "/orders/1%0d%0aX-Auth-User-Id:%209",
        "/orders/..;/secret",
        "/orders/..\\secret",
        "/orders/..%5csecret",
        "http://127.0.0.1/secret/..%2forders/1",
    ] {
        let answer = shop.ask(&format!("GET {path}"), &reads, "").await;
        let received = shop.application.take_received();
        if received.is_empty() {
            assert!(matches!(answer.status(), 400 | 403), "{path}: {answer:?}");
            continue;
        }
        let_through += 1;
        let seen = received[0].line.split(' ').nth(1).unwrap().to_ascii_lowercase();
        assert!(seen == "/orders" || seen.starts_with("/orders/"), "{path} became {seen}");
        let segments = seen.split('/').map(|segment| segment.replace("%2e", "."));
        assert!(
            !segments.into_iter().any(|segment| segment == "." || segment == ".."),
            "{path} became {seen}"
        );
        assert!(!seen.contains("%2f") && !seen.contains("//"), "{path} became {seen}");
        assert_eq!(received[0].the("x-auth-user-id"), "1");
    }
    assert_eq!(let_through > 0, kind == ProxyKind::Nginx, "nginx mends them, and Caddy refuses them");
}

async fn client_address(kind: ProxyKind) {
    let shop = Shop::open(kind).await;
    for forged in [
        "X-Forwarded-For: 198.51.100.7",
        "X-Forwarded-For: 198.51.100.7\nX-Forwarded-For: 127.0.0.1",
        "X-Forwarded-For: 198.51.100.7, 127.0.0.1",
        "Forwarded: for=198.51.100.7",
        "X-Forwarded-For:\nForwarded: for=198.51.100.7;by=127.0.0.1",
        "X_Forwarded_For: 198.51.100.7\nX-Real-IP: 198.51.100.7",
        "Connection: X-Forwarded-For, Forwarded\nX-Forwarded-For: 198.51.100.7",
    ] {
        assert_eq!(shop.ask("GET /orders/1", &shop.access, forged).await.status(), 200, "{forged}");
        assert_eq!(shop.application.take_the_request().the("x-forwarded-for"), CLIENT, "{forged}");

        let body = json!({"username": "alice", "password": PASSWORD}).to_string();
        let head = format!("POST /api/auth/login HTTP/1.1\nContent-Type: application/json\n{forged}");
        let login = send(shop.proxy.service(), &head, body.as_bytes()).await;
        assert_eq!(login.status(), 200, "{login:?}");
        let access = login.json()["access"].as_str().unwrap().to_owned();
        let sessions = shop.server.get("/api/auth/sessions", &access).await.json();
        let sessions = sessions["results"].as_array().unwrap();
        let current = sessions.iter().find(|session| session["current"] == true).unwrap();
        assert_eq!(current["ip"], CLIENT, "{forged}");
    }
    let log = shop.server.stop().await.stdout;
    assert!(!log.contains("198.51.100.7"), "{log}");
    let verified = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let is_proxys = |line: &Value| {
        line["route"].as_str().is_some_and(|route| route.starts_with("/api/auth/verify"))
            && line["client"] == CLIENT
    };
    assert_eq!(verified.filter(is_proxys).count(), 7, "{log}");
}
