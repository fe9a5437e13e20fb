//! Merchants' own receivers accept what the webhook crate signs, and nothing that was tampered with.
#![allow(clippy::unwrap_used, reason = "a test that meets what it does not expect has failed")]

use std::time::SystemTime;

use cryptopay_domain::Timestamp;
use cryptopay_testkit::{ReceiverKind, WebhookReceiver};
use cryptopay_webhook::{
    Addresses, CanonicalObject, Exchange, MAX_BODY_BYTES, Resolver, Schemes, SignedHeaders, Target,
    TargetPolicy, Timeouts, Transport, WebhookSecret, event_body,
};

const OLD: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=";
const NEW: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const EVENT: &str = "0193f1b2c3d4700089abcdef01234567";

type Headers = [(&'static str, String); 4];

fn secret(text: &str) -> WebhookSecret {
    WebhookSecret::parse(text).unwrap()
}

/// Standard Webhooks libraries compare with the clock of the machine.
#[expect(
    clippy::disallowed_methods,
    reason = "the receivers are other programs, which read the system clock"
)]
fn now() -> Timestamp {
    SystemTime::now().into()
}

fn event(description: &str) -> Vec<u8> {
    let metadata = CanonicalObject::new()
        .with("b", "Zoë 😀\u{2028}\u{7f}\0")
        .with("10", "</script>/")
        .with("9", "")
        .with("__proto__", "\"\\");
    let data = CanonicalObject::new().with("description", description).with("metadata", metadata);
    event_body(EVENT, "payment_order.paid", now(), data.into()).unwrap()
}

fn signed(secrets: &[&WebhookSecret], body: &[u8]) -> Headers {
    SignedHeaders::new(secrets, EVENT, now(), body).into_pairs()
}

async fn deliver(receiver: &WebhookReceiver, headers: &Headers, body: &[u8]) -> Exchange {
    let policy =
        TargetPolicy { schemes: Schemes::HttpAndHttps, addresses: Addresses::AnyAddress, own: Vec::new() };
    let target = Target::parse(&receiver.url(), &policy).unwrap();
    let transport = Transport::new(Resolver::system(policy).unwrap(), Timeouts::default()).unwrap();
    transport.post(&target, headers, body.to_vec().into()).await
}

/// The status that a receiver answers a delivery with, having said the same of it.
async fn status(receiver: &mut WebhookReceiver, headers: &Headers, body: &[u8]) -> u16 {
    let exchange = deliver(receiver, headers, body).await;
    let seen = receiver.next_delivery().await;
    assert_eq!(exchange.status_code, Some(seen.status), "{exchange:?}");
    assert_eq!(seen.verified, seen.status == 200);
    assert_eq!(seen.body.as_bytes(), body);
    for (name, value) in headers {
        assert_eq!(seen.headers.get(&name.to_ascii_lowercase()), Some(value));
    }
    seen.status
}

#[tokio::test]
async fn every_receiver_accepts_what_was_signed_and_refuses_what_was_tampered_with() {
    let body = event("A coffee");
    for kind in ReceiverKind::ALL {
        let mut receiver = WebhookReceiver::trusting(kind, OLD);
        let headers = signed(&[&secret(OLD)], &body);
        assert_eq!(status(&mut receiver, &headers, &body).await, 200, "{kind:?}");

        let tampered = event("Two coffees");
        assert_eq!(status(&mut receiver, &headers, &tampered).await, 401, "{kind:?}");

        let of_another = signed(&[&secret(NEW)], &body);
        assert_eq!(status(&mut receiver, &of_another, &body).await, 401, "{kind:?}");
        receiver.trust(NEW);
        assert_eq!(status(&mut receiver, &of_another, &body).await, 200, "{kind:?}");
    }
}

#[tokio::test]
async fn the_libraries_refuse_a_replay_and_another_id() {
    let body = event("A coffee");
    for kind in [ReceiverKind::StandardNode, ReceiverKind::StandardPython] {
        let mut receiver = WebhookReceiver::trusting(kind, OLD);
        let old = now().before(std::time::Duration::from_secs(301));
        let replayed = SignedHeaders::new(&[&secret(OLD)], EVENT, old, &body).into_pairs();
        assert_eq!(status(&mut receiver, &replayed, &body).await, 401, "{kind:?}");

        let mut renamed = signed(&[&secret(OLD)], &body);
        renamed[1].1 = "another".into();
        assert_eq!(status(&mut receiver, &renamed, &body).await, 401, "{kind:?}");
    }
}

#[tokio::test]
async fn during_a_rotation_the_page_s_receiver_needs_the_old_secret_and_the_libraries_take_either() {
    let body = event("A coffee");
    let headers = signed(&[&secret(OLD), &secret(NEW)], &body);
    for (kind, trusted, expected) in [
        (ReceiverKind::Express, OLD, 200),
        (ReceiverKind::Express, NEW, 401),
        (ReceiverKind::StandardNode, OLD, 200),
        (ReceiverKind::StandardNode, NEW, 200),
        (ReceiverKind::StandardPython, OLD, 200),
        (ReceiverKind::StandardPython, NEW, 200),
    ] {
        let mut receiver = WebhookReceiver::trusting(kind, trusted);
        assert_eq!(status(&mut receiver, &headers, &body).await, expected, "{kind:?} {trusted}");
    }
}

#[tokio::test]
async fn the_page_s_receiver_takes_the_greatest_body_there_is() {
    let room = MAX_BODY_BYTES - event("").len();
    let body = event(&"x".repeat(room));
    assert_eq!(body.len(), MAX_BODY_BYTES);
    let mut receiver = WebhookReceiver::trusting(ReceiverKind::Express, OLD);
    assert_eq!(status(&mut receiver, &signed(&[&secret(OLD)], &body), &body).await, 200);
}

/// Why the page's header holds 64 digits and nothing else.
#[tokio::test]
async fn the_page_s_function_throws_at_a_signature_of_another_length() {
    let body = event("A coffee");
    let mut receiver = WebhookReceiver::trusting(ReceiverKind::Express, OLD);
    let mut headers = signed(&[&secret(OLD)], &body);
    headers[0].1.insert_str(0, "sha256=");
    assert_eq!(status(&mut receiver, &headers, &body).await, 500);
}
