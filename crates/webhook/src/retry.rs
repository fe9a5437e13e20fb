//! The retry plan: when a delivery that failed is tried again, and when it is given up.

use std::time::Duration;

use cryptopay_domain::Timestamp;

/// How often a failed delivery is tried again.
///
/// Exponential backoff with jitter: each pause is [`RetryPlan::growth`] times the one before it, never longer than
/// [`RetryPlan::longest_pause`], and then made up to half shorter or longer, so that what failed together does not
/// come back together. The last attempt is made when the plan ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPlan {
    /// The pause after the first attempt, on average.
    pub first_pause: Duration,
    /// By how much each pause is longer than the one before it.
    pub growth: u32,
    /// The longest pause, on average.
    pub longest_pause: Duration,
    /// For how long attempts are made, from the plan's start.
    pub span: Duration,
}

/// Five seconds, fifteen, forty-five … up to six hours, for three days: about twenty attempts.
impl Default for RetryPlan {
    fn default() -> Self {
        Self {
            first_pause: Duration::from_secs(5),
            growth: 3,
            longest_pause: Duration::from_secs(6 * 60 * 60),
            span: Duration::from_secs(3 * 24 * 60 * 60),
        }
    }
}

impl RetryPlan {
    /// When to try again after `tries_made` attempts that all failed, the last of them just before `now`; `None` when
    /// the plan has run out. `jitter` is uniformly random.
    #[must_use]
    pub fn next_attempt(
        &self,
        tries_made: u32,
        plan_started_at: Timestamp,
        now: Timestamp,
        jitter: u32,
    ) -> Option<Timestamp> {
        let end = plan_started_at.after(self.span);
        let next = now.after(jittered(self.pause_after(tries_made), jitter));
        (now < end).then_some(next.min(end))
    }

    fn pause_after(&self, tries_made: u32) -> Duration {
        let factor = self.growth.checked_pow(tries_made.saturating_sub(1)).unwrap_or(u32::MAX);
        self.first_pause.saturating_mul(factor).min(self.longest_pause)
    }
}

/// Half of `pause` to one and a half of it.
fn jittered(pause: Duration, jitter: u32) -> Duration {
    let micros = pause.as_micros();
    let spread = micros * u128::from(jitter) / u128::from(u32::MAX);
    Duration::from_micros(u64::try_from(micros / 2 + spread).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_unix_seconds(1_700_000_000);
    const MIDDLE: u32 = u32::MAX / 2;

    /// When each attempt is made, counted from the plan's start, if all of them fail at once.
    fn attempts(plan: RetryPlan, jitter: u32) -> Vec<Duration> {
        let mut moments = vec![START];
        while let Some(next) =
            plan.next_attempt(moments.len() as u32, START, moments[moments.len() - 1], jitter)
        {
            moments.push(next);
        }
        moments.into_iter().map(|moment| moment.since(START)).collect()
    }

    #[test]
    fn the_first_retries_come_after_seconds_and_then_ever_more_slowly() {
        let seconds: Vec<u64> =
            attempts(RetryPlan::default(), MIDDLE).iter().map(Duration::as_secs).collect();
        assert_eq!(seconds[..8], [0, 4, 19, 64, 199, 604, 1819, 5464]);
    }

    #[test]
    fn whatever_the_jitter_attempts_go_on_for_three_days_and_then_end() {
        let three_days = Duration::from_secs(3 * 24 * 60 * 60);
        for (jitter, count) in [(0, 33), (MIDDLE, 21), (u32::MAX, 17)] {
            let attempts = attempts(RetryPlan::default(), jitter);
            assert_eq!(attempts.last(), Some(&three_days));
            assert!(attempts.is_sorted());
            assert_eq!(attempts.len(), count, "{jitter}");
        }
    }

    #[test]
    fn a_plan_that_ended_while_nobody_looked_is_given_up() {
        let plan = RetryPlan::default();
        let end = START.after(plan.span);
        assert_eq!(plan.next_attempt(1, START, end, 0), None);
        assert_eq!(plan.next_attempt(1, START, end.after(plan.span), 0), None);
        assert_eq!(plan.next_attempt(1, START, end.before(Duration::from_micros(1)), 0), Some(end));
    }

    proptest::proptest! {
        #[test]
        fn a_retry_is_never_now_and_never_half_as_long_again_as_the_longest_pause(
            tries: u32,
            jitter: u32,
            elapsed in 0_u64..3 * 24 * 60 * 60,
        ) {
            let plan = RetryPlan::default();
            let now = START.after(Duration::from_secs(elapsed));
            let pause = plan.next_attempt(tries, START, now, jitter).unwrap().since(now);
            proptest::prop_assert!(pause > Duration::ZERO && pause <= plan.longest_pause * 3 / 2);
        }
    }
}
