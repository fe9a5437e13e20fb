//! `cryptopay migrate`.

use crate::options::Options;
use crate::settings::Settings;
use crate::{cli, start, telemetry};

/// Brings the schema up to date and says what was done.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    telemetry::for_command();
    let settings = Settings::from_options(options)?;
    let ran = start::runtime()?.block_on(async {
        start::make_data_dir(&options.data_dir)?;
        start::migrate(&settings.database).await
    })?;
    if ran.is_empty() {
        cli::print(&format!("{}: the schema is up to date", settings.database))
    } else {
        cli::print(&format!("{}: ran {}", settings.database, ran.join(", ")))
    }
}
