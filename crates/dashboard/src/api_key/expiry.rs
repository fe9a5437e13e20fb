//! When a new key shall end: a preset, or a day of its own.

use std::time::Duration;

use cryptopay_domain::Timestamp;
use time::Date;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use crate::form::{Form, Problems};

const DAY: FormDay = format_description!("[year]-[month]-[day]");
type FormDay = &'static [BorrowedFormatItem<'static>];

/// The presets: value, label, days; none of them for ever.
const PRESETS: [(&str, &str, Option<u64>); 4] = [
    ("30", "In 30 days", Some(30)),
    ("90", "In 90 days", Some(90)),
    ("365", "In a year", Some(365)),
    ("never", "Never", None),
];
/// Chosen at first: long enough to work with, and it ends by itself.
const DEFAULT: &str = "90";

/// What the form shows.
pub(crate) struct Choice<'a> {
    chosen: &'a str,
    pub(crate) date: &'a str,
    /// The first day that can be chosen.
    pub(crate) first: String,
}

impl<'a> Choice<'a> {
    /// As it was typed.
    pub(crate) fn of(form: &'a Form, now: Timestamp) -> Self {
        let chosen = form.text("expiry");
        Self {
            chosen: if chosen.is_empty() { DEFAULT } else { chosen },
            date: form.text("expires_on"),
            first: now.to_datetime().date().format(DAY).unwrap_or_default(),
        }
    }

    /// Value and label of each preset.
    pub(crate) fn presets(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        PRESETS.iter().map(|(value, label, _)| (*value, *label))
    }

    pub(crate) fn is(&self, value: &str) -> bool {
        self.chosen == value
    }
}

/// When the key shall end: `Some(None)` for never, `None` when what was typed is no end.
pub(crate) fn read(form: &Form, now: Timestamp, problems: &mut Problems) -> Option<Option<Timestamp>> {
    let chosen = form.text("expiry");
    if chosen == "date" {
        let Ok(day) = Date::parse(form.text("expires_on"), DAY) else {
            problems.add("expires_on", "choose a day, such as 2030-01-31");
            return None;
        };
        // The last second of that day.
        let end = day
            .next_day()
            .map_or(Timestamp::MAX, |next| Timestamp::from_datetime(next.midnight().assume_utc()));
        return Some(Some(end.before(Duration::from_secs(1))));
    }
    let Some((.., days)) = PRESETS.iter().find(|(value, ..)| *value == chosen) else {
        problems.add("expires_on", "choose when the key shall end");
        return None;
    };
    Some(days.map(|days| now.whole_seconds().after(Duration::from_secs(days * 86_400))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(form: &str) -> Option<Option<String>> {
        let now = Timestamp::parse("2024-01-02T12:00:00Z").unwrap();
        let mut problems = Problems::default();
        let end = read(&Form::parse(form.as_bytes()), now, &mut problems);
        assert_eq!(end.is_none(), !problems.is_empty());
        end.map(|end| end.map(|end| end.to_string()))
    }

    #[test]
    fn presets_count_from_now_and_a_day_lasts_to_its_end() {
        assert_eq!(end("expiry=never"), Some(None));
        assert_eq!(end("expiry=30"), Some(Some("2024-02-01T12:00:00Z".to_owned())));
        assert_eq!(end("expiry=365"), Some(Some("2025-01-01T12:00:00Z".to_owned())));
        assert_eq!(end("expiry=date&expires_on=2024-02-29"), Some(Some("2024-02-29T23:59:59Z".to_owned())));
        assert_eq!(end("expiry=date&expires_on=9999-12-31"), Some(Some("9999-12-31T23:59:58Z".to_owned())));
    }

    #[test]
    fn what_is_no_end_never_becomes_a_key_that_lives_for_ever() {
        for wrong in [
            "",
            "expiry=",
            "expiry=31",
            "expiry=date",
            "expiry=date&expires_on=2024-02-30",
            "expires_on=2024-02-29",
        ] {
            assert_eq!(end(wrong), None, "{wrong}");
        }
    }
}
