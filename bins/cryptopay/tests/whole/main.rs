//! The binary as a process: on a real socket, on both databases, under signals, beside a second replica and
//! beside its own command line.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests are tests, though the lint does not see it"
)]

mod command_line;
mod configuration;
mod crash;
mod database_away;
mod doctor;
mod log;
mod operator;
mod page;
mod replicas;
mod restart;
mod shutdown;
mod start;
mod vanished_clients;

/// The program under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_cryptopay");
