//! Putting off what found no turn.

use std::sync::Arc;
use std::time::Duration;

use cryptopay_domain::Timestamp;
use cryptopay_store::delivery::Lane;

use super::{Dispatcher, Lease, Leased, lease_of};

/// When a delivery that found no turn in the prompt lane is due again, in the patient one.
const FROM_PROMPT: Duration = Duration::from_secs(2);
/// When one that found none in the patient lane is due again, at the earliest; at the latest twice as late.
const FROM_PATIENT: Duration = Duration::from_secs(15);
/// What is put off together comes back at so many moments, lest it be in its own way again.
const MOMENTS: usize = 8;

impl Dispatcher {
    /// Puts deliveries back into the patient lane.
    pub(super) fn defer(&mut self, deferred: Vec<Leased>) {
        let now = self.payments.inner.now();
        let (prompt, patient): (Vec<Leased>, Vec<Leased>) =
            deferred.into_iter().partition(|leased| leased.lane == Lane::Prompt);
        self.put_back(prompt.iter().map(lease_of).collect(), now.after(FROM_PROMPT));
        let leases: Vec<Lease> = patient.iter().map(lease_of).collect();
        for group in leases.chunks(leases.len().div_ceil(MOMENTS).max(1)) {
            let jitter = f64::from(self.payments.inner.jitter().unwrap_or_default()) / f64::from(u32::MAX);
            let pause = FROM_PATIENT.mul_f64(1.0 + jitter);
            self.put_back(group.to_vec(), now.after(pause));
        }
    }

    /// Gives leases back as they were: what was leased so is due at once.
    pub(super) fn return_leases(&mut self, leases: Vec<Lease>) {
        if leases.is_empty() {
            return;
        }
        let inner = Arc::clone(&self.payments.inner);
        self.chores.spawn(async move {
            if let Err(error) = inner.store().return_leases(leases).await {
                tracing::warn!(%error, "leases could not be given back");
            }
        });
    }

    fn put_back(&mut self, leases: Vec<Lease>, due_at: Timestamp) {
        if leases.is_empty() {
            return;
        }
        let inner = Arc::clone(&self.payments.inner);
        self.chores.spawn(async move {
            // Leases that do not go back run out.
            if let Err(error) = inner.store().defer_deliveries(leases, due_at).await {
                tracing::warn!(%error, "deliveries could not be put off");
            }
        });
    }
}
