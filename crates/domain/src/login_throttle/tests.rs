//! What the throttle promises, in figures and as properties.

use proptest::prelude::*;

use super::*;

const KINDS: [AttemptKind; 4] =
    [AttemptKind::Account, AttemptKind::KnownNetwork, AttemptKind::Network, AttemptKind::PasswordChange];
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_seconds(1_700_000_000 + seconds)
}

/// How many attempts are let in within `span` of somebody who tries whenever the last wait is over; and the counter
/// after them.
fn let_in(
    kind: AttemptKind,
    counter: AttemptCounter,
    from: Timestamp,
    span: Duration,
) -> (u32, AttemptCounter) {
    let (mut counter, mut now, mut count) = (counter, from, 0);
    while now < from.after(span) {
        match reserve(&[(kind, counter)], now) {
            Ok(reserved) => (counter, count) = (reserved.counters[0], count + 1),
            Err(throttled) => now = now.after(throttled.retry_after),
        }
    }
    (count, counter)
}

#[test]
fn the_documented_figures_hold() {
    // Let in within the first hour, and within each hour of the next week.
    for (kind, first_hour, an_hour) in [
        (AttemptKind::Account, 23, 4),
        (AttemptKind::KnownNetwork, 33, 4),
        (AttemptKind::Network, 56, 30),
        (AttemptKind::PasswordChange, 23, 4),
    ] {
        let (count, mut counter) = let_in(kind, AttemptCounter::new(at(0)), at(0), HOUR);
        assert_eq!(count, first_hour, "{kind:?}");
        for hour in 1..168 {
            let (count, after) = let_in(kind, counter, at(hour * 3600), HOUR);
            assert_eq!(count, an_hour, "{kind:?} in hour {hour}");
            counter = after;
        }
    }
}

#[test]
fn waits_double_up_to_the_longest() {
    let budget = AttemptKind::Account.budget();
    let table = [
        (0, 0),
        (9, 0),
        (10, 1),
        (11, 2),
        (12, 4),
        (19, 512),
        (20, 900),
        (21, 900),
        (42, 900),
        (u32::MAX, 900),
    ];
    for (spent, seconds) in table {
        assert_eq!(budget.wait_after(spent), Duration::from_secs(seconds), "after {spent}");
    }
}

#[test]
fn nobody_who_is_told_to_wait_is_told_so_for_longer_than_the_longest_wait() {
    for kind in KINDS {
        let longest = kind.budget().longest_wait;
        let mut counter = AttemptCounter::new(at(0));
        for _ in 0..10_000 {
            let wait = counter.wait(kind.budget(), counter.last_at);
            assert!(wait <= longest, "{kind:?}: {wait:?}");
            counter = counter.reserve(kind.budget(), counter.last_at.after(wait));
        }
        // However long somebody has guessed, after a while the whole budget is there again.
        let doublings = 10;
        let full = longest * (kind.budget().free + doublings + 1);
        assert_eq!(counter.spent(kind.budget(), counter.last_at.after(full)), 0, "{kind:?}");
    }
}

#[test]
fn attempts_that_come_too_early_change_nothing() {
    let mut counter = AttemptCounter::new(at(0));
    for _ in 0..10 {
        counter = reserve(&[(AttemptKind::Account, counter)], at(0)).unwrap().counters[0];
    }
    for _ in 0..1000 {
        let refused = reserve(&[(AttemptKind::Account, counter)], at(0));
        assert_eq!(refused, Err(Throttled { retry_after: SECOND }));
    }
    assert!(reserve(&[(AttemptKind::Account, counter)], at(1)).is_ok());
}

#[test]
fn an_attempt_is_counted_by_all_or_by_none() {
    let fresh = AttemptCounter::new(at(0));
    let used_up = (0..20).fold(fresh, |counter, _| counter.reserve(AttemptKind::Network.budget(), at(0)));
    for counters in [
        [(AttemptKind::Account, fresh), (AttemptKind::Network, used_up)],
        [(AttemptKind::Network, used_up), (AttemptKind::Account, fresh)],
    ] {
        assert_eq!(reserve(&counters, at(0)), Err(Throttled { retry_after: SECOND }));
        assert_eq!(reserve(&counters, at(1)).unwrap().counters.len(), 2);
    }
    // Of two waits the longer one is told.
    let worse = (0..12).fold(fresh, |counter, _| counter.reserve(AttemptKind::Account.budget(), at(0)));
    let both = [(AttemptKind::Account, worse), (AttemptKind::Network, used_up)];
    assert_eq!(reserve(&both, at(0)), Err(Throttled { retry_after: 4 * SECOND }));
}

#[test]
fn the_attempt_that_uses_a_budget_up_says_so_and_no_other_does() {
    let mut counter = AttemptCounter::new(at(0));
    let mut said = Vec::new();
    for number in 1..=14 {
        let now = counter.last_at.after(counter.wait(AttemptKind::Account.budget(), counter.last_at));
        let reserved = reserve(&[(AttemptKind::Account, counter)], now).unwrap();
        counter = reserved.counters[0];
        said.extend(reserved.exhausted.iter().map(|_| number));
    }
    assert_eq!(said, [10]);
}

#[test]
fn right_passwords_alone_never_wait() {
    let budget = AttemptKind::Account.budget();
    let mut counter = AttemptCounter::new(at(0));
    for _ in 0..1000 {
        let reserved = reserve(&[(AttemptKind::Account, counter)], at(0)).expect("nobody guessed");
        counter = reserved.counters[0].refund(budget);
    }
    assert_eq!(counter.spent(budget, at(0)), 0);
}

#[test]
fn a_right_password_takes_its_own_attempt_back_and_no_others() {
    // Otherwise whoever has an account of their own would log into it now and then and guess on.
    let budget = AttemptKind::Network.budget();
    let guessed = (0..25).fold(AttemptCounter::new(at(0)), |counter, _| counter.reserve(budget, at(0)));
    let now = at(60);
    let after = reserve(&[(AttemptKind::Network, guessed)], now).unwrap().counters[0].refund(budget);
    assert_eq!(after.spent(budget, now), guessed.spent(budget, now));
    assert!(after.wait(budget, now) >= guessed.wait(budget, now));
}

#[test]
fn a_clock_that_ran_ahead_and_was_set_right_shuts_nobody_out() {
    for kind in KINDS {
        let budget = kind.budget();
        let ahead = at(365 * 86_400);
        let counter = (0..100).fold(AttemptCounter::new(ahead), |counter, _| counter.reserve(budget, ahead));
        let reserved = reserve(&[(kind, counter)], at(0)).expect("nobody is shut out").counters[0];
        assert!(reserved.wait(budget, at(0)) <= budget.longest_wait);
        assert!(reserved.spent(budget, at(0)) > budget.free, "and nobody gets a fresh budget by it");
        // A replica whose clock is a little behind waits a little longer.
        let skewed = AttemptCounter::new(at(30)).reserve(budget, at(30));
        assert!(skewed.wait(budget, at(0)) <= Duration::from_secs(30));
    }
}

fn kind() -> impl Strategy<Value = AttemptKind> {
    proptest::sample::select(&KINDS[..])
}

/// What happens to a counter, and how many seconds later.
#[derive(Clone, Copy, Debug)]
enum Step {
    Guess(u32),
    Login(u32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let later = prop_oneof![Just(0_u32), 0..5_u32, 0..2000_u32, 0..100_000_u32];
    proptest::collection::vec(
        (later, any::<bool>())
            .prop_map(|(later, guess)| if guess { Step::Guess(later) } else { Step::Login(later) }),
        0..200,
    )
}

proptest! {
    #[test]
    fn waits_never_shrink_with_guesses_and_never_exceed_the_longest(kind in kind(), spent in 0..200_u32) {
        let budget = kind.budget();
        prop_assert!(budget.wait_after(spent) <= budget.wait_after(spent + 1));
        prop_assert!(budget.wait_after(spent) <= budget.longest_wait);
        prop_assert_eq!(budget.wait_after(spent).is_zero(), spent < budget.free);
    }

    /// In any order and at any pace: no more is let in than the budget, the doublings, and one for each longest wait;
    /// and whoever waits as long as told is let in.
    #[test]
    fn no_pace_of_guessing_lets_more_in(kind in kind(), steps in steps()) {
        let budget = kind.budget();
        let (mut counter, mut now, mut guesses) = (AttemptCounter::new(at(0)), at(0), 0_u32);
        for step in steps {
            let (Step::Guess(later) | Step::Login(later)) = step;
            now = now.after(Duration::from_secs(u64::from(later)));
            match reserve(&[(kind, counter)], now) {
                Ok(reserved) => {
                    counter = reserved.counters[0];
                    match step {
                        Step::Guess(_) => guesses += 1,
                        Step::Login(_) => counter = counter.refund(budget),
                    }
                }
                Err(throttled) => {
                    prop_assert!(throttled.retry_after <= budget.longest_wait);
                    let then = now.after(throttled.retry_after);
                    prop_assert!(reserve(&[(kind, counter)], then).is_ok());
                    let just_before = then.before(Duration::from_micros(1));
                    prop_assert!(reserve(&[(kind, counter)], just_before).is_err());
                }
            }
            let elapsed = now.since(at(0)).as_secs() / budget.longest_wait.as_secs();
            prop_assert!(u64::from(guesses) <= u64::from(budget.free) + 12 + elapsed);
            prop_assert!(counter.spent(budget, now) <= budget.free + 12);
            prop_assert!(counter.forget_after(budget) >= now.after(counter.wait(budget, now)));
        }
    }

    /// What is forgiven comes back with time alone.
    #[test]
    fn a_budget_is_restored_one_attempt_at_a_time(kind in kind(), spent in 0..60_u32, waits in 0..60_u32) {
        let budget = kind.budget();
        let counter = (0..spent).fold(AttemptCounter::new(at(0)), |counter, _| counter.reserve(budget, at(0)));
        let now = at(0).after(budget.longest_wait * waits);
        prop_assert_eq!(counter.spent(budget, now), spent.saturating_sub(waits));
        if counter.spent(budget, now) < budget.free {
            prop_assert_eq!(counter.wait(budget, now), Duration::ZERO);
        }
    }
}
