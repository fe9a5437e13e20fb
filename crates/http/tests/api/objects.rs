//! Objects of a merchant's that routes can be called with.

use std::sync::Arc;

use cryptopay_auth::Principal;
use cryptopay_domain::page::PageLimit;
use cryptopay_domain::{
    Amount, Currency, DeliveryId, EventFilter, Metadata, PageRequest, PaymentOrder, PaymentOrderId,
    WebhookEndpointId,
};
use cryptopay_payments::{NewEndpoint, NewOrder};
use cryptopay_testkit::{TestApp, context};

/// Everything that fits on one page.
pub(crate) fn everything<Id>() -> PageRequest<Id> {
    PageRequest { limit: PageLimit::new(100).unwrap(), position: None }
}

/// Makes an order.
pub(crate) async fn payment_order(app: &TestApp, merchant: &Arc<Principal>) -> PaymentOrderId {
    let order = NewOrder {
        amount: Amount::parse("49.90").unwrap(),
        currency: Currency::parse("USD").unwrap(),
        description: None,
        metadata: Metadata::default(),
    };
    let id = |order: &PaymentOrder| order.id.to_string().into_bytes();
    let id = app.payments.create_order(merchant, order, None, id).await.unwrap();
    String::from_utf8(id).unwrap().parse().unwrap()
}

/// An enabled endpoint: the newest there is, or else a new one, since a merchant has only so many.
pub(crate) async fn webhook_endpoint(app: &TestApp, merchant: &Arc<Principal>) -> WebhookEndpointId {
    let endpoints = app.payments.list_endpoints(merchant, everything()).await.unwrap();
    if let Some(newest) = endpoints.items.first() {
        return newest.id;
    }
    let url = "https://shop.example/webhooks".to_owned();
    let new = NewEndpoint { url, events: EventFilter::All, description: None };
    app.payments.create_endpoint(merchant, new, &context()).await.unwrap().endpoint.id
}

/// The bytes of the event that a delivery tells.
pub(crate) async fn event_bytes(
    app: &TestApp,
    merchant: &Arc<Principal>,
    endpoint: WebhookEndpointId,
    delivery: DeliveryId,
) -> Vec<u8> {
    let found = app.core.auth.store().find_delivery(merchant.user_id, endpoint, delivery).await;
    found.unwrap().unwrap().1
}
