//! Where identifiers and random bits come from.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cryptopay_domain::Timestamp;
use ring::rand::SecureRandom;
use uuid::{Builder, Uuid};

/// Makes identifiers: UUIDs of version 7 (RFC 9562 §5.7, method 3 of §6.2 for the bits below a millisecond).
///
/// Those of one process are strictly increasing, whatever the clock does, so that lists sorted by them are
/// sorted by creation.
#[derive(Clone)]
pub struct IdSource {
    random: Arc<dyn SecureRandom + Send + Sync>,
    /// The last moment given out, in units of 1/4096 ms.
    last: Arc<AtomicU64>,
}

/// The operating system gave no random bits.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the system's random number generator failed")]
pub struct RandomnessError;

impl IdSource {
    /// Draws from `random`.
    #[must_use]
    pub fn new(random: Arc<dyn SecureRandom + Send + Sync>) -> Self {
        Self { random, last: Arc::new(AtomicU64::new(0)) }
    }

    /// The source of random bits itself.
    #[must_use]
    pub fn random(&self) -> &(dyn SecureRandom + Send + Sync) {
        &*self.random
    }

    /// A new identifier, later than all before it.
    ///
    /// # Errors
    /// [`RandomnessError`] when there are no random bits.
    pub fn next(&self, now: Timestamp) -> Result<Uuid, RandomnessError> {
        let micros = u64::try_from(now.unix_micros()).unwrap_or(0);
        let moment = micros / 1000 * 4096 + micros % 1000 * 4096 / 1000;
        let claim = |last: u64| Some(moment.max(last + 1));
        let last = match self.last.fetch_update(Ordering::Relaxed, Ordering::Relaxed, claim) {
            Ok(last) | Err(last) => last,
        };
        let unique = moment.max(last + 1);
        let mut bytes = [0; 10];
        self.random.fill(&mut bytes).map_err(|_| RandomnessError)?;
        let below_a_millisecond = u16::try_from(unique % 4096).unwrap_or(0).to_be_bytes();
        bytes[..2].copy_from_slice(&below_a_millisecond);
        Ok(Builder::from_unix_timestamp_millis(unique / 4096, &bytes).into_uuid())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cryptopay_domain::SessionId;

    #[test]
    fn identifiers_increase_even_when_the_clock_stands_still_or_goes_back() {
        let ids = IdSource::new(Arc::new(ring::rand::SystemRandom::new()));
        let now = Timestamp::from_unix_micros(1_700_000_000_123_456);
        let mut made: Vec<SessionId> = (0..10_000).map(|_| SessionId(ids.next(now).unwrap())).collect();
        made.push(SessionId(ids.next(Timestamp::from_unix_seconds(1)).unwrap()));
        assert!(made.windows(2).all(|pair| pair[0].to_string() < pair[1].to_string()));
        assert_eq!(made[0].0.get_version_num(), 7);
        assert_eq!(made[0].0.get_timestamp().unwrap().to_unix().0, 1_700_000_000);
    }
}
