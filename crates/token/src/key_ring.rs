//! Which keys sign, which verify, and which are published, at a given moment.
//!
//! Every replica reads the same ring and decides by its own clock. So *every* key in a ring verifies, whatever its
//! state: a replica whose clock runs ahead may already sign with the next one.

use std::time::Duration;

use cryptopay_domain::Timestamp;

use crate::{CLOCK_LEEWAY, KeyId, MacKeyId, SigningKey};

/// A key and the moment from which it signs.
#[derive(Clone, Debug)]
pub struct RingEntry {
    /// The key.
    pub key: SigningKey,
    /// When it takes over from the one before it.
    pub activates_at: Timestamp,
}

/// The signing keys of an installation: never empty, without duplicates, always with exactly one active key.
#[derive(Clone, Debug)]
pub struct KeyRing(Keys);

#[derive(Clone, Debug)]
enum Keys {
    /// In ascending order of activation.
    Scheduled(Vec<RingEntry>),
    /// The first is active.
    Fixed(Vec<SigningKey>),
}

/// Why keys make no ring.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyRingError {
    /// There is nothing to sign with.
    #[error("there is no signing key")]
    Empty,
    /// The same key twice.
    #[error("signing key {0} is there twice")]
    Duplicate(KeyId),
    /// Every key lies in the future: the clock is wrong, or the active key was taken away.
    #[error("no signing key is active yet: the first one, {kid}, signs from {activates_at}")]
    NoneActive {
        /// The key that comes first.
        kid: KeyId,
        /// When it does.
        activates_at: Timestamp,
    },
}

/// What a key is for at some moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyStatus {
    /// Published, not yet signing.
    Next,
    /// Signing.
    Active,
    /// No longer signing; what it signed still counts.
    Retiring,
}

impl KeyStatus {
    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Active => "active",
            Self::Retiring => "retiring",
        }
    }
}

/// What may be told to anyone about a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyListing {
    /// Its name, PASERK `k4.pid`.
    pub kid: KeyId,
    /// Its public half, PASERK `k4.public`.
    pub public_paserk: String,
    /// What it is for.
    pub status: KeyStatus,
    /// When it began, or will begin, to sign; `None` for a key given by configuration.
    pub activates_at: Option<Timestamp>,
    /// When its successor took over; `None` while it has none, and for a key given by configuration.
    pub retired_at: Option<Timestamp>,
}

impl KeyRing {
    /// The ring of a key file: the latest key whose time has come signs, those before it are retiring.
    ///
    /// Keys of the same moment follow each other in the order of their names, so that every replica picks the same.
    ///
    /// # Errors
    /// [`KeyRingError`] when there is no key, one twice, or none active at `now`.
    pub fn scheduled(mut entries: Vec<RingEntry>, now: Timestamp) -> Result<Self, KeyRingError> {
        entries.sort_by(|one, two| (one.activates_at, one.key.kid()).cmp(&(two.activates_at, two.key.kid())));
        refuse_duplicates(entries.iter().map(|entry| &entry.key))?;
        let first = entries.first().ok_or(KeyRingError::Empty)?;
        if first.activates_at > now {
            let (kid, activates_at) = (first.key.kid().clone(), first.activates_at);
            return Err(KeyRingError::NoneActive { kid, activates_at });
        }
        Ok(Self(Keys::Scheduled(entries)))
    }

    /// The ring of keys given by configuration: the first signs, the others are retiring for as long as they are given.
    ///
    /// # Errors
    /// [`KeyRingError`] when there is no key, or one twice.
    pub fn fixed(keys: Vec<SigningKey>) -> Result<Self, KeyRingError> {
        refuse_duplicates(keys.iter())?;
        if keys.is_empty() { Err(KeyRingError::Empty) } else { Ok(Self(Keys::Fixed(keys))) }
    }

    /// The key that signs at `now`.
    ///
    /// Before the first key of a scheduled ring (a clock set back after the ring was made) that is the first one.
    #[must_use]
    pub fn active(&self, now: Timestamp) -> &SigningKey {
        match &self.0 {
            Keys::Scheduled(entries) => &entries[active_index(entries, now)].key,
            Keys::Fixed(keys) => &keys[0],
        }
    }

    /// The key of this name, whatever its state.
    #[must_use]
    pub fn find(&self, kid: &str) -> Option<&SigningKey> {
        self.keys().find(|key| key.kid().as_str() == kid)
    }

    /// The key whose refresh-MAC key has this name, whatever its state.
    #[must_use]
    pub fn find_mac(&self, id: MacKeyId) -> Option<&SigningKey> {
        self.keys().find(|key| key.mac_key_id() == id)
    }

    /// Whether a key of this name is there: if not, nothing it ever signed counts any more.
    #[must_use]
    pub fn contains(&self, kid: &KeyId) -> bool {
        self.find(kid.as_str()).is_some()
    }

    /// Every key and what it is for at `now`, the newest first.
    #[must_use]
    pub fn list(&self, now: Timestamp) -> Vec<KeyListing> {
        match &self.0 {
            Keys::Scheduled(entries) => list_scheduled(entries, now),
            Keys::Fixed(keys) => list_fixed(keys),
        }
    }

    /// The keys that whoever verifies offline needs at `now`, the newest first.
    ///
    /// A retired key is among them until the last access token it can have signed has expired: `access_ttl` and the
    /// clock leeway after its successor took over.
    #[must_use]
    pub fn published(&self, now: Timestamp, access_ttl: Duration) -> Vec<KeyListing> {
        let mut keys = self.list(now);
        keys.retain(|key| !retired_longer_than(key.retired_at, now, access_ttl.saturating_add(CLOCK_LEEWAY)));
        keys
    }

    /// This ring without the keys that were retired more than `keep` ago: what a rotation writes back to the key file.
    ///
    /// Keys given by configuration are all kept: only their owner takes them away.
    #[must_use]
    pub fn pruned(&self, now: Timestamp, keep: Duration) -> Self {
        match &self.0 {
            Keys::Scheduled(entries) => {
                let retired_at = retirements(entries, now);
                let kept = entries
                    .iter()
                    .zip(retired_at)
                    .filter(|(_, retired_at)| !retired_longer_than(*retired_at, now, keep))
                    .map(|(entry, _)| entry.clone());
                Self(Keys::Scheduled(kept.collect()))
            }
            Keys::Fixed(_) => self.clone(),
        }
    }

    /// What a key file holds, in ascending order of activation; empty for keys given by configuration.
    #[must_use]
    pub fn scheduled_entries(&self) -> &[RingEntry] {
        match &self.0 {
            Keys::Scheduled(entries) => entries,
            Keys::Fixed(_) => &[],
        }
    }

    fn keys(&self) -> impl Iterator<Item = &SigningKey> {
        let (scheduled, fixed) = match &self.0 {
            Keys::Scheduled(entries) => (entries.as_slice(), [].as_slice()),
            Keys::Fixed(keys) => ([].as_slice(), keys.as_slice()),
        };
        scheduled.iter().map(|entry| &entry.key).chain(fixed)
    }
}

/// Two keys whose short names coincide count as one: a refresh token could not tell them apart.
fn refuse_duplicates<'a>(keys: impl Iterator<Item = &'a SigningKey>) -> Result<(), KeyRingError> {
    let mut seen = std::collections::HashSet::new();
    for key in keys {
        if !seen.insert(key.mac_key_id()) {
            return Err(KeyRingError::Duplicate(key.kid().clone()));
        }
    }
    Ok(())
}

fn active_index(entries: &[RingEntry], now: Timestamp) -> usize {
    entries.partition_point(|entry| entry.activates_at <= now).saturating_sub(1)
}

/// For each entry, when its successor took over, if it has by `now`.
fn retirements(entries: &[RingEntry], now: Timestamp) -> impl Iterator<Item = Option<Timestamp>> {
    let active = active_index(entries, now);
    let successors = entries.iter().skip(1).map(|entry| entry.activates_at);
    successors
        .enumerate()
        .map(move |(index, taken_over)| (index < active).then_some(taken_over))
        .chain(std::iter::once(None))
}

fn list_scheduled(entries: &[RingEntry], now: Timestamp) -> Vec<KeyListing> {
    let active = active_index(entries, now);
    let listed =
        entries.iter().zip(retirements(entries, now)).enumerate().map(|(index, (entry, retired_at))| {
            let status = match index.cmp(&active) {
                std::cmp::Ordering::Less => KeyStatus::Retiring,
                std::cmp::Ordering::Equal => KeyStatus::Active,
                std::cmp::Ordering::Greater => KeyStatus::Next,
            };
            listing(&entry.key, status, Some(entry.activates_at), retired_at)
        });
    let mut listed: Vec<_> = listed.collect();
    listed.reverse();
    listed
}

fn list_fixed(keys: &[SigningKey]) -> Vec<KeyListing> {
    let statuses = std::iter::once(KeyStatus::Active).chain(std::iter::repeat(KeyStatus::Retiring));
    keys.iter().zip(statuses).map(|(key, status)| listing(key, status, None, None)).collect()
}

fn listing(
    key: &SigningKey,
    status: KeyStatus,
    activates_at: Option<Timestamp>,
    retired_at: Option<Timestamp>,
) -> KeyListing {
    KeyListing {
        kid: key.kid().clone(),
        public_paserk: key.public_paserk().to_owned(),
        status,
        activates_at,
        retired_at,
    }
}

fn retired_longer_than(retired_at: Option<Timestamp>, now: Timestamp, span: Duration) -> bool {
    retired_at.is_some_and(|retired_at| now > retired_at.after(span))
}

#[cfg(test)]
mod tests {
    use KeyStatus::{Active, Next, Retiring};
    use ring::rand::SystemRandom;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_seconds(seconds)
    }

    fn keys<const N: usize>() -> [SigningKey; N] {
        std::array::from_fn(|_| SigningKey::generate(&SystemRandom::new()).unwrap())
    }

    fn entry(key: &SigningKey, seconds: i64) -> RingEntry {
        RingEntry { key: key.clone(), activates_at: at(seconds) }
    }

    /// Position in `keys` and status of every listed key.
    fn states(listed: &[KeyListing], keys: &[SigningKey]) -> Vec<(usize, KeyStatus)> {
        let position = |kid: &KeyId| keys.iter().position(|key| key.kid() == kid).unwrap();
        listed.iter().map(|key| (position(&key.kid), key.status)).collect()
    }

    #[test]
    fn a_scheduled_ring_over_time() {
        let keys: [_; 3] = keys();
        // Given out of order: the moments decide, not the file.
        let entries = vec![entry(&keys[1], 1000), entry(&keys[2], 2000), entry(&keys[0], 0)];
        let ring = KeyRing::scheduled(entries, at(0)).unwrap();
        let table = [
            (0, 0, [Next, Next, Active]),
            (999, 0, [Next, Next, Active]),
            (1000, 1, [Next, Active, Retiring]),
            (1999, 1, [Next, Active, Retiring]),
            (2000, 2, [Active, Retiring, Retiring]),
            (i64::MAX, 2, [Active, Retiring, Retiring]),
        ];
        for (seconds, active, [newest, middle, oldest]) in table {
            let now = at(seconds);
            assert_eq!(ring.active(now).kid(), keys[active].kid(), "at {seconds}");
            let expected = [(2, newest), (1, middle), (0, oldest)];
            assert_eq!(states(&ring.list(now), &keys), expected, "at {seconds}");
        }
    }

    #[test]
    fn a_key_retires_when_its_successor_takes_over_and_not_before() {
        let keys: [_; 2] = keys();
        let ring = KeyRing::scheduled(vec![entry(&keys[0], 0), entry(&keys[1], 1000)], at(0)).unwrap();
        let retired_at = |now| ring.list(now).into_iter().map(|key| key.retired_at).collect::<Vec<_>>();
        assert_eq!(retired_at(at(999)), [None, None]);
        assert_eq!(retired_at(at(1000)), [None, Some(at(1000))]);
        assert_eq!(ring.list(at(0))[0].activates_at, Some(at(1000)));
    }

    #[test]
    fn a_clock_set_back_before_the_first_key_still_signs_with_it() {
        let keys: [_; 2] = keys();
        let ring = KeyRing::scheduled(vec![entry(&keys[0], 500), entry(&keys[1], 1000)], at(500)).unwrap();
        assert_eq!(ring.active(at(499)).kid(), keys[0].kid());
        assert_eq!(states(&ring.list(at(499)), &keys), [(1, Next), (0, Active)]);
    }

    #[test]
    fn keys_of_one_moment_are_ordered_alike_on_every_replica() {
        let keys: [_; 2] = keys();
        let forwards = vec![entry(&keys[0], 0), entry(&keys[1], 0)];
        let backwards = vec![entry(&keys[1], 0), entry(&keys[0], 0)];
        let rings = [forwards, backwards].map(|entries| KeyRing::scheduled(entries, at(0)).unwrap());
        assert_eq!(rings[0].active(at(0)).kid(), rings[1].active(at(0)).kid());
        assert_eq!(rings[0].list(at(0)), rings[1].list(at(0)));
    }

    #[test]
    fn a_fixed_ring_signs_with_the_first_key_at_any_time() {
        let keys: [_; 3] = keys();
        let ring = KeyRing::fixed(keys.to_vec()).unwrap();
        for now in [at(i64::MIN), at(0), Timestamp::MAX] {
            assert_eq!(ring.active(now).kid(), keys[0].kid());
            let expected = [(0, Active), (1, Retiring), (2, Retiring)];
            assert_eq!(states(&ring.list(now), &keys), expected);
            assert_eq!(states(&ring.published(now, Duration::ZERO), &keys), expected);
            assert_eq!(states(&ring.pruned(now, Duration::ZERO).list(now), &keys), expected);
        }
        assert!(ring.scheduled_entries().is_empty());
    }

    #[test]
    fn keys_that_make_no_ring_are_refused() {
        let keys: [_; 2] = keys();
        let twice = KeyRingError::Duplicate(keys[0].kid().clone());
        assert_eq!(KeyRing::fixed(vec![]).unwrap_err(), KeyRingError::Empty);
        assert_eq!(KeyRing::scheduled(vec![], at(0)).unwrap_err(), KeyRingError::Empty);
        let fixed = vec![keys[0].clone(), keys[1].clone(), keys[0].clone()];
        assert_eq!(KeyRing::fixed(fixed).unwrap_err(), twice);
        let scheduled = vec![entry(&keys[0], 0), entry(&keys[1], 1), entry(&keys[0], 2)];
        assert_eq!(KeyRing::scheduled(scheduled, at(9)).unwrap_err(), twice);
        let future = vec![entry(&keys[0], 20), entry(&keys[1], 10)];
        let none_active = KeyRingError::NoneActive { kid: keys[1].kid().clone(), activates_at: at(10) };
        assert_eq!(KeyRing::scheduled(future.clone(), at(9)).unwrap_err(), none_active);
        assert!(KeyRing::scheduled(future, at(10)).is_ok());
    }

    #[test]
    fn every_key_is_found_whatever_its_state_and_no_other() {
        let keys: [_; 4] = keys();
        let entries = vec![entry(&keys[0], 0), entry(&keys[1], 1000), entry(&keys[2], 2000)];
        let rings =
            [KeyRing::scheduled(entries, at(1500)).unwrap(), KeyRing::fixed(keys[..3].to_vec()).unwrap()];
        for ring in rings {
            for key in &keys[..3] {
                assert_eq!(ring.find(key.kid().as_str()).unwrap().kid(), key.kid());
                assert_eq!(ring.find_mac(key.mac_key_id()).unwrap().kid(), key.kid());
                assert!(ring.contains(key.kid()));
            }
            assert!(ring.find(keys[3].kid().as_str()).is_none());
            assert!(ring.find("").is_none());
            assert!(ring.find_mac(keys[3].mac_key_id()).is_none());
            assert!(!ring.contains(keys[3].kid()));
        }
    }

    #[test]
    fn a_retired_key_is_published_until_its_last_access_token_has_expired() {
        let keys: [_; 3] = keys();
        let entries = vec![entry(&keys[0], 0), entry(&keys[1], 1000), entry(&keys[2], 100_000)];
        let ring = KeyRing::scheduled(entries, at(0)).unwrap();
        let last = 1000 + 3600 + 30;
        let all = [(2, Next), (1, Active), (0, Retiring)];
        assert_eq!(states(&ring.published(at(last), HOUR), &keys), all);
        assert_eq!(states(&ring.published(at(last + 1), HOUR), &keys), all[..2]);
    }

    #[test]
    fn pruning_drops_only_what_was_retired_longer_than_is_kept() {
        let keys: [_; 3] = keys();
        let entries = vec![entry(&keys[0], 0), entry(&keys[1], 1000), entry(&keys[2], 2000)];
        let ring = KeyRing::scheduled(entries, at(0)).unwrap();
        let left = |seconds| {
            let pruned = ring.pruned(at(seconds), HOUR);
            assert_eq!(pruned.active(at(seconds)).kid(), ring.active(at(seconds)).kid());
            let entries = pruned.scheduled_entries();
            entries
                .iter()
                .map(|e| keys.iter().position(|k| k.kid() == e.key.kid()).unwrap())
                .collect::<Vec<_>>()
        };
        assert_eq!(left(4600), [0, 1, 2]);
        assert_eq!(left(4601), [1, 2]);
        assert_eq!(left(5600), [1, 2]);
        assert_eq!(left(5601), [2]);
        assert_eq!(left(i64::MAX), [2]);
    }
}
