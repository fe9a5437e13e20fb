//! Every use case on a real store, on SQLite and on PostgreSQL, with a clock that tests move.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests are tests, though the lint does not see it"
)]

mod api_key;
mod api_key_family;
mod api_key_rotation;
mod api_key_usage;
mod audit;
mod authenticate;
mod browser_session;
mod encryption_key;
mod login;
mod login_throttle;
mod login_throttle_owner;
mod operator;
mod password_change;
mod refresh;
mod refresh_model;
mod register;
mod revocation;
mod session;
mod signing_key;
mod start;
mod support;
