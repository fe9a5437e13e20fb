//! Webhook endpoints: where a merchant wants to be told of events, the secrets that sign what is told, and
//! when an endpoint that fails is given up.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::delivery::AttemptOutcome;
use crate::{Description, EventFilter, Timestamp, UserId, WebhookEndpointId};

/// How many endpoints a merchant may have.
pub const MAX_ENDPOINTS: usize = 20;
/// How long an endpoint may fail before it is disabled.
pub const MAX_FAILING: Duration = Duration::from_secs(5 * 86_400);

/// An endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookEndpoint {
    /// Its identifier.
    pub id: WebhookEndpointId,
    /// Whose endpoint it is.
    pub user_id: UserId,
    /// Where to post.
    pub url: String,
    /// What it wants to hear of.
    pub events: EventFilter,
    /// What it is, in the merchant's words.
    pub description: Option<Description>,
    /// Whether anything is posted.
    pub status: EndpointStatus,
    /// When it was made.
    pub created_at: Timestamp,
    /// When the first attempt failed after the last that succeeded, if any did.
    pub failing_since: Option<Timestamp>,
    /// What deliveries are signed with.
    pub secrets: EndpointSecrets,
}

/// Whether anything is posted to an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointStatus {
    /// It is.
    Enabled,
    /// Nothing is, for this reason.
    Disabled(DisabledReason),
}

impl EndpointStatus {
    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Disabled(_) => "disabled",
        }
    }

    /// Why nothing is posted, if so.
    #[must_use]
    pub const fn disabled_reason(self) -> Option<DisabledReason> {
        match self {
            Self::Enabled => None,
            Self::Disabled(reason) => Some(reason),
        }
    }
}

/// Why an endpoint is disabled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DisabledReason {
    /// Its merchant wants it so.
    ByMerchant,
    /// It answered `410 Gone`.
    Gone,
    /// It has failed for five days.
    Failing,
}

/// Text that names no such reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is no reason for an endpoint to be disabled")]
pub struct DisabledReasonError;

impl DisabledReason {
    /// Every reason.
    pub const ALL: [Self; 3] = [Self::ByMerchant, Self::Gone, Self::Failing];

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ByMerchant => "by_merchant",
            Self::Gone => "gone",
            Self::Failing => "failing",
        }
    }
}

impl FromStr for DisabledReason {
    type Err = DisabledReasonError;

    fn from_str(text: &str) -> Result<Self, DisabledReasonError> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text).ok_or(DisabledReasonError)
    }
}

/// A secret that only the encryption key opens.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedSecret(pub Vec<u8>);

impl fmt::Debug for SealedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealedSecret(…)")
    }
}

/// What deliveries of an endpoint are signed with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointSecrets {
    /// The secret that was shown last.
    pub current: SealedSecret,
    /// The one before it, while their overlap runs.
    pub previous: Option<PreviousSecret>,
}

/// A secret that was rotated away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreviousSecret {
    /// The secret.
    pub secret: SealedSecret,
    /// When it is no longer signed with.
    pub ends_at: Timestamp,
}

impl EndpointSecrets {
    /// The secrets of a new endpoint.
    #[must_use]
    pub const fn new(secret: SealedSecret) -> Self {
        Self { current: secret, previous: None }
    }

    /// The secrets to sign with at `now`, oldest first: one, or two during an overlap.
    #[must_use]
    pub fn valid_at(&self, now: Timestamp) -> Vec<&SealedSecret> {
        let previous = self.previous.iter().filter(|previous| now < previous.ends_at);
        previous.map(|previous| &previous.secret).chain([&self.current]).collect()
    }

    /// The secrets after a rotation at `now`. Where an overlap is running, its oldest secret ends at once.
    #[must_use]
    pub fn rotate(self, new: SealedSecret, overlap: SecretOverlap, now: Timestamp) -> Self {
        let previous = (overlap.duration() > Duration::ZERO)
            .then(|| PreviousSecret { secret: self.current, ends_at: now.after(overlap.duration()) });
        Self { current: new, previous }
    }
}

/// For how long a rotated secret is still signed with: 0 to 7 days, 24 hours by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecretOverlap(Duration);

/// A number of seconds that cannot be an overlap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a whole number of seconds from 0 to 604800 (7 days)")]
pub struct SecretOverlapError;

impl SecretOverlap {
    /// Checks a number of seconds.
    ///
    /// # Errors
    /// [`SecretOverlapError`] below 0 and above 7 days.
    pub fn from_seconds(seconds: i64) -> Result<Self, SecretOverlapError> {
        let seconds = u64::try_from(seconds).ok().filter(|seconds| *seconds <= 7 * 86_400);
        seconds.map(|seconds| Self(Duration::from_secs(seconds))).ok_or(SecretOverlapError)
    }

    /// How long.
    #[must_use]
    pub const fn duration(self) -> Duration {
        self.0
    }
}

impl Default for SecretOverlap {
    fn default() -> Self {
        Self(Duration::from_secs(86_400))
    }
}

/// What an attempt says about its endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It works.
    Healthy,
    /// It has not worked since then.
    Failing {
        /// When the first attempt failed after the last that succeeded.
        since: Timestamp,
    },
    /// It is to be left alone from now on.
    Disable(DisabledReason),
}

/// Judges an endpoint by an attempt at `now`: `410 Gone` disables it at once (RFC 9110, 15.5.11, asks that of
/// whoever follows links), and so does failing for five days without a success.
#[must_use]
pub fn judge(failing_since: Option<Timestamp>, outcome: AttemptOutcome, now: Timestamp) -> Health {
    match outcome {
        AttemptOutcome::Succeeded => Health::Healthy,
        AttemptOutcome::Gone => Health::Disable(DisabledReason::Gone),
        AttemptOutcome::Failed => match failing_since {
            Some(since) if now.since(since) >= MAX_FAILING => Health::Disable(DisabledReason::Failing),
            // Attempts may be recorded in another order than they were made in.
            Some(since) => Health::Failing { since: since.min(now) },
            None => Health::Failing { since: now },
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_seconds(1_700_000_000 + seconds)
    }

    fn sealed(byte: u8) -> SealedSecret {
        SealedSecret(vec![byte; 4])
    }

    #[test]
    fn both_secrets_sign_during_an_overlap_and_the_new_one_alone_after_it() {
        let overlap = SecretOverlap::from_seconds(60).unwrap();
        let secrets = EndpointSecrets::new(sealed(1)).rotate(sealed(2), overlap, at(0));
        assert_eq!(secrets.valid_at(at(59)), [&sealed(1), &sealed(2)]);
        assert_eq!(secrets.valid_at(at(60)), [&sealed(2)]);
    }

    #[test]
    fn rotating_during_an_overlap_ends_the_oldest_secret_at_once() {
        let first = EndpointSecrets::new(sealed(1)).rotate(sealed(2), SecretOverlap::default(), at(0));
        let second = first.clone().rotate(sealed(3), SecretOverlap::default(), at(1));
        assert_eq!(second.valid_at(at(1)), [&sealed(2), &sealed(3)]);
        let none = first.rotate(sealed(3), SecretOverlap::from_seconds(0).unwrap(), at(1));
        assert_eq!((none.valid_at(at(1)), none.previous.clone()), (vec![&sealed(3)], None));
    }

    #[test]
    fn an_overlap_has_its_limits() {
        for wrong in [i64::MIN, -1, 7 * DAY + 1, i64::MAX] {
            assert_eq!(SecretOverlap::from_seconds(wrong), Err(SecretOverlapError), "{wrong}");
        }
        let longest = SecretOverlap::from_seconds(7 * DAY).unwrap();
        assert_eq!(longest.duration(), Duration::from_secs(604_800));
        assert_eq!(SecretOverlap::from_seconds(DAY), Ok(SecretOverlap::default()));
    }

    #[test]
    fn an_endpoint_is_given_up_after_five_days_without_a_success_or_when_it_is_gone() {
        use AttemptOutcome::{Failed, Gone, Succeeded};
        for (failing_since, outcome, now, expected) in [
            (None, Succeeded, 0, Health::Healthy),
            (Some(at(0)), Succeeded, 9 * DAY, Health::Healthy),
            (None, Failed, 7, Health::Failing { since: at(7) }),
            (Some(at(0)), Failed, 5 * DAY - 1, Health::Failing { since: at(0) }),
            (Some(at(9)), Failed, 5, Health::Failing { since: at(5) }),
            (Some(at(0)), Failed, 5 * DAY, Health::Disable(DisabledReason::Failing)),
            (None, Gone, 0, Health::Disable(DisabledReason::Gone)),
        ] {
            assert_eq!(
                judge(failing_since, outcome, at(now)),
                expected,
                "{failing_since:?} {outcome:?} {now}"
            );
        }
    }

    #[test]
    fn a_sealed_secret_does_not_show_itself() {
        assert_eq!(format!("{:?}", EndpointSecrets::new(sealed(7)).current), "SealedSecret(…)");
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        for reason in DisabledReason::ALL {
            assert_eq!(reason.as_str().parse(), Ok(reason));
            assert_eq!(EndpointStatus::Disabled(reason).as_str(), "disabled");
        }
        assert_eq!("enabled".parse::<DisabledReason>(), Err(DisabledReasonError));
    }
}
