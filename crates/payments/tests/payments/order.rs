//! Payment orders: making, finding and listing them.

use cryptopay_domain::page::PageLimit;
use cryptopay_domain::payment_order::OrderStatus;
use cryptopay_domain::{Description, Metadata, PageRequest, PaymentOrderId};
use cryptopay_payments::{CreateOrderRejection, NewOrder, NotFound};
use cryptopay_testkit::{Backend, TestReceiver, on_both_databases};

use crate::support::{SECOND, Shop, json, new_order, rejection, render};

on_both_databases! {
    an_order_is_answered_and_found_as_it_was_asked_for => created;
    another_merchants_order_is_not_found => another_merchants;
    orders_are_paged_newest_first_while_more_are_made => paged;
    the_event_of_an_order_tells_what_was_answered => event;
    endpoints_hear_of_what_they_asked_for_alone => filtered;
    an_order_whose_event_no_receiver_would_take_is_refused => too_large;
}

async fn created(backend: Backend) {
    let shop = Shop::open(backend).await;
    let new = NewOrder {
        description: Some(Description::parse("two\tcoffees \u{2028}").unwrap()),
        metadata: Metadata::new(vec![("cart".to_owned(), "7".to_owned())]).unwrap(),
        ..new_order("0049.90".trim_start_matches('0'))
    };
    let answer = shop.payments.create_order(&shop.alice, new, None, render).await.unwrap();
    let answer: serde_json::Value = serde_json::from_slice(&answer).unwrap();
    assert_eq!(answer["amount"], "49.90");
    assert_eq!(answer["description"], "two\tcoffees \u{2028}");
    assert_eq!(answer["metadata"]["cart"], "7");
    assert_eq!(answer["status"], "pending");
    assert_eq!(answer["created_at"], "2026-01-02T12:00:00Z");
    let id: PaymentOrderId = answer["id"].as_str().unwrap().parse().unwrap();
    let found = shop.payments.get_order(&shop.alice, id).await.unwrap();
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&render(&found)).unwrap(), answer);
    assert_eq!(found.status, OrderStatus::Pending);
}

async fn another_merchants(backend: Backend) {
    let shop = Shop::open(backend).await;
    let bob = shop.core.principal("bob").await;
    let id: PaymentOrderId = shop.order().await["id"].as_str().unwrap().parse().unwrap();
    assert_eq!(rejection(shop.payments.get_order(&bob, id).await), NotFound);
    assert!(shop.payments.list_orders(&bob, PageRequest::default()).await.unwrap().items.is_empty());
}

async fn paged(backend: Backend) {
    let shop = Shop::open(backend).await;
    for _ in 0..5 {
        shop.order().await;
    }
    let mut request = PageRequest { limit: PageLimit::new(2).unwrap(), position: None };
    let mut seen = Vec::new();
    loop {
        let page = shop.payments.list_orders(&shop.alice, request).await.unwrap();
        seen.extend(page.items.iter().map(|order| order.id));
        shop.core.clock.advance(SECOND);
        // An order that is made meanwhile shifts nothing.
        shop.order().await;
        match page.next {
            Some(next) => request.position = Some(next),
            None => break,
        }
    }
    assert_eq!(seen.len(), 5);
    assert!(seen.windows(2).all(|pair| pair[0] > pair[1]), "newest first");
}

async fn event(backend: Backend) {
    let shop = Shop::open(backend).await;
    let receiver = TestReceiver::start().await;
    let endpoint = shop.endpoint(&receiver).await.endpoint;
    let order = shop.order().await;
    // Written together with the order, before anybody delivers anything.
    let delivery = shop.deliveries(endpoint.id).await.remove(0);
    assert!(delivery.attempts.is_empty());
    let workers = shop.payments.run_deliveries();
    let received = receiver.wait_for(1).await.remove(0);
    let event = json(&received);
    assert_eq!(event["data"], order);
    assert_eq!(event["type"], "payment_order.created");
    assert_eq!(event["id"], delivery.event_id.to_string());
    assert_eq!(event["created_at"], "2026-01-02T12:00:00Z");
    assert_eq!(received.header("webhook-id"), delivery.event_id.to_string());
    assert_eq!(received.header("content-type"), "application/json");
    assert_eq!(received.path, "/hook");
    workers.stop().await;
}

async fn filtered(backend: Backend) {
    let shop = Shop::open(backend).await;
    let receiver = TestReceiver::start().await;
    let created = shop.endpoint_hearing(&receiver, &["payment_order.created"]).await.endpoint;
    let paid = shop.endpoint_hearing(&receiver, &["payment_order.paid"]).await.endpoint;
    shop.order().await;
    assert_eq!(shop.deliveries(created.id).await.len(), 1);
    assert_eq!(shop.deliveries(paid.id).await.len(), 0);
}

async fn too_large(backend: Backend) {
    let shop = Shop::open(backend).await;
    // A control character takes six bytes in JSON: 20 × 1000 × 6 are more than 100,000.
    let pairs = (0..20).map(|number| (format!("key {number}"), "\u{1}".repeat(1000))).collect();
    let new = NewOrder { metadata: Metadata::new(pairs).unwrap(), ..new_order("1") };
    let outcome = shop.payments.create_order(&shop.alice, new, None, render).await;
    assert_eq!(rejection(outcome), CreateOrderRejection::TooLarge);
    assert!(shop.payments.list_orders(&shop.alice, PageRequest::default()).await.unwrap().items.is_empty());
}
