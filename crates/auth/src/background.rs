//! What the core does besides answering: tailing the revocation feed, following the key files, writing uses in
//! batches, and clearing away what is over.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use cryptopay_store::revocation::FeedPosition;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::core::{Auth, Inner};
use crate::key_watch::watch_keys;

/// How often the feed is looked at. A look is one indexed query; LISTEN/NOTIFY would only shave off what is
/// left of this, at the price of a lock that serialises commits on PostgreSQL.
const FEED_EVERY: Duration = Duration::from_millis(200);
/// How often uses are written.
const USES_EVERY: Duration = Duration::from_secs(15);
/// How long an urgent use waits for others to share its write.
const URGENT_AFTER: Duration = Duration::from_millis(20);
/// How often what is over is cleared away.
const CLEAR_EVERY: Duration = Duration::from_secs(60);
/// At most so many pieces are cleared away at a time.
const CLEAR_PIECES: usize = 200;

/// The running background tasks.
pub struct Background {
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
    inner: Arc<Inner>,
}

impl Auth {
    /// Starts the background tasks on the current runtime, which must not be one that request handlers can
    /// stall.
    #[must_use]
    pub fn run_background(&self) -> Background {
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        let inner = &self.inner;
        tasks.spawn(until(stopped.clone(), tail_feed(Arc::clone(inner))));
        tasks.spawn(until(stopped.clone(), watch_keys(Arc::clone(inner))));
        tasks.spawn(until(stopped.clone(), write_uses(Arc::clone(inner))));
        tasks.spawn(until(stopped, clear_away(Arc::clone(inner))));
        Background { stop, tasks, inner: Arc::clone(inner) }
    }

    /// Reads the revocation feed once, so that credentials can be judged.
    ///
    /// # Errors
    /// [`cryptopay_store::StoreError`] when the store does not answer.
    pub async fn load_revocations(&self) -> Result<(), cryptopay_store::StoreError> {
        look(&self.inner, None).await.map(|_| ())
    }

    /// Writes collected uses now instead of with the next batch.
    ///
    /// # Errors
    /// [`cryptopay_store::StoreError`] when the store does not answer.
    pub async fn write_uses(&self) -> Result<(), cryptopay_store::StoreError> {
        self.inner.usage.flush(&self.inner.store).await
    }
}

impl Background {
    /// Stops the tasks and writes the uses that are still waiting.
    pub async fn stop(mut self) {
        let _ = self.stop.send(true);
        while self.tasks.join_next().await.is_some() {}
        if let Err(error) = self.inner.usage.flush(&self.inner.store).await {
            tracing::warn!(%error, "the last uses could not be written");
        }
    }
}

async fn until(mut stopped: watch::Receiver<bool>, task: impl Future<Output = ()>) {
    tokio::select! {
        () = task => {}
        _ = stopped.wait_for(|stop| *stop) => {}
    }
}

async fn tail_feed(inner: Arc<Inner>) {
    let mut position = None;
    let mut healthy = true;
    let mut ticks = interval(FEED_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match look(&inner, position.clone()).await {
            Ok(reached) => {
                if !healthy {
                    tracing::info!("the revocation feed is read again");
                }
                healthy = true;
                position = Some(reached);
            }
            Err(error) => {
                // Said once; meanwhile every credential is checked in the store.
                if healthy {
                    tracing::warn!(%error, "the revocation feed cannot be read");
                }
                healthy = false;
            }
        }
    }
}

async fn look(
    inner: &Inner,
    position: Option<FeedPosition>,
) -> Result<FeedPosition, cryptopay_store::StoreError> {
    let began = Instant::now();
    let read = inner.store.read_revocations(position, inner.clock.now()).await?;
    inner.revocations.apply(&read.revocations);
    inner.generation.store(read.generation, Ordering::Release);
    inner.revocations.looked(began);
    Ok(read.position)
}

async fn write_uses(inner: Arc<Inner>) {
    loop {
        if timeout(USES_EVERY, inner.usage.urgent()).await.is_ok() {
            tokio::time::sleep(URGENT_AFTER).await;
        }
        if let Err(error) = inner.usage.flush(&inner.store).await {
            tracing::warn!(%error, "uses of credentials could not be written");
            tokio::time::sleep(FEED_EVERY).await;
        }
    }
}

async fn clear_away(inner: Arc<Inner>) {
    let mut ticks = interval(CLEAR_EVERY);
    loop {
        ticks.tick().await;
        let now = inner.clock.now();
        inner.revocations.forget(now);
        for _ in 0..CLEAR_PIECES {
            match inner.store.clear_away(now, inner.config.audit_kept).await {
                Ok(cleared) if cleared.total() > 0 => tracing::debug!(?cleared, "cleared away"),
                Ok(_) => break,
                Err(error) => {
                    tracing::warn!(%error, "what is over could not be cleared away");
                    break;
                }
            }
        }
    }
}
