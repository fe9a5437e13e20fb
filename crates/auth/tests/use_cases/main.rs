//! Every use case on a real store, on SQLite and on PostgreSQL, with a clock that tests move.

mod api_key;
mod api_key_family;
mod api_key_rotation;
mod audit;
mod authenticate;
mod login;
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
