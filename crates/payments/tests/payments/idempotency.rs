//! Requests that are sent more than once.

use cryptopay_domain::{IdempotencyKey, PageRequest};
use cryptopay_payments::{CreateOrderRejection, Idempotency};
use cryptopay_testkit::{Backend, TestReceiver, on_both_databases};
use tokio::task::JoinSet;

use crate::support::{DAY, SECOND, Shop, new_order, rejection, render};

on_both_databases! {
    fifty_parallel_retries_make_one_order_and_get_one_answer => parallel;
    a_retry_is_answered_the_same_for_a_day => for_a_day;
    the_same_key_with_another_request_is_a_conflict => conflict;
    another_merchants_key_is_another_key => another_merchants;
}

fn named(key: &str, fingerprint: u8) -> Option<Idempotency> {
    Some(Idempotency { key: IdempotencyKey::parse(key).unwrap(), fingerprint: [fingerprint; 32] })
}

async fn parallel(backend: Backend) {
    let shop = Shop::open(backend).await;
    let receiver = TestReceiver::start().await;
    let endpoint = shop.endpoint(&receiver).await.endpoint;
    let mut requests = JoinSet::new();
    for _ in 0..50 {
        let (payments, alice) = (shop.payments.clone(), shop.alice.clone());
        requests.spawn(async move {
            payments.create_order(&alice, new_order("1"), named("k", 1), render).await.unwrap()
        });
    }
    let answers = requests.join_all().await;
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "byte for byte");
    let orders = shop.payments.list_orders(&shop.alice, PageRequest::default()).await.unwrap().items;
    assert_eq!(orders.len(), 1);
    assert_eq!(answers[0], render(&orders[0]));
    assert_eq!(shop.deliveries(endpoint.id).await.len(), 1, "told of once");
}

async fn for_a_day(backend: Backend) {
    let shop = Shop::open(backend).await;
    let create = async || {
        shop.payments.create_order(&shop.alice, new_order("1"), named("k", 1), render).await.unwrap()
    };
    let first = create().await;
    shop.core.clock.advance(DAY - SECOND);
    assert_eq!(create().await, first);
    shop.core.clock.advance(2 * SECOND);
    assert_ne!(create().await, first, "forgotten");
}

async fn conflict(backend: Backend) {
    let shop = Shop::open(backend).await;
    let create =
        async |request| shop.payments.create_order(&shop.alice, new_order("1"), request, render).await;
    create(named("k", 1)).await.unwrap();
    assert_eq!(rejection(create(named("k", 2)).await), CreateOrderRejection::IdempotencyConflict);
    create(named("other", 2)).await.unwrap();
    create(None).await.unwrap();
    let orders = shop.payments.list_orders(&shop.alice, PageRequest::default()).await.unwrap().items;
    assert_eq!(orders.len(), 3);
}

async fn another_merchants(backend: Backend) {
    let shop = Shop::open(backend).await;
    let bob = shop.core.principal("bob").await;
    let alices = shop.payments.create_order(&shop.alice, new_order("1"), named("k", 1), render).await;
    let bobs = shop.payments.create_order(&bob, new_order("1"), named("k", 2), render).await;
    assert_ne!(alices.unwrap(), bobs.unwrap());
}
