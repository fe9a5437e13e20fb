//! The file that keeps the signing keys of an installation that was given none, each with the moment from which it
//! signs.

use std::path::Path;
use std::time::Duration;

use cryptopay_domain::Timestamp;
use cryptopay_token::{KeyId, KeyRing, KeyRingError, RingEntry, SigningKey};
use ring::rand::SecureRandom;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::secret_file::{Fingerprint, SecretFile, SecretFileError};

/// The signing keys in a data directory.
#[derive(Clone, Debug)]
pub struct KeyFile(SecretFile);

/// Why the key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// It cannot be read or written, can be read by others, or is damaged.
    #[error(transparent)]
    File(#[from] SecretFileError),
    /// Its keys make no ring.
    #[error(transparent)]
    Ring(#[from] KeyRingError),
    /// There is no such key.
    #[error("there is no signing key {0}; `cryptopay signing-key list` shows those there are")]
    NotFound(String),
    /// A rotation is under way.
    #[error("the key {0} is already waiting to become active")]
    AlreadyRotating(KeyId),
    /// No random bits for a new key.
    #[error("the system's random number generator failed")]
    Randomness,
}

#[derive(Serialize, Deserialize)]
struct Content {
    keys: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    secret: Zeroizing<String>,
    activates_at: String,
}

impl KeyFile {
    /// The key file in `directory`.
    #[must_use]
    pub fn in_directory(directory: &Path) -> Self {
        Self(SecretFile::new(directory, "signing-keys.json", "signing-key file"))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Reads the ring, making one with a new key when there is none.
    ///
    /// # Errors
    /// [`KeyFileError`] says what to mend.
    pub fn load_or_create(&self, now: Timestamp, random: &dyn SecureRandom) -> Result<KeyRing, KeyFileError> {
        if let Some(content) = self.0.find()? {
            return self.ring(&content, now);
        }
        let first = RingEntry { key: generate(random)?, activates_at: now.whole_seconds() };
        let ring = KeyRing::scheduled(vec![first], now)?;
        self.0.create(&content(&ring), &newest(&ring))?;
        self.load(now)
    }

    /// Reads the ring.
    ///
    /// # Errors
    /// [`KeyFileError`] says what to mend.
    pub fn load(&self, now: Timestamp) -> Result<KeyRing, KeyFileError> {
        self.ring(&self.0.read()?, now)
    }

    /// Adds a key that becomes active after `notice`, so that everyone who verifies has seen it by then, and
    /// drops keys retired for longer than `keep`.
    ///
    /// # Errors
    /// [`KeyFileError::AlreadyRotating`] while another key waits, or what to mend.
    pub fn rotate(
        &self,
        notice: Duration,
        keep: Duration,
        now: Timestamp,
        random: &dyn SecureRandom,
    ) -> Result<KeyId, KeyFileError> {
        self.change(now, |ring| {
            let mut entries = ring.pruned(now, keep).scheduled_entries().to_vec();
            if let Some(next) = entries.iter().find(|entry| entry.activates_at > now) {
                return Err(KeyFileError::AlreadyRotating(next.key.kid().clone()));
            }
            let key = generate(random)?;
            let kid = key.kid().clone();
            entries.push(RingEntry { key, activates_at: now.whole_seconds().after(notice) });
            Ok((entries, kid))
        })
    }

    /// Withdraws a key at once. When it is the active one, a new key takes its place without notice.
    ///
    /// # Errors
    /// [`KeyFileError::NotFound`], or what to mend.
    pub fn revoke(
        &self,
        kid: &str,
        now: Timestamp,
        random: &dyn SecureRandom,
    ) -> Result<KeyId, KeyFileError> {
        self.change(now, |ring| {
            if ring.find(kid).is_none() {
                return Err(KeyFileError::NotFound(kid.to_owned()));
            }
            let was_active = ring.active(now).kid().as_str() == kid;
            let mut entries = ring.scheduled_entries().to_vec();
            entries.retain(|entry| entry.key.kid().as_str() != kid);
            if was_active {
                entries.push(RingEntry { key: generate(random)?, activates_at: now.whole_seconds() });
            }
            let active = KeyRing::scheduled(entries.clone(), now)?.active(now).kid().clone();
            Ok((entries, active))
        })
    }

    pub(crate) fn fingerprint(&self) -> Option<Fingerprint> {
        self.0.fingerprint()
    }

    fn change(
        &self,
        now: Timestamp,
        change: impl FnOnce(&KeyRing) -> Result<(Vec<RingEntry>, KeyId), KeyFileError>,
    ) -> Result<KeyId, KeyFileError> {
        let _lock = self.0.lock()?;
        let (entries, kid) = change(&self.load(now)?)?;
        let ring = KeyRing::scheduled(entries, now)?;
        self.0.replace(&content(&ring), &newest(&ring))?;
        Ok(kid)
    }

    fn ring(&self, content: &Content, now: Timestamp) -> Result<KeyRing, KeyFileError> {
        let entry = |entry: &Entry| -> Result<RingEntry, SecretFileError> {
            let key = SigningKey::from_paserk(&entry.secret).map_err(|error| self.0.damaged(&error))?;
            let activates_at =
                Timestamp::parse(&entry.activates_at).map_err(|error| self.0.damaged(&error))?;
            Ok(RingEntry { key, activates_at })
        };
        let entries = content.keys.iter().map(entry).collect::<Result<_, _>>()?;
        Ok(KeyRing::scheduled(entries, now)?)
    }
}

fn content(ring: &KeyRing) -> Content {
    let entry = |entry: &RingEntry| Entry {
        secret: Zeroizing::new(entry.key.to_paserk().expose_secret().to_owned()),
        activates_at: entry.activates_at.to_string(),
    };
    Content { keys: ring.scheduled_entries().iter().map(entry).collect() }
}

/// Names a temporary file: first starts at once each bring a key of their own, and changes take turns.
fn newest(ring: &KeyRing) -> String {
    ring.scheduled_entries().last().map(|entry| entry.key.mac_key_id().to_string()).unwrap_or_default()
}

fn generate(random: &dyn SecureRandom) -> Result<SigningKey, KeyFileError> {
    SigningKey::generate(random).map_err(|_| KeyFileError::Randomness)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use ring::rand::SystemRandom;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_seconds(1_700_000_000 + seconds)
    }

    #[test]
    fn two_first_starts_at_once_end_with_one_ring() {
        let directory = tempfile::tempdir().unwrap();
        let file = KeyFile::in_directory(directory.path());
        let kids: Vec<String> = std::thread::scope(|scope| {
            let starts: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        let ring = file.load_or_create(at(0), &SystemRandom::new()).unwrap();
                        ring.active(at(0)).kid().as_str().to_owned()
                    })
                })
                .collect();
            starts.into_iter().map(|start| start.join().unwrap()).collect()
        });
        assert!(kids.windows(2).all(|pair| pair[0] == pair[1]));
    }

    #[test]
    fn a_rotation_gives_notice_and_keeps_the_old_key() {
        let directory = tempfile::tempdir().unwrap();
        let file = KeyFile::in_directory(directory.path());
        let random = SystemRandom::new();
        let first = file.load_or_create(at(0), &random).unwrap().active(at(0)).kid().clone();
        let notice = Duration::from_secs(300);
        let keep = Duration::from_secs(1000);
        let second = file.rotate(notice, keep, at(10), &random).unwrap();
        assert!(matches!(file.rotate(notice, keep, at(11), &random), Err(KeyFileError::AlreadyRotating(_))));
        let ring = file.load(at(309)).unwrap();
        assert_eq!(ring.active(at(309)).kid(), &first);
        assert_eq!(ring.active(at(310)).kid(), &second);
        assert!(ring.contains(&first));
        file.rotate(notice, keep, at(1400), &random).unwrap();
        assert!(!file.load(at(1400)).unwrap().contains(&first), "retired for longer than it is kept");
    }

    #[test]
    fn a_revoked_active_key_is_replaced_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let file = KeyFile::in_directory(directory.path());
        let random = SystemRandom::new();
        let first = file.load_or_create(at(0), &random).unwrap().active(at(0)).kid().clone();
        let second = file.revoke(first.as_str(), at(5), &random).unwrap();
        let ring = file.load(at(5)).unwrap();
        assert!(!ring.contains(&first));
        assert_eq!(ring.active(at(5)).kid(), &second);
        assert!(matches!(file.revoke(first.as_str(), at(6), &random), Err(KeyFileError::NotFound(_))));
    }

    #[test]
    fn a_damaged_file_is_named_without_quoting_it() {
        let directory = tempfile::tempdir().unwrap();
        let file = KeyFile::in_directory(directory.path());
        file.load_or_create(at(0), &SystemRandom::new()).unwrap();
        let text = fs::read_to_string(file.path()).unwrap();
        fs::write(file.path(), text.replace("k4.secret", "k4.sekret")).unwrap();
        let message = file.load(at(0)).unwrap_err().to_string();
        assert!(message.contains("damaged") && !message.contains("sekret"), "{message}");
    }
}
