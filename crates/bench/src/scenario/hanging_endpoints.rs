//! How long endpoints that answer wait for an event while as many others never answer.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::bench::{Bench, progress};
use crate::database::{Backend, Database};
use crate::http_client::Connection;
use crate::machine::raise_open_file_limit;
use crate::merchant::{create_endpoint, order_request, register};
use crate::population::settle;
use crate::receiver::{HangingReceiver, Receiver};
use crate::report::Row;
use crate::sample::Sample;
use crate::server::{Server, readiness};
use crate::statistics::percentile;

/// Merchants, each with a host of its own.
const MERCHANTS: u32 = 500;
const MERCHANTS_QUICK: u32 = 50;
/// Endpoints of each: one half answers, the other half hangs.
const ENDPOINTS_EACH: u32 = 20;
/// Events a second, each for one endpoint: as many as one process has to deliver.
const EVENTS_PER_SECOND: u32 = 1000;
/// How often each endpoint is sent an event. The first time nobody knows who will hang; later, first attempts have
/// those that hung for company, and the retries.
const ROUNDS: usize = 3;
const CONNECTIONS: usize = 16;
const BAR: Duration = Duration::from_secs(2);
/// Sockets of one process: a connection to each endpoint, those of the server, and room.
const OPEN_FILES: u64 = 12_000;

pub(crate) async fn measure(bench: &Bench, backend: Backend) -> Result<Vec<Row>> {
    raise_open_file_limit(OPEN_FILES)?;
    let size = if bench.quick { MERCHANTS_QUICK } else { MERCHANTS };
    let rounds = if bench.quick { 1 } else { ROUNDS };
    let directory = bench.fresh_directory()?;
    let database = Database::create(backend, "hanging_endpoints").await?;
    // Makes the tables and one merchant the proper way.
    let server = Server::start(&bench.program, directory.path(), database.url(), &readiness()).await?;
    register(&mut Connection::open(server.address).await?, "merchant").await?;
    server.stop().await?;
    let permissions = "create_payments,manage_webhooks";
    let merchants = settle(&database, directory.path(), size, permissions).await?;
    let keys: Vec<String> = merchants.into_iter().map(|merchant| merchant.key).collect();

    let server = Server::start(&bench.program, directory.path(), database.url(), &readiness()).await?;
    let receivers = Receivers::start(size).await?;
    progress(format_args!("making {} endpoints", size * ENDPOINTS_EACH));
    let secrets = create_endpoints(&server, &receivers, &keys).await?;
    let tree = database.tree(&server);
    let (mut waits, mut samples) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let (began, processor) = (Instant::now(), tree.processor_time()?);
        let mut of_round = receivers.measure_round(&server, &keys).await?;
        let sample = Sample {
            requests: of_round.len() as u64,
            wall: began.elapsed(),
            processor: tree.processor_time()?.saturating_sub(processor),
        };
        progress(format_args!(
            "round {}: p99 {:.1?}, median {:.1?}, slowest {:.1?}, {:.0} % busy",
            round + 1,
            percentile(&mut of_round, 99),
            percentile(&mut of_round, 50),
            percentile(&mut of_round, 100),
            100.0 * sample.busy(),
        ));
        waits.extend(of_round);
        samples.push(sample);
    }
    receivers.answering.verify_sample(|endpoint| secrets.get(endpoint as usize).cloned())?;
    Ok(vec![row(backend, size, &mut waits, Sample::sum(&samples).busy())])
}

fn row(backend: Backend, merchants: u32, waits: &mut [Duration], busy: f64) -> Row {
    let p99 = percentile(waits, 99);
    Row {
        what: format!(
            "event to delivery, {backend:?}, {} endpoints of {merchants} merchants, half of them hang, \
             {EVENTS_PER_SECOND} events/s",
            merchants * ENDPOINTS_EACH,
        ),
        measured: format!("p99 {p99:.1?} over {} deliveries", waits.len()),
        beside: format!(
            "median {:.1?}, slowest {:.1?}; {:.0} % busy",
            percentile(waits, 50),
            percentile(waits, 100),
            100.0 * busy,
        ),
        verdict: format!("{p99:.1?}"),
        bar: format!("< {BAR:.0?}"),
        decided_by: "p99 of the half that answers".to_owned(),
        passed: Some(p99 < BAR),
    }
}

/// Both kinds, on the merchants' hosts.
struct Receivers {
    answering: Receiver,
    hanging: HangingReceiver,
}

impl Receivers {
    async fn start(merchants: u32) -> Result<Self> {
        let hosts: Vec<Ipv4Addr> = (0..merchants).map(host_of).collect();
        Ok(Self { answering: Receiver::start(&hosts).await?, hanging: HangingReceiver::start(&hosts).await? })
    }

    fn url(&self, endpoint: u32) -> String {
        let host = host_of(endpoint / ENDPOINTS_EACH);
        if answers(endpoint) { self.answering.url(host, endpoint) } else { self.hanging.url(host, endpoint) }
    }

    /// Lets every merchant make one order. How long each delivery took, counted from before the request that
    /// made the order: a little more than from the commit, which nobody outside sees.
    async fn measure_round(&self, server: &Server, keys: &[String]) -> Result<Vec<Duration>> {
        let known = self.answering.arrived();
        let every = Duration::from_secs(1) * ENDPOINTS_EACH / EVENTS_PER_SECOND;
        let began = make_orders(server.connect(CONNECTIONS).await?, keys, every).await?;
        let answering = began.len() * ENDPOINTS_EACH as usize / 2;
        self.answering.wait_for(known + answering).await?;
        let arrivals = self.answering.arrivals_after(known);
        let wait_of = |(endpoint, at): (u32, Instant)| {
            let began = began.get((endpoint / ENDPOINTS_EACH) as usize).context("nobody's endpoint")?;
            Ok(at - *began)
        };
        arrivals.into_iter().map(|arrival| wait_of((arrival.endpoint, arrival.at))).collect()
    }
}

/// Every other endpoint answers.
fn answers(endpoint: u32) -> bool {
    endpoint.is_multiple_of(2)
}

/// On loopback, every 127.x.y.z is this machine.
fn host_of(merchant: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(Ipv4Addr::new(127, 2, 0, 1).to_bits() + merchant)
}

/// The endpoints' secrets, in the order of their numbers.
async fn create_endpoints(server: &Server, receivers: &Receivers, keys: &[String]) -> Result<Vec<String>> {
    let mut connection = Connection::open(server.address).await?;
    let mut secrets = Vec::new();
    for (endpoint, key) in (0..).zip(keys.iter().flat_map(|key| [key; ENDPOINTS_EACH as usize])) {
        secrets.push(create_endpoint(&mut connection, key, &receivers.url(endpoint)).await?);
    }
    Ok(secrets)
}

/// Makes an order with each key, one every so often, whether or not earlier ones have been answered; says when each
/// was begun. One that is late because its connection still waits counts from when it was due.
async fn make_orders(connections: Vec<Connection>, keys: &[String], every: Duration) -> Result<Vec<Instant>> {
    let lanes = connections.len();
    let start = Instant::now();
    let mut crowd = JoinSet::new();
    for (lane, mut connection) in connections.into_iter().enumerate() {
        let numbers = (lane..keys.len()).step_by(lanes);
        let requests: Vec<_> = numbers.map(|number| (number, order_request(&keys[number]))).collect();
        crowd.spawn(async move {
            let mut began = Vec::new();
            for (number, request) in requests {
                let due = start + every * u32::try_from(number)?;
                let late = Instant::now() > due;
                sleep_until(due).await;
                began.push((number, if late { due } else { Instant::now() }));
                connection.succeed(&request).await?;
            }
            anyhow::Ok(began)
        });
    }
    let mut all = Vec::new();
    while let Some(began) = crowd.join_next().await {
        all.extend(began??);
    }
    all.sort_unstable();
    Ok(all.into_iter().map(|(_, began)| began).collect())
}
