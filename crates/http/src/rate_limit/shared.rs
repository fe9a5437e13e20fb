//! The limiter that several replicas share through Redis or Valkey.
//!
//! Each worker thread has a connection of its own, and all decisions that its requests wait for at a moment go there
//! together, as one atomic script; no thread waits for another, nor a decision for the answer to earlier ones.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{RedisResult, Script};
use tokio::sync::{Mutex, oneshot};

use super::bucket::Bucket;
use super::few::Few;
use super::limit::RateLimits;
use super::redis_server::{DEADLINE, RedisAway, RedisServer, in_time, script, try_out};
use super::standing::{Exhausted, Standing};

/// How many decisions one script may make, so that no other client of the server waits long for it.
const TOGETHER: usize = 64;

/// How long to wait between two looks at a server that was away.
const BETWEEN_LOOKS: Duration = Duration::from_millis(500);

/// What all worker threads know of the server.
pub(crate) struct Shared {
    server: RedisServer,
    limits: RateLimits,
    script: Script,
    deadline: Duration,
    is_away: AtomicBool,
}

/// One worker thread's way there.
pub(crate) struct Link {
    shared: Arc<Shared>,
    /// What every key begins with.
    prefix: String,
    /// What is not on its way yet.
    waiting: RefCell<Vec<Asked>>,
    connection: RefCell<Option<Connected>>,
    /// How many connections this thread has had.
    made: Cell<u64>,
    /// Held by whoever connects: the others wait for that connection rather than making their own.
    connecting: Mutex<()>,
}

/// A decision that a request waits for.
struct Asked {
    buckets: Few<Bucket>,
    answer: oneshot::Sender<Few<i64>>,
}

/// A connection, and which of all this thread has had it is.
#[derive(Clone)]
struct Connected {
    number: u64,
    connection: MultiplexedConnection,
}

impl Shared {
    pub(crate) fn new(server: RedisServer, limits: RateLimits) -> Self {
        Self { server, limits, script: script(), deadline: DEADLINE, is_away: AtomicBool::new(false) }
    }
}

impl Link {
    /// Of this thread, for a server whose keys begin with `prefix`.
    pub(crate) fn new(shared: Arc<Shared>, prefix: String) -> Self {
        Self {
            shared,
            prefix,
            waiting: RefCell::default(),
            connection: RefCell::default(),
            made: Cell::default(),
            connecting: Mutex::default(),
        }
    }

    /// Whether the server did not answer when it was last asked.
    pub(crate) fn is_away(&self) -> bool {
        self.shared.is_away.load(Ordering::Relaxed)
    }

    /// As [`super::local::Local::decide`]; `None` when the server is away, which is said in the log once.
    pub(crate) async fn decide(
        self: &Rc<Self>,
        buckets: &Few<Bucket>,
        standings: &mut Few<Standing>,
    ) -> Option<Result<(), Exhausted>> {
        let (answer, answered) = oneshot::channel();
        self.ask(Asked { buckets: *buckets, answer });
        // The first bucket is always looked at: no number is no answer.
        let micros = answered.await.ok().filter(|micros| !micros.is_empty())?;
        Some(buckets.iter().zip(micros.iter()).try_for_each(|(bucket, micros)| {
            let (standing, verdict) = self.read(bucket, *micros);
            standings.push(standing);
            verdict
        }))
    }

    /// Adds to what waits. The first sends for all who have come by the time it runs, and the first that is too many for
    /// it for those after them.
    fn ask(self: &Rc<Self>, asked: Asked) {
        let mut waiting = self.waiting.borrow_mut();
        if waiting.len().is_multiple_of(TOGETHER) {
            actix_web::rt::spawn(Rc::clone(self).send());
        }
        waiting.push(asked);
    }

    /// Has decided what has waited longest. Whoever gets no answer is told that the server is away by the end of its
    /// channel.
    async fn send(self: Rc<Self>) {
        let asked: Vec<Asked> = {
            let mut waiting = self.waiting.borrow_mut();
            let together = waiting.len().min(TOGETHER);
            waiting.drain(..together).collect()
        };
        match in_time(self.shared.deadline, self.decide_all(&asked)).await {
            Ok(micros) => {
                let mut micros = micros.into_iter();
                for Asked { buckets, answer } in asked {
                    let mut own = Few::new();
                    micros
                        .by_ref()
                        .take(buckets.iter().count())
                        .filter(|micros| *micros != 0)
                        .for_each(|micros| own.push(micros));
                    // Whoever has gone meanwhile has been counted.
                    let _ = answer.send(own);
                }
            }
            Err(away) => self.lose(&away),
        }
    }

    /// Asks once more over a new connection where an old one turns out to have ended: a server that was away for a
    /// moment, or that closes idle connections, is not away.
    async fn decide_all(&self, asked: &[Asked]) -> RedisResult<Vec<i64>> {
        if let Some(old) = self.connected() {
            match self.decide_over(old.connection, asked).await {
                Err(error) if error.is_io_error() => self.forget(old.number),
                answer => return answer,
            }
        }
        self.decide_over(self.connect().await?, asked).await
    }

    async fn decide_over(
        &self,
        mut connection: MultiplexedConnection,
        asked: &[Asked],
    ) -> RedisResult<Vec<i64>> {
        let mut call = self.shared.script.prepare_invoke();
        for Asked { buckets, .. } in asked {
            for (place, bucket) in buckets.iter().enumerate() {
                let limit = self.shared.limits.of(bucket.policy);
                let interval = u64::try_from(limit.interval().as_micros()).unwrap_or(u64::MAX);
                call.key(format!("{}:{}:{}", self.prefix, bucket.policy.name(), bucket.subject))
                    .arg(place)
                    .arg(interval)
                    .arg(limit.requests().get());
            }
        }
        call.invoke_async(&mut connection).await
    }

    fn read(&self, bucket: &Bucket, micros: i64) -> (Standing, Result<(), Exhausted>) {
        let time = Duration::from_micros(micros.unsigned_abs());
        if micros < 0 {
            (Standing::exhausted(bucket.policy, time), Err(Exhausted { retry_after: time }))
        } else {
            let limit = self.shared.limits.of(bucket.policy);
            (Standing::until_full(bucket.policy, limit, time), Ok(()))
        }
    }

    /// A connection, new unless somebody else has made one meanwhile.
    async fn connect(&self) -> RedisResult<MultiplexedConnection> {
        let _connecting = self.connecting.lock().await;
        if let Some(Connected { connection, .. }) = self.connected() {
            return Ok(connection);
        }
        let connection = self.shared.server.connect().await?;
        let number = self.made.get() + 1;
        self.made.set(number);
        self.connection.replace(Some(Connected { number, connection: connection.clone() }));
        Ok(connection)
    }

    fn connected(&self) -> Option<Connected> {
        self.connection.borrow().clone()
    }

    /// Gives a connection up, unless another has taken its place.
    fn forget(&self, number: u64) {
        self.connection.borrow_mut().take_if(|connected| connected.number == number);
    }

    /// Gives the connection up. The first to notice says so, and looks out for the server's return.
    fn lose(self: &Rc<Self>, why: &RedisAway) {
        self.connection.replace(None);
        if self.shared.is_away.swap(true, Ordering::Relaxed) {
            return;
        }
        tracing::warn!(
            server = %self.shared.server,
            error = %why,
            "Redis is away: each replica counts by itself until it is back"
        );
        let link = Rc::clone(self);
        actix_web::rt::spawn(async move {
            loop {
                tokio::time::sleep(BETWEEN_LOOKS).await;
                let looked =
                    in_time(link.shared.deadline, async { try_out(&mut link.connect().await?).await }).await;
                if looked.is_ok() {
                    break;
                }
                link.connection.replace(None);
            }
            link.shared.is_away.store(false, Ordering::Relaxed);
            tracing::info!(server = %link.shared.server, "Redis is back: the replicas count together again");
        });
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.server.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use cryptopay_domain::ClientAddress;
    use cryptopay_testkit::TestRedis;
    use futures_util::future::join_all;
    use tokio::task::LocalSet;

    use super::super::bucket::Subject;
    use super::super::policy::Policy;
    use super::*;

    fn link(redis: &TestRedis, limits: RateLimits) -> Rc<Link> {
        let server = RedisServer::parse(&redis.url()).unwrap();
        // However busy the machine is.
        let shared = Shared { deadline: Duration::from_secs(60), ..Shared::new(server, limits) };
        Rc::new(Link::new(Arc::new(shared), "test".to_owned()))
    }

    /// What is left under each policy that was looked at, and whether the request is let in.
    async fn decide(link: &Rc<Link>, client: u8, policies: &[Policy]) -> (Vec<u32>, bool) {
        let subject = Subject::Client(ClientAddress::new([192, 0, 2, client].into()).network());
        let mut buckets = Few::new();
        policies.iter().for_each(|&policy| buckets.push(Bucket { policy, subject }));
        let mut standings = Few::new();
        let verdict = link.decide(&buckets, &mut standings).await.expect("an answer");
        (standings.iter().map(|standing| standing.remaining).collect(), verdict.is_ok())
    }

    #[tokio::test]
    async fn what_waits_at_a_moment_is_decided_in_order_by_as_few_scripts_as_may_be() {
        let redis = TestRedis::start();
        let limits = RateLimits {
            address: "100/86400".parse().unwrap(),
            login: "1000/86400".parse().unwrap(),
            ..RateLimits::default()
        };
        let link = link(&redis, limits);
        let together = u32::try_from(TOGETHER).unwrap();
        LocalSet::new()
            .run_until(async {
                // The first script of a server is sent twice: it does not know it.
                decide(&link, 0, &[Policy::Address]).await;
                for (client, requests) in [(1, 1), (2, together), (3, together + 1), (4, 3 * together + 8)] {
                    let before = redis.scripts_run();
                    // Every second request is a login.
                    let policies = |number: u32| match number % 2 {
                        0 => &[Policy::Address][..],
                        _ => &[Policy::Address, Policy::Login],
                    };
                    let asked = (0..requests).map(|number| decide(&link, client, policies(number)));
                    let answers = join_all(asked).await;
                    let scripts = redis.scripts_run() - before;
                    assert_eq!(scripts, requests.div_ceil(together) as usize, "{requests} requests");
                    for (number, answer) in (0..requests).zip(answers) {
                        let address_left = 100_u32.saturating_sub(number + 1);
                        let expected = match (number < 100, number % 2) {
                            // What comes after a limit that is used up is not looked at.
                            (false, _) => (vec![0], false),
                            (true, 0) => (vec![address_left], true),
                            (true, _) => (vec![address_left, 1_000 - number.div_ceil(2)], true),
                        };
                        assert_eq!(answer, expected, "request {number} of {requests}");
                    }
                }
            })
            .await;
    }
}
