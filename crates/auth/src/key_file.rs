//! The file that keeps the signing keys of an installation that was given none.
//!
//! It is readable by its owner alone, replaced as a whole, and made so that two first starts at once end
//! with one ring.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use cryptopay_domain::Timestamp;
use cryptopay_token::{KeyId, KeyRing, KeyRingError, RingEntry, SigningKey};
use ring::rand::SecureRandom;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// The signing keys in a data directory.
#[derive(Clone, Debug)]
pub struct KeyFile {
    path: PathBuf,
}

/// Why the key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// It cannot be read or written.
    #[error("the signing-key file {path} cannot be {action}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// What the operating system said.
        error: io::Error,
    },
    /// Others may read it.
    #[error("the signing-key file {path} can be read by others (mode {mode:o}); run: chmod 600 {path}")]
    Permissions {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Its content is none of ours.
    #[error("the signing-key file {path} is damaged: {reason}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
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
        Self { path: directory.join("signing-keys.json") }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the ring, making one with a new key when there is none.
    ///
    /// # Errors
    /// [`KeyFileError`] says what to mend.
    pub fn load_or_create(&self, now: Timestamp, random: &dyn SecureRandom) -> Result<KeyRing, KeyFileError> {
        match self.load(now) {
            Err(KeyFileError::Io { error, .. }) if error.kind() == io::ErrorKind::NotFound => {}
            loaded => return loaded,
        }
        let first = RingEntry { key: generate(random)?, activates_at: now.whole_seconds() };
        let temporary = self.write_temporary(&KeyRing::scheduled(vec![first], now)?)?;
        // A link fails if the name is taken: whoever comes second uses what the first one made.
        let linked = fs::hard_link(&temporary, &self.path);
        let _ = fs::remove_file(&temporary);
        match linked {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(self.error("created", error));
            }
            _ => self.sync_directory()?,
        }
        self.load(now)
    }

    /// Reads the ring.
    ///
    /// # Errors
    /// [`KeyFileError`] says what to mend.
    pub fn load(&self, now: Timestamp) -> Result<KeyRing, KeyFileError> {
        let mode = fs::metadata(&self.path).map_err(|error| self.error("read", error))?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(KeyFileError::Permissions { path: self.path.clone(), mode: mode & 0o777 });
        }
        let text = Zeroizing::new(fs::read(&self.path).map_err(|error| self.error("read", error))?);
        let damaged = |reason: String| KeyFileError::Damaged { path: self.path.clone(), reason };
        // The parser's own words could quote the content; where it stopped is enough.
        let content: Content = serde_json::from_slice(&text)
            .map_err(|error| damaged(format!("line {}, column {}", error.line(), error.column())))?;
        let entries = content
            .keys
            .iter()
            .map(|entry| {
                let key =
                    SigningKey::from_paserk(&entry.secret).map_err(|error| damaged(error.to_string()))?;
                let activates_at =
                    Timestamp::parse(&entry.activates_at).map_err(|error| damaged(error.to_string()))?;
                Ok(RingEntry { key, activates_at })
            })
            .collect::<Result<Vec<_>, KeyFileError>>()?;
        Ok(KeyRing::scheduled(entries, now)?)
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

    /// What changes when the file does: its modification time, size and inode.
    ///
    /// # Errors
    /// [`KeyFileError::Io`] when it is not there.
    pub fn fingerprint(&self) -> Result<(SystemTime, u64, u64), KeyFileError> {
        use std::os::unix::fs::MetadataExt as _;
        let metadata = fs::metadata(&self.path).map_err(|error| self.error("read", error))?;
        let modified = metadata.modified().map_err(|error| self.error("read", error))?;
        Ok((modified, metadata.len(), metadata.ino()))
    }

    fn change(
        &self,
        now: Timestamp,
        change: impl FnOnce(&KeyRing) -> Result<(Vec<RingEntry>, KeyId), KeyFileError>,
    ) -> Result<KeyId, KeyFileError> {
        // Changes take turns; the lock goes when the file is closed.
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(self.path.with_extension("lock"))
            .map_err(|error| self.error("locked", error))?;
        lock.lock().map_err(|error| self.error("locked", error))?;
        let (entries, kid) = change(&self.load(now)?)?;
        let temporary = self.write_temporary(&KeyRing::scheduled(entries, now)?)?;
        fs::rename(&temporary, &self.path).map_err(|error| self.error("replaced", error))?;
        self.sync_directory()?;
        Ok(kid)
    }

    fn write_temporary(&self, ring: &KeyRing) -> Result<PathBuf, KeyFileError> {
        let keys = ring
            .scheduled_entries()
            .iter()
            .map(|entry| Entry {
                secret: Zeroizing::new(entry.key.to_paserk().expose_secret().to_owned()),
                activates_at: entry.activates_at.to_string(),
            })
            .collect();
        let damaged = |error: serde_json::Error| KeyFileError::Damaged {
            path: self.path.clone(),
            reason: error.to_string(),
        };
        let text = Zeroizing::new(serde_json::to_string_pretty(&Content { keys }).map_err(damaged)?);
        // Named after a key, which is random, and not after a process: those in two containers have the same
        // number. One left behind by a crash is made anew.
        let newest = ring.scheduled_entries().last().map(|entry| entry.key.mac_key_id().to_string());
        let path = self.path.with_extension(format!("{}.tmp", newest.unwrap_or_default()));
        let _ = fs::remove_file(&path);
        let mut file = OpenOptions::new()
            .create_new(true)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(|error| self.error("written", error))?;
        file.write_all(text.as_bytes())
            .and_then(|()| file.sync_all())
            .map_err(|error| self.error("written", error))?;
        Ok(path)
    }

    /// A new name is on the disk only when its directory is.
    fn sync_directory(&self) -> Result<(), KeyFileError> {
        let directory = self.path.parent().unwrap_or(Path::new("."));
        File::open(directory)
            .and_then(|directory| directory.sync_all())
            .map_err(|error| self.error("written", error))
    }

    fn error(&self, action: &'static str, error: io::Error) -> KeyFileError {
        KeyFileError::Io { path: self.path.clone(), action, error }
    }
}

fn generate(random: &dyn SecureRandom) -> Result<SigningKey, KeyFileError> {
    SigningKey::generate(random).map_err(|_| KeyFileError::Randomness)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::rand::SystemRandom;

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
        let left: Vec<_> = fs::read_dir(directory.path()).unwrap().collect();
        assert_eq!(left.len(), 1, "temporary files are removed: {left:?}");
    }

    #[test]
    fn only_the_owner_may_read_it() {
        let directory = tempfile::tempdir().unwrap();
        let file = KeyFile::in_directory(directory.path());
        file.load_or_create(at(0), &SystemRandom::new()).unwrap();
        assert_eq!(fs::metadata(file.path()).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(file.path(), fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(file.load(at(0)), Err(KeyFileError::Permissions { mode: 0o644, .. })));
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
