//! Clearing away what orders and webhooks leave behind.

use cryptopay_domain::delivery::NextStep;
use cryptopay_domain::{EventType, IdempotencyKey, PageRequest, PaymentOrder};
use cryptopay_store::delivery::Lane;
use cryptopay_store::housekeeping::Cleared;
use cryptopay_store::idempotency::IdempotentRequest;
use cryptopay_testkit::{Backend, on_both_databases};

use crate::fixture::{Fixture, at, at_once, audit, register, seconds};
use crate::outbox::{attempt, deliveries, event, lease, listen, order_at, order_of, record, record_all};

on_both_databases! {
    answers_deliveries_and_deleted_endpoints_are_cleared_away_at_their_times => table;
    a_delivery_sent_again_is_kept_from_then_on => sent_again;
    an_event_goes_with_the_last_of_its_deliveries_whoever_clears_them_away => at_once_everywhere;
}

const DAY: i64 = 86_400;

async fn table(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let alice = register(store, "alice").await.id;
    let (kept, deleted) = (listen(store, alice).await, listen(store, alice).await);
    let order = PaymentOrder { created_at: at(100), ..order_of(alice) };
    let idempotent = IdempotentRequest {
        route: "/api/payment-orders",
        key: IdempotencyKey::parse("k").unwrap(),
        fingerprint: [1; 32],
        answer: vec![2],
    };
    let created = event(EventType::PaymentOrderCreated, at(100));
    store.insert_payment_order(order.clone(), Some(idempotent), created, None).await.unwrap();
    let ended = lease(store, Lane::Prompt, at(100)).await;
    let ended = ended.iter().find(|leased| leased.endpoint.id == kept).expect("it is due");
    record_all(store, vec![record(ended, attempt(at(200), 200), NextStep::Succeeded)]).await;
    // This one stays pending for ever.
    order_at(store, alice, at(300)).await;
    store.delete_webhook_endpoint(alice, deleted, at(400), audit("deleted")).await.unwrap();

    let none = Cleared::default();
    for (now, expected) in [
        (400 + 3600, none),
        (401 + 3600, Cleared { deliveries: 2, endpoints: 1, ..none }),
        (100 + 25 * 3600, none),
        (101 + 25 * 3600, Cleared { idempotency_answers: 1, ..none }),
        (200 + 90 * DAY, none),
        // The attempt took a moment, and the delivery ended after it.
        (201 + 90 * DAY, Cleared { deliveries: 1, events: 1, ..none }),
        (4000 * DAY, none),
    ] {
        let cleared = store.clear_away(at(now), seconds(1 << 40)).await.unwrap();
        assert_eq!(cleared, expected, "at {now} s");
    }
    assert_eq!(deliveries(store, alice, kept).await.len(), 1);
    assert_eq!(store.list_payment_orders(alice, PageRequest::default()).await.unwrap().items.len(), 2);
}

async fn sent_again(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let alice = register(store, "alice").await.id;
    let endpoint = listen(store, alice).await;
    order_at(store, alice, at(0)).await;
    let leased = lease(store, Lane::Prompt, at(0)).await.pop().expect("it is due");
    record_all(store, vec![record(&leased, attempt(at(0), 200), NextStep::Succeeded)]).await;
    store.resend_delivery(alice, endpoint, leased.id, at(90 * DAY)).await.unwrap().expect("it is there");
    let cleared = store.clear_away(at(100 * DAY), seconds(1 << 40)).await.unwrap();
    assert_eq!(cleared, Cleared::default());
    let leased = lease(store, Lane::Prompt, at(100 * DAY)).await.pop().expect("it is due");
    record_all(store, vec![record(&leased, attempt(at(100 * DAY), 200), NextStep::Succeeded)]).await;
    assert_eq!(store.clear_away(at(190 * DAY), seconds(1 << 40)).await.unwrap(), Cleared::default());
    let cleared = store.clear_away(at(190 * DAY + 1), seconds(1 << 40)).await.unwrap();
    assert_eq!(cleared, Cleared { deliveries: 1, events: 1, ..Cleared::default() });
}

async fn at_once_everywhere(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let alice = register(store, "alice").await.id;
    for _ in 0..3 {
        listen(store, alice).await;
    }
    for _ in 0..20 {
        order_at(store, alice, at(0)).await;
    }
    let leased = lease(store, Lane::Prompt, at(0)).await;
    let done = |leased| record(leased, attempt(at(0), 200), NextStep::Succeeded);
    record_all(store, leased.iter().map(done).collect()).await;
    let cleared = at_once(8, |_| {
        let store = store.clone();
        async move { store.clear_away(at(91 * DAY), seconds(1 << 40)).await.unwrap() }
    });
    let (deliveries, events) =
        cleared.await.iter().fold((0, 0), |sum, one| (sum.0 + one.deliveries, sum.1 + one.events));
    assert_eq!((deliveries, events), (60, 20));
}
