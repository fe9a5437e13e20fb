//! Webhook endpoints on the wire.

use cryptopay_domain::WebhookEndpoint;
use cryptopay_payments::NewWebhookEndpoint;
use serde::Serialize;
use utoipa::ToSchema;

use crate::event::EventSelector;

/// Whether anything is sent to an endpoint; `deleted` in the answer to its deletion alone.
#[derive(ToSchema, Serialize)]
#[serde(rename_all = "snake_case")]
#[schema(as = WebhookEndpointStatus)]
#[expect(dead_code, reason = "only describes the values")]
enum StatusName {
    Enabled,
    Disabled,
    Deleted,
}

/// Why nothing is sent to an endpoint: its merchant wants it so, it answered `410 Gone`, or it failed for five
/// days.
#[derive(ToSchema, Serialize)]
#[serde(rename_all = "snake_case")]
#[schema(as = DisabledReason)]
#[expect(dead_code, reason = "only describes the values")]
enum DisabledReasonName {
    ByMerchant,
    Gone,
    Failing,
}

/// A webhook endpoint: everything but its secret.
#[derive(Serialize, ToSchema)]
#[schema(as = WebhookEndpoint)]
pub(crate) struct WebhookEndpointBody {
    #[schema(example = "0193f1b2c3d4700089abcdef01234567")]
    id: String,
    #[schema(example = "https://shop.example.com/webhooks/cryptopay")]
    url: String,
    #[schema(value_type = Vec<EventSelector>, example = json!(["payment_order.paid"]))]
    events: Vec<&'static str>,
    #[schema(required, example = "Order service")]
    description: Option<String>,
    #[schema(value_type = StatusName, example = "enabled")]
    status: &'static str,
    /// Null unless it is disabled.
    #[schema(value_type = Option<DisabledReasonName>, required)]
    disabled_reason: Option<&'static str>,
    #[schema(format = DateTime, example = "2024-01-02T12:00:00Z")]
    created_at: String,
}

/// A webhook endpoint with its new secret. This is the only time the secret is seen.
#[derive(Serialize, ToSchema)]
#[schema(as = NewWebhookEndpoint)]
pub(crate) struct NewWebhookEndpointBody<'a> {
    /// What deliveries are signed with: `whsec_` and the base64 of 32 random bytes. Sealed at rest.
    #[schema(pattern = "^whsec_[0-9A-Za-z+/]{43}=$", example = "whsec_…")]
    secret: &'a str,
    #[serde(flatten)]
    details: WebhookEndpointBody,
}

impl From<WebhookEndpoint> for WebhookEndpointBody {
    fn from(endpoint: WebhookEndpoint) -> Self {
        Self {
            id: endpoint.id.to_string(),
            events: endpoint.events.to_wire(),
            description: endpoint.description.map(|text| text.as_str().to_owned()),
            status: endpoint.status.as_str(),
            disabled_reason: endpoint.status.disabled_reason().map(|reason| reason.as_str()),
            created_at: endpoint.created_at.to_string(),
            url: endpoint.url,
        }
    }
}

impl WebhookEndpointBody {
    /// An endpoint that is no more.
    pub(crate) fn deleted(endpoint: WebhookEndpoint) -> Self {
        Self { status: "deleted", disabled_reason: None, ..endpoint.into() }
    }
}

impl<'a> NewWebhookEndpointBody<'a> {
    /// An endpoint with the secret that is shown now and not again.
    pub(crate) fn of(new: &'a NewWebhookEndpoint) -> Self {
        Self { secret: new.secret.expose(), details: new.endpoint.clone().into() }
    }
}
