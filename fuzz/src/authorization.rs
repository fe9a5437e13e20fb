//! The `Authorization` header, or several: each line of the input is one.

use cryptopay_http::fuzzing;

use crate::Verdict;

/// Checks that a credential is taken from one header of the scheme `Bearer` and from nothing else.
///
/// # Panics
/// When a promise is broken.
#[must_use]
pub fn check(data: &[u8]) -> Verdict {
    let lines: Vec<_> = data.split(|byte| *byte == b'\n').collect();
    let credential = fuzzing::bearer_credential(&lines);
    if let Ok(credential) = &credential {
        // Lines that HTTP does not allow never come here.
        let mut allowed = lines.iter().filter(|line| fuzzing::is_header_value(line));
        let (line, second) = (allowed.next(), allowed.next());
        assert!(second.is_none());
        let line = line.map(|line| String::from_utf8_lossy(line)).unwrap_or_default();
        assert!(line.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("bearer ")), "{line}");
        assert_eq!(line[7..].trim_matches(' '), credential);
        assert!(!credential.is_empty() && credential.trim_matches(' ') == credential);
    }
    Verdict::of(&credential)
}
