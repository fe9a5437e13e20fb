//! Events: the bytes of a delivery's body, made once and kept.

use cryptopay_domain::Timestamp;

use crate::canonical::{CanonicalObject, CanonicalValue};

/// The most bytes of a body. Express refuses more than 100 kB, which is 102,400 bytes to it.
pub const MAX_BODY_BYTES: usize = 100_000;

/// An event whose body the page's receiver would not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the event has {bytes} bytes, more than the {MAX_BODY_BYTES} that a receiver takes")]
pub struct EventTooLarge {
    /// How many bytes it has.
    pub bytes: usize,
}

/// The body of an event, `{"id", "type", "created_at", "data"}`, as every attempt to deliver it sends it.
///
/// # Errors
/// [`EventTooLarge`] beyond [`MAX_BODY_BYTES`].
pub fn event_body(
    id: &str,
    event_type: &str,
    created_at: Timestamp,
    data: CanonicalValue<'_>,
) -> Result<Vec<u8>, EventTooLarge> {
    let event = CanonicalObject::new()
        .with("id", id)
        .with("type", event_type)
        .with("created_at", created_at.to_string())
        .with("data", data);
    let body = CanonicalValue::from(event).to_bytes();
    if body.len() > MAX_BODY_BYTES {
        return Err(EventTooLarge { bytes: body.len() });
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CREATED_AT: Timestamp = Timestamp::from_unix_seconds(1_704_196_800);

    fn event_with(description: &str) -> Result<Vec<u8>, EventTooLarge> {
        let data = CanonicalObject::new().with("description", description);
        event_body("e1", "payment_order.paid", CREATED_AT, data.into())
    }

    #[test]
    fn a_body_is_compact_and_in_the_contract_s_order() {
        let body = event_with("Zwölf").unwrap();
        let expected = r#"{"id":"e1","type":"payment_order.paid","created_at":"2024-01-02T12:00:00Z","data":{"description":"Zwölf"}}"#;
        assert_eq!(String::from_utf8(body).unwrap(), expected);
    }

    #[test]
    fn a_body_of_the_greatest_size_is_made_and_one_byte_more_is_refused() {
        let room = MAX_BODY_BYTES - event_with("").unwrap().len();
        assert_eq!(event_with(&"x".repeat(room)).map(|body| body.len()), Ok(MAX_BODY_BYTES));
        let bytes = MAX_BODY_BYTES + 1;
        assert_eq!(event_with(&"x".repeat(room + 1)), Err(EventTooLarge { bytes }));
    }
}
