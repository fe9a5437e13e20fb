//! A body as each route reads it: the first byte picks the route.

use cryptopay_http::fuzzing;
use serde_json::Value;

use crate::Verdict;

/// As long as the answer to nonsense may be beside the nonsense: it is told which fields are wrong, not all of it.
const LONGEST_ANSWER: usize = 64 * 1024;

/// Checks that a body is read, or refused in the contract's shape and briefly.
///
/// # Panics
/// When a promise is broken.
#[must_use]
pub fn check(data: &[u8]) -> Verdict {
    let Some((pick, body)) = data.split_first() else { return Verdict::Refused };
    let (_, read) = fuzzing::BODIES[usize::from(*pick) % fuzzing::BODIES.len()];
    let answer = read(body);
    if let Err(refusal) = &answer {
        assert!(refusal.len() <= LONGEST_ANSWER);
        let refusal: Value = serde_json::from_slice(refusal).unwrap_or_default();
        let error = &refusal["error"];
        assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{refusal}");
        match error["code"].as_str() {
            Some("INVALID_JSON") => {}
            Some("VALIDATION_ERROR") => {
                let fields = error["fields"].as_object();
                assert!(fields.is_some_and(|fields| !fields.is_empty()), "{refusal}");
            }
            _ => unreachable!("{refusal}"),
        }
    }
    Verdict::of(&answer)
}
