//! Usernames.

use std::fmt;

/// A username as its owner writes it: 3–64 of `A–Z a–z 0–9 . _ -`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Username(String);

/// Text that cannot be a username.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UsernameError {
    /// Shorter than 3 or longer than 64 characters.
    #[error("must have 3 to 64 characters")]
    Length,
    /// A character outside the allowed ones.
    #[error("may hold only letters A–Z and a–z, digits, '.', '_' and '-'")]
    Character,
}

impl Username {
    /// Parses a username.
    ///
    /// # Errors
    /// [`UsernameError`] says which rule is broken.
    pub fn parse(text: &str) -> Result<Self, UsernameError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if !(3..=64).contains(&text.chars().count()) {
            return Err(UsernameError::Length);
        }
        if !text.chars().all(allowed) {
            return Err(UsernameError::Character);
        }
        Ok(Self(text.to_owned()))
    }

    /// The username as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form under which it is unique and looked up, without regard to case.
    #[must_use]
    pub fn lookup_form(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

impl fmt::Display for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_hold_at_their_edges() {
        for good in ["abc", "your-username", "A.b_C-9", &"x".repeat(64)] {
            assert_eq!(Username::parse(good).unwrap().as_str(), good);
        }
        for (bad, error) in [
            ("ab", UsernameError::Length),
            (&"x".repeat(65), UsernameError::Length),
            ("a b", UsernameError::Character),
            ("a@b", UsernameError::Character),
            ("abc\0", UsernameError::Character),
            ("ünï", UsernameError::Character),
        ] {
            assert_eq!(Username::parse(bad), Err(error), "{bad:?}");
        }
    }
}
