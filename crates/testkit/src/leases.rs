//! Time that passes for the webhooks of a program that runs by the real clock.

use std::time::Duration;

use cryptopay_auth::{Clock as _, SystemClock};
use cryptopay_store::delivery::Lane;
use cryptopay_store::delivery::LeaseRequest;

use crate::server::Installation;

/// Longer than any lease, and than the first pauses between retries.
const HOUR: Duration = Duration::from_secs(3600);

impl Installation {
    /// Makes every delivery that is under way or to be retried within the hour due at once, as if that hour had
    /// passed: it is leased by somebody who comes an hour later, under leases that end now.
    pub async fn make_deliveries_due(&self) {
        let (store, now) = (self.store(), SystemClock.now());
        for lane in [Lane::Prompt, Lane::Patient] {
            let request = LeaseRequest {
                lane,
                now: now.after(HOUR),
                leased_until: now,
                limit: 1000,
                per_endpoint: 1000,
                except: Vec::new(),
                after: None,
            };
            store.lease_deliveries(request).await.expect("the store leases");
        }
    }
}
