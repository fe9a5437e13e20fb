//! Issuing the two tokens of a session.

use cryptopay_domain::{Session, Timestamp};
use cryptopay_token::{
    AccessClaims, AccessToken, BrowserToken, MacKeyId, RefreshParts, RefreshToken, access_token,
    browser_token, refresh_token,
};

use crate::authenticate::LOGIN_PERMISSIONS;
use crate::core::Inner;
use crate::failure::Failure;

/// An access token and the refresh token it was issued together with.
#[derive(Debug)]
pub struct TokenPair {
    /// Opens the API until it expires.
    pub access: AccessToken,
    /// Buys the next pair.
    pub refresh: RefreshToken,
}

impl Inner {
    /// The session's current refresh token, the same bytes however often it is made, with a fresh access
    /// token. `None` when the key that authenticates it has been withdrawn.
    pub(crate) fn issue_pair<R>(
        &self,
        session: &Session,
        username: &str,
        now: Timestamp,
    ) -> Result<Option<TokenPair>, Failure<R>> {
        let ring = self.ring.load();
        let Some(parts) = current_parts(session) else { return Ok(None) };
        let Ok(refresh) = refresh_token::seal(&parts, &ring, &self.refresh_context()) else {
            return Ok(None);
        };
        let issued_at = now.whole_seconds();
        let claims = AccessClaims {
            subject: session.user_id,
            username: username.to_owned(),
            token_id: self.ids.next(now).map_err(|error| Failure::fault(&error))?,
            issued_at,
            expires_at: issued_at.after(self.config.access_ttl),
            session: session.id,
            refresh_counter: session.line.counter,
            permissions: LOGIN_PERMISSIONS,
        };
        let access = access_token::issue(&claims, ring.active(now), &self.token_context)
            .map_err(|error| Failure::fault(&error))?;
        Ok(Some(TokenPair { access, refresh }))
    }

    /// The browser token of a session, the same bytes however often it is made. `None` when the key that
    /// authenticates it has been withdrawn.
    pub(crate) fn browser_token(&self, session: &Session) -> Option<BrowserToken> {
        browser_token::seal(&current_parts(session)?, &self.ring.load(), &self.refresh_context()).ok()
    }

    /// The name under which a row remembers which key authenticates its refresh token.
    pub(crate) fn mac_key_name(&self, now: Timestamp) -> String {
        self.ring.load().active(now).mac_key_id().to_string()
    }
}

/// What the session's current token says. `None` when the row names no key.
fn current_parts(session: &Session) -> Option<RefreshParts> {
    Some(RefreshParts {
        session: session.id,
        counter: session.line.counter,
        issued_at: session.line.issued_at,
        key: session.line.mac_key.parse::<MacKeyId>().ok()?,
    })
}
