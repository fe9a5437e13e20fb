//! The limiter in process.

use std::fmt;
use std::time::Duration;

use governor::clock::{Clock as _, Reference as _};
use governor::middleware::StateInformationMiddleware;
use governor::nanos::Nanos;
use governor::{Quota, RateLimiter};

use super::bucket::{Bucket, Subject};
use super::few::Few;
use super::limit::{RateLimit, RateLimits};
use super::policy::Policy;
use super::standing::{Exhausted, Standing};
use super::store::{BoundedStore, CAPACITY};
use super::time::Time;

/// Counts in this process alone.
pub(crate) struct Local {
    time: Time,
    policies: [Limited; Policy::ALL.len()],
}

/// One policy.
struct Limited {
    limit: RateLimit,
    limiter: RateLimiter<Subject, BoundedStore, Time, StateInformationMiddleware>,
    store: BoundedStore,
    /// What the limiter's times count from.
    start: Nanos,
}

impl Local {
    /// Nobody has sent anything yet.
    pub(crate) fn new(limits: &RateLimits, time: Time) -> Self {
        Self::with_capacity(limits, time, CAPACITY)
    }

    /// The same, with room for so many subjects of each policy.
    pub(crate) fn with_capacity(limits: &RateLimits, time: Time, capacity: usize) -> Self {
        let policies = Policy::ALL.map(|policy| Limited::new(limits.of(policy), &time, capacity));
        Self { time, policies }
    }

    /// Counts a request against one bucket after the other, up to the first that has nothing left. How each stands
    /// is added to `standings`.
    pub(crate) fn decide(
        &self,
        buckets: &Few<Bucket>,
        standings: &mut Few<Standing>,
    ) -> Result<(), Exhausted> {
        buckets.iter().try_for_each(|bucket| {
            let (standing, verdict) = self.policies[bucket.policy as usize].count(bucket, &self.time);
            standings.push(standing);
            verdict
        })
    }

    /// How many clients and credentials are counted, under each policy by itself.
    #[cfg(test)]
    pub(crate) fn counted(&self) -> usize {
        self.policies.iter().map(|limited| limited.store.counted()).sum()
    }

    /// Forgets whose bucket has been full again for a while, which is as if they had never come.
    pub(crate) fn sweep(&self) {
        for limited in &self.policies {
            limited.limiter.retain_recent();
            limited.limiter.shrink_to_fit();
        }
    }
}

impl Limited {
    fn new(limit: RateLimit, time: &Time, capacity: usize) -> Self {
        let interval = limit.interval();
        // Limits are such that no interval is nothing.
        let quota = Quota::with_period(interval).map(|quota| quota.allow_burst(limit.requests()));
        let quota = quota.unwrap_or_else(|| Quota::per_second(limit.requests()));
        let store = BoundedStore::new(capacity);
        // Not after the limiter's own, or what is left to wait would look a moment too long.
        let start = time.now();
        let limiter = RateLimiter::new(quota, store.clone(), time.clone());
        Self { limit, limiter, store, start }
    }

    fn count(&self, bucket: &Bucket, time: &Time) -> (Standing, Result<(), Exhausted>) {
        match self.limiter.check_key(&bucket.subject) {
            Ok(snapshot) => {
                let remaining = snapshot.remaining_burst_capacity();
                // Where one comes back each second, nobody has to be told when.
                let standing = if self.limit.interval() <= Duration::from_secs(1) {
                    Standing { policy: bucket.policy, remaining, reset: 1 }
                } else {
                    Standing { remaining, ..self.look(bucket, time) }
                };
                (standing, Ok(()))
            }
            Err(not_until) => {
                let retry_after = not_until.wait_time_from(time.now());
                (Standing::exhausted(bucket.policy, retry_after), Err(Exhausted { retry_after }))
            }
        }
    }

    fn look(&self, bucket: &Bucket, time: &Time) -> Standing {
        let full_at = self.store.full_at(&bucket.subject).unwrap_or_default();
        let until_full = full_at.duration_since(time.now().duration_since(self.start));
        Standing::until_full(bucket.policy, self.limit, until_full.into())
    }
}

impl fmt::Debug for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counted = self.policies.iter().map(|limited| (limited.limit, limited.store.counted()));
        f.debug_list().entries(counted).finish()
    }
}

#[cfg(test)]
mod tests;
