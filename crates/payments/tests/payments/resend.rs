//! Sending again, and trying an endpoint.

use cryptopay_domain::DeliveryId;
use cryptopay_domain::delivery::DeliveryStatus;
use cryptopay_payments::SendRejection;
use cryptopay_testkit::{Backend, Behaviour, TestReceiver, on_both_databases};
use uuid::Uuid;

use crate::support::{DAY, SECOND, Shop, json, page_accepts, rejection};

on_both_databases! {
    a_resend_is_another_attempt_with_the_same_bytes_and_the_same_id => same_bytes;
    a_delivery_that_was_given_up_is_resent_with_a_new_plan => anew;
    another_endpoints_delivery_is_not_found => another_endpoints;
    a_test_event_goes_to_the_endpoint_that_was_asked_for_whatever_its_filter => test_event;
}

async fn same_bytes(backend: Backend) {
    let shop = Shop::open(backend).await;
    let receiver = TestReceiver::start().await;
    let made = shop.endpoint(&receiver).await;
    let endpoint = made.endpoint.id;
    let workers = shop.payments.run_deliveries();
    shop.order().await;
    let first = shop.newest_is(endpoint, DeliveryStatus::Succeeded).await;
    shop.core.clock.advance(SECOND);
    let resent = shop.payments.resend(&shop.alice, endpoint, first.id).await.unwrap();
    assert_eq!((resent.id, resent.event_id), (first.id, first.event_id));
    assert_eq!(resent.status, DeliveryStatus::Pending);
    let received = receiver.wait_for(2).await;
    assert_eq!(received[0].body, received[1].body);
    assert_eq!(received[0].header("webhook-id"), received[1].header("webhook-id"));
    assert!(page_accepts(&received[1], &made.secret));
    let done = shop.newest(endpoint, "resent", |delivery| delivery.status == DeliveryStatus::Succeeded).await;
    assert_eq!((done.id, done.attempts.len()), (first.id, 2));
    assert_eq!(shop.deliveries(endpoint).await.len(), 1, "the same delivery");
    workers.stop().await;
}

async fn anew(backend: Backend) {
    let shop = Shop::open(backend).await;
    let receiver = TestReceiver::behaving(Behaviour::Answer(500)).await;
    let endpoint = shop.endpoint(&receiver).await.endpoint.id;
    let workers = shop.payments.run_deliveries();
    shop.order().await;
    shop.attempts(endpoint, 1).await;
    shop.core.clock.advance(3 * DAY);
    let given_up = shop.newest_is(endpoint, DeliveryStatus::Failed).await;
    shop.core.clock.advance(SECOND);
    shop.payments.resend(&shop.alice, endpoint, given_up.id).await.unwrap();
    let tries = given_up.attempts.len() + 1;
    let again = shop.attempts(endpoint, tries).await;
    assert_eq!(again.status, DeliveryStatus::Pending);
    let pause = again.next_attempt_at.unwrap().since(shop.core.auth.clock().now());
    assert!(pause < 15 * SECOND, "it starts from the shortest pause: {pause:?}");
    workers.stop().await;
}

async fn another_endpoints(backend: Backend) {
    let shop = Shop::open(backend).await;
    let receiver = TestReceiver::start().await;
    let one = shop.endpoint(&receiver).await.endpoint.id;
    shop.order().await;
    let other = shop.endpoint(&receiver).await.endpoint.id;
    let delivery = shop.deliveries(one).await[0].id;
    for (endpoint, delivery) in [(other, delivery), (one, DeliveryId(Uuid::from_u128(7)))] {
        let outcome = shop.payments.resend(&shop.alice, endpoint, delivery).await;
        assert_eq!(rejection(outcome), SendRejection::NotFound);
    }
}

async fn test_event(backend: Backend) {
    let shop = Shop::open(backend).await;
    let (asked, other) = (TestReceiver::start().await, TestReceiver::start().await);
    let made = shop.endpoint_hearing(&asked, &["payment_order.paid"]).await;
    shop.endpoint(&other).await;
    let workers = shop.payments.run_deliveries();
    let delivery = shop.payments.send_test(&shop.alice, made.endpoint.id).await.unwrap();
    assert_eq!(delivery.status, DeliveryStatus::Pending);
    let received = asked.wait_for(1).await.remove(0);
    assert_eq!(json(&received)["type"], "webhook.test");
    assert_eq!(json(&received)["id"], delivery.event_id.to_string());
    assert_eq!(json(&received)["data"]["endpoint_id"], made.endpoint.id.to_string());
    assert!(page_accepts(&received, &made.secret));
    shop.newest_is(made.endpoint.id, DeliveryStatus::Succeeded).await;
    workers.stop().await;
    assert!(other.received().is_empty());
}
