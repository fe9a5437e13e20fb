//! What counting requests costs: the processor time of a `verify`, and the memory of many addresses.

use std::net::Ipv4Addr;

use anyhow::{Result, ensure};
use serde_json::json;

use super::verifying::Verifying;
use crate::bench::{Bench, progress};
use crate::http_client::{Connection, post};
use crate::redis::Redis;
use crate::report::Row;
use crate::sample::Sample;
use crate::server::{Server, readiness};
use crate::statistics::median;

/// In process: so much of the `verify`, and so many microseconds beside.
const LOCAL_BAR: (f64, f64) = (0.05, 0.5);
const SHARED_BAR: f64 = 0.40;
/// Counted in full, and never reached.
const PLENTY: &str = "1000000/1";
const ADDRESSES: u32 = 20_000;
const MEMORY_BAR: f64 = 32.0;

/// What the limits cost a `verify`, counted in process and in Redis, against none at all.
pub(crate) async fn measure_time(bench: &Bench) -> Result<Vec<Row>> {
    let directory = bench.fresh_directory()?;
    let redis = Redis::start(directory.path()).await?;
    let limits = [("CRYPTOPAY_RATE_LIMIT_ADDRESS", PLENTY), ("CRYPTOPAY_RATE_LIMIT_CREDENTIAL", PLENTY)];
    let without = Verifying::start(bench, &[("CRYPTOPAY_RATE_LIMITS", "off")]).await?;
    let local = Verifying::start(bench, &limits).await?;
    let shared = [&limits[..], &[("CRYPTOPAY_REDIS_URL", redis.url())]].concat();
    let shared = Verifying::start(bench, &shared).await?;

    let (mut quiet, mut in_process, mut in_redis, mut of_redis) = (vec![], vec![], vec![], vec![]);
    for pair in 0..2 * bench.pairs() {
        quiet.push(without.load(bench).await?.micros_per_request());
        in_process.push(local.load(bench).await?.micros_per_request());
        let before = redis.tree().processor_time()?;
        let sample = shared.load(bench).await?;
        in_redis.push(sample.micros_per_request());
        let spent = redis.tree().processor_time()?.saturating_sub(before);
        of_redis.push(Sample { processor: spent, ..sample }.micros_per_request());
        progress(format_args!(
            "round {}: {:.2} µs without, {:.2} in process, {:.2} with Redis, whose own are {:.2}",
            pair + 1,
            quiet[pair],
            in_process[pair],
            in_redis[pair],
            of_redis[pair],
        ));
    }
    // Of neighbours in time, since the machine is not the same all along.
    let added = |ours: &[f64]| median(ours.iter().zip(&quiet).map(|(ours, quiet)| ours - quiet));
    let share = |ours: &[f64]| median(ours.iter().zip(&quiet).map(|(ours, quiet)| ours / quiet - 1.0));
    let beside = format!("without limits: {:.2} µs", median(quiet.iter().copied()));
    let allowed = LOCAL_BAR.0 * median(quiet.iter().copied()) + LOCAL_BAR.1;
    Ok(vec![
        Row {
            what: "processor time of a `verify` with rate limits, in process".to_owned(),
            measured: format!("{:.2} µs", median(in_process.iter().copied())),
            beside: beside.clone(),
            verdict: format!("{:+.2} µs", added(&in_process)),
            bar: format!("≤ 5 % + 0.5 µs = {allowed:.2} µs"),
            decided_by: "processor time".to_owned(),
            passed: Some(added(&in_process) <= allowed),
        },
        Row {
            what: "the same, with Redis on loopback".to_owned(),
            measured: format!(
                "{:.2} µs, beside {:.2} µs of Redis' own",
                median(in_redis.iter().copied()),
                median(of_redis)
            ),
            beside,
            verdict: format!("{:+.0} %", 100.0 * share(&in_redis)),
            bar: format!("≤ {:.0} %", 100.0 * SHARED_BAR),
            decided_by: "processor time".to_owned(),
            passed: Some(share(&in_redis) <= SHARED_BAR),
        },
    ])
}

/// The memory that counts of many addresses take.
pub(crate) async fn measure_memory(bench: &Bench) -> Result<Vec<Row>> {
    let directory = bench.fresh_directory()?;
    let settings = [
        ("CRYPTOPAY_TRUSTED_PROXIES", "127.0.0.1"),
        // Nothing recovers, and is forgotten, before it is looked at.
        ("CRYPTOPAY_RATE_LIMIT_ADDRESS", "100/86400"),
        ("CRYPTOPAY_RATE_LIMIT_LOGIN", "100/86400"),
    ];
    let server = Server::start_with(&bench.program, directory.path(), None, &settings, &readiness()).await?;
    let mut connection = Connection::open(server.address).await?;
    // What serving takes anyhow is there before it begins: as many requests of few addresses.
    for number in 0..ADDRESSES {
        refused_login(&mut connection, number % 1024).await?;
    }
    let before = server.memory()?.resident;
    for number in 0..ADDRESSES {
        refused_login(&mut connection, number).await?;
    }
    let after = server.memory()?.resident;
    #[expect(clippy::cast_precision_loss, reason = "memory is far below 2^52 bytes")]
    let [before, grown] =
        [before, after.saturating_sub(before)].map(|bytes| bytes as f64 / f64::from(1 << 20));
    Ok(vec![Row {
        what: format!("what limits know of {ADDRESSES} addresses, each under two of them"),
        measured: format!("{grown:.1} MiB"),
        beside: format!("the server before: {before:.1} MiB"),
        verdict: format!("{grown:.1} MiB"),
        bar: format!("< {MEMORY_BAR:.0} MiB"),
        decided_by: "`VmRSS`".to_owned(),
        passed: Some(grown < MEMORY_BAR),
    }])
}

/// A login that is counted, under the limit of all requests and that of logins, and refused before it costs a hash.
async fn refused_login(connection: &mut Connection, client: u32) -> Result<()> {
    let address = Ipv4Addr::from_bits(Ipv4Addr::new(11, 0, 0, 0).to_bits() + client * 256);
    let request = String::from_utf8(post("/api/auth/login", None, &json!({})))?;
    let forwarded = format!("HTTP/1.1\r\nX-Forwarded-For: {address}\r\n");
    let reply = connection.exchange(request.replacen("HTTP/1.1\r\n", &forwarded, 1).as_bytes()).await?;
    ensure!(reply.status == 400 || reply.status == 429, "answered {}", reply.status);
    Ok(())
}
