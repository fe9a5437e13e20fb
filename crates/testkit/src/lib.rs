//! What tests are made of. Everything here is real but the clock: databases, the auth core, HTTP.
#![allow(clippy::expect_used, clippy::panic, reason = "a test that cannot be set up has to stop and say why")]

pub mod app;
pub mod auth;
pub mod browser;
mod chromium;
mod client;
pub mod clock;
mod damage;
pub mod database;
pub mod document;
mod leases;
pub mod payments;
pub mod personas;
pub mod postgres;
pub mod receiver;
pub mod receivers;
pub mod redis;
pub mod server;

pub use app::{Answer, Call, TestApp};
pub use auth::{
    OTHER_PASSWORD, PASSWORD, TestAuth, context, context_from, login_command, test_config, unthrottled_config,
};
pub use browser::{Browser, Shown};
pub use chromium::browse;
pub use client::{client, client_trusting};
pub use clock::TestClock;
pub use database::{Backend, TestDatabase};
pub use document::{Document, Operation};
pub use payments::{TestNames, guarded_targets, open_targets, page_signature, payments_over, payments_with};
pub use personas::{Cast, Persona};
pub use receiver::{Behaviour, Received, TestReceiver};
pub use receivers::{ReceivedDelivery, ReceiverKind, WebhookReceiver};
pub use redis::TestRedis;
pub use server::{Finished, Installation, Server, Tokens, eventually, time_until};
