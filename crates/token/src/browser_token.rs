//! Browser tokens: what a cookie holds of a session that was begun on the dashboard.
//!
//! Laid out and authenticated like a [refresh token](crate::refresh_token), under another label: neither passes
//! for the other, so a stolen cookie buys no tokens of the API, and a refresh token opens no page.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

use crate::KeyRing;
use crate::refresh_token::{self, RefreshContext, RefreshParts, RefreshTokenError, SealError};

/// Keeps this use of the key apart from any other.
const LABEL: &[u8] = b"cryptopay browser token v1";

/// A browser token: whoever holds it is logged in on the dashboard.
pub struct BrowserToken(SecretString);

impl BrowserToken {
    /// The token itself, for the one cookie that carries it.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for BrowserToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BrowserToken([REDACTED])")
    }
}

/// Makes the browser token that says `parts`; the same parts always give the same token.
///
/// # Errors
/// [`SealError`] when the key the parts name has left the ring.
pub fn seal(
    parts: &RefreshParts,
    ring: &KeyRing,
    context: &RefreshContext,
) -> Result<BrowserToken, SealError> {
    Ok(BrowserToken(refresh_token::seal_as(LABEL, parts, ring, context)?))
}

/// Reads a browser token and checks its MAC in constant time.
///
/// # Errors
/// [`RefreshTokenError`] when it is none of this installation's.
pub fn open(text: &str, ring: &KeyRing, context: &RefreshContext) -> Result<RefreshParts, RefreshTokenError> {
    refresh_token::open_as(LABEL, text, ring, context)
}

#[cfg(test)]
mod tests {
    use cryptopay_domain::{Environment, SessionId, Timestamp};
    use ring::rand::SystemRandom;
    use uuid::Uuid;

    use super::*;
    use crate::SigningKey;

    fn context() -> RefreshContext {
        RefreshContext {
            environment: Environment::Sandbox,
            issuer: "https://api.example.com".to_owned(),
            generation: 1,
        }
    }

    #[test]
    fn a_browser_token_and_a_refresh_token_of_one_session_never_pass_for_each_other() {
        let ring = KeyRing::fixed(vec![SigningKey::generate(&SystemRandom::new()).unwrap()]).unwrap();
        let parts = RefreshParts {
            session: SessionId(Uuid::from_u128(7)),
            counter: 0,
            issued_at: Timestamp::from_unix_seconds(1_704_196_800),
            key: ring.active(Timestamp::MAX).mac_key_id(),
        };
        let browser = seal(&parts, &ring, &context()).unwrap();
        let refresh = refresh_token::seal(&parts, &ring, &context()).unwrap();
        assert_eq!(open(browser.expose(), &ring, &context()), Ok(parts));
        assert_eq!(open(refresh.expose(), &ring, &context()), Err(RefreshTokenError::Forged));
        let swapped = refresh_token::open(browser.expose(), &ring, &context());
        assert_eq!(swapped, Err(RefreshTokenError::Forged));
    }

    #[test]
    fn a_browser_token_of_another_environment_issuer_or_generation_is_forged() {
        let ring = KeyRing::fixed(vec![SigningKey::generate(&SystemRandom::new()).unwrap()]).unwrap();
        let key = ring.active(Timestamp::MAX).mac_key_id();
        let (session, issued_at) = (SessionId(Uuid::from_u128(7)), Timestamp::from_unix_seconds(0));
        let parts = RefreshParts { session, counter: 0, issued_at, key };
        let token = seal(&parts, &ring, &context()).unwrap();
        for foreign in [
            RefreshContext { environment: Environment::Production, ..context() },
            RefreshContext { issuer: "https://api.example.org".to_owned(), ..context() },
            RefreshContext { generation: 2, ..context() },
        ] {
            assert_eq!(open(token.expose(), &ring, &foreign), Err(RefreshTokenError::Forged), "{foreign:?}");
        }
    }

    #[test]
    fn debugging_a_token_tells_nothing() {
        assert_eq!(format!("{:?}", BrowserToken("secret".into())), "BrowserToken([REDACTED])");
    }
}
