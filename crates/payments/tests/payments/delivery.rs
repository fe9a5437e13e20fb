//! Delivering, and trying again.

use cryptopay_domain::PageRequest;
use cryptopay_domain::delivery::DeliveryStatus;
use cryptopay_domain::page::PageLimit;
use cryptopay_testkit::{Backend, Behaviour, TestReceiver, on_both_databases};

use crate::support::{SECOND, Shop, page_accepts, standard_accepts};

on_both_databases! {
    a_delivery_is_signed_for_both_kinds_of_receivers_and_logged => signed;
    a_failed_delivery_is_retried_with_the_same_bytes_until_it_succeeds => retried;
    whatever_goes_wrong_is_told_in_the_log => told;
    every_endpoint_is_told_of_every_event_once => every_endpoint;
    the_log_is_paged_newest_first => paged;
    workers_that_stop_let_what_is_under_way_end => polite;
}

async fn signed(backend: Backend) {
    let shop = Shop::open(backend).await;
    let receiver = TestReceiver::start().await;
    let made = shop.endpoint(&receiver).await;
    let workers = shop.payments.run_deliveries();
    shop.order().await;
    let received = receiver.wait_for(1).await.remove(0);
    assert!(page_accepts(&received, &made.secret));
    assert!(standard_accepts(&received, &made.secret, &shop));
    let delivery = shop.newest_is(made.endpoint.id, DeliveryStatus::Succeeded).await;
    assert_eq!((delivery.attempts.len(), delivery.next_attempt_at), (1, None));
    let attempt = &delivery.attempts[0];
    assert_eq!((attempt.status_code, &attempt.error), (Some(200), &None));
    assert_eq!(attempt.response.as_deref(), Some("answered 200"));
    assert_eq!(attempt.at, shop.core.auth.clock().now());
    workers.stop().await;
}

async fn retried(backend: Backend) {
    let shop = Shop::open(backend).await;
    let receiver = TestReceiver::behaving(Behaviour::Answer(503)).await;
    let made = shop.endpoint(&receiver).await;
    let endpoint = made.endpoint.id;
    let workers = shop.payments.run_deliveries();
    shop.order().await;
    let first = shop.attempts(endpoint, 1).await;
    assert_eq!(first.status, DeliveryStatus::Pending);
    let pause = first.next_attempt_at.unwrap().since(shop.core.auth.clock().now());
    assert!(pause > SECOND && pause < 15 * SECOND, "the first retry comes after seconds: {pause:?}");
    assert_eq!(shop.get(endpoint).await.failing_since, Some(first.attempts[0].at));
    shop.until_next_attempt(endpoint).await;
    let second = shop.attempts(endpoint, 2).await;
    assert_eq!(second.status, DeliveryStatus::Pending);
    receiver.behave(Behaviour::Answer(204));
    shop.until_next_attempt(endpoint).await;
    let done = shop.newest_is(endpoint, DeliveryStatus::Succeeded).await;
    let statuses: Vec<_> = done.attempts.iter().map(|attempt| attempt.status_code).collect();
    assert_eq!(statuses, [Some(503), Some(503), Some(204)]);
    assert_eq!(shop.get(endpoint).await.failing_since, None);
    workers.stop().await;
    let received = receiver.received();
    assert_eq!(received.len(), 3);
    assert!(received.windows(2).all(|pair| pair[0].body == pair[1].body));
    assert!(received.windows(2).all(|pair| pair[0].header("webhook-id") == pair[1].header("webhook-id")));
    assert!(received[0].header("webhook-timestamp") < received[2].header("webhook-timestamp"));
    assert!(received.iter().all(|received| page_accepts(received, &made.secret)));
}

async fn told(backend: Backend) {
    let shop = Shop::open(backend).await;
    let receiver = TestReceiver::behaving(Behaviour::HangUp).await;
    let endpoint = shop.endpoint(&receiver).await.endpoint.id;
    let workers = shop.payments.run_deliveries();
    shop.order().await;
    let delivery = shop.attempts(endpoint, 1).await;
    assert_eq!(delivery.attempts[0].status_code, None);
    assert!(delivery.attempts[0].error.is_some());
    for (behaviour, status) in [(Behaviour::Answer(302), Some(302)), (Behaviour::Answer(404), Some(404))] {
        receiver.behave(behaviour);
        shop.core.clock.advance(SECOND);
        shop.order().await;
        let delivery = shop.attempts(endpoint, 1).await;
        assert_eq!(delivery.attempts[0].status_code, status);
        assert_eq!(delivery.status, DeliveryStatus::Pending);
    }
    drop(receiver);
    shop.core.clock.advance(SECOND);
    shop.order().await;
    let delivery = shop.attempts(endpoint, 1).await;
    assert!(delivery.attempts[0].error.is_some(), "nobody listens");
    workers.stop().await;
}

async fn every_endpoint(backend: Backend) {
    let shop = Shop::open(backend).await;
    let receivers = [TestReceiver::start().await, TestReceiver::start().await];
    for receiver in &receivers {
        shop.endpoint(receiver).await;
    }
    let workers = shop.payments.run_deliveries();
    let mut orders = Vec::new();
    for _ in 0..300 {
        orders.push(shop.order().await["id"].clone());
    }
    for receiver in &receivers {
        receiver.wait_for(300).await;
    }
    workers.stop().await;
    for receiver in &receivers {
        let mut heard: Vec<_> =
            receiver.received().iter().map(|got| crate::support::json(got)["data"]["id"].clone()).collect();
        heard.sort_by_key(ToString::to_string);
        assert_eq!(heard, orders);
    }
}

async fn paged(backend: Backend) {
    let shop = Shop::open(backend).await;
    let endpoint = shop.endpoint(&TestReceiver::start().await).await.endpoint.id;
    for _ in 0..3 {
        shop.order().await;
    }
    let mut request = PageRequest { limit: PageLimit::new(2).unwrap(), position: None };
    let first = shop.payments.list_deliveries(&shop.alice, endpoint, request).await.unwrap();
    request.position = first.next;
    let second = shop.payments.list_deliveries(&shop.alice, endpoint, request).await.unwrap();
    let ids: Vec<_> = first.items.iter().chain(&second.items).map(|delivery| delivery.id).collect();
    assert_eq!(ids.len(), 3);
    assert!(ids.windows(2).all(|pair| pair[0] > pair[1]));
}

async fn polite(backend: Backend) {
    let shop = Shop::open(backend).await;
    let receiver = TestReceiver::behaving(Behaviour::Hang).await;
    let endpoint = shop.endpoint(&receiver).await.endpoint.id;
    let workers = shop.payments.run_deliveries();
    shop.order().await;
    receiver.wait_for(1).await;
    // The exchange takes two seconds to fail, which is within what a stop waits for.
    workers.stop().await;
    let delivery = shop.deliveries(endpoint).await.remove(0);
    assert_eq!(delivery.attempts.len(), 1, "recorded before the stop was over");
    assert!(delivery.attempts[0].error.is_some());
}
