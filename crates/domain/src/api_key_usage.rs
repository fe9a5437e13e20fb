//! How API keys are used: figures for each day, and what they say about a key that could do with less.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use time::Date;

use crate::api_key::{ApiKey, ApiKeyStatus};
use crate::{Permission, PermissionSet, Timestamp};

/// How many days of figures are shown, today included.
pub const DAYS_SHOWN: u16 = 14;
/// How many days of figures are kept, today included.
pub const DAYS_KEPT: u16 = 90;
/// How long a key has to be there before its use says what it does without.
pub const OBSERVED_AT_LEAST: Duration = Duration::from_secs(14 * 24 * 3600);

/// The Julian day of 1970-01-01.
const JULIAN_EPOCH: i32 = 2_440_588;

/// A day in UTC. [`Display`](fmt::Display) is the wire form: `2026-11-28`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(
    /// Days since 1970-01-01: every request is counted under one, so it has to be cheap.
    i32,
);

/// Text that is no day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a date such as 2030-01-02")]
pub struct DayError;

impl Day {
    /// The day that a moment lies in.
    #[must_use]
    pub fn of(moment: Timestamp) -> Self {
        Self(i32::try_from(moment.unix_seconds().div_euclid(86_400)).unwrap_or(i32::MAX))
    }

    /// The day so many days earlier.
    #[must_use]
    pub fn before(self, days: u16) -> Self {
        Self(self.0.saturating_sub(days.into()))
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let date = Date::from_julian_day(self.0.saturating_add(JULIAN_EPOCH)).unwrap_or(Date::MIN);
        write!(f, "{:04}-{:02}-{:02}", date.year(), u8::from(date.month()), date.day())
    }
}

impl FromStr for Day {
    type Err = DayError;

    fn from_str(text: &str) -> Result<Self, DayError> {
        let format = time::macros::format_description!("[year]-[month]-[day]");
        let date = Date::parse(text, format).map_err(|_| DayError)?;
        Ok(Self(date.to_julian_day() - JULIAN_EPOCH))
    }
}

/// What became of a request that came with an API key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyVerdict {
    /// It was let in where this permission is demanded.
    Granted(Permission),
    /// A verification was answered without naming a permission: what the key then opened, only whoever asked
    /// knows.
    Verified,
    /// It was refused: the key has ended or was revoked, lacks the permission, or calls too often.
    Refused,
}

/// The use of one key on one day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DayUsage {
    /// All requests that came with it, the refused ones included.
    pub requests: u64,
    /// Those that were refused.
    pub refusals: u64,
    /// When each permission was last used, in the order of [`Permission::ALL`].
    pub permissions: [Option<Timestamp>; 4],
    /// When it was last verified without naming a permission.
    pub verified: Option<Timestamp>,
}

impl DayUsage {
    /// Takes in a request.
    pub fn count(&mut self, verdict: KeyVerdict, at: Timestamp) {
        self.requests += 1;
        match verdict {
            KeyVerdict::Granted(permission) => {
                let last = &mut self.permissions[permission as usize];
                *last = (*last).max(Some(at));
            }
            KeyVerdict::Verified => self.verified = self.verified.max(Some(at)),
            KeyVerdict::Refused => self.refusals += 1,
        }
    }

    /// Takes in what was counted elsewhere, by another replica or at another time.
    pub fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.refusals += other.refusals;
        for (last, others) in self.permissions.iter_mut().zip(other.permissions) {
            *last = (*last).max(others);
        }
        self.verified = self.verified.max(other.verified);
    }
}

/// What is known of a key's use, as far back as it is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApiKeyUsage {
    /// The days on which it was used.
    pub days: BTreeMap<Day, DayUsage>,
    /// How many keys that were not revoked were made with it.
    pub keys_under: usize,
}

impl ApiKeyUsage {
    /// The last [`DAYS_SHOWN`] days up to `today`, oldest first; days without a request too.
    pub fn recent_days(&self, today: Day) -> impl Iterator<Item = (Day, DayUsage)> {
        let days = (0..DAYS_SHOWN).rev().map(move |ago| today.before(ago));
        days.map(|day| (day, self.days.get(&day).copied().unwrap_or_default()))
    }

    /// When a permission was last used.
    #[must_use]
    pub fn last_use(&self, permission: Permission) -> Option<Timestamp> {
        self.days.values().filter_map(|day| day.permissions[permission as usize]).max()
    }

    /// When the key was last verified without naming a permission.
    #[must_use]
    pub fn last_verified(&self) -> Option<Timestamp> {
        self.days.values().filter_map(|day| day.verified).max()
    }

    /// The permissions that were used.
    #[must_use]
    pub fn used_permissions(&self) -> PermissionSet {
        Permission::ALL.into_iter().filter(|permission| self.last_use(*permission).is_some()).collect()
    }
}

/// Fewer permissions that would do for a key, by what it was used for; none when the figures do not say so.
///
/// They do not for a key that is not active, was not there for [`OBSERVED_AT_LEAST`], was used for nothing, was verified
/// without naming a permission (the service that asked may rely on any of them), or has keys under it, which would be
/// narrowed along with it.
#[must_use]
pub fn suggest_narrowing(key: &ApiKey, usage: &ApiKeyUsage, now: Timestamp) -> Option<PermissionSet> {
    let used = usage.used_permissions().intersection(key.permissions);
    let is_known = key.status(now) == ApiKeyStatus::Active
        && now >= key.created_at.after(OBSERVED_AT_LEAST)
        && usage.last_verified().is_none()
        && usage.keys_under == 0;
    (is_known && !used.is_empty() && used != key.permissions).then_some(used)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::{ApiKeyId, UserId};

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn a_day_ends_at_midnight_in_utc() {
        let midnight = at("2026-03-01T00:00:00Z");
        assert_eq!(Day::of(midnight).to_string(), "2026-03-01");
        assert_eq!(Day::of(midnight.before(Duration::from_micros(1))).to_string(), "2026-02-28");
        assert_eq!(Day::of(midnight).before(60).to_string(), "2025-12-31");
        assert_eq!("2026-03-01".parse(), Ok(Day::of(midnight)));
        for bad in ["2026-02-29", "2026-3-1", "", "2026-03-01T00:00:00Z"] {
            assert_eq!(bad.parse::<Day>(), Err(DayError), "{bad}");
        }
    }

    #[test]
    fn requests_are_counted_by_what_became_of_them_and_days_add_up() {
        let (early, late) = (at("2026-03-01T10:00:00Z"), at("2026-03-01T11:00:00Z"));
        let mut day = DayUsage::default();
        day.count(KeyVerdict::Granted(Permission::Read), late);
        day.count(KeyVerdict::Granted(Permission::Read), early);
        day.count(KeyVerdict::Refused, late);
        let mut other = DayUsage::default();
        other.count(KeyVerdict::Verified, early);
        other.count(KeyVerdict::Granted(Permission::ManageWebhooks), early);
        day.add(&other);
        let expected = DayUsage {
            requests: 5,
            refusals: 1,
            permissions: [Some(late), None, Some(early), None],
            verified: Some(early),
        };
        assert_eq!(day, expected);
    }

    #[test]
    fn the_days_shown_end_today_and_hold_those_without_a_request() {
        let today = Day::of(at("2026-03-10T12:00:00Z"));
        let one = |requests| DayUsage { requests, ..DayUsage::default() };
        let days = [(today, one(1)), (today.before(13), one(2)), (today.before(14), one(3))];
        let usage = ApiKeyUsage { days: days.into(), keys_under: 0 };
        let shown: Vec<_> = usage.recent_days(today).collect();
        assert_eq!(shown.len(), 14);
        assert_eq!((shown[0].0, shown[0].1.requests), (today.before(13), 2));
        assert_eq!((shown[13].0, shown[13].1.requests), (today, 1));
        assert!(shown[1..13].iter().all(|(_, day)| *day == DayUsage::default()));
    }

    #[test]
    fn a_key_is_narrowed_to_what_it_was_used_for_only_when_that_is_certain() {
        let made = at("2026-03-01T00:00:00Z");
        let now = made.after(OBSERVED_AT_LEAST);
        let set = |permissions: &[Permission]| permissions.iter().copied().collect::<PermissionSet>();
        let key = ApiKey {
            id: ApiKeyId(Uuid::from_u128(1)),
            user_id: UserId(1),
            parent: None,
            name: "till".to_owned(),
            prefix: "cp_test_AbC1".to_owned(),
            permissions: PermissionSet::FULL,
            created_at: made,
            expires_at: None,
            overlap_ends_at: None,
            revoked_at: None,
            successor: None,
            last_used_at: None,
        };
        let used = |verdicts: &[KeyVerdict]| {
            let mut day = DayUsage::default();
            verdicts.iter().for_each(|verdict| day.count(*verdict, now));
            ApiKeyUsage { days: [(Day::of(now), day)].into(), keys_under: 0 }
        };
        let reading = used(&[KeyVerdict::Granted(Permission::Read), KeyVerdict::Refused]);
        assert_eq!(suggest_narrowing(&key, &reading, now), Some(set(&[Permission::Read])));

        let second = Duration::from_secs(1);
        assert_eq!(suggest_narrowing(&key, &reading, now.before(second)), None, "too early to tell");
        let revoked = ApiKey { revoked_at: Some(now), ..key.clone() };
        assert_eq!(suggest_narrowing(&revoked, &reading, now), None);
        let rotated = ApiKey { overlap_ends_at: Some(now.after(second)), ..key.clone() };
        assert_eq!(suggest_narrowing(&rotated, &reading, now), None);
        let narrow = ApiKey { permissions: set(&[Permission::Read]), ..key.clone() };
        assert_eq!(suggest_narrowing(&narrow, &reading, now), None, "it is narrow already");
        let above = ApiKeyUsage { keys_under: 1, ..reading };
        assert_eq!(suggest_narrowing(&key, &above, now), None, "others would be narrowed, too");
        for (verdicts, what) in [
            (&[KeyVerdict::Granted(Permission::FullAccess)][..], "it needs all"),
            (&[KeyVerdict::Refused], "it was used for nothing"),
            (&[KeyVerdict::Granted(Permission::Read), KeyVerdict::Verified], "who knows what for"),
        ] {
            assert_eq!(suggest_narrowing(&key, &used(verdicts), now), None, "{what}");
        }
        // A permission that it lost since it was used is none to keep.
        let both =
            used(&[KeyVerdict::Granted(Permission::Read), KeyVerdict::Granted(Permission::FullAccess)]);
        let two = ApiKey { permissions: set(&[Permission::Read, Permission::CreatePayments]), ..key };
        assert_eq!(suggest_narrowing(&two, &both, now), None, "full access implies all");
    }
}
