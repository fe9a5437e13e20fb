//! What the payments core is told at start.

use std::time::Duration;

use cryptopay_webhook::RetryPlan;

/// Settings of the payments core. Where webhooks may go is a matter of the transport's resolver.
#[derive(Clone, Debug)]
pub struct PaymentsConfig {
    /// When failed deliveries are tried again, and until when.
    pub retry: RetryPlan,
    /// How many exchanges one process has under way at most; fewer when the limit of open files is low.
    pub in_flight: usize,
    /// How often the store is asked for retries that have come due and for what other replicas wrote.
    pub look_every: Duration,
    /// How long [`DeliveryWorkers::stop`](crate::DeliveryWorkers::stop) waits for exchanges under way. What is
    /// cut off then is sent again, by whoever is there.
    pub stop_within: Duration,
}

impl Default for PaymentsConfig {
    /// 8192 exchanges at once, a look every 250 ms, 5 s for a stop, retries for three days.
    fn default() -> Self {
        Self {
            retry: RetryPlan::default(),
            in_flight: 8192,
            look_every: Duration::from_millis(250),
            stop_within: Duration::from_secs(5),
        }
    }
}
