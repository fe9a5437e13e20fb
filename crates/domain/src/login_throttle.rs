//! The login throttle: how soon the next password may be tried.
//!
//! Attempts are counted per account, per network, and per network that an account is known from. Each count lets so
//! many attempts in at once; after that each has to wait, twice as long as the one before, up to a longest wait that is
//! the same for ever. An attempt is counted *before* its password is looked at, so that a thousand at once are a
//! thousand; one whose password was right is taken back.
//!
//! Waits that grow, bounded by a longest one, and networks that the account has logged in from before: the measures of
//! NIST SP 800-63B, section 5.2.2, which asks for at most 100 failed attempts in a row on one account. Here the
//! hundredth takes twenty hours, and nobody is ever locked out: that would let a stranger shut a merchant out by guessing
//! (OWASP Authentication Cheat Sheet, "Account Lockout").

use std::fmt;
use std::time::Duration;

use crate::Timestamp;

/// What was counted by a clock that ran further ahead was counted by a wrong one.
const AHEAD: Duration = Duration::from_secs(15 * 60);

/// How long a network stays known to an account that has logged in from it.
pub const KNOWN_FOR: Duration = Duration::from_secs(30 * 86_400);

/// What attempts are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AttemptKind {
    /// By account, from networks that it is not known from.
    ///
    /// Ten at once leave room for a person who tries every password they have. In the first hour 23 passwords can be
    /// tried, four an hour from then on: some 35,000 a year, against a password that takes 10⁸ guesses at least (what
    /// registration asks for).
    Account,
    /// By account and network, from one that it is known from: whatever strangers do, this is left alone.
    ///
    /// Twenty at once, as many as the default rate limit of logins lets in: programs that log in together.
    KnownNetwork,
    /// By network, over all accounts that are not known from it: lists of stolen passwords are tried so.
    ///
    /// A network may be an office or a whole mobile network, so the longest wait is shorter. In the first hour 56
    /// passwords can be tried, 30 an hour from then on.
    Network,
    /// By account, of the current password when it is to be changed: a session that was stolen is no way to guess it.
    ///
    /// Strangers have no session, so they cannot use this up; several sessions of one account use up the same.
    PasswordChange,
}

/// How attempts of one kind are let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttemptBudget {
    /// How many need not wait.
    pub free: u32,
    /// How long the first of the others waits; each waits twice as long as the one before.
    pub first_wait: Duration,
    /// The longest wait. In this time, too, one attempt is forgiven, so that whoever keeps trying stays where they are
    /// and whoever stops has the whole budget back after a while.
    pub longest_wait: Duration,
}

/// What has been counted, and not been forgiven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttemptCounter {
    /// When everything will have been forgiven.
    pub restored_at: Timestamp,
    /// When the last attempt was counted.
    pub last_at: Timestamp,
}

/// Names a counter by a keyed hash of what it counts, from which nobody learns what that is.
///
/// It is written as 32 lower-case hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CounterKey(pub [u8; 16]);

/// An attempt that came too early. It was not counted, and its password not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Throttled {
    /// How long until the next one is let in.
    pub retry_after: Duration,
}

/// An attempt that was counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reserved {
    /// The counters with it, in the order they were given.
    pub counters: Vec<AttemptCounter>,
    /// Those whose budget it was the last of: from now on attempts have to wait.
    pub exhausted: Vec<AttemptKind>,
}

/// Counts an attempt by everything that it counts against, or by nothing if any of it says that it came too early.
///
/// # Errors
/// [`Throttled`] with the longest of the waits.
pub fn reserve(counters: &[(AttemptKind, AttemptCounter)], now: Timestamp) -> Result<Reserved, Throttled> {
    let waits = counters.iter().map(|(kind, counter)| counter.wait(kind.budget(), now));
    let retry_after = waits.max().unwrap_or_default();
    if !retry_after.is_zero() {
        return Err(Throttled { retry_after });
    }
    let mut reserved = Reserved { counters: Vec::with_capacity(counters.len()), exhausted: Vec::new() };
    for (kind, before) in counters {
        let budget = kind.budget();
        let after = before.reserve(budget, now);
        if before.spent(budget, now) < budget.free && after.spent(budget, now) >= budget.free {
            reserved.exhausted.push(*kind);
        }
        reserved.counters.push(after);
    }
    Ok(reserved)
}

impl AttemptKind {
    /// How attempts of this kind are let in.
    #[must_use]
    pub const fn budget(self) -> AttemptBudget {
        const SECOND: Duration = Duration::from_secs(1);
        const QUARTER: Duration = Duration::from_secs(15 * 60);
        let (free, longest_wait) = match self {
            Self::Account | Self::PasswordChange => (10, QUARTER),
            Self::KnownNetwork => (20, QUARTER),
            Self::Network => (20, Duration::from_secs(2 * 60)),
        };
        AttemptBudget { free, first_wait: SECOND, longest_wait }
    }

    /// Its name in the audit log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::KnownNetwork => "known_network",
            Self::Network => "network",
            Self::PasswordChange => "password_change",
        }
    }
}

impl AttemptBudget {
    /// How long the attempt after so many that count has to wait.
    #[must_use]
    pub fn wait_after(self, spent: u32) -> Duration {
        match spent.checked_sub(self.free) {
            None => Duration::ZERO,
            Some(doublings) => {
                let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
                self.first_wait.saturating_mul(factor).min(self.longest_wait)
            }
        }
    }
}

impl AttemptCounter {
    /// A counter of nothing.
    #[must_use]
    pub const fn new(now: Timestamp) -> Self {
        Self { restored_at: now, last_at: now }
    }

    /// How many attempts count at `now`: those that have not been forgiven.
    #[must_use]
    pub fn spent(self, budget: AttemptBudget, now: Timestamp) -> u32 {
        let left = self.restored_at.since(now).as_micros();
        u32::try_from(left.div_ceil(budget.longest_wait.as_micros().max(1))).unwrap_or(u32::MAX)
    }

    /// How long an attempt at `now` would have to wait: at most the longest wait, and as much longer as the clock is
    /// behind the one that the last attempt was counted by, a quarter of an hour at most.
    #[must_use]
    pub fn wait(self, budget: AttemptBudget, now: Timestamp) -> Duration {
        let counter = self.as_of(budget, now);
        let opens_at = counter.last_at.after(budget.wait_after(counter.spent(budget, counter.last_at)));
        opens_at.since(now)
    }

    /// With one attempt more. It is for [`reserve`] to ask first whether it has to wait.
    #[must_use]
    pub fn reserve(self, budget: AttemptBudget, now: Timestamp) -> Self {
        let counter = self.as_of(budget, now);
        Self {
            restored_at: counter.restored_at.max(now).after(budget.longest_wait),
            last_at: counter.last_at.max(now),
        }
    }

    /// Without one attempt, whose password was right or was never looked at.
    #[must_use]
    pub fn refund(self, budget: AttemptBudget) -> Self {
        Self { restored_at: self.restored_at.before(budget.longest_wait), ..self }
    }

    /// When it counts nothing any more, and nobody has to wait.
    #[must_use]
    pub fn forget_after(self, budget: AttemptBudget) -> Timestamp {
        self.restored_at.max(self.last_at.after(budget.longest_wait))
    }

    /// What was counted by a clock that ran far ahead, and was set right since, shuts nobody out: it counts as a budget
    /// that is used up, without a wait.
    fn as_of(self, budget: AttemptBudget, now: Timestamp) -> Self {
        if self.last_at <= now.after(AHEAD) {
            return self;
        }
        let used_up = now.after(budget.longest_wait.saturating_mul(budget.free));
        Self { restored_at: self.restored_at.min(used_up), last_at: now.before(budget.longest_wait) }
    }
}

impl fmt::Display for CounterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests;
