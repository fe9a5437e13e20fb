//! One limit, and the limits of a server.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use super::policy::Policy;

const MAX_REQUESTS: u32 = 1_000_000;
const MAX_SECONDS: u32 = 86_400;

/// So many requests in so many seconds, written `300/60`.
///
/// All of them may come at once; after that, one more is let in each time a fair share of the seconds has
/// passed (the generic cell rate algorithm, ITU-T I.371), so that there is no edge of a window to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    requests: NonZeroU32,
    seconds: NonZeroU32,
}

/// Text that is no limit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is no limit; write <requests>/<seconds>, such as 300/60: 1 to {MAX_REQUESTS} requests in 1 to \
     {MAX_SECONDS} seconds"
)]
pub struct RateLimitError(String);

/// Every limit of a server. The defaults let a merchant's programs work untroubled, and make whoever guesses
/// or floods slow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimits {
    /// By client address: every request but token refreshes.
    pub address: RateLimit,
    /// By credential, behind the one by address: every request with a valid session or API key.
    pub credential: RateLimit,
    /// By client address, beside the general one: logins.
    pub login: RateLimit,
    /// By client address, beside the general one: registrations.
    pub register: RateLimit,
    /// By session, beside the general one: changes of the password.
    pub password: RateLimit,
    /// By client address, instead of the general one: token refreshes, which must not fail because the general
    /// limit is used up.
    pub refresh: RateLimit,
}

impl RateLimit {
    /// `requests` in `seconds`.
    ///
    /// # Errors
    /// When either is out of its range.
    pub fn new(requests: u32, seconds: u32) -> Result<Self, RateLimitError> {
        let refused = || RateLimitError(format!("{requests}/{seconds}"));
        if requests > MAX_REQUESTS || seconds > MAX_SECONDS {
            return Err(refused());
        }
        match (NonZeroU32::new(requests), NonZeroU32::new(seconds)) {
            (Some(requests), Some(seconds)) => Ok(Self { requests, seconds }),
            _ => Err(refused()),
        }
    }

    /// How many may come at once.
    #[must_use]
    pub const fn requests(self) -> NonZeroU32 {
        self.requests
    }

    /// In how many seconds that many are let in.
    #[must_use]
    pub const fn seconds(self) -> u32 {
        self.seconds.get()
    }

    /// The time after which one more is let in.
    #[must_use]
    pub fn interval(self) -> Duration {
        Duration::from_secs(u64::from(self.seconds.get())) / self.requests.get()
    }
}

impl FromStr for RateLimit {
    type Err = RateLimitError;

    fn from_str(text: &str) -> Result<Self, RateLimitError> {
        let refused = || RateLimitError(text.to_owned());
        let (requests, seconds) = text.trim().split_once('/').ok_or_else(refused)?;
        // A sign would be read, too, but nobody means one.
        let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok());
        match (number(requests).flatten(), number(seconds).flatten()) {
            (Some(requests), Some(seconds)) => Self::new(requests, seconds).map_err(|_| refused()),
            _ => Err(refused()),
        }
    }
}

impl fmt::Display for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.requests, self.seconds)
    }
}

impl RateLimits {
    /// The limit of one policy.
    pub(crate) const fn of(&self, policy: Policy) -> RateLimit {
        match policy {
            Policy::Address => self.address,
            Policy::Credential => self.credential,
            Policy::Login => self.login,
            Policy::Register => self.register,
            Policy::Password => self.password,
            Policy::Refresh => self.refresh,
        }
    }
}

impl Default for RateLimits {
    fn default() -> Self {
        Self {
            address: limit(3000, 60),
            credential: limit(6000, 60),
            login: limit(20, 60),
            register: limit(20, 3600),
            password: limit(10, 3600),
            refresh: limit(1200, 60),
        }
    }
}

/// A limit that is written in the code.
const fn limit(requests: u32, seconds: u32) -> RateLimit {
    const ONE: NonZeroU32 = NonZeroU32::MIN;
    RateLimit {
        requests: ONE.saturating_add(requests.saturating_sub(1)),
        seconds: ONE.saturating_add(seconds.saturating_sub(1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_read_as_it_is_written() {
        for text in ["300/60", "1/1", "1000000/1", "10/86400"] {
            assert_eq!(text.parse::<RateLimit>().unwrap().to_string(), text);
        }
        assert_eq!(" 20/60 ".parse::<RateLimit>().unwrap(), RateLimit::new(20, 60).unwrap());
    }

    #[test]
    fn what_is_no_limit_is_quoted_with_what_would_be_one() {
        for text in [
            "",
            "300",
            "300/",
            "/60",
            "0/60",
            "300/0",
            "-1/60",
            "+1/60",
            "3.5/1",
            "1/60/2",
            "1000001/1",
            "1/86401",
        ] {
            let error = text.parse::<RateLimit>().unwrap_err().to_string();
            assert!(error.contains(&format!("'{text}'")) && error.contains("300/60"), "{error}");
        }
    }

    #[test]
    fn requests_come_back_one_by_one() {
        for (text, millis) in [("300/60", 200), ("1/1", 1000), ("10/3600", 360_000), ("1000/1", 1)] {
            let limit: RateLimit = text.parse().unwrap();
            assert_eq!(limit.interval(), Duration::from_millis(millis), "{text}");
        }
    }

    #[test]
    fn by_default_programs_work_untroubled_and_guessing_is_slow() {
        let limits = RateLimits::default();
        let per_second = |limit: RateLimit| f64::from(limit.requests().get()) / f64::from(limit.seconds());
        for generous in [limits.address, limits.credential, limits.refresh] {
            assert!(generous.requests().get() >= 100 && per_second(generous) >= 20.0, "{generous}");
        }
        for tight in [limits.login, limits.register, limits.password] {
            assert!(tight.requests().get() <= 20 && per_second(tight) <= 0.5, "{tight}");
        }
    }
}
