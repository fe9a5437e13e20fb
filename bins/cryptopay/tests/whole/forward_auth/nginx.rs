//! What nginx asks the verifier, and what it makes of answers that are no verdict.

use super::proxy::{Proxy, ProxyKind};
use super::wire::{CLIENT, WireServer, send};

#[tokio::test(flavor = "multi_thread")]
async fn it_asks_with_credential_and_address_alone_over_one_connection() {
    let application = WireServer::application().await;
    let verifier = WireServer::answering("200 OK\r\nX-Auth-User-Id: 7\r\nX-Auth-Username: bob").await;
    let proxy = Proxy::start(ProxyKind::Nginx, verifier.address(), application.address()).await;
    let head = "POST /orders?permission=read HTTP/1.1\nAuthorization: Bearer x\nCookie: a=b\n\
                Content-Type: application/json\nX-Sandbox-Error: RATE_LIMITED\nRange: bytes=0-1";
    for _ in 0..20 {
        let answer = send(proxy.guarded(), head, b"{}").await;
        assert_eq!(answer.status(), 200, "{answer:?}");
    }
    assert_eq!(verifier.connections(), 1);
    for question in verifier.take_received() {
        assert_eq!(question.line, "HEAD /api/auth/verify/ext/nginx?permission=create_payments HTTP/1.1");
        let mut names: Vec<_> = question.headers.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
        names.sort();
        assert_eq!(names, ["authorization", "host", "x-forwarded-for", "x-request-id"]);
        assert_eq!((question.the("authorization"), question.the("x-forwarded-for")), ("Bearer x", CLIENT));
    }
    for seen in application.take_received() {
        assert_eq!((seen.the("x-auth-user-id"), seen.body.as_slice()), ("7", b"{}".as_slice()));
        assert!(seen.all("x-auth-permissions").is_empty(), "what the verifier did not say is not there");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_the_verifier_that_means_nothing_lets_nobody_through() {
    let application = WireServer::application().await;
    for status in
        ["400 Bad", "404 Not Found", "302 Found\r\nLocation: /orders", "500 Broken", "304 Not Modified"]
    {
        let verifier = WireServer::answering(status).await;
        let proxy = Proxy::start(ProxyKind::Nginx, verifier.address(), application.address()).await;
        let answer = send(proxy.guarded(), "GET /orders/1 HTTP/1.1\nAuthorization: Bearer x", b"").await;
        assert_eq!(answer.verdict(), "500 INTERNAL_ERROR", "{status}");
        assert!(answer.all("retry-after").is_empty() && application.take_received().is_empty(), "{status}");
    }
}
