//! The limiter as one worker thread has it.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::bucket::Bucket;
use super::few::Few;
use super::limit::RateLimits;
use super::local::Local;
use super::shared::Link;
use super::standing::{Exhausted, Standing};

/// How often what has recovered is forgotten.
const BETWEEN_SWEEPS: Duration = Duration::from_secs(10);

/// Decides by itself, or by a link to where several replicas count together.
pub(crate) struct WorkerLimiter {
    limits: RateLimits,
    local: Arc<Local>,
    link: Option<Rc<Link>>,
    is_swept: Cell<bool>,
}

impl WorkerLimiter {
    pub(crate) fn new(limits: RateLimits, local: Arc<Local>, link: Option<Rc<Link>>) -> Self {
        Self { limits, local, link, is_swept: Cell::new(false) }
    }

    /// The limits.
    pub(crate) const fn limits(&self) -> &RateLimits {
        &self.limits
    }

    /// The decision, unless another server has to be asked for it.
    pub(crate) fn decide_at_once(
        &self,
        buckets: &Few<Bucket>,
        standings: &mut Few<Standing>,
    ) -> Option<Result<(), Exhausted>> {
        if self.link.as_ref().is_some_and(|link| !link.is_away()) {
            return None;
        }
        self.keep_swept();
        Some(self.local.decide(buckets, standings))
    }

    /// The decision.
    pub(crate) async fn decide(
        &self,
        buckets: &Few<Bucket>,
        standings: &mut Few<Standing>,
    ) -> Result<(), Exhausted> {
        if buckets.is_empty() {
            return Ok(());
        }
        if let Some(link) = &self.link
            && !link.is_away()
            && let Some(verdict) = link.decide(buckets, standings).await
        {
            return verdict;
        }
        self.keep_swept();
        self.local.decide(buckets, standings)
    }

    /// Begins, with the first request, to forget now and then what has recovered, on a thread that serves nobody.
    fn keep_swept(&self) {
        if self.is_swept.replace(true) {
            return;
        }
        let local = Arc::downgrade(&self.local);
        actix_web::rt::spawn(async move {
            loop {
                tokio::time::sleep(BETWEEN_SWEEPS).await;
                let Some(local) = local.upgrade() else { return };
                drop(tokio::task::spawn_blocking(move || local.sweep()).await);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use cryptopay_domain::ClientAddress;
    use tokio::task::LocalSet;

    use super::super::bucket::Subject;
    use super::super::policy::Policy;
    use super::super::time::Time;
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_has_recovered_is_forgotten_without_being_asked_for() {
        let now = Arc::new(AtomicU64::new(0));
        let told = Arc::clone(&now);
        let time = Time::Told(Arc::new(move || Duration::from_secs(told.load(Ordering::Relaxed))));
        let limits = RateLimits::default();
        let local = Arc::new(Local::new(&limits, time));
        let worker = WorkerLimiter::new(limits, Arc::clone(&local), None);
        let client = ClientAddress::new("192.0.2.1".parse().unwrap()).network();
        let mut buckets = Few::new();
        buckets.push(Bucket { policy: Policy::Address, subject: Subject::Client(client) });
        let serving = async {
            worker.decide_at_once(&buckets, &mut Few::new()).unwrap().unwrap();
            tokio::time::sleep(BETWEEN_SWEEPS * 3).await;
            assert_eq!(local.counted(), 1, "it has not recovered yet");
            now.store(60, Ordering::Relaxed);
            while local.counted() > 0 {
                tokio::time::sleep(BETWEEN_SWEEPS).await;
            }
        };
        LocalSet::new().run_until(serving).await;
    }
}
