//! Seals secrets anew after a rotation of the encryption keys, so that the older keys can go.

use std::convert::Infallible;

use cryptopay_auth::Outcome;
use cryptopay_domain::webhook_endpoint::{EndpointSecrets, PreviousSecret, SealedSecret};
use cryptopay_domain::{WebhookEndpoint, WebhookEndpointId};
use cryptopay_store::webhook_endpoint::EndpointChange;

use crate::core::{Inner, Payments};
use crate::sealed;

/// How many endpoints are read at a time.
const PAGE: usize = 500;

/// What became of the secrets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resealed {
    /// So many are sealed with the active key now, and were not before.
    pub sealed_anew: usize,
    /// So many are in use and no key at hand opens them: they are as they were.
    pub unreadable: usize,
}

/// A secret as it was sealed, and as it is to be.
type Replacement = (SealedSecret, SealedSecret);

impl Payments {
    /// Seals every webhook secret anew that another than the active key sealed, while servers go on.
    ///
    /// # Errors
    /// [`cryptopay_auth::Failure`] when the store does not answer or there are no random bits. What was done until then stays,
    /// and the next call does the rest.
    pub async fn reseal_secrets(&self) -> Outcome<Resealed, Infallible> {
        let mut resealed = Resealed::default();
        let mut last: Option<WebhookEndpointId> = None;
        loop {
            let endpoints = self.inner.store().list_endpoints_of_all(last, PAGE).await?;
            let Some(newest) = endpoints.last() else { return Ok(resealed) };
            last = Some(newest.id);
            for endpoint in &endpoints {
                self.inner.reseal_secrets_of(endpoint, &mut resealed).await?;
            }
        }
    }
}

impl Inner {
    async fn reseal_secrets_of(
        &self,
        endpoint: &WebhookEndpoint,
        resealed: &mut Resealed,
    ) -> Outcome<(), Infallible> {
        let (ring, now) = (self.auth.encryption(), self.now());
        let in_use = endpoint.secrets.valid_at(now);
        let mut replacements: Vec<Replacement> = Vec::new();
        for old in every_secret(&endpoint.secrets).filter(|old| !ring.is_sealed_by_active(&old.0)) {
            match sealed::open(&self.auth, endpoint.id, old) {
                Ok(secret) => replacements.push((old.clone(), self.seal(endpoint.id, &secret)?)),
                // Of one that has ended nobody has any use.
                Err(_) if !in_use.contains(&old) => {}
                Err(error) => {
                    tracing::warn!(%error, "a secret cannot be sealed anew");
                    resealed.unreadable += 1;
                }
            }
        }
        if replacements.is_empty() {
            return Ok(());
        }
        let count = replacements.len();
        let replace = move |found: WebhookEndpoint| {
            let secrets = replaced(found.secrets, &replacements);
            Ok::<_, Infallible>((WebhookEndpoint { secrets, ..found }, Vec::new()))
        };
        let written =
            self.store().change_webhook_endpoint(endpoint.user_id, endpoint.id, now, replace).await?;
        if matches!(written, EndpointChange::Changed(_)) {
            resealed.sealed_anew += count;
        }
        Ok(())
    }
}

fn every_secret(secrets: &EndpointSecrets) -> impl Iterator<Item = &SealedSecret> {
    secrets.previous.iter().map(|previous| &previous.secret).chain([&secrets.current])
}

/// The secrets as they are by now, each sealed anew if that was prepared: one that was rotated meanwhile is not
/// taken back.
fn replaced(secrets: EndpointSecrets, replacements: &[Replacement]) -> EndpointSecrets {
    let anew = |secret: SealedSecret| match replacements.iter().find(|(old, _)| *old == secret) {
        Some((_, new)) => new.clone(),
        None => secret,
    };
    EndpointSecrets {
        current: anew(secrets.current),
        previous: secrets.previous.map(|it| PreviousSecret { secret: anew(it.secret), ..it }),
    }
}
