//! The receiving side: checks that a delivery is genuine, fresh and whole.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cryptopay_domain::Timestamp;
use subtle::ConstantTimeEq as _;

use crate::WebhookSecret;
use crate::signature::{ID_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER, VERSION_PREFIX, standard_tag};

/// How far the clocks of sender and receiver may be apart, delivery included (Standard Webhooks, "Verifying
/// webhook authenticity").
pub const TOLERANCE: Duration = Duration::from_secs(5 * 60);

/// Verifies the deliveries to one endpoint, by the Standard Webhooks scheme.
#[derive(Debug)]
pub struct Receiver {
    secret: WebhookSecret,
}

/// Why a delivery is not to be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReceiverError {
    /// A header that every delivery carries is not there.
    #[error("the header {0} is missing")]
    MissingHeader(&'static str),
    /// The timestamp is no number of seconds.
    #[error("the header webhook-timestamp is no number of seconds")]
    MalformedTimestamp,
    /// An old delivery, perhaps replayed by somebody who overheard it.
    #[error("the delivery was signed more than five minutes ago")]
    TooOld,
    /// The clocks differ by too much.
    #[error("the delivery was signed more than five minutes from now")]
    TooNew,
    /// Another secret, or bytes that are not those that were signed.
    #[error("no signature matches: another secret, or a body that is not the one received, byte for byte")]
    NoMatchingSignature,
}

impl Receiver {
    /// A receiver for the endpoint with this secret.
    #[must_use]
    pub fn new(secret: WebhookSecret) -> Self {
        Self { secret }
    }

    /// Checks a delivery that arrived at `now`. `header` looks up a header by its lower-case name; `body` is the body
    /// as it was received, before anything has parsed it.
    ///
    /// While its secret is being rotated a delivery carries several signatures; one that matches is enough. Remember
    /// the `webhook-id`s of the last days, since a delivery may come more than once.
    ///
    /// # Errors
    /// [`ReceiverError`] when the delivery is not to be believed: answer 401, and do nothing else.
    pub fn verify<'h>(
        &self,
        header: impl Fn(&'static str) -> Option<&'h str>,
        body: &[u8],
        now: Timestamp,
    ) -> Result<(), ReceiverError> {
        let header = |name| header(name).ok_or(ReceiverError::MissingHeader(name));
        let (id, timestamp, signatures) =
            (header(ID_HEADER)?, header(TIMESTAMP_HEADER)?, header(SIGNATURE_HEADER)?);
        check_timestamp(timestamp, now)?;
        let expected = standard_tag(&self.secret, id, timestamp, body);
        let mut presented = signatures.split(' ').filter_map(|signature| {
            // Other versions are other schemes: they are passed over.
            STANDARD.decode(signature.strip_prefix(VERSION_PREFIX)?).ok()
        });
        presented
            .any(|tag| bool::from(tag.ct_eq(expected.as_ref())))
            .then_some(())
            .ok_or(ReceiverError::NoMatchingSignature)
    }
}

fn check_timestamp(text: &str, now: Timestamp) -> Result<(), ReceiverError> {
    let seconds: i64 = text.parse().map_err(|_| ReceiverError::MalformedTimestamp)?;
    let signed_at = Timestamp::from_unix_seconds(seconds);
    if now.since(signed_at) > TOLERANCE {
        return Err(ReceiverError::TooOld);
    }
    if signed_at.since(now) > TOLERANCE {
        return Err(ReceiverError::TooNew);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::SignedHeaders;

    const OLD: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const NEW: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    const BODY: &[u8] = br#"{"id":"e1"}"#;
    const NOW: Timestamp = Timestamp::from_unix_seconds(1_700_000_000);

    fn secret(text: &str) -> WebhookSecret {
        WebhookSecret::parse(text).unwrap()
    }

    /// The headers of a delivery that is signed during a rotation.
    fn headers() -> HashMap<String, String> {
        let pairs = SignedHeaders::new(&[&secret(OLD), &secret(NEW)], "e1", NOW, BODY).into_pairs();
        pairs.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect()
    }

    fn verify(
        headers: &HashMap<String, String>,
        with: &str,
        body: &[u8],
        now: Timestamp,
    ) -> Result<(), ReceiverError> {
        Receiver::new(secret(with)).verify(|name| headers.get(name).map(String::as_str), body, now)
    }

    #[test]
    fn either_secret_of_a_rotation_verifies_a_delivery() {
        assert_eq!(verify(&headers(), OLD, BODY, NOW), Ok(()));
        assert_eq!(verify(&headers(), NEW, BODY, NOW), Ok(()));
    }

    #[test]
    fn a_changed_body_or_id_or_time_or_another_secret_is_refused() {
        let refused = Err(ReceiverError::NoMatchingSignature);
        assert_eq!(verify(&headers(), OLD, br#"{"id":"e2"}"#, NOW), refused);
        assert_eq!(verify(&headers(), OLD, b"", NOW), refused);
        let other = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSx";
        assert_eq!(verify(&headers(), other, BODY, NOW), refused);
        for (name, value) in [("webhook-id", "e2"), ("webhook-timestamp", "1700000001")] {
            let mut changed = headers();
            changed.insert(name.into(), value.into());
            assert_eq!(verify(&changed, OLD, BODY, NOW), refused, "{name}");
        }
    }

    #[test]
    fn signatures_of_another_version_or_cut_short_count_for_nothing() {
        let good = headers()[SIGNATURE_HEADER].split(' ').next().unwrap().to_owned();
        for (signatures, verdict) in [
            (format!("v1a,AAAA v2,{} {good}", &good[3..]), Ok(())),
            (good.replace("v1,", "v2,"), Err(ReceiverError::NoMatchingSignature)),
            (good.replace("v1,", ""), Err(ReceiverError::NoMatchingSignature)),
            (good[..good.len() - 4].to_owned(), Err(ReceiverError::NoMatchingSignature)),
            ("v1,".into(), Err(ReceiverError::NoMatchingSignature)),
            (String::new(), Err(ReceiverError::NoMatchingSignature)),
        ] {
            let mut changed = headers();
            changed.insert(SIGNATURE_HEADER.into(), signatures.clone());
            assert_eq!(verify(&changed, NEW, BODY, NOW), verdict, "{signatures}");
        }
    }

    #[test]
    fn five_minutes_either_way_are_fresh_and_one_second_more_is_not() {
        let second = Duration::from_secs(1);
        assert_eq!(verify(&headers(), OLD, BODY, NOW.after(TOLERANCE)), Ok(()));
        assert_eq!(verify(&headers(), OLD, BODY, NOW.before(TOLERANCE)), Ok(()));
        let late = NOW.after(TOLERANCE + second);
        assert_eq!(verify(&headers(), OLD, BODY, late), Err(ReceiverError::TooOld));
        let early = NOW.before(TOLERANCE + second);
        assert_eq!(verify(&headers(), OLD, BODY, early), Err(ReceiverError::TooNew));
    }

    #[test]
    fn a_header_that_is_missing_or_no_number_is_named() {
        for name in [ID_HEADER, TIMESTAMP_HEADER, SIGNATURE_HEADER] {
            let mut fewer = headers();
            fewer.remove(name);
            assert_eq!(verify(&fewer, OLD, BODY, NOW), Err(ReceiverError::MissingHeader(name)));
        }
        for text in ["", "soon", "1e9", "99999999999999999999"] {
            let mut changed = headers();
            changed.insert(TIMESTAMP_HEADER.into(), text.into());
            assert_eq!(verify(&changed, OLD, BODY, NOW), Err(ReceiverError::MalformedTimestamp), "{text}");
        }
    }
}
