//! The taking apart of a body into the members of one JSON object.

use cryptopay_http::fuzzing;
use serde_json::Value;

use crate::Verdict;

/// Checks the parser against serde_json's own values, which know neither duplicates nor all numbers.
///
/// # Panics
/// When a promise is broken.
#[must_use]
pub fn check(data: &[u8]) -> Verdict {
    let members = fuzzing::json_members(data);
    match (&members, serde_json::from_slice::<Value>(data)) {
        (Ok(members), Ok(Value::Object(expected))) => {
            for (name, value) in &expected {
                let last = members.iter().rfind(|(given, _)| given == name);
                let last = last.and_then(|(_, value)| serde_json::from_str::<Value>(value).ok());
                assert_eq!(last.as_ref(), Some(value), "{name}");
            }
            assert!(members.iter().all(|(name, _)| expected.contains_key(name)));
        }
        (Ok(_), Ok(other)) => unreachable!("no object, but {other}"),
        // Numbers beyond every machine type are a matter of their field.
        (Ok(_), Err(error)) => assert!(error.to_string().starts_with("number out of range"), "{error}"),
        (Err(problem), Ok(value)) => assert!(!value.is_object(), "{problem}"),
        (Err(_), Err(_)) => {}
    }
    Verdict::of(&members)
}
