//! Events as the document shows them. Their bytes are made where events are written, not here.

use std::borrow::Cow;

use cryptopay_domain::EventType;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::payment_order::PaymentOrderBody;

/// The name of an event type.
pub(crate) enum EventTypeName {}

/// The name of an event type, or `*` for all of them.
pub(crate) enum EventSelector {}

/// What a webhook endpoint is told of an order.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only describes the body")]
pub(crate) struct PaymentOrderEvent {
    /// The event's identifier: `webhook-id`, the same in every attempt and every resend.
    #[schema(example = "0193f1b2c3d4700089abcdef01234567")]
    id: String,
    #[schema(rename = "type")]
    event_type: EventTypeName,
    #[schema(format = DateTime, example = "2024-01-02T12:00:00Z")]
    created_at: String,
    /// The order as the event left it.
    data: PaymentOrderBody,
}

/// What a webhook endpoint is told when its merchant tries it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only describes the body")]
pub(crate) struct WebhookTestEvent {
    /// The event's identifier: `webhook-id`, the same in every attempt and every resend.
    #[schema(example = "0193f1b2c3d4700089abcdef01234567")]
    id: String,
    #[schema(rename = "type")]
    event_type: EventTypeName,
    #[schema(format = DateTime, example = "2024-01-02T12:00:00Z")]
    created_at: String,
    data: WebhookTestData,
}

/// What a test event tells.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only describes the body")]
pub(crate) struct WebhookTestData {
    /// The endpoint that is tried.
    #[schema(example = "0193f1b2c3d4700089abcdef01234567")]
    endpoint_id: String,
    /// For people.
    #[schema(example = "This is a test event. Your endpoint works.")]
    message: String,
}

impl PartialSchema for EventTypeName {
    fn schema() -> RefOr<Schema> {
        one_of("What happened.", EventType::ALL.into_iter().map(EventType::as_str))
    }
}

impl ToSchema for EventTypeName {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("EventType")
    }
}

impl PartialSchema for EventSelector {
    fn schema() -> RefOr<Schema> {
        let names = EventType::ALL.into_iter().map(EventType::as_str);
        one_of("An event type; or `*` for all of them, which stands alone.", ["*"].into_iter().chain(names))
    }
}

impl ToSchema for EventSelector {}

fn one_of(description: &str, names: impl Iterator<Item = &'static str>) -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(description))
        .enum_values(Some(names.collect::<Vec<_>>()))
        .into()
}
