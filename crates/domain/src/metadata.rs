//! A merchant's own notes on an order: pairs of texts that mean nothing to us.

use std::collections::BTreeMap;

/// Pairs an order may have.
pub const MAX_PAIRS: usize = 50;
/// Characters a key may have.
pub const MAX_KEY: usize = 100;
/// Characters a value may have.
pub const MAX_VALUE: usize = 1000;

/// At most 50 pairs of texts. Keys have at most 100 characters, none included, and values at most 1000, of
/// any kind but U+0000.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata(BTreeMap<String, String>);

/// Pairs that cannot be metadata.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    /// More than 50 pairs.
    #[error("must have at most 50 pairs")]
    TooManyPairs,
    /// A key of more than 100 characters.
    #[error("a key must have at most 100 characters")]
    KeyTooLong,
    /// A value of more than 1000 characters, under this key.
    #[error("the value of {0:?} must have at most 1000 characters")]
    ValueTooLong(String),
    /// The one character that PostgreSQL cannot keep, in a key or a value.
    #[error("must not hold the character U+0000")]
    Nul,
    /// A key that occurs twice.
    #[error("{0:?} occurs twice")]
    DuplicateKey(String),
}

impl Metadata {
    /// Checks pairs, in any order.
    ///
    /// # Errors
    /// [`MetadataError`] says which rule is broken, and where.
    pub fn new(pairs: Vec<(String, String)>) -> Result<Self, MetadataError> {
        if pairs.len() > MAX_PAIRS {
            return Err(MetadataError::TooManyPairs);
        }
        let mut checked = BTreeMap::new();
        for (key, value) in pairs {
            if key.contains('\0') || value.contains('\0') {
                return Err(MetadataError::Nul);
            }
            if key.chars().count() > MAX_KEY {
                return Err(MetadataError::KeyTooLong);
            }
            if value.chars().count() > MAX_VALUE {
                return Err(MetadataError::ValueTooLong(key));
            }
            if checked.contains_key(&key) {
                return Err(MetadataError::DuplicateKey(key));
            }
            checked.insert(key, value);
        }
        Ok(Self(checked))
    }

    /// The pairs, sorted by key.
    pub fn pairs(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(pairs: &[(&str, &str)]) -> Result<Metadata, MetadataError> {
        Metadata::new(pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn pairs_come_back_sorted_by_key() {
        let made = metadata(&[("b", "2"), ("", "empty"), ("a", "1\n"), ("__proto__", "x")]).unwrap();
        let pairs: Vec<_> = made.pairs().collect();
        assert_eq!(pairs, [("", "empty"), ("__proto__", "x"), ("a", "1\n"), ("b", "2")]);
    }

    #[test]
    fn the_rules_hold_at_their_edges() {
        let many = |count: usize| (0..count).map(|number| (number.to_string(), String::new())).collect();
        assert!(Metadata::new(many(50)).is_ok());
        assert_eq!(Metadata::new(many(51)), Err(MetadataError::TooManyPairs));
        let (key, value) = ("ä".repeat(100), "ä".repeat(1000));
        assert!(metadata(&[(&key, &value)]).is_ok());
        assert_eq!(metadata(&[(&"ä".repeat(101), "")]), Err(MetadataError::KeyTooLong));
        assert_eq!(metadata(&[("k", &"ä".repeat(1001))]), Err(MetadataError::ValueTooLong("k".to_owned())));
        for nul in [("a\0", ""), ("a", "\0")] {
            assert_eq!(metadata(&[nul]), Err(MetadataError::Nul));
        }
        assert_eq!(metadata(&[("k", "1"), ("k", "1")]), Err(MetadataError::DuplicateKey("k".to_owned())));
    }
}
