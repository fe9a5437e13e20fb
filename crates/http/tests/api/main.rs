//! The API as a merchant's program meets it: the whole application behind a socket, on both databases.
//!
//! Every answer that any of these tests receives is held against the OpenAPI document and against the rules
//! that all answers obey (`TestApp`), so the tests themselves only say what is particular.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that meets what it does not expect has failed")]

mod account;
mod api_key_usage;
mod api_keys;
mod bad_bodies;
mod bad_fields;
mod connections;
mod envelope;
mod login;
mod login_throttle;
mod objects;
mod operations;
mod pages;
mod paths;
mod payment_orders;
mod rate_limits;
mod reference_page;
mod refresh;
mod refusal_order;
mod sandbox_error;
mod scene;
mod shared_rate_limits;
mod slow_clients;
mod tls;
mod trouble;
mod unread_bodies;
mod unreadable;
mod verify;
mod webhook_urls;
mod webhooks;
