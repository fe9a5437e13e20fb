//! What the tests of orders, endpoints and deliveries share; and who is told of an event, in which lane.

use std::time::Duration;

use cryptopay_domain::delivery::NextStep;
use cryptopay_domain::page::PageLimit;
use cryptopay_domain::payment_order::OrderStatus;
use cryptopay_domain::webhook_endpoint::{
    DisabledReason, EndpointSecrets, EndpointStatus, Health, SealedSecret, judge,
};
use cryptopay_domain::{
    Amount, Attempt, Currency, Delivery, Description, EventFilter, EventType, Metadata, PageRequest,
    PaymentOrder, PaymentOrderId, Timestamp, UserId, WebhookEndpoint, WebhookEndpointId, WebhookEventId,
};
use cryptopay_store::Store;
use cryptopay_store::delivery::{AttemptRecord, Lane, LeaseRequest, LeasedDelivery, Verdict};
use cryptopay_store::payment_order::OrderInsert;
use cryptopay_store::webhook_endpoint::{EndpointChange, EndpointInsert};
use cryptopay_store::webhook_event::{NewEvent, Written};
use cryptopay_testkit::{Backend, on_both_databases};

use crate::fixture::{Fixture, at, audit, next_id, register};

on_both_databases! {
    an_event_goes_to_every_enabled_endpoint_that_wants_to_hear_of_it => fan_out;
    what_an_endpoint_that_fails_is_told_goes_the_patient_way => patient;
    an_event_that_nobody_wants_to_hear_of_leaves_nothing => nobody;
    a_body_is_delivered_byte_for_byte => bytes;
    what_a_later_version_wrote_stops_neither_orders_nor_other_deliveries => later_version;
}

pub(crate) fn order_of(user: UserId) -> PaymentOrder {
    let pairs = [("note", "\u{2028}\t🏪"), ("", "empty"), ("2", "two")];
    PaymentOrder {
        id: PaymentOrderId(next_id()),
        user_id: user,
        amount: Amount::parse("49.90").unwrap(),
        currency: Currency::parse("USD").unwrap(),
        description: Some(Description::parse("Order\n\"7\"").unwrap()),
        metadata: Metadata::new(pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec())
            .unwrap(),
        status: OrderStatus::Pending,
        created_at: at(0),
        updated_at: at(0),
    }
}

pub(crate) fn event(event_type: EventType, now: Timestamp) -> NewEvent {
    NewEvent { id: WebhookEventId(next_id()), event_type, body: b"{\"id\":\"x\"}".to_vec(), created_at: now }
}

pub(crate) fn endpoint_of(user: UserId, events: &[&str]) -> WebhookEndpoint {
    let names: Vec<String> = events.iter().map(|name| (*name).to_owned()).collect();
    WebhookEndpoint {
        id: WebhookEndpointId(next_id()),
        user_id: user,
        url: "https://shop.example/hooks".to_owned(),
        events: EventFilter::parse(&names).unwrap(),
        description: None,
        status: EndpointStatus::Enabled,
        created_at: at(0),
        failing_since: None,
        secrets: EndpointSecrets::new(SealedSecret(vec![7; 32])),
    }
}

pub(crate) async fn put_endpoint(store: &Store, endpoint: WebhookEndpoint) -> WebhookEndpointId {
    let id = endpoint.id;
    let inserted = store.insert_webhook_endpoint(endpoint, audit("webhook.created")).await.unwrap();
    assert_eq!(inserted, EndpointInsert::Inserted);
    id
}

/// Makes an endpoint that hears of everything.
pub(crate) async fn listen(store: &Store, user: UserId) -> WebhookEndpointId {
    put_endpoint(store, endpoint_of(user, &["*"])).await
}

/// Makes an order at a moment and tells how many endpoints are told of it.
pub(crate) async fn order_at(store: &Store, user: UserId, now: Timestamp) -> usize {
    let order = PaymentOrder { created_at: now, updated_at: now, ..order_of(user) };
    let event = event(EventType::PaymentOrderCreated, now);
    match store.insert_payment_order(order, None, event, None).await.unwrap() {
        OrderInsert::Inserted { deliveries } => deliveries.prompt + deliveries.patient,
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn disable(store: &Store, user: UserId, id: WebhookEndpointId, now: Timestamp) {
    let decide = |endpoint: WebhookEndpoint| {
        let status = EndpointStatus::Disabled(DisabledReason::ByMerchant);
        Ok::<_, ()>((WebhookEndpoint { status, ..endpoint }, vec![]))
    };
    let change = store.change_webhook_endpoint(user, id, now, decide).await.unwrap();
    assert!(matches!(change, EndpointChange::Changed(_)), "{change:?}");
}

/// So many deliveries that any worker may make, the prompt way.
pub(crate) fn due(many: usize) -> Written {
    Written { prompt: many, ..Written::default() }
}

pub(crate) fn lease_request(lane: Lane, now: Timestamp) -> LeaseRequest {
    let leased_until = now.after(Duration::from_secs(30));
    LeaseRequest { lane, now, leased_until, limit: 100, per_endpoint: 100, except: vec![], after: None }
}

pub(crate) async fn lease(store: &Store, lane: Lane, now: Timestamp) -> Vec<LeasedDelivery> {
    store.lease_deliveries(lease_request(lane, now)).await.unwrap().deliveries
}

pub(crate) fn attempt(now: Timestamp, status_code: u16) -> Attempt {
    Attempt {
        at: now,
        status_code: Some(status_code),
        error: None,
        duration: Duration::from_millis(120),
        response: Some("ok".to_owned()),
    }
}

pub(crate) fn record(leased: &LeasedDelivery, attempt: Attempt, next: NextStep) -> AttemptRecord {
    AttemptRecord {
        delivery: leased.id,
        leased_until: leased.leased_until,
        attempt,
        next,
        endpoint: leased.endpoint.id,
        url: leased.endpoint.url.clone(),
    }
}

/// Records attempts and judges endpoints by them as the rules do.
pub(crate) async fn record_all(store: &Store, records: Vec<AttemptRecord>) -> Vec<WebhookEndpointId> {
    let judge = |endpoint: &WebhookEndpoint, attempt: &Attempt| {
        let health = judge(endpoint.failing_since, attempt.outcome(), attempt.at);
        let audit = matches!(health, Health::Disable(_)).then(|| audit("webhook.disabled"));
        Verdict { health, audit }
    };
    store.record_attempts(records, judge).await.unwrap()
}

pub(crate) async fn deliveries(store: &Store, user: UserId, endpoint: WebhookEndpointId) -> Vec<Delivery> {
    let request = PageRequest { limit: PageLimit::new(100).unwrap(), position: None };
    store.list_deliveries(user, endpoint, request).await.unwrap().expect("the endpoint is there").items
}

async fn fan_out(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let (alice, bob) = (register(store, "alice").await.id, register(store, "bobby").await.id);
    let all = listen(store, alice).await;
    let created = put_endpoint(store, endpoint_of(alice, &["payment_order.created", "webhook.test"])).await;
    let paid = put_endpoint(store, endpoint_of(alice, &["payment_order.paid"])).await;
    let disabled = listen(store, alice).await;
    disable(store, alice, disabled, at(0)).await;
    let deleted = listen(store, alice).await;
    store.delete_webhook_endpoint(alice, deleted, at(0), audit("deleted")).await.unwrap();
    let of_bob = listen(store, bob).await;

    assert_eq!(order_at(store, alice, at(1)).await, 2);
    for (user, endpoint, told) in
        [(alice, all, 1), (alice, created, 1), (alice, paid, 0), (alice, disabled, 0), (bob, of_bob, 0)]
    {
        assert_eq!(deliveries(store, user, endpoint).await.len(), told);
    }
    let leased = lease(store, Lane::Prompt, at(1)).await;
    let mut told: Vec<_> = leased.iter().map(|leased| leased.endpoint.id).collect();
    told.sort();
    assert_eq!(told, [all, created]);
    assert!(lease(store, Lane::Patient, at(1)).await.is_empty());
}

async fn patient(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let alice = register(store, "alice").await.id;
    let endpoint = WebhookEndpoint { failing_since: Some(at(0)), ..endpoint_of(alice, &["*"]) };
    put_endpoint(store, endpoint).await;
    order_at(store, alice, at(1)).await;
    assert!(lease(store, Lane::Prompt, at(1)).await.is_empty());
    assert_eq!(lease(store, Lane::Patient, at(1)).await.len(), 1);
}

async fn nobody(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let alice = register(store, "alice").await.id;
    let told = put_endpoint(store, endpoint_of(alice, &["payment_order.failed"])).await;
    assert_eq!(order_at(store, alice, at(0)).await, 0);
    assert!(deliveries(store, alice, told).await.is_empty());
    // Not even an event: there would be one to clear away.
    let later = at(91 * 86_400);
    assert_eq!(store.clear_away(later, Duration::from_secs(86_400 * 365)).await.unwrap().events, 0);
}

async fn bytes(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let alice = register(store, "alice").await.id;
    listen(store, alice).await;
    let every_byte: Vec<u8> = (0..=255).collect();
    let event = NewEvent { body: every_byte.clone(), ..event(EventType::PaymentOrderCreated, at(0)) };
    store.insert_payment_order(order_of(alice), None, event.clone(), None).await.unwrap();
    let leased = lease(store, Lane::Prompt, at(0)).await.pop().expect("it is due");
    assert_eq!((leased.body, leased.event_id, leased.event_type), (every_byte, event.id, event.event_type));
    assert_eq!((leased.tries, leased.plan_started_at), (0, at(0)));
}

/// While replicas are being replaced, an older one meets what a newer one wrote.
async fn later_version(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    let alice = register(store, "alice").await.id;
    let (newer, older) = (listen(store, alice).await, listen(store, alice).await);
    let change = format!(
        "UPDATE webhook_endpoints SET events = 'payment_order.created,payment_order.refunded' WHERE id = '{newer}'"
    );
    fixture.execute(&change).await;
    assert_eq!(order_at(store, alice, at(0)).await, 2);
    let leased = lease(store, Lane::Prompt, at(0)).await;
    assert_eq!(leased.iter().map(|leased| leased.endpoint.id).collect::<Vec<_>>(), [older]);
}
