//! The log of an endpoint: deliveries as their merchant reads them.

use std::time::Duration;

use cryptopay_domain::delivery::{DeliveryStatus, NextStep};
use cryptopay_domain::page::{PageLimit, Position};
use cryptopay_domain::payment_order::OrderStatus;
use cryptopay_domain::{Attempt, Delivery, DeliveryId, EventType, PageRequest, PaymentOrder};
use cryptopay_store::delivery::Lane;
use cryptopay_testkit::{Backend, on_both_databases};

use crate::fixture::{Fixture, at, audit, register};
use crate::outbox::{
    attempt, deliveries, disable, endpoint_of, event, lease, listen, order_at, order_of, put_endpoint,
    record, record_all,
};

on_both_databases! {
    a_delivery_tells_what_has_been_tried_oldest_first => told;
    deliveries_are_paged_forward_and_back_while_events_happen => paged;
    a_test_goes_to_its_endpoint_whatever_the_filter => test_event;
    a_delivery_is_read_and_sent_again_by_its_merchant_alone => of_another;
    what_was_told_of_an_order_is_read_by_its_merchant_alone => of_order;
    a_resend_is_due_at_once_with_the_same_bytes_and_a_new_plan => resend;
    a_resend_to_a_disabled_endpoint_ends_when_its_turn_comes => resend_disabled;
    the_latest_100_attempts_are_told => many_attempts;
}

async fn told(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let alice = register(store, "alice").await.id;
    let endpoint = listen(store, alice).await;
    order_at(store, alice, at(0)).await;
    let failed = Attempt {
        at: at(1),
        status_code: None,
        error: Some("no answer\0 within 10 s".to_owned()),
        duration: Duration::from_micros(10_000_999),
        response: None,
    };
    let refused = Attempt { response: Some("a\0b 🏪 \"\\".to_owned()), ..attempt(at(40), 500) };
    for (now, attempt) in [(1, failed.clone()), (40, refused.clone())] {
        let lane = if now == 1 { Lane::Prompt } else { Lane::Patient };
        let leased = lease(store, lane, at(now)).await.pop().expect("it is due");
        assert_eq!(leased.tries, u32::from(now == 40));
        record_all(store, vec![record(&leased, attempt, NextStep::Retry(at(now + 30)))]).await;
    }
    let told = deliveries(store, alice, endpoint).await.pop().expect("it is told of");
    let expected = Delivery {
        status: DeliveryStatus::Pending,
        next_attempt_at: Some(at(70)),
        created_at: at(0),
        event_type: EventType::PaymentOrderCreated,
        endpoint_id: endpoint,
        attempts: vec![
            // Milliseconds are kept, and every character but one.
            Attempt {
                error: Some("no answer\u{fffd} within 10 s".to_owned()),
                duration: Duration::from_millis(10_000),
                ..failed
            },
            Attempt { response: Some("a\u{fffd}b 🏪 \"\\".to_owned()), ..refused },
        ],
        ..told.clone()
    };
    assert_eq!(told, expected);
    let (found, body) = store.find_delivery(alice, endpoint, told.id).await.unwrap().expect("it is there");
    assert_eq!((found, body), (told, b"{\"id\":\"x\"}".to_vec()));
}

async fn paged(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let alice = register(store, "alice").await.id;
    let endpoint = listen(store, alice).await;
    listen(store, alice).await;
    for second in 0..3 {
        order_at(store, alice, at(second)).await;
    }
    let list = async |position: Option<Position<DeliveryId>>| {
        let request = PageRequest { limit: PageLimit::new(2).unwrap(), position };
        let page = store.list_deliveries(alice, endpoint, request).await.unwrap().expect("it is there");
        let made = page.items.iter().map(|delivery| delivery.created_at).collect::<Vec<_>>();
        (made, page.next, page.previous)
    };
    let (first, next, _) = list(None).await;
    assert_eq!(first, [at(2), at(1)]);
    order_at(store, alice, at(3)).await;
    let (second, end, previous) = list(next).await;
    assert_eq!((second, end), (vec![at(0)], None));
    let (back, _, previous) = list(previous).await;
    assert_eq!(back, [at(2), at(1)]);
    assert_eq!(list(previous).await.0, [at(3)]);
}

async fn test_event(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let (alice, bob) = (register(store, "alice").await.id, register(store, "bobby").await.id);
    let endpoint = put_endpoint(store, endpoint_of(alice, &["payment_order.paid"])).await;
    listen(store, alice).await;
    let event = event(EventType::WebhookTest, at(5));
    let id = DeliveryId::of(event.id, 0);
    assert_eq!(store.insert_test_delivery(bob, endpoint, event.clone()).await.unwrap(), None);
    let made = store.insert_test_delivery(alice, endpoint, event.clone()).await.unwrap();
    let made = made.expect("the endpoint is there");
    assert_eq!((made.id, made.event_id, made.event_type), (id, event.id, EventType::WebhookTest));
    assert_eq!(deliveries(store, alice, endpoint).await, [made]);
    let leased = lease(store, Lane::Prompt, at(5)).await;
    assert_eq!(leased.iter().map(|leased| leased.id).collect::<Vec<_>>(), [id]);
}

async fn of_another(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let (alice, bob) = (register(store, "alice").await.id, register(store, "bobby").await.id);
    let (of_alice, beside, of_bob) =
        (listen(store, alice).await, listen(store, alice).await, listen(store, bob).await);
    order_at(store, alice, at(0)).await;
    let delivery = deliveries(store, alice, of_alice).await[0].clone();
    for (user, endpoint) in [(bob, of_alice), (bob, of_bob), (alice, beside), (alice, of_bob)] {
        assert_eq!(store.find_delivery(user, endpoint, delivery.id).await.unwrap(), None);
        assert_eq!(store.resend_delivery(user, endpoint, delivery.id, at(9)).await.unwrap(), None);
    }
    assert_eq!(store.list_deliveries(bob, of_alice, PageRequest::default()).await.unwrap(), None);
    assert_eq!(deliveries(store, alice, of_alice).await, [delivery]);
}

async fn of_order(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let (alice, bob) = (register(store, "alice").await.id, register(store, "bobby").await.id);
    let (first, second, gone) =
        (listen(store, alice).await, listen(store, alice).await, listen(store, alice).await);
    listen(store, bob).await;
    // Of the same moment, and others', before and after.
    let order = order_of(alice);
    order_at(store, alice, at(0)).await;
    order_at(store, bob, at(0)).await;
    let created = event(EventType::PaymentOrderCreated, at(0));
    store.insert_payment_order(order.clone(), None, created.clone(), None).await.unwrap();
    order_at(store, alice, at(0)).await;
    store.delete_webhook_endpoint(alice, gone, at(1), audit("webhook.deleted")).await.unwrap();
    let told = async |user, order| {
        let found = store.list_deliveries_of_order(user, order).await.unwrap();
        found.into_iter().map(|told| (told.event_id, told.endpoint_id)).collect::<Vec<_>>()
    };
    let of_created = [(created.id, first), (created.id, second)];
    assert_eq!(told(alice, order.id).await, of_created);

    let paid = event(EventType::PaymentOrderPaid, at(2));
    let ended = paid.clone();
    let decide = |order| Ok::<_, ()>((PaymentOrder { status: OrderStatus::Paid, ..order }, ended));
    store.change_payment_order(alice, order.id, decide, None).await.unwrap();
    let [one, other] = of_created;
    assert_eq!(told(alice, order.id).await, [one, other, (paid.id, first), (paid.id, second)]);
    assert_eq!(told(bob, order.id).await, []);
    assert_eq!(told(alice, order_of(alice).id).await, []);
    let listed = deliveries(store, alice, first).await;
    let found = store.list_deliveries_of_order(alice, order.id).await.unwrap();
    assert!(listed.contains(&found[0]), "told as in the log: {found:?}");
}

async fn resend(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let alice = register(store, "alice").await.id;
    let endpoint = listen(store, alice).await;
    order_at(store, alice, at(0)).await;
    let first = lease(store, Lane::Prompt, at(0)).await.pop().expect("it is due");
    record_all(store, vec![record(&first, attempt(at(1), 200), NextStep::Succeeded)]).await;
    assert_eq!(deliveries(store, alice, endpoint).await[0].status, DeliveryStatus::Succeeded);

    let again =
        store.resend_delivery(alice, endpoint, first.id, at(500)).await.unwrap().expect("it is there");
    assert_eq!((again.status, again.next_attempt_at), (DeliveryStatus::Pending, Some(at(500))));
    assert_eq!((again.attempts.len(), again.created_at), (1, at(0)));
    let second = lease(store, Lane::Prompt, at(500)).await.pop().expect("it is due");
    assert_eq!((second.id, second.event_id, second.body), (first.id, first.event_id, first.body));
    assert_eq!((second.tries, second.plan_started_at), (0, at(500)));

    // Once more while an attempt is on its way: that attempt is told of, and changes nothing more.
    store.resend_delivery(alice, endpoint, first.id, at(501)).await.unwrap().expect("it is there");
    let stale = lease(store, Lane::Prompt, at(501)).await.pop().expect("it is due");
    store.resend_delivery(alice, endpoint, first.id, at(502)).await.unwrap().expect("it is there");
    record_all(store, vec![record(&stale, attempt(at(503), 200), NextStep::Succeeded)]).await;
    let told = deliveries(store, alice, endpoint).await.pop().expect("it is there");
    assert_eq!((told.status, told.next_attempt_at), (DeliveryStatus::Pending, Some(at(502))));
    assert_eq!(told.attempts.len(), 2);
}

async fn resend_disabled(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let alice = register(store, "alice").await.id;
    let endpoint = listen(store, alice).await;
    order_at(store, alice, at(0)).await;
    disable(store, alice, endpoint, at(1)).await;
    let delivery = deliveries(store, alice, endpoint).await[0].id;
    store.resend_delivery(alice, endpoint, delivery, at(2)).await.unwrap().expect("it is there");
    assert!(lease(store, Lane::Prompt, at(2)).await.is_empty());
    assert_eq!(deliveries(store, alice, endpoint).await[0].status, DeliveryStatus::Failed);
}

async fn many_attempts(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let alice = register(store, "alice").await.id;
    let endpoint = listen(store, alice).await;
    order_at(store, alice, at(0)).await;
    let leased = lease(store, Lane::Prompt, at(0)).await.pop().expect("it is due");
    let records = (0..130).map(|second| record(&leased, attempt(at(second), 500), NextStep::Retry(at(200))));
    record_all(store, records.collect()).await;
    let told = deliveries(store, alice, endpoint).await.pop().expect("it is there").attempts;
    let moments: Vec<_> = told.iter().map(|attempt| attempt.at).collect();
    assert_eq!(moments, (30..130).map(at).collect::<Vec<_>>());
}
