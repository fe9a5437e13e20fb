//! Free text that a merchant puts to an order or an endpoint.

use std::fmt;

/// Characters it may have.
pub const MAX_DESCRIPTION: usize = 500;

/// At most 500 characters of any kind but U+0000, kept as they were given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description(String);

/// Text that cannot be a description.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DescriptionError {
    /// Longer than 500 characters.
    #[error("must have at most 500 characters")]
    TooLong,
    /// The one character that PostgreSQL cannot keep.
    #[error("must not hold the character U+0000")]
    Nul,
}

impl Description {
    /// Checks a text.
    ///
    /// # Errors
    /// [`DescriptionError`] says which rule is broken.
    pub fn parse(text: &str) -> Result<Self, DescriptionError> {
        if text.contains('\0') {
            return Err(DescriptionError::Nul);
        }
        if text.chars().count() > MAX_DESCRIPTION {
            return Err(DescriptionError::TooLong);
        }
        Ok(Self(text.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_but_nul_is_welcome() {
        for text in ["", " \t\n\u{7f}\u{2028}🏪", &"ä".repeat(500)] {
            assert_eq!(Description::parse(text).unwrap().as_str(), text);
        }
        assert_eq!(Description::parse("a\0b"), Err(DescriptionError::Nul));
        assert_eq!(Description::parse(&"ä".repeat(501)), Err(DescriptionError::TooLong));
    }
}
