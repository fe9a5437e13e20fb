//! Every page over a real socket, on both databases, and every attack on it that needs no browser.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests are tests, though the lint does not see it"
)]

mod api_key_usage;
mod api_keys;
mod attacks;
mod deliveries;
mod key_changes;
mod login;
mod overview;
mod payment_orders;
mod security;
mod shop;
mod webhook_endpoints;
