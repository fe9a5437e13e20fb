//! `cryptopay`: the server and its command line. Wiring alone; the rules live in the crates.

use std::process::ExitCode;

mod api_keys;
mod cli;
mod doctor;
mod encryption_keys;
mod key_settings;
mod migrate;
mod options;
mod rate_limits;
mod serve;
mod sessions;
mod settings;
mod signing_keys;
mod start;
mod telemetry;
mod tls;
mod users;
mod webhooks;

use cli::Command;

/// Returns the 128 MiB of a password hash to the system, and hands it out again without faulting it in
/// page by page.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = cli::parse();
    // Whatever we write, keys and the database first of all, is nobody else's business.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let outcome = match cli.command.unwrap_or(Command::Serve) {
        Command::Serve => serve::run(&cli.options),
        Command::Migrate => migrate::run(&cli.options),
        Command::SigningKey { command } => signing_keys::run(&cli.options, &command),
        Command::EncryptionKey { command } => encryption_keys::run(&cli.options, &command),
        Command::User { command } => users::run(&cli.options, command),
        Command::ApiKey { command } => api_keys::run(&cli.options, &command),
        Command::Session { command } => sessions::run(&cli.options, &command),
        Command::Openapi => cli::print(&cryptopay_http::openapi_document()),
        Command::Doctor => return doctor::run(&cli.options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            cli::print_error(&error);
            ExitCode::FAILURE
        }
    }
}
