//! Signatures: the page's scheme and Standard Webhooks, over the same bytes with the same secret.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cryptopay_domain::Timestamp;
use ring::hmac;

use crate::WebhookSecret;

/// The header of the page's scheme.
pub const PAGE_SIGNATURE_HEADER: &str = "X-Webhook-Signature";
/// The event's id (Standard Webhooks).
pub const ID_HEADER: &str = "webhook-id";
/// When the attempt was signed, in seconds since 1970 (Standard Webhooks).
pub const TIMESTAMP_HEADER: &str = "webhook-timestamp";
/// All valid signatures of the attempt, separated by blanks (Standard Webhooks).
pub const SIGNATURE_HEADER: &str = "webhook-signature";

/// What a symmetric signature begins with (Standard Webhooks, "Signature scheme").
pub(crate) const VERSION_PREFIX: &str = "v1,";

/// The page's signature: HMAC-SHA256 (RFC 2104) of the body, keyed with the secret as it was shown.
///
/// Exactly 64 lower-case hex digits: `timingSafeEqual` in the page's receiver throws at anything shorter or longer.
#[must_use]
pub fn page_signature(secret: &WebhookSecret, body: &[u8]) -> String {
    hex(hmac::sign(secret.page_key(), body).as_ref())
}

/// The Standard Webhooks signature: `v1,` and the base64 of the HMAC-SHA256 of `id.timestamp.body`, keyed with the
/// bytes behind the secret's base64 part. `timestamp` is in seconds since 1970.
#[must_use]
pub fn standard_signature(secret: &WebhookSecret, id: &str, timestamp: i64, body: &[u8]) -> String {
    let mut signature = String::with_capacity(VERSION_PREFIX.len() + 44);
    push_standard_signature(&mut signature, secret, id, &timestamp.to_string(), body);
    signature
}

/// The four headers that sign one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedHeaders {
    page_signature: String,
    id: String,
    timestamp: String,
    signatures: String,
}

impl SignedHeaders {
    /// Signs `body` for an attempt at `now` with every secret that is valid then, oldest first.
    ///
    /// The page's header has room for one signature, made with the *oldest* secret: during an overlap that is the one
    /// a receiver surely knows. `webhook-signature` carries all, newest first. Without any secret both are empty, and
    /// every receiver refuses the attempt.
    #[must_use]
    pub fn new(secrets: &[&WebhookSecret], event_id: &str, now: Timestamp, body: &[u8]) -> Self {
        let timestamp = now.unix_seconds().to_string();
        let mut signatures = String::with_capacity(secrets.len() * 48);
        for secret in secrets.iter().rev() {
            if !signatures.is_empty() {
                signatures.push(' ');
            }
            push_standard_signature(&mut signatures, secret, event_id, &timestamp, body);
        }
        Self {
            page_signature: secrets.first().map(|oldest| page_signature(oldest, body)).unwrap_or_default(),
            id: event_id.to_owned(),
            timestamp,
            signatures,
        }
    }

    /// Each header with its value.
    #[must_use]
    pub fn into_pairs(self) -> [(&'static str, String); 4] {
        [
            (PAGE_SIGNATURE_HEADER, self.page_signature),
            (ID_HEADER, self.id),
            (TIMESTAMP_HEADER, self.timestamp),
            (SIGNATURE_HEADER, self.signatures),
        ]
    }
}

/// The HMAC that a Standard Webhooks signature is made of.
pub(crate) fn standard_tag(secret: &WebhookSecret, id: &str, timestamp: &str, body: &[u8]) -> hmac::Tag {
    let mut context = hmac::Context::with_key(secret.standard_key());
    for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
        context.update(part);
    }
    context.sign()
}

fn push_standard_signature(
    text: &mut String,
    secret: &WebhookSecret,
    id: &str,
    timestamp: &str,
    body: &[u8],
) {
    text.push_str(VERSION_PREFIX);
    STANDARD.encode_string(standard_tag(secret, id, timestamp, body), text);
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|digit| DIGITS[usize::from(digit)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Secret, id, time and body of the example that the Standard Webhooks libraries test themselves with.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const TIMESTAMP: i64 = 1_614_265_330;
    const BODY: &[u8] = br#"{"test": 2432232314}"#;

    fn secret(text: &str) -> WebhookSecret {
        WebhookSecret::parse(text).unwrap()
    }

    #[test]
    fn the_example_of_standard_webhooks_signs_as_published() {
        let signature = standard_signature(&secret(SECRET), ID, TIMESTAMP, BODY);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn the_page_s_signature_is_what_node_s_create_hmac_gives_for_the_shown_text() {
        let signature = page_signature(&secret(SECRET), BODY);
        assert_eq!(signature, "80ec8a89ce3cd22133a1066caecb4d04fea7467657c8514d717ec42c38a5c94c");
    }

    #[test]
    fn a_rotation_signs_with_the_oldest_for_the_page_and_with_all_newest_first() {
        let (old, new) = (secret(SECRET), secret("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="));
        let now = Timestamp::from_unix_micros(TIMESTAMP * 1_000_000 + 999_999);
        let signatures = [&new, &old].map(|secret| standard_signature(secret, ID, TIMESTAMP, BODY));
        assert_eq!(
            SignedHeaders::new(&[&old, &new], ID, now, BODY).into_pairs(),
            [
                ("X-Webhook-Signature", page_signature(&old, BODY)),
                ("webhook-id", ID.to_owned()),
                ("webhook-timestamp", TIMESTAMP.to_string()),
                ("webhook-signature", signatures.join(" ")),
            ]
        );
    }

    #[test]
    fn without_a_secret_nothing_is_signed() {
        let [page, _, _, standard] = SignedHeaders::new(&[], ID, Timestamp::MAX, BODY).into_pairs();
        assert_eq!((page.1.as_str(), standard.1.as_str()), ("", ""));
    }
}
