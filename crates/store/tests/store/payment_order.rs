//! Payment orders.

use cryptopay_domain::page::{PageLimit, Position};
use cryptopay_domain::payment_order::{NoLongerPending, OrderStatus, SimulatedOutcome, decide_simulation};
use cryptopay_domain::{EventType, PageRequest, PaymentOrder, PaymentOrderId};
use cryptopay_store::payment_order::OrderChange;
use cryptopay_testkit::{Backend, on_both_databases};

use crate::fixture::{Fixture, at, at_once, register};
use crate::outbox::{deliveries, due, event, listen, order_of};

on_both_databases! {
    an_order_is_read_as_it_was_made_and_by_its_merchant_alone => round_trip;
    orders_are_paged_forward_and_back_while_orders_are_made => paged;
    an_order_moves_on_once_whoever_asks_at_once => moved_once;
    an_order_of_another_merchant_cannot_be_moved => of_another;
    an_order_does_not_wait_for_a_change_of_its_merchants_credentials => no_row_lock;
}

async fn put(fixture: &Fixture, order: PaymentOrder) -> PaymentOrderId {
    let id = order.id;
    let event = event(EventType::PaymentOrderCreated, order.created_at);
    fixture.store.insert_payment_order(order, None, event, None).await.unwrap();
    id
}

async fn round_trip(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let (alice, bob) = (register(store, "alice").await.id, register(store, "bobby").await.id);
    let order = order_of(alice);
    put(&fixture, order.clone()).await;
    assert_eq!(store.find_payment_order(alice, order.id).await.unwrap(), Some(order.clone()));
    assert_eq!(store.find_payment_order(bob, order.id).await.unwrap(), None);
    assert!(store.list_payment_orders(bob, PageRequest::default()).await.unwrap().items.is_empty());
    let bare = PaymentOrder { description: None, metadata: Default::default(), ..order_of(alice) };
    put(&fixture, bare.clone()).await;
    assert_eq!(store.find_payment_order(alice, bare.id).await.unwrap(), Some(bare));
}

async fn paged(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let (alice, bob) = (register(store, "alice").await.id, register(store, "bobby").await.id);
    let mut made = Vec::new();
    for _ in 0..5 {
        made.push(put(&fixture, order_of(alice)).await);
        put(&fixture, order_of(bob)).await;
    }
    let list = async |position: Option<Position<PaymentOrderId>>| {
        let request = PageRequest { limit: PageLimit::new(2).unwrap(), position };
        let page = store.list_payment_orders(alice, request).await.unwrap();
        (page.items.iter().map(|order| order.id).collect::<Vec<_>>(), page.next, page.previous)
    };
    let (first, next, previous) = list(None).await;
    assert_eq!((first, previous), (vec![made[4], made[3]], None));
    let newer = put(&fixture, order_of(alice)).await;
    let (second, next, previous) = list(next).await;
    assert_eq!(second, [made[2], made[1]]);
    let (third, end, _) = list(next).await;
    assert_eq!((third, end), (vec![made[0]], None));
    let (back, _, previous) = list(previous).await;
    assert_eq!(back, [made[4], made[3]]);
    let (newest, _, previous) = list(previous).await;
    assert_eq!((newest, previous), (vec![newer], None));
}

async fn moved_once(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let alice = register(store, "alice").await.id;
    let endpoint = listen(store, alice).await;
    let order = order_of(alice);
    put(&fixture, order.clone()).await;
    let outcomes = at_once(12, |number| {
        let (store, id) = (store.clone(), order.id);
        let outcome = SimulatedOutcome::ALL[number % 3];
        async move {
            let decide = move |order| {
                let moved = decide_simulation(order, outcome, at(9))?;
                Ok((moved, event(outcome.event_type(), at(9))))
            };
            store.change_payment_order(alice, id, decide, None).await.unwrap()
        }
    })
    .await;
    let found = store.find_payment_order(alice, order.id).await.unwrap().expect("it is there");
    assert_ne!(found.status, OrderStatus::Pending);
    let expected = PaymentOrder { status: found.status, updated_at: at(9), ..order };
    assert_eq!(found, expected);
    let changed = OrderChange::Changed { order: expected, deliveries: due(1) };
    let refused = OrderChange::Refused(NoLongerPending(found.status));
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == changed).count(), 1);
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == refused).count(), 11);
    assert_eq!(deliveries(store, alice, endpoint).await.len(), 2);
}

async fn of_another(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let (alice, bob) = (register(store, "alice").await.id, register(store, "bobby").await.id);
    let order = order_of(alice);
    put(&fixture, order.clone()).await;
    let decide = |_| Err::<(PaymentOrder, _), _>("it is asked");
    let outcome = store.change_payment_order(bob, order.id, decide, None).await.unwrap();
    assert_eq!(outcome, OrderChange::NotFound);
    assert_eq!(store.find_payment_order(alice, order.id).await.unwrap(), Some(order));
}

async fn no_row_lock(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let alice = register(&fixture.store, "alice").await.id;
    if backend == Backend::Sqlite {
        // One writer: there is nothing to hold beside it.
        put(&fixture, order_of(alice)).await;
        return;
    }
    let mut beside = fixture.postgres().await;
    let holding = beside.transaction().await.unwrap();
    let hold = "UPDATE users SET credentials_version = credentials_version + 1";
    holding.execute(hold, &[]).await.unwrap();
    put(&fixture, order_of(alice)).await;
    holding.rollback().await.unwrap();
}
