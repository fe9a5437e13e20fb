//! An application that knows nothing of authentication, behind a real proxy with the configuration that is shipped.

use cryptopay_testkit::{Backend, Installation, Server, eventually};
use serde_json::json;

use self::proxy::{Proxy, ProxyKind};
use self::wire::{CLIENT, Message, WireServer, send};
use crate::PROGRAM;

macro_rules! behind_every_proxy {
    ($($name:ident => $test:ident;)+) => {$(
        mod $name {
            use crate::forward_auth::proxy::ProxyKind;

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn nginx() {
                super::$test(ProxyKind::Nginx).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn caddy() {
                super::$test(ProxyKind::Caddy).await;
            }
        }
    )+};
}

mod forgery;
mod nginx;
mod proxy;
mod wire;

behind_every_proxy! {
    nobody_reaches_the_application_without_a_credential => no_credential;
    a_credential_reaches_only_what_its_permissions_open => permissions;
    the_application_is_told_who_asks => identity;
    a_revoked_key_is_refused_on_the_next_request => revoked_key;
    bodies_reach_the_application_unharmed => bodies;
    while_the_verifier_is_away_nobody_is_let_through => verifier_away;
    a_limit_or_an_overload_is_handed_on_with_its_retry_after => limited;
}

/// A server, an application, and a proxy in front of both.
struct Shop {
    installation: Installation,
    server: Server,
    application: WireServer,
    proxy: Proxy,
    access: String,
}

impl Shop {
    async fn open(kind: ProxyKind) -> Self {
        let installation = Installation::new(PROGRAM, Backend::Sqlite).await;
        let installation = installation.with("CRYPTOPAY_TRUSTED_PROXIES", "127.0.0.1/32");
        let server = installation.serve().await;
        server.register("alice").await;
        let access = server.login("alice").await.access;
        let application = WireServer::application().await;
        let proxy = Proxy::start(kind, server.address(), application.address()).await;
        Self { installation, server, application, proxy, access }
    }

    /// Sends a request to the guarded application; `request` is like `GET /orders`.
    async fn ask(&self, request: &str, bearer: &str, headers: &str) -> Message {
        self.ask_with_body(request, bearer, headers, b"").await
    }

    async fn ask_with_body(&self, request: &str, bearer: &str, headers: &str, body: &[u8]) -> Message {
        let head = format!("{request} HTTP/1.1\nAuthorization: Bearer {bearer}\n{headers}");
        send(self.proxy.guarded(), &head, body).await
    }

    /// Asserts that an answer is a refusal, as the verifier itself would have put it, and the proxy's alone.
    async fn assert_refused(&self, answer: &Message, verdict: &str, question: &str, bearer: &str) {
        assert_eq!(answer.verdict(), verdict, "{answer:?}");
        let verifiers = self.server.get(question, bearer).await;
        assert_eq!(answer.json(), verifiers.json());
        assert_eq!(answer.the("www-authenticate"), verifiers.headers["www-authenticate"].to_str().unwrap());
        assert_eq!(answer.the("content-type"), "application/json");
        assert_eq!(answer.the("cache-control"), "no-store");
        assert_eq!(answer.all("x-request-id").len(), 1);
        assert!(self.application.take_received().is_empty(), "{answer:?}");
    }
}

async fn no_credential(kind: ProxyKind) {
    let shop = Shop::open(kind).await;
    let (guarded, access) = (shop.proxy.guarded(), &shop.access);
    for request in ["GET /orders/1", "POST /orders", "DELETE /", "HEAD /reports/x", "OPTIONS /orders"] {
        let answer = send(guarded, &format!("{request} HTTP/1.1\nConnection: close"), b"").await;
        if request.starts_with("HEAD") {
            assert_eq!(answer.status(), 401);
        } else {
            shop.assert_refused(&answer, "401 INVALID_TOKEN", "/api/auth/verify", "").await;
        }
    }
    let answer = shop.ask("GET /orders/1", "nonsense", "").await;
    shop.assert_refused(&answer, "401 INVALID_TOKEN", "/api/auth/verify", "nonsense").await;
    for (request, headers) in [
        (format!("GET /orders/1?access_token={access}"), "Cookie: a=b".to_owned()),
        ("GET /orders/1".to_owned(), format!("Authorization: Basic {access}")),
        ("GET /orders/1".to_owned(), format!("X-Authorization: Bearer {access}")),
        (
            "GET /orders/1".to_owned(),
            format!("Authorization: Bearer {access}\nAuthorization: Bearer {access}"),
        ),
    ] {
        let answer = send(guarded, &format!("{request} HTTP/1.1\n{headers}"), b"").await;
        assert!(matches!(answer.status(), 400 | 401), "{answer:?}");
        assert!(shop.application.take_received().is_empty(), "{headers}");
    }
}

async fn permissions(kind: ProxyKind) {
    let shop = Shop::open(kind).await;
    let (_, reads) = shop.server.create_api_key(&shop.access, &["read"]).await;
    let (_, creates) = shop.server.create_api_key(&shop.access, &["create_payments"]).await;
    for (request, key, needed) in [
        ("GET /orders", &creates, "read"),
        ("GET /orders/1", &creates, "read"),
        ("GET /reports/x", &creates, "read"),
        ("POST /orders", &reads, "create_payments"),
        ("POST /orders/1", &reads, "create_payments"),
        ("DELETE /orders/1", &creates, "full_access"),
        ("PATCH /orders", &reads, "full_access"),
        ("get /orders", &reads, "full_access"),
        ("GET /", &reads, "full_access"),
        ("GET /ordersX", &reads, "full_access"),
        ("GET /anything/orders/", &creates, "full_access"),
    ] {
        let answer = shop.ask(request, key, "").await;
        // nginx takes methods in capitals alone.
        if !(request.starts_with("get") && answer.status() == 400) {
            let question = format!("/api/auth/verify?permission={needed}");
            shop.assert_refused(&answer, "403 INSUFFICIENT_PERMISSIONS", &question, key).await;
            assert_eq!(answer.json()["error"]["required_permission"], needed, "{request}");
        }
    }
    for (request, credential) in [
        ("GET /orders", &reads),
        ("GET /orders/1?x=1&permission=full_access", &reads),
        ("HEAD /orders/1", &reads),
        ("GET /reports/2026", &reads),
        ("POST /orders", &creates),
        ("DELETE /orders/1", &shop.access),
        ("GET /anything", &shop.access),
    ] {
        assert_eq!(shop.ask(request, credential, "").await.status(), 200, "{request}");
        assert_eq!(shop.application.take_the_request().line, format!("{request} HTTP/1.1"));
    }
}

async fn identity(kind: ProxyKind) {
    let shop = Shop::open(kind).await;
    let (id, key) = shop.server.create_api_key(&shop.access, &["create_payments", "read"]).await;
    let session = shop.server.get("/api/auth/verify", &shop.access).await.json()["credential"]["id"].clone();
    let session = session.as_str().unwrap();
    for (credential, permissions, label) in [
        (&key, "read,create_payments", format!("api_key:{id}")),
        (&shop.access, "read,create_payments,manage_webhooks,full_access", format!("access_token:{session}")),
    ] {
        let answer = shop.ask("GET /orders/1?a=%20b", credential, "Accept: text/x-test").await;
        assert_eq!((answer.status(), answer.json()), (200, json!({"you": "asked"})));
        let seen = shop.application.take_the_request();
        assert_eq!(seen.the("x-auth-user-id"), "1");
        assert_eq!(seen.the("x-auth-username"), "alice");
        assert_eq!(seen.the("x-auth-permissions"), permissions);
        assert_eq!(seen.the("x-auth-credential"), label);
        assert_eq!(seen.the("accept"), "text/x-test", "what is the client's own arrives");
        assert_eq!(seen.the("x-forwarded-for"), CLIENT);
        assert!(!format!("{seen:?}").contains(credential.as_str()), "the credential is handed on: {seen:?}");
        assert!(!shop.proxy.log().contains(credential.as_str()), "the credential is in the proxy's log");
    }
}

async fn revoked_key(kind: ProxyKind) {
    let shop = Shop::open(kind).await;
    let (id, key) = shop.server.create_api_key(&shop.access, &["read"]).await;
    for _ in 0..3 {
        assert_eq!(shop.ask("GET /orders/1", &key, "").await.status(), 200);
        shop.application.take_the_request();
    }
    let path = format!("/api/auth/api-keys/{id}");
    assert_eq!(shop.server.send("DELETE", &path, &shop.access, None).await.verdict(), "200");
    let answer = shop.ask("GET /orders/1", &key, "").await;
    shop.assert_refused(&answer, "401 INVALID_TOKEN", "/api/auth/verify", &key).await;
}

async fn bodies(kind: ProxyKind) {
    let shop = Shop::open(kind).await;
    let content_type = "Content-Type: application/x-test";
    // The last one is too large for the memory that nginx gives a body.
    for length in [0, 1, 5_000, 300_000] {
        let body: Vec<u8> = (0..length).map(|place: u32| (place % 251) as u8).collect();
        let answer = shop.ask_with_body("POST /orders", &shop.access, content_type, &body).await;
        assert_eq!(answer.status(), 200, "{length}: {answer:?}");
        let seen = shop.application.take_the_request();
        assert_eq!(seen.the("content-type"), "application/x-test");
        assert!(seen.body == body, "{length}: {} arrived", seen.body.len());
    }
    let head =
        format!("POST /orders HTTP/1.1\nAuthorization: Bearer {}\nTransfer-Encoding: chunked", shop.access);
    let answer = send(shop.proxy.guarded(), &head, b"2\r\na \r\n3\r\nb c\r\n0\r\n\r\n").await;
    assert_eq!(answer.status(), 200, "{answer:?}");
    assert_eq!(shop.application.take_the_request().body, b"a b c");
}

async fn verifier_away(kind: ProxyKind) {
    let shop = Shop::open(kind).await;
    assert_eq!(shop.ask("GET /orders/1", &shop.access, "").await.status(), 200);
    shop.application.take_the_request();
    let address = shop.server.address().to_string();
    shop.server.kill().await;
    for _ in 0..3 {
        let head = format!("GET /orders/1 HTTP/1.1\nAuthorization: Bearer {}", shop.access);
        let answer = send(shop.proxy.guarded(), &head, b"").await;
        assert!(shop.application.take_received().is_empty());
        match kind {
            ProxyKind::Nginx => {
                assert_eq!(answer.verdict(), "503 OVERLOADED");
                assert_eq!((answer.the("retry-after"), &answer.json()["retry_after"]), ("1", &json!(1)));
            }
            ProxyKind::Caddy => assert_eq!(answer.status(), 502),
        }
    }
    let _again = shop.installation.with("CRYPTOPAY_LISTEN", &address).serve().await;
    let head = format!("GET /orders/1 HTTP/1.1\nAuthorization: Bearer {}", shop.access);
    eventually("it works again", async || send(shop.proxy.guarded(), &head, b"").await.status() == 200).await;
}

async fn limited(kind: ProxyKind) {
    let application = WireServer::application().await;
    for (status, verdict) in [("429 Too Many", "429 RATE_LIMITED"), ("503 Busy", "503 OVERLOADED")] {
        let limits = "RateLimit: \"v\";r=0;t=7\r\nRateLimit-Policy: \"v\";q=9;w=60";
        let verifier = WireServer::answering(&format!("{status}\r\nRetry-After: 7\r\n{limits}")).await;
        let proxy = Proxy::start(kind, verifier.address(), application.address()).await;
        let answer = send(proxy.guarded(), "GET /orders/1 HTTP/1.1", b"").await;
        assert_eq!(answer.the("retry-after"), "7");
        assert_eq!(answer.the("ratelimit"), "\"v\";r=0;t=7");
        assert_eq!(answer.the("ratelimit-policy"), "\"v\";q=9;w=60");
        match kind {
            ProxyKind::Nginx => {
                assert_eq!((answer.verdict().as_str(), &answer.json()["retry_after"]), (verdict, &json!(7)));
            }
            ProxyKind::Caddy => assert_eq!(
                (answer.status(), answer.json()),
                (status[..3].parse().unwrap(), json!({"you": "asked"}))
            ),
        }
        assert!(application.take_received().is_empty());
    }
}
