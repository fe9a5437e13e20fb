//! Deliveries of one process to a receiver that answers at once.

use std::net::Ipv4Addr;

use anyhow::Result;
use tokio::time::Instant;

use crate::bench::{Bench, progress};
use crate::comparison::Comparison;
use crate::database::{Backend, Database};
use crate::http_client::Connection;
use crate::load::exhaust;
use crate::merchant::{OrderClient, create_api_key, create_endpoint, login, register};
use crate::receiver::Receiver;
use crate::report::Row;
use crate::sample::Sample;
use crate::server::{Server, readiness};
use crate::statistics::median;

/// Endpoints of the merchant: as many as one may have.
const ENDPOINTS: u32 = 20;
const CONNECTIONS: usize = 20;
/// Orders that each connection makes in a round; every one is told to every endpoint.
const ORDERS_EACH: usize = 50;
const ORDERS_EACH_QUICK: usize = 10;
const BAR: f64 = 1000.0;

pub(crate) async fn measure(bench: &Bench, backend: Backend) -> Result<Vec<Row>> {
    let directory = bench.fresh_directory()?;
    let database = Database::create(backend, "delivery").await?;
    let server = Server::start(&bench.program, directory.path(), database.url(), &readiness()).await?;
    let receiver = Receiver::start(&[Ipv4Addr::LOCALHOST]).await?;
    let mut connection = Connection::open(server.address).await?;
    register(&mut connection, "merchant").await?;
    let access = login(&mut connection, "merchant").await?.access;
    let key = create_api_key(&mut connection, &access, &["create_payments", "manage_webhooks"]).await?;
    let mut secrets = Vec::new();
    for endpoint in 0..ENDPOINTS {
        let url = receiver.url(Ipv4Addr::LOCALHOST, endpoint);
        secrets.push(create_endpoint(&mut connection, &key, &url).await?);
    }

    let orders_each = if bench.quick { ORDERS_EACH_QUICK } else { ORDERS_EACH };
    let mut samples = Vec::new();
    for round in 0..bench.pairs() {
        let sample = deliver(&server, &database, &receiver, &key, orders_each).await?;
        progress(format_args!("round {}: {}", round + 1, Comparison::describe(&[sample])));
        samples.push(sample);
    }
    let verified = receiver.verify_sample(|endpoint| secrets.get(endpoint as usize).cloned())?;
    let rate = median(samples.iter().map(Sample::per_second));
    Ok(vec![Row {
        what: format!("deliveries to a fast receiver, {backend:?}, {ENDPOINTS} endpoints"),
        measured: Comparison::describe(&samples),
        beside: format!(
            "{} delivered, {} of them twice; all of {verified} signatures right",
            receiver.arrived(),
            receiver.repeated(),
        ),
        verdict: format!("{rate:.0}/s"),
        bar: format!("≥ {BAR:.0}/s"),
        decided_by: "deliveries/s".to_owned(),
        passed: Some(rate >= BAR),
    }])
}

/// Makes orders and measures from the first of them to the last delivery: orders and deliveries share the server.
async fn deliver(
    server: &Server,
    database: &Database,
    receiver: &Receiver,
    key: &str,
    orders_each: usize,
) -> Result<Sample> {
    let tree = database.tree(server);
    let deliveries = CONNECTIONS * orders_each * ENDPOINTS as usize;
    let wanted = receiver.arrived() + deliveries;
    let clients = OrderClient::crowd(server.connect(CONNECTIONS).await?, key, Some(orders_each));
    let (began, processor) = (Instant::now(), tree.processor_time()?);
    exhaust(clients, &tree).await?;
    let ended = receiver.wait_for(wanted).await?;
    Ok(Sample {
        requests: deliveries as u64,
        wall: ended - began,
        processor: tree.processor_time()?.saturating_sub(processor),
    })
}
