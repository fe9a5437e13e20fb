//! Rotating an endpoint's secret: the new one is shown once, and the old one signs beside it for a while.

use cryptopay_domain::webhook_endpoint::SecretOverlap;

use super::secret::shown_once;
use crate::page::Answer;
use crate::problem::Problem;
use crate::visit::MerchantVisit;

/// One of the spans to choose from.
pub(crate) struct Overlap {
    pub(crate) seconds: i64,
    pub(crate) label: &'static str,
}

/// The spans to choose from; the longest is the longest there may be.
pub(crate) const OVERLAPS: &[Overlap] = &[
    Overlap { seconds: 0, label: "Not at all: it has leaked" },
    Overlap { seconds: 3600, label: "One hour" },
    Overlap { seconds: 86_400, label: "One day" },
    Overlap { seconds: 7 * 86_400, label: "A week" },
];

/// Makes a new secret and shows it.
pub(crate) async fn rotate(visit: MerchantVisit) -> Answer {
    let overlap = read(visit.form.text("overlap")).ok_or(Problem::BadRequest)?;
    let id = visit.parameter("id")?;
    let made = visit.site.payments.rotate_secret(visit.principal(), id, overlap, &visit.context).await?;
    shown_once(&visit, &made)
}

/// The span that was chosen; `None` for what is none of them.
fn read(typed: &str) -> Option<SecretOverlap> {
    let seconds: i64 = typed.parse().ok()?;
    let chosen = OVERLAPS.iter().find(|overlap| overlap.seconds == seconds)?;
    SecretOverlap::from_seconds(chosen.seconds).ok()
}

impl Overlap {
    pub(crate) fn is_default(&self) -> bool {
        SecretOverlap::from_seconds(self.seconds) == Ok(SecretOverlap::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_offered_is_a_span_and_one_is_chosen_at_first() {
        for overlap in OVERLAPS {
            let read = read(&overlap.seconds.to_string());
            assert_eq!(read, SecretOverlap::from_seconds(overlap.seconds).ok());
            assert!(read.is_some(), "{}", overlap.label);
        }
        assert_eq!(OVERLAPS.iter().filter(|overlap| overlap.is_default()).count(), 1);
        for wrong in ["", "1", "-3600", "3600.0", "604801", "99999999999999999999"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
