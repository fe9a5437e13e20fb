//! What the core does besides answering: tailing the revocation feed, watching the key file, writing uses in
//! batches, and clearing away what is over.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use cryptopay_store::revocation::FeedPosition;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::core::{Auth, Inner, KeySource};

/// How often the feed is looked at. A look is one indexed query; LISTEN/NOTIFY would only shave off what is
/// left of this, at the price of a lock that serialises commits on PostgreSQL.
const FEED_EVERY: Duration = Duration::from_millis(200);
/// How often the key file is looked at.
const KEYS_EVERY: Duration = Duration::from_millis(500);
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

async fn watch_keys(inner: Arc<Inner>) {
    let mut recorded = inner.ring.load().active(inner.clock.now()).kid().clone();
    let mut seen = None;
    let mut healthy = true;
    let mut ticks = interval(KEYS_EVERY);
    loop {
        ticks.tick().await;
        if let KeySource::File(file) = &inner.keys {
            let current = file.fingerprint().ok();
            // A file that could not be used is tried again: its mode is mended without another fingerprint.
            if current != seen || !healthy {
                match file.load(inner.clock.now()) {
                    Ok(ring) => {
                        inner.ring.store(Arc::new(ring));
                        seen = current;
                        healthy = true;
                    }
                    // The ring we have stays: a damaged file must not log everyone out. Said once.
                    Err(error) => {
                        if healthy {
                            tracing::error!(%error, "the signing keys cannot be read again");
                        }
                        healthy = false;
                    }
                }
            }
        }
        let active = inner.ring.load().active(inner.clock.now()).kid().clone();
        if active != recorded && inner.store.set_signing_key(active.as_str().to_owned()).await.is_ok() {
            tracing::info!(kid = active.as_str(), "tokens are signed with another key from now on");
            recorded = active;
        }
    }
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
