//! How long a rotated key works on beside its successor.

use std::time::Duration;

use cryptopay_domain::api_key::DEFAULT_OVERLAP;

/// One of the spans to choose from.
pub(crate) struct Preset {
    pub(crate) seconds: u64,
    pub(crate) label: &'static str,
}

/// The spans to choose from; the longest is the longest there may be.
pub(crate) const PRESETS: &[Preset] = &[
    Preset { seconds: 0, label: "Not at all: it stops at once" },
    Preset { seconds: 3600, label: "One hour" },
    Preset { seconds: 86_400, label: "One day" },
    Preset { seconds: 7 * 86_400, label: "A week" },
    Preset { seconds: 30 * 86_400, label: "30 days" },
];

impl Preset {
    pub(crate) fn is_default(&self) -> bool {
        self.seconds == DEFAULT_OVERLAP.as_secs()
    }
}

/// The span that was chosen; `None` for what is none of them.
pub(crate) fn read(typed: &str) -> Option<Duration> {
    let seconds: u64 = typed.parse().ok()?;
    PRESETS.iter().any(|preset| preset.seconds == seconds).then_some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use cryptopay_domain::api_key::MAX_OVERLAP;

    use super::*;

    #[test]
    fn only_the_presets_are_spans_and_one_is_chosen_at_first() {
        for preset in PRESETS {
            let span = Duration::from_secs(preset.seconds);
            assert_eq!(read(&preset.seconds.to_string()), Some(span));
            assert!(span <= MAX_OVERLAP);
        }
        assert_eq!(PRESETS.iter().filter(|preset| preset.is_default()).count(), 1);
        for wrong in ["", "1", "-3600", "3600.0", "99999999999999999999"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
