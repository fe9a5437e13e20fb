//! Webhook secrets at rest: sealed with the installation's encryption keys, each for the row it is kept in.

use cryptopay_auth::{Auth, Failure};
use cryptopay_domain::webhook_endpoint::SealedSecret;
use cryptopay_domain::{Timestamp, WebhookEndpoint, WebhookEndpointId};
use cryptopay_webhook::WebhookSecret;

use crate::core::Inner;

/// A secret cannot be read back: its encryption key is not among ours, or the row was tampered with.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the secret of webhook endpoint {endpoint} {reason}")]
pub(crate) struct UnreadableSecret {
    endpoint: WebhookEndpointId,
    reason: String,
}

impl Inner {
    /// Makes a secret, and its form for the endpoint's row.
    pub(crate) fn new_secret<R>(
        &self,
        endpoint: WebhookEndpointId,
    ) -> Result<(WebhookSecret, SealedSecret), Failure<R>> {
        let secret = WebhookSecret::generate(self.random()).map_err(|error| Failure::fault(&error))?;
        let sealed = self.seal(endpoint, &secret)?;
        Ok((secret, sealed))
    }

    /// Seals a secret for the endpoint's row.
    pub(crate) fn seal<R>(
        &self,
        endpoint: WebhookEndpointId,
        secret: &WebhookSecret,
    ) -> Result<SealedSecret, Failure<R>> {
        let text = secret.expose().as_bytes();
        let sealed = self.auth.encryption().seal(&context(endpoint), text, self.random());
        sealed.map(SealedSecret).map_err(|error| Failure::fault(&error))
    }
}

/// Reads a secret back.
pub(crate) fn open(
    auth: &Auth,
    endpoint: WebhookEndpointId,
    sealed: &SealedSecret,
) -> Result<WebhookSecret, UnreadableSecret> {
    let unreadable = |reason: String| UnreadableSecret { endpoint, reason };
    let opened = auth
        .encryption()
        .open(&context(endpoint), &sealed.0)
        .map_err(|error| unreadable(error.to_string()))?;
    let text = std::str::from_utf8(&opened).map_err(|_| unreadable("is no text".to_owned()))?;
    WebhookSecret::parse(text).map_err(|error| unreadable(error.to_string()))
}

/// The secrets to sign with at `now`, oldest first. The current one has to be readable; an earlier one that was sealed
/// with a lost key is passed over, since a rotation is the way out of exactly that.
pub(crate) fn open_secrets(
    auth: &Auth,
    endpoint: &WebhookEndpoint,
    now: Timestamp,
) -> Result<Vec<WebhookSecret>, UnreadableSecret> {
    let open = |secret| open(auth, endpoint.id, secret);
    let mut valid = endpoint.secrets.valid_at(now);
    let current = valid.pop().map(open).transpose()?;
    Ok(valid.into_iter().filter_map(|secret| open(secret).ok()).chain(current).collect())
}

/// Where a secret is kept. The current one and the one before it have the same context, since a rotation
/// moves it from one column to the other.
fn context(endpoint: WebhookEndpointId) -> String {
    format!("webhook_endpoints/{endpoint}/secret")
}
