//! The delivery workers: what is due is leased, posted, and recorded.
//!
//! One task decides ([`dispatcher`]), each exchange is a task of its own ([`exchange`]), and one task records
//! what came of them, many at a time ([`recorder`]). What this process wrote itself comes by the short way
//! ([`handover`]); what others wrote, and retries, by looking at the store. Any number of processes may do this on one database: a
//! lease belongs to one of them, and a lease whose holder is gone runs out.

mod admission;
mod attempt_counter;
mod dispatcher;
mod exchange;
mod handover;
mod open_files;
mod recorder;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::core::Payments;

pub(crate) use attempt_counter::AttemptCounter;
pub use attempt_counter::Attempts;
pub(crate) use handover::{Handover, Turn};
pub use open_files::raise_open_file_limit;

/// The running workers. Dropping them lets them stop by themselves, unwaited for.
pub struct DeliveryWorkers {
    stop: watch::Sender<bool>,
    dispatcher: JoinHandle<()>,
}

impl Payments {
    /// Starts to deliver what is due, on the current runtime.
    #[must_use]
    pub fn run_deliveries(&self) -> DeliveryWorkers {
        let (stop, stopped) = watch::channel(false);
        let dispatcher = tokio::spawn(dispatcher::run(self.clone(), stopped));
        DeliveryWorkers { stop, dispatcher }
    }
}

impl DeliveryWorkers {
    /// Stops politely: nothing new is begun, what is under way may end within
    /// [`PaymentsConfig::stop_within`](crate::PaymentsConfig::stop_within), what came of it is recorded within
    /// as long again, and the leases of the rest go back, for another replica to take at once.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        if self.dispatcher.await.is_err() {
            tracing::error!("the delivery workers ended by a fault; their leases run out by themselves");
        }
    }
}
