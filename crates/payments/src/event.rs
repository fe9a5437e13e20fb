//! Events: what endpoints are told, as it is kept and sent.

use cryptopay_domain::{
    DeliveryId, EventType, PaymentOrder, PaymentOrderId, Timestamp, WebhookEndpointId, WebhookEventId,
};
use cryptopay_store::webhook_event::NewEvent;
use cryptopay_webhook::{CanonicalObject, CanonicalValue, EventTooLarge, event_body};
use uuid::Uuid;

use crate::order_data::order_data;

/// What an endpoint is told when its merchant tries it.
const TEST_MESSAGE: &str = "This is a test event. Your endpoint works.";

/// The event that tells what became of `order`.
pub(crate) fn order_event(
    id: WebhookEventId,
    event_type: EventType,
    order: &PaymentOrder,
    now: Timestamp,
) -> Result<NewEvent, EventTooLarge> {
    new_event(id, event_type, order_data(order), now)
}

/// The event that tries an endpoint.
pub(crate) fn test_event(
    id: WebhookEventId,
    endpoint: WebhookEndpointId,
    now: Timestamp,
) -> Result<NewEvent, EventTooLarge> {
    let data = CanonicalObject::new().with("endpoint_id", endpoint.to_string()).with("message", TEST_MESSAGE);
    new_event(id, EventType::WebhookTest, data.into(), now)
}

/// Whether an event, as it is kept, tells of this order. No text that a merchant wrote can look so: quotation marks
/// are escaped in it.
pub(crate) fn tells_of(body: &[u8], order: PaymentOrderId) -> bool {
    let beginning = format!("\"data\":{{\"id\":\"{order}\"");
    body.windows(beginning.len()).any(|window| window == beginning.as_bytes())
}

/// Identifiers for the deliveries of one event, counted up from a random one: they are drawn inside a
/// transaction, which cannot wait for randomness to fail.
pub(crate) fn delivery_ids(first: Uuid) -> impl FnMut() -> DeliveryId + Send + 'static {
    let mut next = first.as_u128();
    move || {
        let id = DeliveryId(Uuid::from_u128(next));
        next = next.wrapping_add(1);
        id
    }
}

fn new_event(
    id: WebhookEventId,
    event_type: EventType,
    data: CanonicalValue<'_>,
    now: Timestamp,
) -> Result<NewEvent, EventTooLarge> {
    let body = event_body(&id.to_string(), event_type.as_str(), now, data)?;
    Ok(NewEvent { id, event_type, body, created_at: now })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deliveries_of_an_event_have_identifiers_of_their_own() {
        let mut ids = delivery_ids(Uuid::from_u128(0x0193_f1b2_c3d4_7000_89ab_cdef_0123_4567));
        let drawn: Vec<DeliveryId> = (0..20).map(|_| ids()).collect();
        assert!(drawn.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(drawn[19].to_string().parse(), Ok(drawn[19]));
    }

    #[test]
    fn a_test_event_says_what_it_is() {
        let id = WebhookEventId(Uuid::from_u128(1));
        let endpoint = WebhookEndpointId(Uuid::from_u128(2));
        let event = test_event(id, endpoint, Timestamp::from_unix_seconds(0)).unwrap();
        let text = String::from_utf8(event.body).unwrap();
        assert_eq!(
            text,
            format!(
                r#"{{"id":"{id}","type":"webhook.test","created_at":"1970-01-01T00:00:00Z","data":{{"endpoint_id":"{endpoint}","message":"{TEST_MESSAGE}"}}}}"#
            )
        );
    }
}
