//! Two servers measured in alternating pairs, and which number decides between them.

use std::fmt;

use crate::sample::Sample;
use crate::statistics::median;

/// From which share of its core on a server's requests per second count. Below it, the load generator or a
/// neighbour held the server up, and only processor time tells what a request costs.
const BUSY_ENOUGH: f64 = 0.95;

/// The samples of ours and of what it is compared with, taken in turns.
#[derive(Debug, Default)]
pub(crate) struct Comparison {
    pub(crate) ours: Vec<Sample>,
    pub(crate) theirs: Vec<Sample>,
}

/// What decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DecidedBy {
    /// Both had their core to themselves and used it up.
    RequestsPerSecond,
    /// One of them did not.
    ProcessorTime,
}

impl fmt::Display for DecidedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RequestsPerSecond => "requests/s",
            Self::ProcessorTime => "processor time",
        })
    }
}

impl Comparison {
    /// The speed of ours as a share of theirs, the median over the pairs, and what it was taken from.
    pub(crate) fn ratio(&self) -> (f64, DecidedBy) {
        let busy = |samples: &[Sample]| median(samples.iter().map(Sample::busy)) >= BUSY_ENOUGH;
        let pairs = || self.ours.iter().zip(&self.theirs);
        if busy(&self.ours) && busy(&self.theirs) {
            let ratio = median(pairs().map(|(ours, theirs)| ours.per_second() / theirs.per_second()));
            (ratio, DecidedBy::RequestsPerSecond)
        } else {
            let ratios =
                pairs().map(|(ours, theirs)| theirs.micros_per_request() / ours.micros_per_request());
            (median(ratios), DecidedBy::ProcessorTime)
        }
    }

    /// The medians of a side, as a cell of the table.
    pub(crate) fn describe(samples: &[Sample]) -> String {
        format!(
            "{:.0}/s, {:.1} µs, {:.0} % busy",
            median(samples.iter().map(Sample::per_second)),
            median(samples.iter().map(Sample::micros_per_request)),
            100.0 * median(samples.iter().map(Sample::busy)),
        )
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn sample(requests: u64, busy_percent: u64) -> Sample {
        Sample { requests, wall: Duration::from_secs(1), processor: Duration::from_millis(10 * busy_percent) }
    }

    #[test]
    fn requests_per_second_decide_between_servers_that_were_busy() {
        let comparison = Comparison {
            ours: vec![sample(80, 99), sample(70, 100), sample(90, 97)],
            theirs: vec![sample(100, 100); 3],
        };
        let (ratio, decided_by) = comparison.ratio();
        assert_eq!(decided_by, DecidedBy::RequestsPerSecond);
        assert!((ratio - 0.8).abs() < 1e-9);
    }

    #[test]
    fn processor_time_decides_when_either_was_held_up() {
        let comparison = Comparison { ours: vec![sample(100, 100)], theirs: vec![sample(100, 80)] };
        let (ratio, decided_by) = comparison.ratio();
        assert_eq!(decided_by, DecidedBy::ProcessorTime);
        assert!((ratio - 0.8).abs() < 1e-9);
    }
}
