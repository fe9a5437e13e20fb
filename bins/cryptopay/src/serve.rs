//! `cryptopay serve`.

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use actix_web::HttpServer;
use anyhow::Context as _;
use cryptopay_auth::{Auth, DatabaseUrl};
use cryptopay_http::HttpConfig;
use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::options::Options;
use crate::settings::Settings;
use crate::start;
use crate::telemetry;

/// How long requests that are being served at shutdown may take.
const DRAIN_SECONDS: u64 = 30;
/// How long a client may take to send a request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an idle connection is kept.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// Serves until told to stop; then drains requests and writes what is still in memory. Told a second time, it
/// no longer waits for the requests.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    telemetry::for_server(options)?;
    let settings = Settings::from_options(options)?;
    let runtime = start::runtime()?;
    runtime.block_on(serve(options, settings))
}

async fn serve(options: &Options, settings: Settings) -> anyhow::Result<()> {
    let database = settings.database.clone();
    let auth = start::start(settings, &options.data_dir).await?;
    let background = auth.run_background();
    let listener = TcpListener::bind(options.listen).with_context(|| {
        format!("{} cannot be listened on; set CRYPTOPAY_LISTEN to a free address", options.listen)
    })?;
    let address = listener.local_addr()?;

    let config = http_config(options)?;
    let app_auth = auth.clone();
    let mut server = HttpServer::new(move || cryptopay_http::app(app_auth.clone(), config.clone()))
        .client_request_timeout(HEAD_TIMEOUT)
        .keep_alive(KEEP_ALIVE)
        .shutdown_timeout(DRAIN_SECONDS)
        .disable_signals();
    if let Some(workers) = options.workers {
        server = server.workers(usize::from(workers));
    }
    let server = server.listen(listener)?.run();
    let handle = server.handle();
    // Before the banner: whoever has read it may send one.
    let mut signals = Signals::listen().context("signals cannot be received")?;
    let told_twice = async move {
        signals.next().await;
        tracing::info!("stopping: requests are being drained");
        // The order is given at once; that it was carried out shows in the server's own end.
        drop(handle.stop(true));
        signals.next().await;
        tracing::warn!("stopping at once: requests are being dropped");
    };
    greet(&auth, address, &database);
    tokio::select! {
        served = server => served?,
        () = told_twice => {}
    }
    background.stop().await;
    tracing::info!("stopped");
    Ok(())
}

fn http_config(options: &Options) -> anyhow::Result<HttpConfig> {
    let mut instance = [0; 8];
    SystemRandom::new().fill(&mut instance).ok().context("the system's random number generator failed")?;
    let mut config = HttpConfig::new(u64::from_be_bytes(instance));
    config.cors_origins.clone_from(&options.cors_origins);
    config.trusted_proxies.clone_from(&options.trusted_proxies);
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
fn greet(auth: &Auth, address: SocketAddr, database: &DatabaseUrl) {
    let environment = auth.environment();
    tracing::info!(%address, %environment, %database, version = env!("CARGO_PKG_VERSION"), "listening");
    // A server without a terminal runs just as well.
    let _ = write!(
        std::io::stderr(),
        "
  CryptoPay Auth {version}

  listening    http://{address}
  environment  {environment}
  database     {database}

  Try next:
    curl http://{address}/healthz
    curl -X POST http://{address}/api/auth/register -H 'Content-Type: application/json' \\
      -d '{{\"username\": \"your-username\", \"email\": \"your-email@example.com\",
           \"password\": \"your-secure-password\", \"shop_name\": \"Your Business Name\"}}'
    open http://{address}/docs

",
        version = env!("CARGO_PKG_VERSION"),
    );
}
