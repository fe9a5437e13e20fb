//! Seals secrets that have to be read back, such as those of webhook endpoints, for a database that must not know them.
//!
//! A sealed secret is `version (1 byte) ‖ key (9) ‖ nonce (12) ‖ ciphertext ‖ tag (16)`: AES-256-GCM with a random nonce
//! (NIST SP 800-38D, section 8.2.2; good for 2³² secrets under one key). The version, the key's name and the context, in
//! which it is kept, are authenticated with it: a sealed secret that somebody moves to another row does not open.
//!
//! ```
//! use cryptopay_token::{EncryptionKey, EncryptionRing};
//! use ring::rand::SystemRandom;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let random = SystemRandom::new();
//! let ring = EncryptionRing::new(vec![EncryptionKey::generate(&random)?])?;
//! let sealed = ring.seal("webhook_endpoints/7/secret", b"whsec_c2VjcmV0", &random)?;
//! assert_eq!(ring.open("webhook_endpoints/7/secret", &sealed)?.as_slice(), b"whsec_c2VjcmV0");
//! assert!(ring.open("webhook_endpoints/8/secret", &sealed).is_err());
//! # Ok(())
//! # }
//! ```

use std::collections::HashSet;

use ring::aead::{Aad, NONCE_LEN, Nonce};
use ring::rand::SecureRandom;
use zeroize::Zeroizing;

use crate::encryption_key::SHORT_ID_BYTES;
use crate::{EncryptionKey, EncryptionKeyId, RandomnessError, ShortKeyId};

/// The only form there is so far.
const VERSION: u8 = 1;
/// Version and key.
const HEADER_BYTES: usize = 1 + SHORT_ID_BYTES;
/// Where the ciphertext begins.
const CIPHERTEXT_AT: usize = HEADER_BYTES + NONCE_LEN;
/// Bytes of an authentication tag.
const TAG_BYTES: usize = 16;

/// The encryption keys of an installation: never empty, without duplicates. The first seals; every one opens.
#[derive(Clone, Debug)]
pub struct EncryptionRing(Vec<EncryptionKey>);

/// Why keys make no ring.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncryptionRingError {
    /// There is nothing to seal with.
    #[error("there is no encryption key")]
    Empty,
    /// The same key twice.
    #[error("encryption key {0} is there twice")]
    Duplicate(EncryptionKeyId),
}

/// Why a sealed secret does not open. Never holds any of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Not something that was sealed here.
    #[error("is no sealed secret")]
    Format,
    /// The key is not in the ring: it was taken away too early, or has not come here yet.
    #[error("is sealed with the encryption key {0}, which is not among this server's")]
    UnknownKey(ShortKeyId),
    /// Changed, or moved to where it does not belong.
    #[error("was changed after it was sealed, or belongs elsewhere")]
    Forged,
}

impl EncryptionRing {
    /// A ring whose first key seals.
    ///
    /// # Errors
    /// [`EncryptionRingError`] when there is no key, or one twice.
    pub fn new(keys: Vec<EncryptionKey>) -> Result<Self, EncryptionRingError> {
        // By their short names: a sealed secret could not tell two keys apart whose short names coincide.
        let mut seen = HashSet::new();
        match keys.iter().find(|key| !seen.insert(key.short_id())) {
            Some(twice) => Err(EncryptionRingError::Duplicate(twice.id().clone())),
            None if keys.is_empty() => Err(EncryptionRingError::Empty),
            None => Ok(Self(keys)),
        }
    }

    /// The key that seals.
    #[must_use]
    pub fn active(&self) -> &EncryptionKey {
        &self.0[0]
    }

    /// Every key, the one that seals first.
    #[must_use]
    pub fn keys(&self) -> &[EncryptionKey] {
        &self.0
    }

    /// Whether a key of this name is there: if not, nothing that it sealed can be read.
    #[must_use]
    pub fn contains(&self, id: &str) -> bool {
        self.0.iter().any(|key| key.id().as_str() == id)
    }

    /// Seals a secret for one place: `context` names table, row and column, and has to be given again to open it.
    ///
    /// # Errors
    /// [`RandomnessError`] when `random` fails.
    pub fn seal(
        &self,
        context: &str,
        plaintext: &[u8],
        random: &dyn SecureRandom,
    ) -> Result<Vec<u8>, RandomnessError> {
        let key = self.active();
        let mut nonce = [0; NONCE_LEN];
        random.fill(&mut nonce).map_err(|_| RandomnessError)?;
        // Exactly the final length, so that no copy of the secret is left behind by growing.
        let mut sealed = Vec::with_capacity(CIPHERTEXT_AT + plaintext.len() + TAG_BYTES);
        sealed.push(VERSION);
        sealed.extend_from_slice(&key.short_id().0);
        let associated = associated_data(&sealed, context);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(plaintext);
        let tag = key.sealing().seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            associated,
            &mut sealed[CIPHERTEXT_AT..],
        );
        // Fails for secrets beyond 64 GiB alone, which do not exist.
        sealed.extend_from_slice(tag.map_err(|_| RandomnessError)?.as_ref());
        Ok(sealed)
    }

    /// Whether the key that seals now sealed this: if not, it can be sealed anew, so that an older key can go.
    #[must_use]
    pub fn is_sealed_by_active(&self, sealed: &[u8]) -> bool {
        let header = sealed.split_first_chunk::<HEADER_BYTES>();
        header.is_some_and(|(header, _)| header[0] == VERSION && header[1..] == self.active().short_id().0)
    }

    /// Opens what was sealed for the same context, with whichever key sealed it.
    ///
    /// # Errors
    /// [`OpenError`] when it cannot be trusted or not be read.
    pub fn open(&self, context: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let (header, rest) = sealed.split_at_checked(HEADER_BYTES).ok_or(OpenError::Format)?;
        let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_LEN>().ok_or(OpenError::Format)?;
        let Some((&VERSION, short_id)) = header.split_first() else { return Err(OpenError::Format) };
        let short_id = ShortKeyId(short_id.try_into().map_err(|_| OpenError::Format)?);
        let key = self.0.iter().find(|key| key.short_id() == short_id);
        let key = key.ok_or(OpenError::UnknownKey(short_id))?;
        let mut plaintext = Zeroizing::new(ciphertext.to_vec());
        let opened = key.sealing().open_in_place(
            Nonce::assume_unique_for_key(*nonce),
            associated_data(header, context),
            &mut plaintext,
        );
        let length = opened.map_err(|_| OpenError::Forged)?.len();
        plaintext.truncate(length);
        Ok(plaintext)
    }
}

/// The header has a fixed length, so that it and the context cannot run into each other.
fn associated_data(header: &[u8], context: &str) -> Aad<Vec<u8>> {
    Aad::from([header, context.as_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use ring::rand::SystemRandom;

    use super::*;

    const CONTEXT: &str = "webhook_endpoints/0123/secret";
    const SECRET: &[u8] = b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    fn key() -> EncryptionKey {
        EncryptionKey::generate(&SystemRandom::new()).unwrap()
    }

    fn ring(keys: &[&EncryptionKey]) -> EncryptionRing {
        EncryptionRing::new(keys.iter().map(|key| (*key).clone()).collect()).unwrap()
    }

    fn seal(ring: &EncryptionRing) -> Vec<u8> {
        ring.seal(CONTEXT, SECRET, &SystemRandom::new()).unwrap()
    }

    #[test]
    fn what_is_sealed_opens_in_its_context_alone() {
        let ring = ring(&[&key()]);
        let sealed = seal(&ring);
        assert_eq!(ring.open(CONTEXT, &sealed).unwrap().as_slice(), SECRET);
        for context in ["webhook_endpoints/0124/secret", "webhook_endpoints/0123/secret2", ""] {
            assert_eq!(ring.open(context, &sealed).unwrap_err(), OpenError::Forged, "{context}");
        }
    }

    #[test]
    fn nothing_of_the_secret_shows_and_no_two_seals_are_alike() {
        let ring = ring(&[&key()]);
        let (one, two) = (seal(&ring), seal(&ring));
        assert_ne!(one[HEADER_BYTES..], two[HEADER_BYTES..]);
        assert!(!one.windows(6).any(|window| SECRET.windows(6).any(|part| part == window)));
        assert_eq!(one.len(), CIPHERTEXT_AT + SECRET.len() + TAG_BYTES);
    }

    #[test]
    fn a_secret_without_bytes_is_sealed_like_any_other() {
        let ring = ring(&[&key()]);
        let sealed = ring.seal(CONTEXT, b"", &SystemRandom::new()).unwrap();
        assert!(ring.open(CONTEXT, &sealed).unwrap().is_empty());
    }

    #[test]
    fn no_changed_or_missing_byte_goes_unnoticed() {
        let ring = ring(&[&key()]);
        let sealed = seal(&ring);
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            let error = ring.open(CONTEXT, &changed).expect_err("a changed byte");
            match index {
                0 => assert_eq!(error, OpenError::Format),
                1..HEADER_BYTES => assert!(matches!(error, OpenError::UnknownKey(_)), "{index}"),
                _ => assert_eq!(error, OpenError::Forged, "{index}"),
            }
            assert!(ring.open(CONTEXT, &sealed[..index]).is_err(), "{index} bytes alone");
        }
        let longer = [sealed.as_slice(), &[0]].concat();
        assert_eq!(ring.open(CONTEXT, &longer).unwrap_err(), OpenError::Forged);
    }

    #[test]
    fn an_older_key_opens_what_it_sealed_and_the_first_seals() {
        let (old, new) = (key(), key());
        let before = seal(&ring(&[&old]));
        let rotated = ring(&[&new, &old]);
        assert_eq!(rotated.open(CONTEXT, &before).unwrap().as_slice(), SECRET);
        let after = seal(&rotated);
        assert_eq!(ring(&[&new]).open(CONTEXT, &after).unwrap().as_slice(), SECRET);
        assert!(rotated.is_sealed_by_active(&after) && !rotated.is_sealed_by_active(&before));
        assert!(!rotated.is_sealed_by_active(&[]));
        assert!(rotated.contains(old.id().as_str()) && !ring(&[&new]).contains(old.id().as_str()));
    }

    #[test]
    fn an_unknown_key_is_named() {
        let (mine, theirs) = (key(), key());
        let error = ring(&[&mine]).open(CONTEXT, &seal(&ring(&[&theirs]))).unwrap_err();
        assert_eq!(error, OpenError::UnknownKey(theirs.short_id()));
        assert!(error.to_string().contains(&theirs.id().as_str()[..19]), "{error}");
    }

    #[test]
    fn a_ring_holds_each_key_once_and_at_least_one() {
        let key = key();
        let twice = EncryptionRing::new(vec![key.clone(), self::key(), key.clone()]);
        assert_eq!(twice.unwrap_err(), EncryptionRingError::Duplicate(key.id().clone()));
        assert_eq!(EncryptionRing::new(Vec::new()).unwrap_err(), EncryptionRingError::Empty);
    }

    /// Sealed secrets outlive the program that sealed them. This one was made with other libraries (HKDF and AES-GCM of
    /// Python's `cryptography`).
    #[test]
    fn what_was_sealed_long_ago_still_opens() {
        let key = EncryptionKey::from_paserk("k4.local.cHFyc3R1dnd4eXp7fH1-f4CBgoOEhYaHiImKi4yNjo8").unwrap();
        let sealed = "01895b584038ebe60122000102030405060708090a0b0ecd\
                      09ad202bbd01b8ea2ee36ff37b495932993a96ceb34b";
        let sealed: Vec<u8> = (0..sealed.len())
            .step_by(2)
            .map(|index| u8::from_str_radix(&sealed[index..index + 2], 16).unwrap())
            .collect();
        assert_eq!(ring(&[&key]).open("table/row/column", &sealed).unwrap().as_slice(), b"a secret");
    }
}
