//! Payment orders of a merchant with a webhook endpoint, delivered at the same time, against those of one without.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::Result;

use crate::bench::{Bench, progress};
use crate::comparison::Comparison;
use crate::database::{Backend, Database};
use crate::http_client::Connection;
use crate::load::sustain;
use crate::merchant::{OrderClient, create_api_key, create_endpoint, login, register};
use crate::receiver::Receiver;
use crate::report::Row;
use crate::sample::Sample;
use crate::server::{Server, readiness};
use crate::statistics::median;

const CONNECTIONS: usize = 64;
const BAR: f64 = 0.6;
const WARM_UP: Duration = Duration::from_millis(500);

pub(crate) async fn measure(bench: &Bench, backend: Backend) -> Result<Vec<Row>> {
    let directory = bench.fresh_directory()?;
    let database = Database::create(backend, "order_creation").await?;
    let server = Server::start(&bench.program, directory.path(), database.url(), &readiness()).await?;
    let receiver = Receiver::start(&[Ipv4Addr::LOCALHOST]).await?;
    let without = merchant(&server, "without").await?;
    let with = merchant(&server, "with").await?;
    let url = receiver.url(Ipv4Addr::LOCALHOST, 0);
    let secret = create_endpoint(&mut Connection::open(server.address).await?, &with, &url).await?;

    let (mut comparison, mut delivered) = (Comparison::default(), Vec::new());
    for pair in 0..bench.pairs() {
        let (sample, _) = make_orders(bench, &server, &database, &without).await?;
        comparison.theirs.push(sample);
        let before = receiver.arrived();
        let (sample, made) = make_orders(bench, &server, &database, &with).await?;
        comparison.ours.push(sample);
        delivered.push((receiver.arrived() - before) as f64 / made as f64);
        // The next pair starts from rest; and every order that was answered has been told.
        receiver.wait_for(before + made).await?;
        progress(format_args!(
            "pair {}: with {}; without {}; {:.0} % delivered by its end",
            pair + 1,
            Comparison::describe(&comparison.ours[pair..]),
            Comparison::describe(&comparison.theirs[pair..]),
            100.0 * delivered[pair],
        ));
    }
    let verified = receiver.verify_sample(|_| Some(secret.clone()))?;
    progress(format_args!(
        "{} deliveries; {verified} of {verified} verified are genuine",
        receiver.arrived()
    ));
    Ok(vec![row(backend, &comparison, median(delivered))])
}

/// What merchants see decides, whatever the server spends beside it: orders a second.
fn row(backend: Backend, comparison: &Comparison, delivered: f64) -> Row {
    let pairs = comparison.ours.iter().zip(&comparison.theirs);
    let ratio = median(pairs.map(|(with, without)| with.per_second() / without.per_second()));
    let rate = |samples: &[Sample]| median(samples.iter().map(Sample::per_second));
    Row {
        what: format!("payment orders with a webhook endpoint, {backend:?}, {CONNECTIONS} connections"),
        measured: format!(
            "{:.0}/s, {:.0} % of them delivered meanwhile",
            rate(&comparison.ours),
            100.0 * delivered
        ),
        beside: format!("without an endpoint: {}", Comparison::describe(&comparison.theirs)),
        verdict: format!("{ratio:.2} of those without"),
        bar: format!("≥ {BAR:.1}"),
        decided_by: "orders/s".to_owned(),
        passed: Some(ratio >= BAR),
    }
}

/// A merchant's key that may make orders and endpoints.
async fn merchant(server: &Server, username: &str) -> Result<String> {
    let mut connection = Connection::open(server.address).await?;
    register(&mut connection, username).await?;
    let access = login(&mut connection, username).await?.access;
    create_api_key(&mut connection, &access, &["create_payments", "manage_webhooks"]).await
}

/// What was measured, and how many orders were made in all.
async fn make_orders(
    bench: &Bench,
    server: &Server,
    database: &Database,
    key: &str,
) -> Result<(Sample, usize)> {
    let clients = OrderClient::crowd(server.connect(CONNECTIONS).await?, key, None);
    let (sample, clients) = sustain(clients, &database.tree(server), WARM_UP, bench.span()).await?;
    Ok((sample, clients.iter().map(|client| client.made).sum()))
}
