//! The `webhooks` of the OpenAPI document (§4.8.2): what the server sends to merchants' endpoints.

use cryptopay_domain::EventType;
use utoipa::openapi::path::{
    HttpMethod, OperationBuilder, ParameterBuilder, ParameterIn, PathItem, Paths, PathsBuilder,
};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{ContentBuilder, Ref, Required, ResponseBuilder};
use utoipa::{ToSchema, openapi::path::Parameter};

use crate::event::{PaymentOrderEvent, WebhookTestEvent};

/// How a delivery proves itself, whatever it tells.
const DELIVERY: &str = "A POST of compact JSON. Verify `X-Webhook-Signature` over the body as it came, or over \
     `JSON.stringify` of it once parsed: the bytes are the same. Or verify `webhook-signature`, which protects \
     against replays too, with a Standard Webhooks library. Answer 2xx within 10 s; anything else is tried \
     again for three days. Deliveries may come twice and in any order: `webhook-id` tells.";

/// The headers of a delivery, and what each holds.
const HEADERS: [(&str, &str, &str); 4] = [
    (
        "X-Webhook-Signature",
        "The HMAC-SHA256 of the body in 64 lower-case hex digits, keyed with the secret as it is written, \
         `whsec_` included. During a rotation's overlap it is made with the old secret.",
        "^[0-9a-f]{64}$",
    ),
    ("webhook-id", "The event's identifier.", "^[0-9a-f]{32}$"),
    ("webhook-timestamp", "When this attempt was signed, in seconds since 1970.", "^[0-9]+$"),
    (
        "webhook-signature",
        "The signatures of Standard Webhooks: `v1,` and base64; two during a rotation's overlap, with a blank \
         between.",
        "^v1,[0-9A-Za-z+/]{43}=( v1,[0-9A-Za-z+/]{43}=)?$",
    ),
];

/// One webhook for each type of event.
pub(crate) fn webhooks() -> Paths {
    EventType::ALL
        .into_iter()
        .fold(PathsBuilder::new(), |paths, event| paths.path(event.as_str(), item(event)))
        .build()
}

fn item(event: EventType) -> PathItem {
    let (summary, schema) = match event {
        EventType::PaymentOrderCreated => ("An order was made", PaymentOrderEvent::name()),
        EventType::PaymentOrderPaid => ("An order was paid", PaymentOrderEvent::name()),
        EventType::PaymentOrderExpired => ("An order was not paid in time", PaymentOrderEvent::name()),
        EventType::PaymentOrderFailed => ("An order's payment failed", PaymentOrderEvent::name()),
        EventType::WebhookTest => ("A merchant tries an endpoint", WebhookTestEvent::name()),
    };
    let operation = OperationBuilder::new()
        .operation_id(Some(event.as_str()))
        .tag("webhooks")
        .summary(Some(summary))
        .description(Some(DELIVERY))
        .parameters(Some(HEADERS.map(header)))
        .request_body(Some(body(&schema)))
        .response("2XX", ResponseBuilder::new().description("The event has arrived."))
        .response("410", ResponseBuilder::new().description("Nobody listens here: the endpoint is disabled."))
        .response("default", ResponseBuilder::new().description("The event is sent again later."));
    PathItem::new(HttpMethod::Post, operation)
}

fn header((name, description, pattern): (&str, &str, &str)) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .required(Required::True)
        .description(Some(description))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern))))
        .build()
}

fn body(schema: &str) -> RequestBody {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(schema))).build();
    RequestBodyBuilder::new().required(Some(Required::True)).content("application/json", content).build()
}
