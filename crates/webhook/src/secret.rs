//! Webhook secrets: `whsec_` and the base64 of random bytes.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac::{self, HMAC_SHA256};
use ring::rand::SecureRandom;
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

/// What every secret begins with (Standard Webhooks, "Signature scheme").
const PREFIX: &str = "whsec_";
/// Random bytes in a secret made here.
const SECRET_BYTES: usize = 32;
/// The fewest bytes a secret may hold (Standard Webhooks: 192 bits).
const FEWEST_BYTES: usize = 24;
/// The most bytes a secret may hold (Standard Webhooks: 512 bits).
const MOST_BYTES: usize = 64;

/// What an endpoint and its merchant share, to sign deliveries with.
///
/// The same secret keys two schemes, in two forms: the text as it was shown, and the bytes that its base64 part
/// stands for. Both HMAC keys are made once, here, not for each delivery. The text is wiped when it is dropped; what
/// ring keeps of the keys, two SHA-256 states each, it has no way to wipe.
pub struct WebhookSecret {
    shown: SecretString,
    page_key: hmac::Key,
    standard_key: hmac::Key,
}

/// The source of randomness failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the system gave no randomness")]
pub struct RandomnessError;

/// Why text is no webhook secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WebhookSecretError {
    /// Something else altogether, or the prefix was cut off.
    #[error("must begin with whsec_")]
    Prefix,
    /// Mistyped, cut off, or with blanks around it.
    #[error("must be base64 after whsec_, and nothing else")]
    Base64,
    /// Too few bytes to be safe, or more than anybody gives out.
    #[error("must hold 24 to 64 bytes")]
    Length,
}

impl WebhookSecret {
    /// Makes a new secret of 256 random bits.
    ///
    /// # Errors
    /// [`RandomnessError`] when `random` fails.
    pub fn generate(random: &dyn SecureRandom) -> Result<Self, RandomnessError> {
        let mut bytes = Zeroizing::new([0; SECRET_BYTES]);
        random.fill(bytes.as_mut_slice()).map_err(|_| RandomnessError)?;
        let mut shown = String::with_capacity(64);
        shown.push_str(PREFIX);
        STANDARD.encode_string(bytes.as_slice(), &mut shown);
        Ok(Self::new(SecretString::from(shown), bytes.as_slice()))
    }

    /// Reads a secret as it was shown: `whsec_` and the base64 of 24 to 64 bytes.
    ///
    /// # Errors
    /// [`WebhookSecretError`] names the first rule that is broken.
    pub fn parse(text: &str) -> Result<Self, WebhookSecretError> {
        let base64 = text.strip_prefix(PREFIX).ok_or(WebhookSecretError::Prefix)?;
        let bytes = Zeroizing::new(STANDARD.decode(base64).map_err(|_| WebhookSecretError::Base64)?);
        if !(FEWEST_BYTES..=MOST_BYTES).contains(&bytes.len()) {
            return Err(WebhookSecretError::Length);
        }
        Ok(Self::new(SecretString::from(text), &bytes))
    }

    /// The secret itself, to be shown to its merchant once, or sealed.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.shown.expose_secret()
    }

    /// The key of the page's scheme: the UTF-8 bytes of the secret as it was shown.
    pub(crate) fn page_key(&self) -> &hmac::Key {
        &self.page_key
    }

    /// The key of the Standard Webhooks scheme: the bytes that the base64 part stands for.
    pub(crate) fn standard_key(&self) -> &hmac::Key {
        &self.standard_key
    }

    /// The base64 part, which is what is left when somebody cuts the prefix off.
    pub(crate) fn expose_base64(&self) -> &str {
        let shown = self.expose();
        shown.strip_prefix(PREFIX).unwrap_or(shown)
    }

    fn new(shown: SecretString, bytes: &[u8]) -> Self {
        Self {
            page_key: hmac::Key::new(HMAC_SHA256, shown.expose_secret().as_bytes()),
            standard_key: hmac::Key::new(HMAC_SHA256, bytes),
            shown,
        }
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret([REDACTED])")
    }
}

#[cfg(test)]
mod tests {
    use ring::rand::SystemRandom;

    use super::*;

    #[test]
    fn a_new_secret_reads_back_and_no_two_are_alike() {
        let secret = WebhookSecret::generate(&SystemRandom::new()).unwrap();
        assert_eq!(secret.expose().len(), 50);
        assert_eq!(STANDARD.decode(secret.expose_base64()).unwrap().len(), SECRET_BYTES);
        assert_eq!(WebhookSecret::parse(secret.expose()).unwrap().expose(), secret.expose());
        let other = WebhookSecret::generate(&SystemRandom::new()).unwrap();
        assert_ne!(secret.expose(), other.expose());
    }

    #[test]
    fn a_debug_print_shows_nothing_of_the_secret() {
        let secret = WebhookSecret::generate(&SystemRandom::new()).unwrap();
        assert_eq!(format!("{secret:?}"), "WebhookSecret([REDACTED])");
    }

    #[test]
    fn whatever_is_no_secret_is_refused_with_its_rule() {
        let of = |bytes: usize| format!("whsec_{}", STANDARD.encode(vec![7; bytes]));
        for (text, error) in [
            (String::new(), WebhookSecretError::Prefix),
            ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".into(), WebhookSecretError::Prefix),
            ("WHSEC_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".into(), WebhookSecretError::Prefix),
            (format!(" {}", of(32)), WebhookSecretError::Prefix),
            (format!("{}\n", of(32)), WebhookSecretError::Base64),
            (of(32).replace('=', ""), WebhookSecretError::Base64),
            ("whsec_not base64".into(), WebhookSecretError::Base64),
            ("whsec_".into(), WebhookSecretError::Length),
            (of(23), WebhookSecretError::Length),
            (of(65), WebhookSecretError::Length),
        ] {
            assert_eq!(WebhookSecret::parse(&text).unwrap_err(), error, "{text:?}");
        }
        for bytes in [24, 32, 64] {
            assert!(WebhookSecret::parse(&of(bytes)).is_ok(), "{bytes}");
        }
    }
}
