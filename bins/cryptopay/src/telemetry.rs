//! Logs: for people on a terminal, JSON elsewhere.

use std::io::IsTerminal as _;

use cryptopay_http::JsonLines;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::JsonFields;

use crate::options::{LogFormat, Options};

/// Logs of the server, to standard output.
pub(crate) fn for_server(options: &Options) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&options.log)
        .map_err(|error| anyhow::anyhow!("CRYPTOPAY_LOG cannot be used: {error}"))?;
    let json = match options.log_format {
        LogFormat::Auto => !std::io::stdout().is_terminal(),
        LogFormat::Text => false,
        LogFormat::Json => true,
    };
    let builder = tracing_subscriber::fmt().with_env_filter(filter);
    if json {
        builder.fmt_fields(JsonFields::new()).event_format(JsonLines).init();
    } else {
        builder.with_ansi(std::io::stdout().is_terminal()).init();
    }
    Ok(())
}

/// Warnings of a command, to standard error: its result alone goes to standard output.
pub(crate) fn for_command() {
    let filter = EnvFilter::new("warn");
    // A second command in one process keeps the first one's logs.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
}
