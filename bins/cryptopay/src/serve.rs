//! `cryptopay serve`.

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use anyhow::Context as _;
use cryptopay_auth::{Auth, DatabaseUrl};
use cryptopay_dashboard::{Dashboard, HOME, Transport};
use cryptopay_domain::Environment;
use cryptopay_http::{HttpConfig, METRICS_PATH, Metrics, RequestIds, ServerConfig, Tls};
use cryptopay_payments::raise_open_file_limit;
use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::runtime::Handle;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;

use crate::options::Options;
use crate::rate_limits;
use crate::settings::Settings;
use crate::start;
use crate::telemetry;
use crate::tls;
use crate::webhooks;

/// How long a browser that has seen the production service insists on HTTPS (RFC 6797).
const INSIST_ON_HTTPS: Duration = Duration::from_secs(365 * 86_400);

/// Serves until told to stop; then drains requests, lets deliveries under way end, and writes what is still in
/// memory. Told a second time, it no longer waits for the requests.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    telemetry::for_server(options)?;
    let settings = Settings::from_options(options)?;
    // Each delivery under way is a connection, and so is each client.
    let open_files = raise_open_file_limit();
    let connections = connections_within(options.connections, open_files);
    let (runtime, delivering) = (start::runtime()?, start::delivery_runtime(&settings.database)?);
    runtime.block_on(serve(options, connections, settings, delivering.handle()))
}

/// At most `wanted` connections of clients, and a quarter of the files for all else: without them nothing could be read
/// from the database any more, and no webhook be sent.
fn connections_within(wanted: u32, open_files: Option<u64>) -> usize {
    let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
    let room = open_files.map_or(usize::MAX, |files| usize::try_from(files / 4 * 3).unwrap_or(usize::MAX));
    if room < wanted {
        tracing::warn!(
            connections = room,
            wanted,
            "the limit of open files has no room for CRYPTOPAY_CONNECTIONS; raise `ulimit -Hn`"
        );
    }
    wanted.min(room).max(1)
}

async fn serve(
    options: &Options,
    connections: usize,
    settings: Settings,
    delivering: &Handle,
) -> anyhow::Result<()> {
    let (database, tls) = (settings.database.clone(), settings.tls.clone());
    let limiter = rate_limits::limiter(&options.limits, settings.redis.clone());
    let auth = start::start(settings, &options.data_dir).await?;
    let payments = webhooks::payments(options, &auth)?;
    let background = auth.run_background();
    let listener = listen(options.listen, "CRYPTOPAY_LISTEN")?;
    let address = listener.local_addr()?;

    let dashboard = Dashboard::new(auth.clone(), payments.clone(), transport(&auth, tls.as_ref()));
    let mut config =
        HttpConfig { rate_limiter: limiter, beside: Some(dashboard.mount()), ..http_config(options)? };
    let mut metrics_address = None;
    if let Some(address) = options.metrics_listen {
        let metrics = Metrics::new(&auth, &payments);
        config.metrics = Some(metrics.clone());
        metrics_address = Some(run_metrics(address, metrics, config.request_ids.clone())?);
    }
    let connections = ServerConfig {
        tls: tls.clone(),
        connections,
        connections_per_client: options.connections_per_client.try_into().unwrap_or(usize::MAX),
        workers: options.workers.map(usize::from),
        ..ServerConfig::default()
    };
    let server = cryptopay_http::serve(listener, auth.clone(), payments.clone(), config, connections)?;
    let handle = server.handle();
    // Before the banner: whoever has read it may send one.
    let mut signals = Signals::listen().context("signals cannot be received")?;
    let deliveries = {
        let _there = delivering.enter();
        payments.run_deliveries()
    };
    let scheme = if tls.is_some() { "https" } else { "http" };
    if let Some(tls) = tls {
        tokio::spawn(tls::keep_fresh(tls));
    }
    let stopping = Notify::new();
    let told_twice = async {
        signals.next().await;
        tracing::info!("stopping: requests are being drained");
        // The order is given at once; that it was carried out shows in the server's own end.
        drop(handle.stop(true));
        stopping.notify_one();
        signals.next().await;
        tracing::warn!("stopping at once: requests are being dropped");
    };
    greet(&auth, scheme, address, metrics_address, &database);
    let requests_end = async {
        let served = tokio::select! {
            served = server => served,
            () = told_twice => Ok(()),
        };
        stopping.notify_one();
        served
    };
    // Both at once: what a request being drained still makes due is delivered by whoever is there next.
    let deliveries_end = async {
        stopping.notified().await;
        deliveries.stop().await;
    };
    let (served, ()) = tokio::join!(requests_end, deliveries_end);
    background.stop().await;
    served?;
    tracing::info!("stopped");
    Ok(())
}

/// Serves metrics until the process ends: how requests are drained is of interest, too.
fn run_metrics(address: SocketAddr, metrics: Metrics, request_ids: RequestIds) -> anyhow::Result<SocketAddr> {
    let listener = listen(address, "CRYPTOPAY_METRICS_LISTEN")?;
    let address = listener.local_addr()?;
    tracing::info!(%address, "metrics are served");
    tokio::spawn(cryptopay_http::serve_metrics(listener, metrics, request_ids)?);
    Ok(address)
}

fn listen(address: SocketAddr, variable: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .with_context(|| format!("{address} cannot be listened on; set {variable} to a free address"))
}

/// How browsers reach the dashboard. Production is reached over HTTPS alone: a proxy ends it where this server does not.
fn transport(auth: &Auth, tls: Option<&Tls>) -> Transport {
    let is_https = auth.environment() == Environment::Production
        || tls.is_some()
        || auth.config().issuer.starts_with("https://");
    if is_https { Transport::Https } else { Transport::Plain }
}

fn http_config(options: &Options) -> anyhow::Result<HttpConfig> {
    let mut instance = [0; 8];
    SystemRandom::new().fill(&mut instance).ok().context("the system's random number generator failed")?;
    let mut config = HttpConfig::new(u64::from_be_bytes(instance));
    config.cors_origins.clone_from(&options.cors_origins);
    config.trusted_proxies.clone_from(&options.trusted_proxies);
    if options.environment == Environment::Production {
        config.strict_transport_security = Some(INSIST_ON_HTTPS);
    }
    Ok(config)
}

/// What tells a server to stop: `kill`, a supervisor, or Ctrl-C.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Says where it listens, what it works on and what to try next, beside the log.
fn greet(
    auth: &Auth,
    scheme: &str,
    address: SocketAddr,
    metrics: Option<SocketAddr>,
    database: &DatabaseUrl,
) {
    let environment = auth.environment();
    let metrics = metrics
        .map_or_else(String::new, |address| format!("  metrics      http://{address}{METRICS_PATH}\n"));
    tracing::info!(%address, %environment, %database, version = env!("CARGO_PKG_VERSION"), "listening");
    // A server without a terminal runs just as well.
    let _ = write!(
        std::io::stderr(),
        "
  CryptoPay Auth {version}

  listening    {scheme}://{address}
  environment  {environment}
  database     {database}
  dashboard    {scheme}://{address}{HOME}
{metrics}
  Try next:
    curl {scheme}://{address}/healthz
    curl -X POST {scheme}://{address}/api/auth/register -H 'Content-Type: application/json' \\
      -d '{{\"username\": \"your-username\", \"email\": \"your-email@example.com\",
           \"password\": \"your-secure-password\", \"shop_name\": \"Your Business Name\"}}'
    open {scheme}://{address}/docs

",
        version = env!("CARGO_PKG_VERSION"),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_a_quarter_of_the_files_to_everything_else() {
        for (wanted, open_files, expected) in [
            (16_384, None, 16_384),
            (16_384, Some(65_536), 16_384),
            (16_384, Some(4096), 3072),
            (1, Some(0), 1),
        ] {
            assert_eq!(connections_within(wanted, open_files), expected, "{wanted} of {open_files:?}");
        }
    }
}
