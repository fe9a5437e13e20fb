//! The file that keeps the encryption keys of an installation that was given none: `{"keys": ["k4.local.…"]}`, of
//! which the first seals and every one opens.

use std::path::Path;

use cryptopay_token::{EncryptionKey, EncryptionKeyId, EncryptionRing, EncryptionRingError};
use ring::rand::SecureRandom;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::secret_file::{Fingerprint, SecretFile, SecretFileError};

/// The encryption keys in a data directory.
#[derive(Clone, Debug)]
pub struct EncryptionKeyFile(SecretFile);

/// Why the encryption-key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EncryptionKeyFileError {
    /// It cannot be read or written, can be read by others, or is damaged.
    #[error(transparent)]
    File(#[from] SecretFileError),
    /// Its keys make no ring.
    #[error(transparent)]
    Ring(#[from] EncryptionRingError),
    /// No random bits for a new key.
    #[error("the system's random number generator failed")]
    Randomness,
}

#[derive(Serialize, Deserialize)]
struct Content {
    keys: Vec<Zeroizing<String>>,
}

impl EncryptionKeyFile {
    /// The encryption-key file in `directory`.
    #[must_use]
    pub fn in_directory(directory: &Path) -> Self {
        Self(SecretFile::new(directory, "encryption-keys.json", "encryption-key file"))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Reads the ring, making one with a new key when there is none.
    ///
    /// # Errors
    /// [`EncryptionKeyFileError`] says what to mend.
    pub fn load_or_create(
        &self,
        random: &dyn SecureRandom,
    ) -> Result<EncryptionRing, EncryptionKeyFileError> {
        if let Some(content) = self.0.find()? {
            return self.ring(&content);
        }
        let key = generate(random)?;
        self.0.create(&content(std::slice::from_ref(&key)), key.id().as_str())?;
        self.load()
    }

    /// Reads the ring.
    ///
    /// # Errors
    /// [`EncryptionKeyFileError`] says what to mend.
    pub fn load(&self) -> Result<EncryptionRing, EncryptionKeyFileError> {
        self.ring(&self.0.read()?)
    }

    /// Puts a new key first, which seals from now on. Older keys stay: what they sealed has to open.
    ///
    /// # Errors
    /// [`EncryptionKeyFileError`] says what to mend.
    pub fn rotate(&self, random: &dyn SecureRandom) -> Result<EncryptionKeyId, EncryptionKeyFileError> {
        let _lock = self.0.lock()?;
        let key = generate(random)?;
        let id = key.id().clone();
        let keys: Vec<_> = std::iter::once(key).chain(self.load()?.keys().iter().cloned()).collect();
        self.0.replace(&content(&keys), id.as_str())?;
        Ok(id)
    }

    pub(crate) fn fingerprint(&self) -> Option<Fingerprint> {
        self.0.fingerprint()
    }

    fn ring(&self, content: &Content) -> Result<EncryptionRing, EncryptionKeyFileError> {
        let numbered = content.keys.iter().zip(1..);
        let keys = numbered.map(|(text, number)| {
            EncryptionKey::from_paserk(text).map_err(|error| self.0.damaged(&format!("key {number} {error}")))
        });
        Ok(EncryptionRing::new(keys.collect::<Result<_, _>>()?)?)
    }
}

fn content(keys: &[EncryptionKey]) -> Content {
    let text = |key: &EncryptionKey| Zeroizing::new(key.to_paserk().expose_secret().to_owned());
    Content { keys: keys.iter().map(text).collect() }
}

fn generate(random: &dyn SecureRandom) -> Result<EncryptionKey, EncryptionKeyFileError> {
    EncryptionKey::generate(random).map_err(|_| EncryptionKeyFileError::Randomness)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use ring::rand::SystemRandom;

    use super::*;

    fn ids(ring: &EncryptionRing) -> Vec<String> {
        ring.keys().iter().map(|key| key.id().to_string()).collect()
    }

    #[test]
    fn two_first_starts_at_once_end_with_one_ring() {
        let directory = tempfile::tempdir().unwrap();
        let file = EncryptionKeyFile::in_directory(directory.path());
        let rings: Vec<_> = std::thread::scope(|scope| {
            let start = || scope.spawn(|| ids(&file.load_or_create(&SystemRandom::new()).unwrap()));
            let starts: Vec<_> = std::iter::repeat_with(start).take(8).collect();
            starts.into_iter().map(|start| start.join().unwrap()).collect()
        });
        assert_eq!(rings[0].len(), 1);
        assert!(rings.iter().all(|ring| *ring == rings[0]), "{rings:?}");
    }

    #[test]
    fn a_rotation_puts_a_new_key_first_and_keeps_the_old_ones() {
        let directory = tempfile::tempdir().unwrap();
        let file = EncryptionKeyFile::in_directory(directory.path());
        let random = SystemRandom::new();
        let first = file.load_or_create(&random).unwrap();
        let sealed = first.seal("here", b"secret", &random).unwrap();
        let second = file.rotate(&random).unwrap();
        let third = file.rotate(&random).unwrap();
        let ring = file.load().unwrap();
        assert_eq!(ids(&ring), [third.to_string(), second.to_string(), first.active().id().to_string()]);
        assert_eq!(ring.open("here", &sealed).unwrap().as_slice(), b"secret");
    }

    #[test]
    fn a_damaged_key_is_counted_and_not_quoted() {
        let directory = tempfile::tempdir().unwrap();
        let file = EncryptionKeyFile::in_directory(directory.path());
        file.load_or_create(&SystemRandom::new()).unwrap();
        let text = fs::read_to_string(file.path()).unwrap();
        fs::write(file.path(), text.replace("k4.local", "k4.lokal")).unwrap();
        let message = file.load_or_create(&SystemRandom::new()).unwrap_err().to_string();
        assert!(message.contains("damaged: key 1 ") && !message.contains("lokal"), "{message}");
        fs::write(file.path(), r#"{"keys": []}"#).unwrap();
        let message = file.load().unwrap_err().to_string();
        assert_eq!(message, "there is no encryption key");
    }
}
