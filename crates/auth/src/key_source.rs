//! Where the keys of an installation come from.

use std::path::Path;

use cryptopay_domain::Timestamp;
use cryptopay_token::{EncryptionRing, KeyRing};
use ring::rand::SecureRandom;

use crate::encryption_key_file::{EncryptionKeyFile, EncryptionKeyFileError};
use crate::key_file::{KeyFile, KeyFileError};

/// Where all keys come from. The kinds are independent of each other.
#[derive(Clone, Debug)]
pub struct KeySources {
    /// The keys that sign access tokens.
    pub signing: KeySource,
    /// The keys that seal what has to be read back.
    pub encryption: EncryptionKeySource,
}

/// Where the signing keys come from.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// From a file that may change while we run.
    File(KeyFile),
    /// From the configuration.
    Fixed(KeyRing),
}

/// Where the encryption keys come from.
#[derive(Clone, Debug)]
pub enum EncryptionKeySource {
    /// From a file that may change while we run.
    File(EncryptionKeyFile),
    /// From the configuration.
    Fixed(EncryptionRing),
}

impl KeySources {
    /// From the key files in `directory`.
    #[must_use]
    pub fn in_directory(directory: &Path) -> Self {
        Self {
            signing: KeySource::File(KeyFile::in_directory(directory)),
            encryption: EncryptionKeySource::File(EncryptionKeyFile::in_directory(directory)),
        }
    }
}

impl KeySource {
    /// The ring as it is at `now`; `None` when its file is yet to be made.
    ///
    /// # Errors
    /// [`KeyFileError`] says what to mend.
    pub fn find(&self, now: Timestamp) -> Result<Option<KeyRing>, KeyFileError> {
        match self {
            Self::Fixed(ring) => Ok(Some(ring.clone())),
            Self::File(file) if !file.path().exists() => Ok(None),
            Self::File(file) => file.load(now).map(Some),
        }
    }

    pub(crate) fn load_or_create(
        &self,
        now: Timestamp,
        random: &dyn SecureRandom,
    ) -> Result<KeyRing, KeyFileError> {
        match self {
            Self::File(file) => file.load_or_create(now, random),
            Self::Fixed(ring) => Ok(ring.clone()),
        }
    }
}

impl EncryptionKeySource {
    /// The ring as it is; `None` when its file is yet to be made.
    ///
    /// # Errors
    /// [`EncryptionKeyFileError`] says what to mend.
    pub fn find(&self) -> Result<Option<EncryptionRing>, EncryptionKeyFileError> {
        match self {
            Self::Fixed(ring) => Ok(Some(ring.clone())),
            Self::File(file) if !file.path().exists() => Ok(None),
            Self::File(file) => file.load().map(Some),
        }
    }

    pub(crate) fn load_or_create(
        &self,
        random: &dyn SecureRandom,
    ) -> Result<EncryptionRing, EncryptionKeyFileError> {
        match self {
            Self::File(file) => file.load_or_create(random),
            Self::Fixed(ring) => Ok(ring.clone()),
        }
    }
}
