//! Persistence over Diesel: the only crate that knows SQL.
//!
//! One set of operations over two databases, each query written once. Rules do not live here: where a
//! decision has to be made inside a transaction, the operation takes it as a pure function of what it found.
//! `now` is always given, never asked for. Secrets arrive hashed.

#[macro_use]
mod macros;

pub mod api_key;
pub mod audit;
mod database_url;
mod error;
pub mod housekeeping;
pub mod installation;
mod moment;
mod pieces;
mod postgres;
pub mod revocation;
mod schema;
pub mod session;
mod sqlite;
mod store;
pub mod user;

pub use database_url::{DatabaseUrl, DatabaseUrlError};
pub use error::StoreError;
pub use store::{POSTGRES_MIGRATIONS, SQLITE_MIGRATIONS, Store, StoreConfig};
