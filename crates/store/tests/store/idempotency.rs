//! Requests that are sent again do nothing twice.

use cryptopay_domain::page::PageLimit;
use cryptopay_domain::{EventType, IdempotencyKey, PageRequest, PaymentOrder, Timestamp, UserId};
use cryptopay_store::Store;
use cryptopay_store::idempotency::IdempotentRequest;
use cryptopay_store::payment_order::OrderInsert;
use cryptopay_testkit::{Backend, on_both_databases};

use crate::fixture::{Fixture, at, at_once, register};
use crate::outbox::{deliveries, due, event, listen, order_of};

on_both_databases! {
    fifty_parallel_requests_of_one_key_make_one_order_and_get_one_answer => parallel;
    the_same_key_with_another_request_is_a_conflict => conflict;
    a_key_means_something_else_to_each_merchant_and_route => scoped;
    an_answer_counts_for_24_hours => a_day;
    a_request_that_fails_leaves_its_key_free => failed;
}

const DAY: i64 = 86_400;

fn request(key: &str, fingerprint: u8, answer: String) -> IdempotentRequest {
    IdempotentRequest {
        route: "/api/payment-orders",
        key: IdempotencyKey::parse(key).unwrap(),
        fingerprint: [fingerprint; 32],
        answer: answer.into_bytes(),
    }
}

/// Makes an order whose answer is its identifier.
async fn insert(store: &Store, user: UserId, key: &str, fingerprint: u8, now: Timestamp) -> OrderInsert {
    let order = PaymentOrder { created_at: now, updated_at: now, ..order_of(user) };
    let idempotent = request(key, fingerprint, order.id.to_string());
    let event = event(EventType::PaymentOrderCreated, now);
    store.insert_payment_order(order, Some(idempotent), event, None).await.unwrap()
}

/// The identifiers of the merchant's orders.
async fn orders(store: &Store, user: UserId) -> Vec<String> {
    let request = PageRequest { limit: PageLimit::new(100).unwrap(), position: None };
    let page = store.list_payment_orders(user, request).await.unwrap();
    page.items.iter().map(|order| order.id.to_string()).collect()
}

async fn parallel(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let alice = register(&fixture.store, "alice").await.id;
    let endpoint = listen(&fixture.store, alice).await;
    // Half of them come through another replica.
    let replica = fixture.database.open().await;
    let outcomes = at_once(50, |number| {
        let store = if number % 2 == 0 { fixture.store.clone() } else { replica.clone() };
        async move { insert(&store, alice, "order 7", 1, at(0)).await }
    })
    .await;

    let made = orders(&fixture.store, alice).await;
    assert_eq!(made.len(), 1);
    assert_eq!(deliveries(&fixture.store, alice, endpoint).await.len(), 1);
    let first =
        outcomes.iter().filter(|outcome| **outcome == OrderInsert::Inserted { deliveries: due(1) }).count();
    let answer = OrderInsert::Replayed(made[0].clone().into_bytes());
    let replayed = outcomes.iter().filter(|outcome| **outcome == answer).count();
    assert_eq!((first, replayed), (1, 49), "{outcomes:?}");
}

async fn conflict(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let alice = register(store, "alice").await.id;
    insert(store, alice, "k", 1, at(0)).await;
    assert_eq!(insert(store, alice, "k", 2, at(1)).await, OrderInsert::IdempotencyConflict);
    assert_eq!(orders(store, alice).await.len(), 1);
    // The first request is still answered the same.
    assert!(matches!(insert(store, alice, "k", 1, at(2)).await, OrderInsert::Replayed(_)));
}

async fn scoped(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let (alice, bob) = (register(store, "alice").await.id, register(store, "bobby").await.id);
    let inserted = OrderInsert::Inserted { deliveries: due(0) };
    assert_eq!(insert(store, alice, "k", 1, at(0)).await, inserted);
    assert_eq!(insert(store, bob, "k", 2, at(0)).await, inserted);
    assert_eq!(insert(store, alice, "K", 3, at(0)).await, inserted);
    let elsewhere = IdempotentRequest { route: "/elsewhere", ..request("k", 4, String::new()) };
    let event = event(EventType::PaymentOrderCreated, at(0));
    let outcome = store.insert_payment_order(order_of(alice), Some(elsewhere), event, None).await;
    assert_eq!(outcome.unwrap(), inserted);
}

async fn a_day(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let alice = register(store, "alice").await.id;
    let inserted = OrderInsert::Inserted { deliveries: due(0) };
    assert_eq!(insert(store, alice, "k", 1, at(0)).await, inserted);
    let first = orders(store, alice).await[0].clone();
    assert_eq!(insert(store, alice, "k", 1, at(DAY - 1)).await, OrderInsert::Replayed(first.into_bytes()));
    // From then on the key is free, for another request too, whose answer is the one that is kept.
    assert_eq!(insert(store, alice, "k", 2, at(DAY)).await, inserted);
    let second = orders(store, alice).await[0].clone();
    assert_eq!(insert(store, alice, "k", 1, at(DAY + 1)).await, OrderInsert::IdempotencyConflict);
    assert_eq!(insert(store, alice, "k", 2, at(DAY + 1)).await, OrderInsert::Replayed(second.into_bytes()));
}

async fn failed(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let alice = register(store, "alice").await.id;
    let order = order_of(alice);
    let event = || event(EventType::PaymentOrderCreated, at(0));
    store.insert_payment_order(order.clone(), None, event(), None).await.unwrap();
    // The same identifier again: the order cannot be written, and so neither is the answer.
    let again = request("k", 1, "never given".to_owned());
    let refused = store.insert_payment_order(order, Some(again), event(), None).await;
    assert!(refused.is_err(), "{refused:?}");
    assert_eq!(insert(store, alice, "k", 2, at(0)).await, OrderInsert::Inserted { deliveries: due(0) });
}
