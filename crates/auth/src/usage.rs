//! Uses of credentials, collected in memory and written in batches: no request pays a write for them.
//!
//! Two of them matter at once and are written within a moment: the first sight of an access token of a fresh
//! refresh, from which on the refresh token before it is spent for good, and the first use of a key. Until
//! they are written, this replica's own decisions take them from here.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

use cryptopay_domain::{ApiKeyId, SessionId, Timestamp};
use cryptopay_store::session::SessionSighting;
use cryptopay_store::{Store, StoreError};
use tokio::sync::Notify;

use crate::api_key_usage::KeyCounts;

/// What is waiting to be written.
#[derive(Default)]
pub(crate) struct Usage {
    pending: Mutex<Pending>,
    urgent: Notify,
    /// How much each key is used.
    pub(crate) keys: KeyCounts,
}

#[derive(Default, Clone)]
struct Pending {
    sightings: HashMap<SessionId, SessionSighting>,
    sessions: HashMap<SessionId, Timestamp>,
    api_keys: HashMap<ApiKeyId, Timestamp>,
}

impl Usage {
    /// An access token with this refresh counter was presented.
    pub(crate) fn session_used(&self, session: SessionId, at: Timestamp) {
        self.lock().sessions.insert(session, at);
    }

    /// An access token of a refresh was presented for the first time, as far as this replica knows.
    pub(crate) fn session_seen(&self, sighting: SessionSighting) {
        let mut pending = self.lock();
        let known = pending.sightings.entry(sighting.session).or_insert(sighting);
        if known.counter < sighting.counter {
            *known = sighting;
        }
        drop(pending);
        self.urgent.notify_one();
    }

    /// A key was presented.
    pub(crate) fn api_key_used(&self, key: ApiKeyId, at: Timestamp, first: bool) {
        self.lock().api_keys.insert(key, at);
        if first {
            self.urgent.notify_one();
        }
    }

    /// The sighting of a session that is not written yet.
    pub(crate) fn sighting(&self, session: SessionId) -> Option<SessionSighting> {
        self.lock().sightings.get(&session).copied()
    }

    /// The use of a session that is not written yet.
    pub(crate) fn session_last_used(&self, session: SessionId) -> Option<Timestamp> {
        self.lock().sessions.get(&session).copied()
    }

    /// The use of a key that is not written yet.
    pub(crate) fn api_key_last_used(&self, key: ApiKeyId) -> Option<Timestamp> {
        self.lock().api_keys.get(&key).copied()
    }

    /// Waits until something was reported that should be written at once.
    pub(crate) async fn urgent(&self) {
        self.urgent.notified().await;
    }

    /// Writes what is waiting. What could not be written goes on waiting.
    pub(crate) async fn flush(&self, store: &Store) -> Result<(), StoreError> {
        let batch = self.lock().clone();
        if !batch.sightings.is_empty() || !batch.sessions.is_empty() {
            let sightings = batch.sightings.values().copied().collect();
            let uses = batch.sessions.iter().map(|(id, at)| (*id, *at)).collect();
            store.mark_sessions_seen(sightings, uses).await?;
        }
        if !batch.api_keys.is_empty() {
            store.mark_api_keys_used(batch.api_keys.iter().map(|(id, at)| (*id, *at)).collect()).await?;
        }
        self.forget(&batch);
        self.keys.flush(store).await
    }

    fn forget(&self, written: &Pending) {
        let mut pending = self.lock();
        forget_written(&mut pending.sightings, &written.sightings);
        forget_written(&mut pending.sessions, &written.sessions);
        forget_written(&mut pending.api_keys, &written.api_keys);
    }

    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes what was written, unless something newer has come in meanwhile.
fn forget_written<K: Eq + Hash, V: PartialEq>(pending: &mut HashMap<K, V>, written: &HashMap<K, V>) {
    pending.retain(|key, value| written.get(key) != Some(value));
}
