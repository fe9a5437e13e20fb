//! Refresh tokens: a session and a counter under a message authentication code.
//!
//! Base64url without padding of
//!
//! | bytes | what |
//! |---|---|
//! | 1 | version, 1 |
//! | 16 | session id |
//! | 8 | counter, big-endian |
//! | 8 | issued at, Unix seconds, big-endian |
//! | 8 | name of the MAC key |
//! | 32 | HMAC-SHA256 over label, environment, issuer, generation, and all of the above |
//!
//! Sealing is deterministic: the same parts give the same text, byte for byte, so nothing of a token needs to be
//! stored to give it out again. There is no expiry here; how long a token counts is a rule of the domain.

use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use cryptopay_domain::{Environment, SessionId, Timestamp};
use ring::hmac;
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use crate::{KeyRing, MacKeyId};

const VERSION: u8 = 1;
/// Bytes before the MAC.
const BODY_BYTES: usize = 41;
const TOKEN_BYTES: usize = BODY_BYTES + 32;
/// Characters of a token: base64url of [`TOKEN_BYTES`] without padding.
const TOKEN_CHARACTERS: usize = 98;
/// Keeps this use of the key apart from any other.
const LABEL: &[u8] = b"cryptopay refresh token v1";

/// What a refresh token says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefreshParts {
    /// The session it continues.
    pub session: SessionId,
    /// How many tokens of this session came before it.
    pub counter: u64,
    /// When it was issued, whole seconds; a fraction is dropped.
    pub issued_at: Timestamp,
    /// The key its MAC was made with.
    pub key: MacKeyId,
}

/// What every refresh token of an installation is bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefreshContext {
    /// Sandbox or production.
    pub environment: Environment,
    /// The public URL of the installation.
    pub issuer: String,
    /// Raised whenever a database is restored from a backup: that ends every session.
    pub generation: u64,
}

/// A refresh token: whoever holds it continues the session.
pub struct RefreshToken(SecretString);

impl RefreshToken {
    /// The token itself, for the one answer that carries it.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RefreshToken([REDACTED])")
    }
}

/// A refresh token cannot be made: its key has left the ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("refresh key {0} is not in the ring")]
pub struct SealError(pub MacKeyId);

/// Why text is no refresh token of this installation. For logs: a caller never learns which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RefreshTokenError {
    /// Another kind of credential, damaged, or of another version.
    #[error("is no refresh token")]
    Malformed,
    /// Its key is unknown or was withdrawn.
    #[error("was made with key {0}, which is not in the ring")]
    UnknownKey(MacKeyId),
    /// Forged, altered, or of another installation, environment or generation.
    #[error("has a wrong message authentication code")]
    Forged,
}

/// Makes the refresh token that says `parts`; the same parts always give the same token.
///
/// # Errors
/// [`SealError`] when the key the parts name has left the ring.
pub fn seal(
    parts: &RefreshParts,
    ring: &KeyRing,
    context: &RefreshContext,
) -> Result<RefreshToken, SealError> {
    Ok(RefreshToken(seal_as(LABEL, parts, ring, context)?))
}

/// Seals `parts` as the kind of token that `label` stands for: one of another kind is forged.
pub(crate) fn seal_as(
    label: &[u8],
    parts: &RefreshParts,
    ring: &KeyRing,
    context: &RefreshContext,
) -> Result<SecretString, SealError> {
    let key = ring.find_mac(parts.key).ok_or(SealError(parts.key))?;
    let mut token = [0; TOKEN_BYTES];
    let (body, tag) = token.split_at_mut(BODY_BYTES);
    body[0] = VERSION;
    body[1..17].copy_from_slice(parts.session.0.as_bytes());
    body[17..25].copy_from_slice(&parts.counter.to_be_bytes());
    body[25..33].copy_from_slice(&parts.issued_at.unix_seconds().to_be_bytes());
    body[33..].copy_from_slice(&parts.key.0);
    tag.copy_from_slice(hmac::sign(key.refresh_mac(), &context.authenticated(label, body)).as_ref());
    Ok(SecretString::from(BASE64_URL_SAFE_NO_PAD.encode(token)))
}

/// Reads a refresh token and checks its MAC in constant time.
///
/// # Errors
/// [`RefreshTokenError`] when it is none of this installation's.
pub fn open(text: &str, ring: &KeyRing, context: &RefreshContext) -> Result<RefreshParts, RefreshTokenError> {
    open_as(LABEL, text, ring, context)
}

/// Reads a token of the kind that `label` stands for, as [`open`] does.
pub(crate) fn open_as(
    label: &[u8],
    text: &str,
    ring: &KeyRing,
    context: &RefreshContext,
) -> Result<RefreshParts, RefreshTokenError> {
    let token = decode(text).ok_or(RefreshTokenError::Malformed)?;
    let (body, tag) = token.split_at(BODY_BYTES);
    let id = MacKeyId(array(&body[33..]));
    let key = ring.find_mac(id).ok_or(RefreshTokenError::UnknownKey(id))?;
    hmac::verify(key.refresh_mac(), &context.authenticated(label, body), tag)
        .map_err(|_| RefreshTokenError::Forged)?;
    Ok(RefreshParts {
        session: SessionId(Uuid::from_bytes(array(&body[1..17]))),
        counter: u64::from_be_bytes(array(&body[17..25])),
        issued_at: Timestamp::from_unix_seconds(i64::from_be_bytes(array(&body[25..33]))),
        key: id,
    })
}

impl RefreshContext {
    /// What the MAC is made over: every piece behind its length, so that no two contexts read alike.
    fn authenticated(&self, label: &[u8], body: &[u8]) -> Vec<u8> {
        let generation = self.generation.to_be_bytes();
        let pieces = [label, self.environment.as_str().as_bytes(), self.issuer.as_bytes(), &generation, body];
        let mut message = Vec::with_capacity(pieces.iter().map(|piece| 8 + piece.len()).sum());
        for piece in pieces {
            message.extend_from_slice(&(piece.len() as u64).to_be_bytes());
            message.extend_from_slice(piece);
        }
        message
    }
}

/// The bytes of a token in its one spelling and in the version known here.
fn decode(text: &str) -> Option<[u8; TOKEN_BYTES]> {
    if text.len() != TOKEN_CHARACTERS {
        return None;
    }
    let mut token = [0; TOKEN_BYTES];
    let written = BASE64_URL_SAFE_NO_PAD.decode_slice(text, &mut token).ok()?;
    (written == TOKEN_BYTES && token[0] == VERSION).then_some(token)
}

fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(bytes);
    array
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use ring::rand::SystemRandom;

    use super::*;
    use crate::SigningKey;

    const PASERK: &str =
        "k4.secret.cHFyc3R1dnd4eXp7fH1-f4CBgoOEhYaHiImKi4yNjo8c5WpIyC_5kWKhS8VEYSZ05dYfuTF-ZdQFV4D9vLTcNQ";
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=+/. ";

    fn ring() -> KeyRing {
        KeyRing::fixed(vec![SigningKey::from_paserk(PASERK).unwrap()]).unwrap()
    }

    fn context() -> RefreshContext {
        RefreshContext {
            environment: Environment::Sandbox,
            issuer: "https://api.example.com".to_owned(),
            generation: 1,
        }
    }

    fn parts(ring: &KeyRing) -> RefreshParts {
        RefreshParts {
            session: SessionId(Uuid::from_u128(0x0193_f1b2_c3d4_7000_89ab_cdef_0123_4567)),
            counter: 7,
            issued_at: Timestamp::from_unix_seconds(1_704_196_800),
            key: ring.active(Timestamp::MAX).mac_key_id(),
        }
    }

    fn any_parts(key: MacKeyId) -> impl Strategy<Value = RefreshParts> {
        let seconds = -62_167_219_200_i64..=253_402_300_799;
        (any::<u128>(), any::<u64>(), seconds).prop_map(move |(session, counter, seconds)| RefreshParts {
            session: SessionId(Uuid::from_u128(session)),
            counter,
            issued_at: Timestamp::from_unix_seconds(seconds),
            key,
        })
    }

    #[test]
    fn known_parts_make_a_known_token() {
        // Computed by another implementation of HKDF, HMAC, BLAKE2b and base64url, from the layout above.
        let token = seal(&parts(&ring()), &ring(), &context()).unwrap();
        assert_eq!(
            token.expose(),
            "AQGT8bLD1HAAiavN7wEjRWcAAAAAAAAABwAAAABlk_rAmCv5F34c3AKQXcO_VlDkfGtcxZO-1J8cqSM-MFXvNG1dcRua28BuJw"
        );
    }

    #[test]
    fn a_token_of_another_environment_issuer_or_generation_is_forged() {
        let (ring, home) = (ring(), context());
        let token = seal(&parts(&ring), &ring, &home).unwrap();
        let foreign = [
            RefreshContext { environment: Environment::Production, ..home.clone() },
            RefreshContext { issuer: "https://api.example.org".to_owned(), ..home.clone() },
            RefreshContext { generation: 2, ..home.clone() },
        ];
        for context in foreign {
            assert_eq!(open(token.expose(), &ring, &context), Err(RefreshTokenError::Forged), "{context:?}");
        }
        assert_eq!(open(token.expose(), &ring, &home), Ok(parts(&ring)));
    }

    #[test]
    fn a_key_that_left_the_ring_neither_seals_nor_opens() {
        let (old, parts) = (ring(), parts(&ring()));
        let token = seal(&parts, &old, &context()).unwrap();
        let new = KeyRing::fixed(vec![SigningKey::generate(&SystemRandom::new()).unwrap()]).unwrap();
        assert_eq!(seal(&parts, &new, &context()).unwrap_err(), SealError(parts.key));
        assert_eq!(open(token.expose(), &new, &context()), Err(RefreshTokenError::UnknownKey(parts.key)));
    }

    #[test]
    fn the_same_parts_give_the_same_token_whatever_key_is_active() {
        let (old, parts) = (ring(), parts(&ring()));
        let next = SigningKey::generate(&SystemRandom::new()).unwrap();
        let rotated = KeyRing::fixed(vec![next, old.active(Timestamp::MAX).clone()]).unwrap();
        let [before, after] = [&old, &rotated].map(|ring| seal(&parts, ring, &context()).unwrap());
        assert_eq!(before.expose(), after.expose());
        assert_eq!(open(before.expose(), &rotated, &context()), Ok(parts));
    }

    #[test]
    fn another_version_is_malformed_even_under_a_right_mac() {
        let ring = ring();
        let token = seal(&parts(&ring), &ring, &context()).unwrap();
        let mut bytes = BASE64_URL_SAFE_NO_PAD.decode(token.expose()).unwrap();
        bytes[0] = 2;
        let (body, tag) = bytes.split_at_mut(BODY_BYTES);
        let key = ring.active(Timestamp::MAX);
        tag.copy_from_slice(hmac::sign(key.refresh_mac(), &context().authenticated(LABEL, body)).as_ref());
        let text = BASE64_URL_SAFE_NO_PAD.encode(bytes);
        assert_eq!(open(&text, &ring, &context()), Err(RefreshTokenError::Malformed));
    }

    #[test]
    fn what_is_authenticated_has_one_reading() {
        // Without lengths, moving a character from one piece to the next would give the same bytes.
        let one = RefreshContext { issuer: "ab".to_owned(), ..context() };
        let two = RefreshContext { issuer: "a".to_owned(), ..context() };
        assert_ne!(one.authenticated(LABEL, b""), two.authenticated(LABEL, b"b"));
        assert!(one.authenticated(LABEL, b"").starts_with(&[0, 0, 0, 0, 0, 0, 0, LABEL.len() as u8, b'c']));
    }

    #[test]
    fn debugging_a_token_tells_nothing() {
        let token = seal(&parts(&ring()), &ring(), &context()).unwrap();
        assert_eq!(format!("{token:?}"), "RefreshToken([REDACTED])");
    }

    proptest! {
        #[test]
        fn every_token_that_is_sealed_opens(parts in any_parts(parts(&ring()).key)) {
            let ring = ring();
            let token = seal(&parts, &ring, &context()).unwrap();
            prop_assert_eq!(token.expose().len(), TOKEN_CHARACTERS);
            prop_assert_eq!(open(token.expose(), &ring, &context()), Ok(parts));
        }

        #[test]
        fn arbitrary_text_is_refused(text in "[A-Za-z0-9_-]{98}|\\PC{0,120}") {
            prop_assert!(open(&text, &ring(), &context()).is_err());
        }

        #[test]
        fn no_part_of_a_token_is_a_token(length in 0..TOKEN_CHARACTERS, more in "[A-Za-z0-9_=-]{1,8}") {
            let ring = ring();
            let token = seal(&parts(&ring), &ring, &context()).unwrap();
            for text in [token.expose()[..length].to_owned(), format!("{}{more}", token.expose())] {
                prop_assert_eq!(open(&text, &ring, &context()), Err(RefreshTokenError::Malformed));
            }
        }
    }

    #[test]
    fn no_single_changed_character_goes_unnoticed() {
        let ring = ring();
        let token = seal(&parts(&ring), &ring, &context()).unwrap();
        for at in 0..TOKEN_CHARACTERS {
            for &character in ALPHABET {
                let mut bytes = token.expose().as_bytes().to_vec();
                if bytes[at] == character {
                    continue;
                }
                bytes[at] = character;
                let text = String::from_utf8(bytes).unwrap();
                assert!(open(&text, &ring, &context()).is_err(), "{at}: {}", char::from(character));
            }
        }
    }
}
