//! Persistence over Diesel: the only crate that knows SQL.
//!
//! One set of operations over two databases, each query written once. Rules do not live here: where a
//! decision has to be made inside a transaction, the operation takes it as a pure function of what it found.
//! `now` is always given, never asked for. Secrets arrive hashed.

#[macro_use]
mod macros;

pub mod api_key;
pub mod api_key_usage;
pub mod audit;
mod database_url;
pub mod delivery;
mod delivery_due;
mod delivery_end;
mod delivery_judgement;
mod delivery_lease;
mod delivery_record;
mod delivery_return;
mod error;
pub mod housekeeping;
pub mod idempotency;
pub mod installation;
pub mod login_throttle;
mod moment;
pub mod payment_order;
mod pieces;
mod postgres;
pub mod revocation;
mod schema;
pub mod session;
mod sqlite;
mod statement;
mod store;
pub mod user;
pub mod webhook_endpoint;
mod webhook_endpoint_row;
pub mod webhook_event;

pub use database_url::{DatabaseUrl, DatabaseUrlError};
pub use error::StoreError;
pub use store::{POSTGRES_MIGRATIONS, SQLITE_MIGRATIONS, Store, StoreConfig};
