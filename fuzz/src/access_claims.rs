//! The claims of a token that has a good signature: what an attacker with a stolen key, or an older version of the
//! server, could have written. Behind a signature nobody guesses, they would otherwise never be reached.
#![allow(clippy::unwrap_used, reason = "the installation's key signs anything")]

use std::sync::LazyLock;

use cryptopay_token::access_token;
use pasetors::keys::AsymmetricSecretKey;
use pasetors::version4::{PublicToken, V4};

use crate::Verdict;
use crate::installation::{KEY_RING, SIGNING_KEY, TOKEN_CONTEXT, now};

/// Signs `data` as a payload, and checks that what it says survives being issued anew.
///
/// # Panics
/// When a promise is broken.
#[must_use]
pub fn check(data: &[u8]) -> Verdict {
    let token = signed(data);
    let verify = |text: &str| access_token::verify_expired_or_not(text, &KEY_RING, &TOKEN_CONTEXT, now());
    let verified = verify(&token);
    if let Ok(first) = &verified
        && let Ok(again) = access_token::issue(&first.claims, KEY_RING.active(now()), &TOKEN_CONTEXT)
    {
        // Fractions of a second are dropped, and only once.
        let second = verify(again.expose()).unwrap();
        let third = access_token::issue(&second.claims, KEY_RING.active(now()), &TOKEN_CONTEXT).unwrap();
        assert_eq!(again.expose(), third.expose());
        assert_eq!(first.claims.username, second.claims.username);
        assert_eq!(first.claims.permissions, second.claims.permissions);
    }
    Verdict::of(&verified)
}

/// A token of the installation's key with any payload.
#[must_use]
pub fn signed(payload: &[u8]) -> String {
    static SECRET: LazyLock<AsymmetricSecretKey<V4>> =
        LazyLock::new(|| AsymmetricSecretKey::try_from(SIGNING_KEY).unwrap());
    let footer = format!(r#"{{"kid":"{}"}}"#, KEY_RING.active(now()).kid());
    // pasetors signs no empty payload; one that is no JSON is refused alike.
    let payload = if payload.is_empty() { b"\0" } else { payload };
    let assertion = TOKEN_CONTEXT.implicit_assertion().as_bytes();
    PublicToken::sign(&SECRET, payload, Some(footer.as_bytes()), Some(assertion)).unwrap()
}
