//! Writes down what came of attempts, many in one transaction.

use std::time::Duration;

use cryptopay_domain::WebhookEndpointId;
use cryptopay_store::StoreError;
use cryptopay_store::delivery::AttemptRecord;
use tokio::sync::mpsc;

use super::exchange::verdict;
use crate::core::Payments;

/// At most so many attempts share a transaction.
const BATCH: usize = 256;
/// How long the first of a batch waits for others: a transaction costs many times what one more attempt in it does.
const GATHERING: Duration = Duration::from_millis(25);
/// How often a batch is written again while the store is out of reach. Then its deliveries' leases have run
/// out, and they are attempted again.
const TRIES: u32 = 30;
/// Between two of these.
const PAUSE: Duration = Duration::from_secs(1);

/// Records until every sender is gone.
pub(super) async fn run(payments: Payments, mut finished: mpsc::Receiver<AttemptRecord>) {
    let mut batch = Vec::with_capacity(BATCH);
    while finished.recv_many(&mut batch, BATCH).await > 0 {
        if batch.len() < BATCH {
            tokio::time::sleep(GATHERING).await;
            batch.extend(std::iter::from_fn(|| finished.try_recv().ok()).take(BATCH - batch.len()));
        }
        record(&payments, std::mem::take(&mut batch)).await;
    }
}

async fn record(payments: &Payments, batch: Vec<AttemptRecord>) {
    match write(payments, batch.clone()).await {
        Ok(disabled) => tell(&disabled),
        // Waited for long enough already.
        Err(error) if error.is_unavailable() => give_up(&batch, &error),
        // One that cannot be written must not take the others along.
        Err(_) => {
            for record in batch {
                match write(payments, vec![record.clone()]).await {
                    Ok(disabled) => tell(&disabled),
                    Err(error) => give_up(&[record], &error),
                }
            }
        }
    }
}

/// Writes a batch, again and again while the store is out of reach: to write an attempt twice changes nothing.
async fn write(payments: &Payments, batch: Vec<AttemptRecord>) -> Result<Vec<WebhookEndpointId>, StoreError> {
    let mut tries = 0;
    loop {
        tries += 1;
        match payments.inner.store().record_attempts(batch.clone(), verdict).await {
            Err(error) if error.is_unavailable() && tries < TRIES => {
                if tries == 1 {
                    tracing::warn!(%error, "attempts to deliver cannot be recorded");
                }
                tokio::time::sleep(PAUSE).await;
            }
            written => return written,
        }
    }
}

fn tell(disabled: &[WebhookEndpointId]) {
    for endpoint in disabled {
        tracing::warn!(%endpoint, "a webhook endpoint was disabled");
    }
}

fn give_up(records: &[AttemptRecord], error: &StoreError) {
    for record in records {
        tracing::error!(%error, delivery = %record.delivery, "an attempt to deliver could not be recorded");
    }
}
