//! The keys that somebody may have made of a secret.

use ring::hmac::{self, HMAC_SHA256};
use zeroize::Zeroizing;

use super::presented::decode_lenient;
use super::{Finding, SecretRole};
use crate::WebhookSecret;

/// A way to use a secret as a key.
pub(super) struct KeyForm {
    pub(super) key: hmac::Key,
    pub(super) findings: Vec<Finding>,
}

/// Every way in which a secret is known to be used.
pub(super) fn keys_of(role: SecretRole, secret: &WebhookSecret) -> impl Iterator<Item = KeyForm> {
    let of_role = match role {
        SecretRole::Signing => None,
        SecretRole::Upcoming => Some(Finding::NewSecret),
        SecretRole::Ended => Some(Finding::OldSecret),
    };
    let key = |bytes: &[u8]| hmac::Key::new(HMAC_SHA256, bytes);
    let with_newline = Zeroizing::new(format!("{}\n", secret.expose()));
    let forms = [
        Some((secret.page_key().clone(), None)),
        Some((secret.standard_key().clone(), Some(Finding::SecretDecoded))),
        // What Node's Buffer.from(secret, 'base64') makes of the whole text.
        decode_lenient(secret.expose()).map(|bytes| (key(&bytes), Some(Finding::SecretDecoded))),
        Some((key(secret.expose_base64().as_bytes()), Some(Finding::SecretWithoutPrefix))),
        Some((key(with_newline.as_bytes()), Some(Finding::SecretWithNewline))),
    ];
    forms
        .into_iter()
        .flatten()
        .map(move |(key, mistake)| KeyForm { key, findings: of_role.into_iter().chain(mistake).collect() })
}
