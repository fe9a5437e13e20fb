//! One encryption key: what seals the secrets that have to be read back.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use pasetors::keys::SymmetricKey;
use pasetors::paserk::Id;
use pasetors::version4::V4;
use ring::aead::{AES_256_GCM, LessSafeKey, UnboundKey};
use ring::rand::SecureRandom;
use ring::{hkdf, hmac};
use secrecy::SecretString;
use zeroize::Zeroizing;

use crate::RandomnessError;
use crate::signing_key::paserk;

/// What every serialised symmetric key begins with.
const HEADER: &str = "k4.local.";
/// Bytes of the key.
const KEY_BYTES: usize = 32;
/// PASERK knows a `k4.local` key as one of PASETO's own; what seals here is derived from it and keeps apart from any
/// such use (RFC 5869, section 3.2).
const SEALING_INFO: &[u8] = b"cryptopay sealed secrets aes-256-gcm v1";
/// The same for the key of keyed hashes.
const HASHING_INFO: &[u8] = b"cryptopay login attempt counters hmac-sha256 v1";
/// What every identifier begins with.
const ID_HEADER: &str = "k4.lid.";
/// Bytes of an identifier that a sealed secret carries: twelve characters of it.
pub(crate) const SHORT_ID_BYTES: usize = 9;

/// An encryption key of 256 bits with its name.
///
/// A handle: clones share one copy of the secret, which is zeroised with the last of them.
#[derive(Clone)]
pub struct EncryptionKey(Arc<Parts>);

struct Parts {
    secret: Zeroizing<[u8; KEY_BYTES]>,
    sealing: LessSafeKey,
    hashing: hmac::Key,
    id: EncryptionKeyId,
    short_id: ShortKeyId,
}

/// Names an encryption key: a PASERK `k4.lid`, from which nobody learns anything of the key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EncryptionKeyId(Arc<str>);

/// The beginning of an [`EncryptionKeyId`], as a sealed secret carries it; written with three dots after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ShortKeyId(pub(crate) [u8; SHORT_ID_BYTES]);

/// Why text is no encryption key. Never holds any of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EncryptionKeyError {
    /// Another kind of key, or no key at all.
    #[error("is no encryption key; expected PASERK 'k4.local.' followed by 43 characters of base64url")]
    Format,
    /// Everyone knows the key that is all zeros.
    #[error("is a key of zeros, which is no secret")]
    ZeroKey,
}

impl EncryptionKey {
    /// Makes a new key.
    ///
    /// # Errors
    /// [`RandomnessError`] when `random` fails or gives zeros only.
    pub fn generate(random: &dyn SecureRandom) -> Result<Self, RandomnessError> {
        let mut secret = Zeroizing::new([0; KEY_BYTES]);
        random.fill(secret.as_mut_slice()).map_err(|_| RandomnessError)?;
        Self::from_secret(secret).map_err(|_| RandomnessError)
    }

    /// Reads a key in the form PASERK `k4.local`, canonical base64url only.
    ///
    /// # Errors
    /// [`EncryptionKeyError`] says what is wrong, without repeating any of the text.
    pub fn from_paserk(text: &str) -> Result<Self, EncryptionKeyError> {
        let encoded = text.strip_prefix(HEADER).ok_or(EncryptionKeyError::Format)?;
        let mut secret = Zeroizing::new([0; KEY_BYTES]);
        match BASE64_URL_SAFE_NO_PAD.decode_slice(encoded, secret.as_mut_slice()) {
            Ok(KEY_BYTES) => Self::from_secret(secret),
            _ => Err(EncryptionKeyError::Format),
        }
    }

    /// The key in the form PASERK `k4.local`, for the key file.
    #[must_use]
    pub fn to_paserk(&self) -> SecretString {
        // Exactly the final length, so that no half-written copy is left behind by growing.
        let mut text = String::with_capacity(HEADER.len() + (KEY_BYTES * 4).div_ceil(3));
        text.push_str(HEADER);
        BASE64_URL_SAFE_NO_PAD.encode_string(self.0.secret.as_slice(), &mut text);
        SecretString::from(text)
    }

    /// The name of this key.
    #[must_use]
    pub fn id(&self) -> &EncryptionKeyId {
        &self.0.id
    }

    pub(crate) fn short_id(&self) -> ShortKeyId {
        self.0.short_id
    }

    pub(crate) fn sealing(&self) -> &LessSafeKey {
        &self.0.sealing
    }

    pub(crate) fn hashing(&self) -> &hmac::Key {
        &self.0.hashing
    }

    fn from_secret(secret: Zeroizing<[u8; KEY_BYTES]>) -> Result<Self, EncryptionKeyError> {
        if secret.iter().all(|byte| *byte == 0) {
            return Err(EncryptionKeyError::ZeroKey);
        }
        let key = SymmetricKey::<V4>::from(secret.as_slice()).map_err(|_| EncryptionKeyError::Format)?;
        let id = paserk(&Id::from(&key));
        let hash = id.strip_prefix(ID_HEADER).and_then(|id| BASE64_URL_SAFE_NO_PAD.decode(id).ok());
        let short_id = hash.as_deref().and_then(<[u8]>::first_chunk).ok_or(EncryptionKeyError::Format)?;
        let pseudorandom = hkdf::Salt::new(hkdf::HKDF_SHA256, &[]).extract(secret.as_slice());
        // Neither fails for a key of constant length.
        let sealing = pseudorandom.expand(&[SEALING_INFO], &AES_256_GCM);
        let hashing = pseudorandom.expand(&[HASHING_INFO], hmac::HMAC_SHA256);
        Ok(Self(Arc::new(Parts {
            sealing: LessSafeKey::new(UnboundKey::from(sealing.map_err(|_| EncryptionKeyError::Format)?)),
            hashing: hashing.map_err(|_| EncryptionKeyError::Format)?.into(),
            short_id: ShortKeyId(*short_id),
            id: EncryptionKeyId(id.into()),
            secret,
        })))
    }
}

impl fmt::Debug for EncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("EncryptionKey").field(&self.0.id.as_str()).finish()
    }
}

impl EncryptionKeyId {
    /// The PASERK text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EncryptionKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for ShortKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{ID_HEADER}{}…", BASE64_URL_SAFE_NO_PAD.encode(self.0))
    }
}

#[cfg(test)]
mod tests {
    use ring::rand::SystemRandom;
    use secrecy::ExposeSecret;

    use super::*;

    const PASERK: &str = "k4.local.cHFyc3R1dnd4eXp7fH1-f4CBgoOEhYaHiImKi4yNjo8";

    fn refusal(text: &str) -> EncryptionKeyError {
        EncryptionKey::from_paserk(text).expect_err(text)
    }

    #[test]
    fn a_generated_key_survives_its_own_text() {
        let key = EncryptionKey::generate(&SystemRandom::new()).unwrap();
        let again = EncryptionKey::from_paserk(key.to_paserk().expose_secret()).unwrap();
        assert_eq!(again.id(), key.id());
        assert_ne!(EncryptionKey::generate(&SystemRandom::new()).unwrap().id(), key.id());
    }

    #[test]
    fn the_short_name_is_the_beginning_of_the_long_one() {
        let key = EncryptionKey::from_paserk(PASERK).unwrap();
        let short = key.short_id().to_string();
        assert_eq!(short, "k4.lid.iVtYQDjr5gEi…");
        assert!(key.id().as_str().starts_with(short.trim_end_matches('…')));
    }

    #[test]
    fn only_the_canonical_text_of_a_symmetric_key_is_read() {
        assert!(EncryptionKey::from_paserk(PASERK).is_ok());
        let unused_bits = PASERK.strip_suffix('8').unwrap().to_owned() + "9";
        let wrong = [
            "",
            "k4.local.",
            &PASERK.replace("k4.local", "k2.local"),
            &PASERK.replace("k4.local", "k4.secret"),
            &PASERK[..PASERK.len() - 1],
            &format!("{PASERK}A"),
            &format!("{PASERK}="),
            &format!(" {PASERK}"),
            &format!("{PASERK}\n"),
            &PASERK.replace('-', "+"),
            &unused_bits,
        ];
        for text in wrong {
            assert_eq!(refusal(text), EncryptionKeyError::Format, "{text}");
        }
    }

    #[test]
    fn the_key_of_zeros_is_refused() {
        assert_eq!(refusal(&format!("{HEADER}{}", "A".repeat(43))), EncryptionKeyError::ZeroKey);
    }

    #[test]
    fn debugging_a_key_tells_its_name_and_no_secret() {
        let key = EncryptionKey::from_paserk(PASERK).unwrap();
        let text = format!("{key:?} {:?}", key.to_paserk());
        assert!(text.contains(key.id().as_str()));
        assert!(!text.contains("cHFyc3R1"), "{text}");
    }
}
