//! Slow and dead endpoints delay nobody else.

use std::time::{Duration, Instant};

use cryptopay_domain::delivery::DeliveryStatus;
use cryptopay_payments::PaymentsConfig;
use cryptopay_testkit::{
    Backend, Behaviour, TestReceiver, context, on_both_databases, open_targets, payments_with,
};
use cryptopay_webhook::Timeouts;

use crate::support::{SECOND, Shop, new_endpoint, new_order, render};

on_both_databases! {
    hanging_endpoints_do_not_delay_another_merchants_deliveries => hanging;
    a_hanging_endpoint_holds_one_place_however_much_there_is_for_it => one_place;
    an_endpoint_that_recovers_gets_everything_that_was_put_off => recovers;
}

async fn hanging(backend: Backend) {
    let shop = Shop::open(backend).await;
    let (dead, alive) = (TestReceiver::behaving(Behaviour::Hang).await, TestReceiver::start().await);
    for _ in 0..10 {
        shop.endpoint(&dead).await;
    }
    let bob = shop.core.principal("bob").await;
    let new = new_endpoint(&alive.url("/hook"), &["*"]);
    shop.payments.create_endpoint(&bob, new, &context()).await.unwrap();
    // A hanging exchange takes ten seconds here: whoever waits for one is found out on the slowest machine.
    let config = PaymentsConfig {
        look_every: Duration::from_millis(20),
        stop_within: Duration::from_millis(50),
        ..PaymentsConfig::default()
    };
    let payments = payments_with(&shop.core.auth, config, open_targets(), &shop.names, Timeouts::default());
    let workers = payments.run_deliveries();
    for number in 1..=40 {
        payments.create_order(&shop.alice, new_order("1"), None, render).await.unwrap();
        let began = Instant::now();
        payments.create_order(&bob, new_order("1"), None, render).await.unwrap();
        alive.wait_for(number).await;
        assert!(began.elapsed() < 5 * SECOND, "{number}: {:?}", began.elapsed());
    }
    workers.stop().await;
    assert!(dead.received().len() >= 10, "each was tried");
}

async fn one_place(backend: Backend) {
    let shop = Shop::open(backend).await;
    let dead = TestReceiver::behaving(Behaviour::Hang).await;
    let endpoint = shop.endpoint(&dead).await.endpoint.id;
    let workers = shop.payments.run_deliveries();
    for _ in 0..50 {
        shop.order().await;
    }
    // The first exchange fails after two seconds; what came meanwhile was put off.
    shop.newest(endpoint, "an attempt", |_| !dead.received().is_empty()).await;
    tokio::time::timeout(Duration::from_millis(1500), dead.wait_for(2)).await.unwrap_err();
    workers.stop().await;
    assert!(dead.received().len() <= 2, "{}", dead.received().len());
}

async fn recovers(backend: Backend) {
    let shop = Shop::open(backend).await;
    let receiver = TestReceiver::behaving(Behaviour::Hang).await;
    let endpoint = shop.endpoint(&receiver).await.endpoint.id;
    let workers = shop.payments.run_deliveries();
    for _ in 0..20 {
        shop.order().await;
    }
    shop.newest(endpoint, "a failure", |_| !receiver.received().is_empty()).await;
    receiver.behave(Behaviour::Answer(200));
    // Whatever was put off comes due.
    let all_done = async || {
        shop.core.clock.advance(5 * SECOND);
        let deliveries = shop.deliveries(endpoint).await;
        deliveries.iter().all(|delivery| delivery.status == DeliveryStatus::Succeeded)
    };
    cryptopay_testkit::eventually("all delivered", all_done).await;
    workers.stop().await;
    assert_eq!(shop.deliveries(endpoint).await.len(), 20);
}
