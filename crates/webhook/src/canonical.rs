//! JSON that a JavaScript engine gives back byte for byte: `JSON.stringify(JSON.parse(text)) === text`.
//!
//! The page's receiver checks its signature over `JSON.stringify(req.body)`, so what is signed must be what
//! ECMAScript's `JSON.stringify` writes: compact, its very escapes, and keys in the order of `OrdinaryOwnPropertyKeys`
//! (ECMA-262, 10.1.11.1): array indices by number, then the others as they came. Floating-point numbers, whose text
//! differs between languages, do not exist here; amounts are strings.

mod serde;
mod text;

use std::borrow::Cow;

use text::write_text;

/// The greatest integer that every JavaScript number holds exactly, 2^53 − 1 (ECMA-262, `Number.MAX_SAFE_INTEGER`).
const GREATEST_SAFE_INTEGER: i64 = (1 << 53) - 1;
/// The greatest array index (ECMA-262, 6.1.7); a greater number is a key like any other.
const GREATEST_ARRAY_INDEX: u32 = u32::MAX - 1;
/// What most events fit into.
const USUAL_BYTES: usize = 4096;

/// A JSON value that has one spelling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CanonicalValue<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Boolean(bool),
    /// A whole number.
    Integer(SafeInteger),
    /// A string.
    Text(Cow<'a, str>),
    /// An array.
    Array(Vec<CanonicalValue<'a>>),
    /// An object.
    Object(CanonicalObject<'a>),
}

impl CanonicalValue<'_> {
    /// Its text, in UTF-8.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(USUAL_BYTES);
        self.write_to(&mut bytes);
        bytes
    }

    fn write_to(&self, out: &mut Vec<u8>) {
        match self {
            Self::Null => out.extend_from_slice(b"null"),
            Self::Boolean(true) => out.extend_from_slice(b"true"),
            Self::Boolean(false) => out.extend_from_slice(b"false"),
            Self::Integer(integer) => out.extend_from_slice(integer.0.to_string().as_bytes()),
            Self::Text(text) => write_text(text, out),
            Self::Array(items) => {
                out.push(b'[');
                for (index, item) in items.iter().enumerate() {
                    separate(index, out);
                    item.write_to(out);
                }
                out.push(b']');
            }
            Self::Object(object) => object.write_to(out),
        }
    }
}

impl<'a> From<&'a str> for CanonicalValue<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<String> for CanonicalValue<'_> {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

impl From<bool> for CanonicalValue<'_> {
    fn from(truth: bool) -> Self {
        Self::Boolean(truth)
    }
}

impl From<SafeInteger> for CanonicalValue<'_> {
    fn from(integer: SafeInteger) -> Self {
        Self::Integer(integer)
    }
}

impl<'a> From<CanonicalObject<'a>> for CanonicalValue<'a> {
    fn from(object: CanonicalObject<'a>) -> Self {
        Self::Object(object)
    }
}

impl<'a, T: Into<CanonicalValue<'a>>> From<Vec<T>> for CanonicalValue<'a> {
    fn from(items: Vec<T>) -> Self {
        Self::Array(items.into_iter().map(Into::into).collect())
    }
}

/// `None` is `null`.
impl<'a, T: Into<CanonicalValue<'a>>> From<Option<T>> for CanonicalValue<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// An integer that survives JavaScript's numbers: within ±(2^53 − 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SafeInteger(i64);

/// An integer that JavaScript would round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must lie within ±(2^53 - 1)")]
pub struct UnsafeInteger;

impl TryFrom<i64> for SafeInteger {
    type Error = UnsafeInteger;

    fn try_from(integer: i64) -> Result<Self, UnsafeInteger> {
        (-GREATEST_SAFE_INTEGER..=GREATEST_SAFE_INTEGER)
            .contains(&integer)
            .then_some(Self(integer))
            .ok_or(UnsafeInteger)
    }
}

impl SafeInteger {
    /// The integer.
    #[must_use]
    pub fn get(self) -> i64 {
        self.0
    }
}

/// A JSON object: each key once, in the order in which JavaScript lists them.
///
/// Made for objects of some dozens of keys: adding a key looks at those before it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CanonicalObject<'a> {
    /// Array indices first, by number; then the others as they came.
    entries: Vec<(Cow<'a, str>, CanonicalValue<'a>)>,
    /// How many entries, from the first on, are array indices.
    indices: usize,
}

impl<'a> CanonicalObject<'a> {
    /// An object without keys.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// This object with one key more. A key that is there already takes the new value in its old place, as it does
    /// in JavaScript. `__proto__` is a key like any other, and so it is to `JSON.parse`.
    #[must_use]
    pub fn with(mut self, key: impl Into<Cow<'a, str>>, value: impl Into<CanonicalValue<'a>>) -> Self {
        let (key, value) = (key.into(), value.into());
        match self.place_of(&key) {
            Place::Taken(position) => self.entries[position].1 = value,
            Place::AmongIndices(position) => {
                self.entries.insert(position, (key, value));
                self.indices += 1;
            }
            Place::Last => self.entries.push((key, value)),
        }
        self
    }

    /// Keys and values in their order.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = (&str, &CanonicalValue<'a>)> {
        self.entries.iter().map(|(key, value)| (key.as_ref(), value))
    }

    fn place_of(&self, key: &str) -> Place {
        let (indices, names) = self.entries.split_at(self.indices);
        if array_index(key).is_none() {
            let position = names.iter().position(|(name, _)| name == key);
            return position.map_or(Place::Last, |position| Place::Taken(self.indices + position));
        }
        // Canonical numbers order like their digits once the shorter ones come first.
        match indices.binary_search_by(|(index, _)| (index.len(), index.as_ref()).cmp(&(key.len(), key))) {
            Ok(position) => Place::Taken(position),
            Err(position) => Place::AmongIndices(position),
        }
    }

    fn write_to(&self, out: &mut Vec<u8>) {
        out.push(b'{');
        for (index, (key, value)) in self.entries.iter().enumerate() {
            separate(index, out);
            write_text(key, out);
            out.push(b':');
            value.write_to(out);
        }
        out.push(b'}');
    }
}

/// Where a key belongs.
enum Place {
    Taken(usize),
    AmongIndices(usize),
    Last,
}

/// The array index that a key is to JavaScript: a canonical decimal number up to 2^32 − 2.
fn array_index(key: &str) -> Option<u32> {
    let canonical = key.len() <= 10
        && key.bytes().all(|byte| byte.is_ascii_digit())
        && (key == "0" || !key.starts_with('0'));
    if !canonical {
        return None;
    }
    key.parse().ok().filter(|index| *index <= GREATEST_ARRAY_INDEX)
}

fn separate(index: usize, out: &mut Vec<u8>) {
    if index > 0 {
        out.push(b',');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: impl Into<CanonicalValue<'static>>) -> String {
        String::from_utf8(value.into().to_bytes()).unwrap()
    }

    fn keys(given: &[&'static str]) -> Vec<String> {
        let object = given.iter().fold(CanonicalObject::new(), |object, key| object.with(*key, *key));
        object.entries().map(|(key, _)| key.to_owned()).collect()
    }

    #[test]
    fn values_are_written_compactly() {
        let array = vec![CanonicalValue::Null, true.into(), false.into(), "a".into()];
        let object = CanonicalObject::new().with("list", array).with("none", None::<String>);
        assert_eq!(text(object), r#"{"list":[null,true,false,"a"],"none":null}"#);
        assert_eq!(text(CanonicalObject::new()), "{}");
        assert_eq!(text(Vec::<String>::new()), "[]");
    }

    #[test]
    fn seven_characters_have_short_escapes_and_other_controls_have_four_digits() {
        assert_eq!(text("\u{8}\t\n\u{c}\r\"\\"), r#""\b\t\n\f\r\"\\""#);
        assert_eq!(text("\0\u{b}\u{1f}"), r#""\u0000\u000b\u001f""#);
        let verbatim = "/ \u{7f}\u{80}\u{2028}\u{2029}\u{feff}\u{ffff}😀é";
        assert_eq!(text(verbatim), format!("\"{verbatim}\""));
    }

    #[test]
    fn array_indices_come_first_and_in_numeric_order() {
        assert_eq!(
            keys(&["b", "10", "4294967294", "9", "a", "0", "4294967295", "01", "-1", "1e3", "", "١"]),
            ["0", "9", "10", "4294967294", "b", "a", "4294967295", "01", "-1", "1e3", "", "١"]
        );
    }

    #[test]
    fn a_key_given_twice_keeps_its_place_and_takes_the_last_value() {
        let object = CanonicalObject::new().with("a", "1").with("7", "2").with("b", "3");
        let object = object.with("a", "4").with("7", "5");
        assert_eq!(text(object), r#"{"7":"5","a":"4","b":"3"}"#);
    }

    #[test]
    fn an_integer_that_javascript_would_round_does_not_exist() {
        let greatest = 9_007_199_254_740_991;
        assert_eq!(text(SafeInteger::try_from(greatest).unwrap()), "9007199254740991");
        assert_eq!(text(SafeInteger::try_from(-greatest).unwrap()), "-9007199254740991");
        for rounded in [greatest + 1, -greatest - 1, i64::MAX, i64::MIN] {
            assert_eq!(SafeInteger::try_from(rounded), Err(UnsafeInteger), "{rounded}");
        }
    }

    #[test]
    fn serde_writes_the_same_bytes_and_reads_them_back() {
        let value: CanonicalValue<'static> = CanonicalObject::new()
            .with("é\u{1}\u{2028}", vec!["\u{7f}", "/"])
            .with("1", SafeInteger::try_from(-7).unwrap())
            .with("__proto__", CanonicalObject::new().with("", None::<String>))
            .with("on", true)
            .into();
        assert_eq!(serde_json::to_vec(&value).unwrap(), value.to_bytes());
        assert_eq!(serde_json::from_slice::<CanonicalValue<'_>>(&value.to_bytes()).unwrap(), value);
        for text in ["1.5", "1e3", "9007199254740992", "-9007199254740992", "18446744073709551615"] {
            assert!(serde_json::from_str::<CanonicalValue<'_>>(text).is_err(), "{text}");
        }
    }
}
