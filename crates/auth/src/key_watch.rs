//! Follows the key files while the core runs, and records in the database which keys are in use.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::interval;

use crate::core::Inner;
use crate::key_source::{EncryptionKeySource, KeySource};
use crate::secret_file::Fingerprint;

/// How often the key files are looked at.
const EVERY: Duration = Duration::from_millis(500);

/// Follows the key files for as long as it is polled.
pub(crate) async fn watch_keys(inner: Arc<Inner>) {
    let (mut signing_file, mut encryption_file) = (Watched::default(), Watched::default());
    let mut signs = inner.ring.load().active(inner.clock.now()).kid().clone();
    let mut seals = inner.encryption.load().active().id().clone();
    let mut ticks = interval(EVERY);
    loop {
        ticks.tick().await;
        if let KeySource::File(file) = &inner.keys.signing
            && let Some(ring) =
                signing_file.read_again("signing keys", file.fingerprint(), || file.load(inner.clock.now()))
        {
            inner.ring.store(Arc::new(ring));
        }
        if let EncryptionKeySource::File(file) = &inner.keys.encryption
            && let Some(ring) =
                encryption_file.read_again("encryption keys", file.fingerprint(), || file.load())
        {
            inner.encryption.store(Arc::new(ring));
        }
        let active = inner.ring.load().active(inner.clock.now()).kid().clone();
        if active != signs && inner.store.set_signing_key(active.as_str().to_owned()).await.is_ok() {
            tracing::info!(kid = active.as_str(), "tokens are signed with another key from now on");
            signs = active;
        }
        let active = inner.encryption.load().active().id().clone();
        if active != seals && inner.store.set_encryption_key(active.as_str().to_owned()).await.is_ok() {
            tracing::info!(key = active.as_str(), "secrets are sealed with another key from now on");
            seals = active;
        }
    }
}

/// A file that is read again when it changes.
struct Watched {
    seen: Option<Fingerprint>,
    is_readable: bool,
}

impl Default for Watched {
    fn default() -> Self {
        Self { seen: None, is_readable: true }
    }
}

impl Watched {
    /// The new content, if there is any that can be used. What we have stays otherwise: a damaged file must not
    /// log everyone out.
    fn read_again<T, E: Display>(
        &mut self,
        what: &str,
        current: Option<Fingerprint>,
        read: impl FnOnce() -> Result<T, E>,
    ) -> Option<T> {
        // A file that could not be used is tried again: its mode is mended without another fingerprint.
        if current == self.seen && self.is_readable {
            return None;
        }
        match read() {
            Ok(content) => {
                (self.seen, self.is_readable) = (current, true);
                Some(content)
            }
            Err(error) => {
                // Said once.
                if self.is_readable {
                    tracing::error!(%error, "the {what} cannot be read again");
                }
                self.is_readable = false;
                None
            }
        }
    }
}
