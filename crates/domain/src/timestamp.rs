//! A moment in UTC, the only notion of time the rules know.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

/// Microseconds in a second.
const MICROS: i64 = 1_000_000;

/// A moment in UTC with microsecond resolution, what both databases keep exactly.
///
/// [`Display`](fmt::Display) is the wire form: RFC 3339, whole seconds, `Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// Text that is no moment in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an RFC 3339 timestamp such as 2030-01-02T12:00:00Z")]
pub struct TimestampError;

impl Timestamp {
    /// The latest moment of the year 9999, the last one RFC 3339 can write.
    pub const MAX: Self = Self(253_402_300_799 * MICROS);

    /// The moment `micros` microseconds after 1970-01-01T00:00:00Z, clamped to years RFC 3339 can write.
    #[must_use]
    pub const fn from_unix_micros(micros: i64) -> Self {
        const MIN: i64 = -62_167_219_200 * MICROS;
        if micros > Self::MAX.0 {
            Self::MAX
        } else if micros < MIN {
            Self(MIN)
        } else {
            Self(micros)
        }
    }

    /// The moment `seconds` seconds after 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn from_unix_seconds(seconds: i64) -> Self {
        Self::from_unix_micros(seconds.saturating_mul(MICROS))
    }

    /// Parses RFC 3339, any offset, to the whole second it lies in.
    ///
    /// # Errors
    /// [`TimestampError`] for anything else.
    pub fn parse(text: &str) -> Result<Self, TimestampError> {
        let moment = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| TimestampError)?;
        Ok(Self::from_unix_seconds(moment.unix_timestamp()))
    }

    /// Microseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn unix_micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970-01-01T00:00:00Z, rounded down.
    #[must_use]
    pub const fn unix_seconds(self) -> i64 {
        self.0.div_euclid(MICROS)
    }

    /// The start of the second this moment lies in: what the wire form says.
    #[must_use]
    pub const fn whole_seconds(self) -> Self {
        Self(self.unix_seconds() * MICROS)
    }

    /// This moment and `span` later, never past [`Timestamp::MAX`].
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        let micros = i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
        Self::from_unix_micros(self.0.saturating_add(micros))
    }

    /// The moment `span` earlier.
    #[must_use]
    pub fn before(self, span: Duration) -> Self {
        let micros = i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
        Self::from_unix_micros(self.0.saturating_sub(micros))
    }

    /// How long ago `earlier` was; zero if it lies ahead.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The same moment as a calendar date and time in UTC.
    #[must_use]
    pub fn to_datetime(self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1000)
            .unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }

    /// The same moment from a calendar date and time.
    #[must_use]
    pub fn from_datetime(moment: OffsetDateTime) -> Self {
        let micros = moment.to_offset(UtcOffset::UTC).unix_timestamp_nanos().div_euclid(1000);
        Self::from_unix_micros(i64::try_from(micros).unwrap_or(i64::MAX))
    }
}

impl From<SystemTime> for Timestamp {
    fn from(moment: SystemTime) -> Self {
        let epoch = Self::from_unix_micros(0);
        match moment.duration_since(UNIX_EPOCH) {
            Ok(after) => epoch.after(after),
            Err(error) => epoch.before(error.duration()),
        }
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = self.to_datetime();
        let (year, month, day) = (moment.year(), u8::from(moment.month()), moment.day());
        let (hour, minute, second) = moment.to_hms();
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wire_form_is_rfc_3339_in_whole_seconds() {
        let moment = Timestamp::from_unix_micros(1_704_196_800_999_999);
        assert_eq!(moment.to_string(), "2024-01-02T12:00:00Z");
        assert_eq!(Timestamp::parse("2024-01-02T12:00:00Z"), Ok(moment.whole_seconds()));
    }

    #[test]
    fn offsets_and_fractions_are_read_and_normalised() {
        let expected = Timestamp::parse("2024-01-02T12:00:00Z").unwrap();
        assert_eq!(Timestamp::parse("2024-01-02T14:00:00.75+02:00"), Ok(expected));
        assert_eq!(Timestamp::parse("2024-01-02 12:00"), Err(TimestampError));
        assert_eq!(Timestamp::parse("0000-01-01T00:00:00+23:59").map(|t| t.to_string().len()), Ok(20));
    }

    #[test]
    fn a_system_clock_is_read_to_the_microsecond_on_either_side_of_1970() {
        let span = Duration::from_micros(1_500_000);
        assert_eq!(Timestamp::from(UNIX_EPOCH + span), Timestamp::from_unix_micros(1_500_000));
        assert_eq!(Timestamp::from(UNIX_EPOCH - span), Timestamp::from_unix_micros(-1_500_000));
    }

    proptest::proptest! {
        #[test]
        fn every_second_survives_its_own_text(seconds in -62_167_219_200_i64..253_402_300_799) {
            let moment = Timestamp::from_unix_seconds(seconds);
            proptest::prop_assert_eq!(Timestamp::parse(&moment.to_string()), Ok(moment));
            proptest::prop_assert_eq!(Timestamp::from_datetime(moment.to_datetime()), moment);
        }
    }
}
