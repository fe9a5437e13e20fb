//! Refreshes on SQLite, every one on the disk before it is answered.

use std::time::Duration;

use anyhow::Result;

use crate::bench::{Bench, progress};
use crate::disk::syncs_per_second;
use crate::http_client::Connection;
use crate::load::{Client, Next, sustain};
use crate::merchant::{Tokens, login, refresh, register};
use crate::report::Row;
use crate::sample::Sample;
use crate::server::{Server, readiness};
use crate::statistics::median;

/// Sessions, each over a connection of its own.
const SESSIONS: usize = 64;
/// Refreshes per second that are asked for where the disk can do as many.
const BAR: f64 = 1500.0;
const WARM_UP: Duration = Duration::from_millis(500);

/// A session that is refreshed in a chain.
struct Chain {
    connection: Connection,
    tokens: Tokens,
}

impl Client for Chain {
    async fn step(&mut self) -> Result<Next> {
        self.tokens = refresh(&mut self.connection, &self.tokens.refresh).await?;
        Ok(Next::More)
    }
}

pub(crate) async fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let directory = bench.fresh_directory()?;
    let server = Server::start(&bench.program, directory.path(), None, &readiness()).await?;
    progress(format_args!("logging in {SESSIONS} times"));
    let mut chains = chains(&server).await?;

    let (mut samples, mut sync_rates) = (Vec::new(), Vec::new());
    for pair in 0..bench.pairs() {
        let (sample, given_back) = sustain(chains, &server.tree(), WARM_UP, bench.span()).await?;
        chains = given_back;
        samples.push(sample);
        sync_rates.push(syncs_per_second(directory.path(), Duration::from_secs(1))?);
        progress(format_args!(
            "pair {}: {:.0}/s; disk {:.0}/s",
            pair + 1,
            sample.per_second(),
            sync_rates[pair]
        ));
    }
    let rate = median(samples.iter().map(Sample::per_second));
    let sync_rate = median(sync_rates);
    let bar = BAR.min(sync_rate);
    Ok(vec![Row {
        what: format!("refresh on SQLite, durable, {SESSIONS} sessions"),
        measured: crate::comparison::Comparison::describe(&samples),
        beside: format!("the disk's `fdatasync` of 4 KiB: {sync_rate:.0}/s"),
        verdict: format!("{rate:.0}/s"),
        bar: format!("≥ {bar:.0}/s"),
        decided_by: "requests/s".to_owned(),
        passed: Some(rate >= bar),
    }])
}

async fn chains(server: &Server) -> Result<Vec<Chain>> {
    let mut connection = Connection::open(server.address).await?;
    register(&mut connection, "merchant").await?;
    let mut tokens = Vec::with_capacity(SESSIONS);
    for _ in 0..SESSIONS {
        tokens.push(login(&mut connection, "merchant").await?);
    }
    // Opened when they are needed: the server closes connections on which no request comes.
    let connections = server.connect(SESSIONS).await?;
    Ok(connections.into_iter().zip(tokens).map(|(connection, tokens)| Chain { connection, tokens }).collect())
}
