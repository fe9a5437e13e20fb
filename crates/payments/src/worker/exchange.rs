//! One attempt: sign, post, and say what came of it.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use cryptopay_domain::delivery::{AttemptOutcome, NextStep};
use cryptopay_domain::webhook_endpoint::{Health, judge};
use cryptopay_domain::{Attempt, WebhookEndpoint, WebhookEndpointId};
use cryptopay_store::delivery::{AttemptRecord, LeasedDelivery, Verdict};
use cryptopay_webhook::{SignedHeaders, Target, WebhookSecret};

use crate::audit::disabled_by_system;
use crate::core::Inner;
use crate::sealed::{self, open_secrets};

/// What a merchant reads about an endpoint whose secret is lost to us.
const UNREADABLE_SECRET: &str =
    "The endpoint's secret cannot be read by this server, so nothing was sent. Rotate the secret.";

/// The endpoints whose secrets could not be read: each is logged once.
#[derive(Default)]
pub(super) struct Unreadable(Mutex<HashSet<WebhookEndpointId>>);

/// At most so many are remembered; then each is logged anew.
const MOST_REMEMBERED: usize = 10_000;

/// Makes one attempt. Nothing is read or written here but the receiver's answer.
pub(super) async fn attempt(
    inner: &Inner,
    delivery: &mut LeasedDelivery,
    unreadable: &Unreadable,
) -> Attempt {
    let at = inner.now();
    let not_sent = |error: String| Attempt {
        at,
        status_code: None,
        error: Some(error),
        duration: Duration::ZERO,
        response: None,
    };
    let target = match Target::parse(&delivery.endpoint.url, inner.transport.resolver().policy()) {
        Ok(target) => target,
        // Saved under another policy.
        Err(error) => return not_sent(format!("The endpoint's URL {error}.")),
    };
    let secrets = match open_secrets(&inner.auth, &delivery.endpoint, at) {
        Ok(secrets) => secrets,
        Err(error) => {
            unreadable.log_once(delivery.endpoint.id, &error);
            return not_sent(UNREADABLE_SECRET.to_owned());
        }
    };
    let secrets: Vec<&WebhookSecret> = secrets.iter().collect();
    let headers = SignedHeaders::new(&secrets, &delivery.event_id.to_string(), at, &delivery.body);
    // The bytes are not needed here again.
    let body = std::mem::take(&mut delivery.body);
    let exchange = inner.transport.post(&target, &headers.into_pairs(), body.into()).await;
    Attempt {
        at,
        status_code: exchange.status_code,
        error: exchange.error,
        duration: exchange.duration,
        response: exchange.response,
    }
}

/// What follows from an attempt for its delivery.
pub(super) fn conclude(inner: &Inner, delivery: &LeasedDelivery, attempt: Attempt) -> AttemptRecord {
    let next = match attempt.outcome() {
        AttemptOutcome::Succeeded => NextStep::Succeeded,
        AttemptOutcome::Gone => NextStep::GiveUp,
        AttemptOutcome::Failed => {
            let (retry, tries) = (&inner.config.retry, delivery.tries.saturating_add(1));
            // Without randomness retries are as far apart as without jitter.
            let jitter = inner.jitter().unwrap_or(u32::MAX / 2);
            let retry = retry.next_attempt(tries, delivery.plan_started_at, inner.now(), jitter);
            retry.map_or(NextStep::GiveUp, NextStep::Retry)
        }
    };
    AttemptRecord {
        delivery: delivery.id,
        leased_until: delivery.leased_until,
        attempt,
        next,
        endpoint: delivery.endpoint.id,
        url: delivery.endpoint.url.clone(),
    }
}

/// What follows from an attempt for its endpoint, as that is when the attempt is recorded.
pub(super) fn verdict(endpoint: &WebhookEndpoint, attempt: &Attempt) -> Verdict {
    let health = judge(endpoint.failing_since, attempt.outcome(), attempt.at);
    let audit = match health {
        Health::Disable(reason) => Some(disabled_by_system(endpoint, reason, attempt.at)),
        Health::Healthy | Health::Failing { .. } => None,
    };
    Verdict { health, audit }
}

impl Unreadable {
    fn log_once(&self, endpoint: WebhookEndpointId, error: &sealed::UnreadableSecret) {
        if self.is_news(endpoint) {
            tracing::error!(%error, "nothing can be delivered to a webhook endpoint until its secret is rotated");
        }
    }

    fn is_news(&self, endpoint: WebhookEndpointId) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST_REMEMBERED {
            known.clear();
        }
        known.insert(endpoint)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn an_unreadable_secret_is_news_once_and_what_is_remembered_is_bounded() {
        let unreadable = Unreadable::default();
        let endpoint = |number: usize| WebhookEndpointId(Uuid::from_u128(number as u128));
        assert!(unreadable.is_news(endpoint(0)));
        assert!(!unreadable.is_news(endpoint(0)));
        (1..2 * MOST_REMEMBERED).for_each(|number| assert!(unreadable.is_news(endpoint(number))));
        assert!(unreadable.0.lock().unwrap().len() <= MOST_REMEMBERED);
    }
}
