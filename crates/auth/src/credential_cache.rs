//! Verified credentials, remembered by the hash of what was presented.
//!
//! An Ed25519 verification costs about a hundred times a lookup here. What is remembered is checked on every
//! hit against the revocation set, the credential's own end and the key ring.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use cryptopay_domain::{ApiKeyId, SessionId, Timestamp};
use cryptopay_token::{KeyId, TokenHash};
use quick_cache::sync::Cache;

use crate::principal::Principal;
use crate::revocation_set::Epoch;

/// How long an API key is remembered before the store is asked again.
pub(crate) const API_KEY_REMEMBERED: Duration = Duration::from_secs(60);
/// How often one remembered credential reports that it is in use.
const USE_REPORTED_EVERY: Duration = Duration::from_secs(30);

/// A credential that was found good.
pub(crate) struct Remembered {
    pub(crate) principal: Arc<Principal>,
    pub(crate) proof: Proof,
    reported_at: AtomicI64,
}

/// Why it was found good, and thus what has to hold still.
pub(crate) enum Proof {
    /// A signature by this key.
    Signature { session: SessionId, kid: KeyId },
    /// A row of the store, read at this moment.
    Row { key: ApiKeyId, epoch: Epoch, read_at: Timestamp },
}

impl Remembered {
    pub(crate) fn new(principal: Arc<Principal>, proof: Proof) -> Self {
        Self { principal, proof, reported_at: AtomicI64::new(i64::MIN) }
    }

    /// Whether this use is the first in a while, to be reported.
    pub(crate) fn is_use_due(&self, now: Timestamp) -> bool {
        let last = self.reported_at.load(Ordering::Relaxed);
        let due = now.before(USE_REPORTED_EVERY).unix_micros() >= last;
        due && self
            .reported_at
            .compare_exchange(last, now.unix_micros(), Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
    }
}

/// The remembered credentials, at most so many.
pub(crate) struct CredentialCache(Cache<TokenHash, Arc<Remembered>>);

impl CredentialCache {
    pub(crate) fn new(capacity: usize) -> Self {
        Self(Cache::new(capacity))
    }

    pub(crate) fn get(&self, hash: &TokenHash) -> Option<Arc<Remembered>> {
        self.0.get(hash)
    }

    pub(crate) fn insert(&self, hash: TokenHash, remembered: Arc<Remembered>) {
        self.0.insert(hash, remembered);
    }

    pub(crate) fn remove(&self, hash: &TokenHash) {
        self.0.remove(hash);
    }
}
