//! How a bucket stands after a request, as its answer tells.

use std::time::Duration;

use super::limit::RateLimit;
use super::policy::Policy;

/// What is left in a bucket, and when more is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) policy: Policy,
    /// How many more requests would be let in now.
    pub(crate) remaining: u32,
    /// Whole seconds until one more is.
    pub(crate) reset: u64,
}

/// A bucket that has nothing left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exhausted {
    /// How long until the next request is let in.
    pub(crate) retry_after: Duration,
}

impl Standing {
    /// Of a bucket that is full again after `until_full` (GCRA's theoretical arrival time, seen from now).
    pub(crate) fn until_full(policy: Policy, limit: RateLimit, until_full: Duration) -> Self {
        let interval = limit.interval().as_nanos();
        let used = until_full.as_nanos().div_ceil(interval);
        let remaining = u128::from(limit.requests().get()).saturating_sub(used);
        let next = until_full.as_nanos().saturating_sub(used.saturating_sub(1) * interval);
        Self {
            policy,
            remaining: u32::try_from(remaining).unwrap_or(u32::MAX),
            reset: whole_seconds(Duration::from_nanos(u64::try_from(next).unwrap_or(u64::MAX))),
        }
    }

    /// Of a bucket that has nothing left for `retry_after`.
    pub(crate) const fn exhausted(policy: Policy, retry_after: Duration) -> Self {
        Self { policy, remaining: 0, reset: whole_seconds(retry_after) }
    }
}

/// Rounded up, so that whoever waits that long is never early.
pub(crate) const fn whole_seconds(time: Duration) -> u64 {
    let up = if time.subsec_nanos() > 0 { 1 } else { 0 };
    let seconds = time.as_secs() + up;
    if seconds == 0 { 1 } else { seconds }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_and_when_more_is_follow_from_when_all_is() {
        // limit, milliseconds until the bucket is full, what is left, seconds until one more is
        for (limit, until_full, remaining, reset) in [
            ("300/60", 200, 299, 1),
            ("300/60", 199, 299, 1),
            ("300/60", 60_000, 0, 1),
            ("10/3600", 360_000, 9, 360),
            ("10/3600", 350_500, 9, 351),
            ("10/3600", 3_600_000, 0, 360),
            ("10/3600", 3_240_001, 0, 1),
            ("1/60", 60_000, 0, 60),
            ("1/60", 0, 1, 1),
        ] {
            let standing = Standing::until_full(
                Policy::Address,
                limit.parse().unwrap(),
                Duration::from_millis(until_full),
            );
            let expected = Standing { policy: Policy::Address, remaining, reset };
            assert_eq!(standing, expected, "{limit}, full in {until_full} ms");
        }
    }

    #[test]
    fn waiting_times_are_never_too_short() {
        for (millis, seconds) in [(0, 1), (1, 1), (1000, 1), (1001, 2)] {
            assert_eq!(whole_seconds(Duration::from_millis(millis)), seconds);
        }
    }
}
