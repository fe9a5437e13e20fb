//! Deliveries: the log of an endpoint, one of them from the request to the answers, and sending again.

pub(crate) mod list;
pub(crate) mod send;
pub(crate) mod show;

use cryptopay_domain::delivery::DeliveryStatus;
use cryptopay_domain::{Delivery, DeliveryId, WebhookEndpointId, WebhookEventId};
use cryptopay_payments::SendRejection;

use crate::event;
use crate::moment::Moment;
use crate::problem::Problem;
use crate::webhook_endpoint;

/// A delivery as pages show it.
pub(crate) struct DeliveryView {
    pub(crate) id: DeliveryId,
    pub(crate) event_id: WebhookEventId,
    pub(crate) endpoint_id: WebhookEndpointId,
    pub(crate) label: &'static str,
    pub(crate) event_type: &'static str,
    pub(crate) status: DeliveryStatus,
    pub(crate) attempts: usize,
    /// How the last attempt ended, in a few words.
    pub(crate) last: Option<String>,
    pub(crate) created_at: Moment,
    pub(crate) next_attempt_at: Option<Moment>,
}

impl DeliveryView {
    /// Of a delivery.
    pub(crate) fn of(delivery: &Delivery) -> Self {
        let last = delivery.attempts.last();
        let last = last.map(|attempt| outcome(attempt.status_code, attempt.error.as_deref()));
        Self {
            id: delivery.id,
            event_id: delivery.event_id,
            endpoint_id: delivery.endpoint_id,
            label: event::label(delivery.event_type),
            event_type: delivery.event_type.as_str(),
            status: delivery.status,
            attempts: delivery.attempts.len(),
            last,
            created_at: Moment(delivery.created_at),
            next_attempt_at: delivery.next_attempt_at.map(Moment),
        }
    }

    /// Where its page lies.
    pub(crate) fn path(&self) -> String {
        path_of(self.endpoint_id, self.id)
    }

    /// The status in one word, for eyes and ears.
    pub(crate) const fn status_label(&self) -> &'static str {
        match self.status {
            DeliveryStatus::Pending => "Pending",
            DeliveryStatus::Succeeded => "Delivered",
            DeliveryStatus::Failed => "Failed",
        }
    }

    /// Whether it changes by itself, so that the script asks for it anew.
    pub(crate) const fn liveliness(&self) -> &'static str {
        match self.status {
            DeliveryStatus::Pending => "pending",
            DeliveryStatus::Succeeded | DeliveryStatus::Failed => "settled",
        }
    }
}

/// Where a delivery's page lies.
pub(crate) fn path_of(endpoint: WebhookEndpointId, delivery: DeliveryId) -> String {
    format!("{}/deliveries/{delivery}", webhook_endpoint::path_of(endpoint))
}

/// How an attempt ended.
pub(crate) fn outcome(status_code: Option<u16>, error: Option<&str>) -> String {
    match (status_code, error) {
        (Some(code), None) => format!("answered {code}"),
        (Some(code), Some(error)) => format!("answered {code}, but: {error}"),
        (None, Some(error)) => error.to_owned(),
        (None, None) => "no answer".to_owned(),
    }
}

impl From<SendRejection> for Problem {
    fn from(rejection: SendRejection) -> Self {
        match rejection {
            SendRejection::NotFound => Self::NotFound,
            SendRejection::Disabled => Self::Conflict(
                "This webhook endpoint is disabled, so nothing is sent to it. Enable it first.",
            ),
        }
    }
}
