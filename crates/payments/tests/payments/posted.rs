//! What merchants read of a delivery and of an order's deliveries.

use cryptopay_domain::delivery::DeliveryStatus;
use cryptopay_domain::payment_order::SimulatedOutcome;
use cryptopay_domain::webhook_endpoint::SecretOverlap;
use cryptopay_domain::{EventType, PaymentOrderId};
use cryptopay_payments::{NotFound, PostedDelivery};
use cryptopay_testkit::{Backend, Received, TestReceiver, context, on_both_databases};

use crate::support::{SECOND, Shop, rejection};

on_both_databases! {
    a_delivery_shows_what_was_posted_header_for_header => headers;
    a_delivery_that_nobody_has_tried_yet_shows_how_it_would_be_signed => untried;
    another_merchants_delivery_is_not_shown => another_merchants;
    an_order_names_the_deliveries_that_tell_of_it_and_no_others => of_order;
}

fn assert_same_post(posted: &PostedDelivery, received: &Received) {
    assert_eq!(posted.body, received.body);
    let headers = posted.headers.as_ref().unwrap();
    assert_eq!(headers.len(), 6);
    for (name, value) in headers {
        assert_eq!(received.header(&name.to_lowercase()), value, "{name}");
    }
}

async fn headers(backend: Backend) {
    let shop = Shop::open(backend).await;
    let receiver = TestReceiver::start().await;
    let endpoint = shop.endpoint(&receiver).await.endpoint.id;
    let workers = shop.payments.run_deliveries();
    shop.order().await;
    let delivery = shop.newest_is(endpoint, DeliveryStatus::Succeeded).await;
    let posted = shop.payments.get_delivery(&shop.alice, endpoint, delivery.id).await.unwrap();
    assert_eq!((&posted.delivery, posted.signed_at), (&delivery, delivery.attempts[0].at));
    assert_same_post(&posted, &receiver.wait_for(1).await[0]);

    // The last attempt, while a rotation overlaps: two signatures.
    let overlap = SecretOverlap::from_seconds(60).unwrap();
    shop.payments.rotate_secret(&shop.alice, endpoint, overlap, &context()).await.unwrap();
    shop.core.clock.advance(SECOND);
    shop.payments.resend(&shop.alice, endpoint, delivery.id).await.unwrap();
    let received = receiver.wait_for(2).await;
    shop.newest_is(endpoint, DeliveryStatus::Succeeded).await;
    let posted = shop.payments.get_delivery(&shop.alice, endpoint, delivery.id).await.unwrap();
    assert_eq!(received[1].header("webhook-signature").split(' ').count(), 2);
    assert_same_post(&posted, &received[1]);
    workers.stop().await;
}

async fn untried(backend: Backend) {
    let shop = Shop::open(backend).await;
    let receiver = TestReceiver::start().await;
    let endpoint = shop.endpoint(&receiver).await.endpoint.id;
    shop.order().await;
    let delivery = shop.deliveries(endpoint).await.remove(0);
    let posted = shop.payments.get_delivery(&shop.alice, endpoint, delivery.id).await.unwrap();
    assert_eq!(posted.signed_at, shop.core.auth.clock().now());
    let workers = shop.payments.run_deliveries();
    assert_same_post(&posted, &receiver.wait_for(1).await[0]);
    workers.stop().await;
}

async fn another_merchants(backend: Backend) {
    let shop = Shop::open(backend).await;
    let receiver = TestReceiver::start().await;
    let (one, other) =
        (shop.endpoint(&receiver).await.endpoint.id, shop.endpoint(&receiver).await.endpoint.id);
    shop.order().await;
    let delivery = shop.deliveries(one).await[0].id;
    let bob = shop.core.principal("bob").await;
    for (who, endpoint) in [(&bob, one), (&shop.alice, other)] {
        assert_eq!(rejection(shop.payments.get_delivery(who, endpoint, delivery).await), NotFound);
    }
}

async fn of_order(backend: Backend) {
    let shop = Shop::open(backend).await;
    let receiver = TestReceiver::start().await;
    let all = shop.endpoint(&receiver).await.endpoint.id;
    let paid = shop.endpoint_hearing(&receiver, &["payment_order.paid"]).await.endpoint.id;
    let order = shop.order().await["id"].as_str().unwrap().to_owned();
    // In the same moment.
    shop.order().await;
    let id: PaymentOrderId = order.parse().unwrap();
    let told = async || {
        let deliveries = shop.payments.list_order_deliveries(&shop.alice, id).await.unwrap();
        let told = deliveries.iter().map(|delivery| (delivery.event_type, delivery.endpoint_id));
        told.collect::<Vec<_>>()
    };
    assert_eq!(told().await, [(EventType::PaymentOrderCreated, all)]);
    shop.core.clock.advance(SECOND);
    shop.payments.simulate(&shop.alice, id, SimulatedOutcome::Paid).await.unwrap();
    let mut after = told().await;
    assert_eq!(after.remove(0), (EventType::PaymentOrderCreated, all));
    after.sort();
    let mut expected = [(EventType::PaymentOrderPaid, all), (EventType::PaymentOrderPaid, paid)];
    expected.sort();
    assert_eq!(after, expected);
}
