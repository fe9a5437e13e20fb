//! What has been revoked, in memory, and how far that can be trusted.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use cryptopay_domain::{ApiKeyId, SessionId, Timestamp};
use cryptopay_store::revocation::{Revocation, Revoked};

/// For how long one look at the feed is good. A revocation is to take effect on every replica within a
/// second, and the age of what is known counts from the *start* of the look.
const FRESH_FOR: Duration = Duration::from_millis(900);

/// The feed's content: ended sessions, and when each changed key was last changed.
pub(crate) struct RevocationSet {
    entries: RwLock<Entries>,
    /// Counts changes of keys. What was read of a key before its last change is void.
    epoch: AtomicU64,
    loaded: AtomicBool,
    started: Instant,
    /// When the last good look began, in milliseconds after `started` and one more; 0 when there is none.
    looked_at: AtomicU64,
    /// When the outcome of a write was last found to be unknown: a look that began earlier proves nothing of it.
    distrusted_at: AtomicU64,
}

#[derive(Default)]
struct Entries {
    sessions: HashMap<SessionId, Timestamp>,
    api_keys: HashMap<ApiKeyId, ChangedKey>,
    all_ended: Option<AllEnded>,
}

/// All sessions that began before some moment have ended.
struct AllEnded {
    begun_before: Timestamp,
    forget_after: Timestamp,
}

struct ChangedKey {
    epoch: u64,
    forget_after: Timestamp,
}

/// A moment in the history of changes of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Epoch(u64);

impl RevocationSet {
    pub(crate) fn new() -> Self {
        Self {
            entries: RwLock::default(),
            epoch: AtomicU64::new(0),
            loaded: AtomicBool::new(false),
            started: Instant::now(),
            looked_at: AtomicU64::new(0),
            distrusted_at: AtomicU64::new(0),
        }
    }

    /// Whether the feed has been read at least once.
    pub(crate) fn is_loaded(&self) -> bool {
        self.loaded.load(Ordering::Acquire)
    }

    /// Whether what is known is young enough to be relied on.
    pub(crate) fn is_fresh(&self) -> bool {
        match self.looked_at.load(Ordering::Acquire) {
            0 => false,
            looked_at => self.started.elapsed() < Duration::from_millis(looked_at - 1) + FRESH_FOR,
        }
    }

    /// Records that a look at the feed, begun at `began`, has been applied.
    pub(crate) fn looked(&self, began: Instant) {
        let looked_at = self.millis(began);
        if looked_at > self.distrusted_at.load(Ordering::Acquire) {
            self.looked_at.store(looked_at, Ordering::Release);
        }
        self.loaded.store(true, Ordering::Release);
    }

    /// Makes what is known count as stale until a look that begins from now on, because a write may have
    /// happened.
    pub(crate) fn distrust(&self) {
        self.distrusted_at.store(self.millis(Instant::now()), Ordering::Release);
        self.looked_at.store(0, Ordering::Release);
    }

    /// Milliseconds after `started`, and one more.
    fn millis(&self, moment: Instant) -> u64 {
        let since = moment.saturating_duration_since(self.started).as_millis();
        u64::try_from(since).unwrap_or(u64::MAX - 1) + 1
    }

    /// Where the history of keys stands: take it *before* reading a key that is to be remembered.
    pub(crate) fn epoch(&self) -> Epoch {
        Epoch(self.epoch.load(Ordering::Acquire))
    }

    /// Takes rows of the feed, new or seen before.
    pub(crate) fn apply(&self, revocations: &[Revocation]) {
        if revocations.is_empty() {
            return;
        }
        let mut entries = self.write();
        for revocation in revocations {
            let forget_after = revocation.forget_after;
            match revocation.revoked {
                Revoked::Session(id) => {
                    entries.sessions.insert(id, forget_after);
                }
                Revoked::SessionsBegunBefore(begun_before) => {
                    if entries.all_ended.as_ref().is_none_or(|known| known.begun_before < begun_before) {
                        entries.all_ended = Some(AllEnded { begun_before, forget_after });
                    }
                }
                Revoked::ApiKey(id) => {
                    let epoch = self.epoch.fetch_add(1, Ordering::AcqRel) + 1;
                    entries.api_keys.insert(id, ChangedKey { epoch, forget_after });
                }
            }
        }
    }

    /// Whether a session has ended.
    pub(crate) fn is_session_revoked(&self, id: SessionId) -> bool {
        let entries = self.read();
        entries.sessions.contains_key(&id)
            || entries.all_ended.as_ref().is_some_and(|all| begun_in_millis(id) < millis(all.begun_before))
    }

    /// Whether what was read of a key at `epoch` still holds.
    pub(crate) fn is_key_unchanged_since(&self, id: ApiKeyId, epoch: Epoch) -> bool {
        self.read().api_keys.get(&id).is_none_or(|changed| changed.epoch <= epoch.0)
    }

    /// Forgets what speaks of expired credentials alone.
    pub(crate) fn forget(&self, now: Timestamp) {
        let mut entries = self.write();
        entries.sessions.retain(|_, forget_after| *forget_after > now);
        entries.api_keys.retain(|_, changed| changed.forget_after > now);
        entries.all_ended.take_if(|all| all.forget_after <= now);
    }

    fn read(&self) -> RwLockReadGuard<'_, Entries> {
        self.entries.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Entries> {
        self.entries.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When a session began, as its identifier says (RFC 9562 §5.7). One that does not say began long ago.
fn begun_in_millis(id: SessionId) -> i64 {
    let begun = id.0.get_timestamp().map_or((0, 0), |begun| begun.to_unix());
    i64::try_from(begun.0).unwrap_or(i64::MAX).saturating_mul(1000) + i64::from(begun.1 / 1_000_000)
}

fn millis(moment: Timestamp) -> i64 {
    moment.unix_micros().div_euclid(1000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn row(revoked: Revoked) -> Revocation {
        Revocation { revoked, forget_after: Timestamp::from_unix_seconds(100) }
    }

    #[test]
    fn what_was_read_before_a_change_is_void_and_what_was_read_after_it_holds() {
        let set = RevocationSet::new();
        let key = ApiKeyId(Uuid::from_u128(1));
        let before = set.epoch();
        assert!(set.is_key_unchanged_since(key, before));
        set.apply(&[row(Revoked::ApiKey(key))]);
        assert!(!set.is_key_unchanged_since(key, before));
        assert!(set.is_key_unchanged_since(key, set.epoch()));
        assert!(set.is_key_unchanged_since(ApiKeyId(Uuid::from_u128(2)), before));
    }

    #[test]
    fn an_ended_session_is_remembered_until_its_tokens_have_expired() {
        let set = RevocationSet::new();
        let session = SessionId(Uuid::from_u128(1));
        set.apply(&[row(Revoked::Session(session))]);
        set.forget(Timestamp::from_unix_seconds(99));
        assert!(set.is_session_revoked(session));
        set.forget(Timestamp::from_unix_seconds(100));
        assert!(!set.is_session_revoked(session));
    }

    #[test]
    fn nothing_is_trusted_before_the_first_look_and_after_an_unknown_write() {
        let set = RevocationSet::new();
        assert!(!set.is_loaded() && !set.is_fresh());
        set.looked(Instant::now());
        assert!(set.is_loaded() && set.is_fresh());
        let before = Instant::now();
        set.distrust();
        assert!(set.is_loaded() && !set.is_fresh());
        set.looked(before);
        assert!(!set.is_fresh(), "a look that began before says nothing of the write");
        set.looked(Instant::now() + Duration::from_millis(2));
        assert!(set.is_fresh());
    }

    #[test]
    fn sessions_begun_before_all_were_ended_are_revoked_known_or_not() {
        let begun =
            |millis: u64| SessionId(uuid::Builder::from_unix_timestamp_millis(millis, &[7; 10]).into_uuid());
        let set = RevocationSet::new();
        assert!(!set.is_session_revoked(begun(50_000)));
        set.apply(&[row(Revoked::SessionsBegunBefore(Timestamp::from_unix_micros(50_000_900)))]);
        assert!(set.is_session_revoked(begun(49_999)));
        assert!(!set.is_session_revoked(begun(50_000)), "it began in that very millisecond");
        set.apply(&[row(Revoked::SessionsBegunBefore(Timestamp::from_unix_seconds(40)))]);
        assert!(set.is_session_revoked(begun(49_999)), "an earlier row takes nothing back");
        set.forget(Timestamp::from_unix_seconds(100));
        assert!(!set.is_session_revoked(begun(49_999)));
    }
}
