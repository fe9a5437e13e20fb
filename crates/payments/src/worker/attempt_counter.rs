//! How many attempts to deliver this process has made, for metrics.

use std::sync::atomic::{AtomicU64, Ordering};

use cryptopay_domain::delivery::AttemptOutcome;

/// How many attempts to deliver a process has made since it started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempts {
    /// Those that the receiver took.
    pub succeeded: u64,
    /// Those that it did not, and those that never reached it.
    pub failed: u64,
}

/// Counts them.
#[derive(Default)]
pub(crate) struct AttemptCounter {
    succeeded: AtomicU64,
    failed: AtomicU64,
}

impl AttemptCounter {
    /// One ended so.
    pub(super) fn count(&self, outcome: AttemptOutcome) {
        let counter = match outcome {
            AttemptOutcome::Succeeded => &self.succeeded,
            AttemptOutcome::Gone | AttemptOutcome::Failed => &self.failed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> Attempts {
        Attempts {
            succeeded: self.succeeded.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
        }
    }
}
