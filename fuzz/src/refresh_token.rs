//! A presented refresh token.

use cryptopay_domain::{SessionId, Timestamp};
use cryptopay_token::{RefreshParts, refresh_token};
use uuid::Uuid;

use crate::Verdict;
use crate::installation::{KEY_RING, REFRESH_CONTEXT, now};

/// Checks that a token that opens has one spelling, and that a sealed one opens unless a character is changed.
///
/// # Panics
/// When a promise is broken.
#[must_use]
pub fn check(data: &[u8]) -> Verdict {
    if let Some((parts, rest)) = parts(data) {
        let Ok(token) = refresh_token::seal(&parts, &KEY_RING, &REFRESH_CONTEXT) else {
            unreachable!("the key is in the ring")
        };
        assert_eq!(refresh_token::open(token.expose(), &KEY_RING, &REFRESH_CONTEXT), Ok(parts));
        if let [place, character, ..] = rest {
            let mut changed = token.expose().to_owned();
            let place = usize::from(*place) % changed.len();
            let character = char::from(character % 128).to_string();
            changed.replace_range(place..=place, &character);
            let opened = refresh_token::open(&changed, &KEY_RING, &REFRESH_CONTEXT);
            assert_eq!(opened.is_ok(), changed == token.expose(), "{changed}");
        }
    }
    let text = String::from_utf8_lossy(data);
    let opened = refresh_token::open(&text, &KEY_RING, &REFRESH_CONTEXT);
    if let Ok(parts) = &opened {
        let sealed = refresh_token::seal(parts, &KEY_RING, &REFRESH_CONTEXT);
        assert_eq!(sealed.map(|token| token.expose() == text), Ok(true));
    }
    Verdict::of(&opened)
}

fn parts(data: &[u8]) -> Option<(RefreshParts, &[u8])> {
    let (session, rest) = data.split_first_chunk()?;
    let (counter, rest) = rest.split_first_chunk()?;
    let (issued_at, rest) = rest.split_first_chunk()?;
    let parts = RefreshParts {
        session: SessionId(Uuid::from_bytes(*session)),
        counter: u64::from_be_bytes(*counter),
        issued_at: Timestamp::from_unix_seconds(i64::from_be_bytes(*issued_at)),
        key: KEY_RING.active(now()).mac_key_id(),
    };
    Some((parts, rest))
}
