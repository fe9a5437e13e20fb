//! `verify` at a modest rate while logins wait: whether hashing holds up requests.

use std::time::Duration;

use anyhow::Result;

use crate::bench::{Bench, progress};
use crate::http_client::Connection;
use crate::load::{Crowd, at_rate};
use crate::merchant::{LoginClient, create_api_key, login, register, verify_request};
use crate::report::Row;
use crate::scenario::login::WAITING;
use crate::server::{Server, readiness};
use crate::statistics::{median_duration, percentile};

const PER_SECOND: u32 = 200;
const CONNECTIONS: usize = 16;
/// What is good enough however quiet it was before.
const FAST_ENOUGH: Duration = Duration::from_millis(5);
/// Until all logins are there.
const GATHERING: Duration = Duration::from_secs(1);

pub(crate) async fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let directory = bench.fresh_directory()?;
    let server = Server::start(&bench.program, directory.path(), None, &readiness()).await?;
    let mut connection = Connection::open(server.address).await?;
    register(&mut connection, "merchant").await?;
    let access = login(&mut connection, "merchant").await?.access;
    let request = verify_request(&create_api_key(&mut connection, &access, &["read"]).await?);

    let (mut quiet, mut loaded) = (Vec::new(), Vec::new());
    for run in 0..bench.pairs() {
        quiet.push(p99(&server, &request, 2 * bench.span()).await?);
        let logins = LoginClient::crowd(WAITING, server.address, "merchant", None).await?;
        let crowd = Crowd::start(logins);
        tokio::time::sleep(GATHERING).await;
        loaded.push(p99(&server, &request, 2 * bench.span()).await?);
        let logins = crowd.stop().await?;
        let succeeded: u64 = logins.iter().map(|login| login.succeeded).sum();
        let refused: u64 = logins.iter().map(|login| login.refused).sum();
        progress(format_args!(
            "run {}: p99 quiet {:.2?}, under logins {:.2?} ({succeeded} logins succeeded, {refused} told to wait)",
            run + 1,
            quiet[run],
            loaded[run],
        ));
    }
    let (quiet, loaded) = (median_duration(quiet), median_duration(loaded));
    let bar = FAST_ENOUGH.max(3 * quiet);
    Ok(vec![Row {
        what: format!("`verify` at {PER_SECOND} requests/s while {WAITING} logins wait, median of p99s"),
        measured: format!("{loaded:.2?}"),
        beside: format!("quiet: {quiet:.2?}"),
        verdict: format!("{loaded:.2?}"),
        bar: format!("≤ {bar:.2?}"),
        decided_by: "latency".to_owned(),
        passed: Some(loaded <= bar),
    }])
}

async fn p99(server: &Server, request: &[u8], span: Duration) -> Result<Duration> {
    let connections = server.connect(CONNECTIONS).await?;
    let mut latencies = at_rate(connections, request, PER_SECOND, span).await?;
    Ok(percentile(&mut latencies, 99))
}
