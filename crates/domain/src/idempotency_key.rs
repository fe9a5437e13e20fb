//! What a caller names a request by, so that sending it again does nothing twice.

use std::time::Duration;

/// How long an answer is kept for requests of the same key.
pub const ANSWER_KEPT: Duration = Duration::from_secs(24 * 3600);

/// The value of an `Idempotency-Key` header: 1–255 printable ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(String);

/// Text that cannot be such a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must have 1 to 255 printable ASCII characters")]
pub struct IdempotencyKeyError;

impl IdempotencyKey {
    /// Checks a key.
    ///
    /// # Errors
    /// [`IdempotencyKeyError`] when it is empty, too long, or holds anything but printable ASCII.
    pub fn parse(text: &str) -> Result<Self, IdempotencyKeyError> {
        let printable = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        if printable && (1..=255).contains(&text.len()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(IdempotencyKeyError)
        }
    }

    /// The key.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_hold_at_their_edges() {
        for right in ["a", "~", "order 7", &"k".repeat(255)] {
            assert_eq!(IdempotencyKey::parse(right).unwrap().as_str(), right);
        }
        for wrong in ["", "ä", "a\tb", "a\u{7f}", "a\0", &"k".repeat(256)] {
            assert_eq!(IdempotencyKey::parse(wrong), Err(IdempotencyKeyError), "{wrong:?}");
        }
    }
}
