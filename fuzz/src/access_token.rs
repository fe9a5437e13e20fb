//! A presented access token.

use cryptopay_token::{AccessTokenError, access_token};

use crate::Verdict;
use crate::installation::{KEY_RING, TOKEN_CONTEXT, now};

/// Checks that a token counts until its end and not after, and that no other spelling of it counts.
///
/// # Panics
/// When a promise is broken.
#[must_use]
pub fn check(data: &[u8]) -> Verdict {
    let text = String::from_utf8_lossy(data);
    let verify = |text: &str, now| access_token::verify(text, &KEY_RING, &TOKEN_CONTEXT, now);
    let verified = verify(&text, now());
    if let Ok(token) = &verified {
        assert!(text.len() <= access_token::MAX_TOKEN_BYTES);
        assert!(token.claims.expires_at > now());
        assert_eq!(verify(&text, token.claims.expires_at), Err(AccessTokenError::Expired));
        for other in [format!("{text}="), format!("{text}."), format!(" {text}"), text.to_uppercase()] {
            assert!(verify(&other, now()).is_err(), "{other}");
        }
    }
    Verdict::of(&verified)
}
