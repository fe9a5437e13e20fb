//! The use of API keys: counted in memory, written in batches, and shown.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Mutex, MutexGuard, PoisonError};

use cryptopay_domain::api_key::ApiKey;
use cryptopay_domain::api_key_usage::{ApiKeyUsage, DAYS_KEPT, Day, DayUsage, KeyVerdict};
use cryptopay_domain::{ApiKeyId, Timestamp};
use cryptopay_store::{Store, StoreError};

use crate::api_key::NotFound;
use crate::core::{Auth, Inner};
use crate::failure::{Failure, Outcome};
use crate::principal::Principal;

/// How many days of keys one transaction adds, so that no other write waits long for it.
const PIECE: usize = 500;

/// What was counted and is not written yet. Only keys that exist come in, so strangers cannot make it grow.
#[derive(Default)]
pub(crate) struct KeyCounts(Mutex<HashMap<(ApiKeyId, Day), DayUsage>>);

impl KeyCounts {
    /// Counts a request.
    pub(crate) fn count(&self, key: ApiKeyId, verdict: KeyVerdict, at: Timestamp) {
        self.lock().entry((key, Day::of(at))).or_default().count(verdict, at);
    }

    /// Writes what was counted. What was not written is counted on; what may have been is not, since it would then be
    /// there twice.
    pub(crate) async fn flush(&self, store: &Store) -> Result<(), StoreError> {
        for keys in self.waiting().chunks(PIECE) {
            let piece = self.take(keys);
            if let Err(error) = store.add_api_key_usage(piece.clone()).await {
                if !error.is_unknown() {
                    self.put_back(piece);
                }
                return Err(error);
            }
        }
        Ok(())
    }

    /// Adds to what the store knows of a key what is not written yet.
    fn add_to(&self, key: ApiKeyId, usage: &mut ApiKeyUsage) {
        for ((_, day), counted) in self.lock().iter().filter(|((counted, _), _)| *counted == key) {
            usage.days.entry(*day).or_default().add(counted);
        }
    }

    /// Which keys were counted, in order: neighbours lie on the same pages of the database.
    fn waiting(&self) -> Vec<(ApiKeyId, Day)> {
        let mut keys: Vec<_> = self.lock().keys().copied().collect();
        keys.sort_unstable();
        keys
    }

    fn take(&self, keys: &[(ApiKeyId, Day)]) -> Vec<(ApiKeyId, Day, DayUsage)> {
        let mut counts = self.lock();
        keys.iter().filter_map(|&(key, day)| Some((key, day, counts.remove(&(key, day))?))).collect()
    }

    fn put_back(&self, piece: Vec<(ApiKeyId, Day, DayUsage)>) {
        let mut counts = self.lock();
        for (key, day, counted) in piece {
            counts.entry((key, day)).or_default().add(&counted);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(ApiKeyId, Day), DayUsage>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Auth {
    /// Counts a request that came with an API key; a login's is not counted. Whoever authenticates requests calls this
    /// once for each, when it is settled what becomes of it. A key that is no longer good is counted by
    /// [`Auth::authenticate`] itself.
    pub fn count_request(&self, principal: &Principal, verdict: KeyVerdict) {
        if let Some(key) = principal.api_key() {
            self.inner.usage.keys.count(key, verdict, self.inner.clock.now());
        }
    }

    /// A key within the caller's reach, with what is known of its use.
    ///
    /// # Errors
    /// [`NotFound`].
    pub async fn find_api_key_usage(
        &self,
        principal: &Principal,
        id: ApiKeyId,
    ) -> Outcome<(ApiKey, ApiKeyUsage), NotFound> {
        let key = self.find_api_key(principal, id).await?;
        let mut usage = self.inner.key_usage(principal, vec![id]).await?;
        let usage = usage.remove(&id).ok_or(Failure::Rejected(NotFound))?;
        Ok((key, usage))
    }

    /// What is known of the use of `keys`, which the caller has listed; those of other merchants are left out.
    ///
    /// # Errors
    /// [`Failure::Unavailable`] when the store does not answer.
    pub async fn list_api_key_usage(
        &self,
        principal: &Principal,
        keys: &[ApiKey],
    ) -> Outcome<HashMap<ApiKeyId, ApiKeyUsage>, Infallible> {
        let ids = keys.iter().map(|key| key.id).collect();
        Ok(self.inner.key_usage(principal, ids).await?)
    }
}

impl Inner {
    async fn key_usage(
        &self,
        principal: &Principal,
        keys: Vec<ApiKeyId>,
    ) -> Result<HashMap<ApiKeyId, ApiKeyUsage>, StoreError> {
        let since = Day::of(self.clock.now()).before(DAYS_KEPT - 1);
        let mut usage = self.store.list_api_key_usage(principal.user_id, keys, since).await?;
        // Uses that this replica has not written yet count, too.
        usage.iter_mut().for_each(|(key, usage)| self.usage.keys.add_to(*key, usage));
        Ok(usage)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn pieces_hold_everything_once_and_what_comes_back_is_counted_on() {
        let counts = KeyCounts::default();
        let at = Timestamp::from_unix_seconds(0);
        let keys: Vec<ApiKeyId> = (0..600).map(|number| ApiKeyId(Uuid::from_u128(number))).collect();
        keys.iter().for_each(|key| counts.count(*key, KeyVerdict::Refused, at));
        let waiting = counts.waiting();
        assert_eq!(waiting.len(), 600);
        let (first, second) = (counts.take(&waiting[..500]), counts.take(&waiting[500..]));
        assert_eq!((first.len(), second.len(), counts.waiting().len()), (500, 100, 0));

        counts.count(keys[0], KeyVerdict::Verified, at);
        counts.put_back(first);
        counts.put_back(second);
        for key in keys.iter() {
            let mut usage = ApiKeyUsage::default();
            counts.add_to(*key, &mut usage);
            let requests = if *key == keys[0] { 2 } else { 1 };
            let day = usage.days[&Day::of(at)];
            assert_eq!((day.requests, day.refusals), (requests, 1));
        }
    }
}
