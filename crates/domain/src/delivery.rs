//! Deliveries: one event on its way to one endpoint, in as many attempts as it takes.

use std::str::FromStr;
use std::time::Duration;

use crate::{DeliveryId, EventType, Timestamp, WebhookEndpointId, WebhookEventId};

/// A delivery and what has been tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Its identifier.
    pub id: DeliveryId,
    /// What is told.
    pub event_id: WebhookEventId,
    /// Of which type that is.
    pub event_type: EventType,
    /// To whom.
    pub endpoint_id: WebhookEndpointId,
    /// Where it stands.
    pub status: DeliveryStatus,
    /// What has been tried, oldest first.
    pub attempts: Vec<Attempt>,
    /// When it is tried next; absent unless it is pending.
    pub next_attempt_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeliveryStatus {
    /// It is, or will be, tried.
    Pending,
    /// The endpoint took it.
    Succeeded,
    /// It was given up.
    Failed,
}

/// Text that names no status of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is no status of a delivery")]
pub struct DeliveryStatusError;

impl DeliveryStatus {
    /// Every status.
    pub const ALL: [Self; 3] = [Self::Pending, Self::Succeeded, Self::Failed];

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
        }
    }
}

impl FromStr for DeliveryStatus {
    type Err = DeliveryStatusError;

    fn from_str(text: &str) -> Result<Self, DeliveryStatusError> {
        Self::ALL.into_iter().find(|status| status.as_str() == text).ok_or(DeliveryStatusError)
    }
}

/// One try to post an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// When it began.
    pub at: Timestamp,
    /// The status of the answer, if there was one.
    pub status_code: Option<u16>,
    /// What went wrong on the way, in words for the merchant.
    pub error: Option<String>,
    /// How long it took; kept in milliseconds.
    pub duration: Duration,
    /// The first kilobyte of the answer's body.
    pub response: Option<String>,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// An answer of 2xx, whole and in time.
    Succeeded,
    /// `410 Gone`: nobody wants to hear of it any more.
    Gone,
    /// Anything else, redirects included.
    Failed,
}

impl Attempt {
    /// How it ended.
    #[must_use]
    pub const fn outcome(&self) -> AttemptOutcome {
        match (self.status_code, &self.error) {
            (Some(200..=299), None) => AttemptOutcome::Succeeded,
            (Some(410), _) => AttemptOutcome::Gone,
            _ => AttemptOutcome::Failed,
        }
    }
}

/// What becomes of a delivery after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextStep {
    /// It is done.
    Succeeded,
    /// It is tried again at this moment.
    Retry(Timestamp),
    /// It is not tried again.
    GiveUp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_answer_of_2xx_is_a_success() {
        use AttemptOutcome::{Failed, Gone, Succeeded};
        for (status_code, error, expected) in [
            (Some(200), None, Succeeded),
            (Some(299), None, Succeeded),
            (Some(200), Some("the answer broke off"), Failed),
            (Some(199), None, Failed),
            (Some(302), None, Failed),
            (Some(410), None, Gone),
            (Some(500), None, Failed),
            (None, Some("no answer within 10 s"), Failed),
            (None, None, Failed),
        ] {
            let attempt = Attempt {
                at: Timestamp::from_unix_seconds(0),
                status_code,
                error: error.map(str::to_owned),
                duration: Duration::ZERO,
                response: None,
            };
            assert_eq!(attempt.outcome(), expected, "{status_code:?} {error:?}");
        }
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        for status in DeliveryStatus::ALL {
            assert_eq!(status.as_str().parse(), Ok(status));
        }
        assert_eq!("done".parse::<DeliveryStatus>(), Err(DeliveryStatusError));
    }
}
