//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::scenario::Scenario;

/// Measures the release build of `cryptopay` against the bars it must reach.
#[derive(Parser, Debug)]
pub(crate) struct Options {
    /// Only these scenarios, comma-separated.
    #[arg(long, value_enum, value_delimiter = ',')]
    pub(crate) only: Vec<Scenario>,

    /// Fewer and shorter runs: a glance, not a result.
    #[arg(long)]
    pub(crate) quick: bool,

    /// Fail when a bar is missed.
    #[arg(long)]
    pub(crate) check: bool,

    /// Where databases and logs are kept while measuring; it should be on a disk, not in memory.
    #[arg(long, default_value = "/var/tmp")]
    pub(crate) directory: PathBuf,

    /// Measure this server instead of building one.
    #[arg(long)]
    pub(crate) program: Option<PathBuf>,

    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Serve the trivial route that everything else is compared with.
    #[command(hide = true)]
    Ceiling(CeilingOptions),
}

#[derive(Args, Debug, Clone)]
pub(crate) struct CeilingOptions {
    /// The address to listen on.
    #[arg(long)]
    pub(crate) listen: SocketAddr,
    /// Headers of each answer.
    #[arg(long)]
    pub(crate) headers: usize,
    /// Bytes of each answer's head.
    #[arg(long)]
    pub(crate) head_bytes: usize,
    /// Bytes of each answer's body.
    #[arg(long)]
    pub(crate) body_bytes: usize,
}
