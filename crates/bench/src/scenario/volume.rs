//! Whether a million users and keys cost more than a thousand.

use std::vec;

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use crate::bench::{Bench, progress};
use crate::database::{Backend, Database};
use crate::http_client::Connection;
use crate::load::{Client, Next, exhaust};
use crate::merchant::{login_request, register, verify_request};
use crate::population::{Inhabitant, settle, strangers};
use crate::report::Row;
use crate::sample::Sample;
use crate::server::{Server, readiness};
use crate::statistics::median;

const SMALL: u32 = 1000;
const LARGE: u32 = 1_000_000;
const CONNECTIONS: usize = 64;
/// Keys that are verified in a round, each for the first time as far as the server remembers.
const KEYS_A_ROUND: usize = 1000;
/// Logins of a round, one after the other.
const LOGINS_A_ROUND: usize = 3;
/// Requests before each round, so that what is measured is a server in the middle of its work: with keys of others
/// where there are enough users, with keys nobody has where there are not.
const WARM_UP: usize = 20_000;
/// So many times as much before the first round of a server that is kept.
const LONG_WARM_UP: usize = 5;
const BAR: f64 = 1.15;

pub(crate) async fn measure(bench: &Bench, backend: Backend) -> Result<Vec<Row>> {
    let mut datasets = [
        Dataset::make(bench, backend, SMALL).await?,
        Dataset::make(bench, backend, if bench.quick { LARGE / 5 } else { LARGE }).await?,
    ];
    let rounds = 2 * bench.pairs();
    for round in 0..rounds {
        for dataset in &mut datasets {
            dataset.measure_verifies(bench, round).await?;
        }
        tell(&format!("round {}: verify", round + 1), &datasets, |dataset| &dataset.verifies);
    }
    // Not in between: each hash sweeps the processor's caches.
    for round in 0..rounds {
        for dataset in &mut datasets {
            dataset.measure_logins(bench, round).await?;
        }
        tell(&format!("round {}: login", round + 1), &datasets, |dataset| &dataset.logins);
    }
    let [small, large] = &datasets;
    Ok(vec![
        row(backend, "`verify`, random keys, each a cache miss", large, small, |dataset| &dataset.verifies),
        row(backend, "login of random users", large, small, |dataset| &dataset.logins),
    ])
}

fn tell(what: &str, datasets: &[Dataset; 2], samples: impl Fn(&Dataset) -> &[Sample]) {
    let [small, large] = datasets
        .each_ref()
        .map(|dataset| samples(dataset).last().map_or(f64::NAN, Sample::micros_per_request));
    progress(format_args!("{what} {small:.0} µs with few, {large:.0} µs with many"));
}

fn row(
    backend: Backend,
    what: &str,
    large: &Dataset,
    small: &Dataset,
    samples: impl Fn(&Dataset) -> &[Sample],
) -> Row {
    let cost = |dataset| median(samples(dataset).iter().map(Sample::micros_per_request));
    let ratio = cost(large) / cost(small);
    Row {
        what: format!("{what}, {backend:?}, {} users and keys", large.inhabitants.len()),
        measured: format!("{:.1} µs", cost(large)),
        beside: format!("with {}: {:.1} µs", small.inhabitants.len(), cost(small)),
        verdict: format!("{ratio:.2}×"),
        bar: format!("≤ {BAR:.2}×"),
        decided_by: "processor time".to_owned(),
        passed: Some(ratio <= BAR),
    }
}

/// A populated database and what was measured on it.
struct Dataset {
    /// The server, kept from round to round if it can be. Dropped before its directory is.
    server: Option<Server>,
    directory: TempDir,
    database: Database,
    inhabitants: Vec<Inhabitant>,
    verifies: Vec<Sample>,
    logins: Vec<Sample>,
}

impl Dataset {
    async fn make(bench: &Bench, backend: Backend, size: u32) -> Result<Self> {
        progress(format_args!("making {size} users and keys on {backend:?}"));
        let directory = bench.fresh_directory()?;
        let database = Database::create(backend, &format!("volume_{size}")).await?;
        // Makes the tables and one merchant the proper way.
        let server = Server::start(&bench.program, directory.path(), database.url(), &readiness()).await?;
        register(&mut Connection::open(server.address).await?, "merchant").await?;
        server.stop().await?;
        let inhabitants = settle(&database, directory.path(), size, "read").await?;
        Ok(Self { directory, database, inhabitants, server: None, verifies: Vec::new(), logins: Vec::new() })
    }

    async fn measure_verifies(&mut self, bench: &Bench, round: usize) -> Result<()> {
        if !self.keeps_server() {
            self.server = None;
        }
        for part in self.warm_up_parts(round) {
            self.warm_up(bench, part).await?;
        }
        let keys = self.chosen(round).iter().map(|inhabitant| verify_request(&inhabitant.key)).collect();
        let sample = self.ask(bench, CONNECTIONS, keys, 200).await?;
        self.verifies.push(sample);
        Ok(())
    }

    async fn measure_logins(&mut self, bench: &Bench, round: usize) -> Result<()> {
        let users = &self.chosen(round)[..LOGINS_A_ROUND];
        let logins = users.iter().map(|inhabitant| login_request(&inhabitant.username)).collect();
        let sample = self.ask(bench, 1, logins, 200).await?;
        self.logins.push(sample);
        Ok(())
    }

    async fn warm_up(&mut self, bench: &Bench, part: usize) -> Result<()> {
        let (keys, answer) = if self.is_small() {
            (strangers(WARM_UP)?, 401)
        } else {
            // From the end of the random order; the rounds that are measured take from its beginning.
            let others = self.inhabitants.iter().rev().skip(part * WARM_UP).take(WARM_UP);
            (others.map(|other| other.key.clone()).collect(), 200)
        };
        let requests = keys.iter().map(|key| verify_request(key)).collect();
        self.ask(bench, CONNECTIONS, requests, answer).await.map(drop)
    }

    /// Asks the server, starting it if need be.
    async fn ask(
        &mut self,
        bench: &Bench,
        connections: usize,
        requests: Vec<Vec<u8>>,
        answer: u16,
    ) -> Result<Sample> {
        let server = match self.server.take() {
            Some(server) => server,
            None => {
                let (directory, database) = (self.directory.path(), self.database.url());
                Server::start(&bench.program, directory, database, &readiness()).await?
            }
        };
        let tree = self.database.tree(&server);
        let sample = exhaust(Asking::crowd(&server, connections, requests, answer).await?, &tree).await?;
        self.server = Some(server);
        Ok(sample)
    }

    /// Who is asked about in a round.
    fn chosen(&self, round: usize) -> &[Inhabitant] {
        let start = round * KEYS_A_ROUND % self.inhabitants.len();
        &self.inhabitants[start..start + KEYS_A_ROUND]
    }

    /// Whether there are only as many users as a round measures.
    fn is_small(&self) -> bool {
        self.inhabitants.len() == KEYS_A_ROUND
    }

    /// Whether the server stays between rounds. One with few users has to forget their keys. SQLite is as fast
    /// soon after the start as ever, and a fresh server has no uses of earlier rounds to write. A connection to
    /// PostgreSQL, though, maps the shared buffers page by page, and a short-lived one would measure that.
    fn keeps_server(&self) -> bool {
        self.database.url().is_some() && !self.is_small()
    }

    /// Which parts of the others warm up the server for a round.
    fn warm_up_parts(&self, round: usize) -> std::ops::Range<usize> {
        match (self.keeps_server(), round) {
            (false, _) => round..round + 1,
            (true, 0) => 0..LONG_WARM_UP,
            (true, _) => round + LONG_WARM_UP - 1..round + LONG_WARM_UP,
        }
    }
}

/// Sends each of its requests once.
struct Asking {
    connection: Connection,
    requests: vec::IntoIter<Vec<u8>>,
    expected: u16,
}

impl Asking {
    /// Deals the requests out to so many connections.
    async fn crowd(
        server: &Server,
        connections: usize,
        requests: Vec<Vec<u8>>,
        expected: u16,
    ) -> Result<Vec<Self>> {
        let share = requests.len().div_ceil(connections);
        let mut crowd = Vec::new();
        for share in requests.chunks(share) {
            let connection = Connection::open(server.address).await?;
            crowd.push(Self { connection, requests: Vec::from(share).into_iter(), expected });
        }
        Ok(crowd)
    }
}

impl Client for Asking {
    async fn step(&mut self) -> Result<Next> {
        let request = self.requests.next().context("a client without requests")?;
        let reply = self.connection.exchange(&request).await?;
        ensure!(
            reply.status == self.expected,
            "answered {} instead of {}: {}",
            reply.status,
            self.expected,
            String::from_utf8_lossy(reply.body),
        );
        Ok(if self.requests.len() == 0 { Next::Done } else { Next::More })
    }
}
