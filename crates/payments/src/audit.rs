//! The words of the audit log about webhook endpoints.

use cryptopay_auth::{Principal, RequestContext};
use cryptopay_domain::webhook_endpoint::DisabledReason;
use cryptopay_domain::{Timestamp, WebhookEndpoint, WebhookEndpointId};
use cryptopay_store::audit::AuditEvent;

/// Something that a principal did to an endpoint.
pub(crate) fn endpoint_event(
    principal: &Principal,
    name: &'static str,
    endpoint: WebhookEndpointId,
    context: &RequestContext,
    now: Timestamp,
) -> AuditEvent {
    AuditEvent {
        occurred_at: now,
        event: name,
        outcome: "succeeded",
        user_id: Some(principal.user_id),
        actor: principal.credential.label(),
        subject: Some(endpoint.to_string()),
        ip: context.client.to_string(),
        user_agent: context.user_agent.clone(),
        request_id: context.request_id.clone(),
        detail: None,
    }
}

/// An endpoint that nobody disabled but the outcome of a delivery.
pub(crate) fn disabled_by_system(
    endpoint: &WebhookEndpoint,
    reason: DisabledReason,
    now: Timestamp,
) -> AuditEvent {
    let here = RequestContext::command_line();
    AuditEvent {
        occurred_at: now,
        event: "webhook_endpoint.disabled",
        outcome: "succeeded",
        user_id: Some(endpoint.user_id),
        actor: "system".to_owned(),
        subject: Some(endpoint.id.to_string()),
        ip: here.client.to_string(),
        user_agent: None,
        request_id: "delivery-worker".to_owned(),
        detail: Some(reason.as_str().to_owned()),
    }
}
