//! `cryptopay doctor`: checks everything that a start depends on, and says how to mend what is wrong.

use std::fs::{self, OpenOptions};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use cryptopay_auth::{Clock as _, EncryptionKeySource, KeySource, Store, SystemClock};
use tokio::runtime::Handle;

use crate::options::Options;
use crate::settings::Settings;
use crate::{cli, start, telemetry};

/// A clock that differs from the database's by more makes tokens come too early or end too late.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(30);

/// What to look at when the database cannot be used.
const DATABASE_HINT: &str = "CRYPTOPAY_DATABASE_URL has to name a database that runs, or a file that can be \
                             written to, and the right user and password";

/// What to look at when Redis cannot be used.
const REDIS_HINT: &str = "CRYPTOPAY_REDIS_URL has to name a Redis or Valkey that runs, and a user who may run scripts, \
                          read and write; until then each replica limits by itself";

/// Prints one line for each check; fails when one of them does.
pub(crate) fn run(options: &Options) -> ExitCode {
    telemetry::for_command();
    let mut report = Report { healthy: true };
    let settings = report.check("configuration", || {
        let settings = Settings::from_options(options)?;
        let summary = format!("{}, issuer {}", settings.auth.environment, settings.auth.issuer);
        Ok((summary, settings))
    });
    report.check("data directory", || Ok((check_data_dir(&options.data_dir)?, ())));
    report.check("listen address", || Ok((check_free(options.listen)?, ())));
    if let Some(address) = options.metrics_listen {
        report.check("metrics address", || Ok((check_free(address)?, ())));
    }
    if let Some(settings) = settings {
        report.check("signing keys", || Ok((check_signing_keys(&settings.keys.signing)?, ())));
        report.check("encryption keys", || Ok((check_encryption_keys(&settings.keys.encryption)?, ())));
        match start::runtime() {
            Ok(runtime) => runtime.block_on(async {
                check_redis(&mut report, &settings).await;
                check_database(&mut report, &settings).await;
            }),
            Err(error) => report.failed("runtime", &error),
        }
    }
    if report.healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

struct Report {
    healthy: bool,
}

impl Report {
    fn check<T>(&mut self, name: &str, check: impl FnOnce() -> anyhow::Result<(String, T)>) -> Option<T> {
        match check() {
            Ok((summary, value)) => {
                self.passed(name, &summary);
                Some(value)
            }
            Err(error) => {
                self.failed(name, &error);
                None
            }
        }
    }

    fn passed(&self, name: &str, summary: &str) {
        let _ = cli::print(&format!("ok    {name}: {summary}"));
    }

    fn failed(&mut self, name: &str, error: &anyhow::Error) {
        self.healthy = false;
        let _ = cli::print(&format!("FAIL  {name}: {error:#}"));
    }
}

fn check_free(address: SocketAddr) -> anyhow::Result<String> {
    let listener = TcpListener::bind(address)
        .with_context(|| format!("{address} is in use, perhaps by a running server"))?;
    Ok(format!("{} is free", listener.local_addr()?))
}

fn check_data_dir(path: &Path) -> anyhow::Result<String> {
    use std::os::unix::fs::PermissionsExt as _;
    start::make_data_dir(path)?;
    let probe = path.join(format!(".doctor-{}", std::process::id()));
    OpenOptions::new().create_new(true).write(true).open(&probe).with_context(|| {
        format!("{} cannot be written to; give it to the user who serves", path.display())
    })?;
    fs::remove_file(&probe)?;
    let mode = fs::metadata(path)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        bail!("{} is open to others (mode {mode:o}); run: chmod 700 {}", path.display(), path.display());
    }
    Ok(format!("{} is writable, for its owner alone", path.display()))
}

fn check_signing_keys(source: &KeySource) -> anyhow::Result<String> {
    let now = SystemClock.now();
    Ok(match source.find(now)? {
        Some(ring) => format!("{} signs, {} in all", ring.active(now).kid(), ring.list(now).len()),
        None => "will be made at first start".to_owned(),
    })
}

fn check_encryption_keys(source: &EncryptionKeySource) -> anyhow::Result<String> {
    Ok(match source.find()? {
        Some(ring) => format!("{} seals, {} in all", ring.active().id(), ring.keys().len()),
        None => "will be made at first start".to_owned(),
    })
}

async fn check_redis(report: &mut Report, settings: &Settings) {
    let Some(server) = &settings.redis else { return };
    match server.check().await {
        Ok(()) => report.passed("redis", &format!("{server} answers")),
        Err(error) => report.failed("redis", &anyhow::Error::from(error).context(REDIS_HINT)),
    }
}

async fn check_database(report: &mut Report, settings: &Settings) {
    let database = &settings.database;
    let store = match Store::open(database, settings.store, Handle::current()) {
        Ok(store) => store,
        Err(error) => return report.failed("database", &anyhow::Error::from(error).context(DATABASE_HINT)),
    };
    match store.ping().await {
        Ok(()) => report.passed("database", &format!("{database} answers")),
        Err(error) => {
            return report.failed("database", &anyhow::Error::from(error).context(DATABASE_HINT));
        }
    }
    match store.server_clock().await {
        Ok(theirs) => {
            let ours = SystemClock.now();
            let theirs = theirs.unwrap_or(ours);
            let apart = ours.since(theirs).max(theirs.since(ours));
            if apart > CLOCK_TOLERANCE {
                let message = "the clock differs from the database's by";
                report.failed("clock", &anyhow::anyhow!("{message} {} s; synchronise both", apart.as_secs()));
            } else {
                report.passed("clock", &ours.to_string());
            }
        }
        Err(error) => report.failed("clock", &error.into()),
    }
    match Store::pending_migrations(database).await {
        Ok(pending) if pending.is_empty() => report.passed("schema", "up to date"),
        Ok(pending) => {
            report.passed("schema", &format!("{} migrations will run at the next start", pending.len()));
            return;
        }
        Err(error) => return report.failed("schema", &error.into()),
    }
    check_installation(report, settings, &store).await;
}

async fn check_installation(report: &mut Report, settings: &Settings, store: &Store) {
    let found = match store.find_installation().await {
        Ok(Some(found)) => found,
        Ok(None) => return report.passed("installation", "will be written at first start"),
        Err(error) => return report.failed("installation", &error.into()),
    };
    let mut wrong = Vec::new();
    if found.environment != settings.auth.environment {
        wrong.push(format!("the database belongs to the {} environment", found.environment));
    }
    if found.issuer != settings.auth.issuer {
        wrong.push(format!(
            "the database issues tokens as {}; start once with --accept-issuer-change",
            found.issuer
        ));
    }
    // Of keys that are there and cannot be used, their own check has told.
    let signing = settings.keys.signing.find(SystemClock.now());
    if signing.is_ok_and(|ring| ring.is_none_or(|ring| ring.find(&found.signing_key).is_none())) {
        wrong.push(format!(
            "the replicas sign with {}, which this configuration does not hold; use the same keys everywhere",
            found.signing_key
        ));
    }
    if let (Some(sealing), Ok(ring)) = (&found.encryption_key, settings.keys.encryption.find())
        && ring.is_none_or(|ring| !ring.contains(sealing))
    {
        wrong.push(format!(
            "secrets are sealed with {sealing}, which this configuration does not hold; use the same encryption \
             keys everywhere"
        ));
    }
    if wrong.is_empty() {
        report.passed("installation", &format!("{}, {}", found.environment, found.issuer));
    } else {
        report.failed("installation", &anyhow::anyhow!(wrong.join("; ")));
    }
}
