//! Webhook endpoints.

use cryptopay_domain::delivery::DeliveryStatus;
use cryptopay_domain::page::{PageLimit, Position};
use cryptopay_domain::webhook_endpoint::{
    DisabledReason, EndpointStatus, MAX_ENDPOINTS, SealedSecret, SecretOverlap,
};
use cryptopay_domain::{Description, EventFilter, PageRequest, WebhookEndpoint, WebhookEndpointId};
use cryptopay_store::delivery::Lane;
use cryptopay_store::webhook_endpoint::{EndpointChange, EndpointInsert};
use cryptopay_testkit::{Backend, on_both_databases};

use crate::fixture::{Fixture, at, at_once, audit, register};
use crate::outbox::{deliveries, disable, endpoint_of, lease, listen, order_at, put_endpoint};

on_both_databases! {
    an_endpoint_is_read_as_it_was_made_and_by_its_merchant_alone => round_trip;
    a_21st_endpoint_is_refused_under_30_parallel_creations => too_many;
    a_disabled_account_gets_no_endpoint => disabled_account;
    endpoints_are_paged_forward_and_back => paged;
    the_endpoints_of_all_merchants_are_read_in_pieces => of_all;
    a_change_is_decided_on_what_the_endpoint_is_and_written_whole => changed;
    a_refused_change_writes_nothing => refused;
    disabling_an_endpoint_ends_its_pending_deliveries => disabling;
    a_deleted_endpoint_is_gone_with_its_deliveries => deleted;
    a_deleted_endpoint_makes_room_for_another => room;
}

async fn round_trip(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let (alice, bob) = (register(store, "alice").await.id, register(store, "bobby").await.id);
    let plain = endpoint_of(alice, &["*"]);
    let secrets =
        plain.secrets.clone().rotate(SealedSecret(vec![0, 255, 9]), SecretOverlap::default(), at(7));
    let full = WebhookEndpoint {
        description: Some(Description::parse("the till").unwrap()),
        status: EndpointStatus::Disabled(DisabledReason::Failing),
        failing_since: Some(at(3)),
        secrets,
        ..endpoint_of(alice, &["payment_order.paid", "webhook.test"])
    };
    for endpoint in [plain, full] {
        put_endpoint(store, endpoint.clone()).await;
        assert_eq!(store.find_webhook_endpoint(alice, endpoint.id).await.unwrap(), Some(endpoint.clone()));
        assert_eq!(store.find_webhook_endpoint(bob, endpoint.id).await.unwrap(), None);
    }
}

async fn too_many(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let (alice, bob) =
        (register(&fixture.store, "alice").await.id, register(&fixture.store, "bobby").await.id);
    listen(&fixture.store, bob).await;
    let replica = fixture.database.open().await;
    let outcomes = at_once(30, |number| {
        let store = if number % 2 == 0 { fixture.store.clone() } else { replica.clone() };
        async move { store.insert_webhook_endpoint(endpoint_of(alice, &["*"]), audit("made")).await.unwrap() }
    })
    .await;
    let count = |wanted| outcomes.iter().filter(|outcome| **outcome == wanted).count();
    assert_eq!((count(EndpointInsert::Inserted), count(EndpointInsert::TooMany)), (MAX_ENDPOINTS, 10));
    let recorded = fixture.store.list_audit_events(None, 100).await.unwrap();
    assert_eq!(recorded.iter().filter(|event| event.event == "made").count(), MAX_ENDPOINTS);
}

async fn disabled_account(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let alice = register(store, "alice").await.id;
    let audited = audit("user.disabled");
    store.set_user_disabled("alice".to_owned(), Some(at(1)), at(1), audited).await.unwrap();
    let outcome = store.insert_webhook_endpoint(endpoint_of(alice, &["*"]), audit("made")).await.unwrap();
    assert_eq!(outcome, EndpointInsert::UserGone);
}

async fn paged(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let (alice, bob) = (register(store, "alice").await.id, register(store, "bobby").await.id);
    let mut made = Vec::new();
    for _ in 0..3 {
        made.push(listen(store, alice).await);
        listen(store, bob).await;
    }
    let list = async |position: Option<Position<WebhookEndpointId>>| {
        let request = PageRequest { limit: PageLimit::new(2).unwrap(), position };
        let page = store.list_webhook_endpoints(alice, request).await.unwrap();
        (page.items.iter().map(|endpoint| endpoint.id).collect::<Vec<_>>(), page.next, page.previous)
    };
    let (first, next, _) = list(None).await;
    assert_eq!(first, [made[2], made[1]]);
    let (second, end, previous) = list(next).await;
    assert_eq!((second, end), (vec![made[0]], None));
    assert_eq!(list(previous).await.0, [made[2], made[1]]);
}

async fn of_all(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let (alice, bob) = (register(store, "alice").await.id, register(store, "bobby").await.id);
    let made = [listen(store, alice).await, listen(store, bob).await, listen(store, alice).await];
    store.delete_webhook_endpoint(alice, made[0], at(1), audit("deleted")).await.unwrap();
    let read = async |last| -> Vec<WebhookEndpointId> {
        store.list_endpoints_of_all(last, 1).await.unwrap().iter().map(|endpoint| endpoint.id).collect()
    };
    assert_eq!(read(None).await, [made[1]]);
    assert_eq!(read(Some(made[1])).await, [made[2]]);
    assert!(read(Some(made[2])).await.is_empty());
}

async fn changed(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let (alice, bob) = (register(store, "alice").await.id, register(store, "bobby").await.id);
    let endpoint = endpoint_of(alice, &["payment_order.paid"]);
    put_endpoint(store, endpoint.clone()).await;
    let expected = WebhookEndpoint {
        url: "https://other.example/".to_owned(),
        events: EventFilter::All,
        description: Some(Description::parse("").unwrap()),
        secrets: endpoint.secrets.clone().rotate(SealedSecret(vec![1]), SecretOverlap::default(), at(5)),
        ..endpoint.clone()
    };
    let (before, after) = (endpoint.clone(), expected.clone());
    let decide = move |found: WebhookEndpoint| {
        assert_eq!(found, before);
        Ok::<_, ()>((after, vec![audit("webhook.changed"), audit("webhook.rotated")]))
    };
    let outcome = store.change_webhook_endpoint(alice, endpoint.id, at(5), decide).await.unwrap();
    assert_eq!(outcome, EndpointChange::Changed(expected.clone()));
    assert_eq!(store.find_webhook_endpoint(alice, endpoint.id).await.unwrap(), Some(expected.clone()));
    // What is absent from now on is written, too.
    let bare = WebhookEndpoint { description: None, secrets: endpoint.secrets.clone(), ..expected };
    let again = bare.clone();
    let decide = move |_| Ok::<_, ()>((again, vec![]));
    store.change_webhook_endpoint(alice, endpoint.id, at(6), decide).await.unwrap();
    assert_eq!(store.find_webhook_endpoint(alice, endpoint.id).await.unwrap(), Some(bare));
    let events = store.list_audit_events(None, 2).await.unwrap();
    assert_eq!(
        events.iter().map(|event| event.event.as_str()).collect::<Vec<_>>(),
        ["webhook.rotated", "webhook.changed"]
    );
    let of_another = store
        .change_webhook_endpoint(bob, endpoint.id, at(6), |endpoint| Ok::<_, ()>((endpoint, vec![])))
        .await
        .unwrap();
    assert_eq!(of_another, EndpointChange::NotFound);
}

async fn refused(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let alice = register(store, "alice").await.id;
    let endpoint = endpoint_of(alice, &["*"]);
    put_endpoint(store, endpoint.clone()).await;
    let decide = |_| Err::<(WebhookEndpoint, Vec<_>), _>("no");
    let outcome = store.change_webhook_endpoint(alice, endpoint.id, at(5), decide).await.unwrap();
    assert_eq!(outcome, EndpointChange::Refused("no"));
    assert_eq!(store.find_webhook_endpoint(alice, endpoint.id).await.unwrap(), Some(endpoint));
}

async fn disabling(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let alice = register(store, "alice").await.id;
    let (disabled, other) = (listen(store, alice).await, listen(store, alice).await);
    order_at(store, alice, at(0)).await;
    order_at(store, alice, at(1)).await;
    // One of them is on its way at this moment.
    assert_eq!(lease(store, Lane::Prompt, at(0)).await.len(), 2);
    disable(store, alice, disabled, at(2)).await;
    for delivery in deliveries(store, alice, disabled).await {
        assert_eq!((delivery.status, delivery.next_attempt_at), (DeliveryStatus::Failed, None));
    }
    for delivery in deliveries(store, alice, other).await {
        assert_eq!(delivery.status, DeliveryStatus::Pending);
    }
    let due = lease(store, Lane::Prompt, at(100)).await;
    assert_eq!(due.iter().map(|leased| leased.endpoint.id).collect::<Vec<_>>(), [other, other]);
}

async fn deleted(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let (alice, bob) = (register(store, "alice").await.id, register(store, "bobby").await.id);
    let endpoint = endpoint_of(alice, &["*"]);
    let id = put_endpoint(store, endpoint.clone()).await;
    order_at(store, alice, at(0)).await;
    let delivery = deliveries(store, alice, id).await[0].id;
    assert_eq!(store.delete_webhook_endpoint(bob, id, at(1), audit("deleted")).await.unwrap(), None);
    let deleted = store.delete_webhook_endpoint(alice, id, at(1), audit("deleted")).await.unwrap();
    assert_eq!(deleted, Some(endpoint));

    assert_eq!(store.delete_webhook_endpoint(alice, id, at(1), audit("deleted")).await.unwrap(), None);
    assert_eq!(store.find_webhook_endpoint(alice, id).await.unwrap(), None);
    assert!(store.list_webhook_endpoints(alice, PageRequest::default()).await.unwrap().items.is_empty());
    assert_eq!(store.list_deliveries(alice, id, PageRequest::default()).await.unwrap(), None);
    assert_eq!(store.find_delivery(alice, id, delivery).await.unwrap(), None);
    assert_eq!(store.resend_delivery(alice, id, delivery, at(2)).await.unwrap(), None);
    assert!(lease(store, Lane::Prompt, at(100)).await.is_empty());
    let events = store.list_audit_events(None, 100).await.unwrap();
    assert_eq!(events.iter().filter(|event| event.event == "deleted").count(), 1);
}

async fn room(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let alice = register(store, "alice").await.id;
    let mut last = listen(store, alice).await;
    for _ in 1..MAX_ENDPOINTS {
        last = listen(store, alice).await;
    }
    store.delete_webhook_endpoint(alice, last, at(1), audit("deleted")).await.unwrap();
    listen(store, alice).await;
    let outcome = store.insert_webhook_endpoint(endpoint_of(alice, &["*"]), audit("made")).await.unwrap();
    assert_eq!(outcome, EndpointInsert::TooMany);
}
