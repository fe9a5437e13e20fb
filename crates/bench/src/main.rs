//! `just bench`: measures the release build of `cryptopay` against the bars it must reach.
//!
//! The server is a child process on one core, the load generator has another one. Nothing is used of the
//! server but what it promises its callers: environment variables, HTTP, and for the scenario with a million
//! users the tables of its database. What is compared is measured in the same run, in alternating pairs.
//!
//! | to read about | see |
//! |---|---|
//! | what is measured, and each bar | `scenario.rs`, a file for each scenario |
//! | whether requests per second or processor time decides | `comparison.rs` |
//! | the load generator | `load.rs`, `http_client.rs` |
//! | where deliveries arrive | `receiver.rs` |
//! | what counts as the server's processor time | `process_tree.rs` |
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the table and the progress are its output")]

mod bench;
mod ceiling;
mod comparison;
mod database;
mod disk;
mod http_client;
mod load;
mod machine;
mod merchant;
mod options;
mod population;
mod process_tree;
mod receiver;
mod redis;
mod report;
mod sample;
mod scenario;
mod server;
mod statistics;

use std::process::ExitCode;

use clap::Parser as _;
use options::{Command, Options};

/// The server's own allocator, so that neither the ceiling nor scrypt alone is measured with another one.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<ExitCode> {
    let options = Options::parse();
    match options.command {
        Some(Command::Ceiling(ceiling)) => {
            ceiling::serve(&ceiling)?;
            Ok(ExitCode::SUCCESS)
        }
        None => bench::run(&options),
    }
}
