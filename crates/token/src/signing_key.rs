//! One signing key, with everything that is derived from it.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use pasetors::keys::{AsymmetricPublicKey, AsymmetricSecretKey};
use pasetors::paserk::{FormatAsPaserk, Id};
use pasetors::version4::V4;
use ring::rand::SecureRandom;
use ring::signature::{Ed25519KeyPair, KeyPair};
use ring::{hkdf, hmac};
use secrecy::SecretString;
use zeroize::Zeroizing;

use crate::{KeyId, MacKeyId};

/// What every serialised secret key begins with.
const HEADER: &str = "k4.secret.";
/// Bytes of an Ed25519 seed (RFC 8032, section 5.1.5).
const SEED_BYTES: usize = 32;
/// Bytes of a PASERK `k4.secret`: the seed, then the public key.
const SECRET_BYTES: usize = 64;
/// Keeps keys derived here apart from any other use of the same seed (RFC 5869, section 3.2).
const REFRESH_MAC_INFO: &[u8] = b"cryptopay refresh token mac key v1";

/// An Ed25519 signing key, its names, and the refresh-MAC key derived from it; all computed once.
///
/// A handle: clones share one copy of the secret, which is zeroised with the last of them.
#[derive(Clone)]
pub struct SigningKey(Arc<Parts>);

struct Parts {
    secret: AsymmetricSecretKey<V4>,
    public: AsymmetricPublicKey<V4>,
    public_paserk: String,
    kid: KeyId,
    mac_key_id: MacKeyId,
    refresh_mac: hmac::Key,
}

/// Why text is no signing key. Never holds any of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SigningKeyError {
    /// Another kind of key, or no key at all.
    #[error("is no signing key; expected PASERK 'k4.secret.' followed by 86 characters of base64url")]
    Format,
    /// The public half is not the one of the seed: a damaged key, or a trap that leaks the seed through signatures.
    #[error("holds a public half that does not belong to its seed")]
    Mismatch,
    /// Everyone knows the seed that is all zeros.
    #[error("has a seed of zeros, which is no secret")]
    ZeroSeed,
}

/// The source of randomness gave none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the source of randomness failed")]
pub struct RandomnessError;

impl SigningKey {
    /// Makes a new key.
    ///
    /// # Errors
    /// [`RandomnessError`] when `random` fails or gives zeros only.
    pub fn generate(random: &dyn SecureRandom) -> Result<Self, RandomnessError> {
        let mut secret = Zeroizing::new([0; SECRET_BYTES]);
        let (seed, public) = secret.split_at_mut(SEED_BYTES);
        random.fill(seed).map_err(|_| RandomnessError)?;
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| RandomnessError)?;
        public.copy_from_slice(pair.public_key().as_ref());
        Self::from_secret(&secret).map_err(|_| RandomnessError)
    }

    /// Reads a key in the form PASERK `k4.secret`, canonical base64url only.
    ///
    /// # Errors
    /// [`SigningKeyError`] says what is wrong, without repeating any of the text.
    pub fn from_paserk(text: &str) -> Result<Self, SigningKeyError> {
        let encoded = text.strip_prefix(HEADER).ok_or(SigningKeyError::Format)?;
        let mut secret = Zeroizing::new([0; SECRET_BYTES]);
        match BASE64_URL_SAFE_NO_PAD.decode_slice(encoded, secret.as_mut_slice()) {
            Ok(SECRET_BYTES) => Self::from_secret(&secret),
            _ => Err(SigningKeyError::Format),
        }
    }

    /// The whole key in the form PASERK `k4.secret`, for the key file.
    #[must_use]
    pub fn to_paserk(&self) -> SecretString {
        // Exactly the final length, so that no half-written copy is left behind by growing.
        let mut text = String::with_capacity(HEADER.len() + SECRET_BYTES.div_ceil(3) * 4);
        text.push_str(HEADER);
        BASE64_URL_SAFE_NO_PAD.encode_string(self.0.secret.as_bytes(), &mut text);
        SecretString::from(text)
    }

    /// The name of this key, PASERK `k4.pid`.
    #[must_use]
    pub fn kid(&self) -> &KeyId {
        &self.0.kid
    }

    /// The name of the refresh-MAC key derived from this key.
    #[must_use]
    pub fn mac_key_id(&self) -> MacKeyId {
        self.0.mac_key_id
    }

    /// The public half in the form PASERK `k4.public`, for whoever verifies offline.
    #[must_use]
    pub fn public_paserk(&self) -> &str {
        &self.0.public_paserk
    }

    pub(crate) fn secret(&self) -> &AsymmetricSecretKey<V4> {
        &self.0.secret
    }

    pub(crate) fn public(&self) -> &AsymmetricPublicKey<V4> {
        &self.0.public
    }

    pub(crate) fn refresh_mac(&self) -> &hmac::Key {
        &self.0.refresh_mac
    }

    fn from_secret(bytes: &[u8; SECRET_BYTES]) -> Result<Self, SigningKeyError> {
        let (seed, public) = bytes.split_at(SEED_BYTES);
        // pasetors panics on this one.
        if seed.iter().all(|byte| *byte == 0) {
            return Err(SigningKeyError::ZeroSeed);
        }
        let secret = AsymmetricSecretKey::from(bytes).map_err(|_| SigningKeyError::Mismatch)?;
        let public = AsymmetricPublicKey::from(public).map_err(|_| SigningKeyError::Format)?;
        let kid = paserk(&Id::from(&public)).parse::<KeyId>().map_err(|_| SigningKeyError::Format)?;
        Ok(Self(Arc::new(Parts {
            public_paserk: paserk(&public),
            mac_key_id: kid.mac_key_id(),
            refresh_mac: derive_refresh_mac(seed).ok_or(SigningKeyError::Format)?,
            secret,
            public,
            kid,
        })))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SigningKey").field(&self.0.kid.as_str()).finish()
    }
}

/// The PASERK text of a key or an identifier.
pub(crate) fn paserk(key: &impl FormatAsPaserk) -> String {
    let mut text = String::new();
    // Writing into a string does not fail.
    let _ = key.fmt(&mut text);
    text
}

/// HKDF-SHA256 of the seed (RFC 5869); `None` only if ring refused a constant length.
fn derive_refresh_mac(seed: &[u8]) -> Option<hmac::Key> {
    let pseudorandom = hkdf::Salt::new(hkdf::HKDF_SHA256, &[]).extract(seed);
    pseudorandom.expand(&[REFRESH_MAC_INFO], hmac::HMAC_SHA256).ok().map(hmac::Key::from)
}

#[cfg(test)]
mod tests {
    use ring::rand::SystemRandom;
    use secrecy::ExposeSecret;

    use super::*;

    const PASERK: &str =
        "k4.secret.cHFyc3R1dnd4eXp7fH1-f4CBgoOEhYaHiImKi4yNjo8c5WpIyC_5kWKhS8VEYSZ05dYfuTF-ZdQFV4D9vLTcNQ";

    fn refusal(text: &str) -> SigningKeyError {
        SigningKey::from_paserk(text).expect_err(text)
    }

    #[test]
    fn a_generated_key_survives_its_own_text() {
        let key = SigningKey::generate(&SystemRandom::new()).unwrap();
        let again = SigningKey::from_paserk(key.to_paserk().expose_secret()).unwrap();
        assert_eq!(again.kid(), key.kid());
        assert_eq!(again.public_paserk(), key.public_paserk());
        assert_eq!(again.mac_key_id(), key.mac_key_id());
        assert_eq!(
            hmac::sign(again.refresh_mac(), b"x").as_ref(),
            hmac::sign(key.refresh_mac(), b"x").as_ref()
        );
    }

    #[test]
    fn two_generated_keys_share_nothing() {
        let (one, two) = (
            SigningKey::generate(&SystemRandom::new()).unwrap(),
            SigningKey::generate(&SystemRandom::new()).unwrap(),
        );
        assert_ne!(one.kid(), two.kid());
        assert_ne!(one.mac_key_id(), two.mac_key_id());
        assert_ne!(
            hmac::sign(one.refresh_mac(), b"x").as_ref(),
            hmac::sign(two.refresh_mac(), b"x").as_ref()
        );
    }

    #[test]
    fn a_public_half_of_another_seed_is_refused() {
        let other = "k4.secret.cHFyc3R1dnd4eXp7fH1-f4CBgoOEhYaHiImKi4yNjpBg_jdXGl1ufTCxUVTOSp-5LHDIcISPTM3xYmWICX9z9w";
        // The seeds differ in their last byte, so each half alone decodes.
        let mut bytes = [0; SECRET_BYTES];
        let halves = [PASERK, other]
            .map(|text| BASE64_URL_SAFE_NO_PAD.decode(text.strip_prefix(HEADER).unwrap()).unwrap());
        bytes[..SEED_BYTES].copy_from_slice(&halves[0][..SEED_BYTES]);
        bytes[SEED_BYTES..].copy_from_slice(&halves[1][SEED_BYTES..]);
        let mixed = format!("{HEADER}{}", BASE64_URL_SAFE_NO_PAD.encode(bytes));
        assert_eq!(refusal(&mixed), SigningKeyError::Mismatch);
    }

    #[test]
    fn only_the_canonical_text_of_a_secret_key_is_read() {
        assert!(SigningKey::from_paserk(PASERK).is_ok());
        let unused_bits = PASERK.strip_suffix('Q').unwrap().to_owned() + "R";
        let wrong = [
            "",
            "k4.secret.",
            &PASERK.replace("k4.secret", "k2.secret"),
            &PASERK.replace("k4.secret", "k4.public"),
            &PASERK[..PASERK.len() - 1],
            &format!("{PASERK}A"),
            &format!("{PASERK}=="),
            &format!(" {PASERK}"),
            &format!("{PASERK}\n"),
            &PASERK.replace('-', "+"),
            &unused_bits,
        ];
        for text in wrong {
            assert_eq!(refusal(text), SigningKeyError::Format, "{text}");
        }
    }

    #[test]
    fn the_seed_of_zeros_is_refused_instead_of_panicking() {
        let zeros = "k4.secret.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA7aie8zrakLWKjqNAqbw1zZTIVdx3iQ6Y6wEihi1naKQ";
        assert_eq!(refusal(zeros), SigningKeyError::ZeroSeed);
    }

    #[test]
    fn debugging_a_key_tells_its_name_and_no_secret() {
        let key = SigningKey::from_paserk(PASERK).unwrap();
        let text = format!("{key:?} {:?}", key.to_paserk());
        assert!(text.contains(key.kid().as_str()));
        assert!(!text.contains("cHFyc3R1"), "{text}");
    }
}
