//! The query of a list, with its cursor.

use cryptopay_http::fuzzing;

use crate::Verdict;

/// Checks that a cursor has one spelling, whether it comes by itself or in a query.
///
/// # Panics
/// When a promise is broken.
#[must_use]
pub fn check(data: &[u8]) -> Verdict {
    let text = String::from_utf8_lossy(data);
    let read = fuzzing::cursor_again(&text);
    if let Some(again) = &read {
        assert_eq!(again, &text);
        assert_eq!(fuzzing::page_again(&format!("cursor={text}")).as_deref(), Some(again.as_str()));
        // Another merchant's list takes none of this one's.
        assert_eq!(fuzzing::cursor_again_elsewhere(&text), None);
    }
    // As a query of its own, of whatever form.
    let page = fuzzing::page_again(&text);
    if let Some(cursor) = page.as_ref().filter(|cursor| !cursor.is_empty()) {
        assert_eq!(fuzzing::cursor_again(cursor).as_ref(), Some(cursor));
    }
    Verdict::of(&read.or(page).ok_or(()))
}
