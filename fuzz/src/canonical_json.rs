//! JSON as webhook bodies are written in: read, written, and read again.

use cryptopay_webhook::CanonicalValue;

use crate::Verdict;

/// Checks that a value has one text, which serde_json writes alike.
///
/// # Panics
/// When a promise is broken.
#[must_use]
pub fn check(data: &[u8]) -> Verdict {
    let read = |bytes: &[u8]| serde_json::from_slice::<CanonicalValue<'static>>(bytes);
    let value = read(data);
    if let Ok(value) = &value {
        let text = value.to_bytes();
        assert_eq!(serde_json::to_vec(value).ok().as_ref(), Some(&text));
        let again = read(&text);
        assert_eq!(again.as_ref().ok(), Some(value));
        assert_eq!(again.map(|again| again.to_bytes()).ok(), Some(text));
    }
    Verdict::of(&value)
}
