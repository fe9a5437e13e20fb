//! What every command that touches the database begins with.

use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use cryptopay_auth::{Auth, DatabaseUrl, Store, SystemClock};
use ring::rand::SystemRandom;
use tokio::runtime::{Handle, Runtime};

use crate::options::Options;
use crate::settings::Settings;

/// The runtime of everything but the request handlers, which actix gives threads of their own.
pub(crate) fn runtime() -> anyhow::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("cryptopay")
        .enable_all()
        .build()
        .context("the runtime cannot be started")
}

/// The runtime of webhook deliveries. Its threads give way: where the processors are busy, requests go first.
///
/// Beside PostgreSQL, deliveries then get a few per cent of them (nice 15, of which Linux makes a weight of 36 beside
/// 1024). On SQLite every write of a group waits while the one writer flushes, which leaves the processor to a delivery;
/// once woken, the writer must not wait for the rest of that one's time slice, milliseconds long whatever the niceness, so
/// deliveries run when nobody else would (`SCHED_IDLE`, sched(7)).
pub(crate) fn delivery_runtime(database: &DatabaseUrl) -> anyhow::Result<Runtime> {
    let give_way: fn() = match database {
        DatabaseUrl::Sqlite(_) => run_when_idle,
        DatabaseUrl::Postgres(_) => run_with_less_weight,
    };
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("deliveries")
        .on_thread_start(give_way)
        .enable_all()
        .build()
        .context("the runtime of deliveries cannot be started")
}

// Where these fail, and on systems other than Linux, the threads are merely equals.

#[cfg(target_os = "linux")]
fn run_when_idle() {
    use thread_priority::{
        NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy, set_thread_priority_and_policy,
        thread_native_id,
    };
    let policy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
    let _ = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, policy);
}

#[cfg(target_os = "linux")]
fn run_with_less_weight() {
    // Of the calling thread alone (sched(7)).
    let _ = rustix::process::nice(15);
}

#[cfg(not(target_os = "linux"))]
const fn run_when_idle() {}

#[cfg(not(target_os = "linux"))]
const fn run_with_less_weight() {}

/// Makes the data directory, brings the schema up to date and starts the auth core.
pub(crate) async fn start(settings: Settings, data_dir: &Path) -> anyhow::Result<Auth> {
    let store = open_store(&settings, data_dir).await?;
    let (clock, random) = (Arc::new(SystemClock), Arc::new(SystemRandom::new()));
    Ok(Auth::start(settings.auth, store, settings.keys, clock, random).await?)
}

/// Makes the data directory, brings the schema up to date and opens the store.
pub(crate) async fn open_store(settings: &Settings, data_dir: &Path) -> anyhow::Result<Store> {
    make_data_dir(data_dir)?;
    let database = &settings.database;
    let ran = migrate(database).await?;
    if !ran.is_empty() {
        tracing::info!(migrations = ran.len(), "the schema was brought up to date");
    }
    Store::open(database, settings.store, Handle::current())
        .with_context(|| format!("{database} cannot be opened"))
}

/// Starts the auth core for one command and runs it.
pub(crate) fn with_auth<T>(
    options: &Options,
    command: impl AsyncFnOnce(Auth) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    crate::telemetry::for_command();
    let settings = Settings::from_options(options)?;
    runtime()?.block_on(async {
        let auth = start(settings, &options.data_dir).await?;
        auth.load_revocations().await?;
        command(auth).await
    })
}

/// Makes the data directory, for its owner alone.
pub(crate) fn make_data_dir(path: &Path) -> anyhow::Result<()> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.with_context(|| {
        format!(
            "the data directory {} cannot be made; set CRYPTOPAY_DATA_DIR to a directory you may write to",
            path.display()
        )
    })
}

/// Brings the schema up to date.
pub(crate) async fn migrate(database: &DatabaseUrl) -> anyhow::Result<Vec<String>> {
    Store::migrate(database).await.with_context(|| {
        format!("{database} cannot be used; `cryptopay doctor` checks everything and says how to mend it")
    })
}
