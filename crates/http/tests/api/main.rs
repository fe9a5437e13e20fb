//! The API as a merchant's program meets it: the whole application behind a socket, on both databases.
//!
//! Every answer that any of these tests receives is held against the OpenAPI document and against the rules
//! that all answers obey (`TestApp`), so the tests themselves only say what is particular.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that meets what it does not expect has failed")]

mod account;
mod api_keys;
mod bad_bodies;
mod bad_fields;
mod envelope;
mod login;
mod operations;
mod pages;
mod paths;
mod reference_page;
mod refresh;
mod refusal_order;
mod scene;
mod trouble;
mod unread_bodies;
mod verify;
