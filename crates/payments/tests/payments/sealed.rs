//! Secrets that cannot be read.

use cryptopay_domain::delivery::DeliveryStatus;
use cryptopay_domain::webhook_endpoint::{EndpointSecrets, SealedSecret, SecretOverlap};
use cryptopay_domain::{WebhookEndpoint, WebhookEndpointId};
use cryptopay_testkit::{Backend, TestReceiver, context, on_both_databases};

use crate::support::{Shop, page_accepts};

on_both_databases! {
    an_endpoint_whose_secret_cannot_be_read_is_told_so_until_it_is_rotated => unreadable;
    a_secret_that_was_moved_to_another_endpoint_does_not_open => moved;
}

/// Puts other secrets into an endpoint's row, as a lost key or a meddler would.
async fn replace_secrets(shop: &Shop, endpoint: WebhookEndpointId, secrets: EndpointSecrets) {
    let now = shop.core.auth.clock().now();
    let change = move |endpoint| Ok::<_, ()>((WebhookEndpoint { secrets, ..endpoint }, Vec::new()));
    let store = shop.core.auth.store();
    store.change_webhook_endpoint(shop.alice.user_id, endpoint, now, change).await.unwrap();
}

async fn unreadable(backend: Backend) {
    let shop = Shop::open(backend).await;
    let receiver = TestReceiver::start().await;
    let endpoint = shop.endpoint(&receiver).await.endpoint.id;
    replace_secrets(&shop, endpoint, EndpointSecrets::new(SealedSecret(vec![1; 80]))).await;
    let workers = shop.payments.run_deliveries();
    shop.order().await;
    let failed = shop.attempts(endpoint, 1).await;
    assert_eq!(failed.status, DeliveryStatus::Pending, "it may become readable");
    let error = failed.attempts[0].error.as_deref().unwrap();
    assert!(error.contains("secret") && error.contains("Rotate"), "{error}");
    assert!(receiver.received().is_empty(), "nothing is sent unsigned");
    // Even with an overlap, in which the unreadable one would sign as well.
    let overlap = SecretOverlap::default();
    let rotated = shop.payments.rotate_secret(&shop.alice, endpoint, overlap, &context()).await.unwrap();
    shop.until_next_attempt(endpoint).await;
    let received = receiver.wait_for(1).await.remove(0);
    assert!(page_accepts(&received, &rotated.secret));
    workers.stop().await;
}

async fn moved(backend: Backend) {
    let shop = Shop::open(backend).await;
    let receiver = TestReceiver::start().await;
    let mine = shop.endpoint(&receiver).await.endpoint;
    let other = shop.endpoint(&TestReceiver::start().await).await.endpoint;
    replace_secrets(&shop, mine.id, other.secrets).await;
    let workers = shop.payments.run_deliveries();
    shop.order().await;
    let failed = shop.attempts(mine.id, 1).await;
    assert!(failed.attempts[0].error.is_some());
    workers.stop().await;
    assert!(receiver.received().is_empty());
}
