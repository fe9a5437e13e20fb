//! The time that the limiter in process goes by. It never runs backwards, unlike the time of day.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use governor::clock::Clock;
use governor::nanos::Nanos;

/// Time since some moment.
#[derive(Clone)]
pub(crate) enum Time {
    /// That passes by itself.
    Running(Instant),
    /// That somebody tells.
    Told(Arc<dyn Fn() -> Duration + Send + Sync>),
}

impl Time {
    /// Since now.
    pub(crate) fn running() -> Self {
        Self::Running(Instant::now())
    }
}

impl Clock for Time {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        let elapsed = match self {
            Self::Running(origin) => origin.elapsed(),
            Self::Told(tell) => tell(),
        };
        Nanos::new(u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX))
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Time").field(&self.now()).finish()
    }
}
