//! `cryptopay session`.

use crate::cli::{self, SessionCommand};
use crate::options::Options;
use crate::start;

/// Ends all sessions.
pub(crate) fn run(options: &Options, command: &SessionCommand) -> anyhow::Result<()> {
    let SessionCommand::EndAll = command;
    let ended = start::with_auth(options, async |auth| Ok(auth.end_all_sessions().await?))?;
    cli::print(&format!("{ended} sessions ended; refresh tokens issued before now are void"))
}
