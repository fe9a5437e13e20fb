//! Deliveries as their merchant sees them: the log, sending again, trying an endpoint, and the doctor.

use cryptopay_auth::{Failure, Outcome, Principal};
use cryptopay_domain::webhook_endpoint::{EndpointSecrets, EndpointStatus, SealedSecret};
use cryptopay_domain::{
    Delivery, DeliveryId, Page, PageRequest, Timestamp, WebhookEndpointId, WebhookEventId,
};
use cryptopay_webhook::transport::fixed_headers;
use cryptopay_webhook::{Diagnosis, SecretRole, SignedHeaders, WebhookSecret, diagnose};

use crate::core::{Inner, Payments};
use crate::endpoint::NotFound;
use crate::event::test_event;
use crate::sealed::{self, open_secrets};

/// A delivery, and what is posted for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostedDelivery {
    /// The delivery.
    pub delivery: Delivery,
    /// When it was signed last, or would be if it were now.
    pub signed_at: Timestamp,
    /// The headers of a post that is signed at that moment, made anew from the secrets that are known now: those of an
    /// attempt are not kept. `None` when the secrets cannot be read.
    pub headers: Option<Vec<(&'static str, String)>>,
    /// The exact bytes.
    pub body: Vec<u8>,
}

/// Why nothing is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendRejection {
    /// The merchant has no such endpoint, or it no such delivery.
    NotFound,
    /// The endpoint is disabled: it has to be enabled first, since nothing is posted to a disabled one.
    Disabled,
}

/// Why there is no diagnosis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiagnoseRejection {
    /// The merchant has no such endpoint, or it no such delivery.
    NotFound,
    /// The doctor sees patients in the sandbox alone.
    OnlyInSandbox,
}

impl Payments {
    /// Sends `webhook.test` to an endpoint, whatever events it wants to hear of.
    ///
    /// # Errors
    /// [`SendRejection`].
    pub async fn send_test(
        &self,
        principal: &Principal,
        endpoint: WebhookEndpointId,
    ) -> Outcome<Delivery, SendRejection> {
        let inner = &*self.inner;
        inner.require_enabled(principal, endpoint).await?;
        let now = inner.now();
        let event = test_event(WebhookEventId(inner.next_id(now)?), endpoint, now)
            .map_err(|error| Failure::fault(&error))?;
        let delivery = inner.store().insert_test_delivery(principal.user_id, endpoint, event).await?;
        inner.announce(delivery.iter().count());
        delivery.ok_or(Failure::Rejected(SendRejection::NotFound))
    }

    /// An endpoint's deliveries with their attempts, newest first.
    ///
    /// # Errors
    /// [`NotFound`].
    pub async fn list_deliveries(
        &self,
        principal: &Principal,
        endpoint: WebhookEndpointId,
        request: PageRequest<DeliveryId>,
    ) -> Outcome<Page<Delivery, DeliveryId>, NotFound> {
        let page = self.inner.store().list_deliveries(principal.user_id, endpoint, request).await?;
        page.ok_or(Failure::Rejected(NotFound))
    }

    /// One delivery of an endpoint with what is posted for it.
    ///
    /// # Errors
    /// [`NotFound`].
    pub async fn get_delivery(
        &self,
        principal: &Principal,
        endpoint: WebhookEndpointId,
        id: DeliveryId,
    ) -> Outcome<PostedDelivery, NotFound> {
        let inner = &*self.inner;
        let user = principal.user_id;
        let not_found = || Failure::Rejected(NotFound);
        let found = inner.store().find_webhook_endpoint(user, endpoint).await?.ok_or_else(not_found)?;
        let (delivery, body) =
            inner.store().find_delivery(user, endpoint, id).await?.ok_or_else(not_found)?;
        let signed_at = delivery.attempts.last().map_or_else(|| inner.now(), |attempt| attempt.at);
        let secrets = open_secrets(&inner.auth, &found, signed_at).ok();
        let headers = secrets.map(|secrets| {
            let secrets: Vec<&WebhookSecret> = secrets.iter().collect();
            let signed = SignedHeaders::new(&secrets, &delivery.event_id.to_string(), signed_at, &body);
            fixed_headers().into_iter().chain(signed.into_pairs()).collect()
        });
        Ok(PostedDelivery { delivery, signed_at, headers, body })
    }

    /// Sends a delivery again, whatever became of it: the same bytes under the same event id, now, with a new
    /// plan of retries.
    ///
    /// # Errors
    /// [`SendRejection`].
    pub async fn resend(
        &self,
        principal: &Principal,
        endpoint: WebhookEndpointId,
        id: DeliveryId,
    ) -> Outcome<Delivery, SendRejection> {
        let inner = &*self.inner;
        let user = principal.user_id;
        // What is not there is told before the state of what is.
        let found = inner.store().find_delivery(user, endpoint, id).await?;
        found.ok_or(Failure::Rejected(SendRejection::NotFound))?;
        inner.require_enabled(principal, endpoint).await?;
        let delivery = inner.store().resend_delivery(user, endpoint, id, inner.now()).await?;
        inner.announce(delivery.iter().count());
        delivery.ok_or(Failure::Rejected(SendRejection::NotFound))
    }

    /// Tells how a signature that a merchant's code computed for a delivery relates to the right one. In the
    /// sandbox alone.
    ///
    /// # Errors
    /// [`DiagnoseRejection`].
    pub async fn diagnose(
        &self,
        principal: &Principal,
        endpoint: WebhookEndpointId,
        id: DeliveryId,
        signature: &str,
    ) -> Outcome<Diagnosis, DiagnoseRejection> {
        let inner = &*self.inner;
        let not_found = || Failure::Rejected(DiagnoseRejection::NotFound);
        if !inner.is_sandbox() {
            return Err(Failure::Rejected(DiagnoseRejection::OnlyInSandbox));
        }
        let user = principal.user_id;
        let found = inner.store().find_webhook_endpoint(user, endpoint).await?.ok_or_else(not_found)?;
        let delivery = inner.store().find_delivery(user, endpoint, id).await?;
        let (delivery, body) = delivery.ok_or_else(not_found)?;
        // As they were when the merchant last received it.
        let signed_at = delivery.attempts.last().map_or_else(|| inner.now(), |attempt| attempt.at);
        let secrets = roles(&found.secrets, signed_at)
            .into_iter()
            .map(|(role, sealed)| Ok((role, sealed::open(&inner.auth, endpoint, sealed)?)))
            .collect::<Result<Vec<(SecretRole, WebhookSecret)>, sealed::UnreadableSecret>>()
            .map_err(|error| Failure::fault(&error))?;
        let signature = signature.to_owned();
        // Hundreds of hashes of the body: not for a thread that others wait for.
        let examination = tokio::task::spawn_blocking(move || {
            let secrets: Vec<_> = secrets.iter().map(|(role, secret)| (*role, secret)).collect();
            diagnose(&signature, &body, &secrets)
        });
        examination.await.map_err(|error| Failure::fault(&error))
    }
}

/// What each secret was to a delivery that was signed at `signed_at`. One that has ended is named, too: to use
/// it still is among the mistakes that the doctor looks for.
fn roles(secrets: &EndpointSecrets, signed_at: Timestamp) -> Vec<(SecretRole, &SealedSecret)> {
    let overlapped = secrets.previous.as_ref().filter(|previous| signed_at < previous.ends_at);
    let (of_current, of_previous) = match overlapped {
        Some(_) => (SecretRole::Upcoming, SecretRole::Signing),
        None => (SecretRole::Signing, SecretRole::Ended),
    };
    let previous = secrets.previous.iter().map(|previous| (of_previous, &previous.secret));
    previous.chain([(of_current, &secrets.current)]).collect()
}

impl Inner {
    /// Refuses for an endpoint that is not there or disabled. One that is disabled right afterwards is a
    /// matter of the worker, which posts nothing to it.
    async fn require_enabled(
        &self,
        principal: &Principal,
        endpoint: WebhookEndpointId,
    ) -> Outcome<(), SendRejection> {
        let found = self.store().find_webhook_endpoint(principal.user_id, endpoint).await?;
        match found.map(|endpoint| endpoint.status) {
            None => Err(Failure::Rejected(SendRejection::NotFound)),
            Some(EndpointStatus::Disabled(_)) => Err(Failure::Rejected(SendRejection::Disabled)),
            Some(EndpointStatus::Enabled) => Ok(()),
        }
    }
}
