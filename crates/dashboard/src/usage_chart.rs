//! The use of API keys as small charts, drawn on the server: requests and refusals of each day, with the same figures in
//! a table for whoever cannot see them.

use cryptopay_domain::ApiKeyUsage;
use cryptopay_domain::api_key::ApiKey;
use cryptopay_domain::api_key_usage::Day;

/// How many keys are drawn; those that are used most.
const DRAWN: usize = 8;
/// How high the highest bar is.
const HEIGHT: u64 = 60;
/// How far one bar begins from the next.
const STEP: usize = 20;

/// The use of several keys, for `templates/usage_chart.html`.
pub(crate) struct UsageCharts {
    pub(crate) charts: Vec<Chart>,
    /// How many more keys were used.
    pub(crate) others: usize,
}

/// The use of one key.
pub(crate) struct Chart {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) prefix: String,
    pub(crate) requests: u64,
    pub(crate) refusals: u64,
    pub(crate) bars: Vec<Bar>,
}

/// The use of one key on one day.
pub(crate) struct Bar {
    pub(crate) day: Day,
    pub(crate) requests: u64,
    pub(crate) refusals: u64,
    pub(crate) x: usize,
    /// How high the bar is.
    pub(crate) height: u64,
    /// How much of it, from below, are refusals.
    pub(crate) refused: u64,
}

impl UsageCharts {
    /// Of keys with what is known of their use, up to `today`. Keys that were not used of late are left out.
    pub(crate) fn of<'a>(keys: impl IntoIterator<Item = (&'a ApiKey, &'a ApiKeyUsage)>, today: Day) -> Self {
        let charts = keys.into_iter().map(|(key, usage)| Chart::of(key, usage, today));
        let mut charts: Vec<Chart> = charts.filter(|chart| chart.requests > 0).collect();
        charts.sort_by_key(|chart| std::cmp::Reverse(chart.requests));
        let others = charts.len().saturating_sub(DRAWN);
        charts.truncate(DRAWN);
        Self { charts, others }
    }
}

impl Chart {
    fn of(key: &ApiKey, usage: &ApiKeyUsage, today: Day) -> Self {
        let days: Vec<_> = usage.recent_days(today).collect();
        let most = days.iter().map(|(_, day)| day.requests).max().unwrap_or_default();
        let bars = days.iter().enumerate().map(|(place, (day, counted))| Bar {
            day: *day,
            requests: counted.requests,
            refusals: counted.refusals,
            x: place * STEP,
            height: scaled(counted.requests, most),
            refused: scaled(counted.refusals, most),
        });
        Self {
            id: key.id.to_string(),
            name: key.name.clone(),
            prefix: key.prefix.clone(),
            requests: days.iter().map(|(_, day)| day.requests).sum(),
            refusals: days.iter().map(|(_, day)| day.refusals).sum(),
            bars: bars.collect(),
        }
    }
}

impl Bar {
    /// Where the bar begins, from above.
    pub(crate) fn y(&self) -> u64 {
        HEIGHT - self.height
    }

    /// Where its refusals begin.
    pub(crate) fn refused_y(&self) -> u64 {
        HEIGHT - self.refused
    }
}

/// A count's height where the greatest has [`HEIGHT`]; a count that is not zero can be seen.
fn scaled(count: u64, most: u64) -> u64 {
    if count == 0 {
        return 0;
    }
    let height = u128::from(count) * u128::from(HEIGHT) / u128::from(most.max(count));
    u64::try_from(height).unwrap_or(HEIGHT).max(2)
}

#[cfg(test)]
mod tests {
    use askama::Template;
    use cryptopay_domain::api_key_usage::DayUsage;
    use cryptopay_domain::{ApiKeyId, PermissionSet, Timestamp, UserId};

    use super::*;

    #[derive(Template)]
    #[template(path = "usage_chart.html")]
    struct Alone {
        usage: UsageCharts,
    }

    fn key(name: &str) -> ApiKey {
        ApiKey {
            id: "0193f1b2c3d4700089abcdef01234567".parse::<ApiKeyId>().expect("an identifier"),
            user_id: UserId(1),
            parent: None,
            name: name.to_owned(),
            prefix: "cp_test_AbC1".to_owned(),
            permissions: PermissionSet::FULL,
            created_at: Timestamp::from_unix_seconds(0),
            expires_at: None,
            overlap_ends_at: None,
            revoked_at: None,
            successor: None,
            last_used_at: None,
        }
    }

    fn used(days: &[(u16, u64, u64)], today: Day) -> ApiKeyUsage {
        let day = |(ago, requests, refusals): &(u16, u64, u64)| {
            let counted = DayUsage { requests: *requests, refusals: *refusals, ..DayUsage::default() };
            (today.before(*ago), counted)
        };
        ApiKeyUsage { days: days.iter().map(day).collect(), keys_under: 0 }
    }

    #[test]
    fn every_count_that_is_not_zero_can_be_seen_and_none_leaves_the_chart() {
        assert_eq!((scaled(0, 0), scaled(0, 10), scaled(10, 10)), (0, 0, HEIGHT));
        assert_eq!((scaled(1, 1_000_000), scaled(5, 10)), (2, HEIGHT / 2));
        assert_eq!(scaled(u64::MAX, u64::MAX), HEIGHT);
        assert_eq!(scaled(9, 3), HEIGHT, "more refusals than requests would be a bug elsewhere");
    }

    #[test]
    fn keys_stand_in_the_order_of_their_use_and_the_unused_not_at_all() {
        let today = Day::of(Timestamp::from_unix_seconds(1_767_355_200));
        let keys: Vec<_> = (0..12).map(|number| key(&format!("key {number}"))).collect();
        let usage: Vec<_> = (0..12).map(|number| used(&[(0, number, 0)], today)).collect();
        let old = used(&[(14, 99, 0)], today);
        let charts = UsageCharts::of(keys.iter().zip(&usage).chain([(&keys[0], &old)]), today);
        let names: Vec<_> = charts.charts.iter().map(|chart| chart.name.as_str()).collect();
        assert_eq!((names.len(), names[0], names[7], charts.others), (DRAWN, "key 11", "key 4", 3));
    }

    #[test]
    fn the_chart_has_its_figures_in_words_and_in_a_table_and_hostile_names_as_text() {
        let today = Day::of(Timestamp::from_unix_seconds(1_767_355_200));
        let (key, usage) = (key("<b>&\""), used(&[(0, 40, 10), (13, 2, 0)], today));
        let usage = UsageCharts::of([(&key, &usage)], today);
        let html = Alone { usage }.render().expect("a page");
        for text in [
            "42 requests, 10 refused",
            "<tr><th scope=\"row\">2026-01-02</th><td>40</td><td>10</td></tr>",
            "<tr><th scope=\"row\">2025-12-20</th><td>2</td><td>0</td></tr>",
        ] {
            assert!(html.contains(text), "{text}: {html}");
        }
        assert!(!html.contains("<b>") && !html.contains(" style="), "{html}");
        assert_eq!(html.matches("<tr><th scope=\"row\">").count(), 14);
    }
}
