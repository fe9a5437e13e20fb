//! Proof that a form came from a page of ours: a token that only a page shown to this very browser holds.
//!
//! It is a MAC under what the browser's cookie holds, so nothing has to be stored and every replica knows it; it
//! tells nothing of the cookie, and one of another session, or of a browser without one, never fits.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;

use crate::cookies::{SessionToken, VisitorToken};

/// A form's token, in base64url.
#[derive(Clone, Default)]
pub(crate) struct FormToken(String);

impl FormToken {
    /// Of forms shown to a browser that is logged in.
    pub(crate) fn of_session(token: &SessionToken) -> Self {
        Self::derived(token.expose(), b"cryptopay form of a session v1")
    }

    /// Of forms shown to a browser that is not.
    pub(crate) fn of_visitor(token: &VisitorToken) -> Self {
        Self::derived(token.expose(), b"cryptopay form of a visitor v1")
    }

    /// Whether a form's field holds this token; in constant time.
    pub(crate) fn matches(&self, given: &str) -> bool {
        // Of two MACs of the texts under a fresh key the comparison takes the same time whatever they are.
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.0.as_bytes());
        let expected = hmac::sign(&key, self.0.as_bytes());
        hmac::verify(&key, given.as_bytes(), expected.as_ref()).is_ok()
    }

    /// The token itself, for a hidden field.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    fn derived(secret: &str, label: &[u8]) -> Self {
        Self(URL_SAFE_NO_PAD.encode(tag(secret, label)))
    }
}

/// A MAC over `message` that only whoever knows the cookie can make.
pub(crate) fn tag(secret: &str, message: &[u8]) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), message)
}

/// Whether `given`, in base64url, is the MAC over `message`; in constant time.
pub(crate) fn is_tag(secret: &str, message: &[u8], given: &str) -> bool {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    URL_SAFE_NO_PAD.decode(given).is_ok_and(|given| hmac::verify(&key, message, &given).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_fits_its_own_session_alone() {
        let token = FormToken::of_session(&SessionToken::new("one"));
        assert!(token.matches(token.as_str()));
        let other = FormToken::of_session(&SessionToken::new("two"));
        for wrong in ["", "x", other.as_str(), &token.as_str()[1..], &format!("{} ", token.as_str())] {
            assert!(!token.matches(wrong), "{wrong}");
        }
    }
}
