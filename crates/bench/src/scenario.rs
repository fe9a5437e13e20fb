//! What is measured: a file for each scenario.

mod first_sight;
mod footprint;
mod login;
mod refresh;
mod verify;
mod verify_under_logins;
mod volume;

use anyhow::Result;
use clap::ValueEnum;

use crate::bench::Bench;
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
    /// Memory, and the time from start to the first answer.
    Footprint,
    /// A million users and keys against a thousand, on SQLite.
    VolumeSqlite,
    /// The same on PostgreSQL.
    VolumePostgres,
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
            Self::Footprint => footprint::measure(bench).await,
            Self::VolumeSqlite => volume::measure(bench, volume::Backend::Sqlite).await,
            Self::VolumePostgres => volume::measure(bench, volume::Backend::Postgres).await,
        }
    }
}
