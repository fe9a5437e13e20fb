//! What is measured: a file for each scenario.

mod dashboard_page;
mod delivery;
mod first_sight;
mod footprint;
mod hanging_endpoints;
mod idle_connections;
mod login;
mod metrics;
mod order_creation;
mod rate_limits;
mod refresh;
mod verify;
mod verify_under_logins;
mod verifying;
mod volume;
mod webhook_body;

use anyhow::Result;
use clap::ValueEnum;

use crate::bench::Bench;
use crate::database::Backend;
use crate::report::Row;

/// The scenarios.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// `GET /api/auth/verify/` with access tokens, against the ceiling.
    VerifyToken,
    /// The same with API keys.
    VerifyKey,
    /// The first sight of each token, in process, against the bare signature check.
    FirstSight,
    /// Refreshes on SQLite, against the disk.
    Refresh,
    /// Logins, against scrypt alone.
    Login,
    /// `verify` while logins wait.
    VerifyUnderLogins,
    /// `verify` beside idle connections and slow-loris clients.
    IdleConnections,
    /// What rate limits cost a `verify`, in process and with Redis.
    RateLimits,
    /// The memory of rate limits.
    RateLimitMemory,
    /// What metrics cost a `verify`.
    Metrics,
    /// Pages of the dashboard, over HTTP.
    DashboardPage,
    /// Memory, and the time from start to the first answer.
    Footprint,
    /// A million users and keys against a thousand, on SQLite.
    VolumeSqlite,
    /// The same on PostgreSQL.
    VolumePostgres,
    /// Writing and signing an event, in process.
    WebhookBody,
    /// Payment orders with a webhook endpoint against payment orders without, on SQLite.
    OrderCreationSqlite,
    /// The same on PostgreSQL.
    OrderCreationPostgres,
    /// Deliveries to a fast receiver, on SQLite.
    DeliverySqlite,
    /// The same on PostgreSQL.
    DeliveryPostgres,
    /// Deliveries to those who answer while as many others never do, on SQLite.
    HangingEndpointsSqlite,
    /// The same on PostgreSQL.
    HangingEndpointsPostgres,
}

impl Scenario {
    /// All of them.
    pub(crate) fn all() -> Vec<Self> {
        Self::value_variants().to_vec()
    }

    /// Measures one.
    pub(crate) async fn measure(self, bench: &Bench) -> Result<Vec<Row>> {
        match self {
            Self::VerifyToken => verify::measure(bench, verify::Credential::AccessToken).await,
            Self::VerifyKey => verify::measure(bench, verify::Credential::ApiKey).await,
            Self::FirstSight => first_sight::measure(bench).await,
            Self::Refresh => refresh::measure(bench).await,
            Self::Login => login::measure(bench).await,
            Self::VerifyUnderLogins => verify_under_logins::measure(bench).await,
            Self::IdleConnections => idle_connections::measure(bench).await,
            Self::RateLimits => rate_limits::measure_time(bench).await,
            Self::RateLimitMemory => rate_limits::measure_memory(bench).await,
            Self::Metrics => metrics::measure(bench).await,
            Self::DashboardPage => dashboard_page::measure(bench).await,
            Self::Footprint => footprint::measure(bench).await,
            Self::VolumeSqlite => volume::measure(bench, Backend::Sqlite).await,
            Self::VolumePostgres => volume::measure(bench, Backend::Postgres).await,
            Self::WebhookBody => webhook_body::measure(bench).await,
            Self::OrderCreationSqlite => order_creation::measure(bench, Backend::Sqlite).await,
            Self::OrderCreationPostgres => order_creation::measure(bench, Backend::Postgres).await,
            Self::DeliverySqlite => delivery::measure(bench, Backend::Sqlite).await,
            Self::DeliveryPostgres => delivery::measure(bench, Backend::Postgres).await,
            Self::HangingEndpointsSqlite => hanging_endpoints::measure(bench, Backend::Sqlite).await,
            Self::HangingEndpointsPostgres => hanging_endpoints::measure(bench, Backend::Postgres).await,
        }
    }
}
