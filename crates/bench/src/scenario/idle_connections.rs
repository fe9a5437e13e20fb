//! `verify` beside thousands of idle connections and clients that are slow on purpose.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::bench::{Bench, progress};
use crate::http_client::Connection;
use crate::load::at_rate;
use crate::machine::raise_open_file_limit;
use crate::merchant::{create_api_key, login, register, verify_request};
use crate::report::Row;
use crate::server::{Server, readiness};
use crate::statistics::{median, median_duration, percentile};

const IDLE: u32 = 10_000;
const SLOW: u32 = 200;
/// Connections from each address: below what one client may hold.
const EACH: u32 = 500;
const PER_SECOND: u32 = 200;
const CONNECTIONS: usize = 16;
const BAR: f64 = 3.0;
/// What all of them take in one process, and room.
const OPEN_FILES: u64 = 12_000;
/// Until the server has seen off those that have gone.
const SETTLED: Duration = Duration::from_secs(2);
/// Between two bytes of a slow client.
const BETWEEN_BYTES: Duration = Duration::from_secs(1);

pub(crate) async fn measure(bench: &Bench) -> Result<Vec<Row>> {
    raise_open_file_limit(OPEN_FILES)?;
    let directory = bench.fresh_directory()?;
    let server = Server::start(&bench.program, directory.path(), None, &readiness()).await?;
    let mut connection = Connection::open(server.address).await?;
    register(&mut connection, "merchant").await?;
    let access = login(&mut connection, "merchant").await?.access;
    let request = verify_request(&create_api_key(&mut connection, &access, &["read"]).await?);

    let (mut quiet, mut crowded) = (Vec::new(), Vec::new());
    for run in 0..bench.pairs() {
        quiet.push(p99(&server, &request, 2 * bench.span()).await?);
        let idle = idle(server.address).await?;
        let slow = SlowClients::start(server.address);
        sleep(SETTLED).await;
        crowded.push(p99(&server, &request, 2 * bench.span()).await?);
        let ended = slow.ended();
        ensure!(idle.iter().all(is_open), "the server has closed idle connections");
        progress(format_args!(
            "run {}: p99 quiet {:.2?}, beside {IDLE} idle and {SLOW} slow {:.2?} ({ended} slow ones seen off)",
            run + 1,
            quiet[run],
            crowded[run],
        ));
        drop((idle, slow));
        sleep(SETTLED).await;
    }
    let pairs = crowded.iter().zip(&quiet);
    let ratio = median(pairs.map(|(crowded, quiet)| crowded.as_secs_f64() / quiet.as_secs_f64()));
    Ok(vec![Row {
        what: format!(
            "`verify` at {PER_SECOND} requests/s beside {IDLE} idle connections and {SLOW} slow-loris clients, median of p99s"
        ),
        measured: format!("{:.2?}", median_duration(crowded)),
        beside: format!("quiet: {:.2?}", median_duration(quiet)),
        verdict: format!("{ratio:.2}×"),
        bar: format!("≤ {BAR:.0}×"),
        decided_by: "latency, the median over the pairs".to_owned(),
        passed: Some(ratio <= BAR),
    }])
}

async fn p99(server: &Server, request: &[u8], span: Duration) -> Result<Duration> {
    let connections = server.connect(CONNECTIONS).await?;
    let mut latencies = at_rate(connections, request, PER_SECOND, span).await?;
    Ok(percentile(&mut latencies, 99))
}

/// Connections that have been used once.
async fn idle(server: SocketAddr) -> Result<Vec<TcpStream>> {
    let mut connections = Vec::new();
    for number in 0..IDLE {
        let mut connection = open(number, server).await?;
        connection.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await?;
        let mut status = [0; 12];
        connection.read_exact(&mut status).await?;
        ensure!(&status == b"HTTP/1.1 200", "answered {}", String::from_utf8_lossy(&status));
        // The rest has come with it.
        let mut rest = [0; 4096];
        connection.try_read(&mut rest).ok();
        connections.push(connection);
    }
    Ok(connections)
}

/// Whether the server has not ended it.
fn is_open(connection: &TcpStream) -> bool {
    !matches!(connection.try_read(&mut [0; 4096]), Ok(0))
}

/// Each sends a byte of a head now and then, and begins anew when the server has had enough.
struct SlowClients {
    ended: Arc<AtomicUsize>,
    _clients: JoinSet<()>,
}

impl SlowClients {
    fn start(server: SocketAddr) -> Self {
        let ended = Arc::new(AtomicUsize::new(0));
        let mut clients = JoinSet::new();
        for number in 0..SLOW {
            let ended = Arc::clone(&ended);
            clients.spawn(async move {
                loop {
                    // One that cannot be had, or is taken away, is a success of the server's.
                    if let Ok(connection) = open(IDLE + number, server).await {
                        dribble(connection).await;
                    }
                    ended.fetch_add(1, Ordering::Relaxed);
                    sleep(BETWEEN_BYTES).await;
                }
            });
        }
        Self { ended, _clients: clients }
    }

    fn ended(&self) -> usize {
        self.ended.load(Ordering::Relaxed)
    }
}

async fn dribble(mut connection: TcpStream) {
    let head = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: ".iter().chain(std::iter::repeat(&b'x'));
    for byte in head {
        if connection.write_all(&[*byte]).await.is_err() || !is_open(&connection) {
            return;
        }
        sleep(BETWEEN_BYTES).await;
    }
}

/// A connection from an address that few others have: on loopback, every 127.x.y.z is one of this machine.
async fn open(number: u32, server: SocketAddr) -> Result<TcpStream> {
    let address = Ipv4Addr::from_bits(Ipv4Addr::new(127, 0, 1, 1).to_bits() + number / EACH);
    let socket = TcpSocket::new_v4()?;
    socket.bind((address, 0).into())?;
    Ok(socket.connect(server).await?)
}
