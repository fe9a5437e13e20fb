//! What tests are made of. Everything here is real but the clock: databases, the auth core, HTTP.
#![allow(clippy::expect_used, reason = "a test that cannot be set up has to stop and say why")]

pub mod auth;
pub mod clock;
pub mod database;
pub mod postgres;

pub use auth::{OTHER_PASSWORD, PASSWORD, TestAuth, context, login_command, test_config};
pub use clock::TestClock;
pub use database::{Backend, TestDatabase};
