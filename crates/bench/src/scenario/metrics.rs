//! What metrics cost a `verify`.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, ensure};

use super::verifying::Verifying;
use crate::bench::{Bench, progress};
use crate::http_client::{Connection, get};
use crate::report::Row;
use crate::server::free_address;
use crate::statistics::median;

const BAR: f64 = 0.05;

/// With metrics, which are read after each round, against a server without.
pub(crate) async fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let off = ("CRYPTOPAY_RATE_LIMITS", "off");
    let address = free_address()?;
    let without = Verifying::start(bench, &[off]).await?;
    let with = Verifying::start(bench, &[off, ("CRYPTOPAY_METRICS_LISTEN", &address.to_string())]).await?;
    let (mut bare, mut measured) = (vec![], vec![]);
    for round in 0..2 * bench.pairs() {
        bare.push(without.load(bench).await?.micros_per_request());
        let before = verifies(address).await?;
        let sample = with.load(bench).await?;
        measured.push(sample.micros_per_request());
        ensure!(verifies(address).await? >= before + sample.requests, "requests went by uncounted");
        progress(format_args!(
            "round {}: {:.2} µs without, {:.2} with metrics",
            round + 1,
            bare[round],
            measured[round],
        ));
    }
    // Of neighbours in time, since the machine is not the same all along.
    let share = median(measured.iter().zip(&bare).map(|(measured, bare)| measured / bare - 1.0));
    Ok(vec![Row {
        what: "processor time of a `verify` with metrics".to_owned(),
        measured: format!("{:.2} µs", median(measured)),
        beside: format!("without: {:.2} µs", median(bare)),
        verdict: format!("{:+.1} %", 100.0 * share),
        bar: format!("≤ {:.0} %", 100.0 * BAR),
        decided_by: "processor time".to_owned(),
        passed: Some(share <= BAR),
    }])
}

/// How many successful ones have been counted so far.
async fn verifies(address: SocketAddr) -> Result<u64> {
    const SERIES: &str = "http_server_request_duration_seconds_count{http_request_method=\"GET\",\
                          http_route=\"/api/auth/verify\",http_response_status_code=\"200\"} ";
    let mut connection = Connection::open(address).await?;
    let metrics = connection.succeed(&get("/metrics", "nobody")).await?;
    let metrics = std::str::from_utf8(metrics.body)?;
    let count = metrics.lines().find_map(|line| line.strip_prefix(SERIES));
    count.map_or(Ok(0), |count| count.parse().context("a count that is no number"))
}
