//! One measured stretch of load.

use std::time::Duration;

/// What a server did in a stretch of time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// Requests answered.
    pub(crate) requests: u64,
    /// How long it took.
    pub(crate) wall: Duration,
    /// The processor time of the server's process tree.
    pub(crate) processor: Duration,
}

impl Sample {
    /// Requests per second.
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    pub(crate) fn per_second(&self) -> f64 {
        self.requests as f64 / self.wall.as_secs_f64()
    }

    /// Processor time of one request, in microseconds.
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    pub(crate) fn micros_per_request(&self) -> f64 {
        self.processor.as_secs_f64() * 1e6 / self.requests as f64
    }

    /// The share of its one core that the server had: 1 when it never waited for work, or for the core.
    pub(crate) fn busy(&self) -> f64 {
        self.processor.as_secs_f64() / self.wall.as_secs_f64()
    }

    /// Several stretches as one.
    pub(crate) fn sum(samples: &[Self]) -> Self {
        Self {
            requests: samples.iter().map(|sample| sample.requests).sum(),
            wall: samples.iter().map(|sample| sample.wall).sum(),
            processor: samples.iter().map(|sample| sample.processor).sum(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_shares_and_sums_follow_from_what_was_counted() {
        let second = Duration::from_secs(1);
        let sample = Sample { requests: 1000, wall: 2 * second, processor: second };
        assert!((sample.per_second() - 500.0).abs() < 1e-9);
        assert!((sample.micros_per_request() - 1000.0).abs() < 1e-9);
        assert!((sample.busy() - 0.5).abs() < 1e-9);
        let both = Sample::sum(&[sample, Sample { requests: 500, wall: second, processor: second }]);
        assert_eq!((both.requests, both.wall, both.processor), (1500, 3 * second, 2 * second));
    }
}
