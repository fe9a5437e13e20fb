//! Where deliveries arrive: servers of HTTP/1.1 with keep-alive, in the load generator's process, that cost as
//! little as one can.

mod delivery;

use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use delivery::{Delivery, Kept};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

/// How long the next delivery may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// Of so many deliveries, one is kept to have its signatures verified.
const SAMPLE_EVERY: usize = 64;
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK";

/// A receiver that answers at once and keeps account.
pub(crate) struct Receiver {
    port: u16,
    ledger: Arc<Ledger>,
    _listening: JoinSet<Result<()>>,
}

/// A receiver that accepts connections and never says a word.
pub(crate) struct HangingReceiver {
    port: u16,
    _listening: JoinSet<Result<()>>,
}

/// The first time that an event came to an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arrival {
    /// The endpoint, by the number in its URL.
    pub(crate) endpoint: u32,
    /// When the whole request was there.
    pub(crate) at: Instant,
}

impl Receiver {
    /// A receiver on each of these addresses of this machine, all on one port.
    pub(crate) async fn start(addresses: &[Ipv4Addr]) -> Result<Self> {
        let ledger = Arc::<Ledger>::default();
        let serving = Arc::clone(&ledger);
        let (port, listening) = listen(addresses, move |stream| serve(stream, Arc::clone(&serving))).await?;
        Ok(Self { port, ledger, _listening: listening })
    }

    /// The URL of an endpoint that is received here.
    pub(crate) fn url(&self, address: Ipv4Addr, endpoint: u32) -> String {
        url(address, self.port, endpoint)
    }

    /// How many deliveries have arrived, each event counted once for each endpoint.
    pub(crate) fn arrived(&self) -> usize {
        self.ledger.lock().arrivals.len()
    }

    /// How many requests were more than that: deliveries that came again.
    pub(crate) fn repeated(&self) -> usize {
        let entries = self.ledger.lock();
        entries.requests - entries.arrivals.len()
    }

    /// All arrivals after the first `known`.
    pub(crate) fn arrivals_after(&self, known: usize) -> Vec<Arrival> {
        self.ledger.lock().arrivals[known..].to_vec()
    }

    /// Waits until so many deliveries have arrived, and says when the last of them did.
    pub(crate) async fn wait_for(&self, deliveries: usize) -> Result<Instant> {
        loop {
            let arrived = {
                let mut entries = self.ledger.lock();
                entries.awaited = deliveries;
                if let Some(last) = deliveries.checked_sub(1).and_then(|last| entries.arrivals.get(last)) {
                    return Ok(last.at);
                }
                entries.arrivals.len()
            };
            if timeout(PATIENCE, self.ledger.enough.notified()).await.is_err() && self.arrived() == arrived {
                bail!("{arrived} of {deliveries} deliveries have arrived, and no other within {PATIENCE:?}");
            }
        }
    }

    /// Verifies the deliveries that were kept for it, by both schemes; says how many there were.
    pub(crate) fn verify_sample(&self, secret_of: impl Fn(u32) -> Option<String>) -> Result<usize> {
        let entries = self.ledger.lock();
        for kept in &entries.sample {
            let secret = secret_of(kept.endpoint).context("a delivery to an endpoint that is not ours")?;
            kept.verify(&secret).with_context(|| format!("a delivery to endpoint {}", kept.endpoint))?;
        }
        ensure!(!entries.sample.is_empty(), "no delivery was kept to be verified");
        Ok(entries.sample.len())
    }
}

impl HangingReceiver {
    /// A receiver on each of these addresses of this machine, all on one port.
    pub(crate) async fn start(addresses: &[Ipv4Addr]) -> Result<Self> {
        let (port, listening) = listen(addresses, hang).await?;
        Ok(Self { port, _listening: listening })
    }

    /// The URL of an endpoint that is left hanging here.
    pub(crate) fn url(&self, address: Ipv4Addr, endpoint: u32) -> String {
        url(address, self.port, endpoint)
    }
}

/// What has arrived.
#[derive(Default)]
struct Ledger {
    entries: Mutex<Entries>,
    /// Told when what is awaited is there.
    enough: Notify,
}

#[derive(Default)]
struct Entries {
    requests: usize,
    /// Endpoints, and ids of events that have come to them.
    seen: HashSet<(u32, String)>,
    arrivals: Vec<Arrival>,
    awaited: usize,
    sample: Vec<Kept>,
}

impl Ledger {
    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, delivery: &Delivery<'_>) {
        let at = Instant::now();
        let mut entries = self.lock();
        entries.requests += 1;
        if !entries.seen.insert((delivery.endpoint, delivery.event.to_owned())) {
            return;
        }
        if entries.arrivals.len().is_multiple_of(SAMPLE_EVERY) {
            entries.sample.push(delivery.keep());
        }
        entries.arrivals.push(Arrival { endpoint: delivery.endpoint, at });
        if entries.arrivals.len() == entries.awaited {
            self.enough.notify_one();
        }
    }
}

fn url(address: Ipv4Addr, port: u16, endpoint: u32) -> String {
    format!("http://{address}:{port}/{endpoint}")
}

async fn listen<S: Future<Output = Result<()>> + Send + 'static>(
    addresses: &[Ipv4Addr],
    serve: impl Fn(TcpStream) -> S + Clone + Send + 'static,
) -> Result<(u16, JoinSet<Result<()>>)> {
    let mut port = 0;
    let mut listening = JoinSet::new();
    for address in addresses {
        let listener = TcpListener::bind(SocketAddr::from((*address, port))).await?;
        port = listener.local_addr()?.port();
        let serve = serve.clone();
        listening.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await?;
                connections.spawn(serve(stream));
                while connections.try_join_next().is_some() {}
            }
        });
    }
    Ok((port, listening))
}

async fn serve(mut stream: TcpStream, ledger: Arc<Ledger>) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = Vec::with_capacity(4 << 10);
    while stream.read_buf(&mut buffer).await? > 0 {
        if let Some(delivery) = Delivery::read(&buffer)? {
            ledger.enter(&delivery);
            stream.write_all(ANSWER).await?;
            buffer.clear();
        }
    }
    Ok(())
}

async fn hang(mut stream: TcpStream) -> Result<()> {
    let mut ignored = [0; 4 << 10];
    while stream.read(&mut ignored).await? > 0 {}
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: &[u8] = b"POST /17 HTTP/1.1\r\nwebhook-id: e1\r\nContent-Length: 2\r\n\r\n{}";

    #[tokio::test]
    async fn a_delivery_that_comes_again_is_counted_once() {
        let receiver = Receiver::start(&[Ipv4Addr::LOCALHOST]).await.unwrap();
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, receiver.port)).await.unwrap();
        for _ in 0..2 {
            stream.write_all(REQUEST).await.unwrap();
            let mut answer = vec![0; ANSWER.len()];
            stream.read_exact(&mut answer).await.unwrap();
            assert_eq!(answer, ANSWER);
        }
        receiver.wait_for(1).await.unwrap();
        assert_eq!((receiver.arrived(), receiver.repeated()), (1, 1));
        assert_eq!(receiver.arrivals_after(0)[0].endpoint, 17);
        assert!(receiver.verify_sample(|_| Some("whsec_none".to_owned())).is_err(), "it is not signed");
    }
}
