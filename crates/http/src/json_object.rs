//! Takes a JSON object apart into its own members, losing nothing: duplicates stay visible.
//!
//! Values stay text. So a number that no machine type can hold, such as `1e999`, is a problem of its field
//! and not of the JSON; and what the parser waves through when it only skips a value is checked here.

use std::borrow::Cow;
use std::fmt;

use serde::Deserializer;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

/// How deep arrays and objects may nest: serde_json's own limit.
const MAX_DEPTH: usize = 127;

/// Why a body is no JSON object, in words for its sender.
pub(crate) type Problem = Cow<'static, str>;

/// The object's fields in their order.
///
/// # Errors
/// What keeps `bytes` from being one JSON object (RFC 8259): a byte order mark, invalid UTF-8, a lone
/// surrogate anywhere, nesting beyond 127, anything behind the object.
pub(crate) fn parse(bytes: &[u8]) -> Result<Vec<(String, &RawValue)>, Problem> {
    if bytes.starts_with(b"\xef\xbb\xbf") {
        return Err("The body begins with a byte order mark. Send the JSON without it.".into());
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        format!("The body is not valid UTF-8: the byte at offset {} is wrong.", error.valid_up_to())
    })?;
    let fields = take_apart(text).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => Cow::Borrowed("The body must be a JSON object: {…}."),
        // Only the place: the parser's words may quote the body.
        _ => Cow::Owned(format!(
            "The body is not valid JSON: see line {}, column {}.",
            error.line(),
            error.column()
        )),
    })?;
    check_skipped(text)?;
    Ok(fields)
}

/// The members of an object inside a body that [`parse`] took apart; `None` when it is no object.
pub(crate) fn members(value: &RawValue) -> Option<Vec<(String, &RawValue)>> {
    take_apart(value.get()).ok()
}

fn take_apart(text: &str) -> serde_json::Result<Vec<(String, &RawValue)>> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let members = deserializer.deserialize_map(Members)?;
    deserializer.end()?;
    Ok(members)
}

struct Members;

impl<'a> Visitor<'a> for Members {
    type Value = Vec<(String, &'a RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(members)
    }
}

/// Checks, in text that is otherwise valid JSON, what serde_json ignores while it skips a value: the pairing
/// of surrogates (RFC 8259 §8.2) and the depth of nesting.
fn check_skipped(json: &str) -> Result<(), Problem> {
    let bytes = json.as_bytes();
    let (mut depth, mut in_string, mut at) = (0_usize, false, 0);
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'"' => in_string = !in_string,
            b'\\' if in_string => at = after_escape(bytes, at)?,
            b'{' | b'[' if !in_string => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Err(format!("The body nests deeper than {MAX_DEPTH} levels.").into());
                }
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}

/// Where the string goes on after the escape whose backslash lies right before `at`.
fn after_escape(bytes: &[u8], at: usize) -> Result<usize, Problem> {
    match escaped_unit(bytes, at) {
        None => Ok(at + 1),
        Some(0xD800..=0xDBFF) => {
            let low = (bytes.get(at + 5) == Some(&b'\\')).then(|| escaped_unit(bytes, at + 6)).flatten();
            if matches!(low, Some(0xDC00..=0xDFFF)) { Ok(at + 11) } else { Err(lone_surrogate(at)) }
        }
        Some(0xDC00..=0xDFFF) => Err(lone_surrogate(at)),
        Some(_) => Ok(at + 5),
    }
}

/// The UTF-16 unit of `uXXXX` at `at`.
fn escaped_unit(bytes: &[u8], at: usize) -> Option<u16> {
    let digits = bytes.get(at..at + 5)?.strip_prefix(b"u")?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

fn lone_surrogate(at: usize) -> Problem {
    format!("The body holds half a surrogate pair at offset {}, which is no character.", at - 1).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(json: &str) -> Vec<(String, String)> {
        let fields = parse(json.as_bytes()).unwrap();
        fields.into_iter().map(|(name, value)| (name, value.get().to_owned())).collect()
    }

    #[test]
    fn duplicates_and_odd_values_are_kept() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            names(r#" {"a": 1e999, "a": [ 1 ], "\u0062": "\ud83d\ude00"} "#),
            [pair("a", "1e999"), pair("a", "[ 1 ]"), pair("b", r#""\ud83d\ude00""#)]
        );
        assert_eq!(names("{}"), []);
    }

    #[test]
    fn what_is_no_json_object_is_refused() {
        let deep = format!(r#"{{"a": {}1{}}}"#, "[".repeat(127), "]".repeat(127));
        let deep_key = format!("{}1{}", r#"{"a":"#.repeat(128), "}".repeat(128));
        for bad in [
            &b""[..],
            b" ",
            b"\xef\xbb\xbf{}",
            b"{\"a\": \"\xff\"}",
            b"{\"a\": \"\xed\xa0\x80\"}",
            b"null",
            b"[]",
            b"\"text\"",
            b"1",
            b"{",
            b"{} {}",
            b"{},",
            b"{\"a\": 1,}",
            b"{'a': 1}",
            b"{a: 1}",
            b"{\"a\": 01}",
            b"{\"a\": NaN}",
            b"{\"a\": \"\n\"}",
            b"{\"a\": \"\\x\"}",
            br#"{"\ud800": 1}"#,
            br#"{"a": "\ud800"}"#,
            br#"{"a": "\ud800\ud800"}"#,
            br#"{"a": "\ud800x\udc00"}"#,
            br#"{"a": "\udc00\ud800"}"#,
            br#"{"a": [{"b": "\uDFFF"}]}"#,
            br#"{"a": "\\\ud800"}"#,
            deep.as_bytes(),
            deep_key.as_bytes(),
        ] {
            assert!(parse(bad).is_err(), "{}", String::from_utf8_lossy(bad));
        }
    }

    #[test]
    fn an_escaped_backslash_before_a_u_is_no_escape() {
        assert_eq!(names(r#"{"a": "\\ud800"}"#).len(), 1);
        assert_eq!(names(r#"{"a": "\"[[[\u005b\\"}"#).len(), 1);
    }

    #[test]
    fn nesting_up_to_the_limit_is_fine() {
        let deep = format!(r#"{{"a": {}1{}}}"#, "[".repeat(126), "]".repeat(126));
        assert!(parse(deep.as_bytes()).is_ok());
        let wide = format!(r#"{{"a": [{}[]]}}"#, "[],".repeat(1000));
        assert!(parse(wide.as_bytes()).is_ok());
    }

    #[test]
    fn the_problem_never_quotes_the_body() {
        for bad in [r#"{"password": hunter2}"#, r#""hunter2""#, r#"{"password": "hunter2\q"}"#] {
            assert!(!parse(bad.as_bytes()).unwrap_err().contains("hunter2"), "{bad}");
        }
    }
}
