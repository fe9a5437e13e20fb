//! Deliveries, and what is found out about them, on the wire.

use cryptopay_domain::{Attempt, Delivery};
use cryptopay_payments::Diagnosis;
use serde::Serialize;
use utoipa::ToSchema;

use crate::event::EventTypeName;

/// A delivery: one event on its way to one endpoint.
#[derive(Serialize, ToSchema)]
#[schema(as = Delivery)]
pub(crate) struct DeliveryBody {
    #[schema(example = "0193f1b2c3d4700089abcdef01234567")]
    id: String,
    /// The event's identifier: `webhook-id`.
    #[schema(example = "0193f1b2c3d4700089abcdef01234567")]
    event_id: String,
    #[schema(value_type = EventTypeName, example = "payment_order.paid")]
    event_type: &'static str,
    #[schema(value_type = StatusName, example = "pending")]
    status: &'static str,
    /// What was tried, oldest first.
    attempts: Vec<AttemptBody>,
    /// When it is tried next; null unless it is pending.
    #[schema(required, format = DateTime, example = "2024-01-02T12:00:05Z")]
    next_attempt_at: Option<String>,
    #[schema(format = DateTime, example = "2024-01-02T12:00:00Z")]
    created_at: String,
}

/// One try to deliver.
#[derive(Serialize, ToSchema)]
#[schema(as = DeliveryAttempt)]
pub(crate) struct AttemptBody {
    #[schema(format = DateTime, example = "2024-01-02T12:00:00Z")]
    at: String,
    /// The status of the answer; null when there was none.
    #[schema(required, example = 500)]
    status_code: Option<u16>,
    /// What went wrong on the way; null when an answer came.
    #[schema(required)]
    error: Option<String>,
    /// How long it took, in milliseconds.
    #[schema(minimum = 0, example = 42)]
    duration_ms: u64,
    /// The first kilobyte of the answer; null when there was none.
    #[schema(required, example = "Internal Server Error")]
    response: Option<String>,
}

/// Where a delivery stands: on its way, arrived, or given up.
#[derive(ToSchema, Serialize)]
#[serde(rename_all = "snake_case")]
#[schema(as = DeliveryStatus)]
#[expect(dead_code, reason = "only describes the values")]
enum StatusName {
    Pending,
    Succeeded,
    Failed,
}

/// How a signature relates to the right one.
#[derive(Serialize, ToSchema)]
#[schema(as = Diagnosis)]
pub(crate) struct DiagnosisBody {
    /// `correct`, `explained` by the findings, `unknown` when no known mistake gives it, or `not_a_signature`.
    #[schema(example = "explained")]
    verdict: &'static str,
    /// What that means, for people.
    #[schema(example = "Your code signs something else, or in another way.")]
    summary: &'static str,
    /// The mistakes that together give the signature; more names may come.
    findings: Vec<FindingBody>,
}

/// A mistake.
#[derive(Serialize, ToSchema)]
#[schema(as = DiagnosisFinding)]
pub(crate) struct FindingBody {
    /// Its name, for programs.
    #[schema(example = "prefixed")]
    code: &'static str,
    /// What to do about it, for people.
    #[schema(example = "The header holds 64 hex digits and nothing in front of them.")]
    advice: &'static str,
}

impl From<Delivery> for DeliveryBody {
    fn from(delivery: Delivery) -> Self {
        Self {
            id: delivery.id.to_string(),
            event_id: delivery.event_id.to_string(),
            event_type: delivery.event_type.as_str(),
            status: delivery.status.as_str(),
            attempts: delivery.attempts.into_iter().map(AttemptBody::from).collect(),
            next_attempt_at: delivery.next_attempt_at.map(|at| at.to_string()),
            created_at: delivery.created_at.to_string(),
        }
    }
}

impl From<Diagnosis> for DiagnosisBody {
    fn from(diagnosis: Diagnosis) -> Self {
        let findings = diagnosis.findings().iter();
        let findings = findings.map(|one| FindingBody { code: one.code(), advice: one.advice() }).collect();
        Self { verdict: diagnosis.code(), summary: diagnosis.summary(), findings }
    }
}

impl From<Attempt> for AttemptBody {
    fn from(attempt: Attempt) -> Self {
        Self {
            at: attempt.at.to_string(),
            status_code: attempt.status_code,
            error: attempt.error,
            duration_ms: u64::try_from(attempt.duration.as_millis()).unwrap_or(u64::MAX),
            response: attempt.response,
        }
    }
}
