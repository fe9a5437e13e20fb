//! What is asked of deliveries.

use serde::Deserialize;
use utoipa::ToSchema;

use crate::fields::{Fields, FromFields, string};

/// The longest signature that is looked at: one that `signature` names needs far less.
const LONGEST_SIGNATURE: usize = 500;

/// A signature that somebody's code computed for a delivery.
#[derive(ToSchema, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only describes the body")]
pub(crate) struct DiagnosisRequest {
    /// What the code computed, for comparison with `X-Webhook-Signature`.
    #[schema(
        max_length = 500,
        example = "sha256=9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
    )]
    signature: String,
}

/// [`DiagnosisRequest`], read.
#[derive(Debug)]
pub(crate) struct Computed(pub(crate) String);

impl FromFields for Computed {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let signature = fields.required("signature", string)?;
        if signature.chars().count() > LONGEST_SIGNATURE {
            fields.refuse("signature", format!("must have at most {LONGEST_SIGNATURE} characters"));
            return None;
        }
        Some(Self(signature))
    }
}
