//! The command line.

use std::io::Write as _;

use clap::builder::Resettable;
use clap::{Arg, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::options::Options;

/// Merchant authentication for CryptoPay: accounts, tokens, API keys and permissions.
#[derive(Parser, Debug)]
#[command(name = "cryptopay", version, about, max_term_width = 100)]
pub(crate) struct Cli {
    /// What to do; `serve` when absent.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) options: Options,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Serve the HTTP API (the default).
    Serve,
    /// Bring the database schema up to date, and say what was done.
    Migrate,
    /// The keys that sign access tokens.
    SigningKey {
        #[command(subcommand)]
        command: SigningKeyCommand,
    },
    /// The keys that seal secrets in the database, such as those of webhook endpoints.
    EncryptionKey {
        #[command(subcommand)]
        command: EncryptionKeyCommand,
    },
    /// Merchants' accounts.
    User {
        #[command(subcommand)]
        command: UserCommand,
    },
    /// API keys of any merchant.
    ApiKey {
        #[command(subcommand)]
        command: ApiKeyCommand,
    },
    /// Login sessions of all merchants.
    Session {
        #[command(subcommand)]
        command: SessionCommand,
    },
    /// Print the OpenAPI document.
    Openapi,
    /// Check configuration, database, clock and keys, and say how to mend what is wrong.
    Doctor,
}

#[derive(Subcommand, Debug)]
pub(crate) enum SigningKeyCommand {
    /// Make a new key. It is published now and signs from five minutes on; nobody is logged out.
    Rotate,
    /// Withdraw a key at once: every token it signed, and every session whose refresh token it
    /// authenticates, stops working. A new key takes the place of an active one.
    Revoke {
        /// The key's identifier, as `list` shows it.
        kid: String,
    },
    /// Show the keys and what each is for.
    List,
}

#[derive(Subcommand, Debug)]
pub(crate) enum EncryptionKeyCommand {
    /// Make a new key, which seals from now on. Older keys stay, since what they sealed has to open.
    Rotate,
    /// Seal anew with the first key what older keys sealed, so that these can be taken away.
    Reseal,
    /// Show the keys and what each is for.
    List,
}

#[derive(Subcommand, Debug)]
pub(crate) enum UserCommand {
    /// Register a merchant. The password is asked for, or read from standard input.
    Create {
        /// The username.
        #[arg(long)]
        username: String,
        /// The e-mail address.
        #[arg(long)]
        email: String,
        /// The shop's name.
        #[arg(long)]
        shop_name: String,
    },
    /// Disable an account: its sessions end, and its API keys open nothing.
    Disable {
        /// The username.
        username: String,
    },
    /// Enable a disabled account: its API keys work again.
    Enable {
        /// The username.
        username: String,
    },
    /// List the accounts.
    List,
}

#[derive(Subcommand, Debug)]
pub(crate) enum ApiKeyCommand {
    /// List a merchant's keys, without the keys themselves.
    List {
        /// The merchant's username.
        username: String,
    },
    /// Revoke a key and all keys under it.
    Revoke {
        /// The key's identifier, as `list` shows it.
        id: String,
    },
}

#[derive(Subcommand, Debug)]
pub(crate) enum SessionCommand {
    /// End every session of every merchant and void every refresh token: run it after restoring a backup.
    EndAll,
}

/// Reads command line and environment; leaves the process when it is asked for help or cannot be understood.
///
/// A variable that is empty counts as absent: that is how many tools that start containers write it.
pub(crate) fn parse() -> Cli {
    let is_empty = |arg: &Arg| arg.get_env().and_then(std::env::var_os).is_some_and(|value| value.is_empty());
    let command =
        Cli::command().mut_args(|arg| if is_empty(&arg) { arg.env(Resettable::Reset) } else { arg });
    Cli::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| error.exit())
}

/// Prints a result to standard output.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        // Whoever reads has seen enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

/// Prints what went wrong, cause by cause, to standard error.
pub(crate) fn print_error(error: &anyhow::Error) {
    // Nothing is left to do if even this fails.
    let _ = writeln!(std::io::stderr(), "error: {error:#}");
}
