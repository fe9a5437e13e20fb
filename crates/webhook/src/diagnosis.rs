//! The webhook doctor: finds out how a merchant's code came to another signature than the delivery's.
//!
//! It makes the known mistakes one after the other, and together where they come together, until one of them gives
//! the signature that the merchant's code has computed.

mod body_form;
mod encoders;
mod finding;
mod key_form;
mod presented;

pub use finding::Finding;

use crate::WebhookSecret;
use body_form::forms_of;
use key_form::keys_of;
use presented::Presented;

/// What a secret is to a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretRole {
    /// The delivery's `X-Webhook-Signature` was made with it.
    Signing,
    /// It is the newer one of a rotation that overlaps: only `webhook-signature` was made with it.
    Upcoming,
    /// A rotation has ended it.
    Ended,
}

/// What became of a diagnosis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Diagnosis {
    /// It is the delivery's signature.
    Correct,
    /// These mistakes together give the signature.
    Explained(Vec<Finding>),
    /// It is the size of a signature, and no known mistake gives it.
    Unknown,
    /// It is no HMAC-SHA256 in hex or base64.
    NotASignature,
}

impl Diagnosis {
    /// Its name for programs, which never changes.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Correct => "correct",
            Self::Explained(_) => "explained",
            Self::Unknown => "unknown",
            Self::NotASignature => "not_a_signature",
        }
    }

    /// What it means, in a sentence or two; the advice of each finding goes further.
    #[must_use]
    pub fn summary(&self) -> &'static str {
        match self {
            Self::Correct => "This is the delivery's X-Webhook-Signature. What your code computes is right.",
            Self::Explained(_) => {
                "Your code signs something else, or in another way. This is how it comes to its signature."
            }
            Self::Unknown => {
                "None of the known mistakes gives this signature. Check that it belongs to this delivery, and that your \
                 code uses this endpoint's secret and the bytes of the body exactly as they were received."
            }
            Self::NotASignature => {
                "This is no HMAC-SHA256: that would be 64 hex digits, or 44 of base64. Check that your code uses \
                 SHA-256 and writes all of its 32 bytes."
            }
        }
    }

    /// The mistakes, if there are known ones.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        match self {
            Self::Explained(findings) => findings,
            Self::Correct | Self::Unknown | Self::NotASignature => &[],
        }
    }
}

/// Finds out how `signature`, which a merchant's code computed, comes from the delivery's `body`.
///
/// It takes some hundred HMACs of the body: a millisecond for a usual one, some tens of them for the largest there is.
#[must_use]
pub fn diagnose(signature: &str, body: &[u8], secrets: &[(SecretRole, &WebhookSecret)]) -> Diagnosis {
    let Some(presented) = Presented::read(signature) else { return Diagnosis::NotASignature };
    let keys: Vec<_> = secrets.iter().flat_map(|(role, secret)| keys_of(*role, secret)).collect();
    for form in forms_of(body) {
        for key in &keys {
            if let Some(ending) = form.ending_that_gives(&presented.tag, &key.key) {
                let all = [&presented.findings, &key.findings, &form.findings, ending];
                return explained(all.into_iter().flatten().copied().collect());
            }
        }
    }
    Diagnosis::Unknown
}

fn explained(findings: Vec<Finding>) -> Diagnosis {
    if findings.is_empty() { Diagnosis::Correct } else { Diagnosis::Explained(findings) }
}
