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
mod dashboard;
mod database_away;
mod doctor;
mod forward_auth;
mod log;
mod metrics;
mod operator;
mod page;
mod rate_limits;
mod replicas;
mod restart;
mod scripted_receiver;
mod shop;
mod shutdown;
mod start;
mod tls;
mod vanished_clients;
mod webhook_crash;
mod webhook_document;
mod webhook_replicas;
mod webhooks;

/// The program under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_cryptopay");
