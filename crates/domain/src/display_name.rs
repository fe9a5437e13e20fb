//! Names people give to things: a shop, an API key.

use std::fmt;

/// 1–100 characters, trimmed, without control characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DisplayName(String);

/// Text that cannot be such a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DisplayNameError {
    /// Empty, or longer than 100 characters, after trimming.
    #[error("must have 1 to 100 characters")]
    Length,
    /// A control character, a line break included.
    #[error("must not hold control characters")]
    Control,
}

impl DisplayName {
    /// Trims and checks a name.
    ///
    /// # Errors
    /// [`DisplayNameError`] says which rule is broken.
    pub fn parse(text: &str) -> Result<Self, DisplayNameError> {
        let trimmed = text.trim();
        if !(1..=100).contains(&trimmed.chars().count()) {
            return Err(DisplayNameError::Length);
        }
        if trimmed.chars().any(char::is_control) {
            return Err(DisplayNameError::Control);
        }
        Ok(Self(trimmed.to_owned()))
    }

    /// The trimmed name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DisplayName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_hold_at_their_edges() {
        assert_eq!(DisplayName::parse("  Café 🏪 ").unwrap().as_str(), "Café 🏪");
        assert!(DisplayName::parse(&"ä".repeat(100)).is_ok());
        assert_eq!(DisplayName::parse(&"ä".repeat(101)), Err(DisplayNameError::Length));
        assert_eq!(DisplayName::parse(" \t "), Err(DisplayNameError::Length));
        assert_eq!(DisplayName::parse("a\u{0}b"), Err(DisplayNameError::Control));
        assert_eq!(DisplayName::parse("a\nb"), Err(DisplayNameError::Control));
    }
}
