//! Changing webhook endpoints.

use cryptopay_domain::delivery::DeliveryStatus;
use cryptopay_domain::webhook_endpoint::{DisabledReason, EndpointStatus};
use cryptopay_domain::{Description, EventFilter};
use cryptopay_payments::{EndpointChange, RequestedStatus, SendRejection};
use cryptopay_testkit::{Backend, Behaviour, TestReceiver, context, on_both_databases};

use crate::support::{Shop, rejection};

on_both_databases! {
    a_change_touches_what_it_names_alone => partial;
    a_disabled_endpoint_hears_nothing_and_its_pending_deliveries_are_given_up => disabled;
    enabling_an_endpoint_or_pointing_it_elsewhere_forgets_its_failures => forgotten_failures;
}

async fn partial(backend: Backend) {
    let shop = Shop::open(backend).await;
    let before = shop.endpoint(&TestReceiver::start().await).await.endpoint;
    let change = async |change| {
        shop.payments.change_endpoint(&shop.alice, before.id, change, &context()).await.unwrap()
    };
    let text = Description::parse("till").unwrap();
    let described =
        change(EndpointChange { description: Some(Some(text.clone())), ..Default::default() }).await;
    assert_eq!(described.description, Some(text));
    assert_eq!(
        (&described.url, &described.events, described.status),
        (&before.url, &before.events, before.status)
    );
    let events = EventFilter::parse(&["payment_order.paid".to_owned()]).unwrap();
    let url = "http://elsewhere.example/".to_owned();
    let moved = change(EndpointChange {
        url: Some(url.clone()),
        events: Some(events.clone()),
        description: Some(None),
        status: None,
    })
    .await;
    assert_eq!((&moved.url, &moved.events, &moved.description), (&url, &events, &None));
    assert_eq!(moved.secrets, before.secrets);
    assert_eq!(shop.get(before.id).await, moved);
    let details: Vec<_> = shop.audit().await.into_iter().map(|row| (row.event, row.detail)).collect();
    assert_eq!(details[1], ("webhook_endpoint.changed".to_owned(), Some("description".to_owned())));
    assert_eq!(details[2].1.as_deref(), Some("url, events, description"), "the names, not the values");
}

async fn disabled(backend: Backend) {
    let shop = Shop::open(backend).await;
    let receiver = TestReceiver::start().await;
    let endpoint = shop.endpoint(&receiver).await.endpoint;
    shop.order().await;
    let off = EndpointChange { status: Some(RequestedStatus::Disabled), ..Default::default() };
    let changed = shop.payments.change_endpoint(&shop.alice, endpoint.id, off, &context()).await.unwrap();
    assert_eq!(changed.status, EndpointStatus::Disabled(DisabledReason::ByMerchant));
    let pending = shop.deliveries(endpoint.id).await.remove(0);
    assert_eq!((pending.status, pending.next_attempt_at), (DeliveryStatus::Failed, None));
    let workers = shop.payments.run_deliveries();
    shop.order().await;
    assert_eq!(shop.deliveries(endpoint.id).await.len(), 1, "it is not told of the second order");
    assert_eq!(rejection(shop.payments.send_test(&shop.alice, endpoint.id).await), SendRejection::Disabled);
    let outcome = shop.payments.resend(&shop.alice, endpoint.id, pending.id).await;
    assert_eq!(rejection(outcome), SendRejection::Disabled);
    let on = EndpointChange { status: Some(RequestedStatus::Enabled), ..Default::default() };
    shop.payments.change_endpoint(&shop.alice, endpoint.id, on, &context()).await.unwrap();
    let order = shop.order().await;
    let received = receiver.wait_for(1).await;
    assert_eq!(crate::support::json(&received[0])["data"]["id"], order["id"]);
    shop.newest_is(endpoint.id, DeliveryStatus::Succeeded).await;
    workers.stop().await;
    assert_eq!(receiver.received().len(), 1);
}

async fn forgotten_failures(backend: Backend) {
    let shop = Shop::open(backend).await;
    let receiver = TestReceiver::behaving(Behaviour::Answer(500)).await;
    let endpoint = shop.endpoint(&receiver).await.endpoint;
    let workers = shop.payments.run_deliveries();
    let elsewhere = EndpointChange { url: Some(receiver.url("/elsewhere")), ..Default::default() };
    let on = EndpointChange { status: Some(RequestedStatus::Enabled), ..Default::default() };
    for change in [on, elsewhere] {
        shop.order().await;
        shop.attempts(endpoint.id, 1).await;
        assert!(shop.get(endpoint.id).await.failing_since.is_some());
        let same = EndpointChange { events: Some(EventFilter::All), ..Default::default() };
        let changed = shop.payments.change_endpoint(&shop.alice, endpoint.id, same, &context()).await;
        assert!(changed.unwrap().failing_since.is_some());
        let changed = shop.payments.change_endpoint(&shop.alice, endpoint.id, change, &context()).await;
        assert_eq!(changed.unwrap().failing_since, None);
    }
    workers.stop().await;
}
