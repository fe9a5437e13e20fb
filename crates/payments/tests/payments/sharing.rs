//! Several processes on one database.

use std::collections::BTreeMap;
use std::time::Duration;

use cryptopay_domain::delivery::DeliveryStatus;
use cryptopay_payments::PaymentsConfig;
use cryptopay_store::delivery::{Lane, LeaseRequest};
use cryptopay_testkit::{Backend, Behaviour, TestReceiver, on_both_databases, open_targets, payments_with};
use cryptopay_webhook::Timeouts;

use crate::support::{SECOND, Shop};

on_both_databases! {
    two_workers_share_the_deliveries_and_each_arrives_once => shared;
    a_lease_that_was_lost_with_its_process_is_taken_over => taken_over;
    what_another_process_wrote_is_delivered => written_elsewhere;
    leases_of_workers_that_stop_are_given_back => given_back;
    what_a_stop_cuts_off_is_delivered_again_with_the_same_id => cut_off;
}

async fn shared(backend: Backend) {
    let shop = Shop::open(backend).await;
    let receiver = TestReceiver::start().await;
    let endpoint = shop.endpoint(&receiver).await.endpoint.id;
    let other = shop.replica().await;
    let workers = [shop.payments.run_deliveries(), other.run_deliveries()];
    for _ in 0..200 {
        shop.order().await;
    }
    receiver.wait_for(200).await;
    shop.newest_is(endpoint, DeliveryStatus::Succeeded).await;
    for workers in workers {
        workers.stop().await;
    }
    let mut arrivals: BTreeMap<String, usize> = BTreeMap::new();
    for received in receiver.received() {
        *arrivals.entry(received.header("webhook-id").to_owned()).or_default() += 1;
    }
    assert_eq!(arrivals.len(), 200);
    assert!(arrivals.values().all(|times| *times == 1), "{arrivals:?}");
}

async fn taken_over(backend: Backend) {
    let shop = Shop::open(backend).await;
    let receiver = TestReceiver::start().await;
    let endpoint = shop.endpoint(&receiver).await.endpoint.id;
    shop.order().await;
    // Another process takes it, and is never heard of again.
    let now = shop.core.auth.clock().now();
    let request = LeaseRequest {
        lane: Lane::Prompt,
        now,
        leased_until: now.after(30 * SECOND),
        limit: 10,
        per_endpoint: 10,
        except: Vec::new(),
        after: None,
    };
    let leased = shop.core.auth.store().lease_deliveries(request).await.unwrap().deliveries;
    assert_eq!(leased.len(), 1);
    let workers = shop.payments.run_deliveries();
    let second = shop.endpoint(&receiver).await.endpoint.id;
    shop.order().await;
    shop.newest_is(second, DeliveryStatus::Succeeded).await;
    let first = shop.deliveries(endpoint).await.pop().unwrap();
    assert!(first.attempts.is_empty(), "it is the other's for thirty seconds");
    shop.core.clock.advance(30 * SECOND);
    let received = receiver.wait_for(3).await;
    assert_eq!(received[2].header("webhook-id"), leased[0].event_id.to_string());
    assert_eq!(received[2].body, leased[0].body);
    workers.stop().await;
    let first = shop.deliveries(endpoint).await.pop().unwrap();
    assert_eq!((first.status, first.attempts.len()), (DeliveryStatus::Succeeded, 1));
}

async fn written_elsewhere(backend: Backend) {
    let shop = Shop::open(backend).await;
    let receiver = TestReceiver::start().await;
    shop.endpoint(&receiver).await;
    let workers = shop.replica().await.run_deliveries();
    let order = shop.order().await;
    let received = receiver.wait_for(1).await;
    assert_eq!(crate::support::json(&received[0])["data"]["id"], order["id"]);
    workers.stop().await;
}

async fn given_back(backend: Backend) {
    let shop = Shop::open(backend).await;
    let receiver = TestReceiver::behaving(Behaviour::Hang).await;
    let endpoint = shop.endpoint(&receiver).await.endpoint.id;
    for _ in 0..5 {
        shop.order().await;
    }
    let workers = shop.payments.run_deliveries();
    // One hangs, and the others are behind it.
    receiver.wait_for(1).await;
    workers.stop().await;
    receiver.behave(Behaviour::Answer(200));
    let other = shop.replica().await.run_deliveries();
    // No lease has to run out, for the clock stands still.
    receiver.wait_for(5).await;
    other.stop().await;
    let succeeded =
        shop.deliveries(endpoint).await.iter().filter(|it| it.status == DeliveryStatus::Succeeded).count();
    assert_eq!(succeeded, 4, "all but the one that hung");
}

async fn cut_off(backend: Backend) {
    let shop = Shop::open(backend).await;
    let receiver = TestReceiver::behaving(Behaviour::Hang).await;
    let endpoint = shop.endpoint(&receiver).await.endpoint.id;
    let config = PaymentsConfig { stop_within: Duration::from_millis(50), ..PaymentsConfig::default() };
    let hasty = payments_with(&shop.core.auth, config, open_targets(), &shop.names, Timeouts::default());
    let workers = hasty.run_deliveries();
    shop.order().await;
    receiver.wait_for(1).await;
    workers.stop().await;
    assert!(shop.deliveries(endpoint).await[0].attempts.is_empty(), "nobody knows how it ended");
    receiver.behave(Behaviour::Answer(200));
    let other = shop.replica().await.run_deliveries();
    let received = receiver.wait_for(2).await;
    assert_eq!(received[0].header("webhook-id"), received[1].header("webhook-id"));
    assert_eq!(received[0].body, received[1].body);
    shop.newest_is(endpoint, DeliveryStatus::Succeeded).await;
    other.stop().await;
}
