//! What the server takes when it does nothing, and how soon it serves.

use std::time::Duration;

use anyhow::Result;
use tokio::time::sleep;

use crate::bench::{Bench, progress};
use crate::http_client::Connection;
use crate::load::exhaust;
use crate::merchant::{LoginClient, create_api_key, login, register, verify_request};
use crate::report::Row;
use crate::scenario::login::WAITING;
use crate::server::{Server, readiness};
use crate::statistics::{median, median_duration};

const START_BAR: Duration = Duration::from_millis(150);
const MEMORY_BAR: f64 = 32.0;
const MEMORY_LATER_BAR: f64 = 64.0;
/// A server is looked at this long after it first served.
const SETTLED: Duration = Duration::from_secs(1);

pub(crate) async fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let directory = bench.fresh_directory()?;
    let server = Server::start(&bench.program, directory.path(), None, &readiness()).await?;
    let mut connection = Connection::open(server.address).await?;
    register(&mut connection, "merchant").await?;
    let access = login(&mut connection, "merchant").await?.access;
    // The first 200 that counts is one of the real job: a key that has to be looked up.
    let first = verify_request(&create_api_key(&mut connection, &access, &["read"]).await?);
    drop(connection);
    server.stop().await?;

    let (mut starts, mut resident) = (Vec::new(), Vec::new());
    for _ in 0..2 * bench.pairs() {
        let server = Server::start(&bench.program, directory.path(), None, &first).await?;
        starts.push(server.start_to_first_200);
        sleep(SETTLED).await;
        resident.push(mebibytes(&server)?);
        server.stop().await?;
    }
    progress(format_args!("starts: {starts:.1?}"));
    let (start, resident) = (median_duration(starts), median(resident));

    let server = Server::start(&bench.program, directory.path(), None, &first).await?;
    let logins = LoginClient::crowd(WAITING, server.address, "merchant", Some(1)).await?;
    exhaust(logins, &server.tree()).await?;
    let at_once = mebibytes(&server)?;
    let pause = Duration::from_secs(if bench.quick { 10 } else { 60 });
    progress(format_args!("waiting {pause:?} after the last login"));
    sleep(pause).await;
    let later = mebibytes(&server)?;
    Ok(vec![
        memory_row("resident memory after start".to_owned(), resident, "–".to_owned(), MEMORY_BAR),
        memory_row(
            format!("resident memory {pause:?} after the last of {WAITING} logins"),
            later,
            format!("right after it: {at_once:.1} MiB"),
            MEMORY_LATER_BAR,
        ),
        Row {
            what: "start to first 200 of `verify`, existing database".to_owned(),
            measured: format!("{start:.1?}"),
            beside: "–".to_owned(),
            verdict: format!("{start:.1?}"),
            bar: format!("≤ {START_BAR:?}"),
            decided_by: "time".to_owned(),
            passed: Some(start <= START_BAR),
        },
    ])
}

fn memory_row(what: String, mebibytes: f64, beside: String, bar: f64) -> Row {
    Row {
        what,
        measured: format!("{mebibytes:.1} MiB"),
        beside,
        verdict: format!("{mebibytes:.1} MiB"),
        bar: format!("≤ {bar:.0} MiB"),
        decided_by: "`VmRSS`".to_owned(),
        passed: Some(mebibytes <= bar),
    }
}

#[expect(clippy::cast_precision_loss, reason = "memory is far below 2^52 bytes")]
fn mebibytes(server: &Server) -> Result<f64> {
    Ok(server.memory()?.resident as f64 / f64::from(1 << 20))
}
