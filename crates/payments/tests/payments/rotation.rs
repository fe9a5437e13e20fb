//! Rotating the secret of an endpoint.

use cryptopay_domain::WebhookEndpointId;
use cryptopay_domain::webhook_endpoint::SecretOverlap;
use cryptopay_payments::WebhookSecret;
use cryptopay_testkit::{Backend, TestReceiver, context, on_both_databases};

use crate::support::{HOUR, SECOND, Shop, page_accepts, standard_accepts};

on_both_databases! {
    no_receiver_loses_a_delivery_while_a_rotation_overlaps => overlap;
    without_an_overlap_the_new_secret_signs_alone_at_once => at_once;
    a_rotation_during_an_overlap_ends_the_oldest_secret => oldest_ends;
    a_retry_is_signed_with_the_secrets_of_its_own_moment => retry;
}

async fn rotate(shop: &Shop, endpoint: WebhookEndpointId, seconds: i64) -> WebhookSecret {
    let overlap = SecretOverlap::from_seconds(seconds).unwrap();
    shop.payments.rotate_secret(&shop.alice, endpoint, overlap, &context()).await.unwrap().secret
}

async fn overlap(backend: Backend) {
    let shop = Shop::open(backend).await;
    let receiver = TestReceiver::start().await;
    let made = shop.endpoint(&receiver).await;
    let workers = shop.payments.run_deliveries();
    let new = rotate(&shop, made.endpoint.id, 3600).await;
    assert_ne!(new.expose(), made.secret.expose());
    shop.order().await;
    let during = receiver.wait_for(1).await.remove(0);
    assert!(page_accepts(&during, &made.secret), "the page's header is made with the old secret");
    assert!(!page_accepts(&during, &new));
    assert!(standard_accepts(&during, &made.secret, &shop));
    assert!(standard_accepts(&during, &new, &shop));
    shop.core.clock.advance(HOUR);
    shop.order().await;
    let after = receiver.wait_for(2).await.remove(1);
    assert!(page_accepts(&after, &new) && standard_accepts(&after, &new, &shop));
    assert!(!page_accepts(&after, &made.secret) && !standard_accepts(&after, &made.secret, &shop));
    workers.stop().await;
    let audit = shop.audit().await.pop().unwrap();
    assert_eq!(audit.event, "webhook_endpoint.secret_rotated");
    assert_eq!(audit.detail.as_deref(), Some("overlap 3600 s"));
}

async fn at_once(backend: Backend) {
    let shop = Shop::open(backend).await;
    let receiver = TestReceiver::start().await;
    let made = shop.endpoint(&receiver).await;
    let workers = shop.payments.run_deliveries();
    let new = rotate(&shop, made.endpoint.id, 0).await;
    shop.order().await;
    let received = receiver.wait_for(1).await.remove(0);
    assert!(page_accepts(&received, &new));
    assert!(!standard_accepts(&received, &made.secret, &shop));
    workers.stop().await;
}

async fn oldest_ends(backend: Backend) {
    let shop = Shop::open(backend).await;
    let receiver = TestReceiver::start().await;
    let oldest = shop.endpoint(&receiver).await;
    let workers = shop.payments.run_deliveries();
    let older = rotate(&shop, oldest.endpoint.id, 3600).await;
    let newest = rotate(&shop, oldest.endpoint.id, 3600).await;
    shop.order().await;
    let received = receiver.wait_for(1).await.remove(0);
    assert!(page_accepts(&received, &older));
    assert!(standard_accepts(&received, &older, &shop) && standard_accepts(&received, &newest, &shop));
    assert!(!standard_accepts(&received, &oldest.secret, &shop));
    workers.stop().await;
}

async fn retry(backend: Backend) {
    let shop = Shop::open(backend).await;
    let receiver = TestReceiver::behaving(cryptopay_testkit::Behaviour::Answer(500)).await;
    let made = shop.endpoint(&receiver).await;
    let workers = shop.payments.run_deliveries();
    shop.order().await;
    shop.attempts(made.endpoint.id, 1).await;
    let new = rotate(&shop, made.endpoint.id, 0).await;
    shop.core.clock.advance(SECOND);
    shop.until_next_attempt(made.endpoint.id).await;
    let received = receiver.wait_for(2).await;
    assert!(page_accepts(&received[0], &made.secret));
    assert!(page_accepts(&received[1], &new));
    workers.stop().await;
}
