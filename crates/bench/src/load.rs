//! The load generator: many clients on one thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Result, bail};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use crate::http_client::Connection;
use crate::process_tree::ProcessTree;
use crate::sample::Sample;

/// What a client does after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// It sends another one.
    More,
    /// It has nothing more to ask.
    Done,
}

/// Somebody who sends one request after the other. A wrong answer is an error, and ends the measurement.
pub(crate) trait Client: Send + 'static {
    /// Sends a request and waits for its answer.
    fn step(&mut self) -> impl Future<Output = Result<Next>> + Send;
}

/// Sends the same request again and again.
#[derive(Debug)]
pub(crate) struct Repeating {
    pub(crate) connection: Connection,
    pub(crate) request: Vec<u8>,
}

impl Client for Repeating {
    async fn step(&mut self) -> Result<Next> {
        self.connection.succeed(&self.request).await?;
        Ok(Next::More)
    }
}

/// Keeps all clients going, each sending as soon as it was answered; measures for `span` after `warm_up`. The
/// clients are given back.
pub(crate) async fn sustain<C: Client>(
    clients: Vec<C>,
    tree: &ProcessTree,
    warm_up: Duration,
    span: Duration,
) -> Result<(Sample, Vec<C>)> {
    let mut crowd = Crowd::start(clients);
    crowd.run_for(warm_up).await?;
    let before = Snapshot::take(&crowd, tree)?;
    crowd.run_for(span).await?;
    let after = Snapshot::take(&crowd, tree)?;
    Ok((after.since(&before), crowd.stop().await?))
}

/// Lets each client send all it has.
pub(crate) async fn exhaust<C: Client>(clients: Vec<C>, tree: &ProcessTree) -> Result<Sample> {
    let mut crowd = Crowd::start(clients);
    let before = Snapshot::take(&crowd, tree)?;
    crowd.join().await?;
    Ok(Snapshot::take(&crowd, tree)?.since(&before))
}

/// Sends `request` at a fixed rate, whether or not earlier ones have been answered, and tells how long each
/// took. One that is late because its connection still waits counts from when it was due.
pub(crate) async fn at_rate(
    connections: Vec<Connection>,
    request: &[u8],
    per_second: u32,
    span: Duration,
) -> Result<Vec<Duration>> {
    let lanes = u32::try_from(connections.len())?;
    let every = Duration::from_secs(1) / per_second;
    let start = Instant::now();
    let mut crowd = JoinSet::new();
    for (lane, mut connection) in (0..lanes).zip(connections) {
        let request = request.to_vec();
        crowd.spawn(async move {
            let mut latencies = Vec::new();
            let mut due = start + every * lane;
            while due < start + span {
                // A timer that fires late is the load generator's fault, a connection in use the server's.
                let began = if Instant::now() > due {
                    due
                } else {
                    sleep_until(due).await;
                    Instant::now()
                };
                connection.succeed(&request).await?;
                latencies.push(began.elapsed());
                due += every * lanes;
            }
            anyhow::Ok(latencies)
        });
    }
    let mut all = Vec::new();
    while let Some(latencies) = crowd.join_next().await {
        all.extend(latencies??);
    }
    Ok(all)
}

/// Clients at work in the background.
pub(crate) struct Crowd<C> {
    tasks: JoinSet<Result<C>>,
    answered: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

impl<C: Client> Crowd<C> {
    /// Sets them to work.
    pub(crate) fn start(clients: Vec<C>) -> Self {
        let answered = Arc::new(AtomicU64::new(0));
        let stop = Arc::new(AtomicBool::new(false));
        let mut tasks = JoinSet::new();
        for mut client in clients {
            let (answered, stop) = (Arc::clone(&answered), Arc::clone(&stop));
            tasks.spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let next = client.step().await?;
                    answered.fetch_add(1, Ordering::Relaxed);
                    if next == Next::Done {
                        break;
                    }
                }
                Ok(client)
            });
        }
        Self { tasks, answered, stop }
    }

    /// Lets each finish the request it is in.
    pub(crate) async fn stop(mut self) -> Result<Vec<C>> {
        self.stop.store(true, Ordering::Relaxed);
        self.join().await
    }

    async fn run_for(&mut self, span: Duration) -> Result<()> {
        tokio::select! {
            () = sleep(span) => Ok(()),
            Some(ended) = self.tasks.join_next() => match ended? {
                Ok(_) => bail!("a client had nothing more to ask before the measurement was over"),
                Err(error) => Err(error),
            },
        }
    }

    async fn join(&mut self) -> Result<Vec<C>> {
        let mut clients = Vec::new();
        while let Some(client) = self.tasks.join_next().await {
            clients.push(client??);
        }
        Ok(clients)
    }
}

struct Snapshot {
    answered: u64,
    at: Instant,
    processor: Duration,
}

impl Snapshot {
    fn take<C>(crowd: &Crowd<C>, tree: &ProcessTree) -> Result<Self> {
        Ok(Self {
            answered: crowd.answered.load(Ordering::Relaxed),
            at: Instant::now(),
            processor: tree.processor_time()?,
        })
    }

    fn since(&self, earlier: &Self) -> Sample {
        Sample {
            requests: self.answered - earlier.answered,
            wall: self.at - earlier.at,
            processor: self.processor.saturating_sub(earlier.processor),
        }
    }
}
