//! The store on real databases: what is promised to its callers, on SQLite and on PostgreSQL.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod api_key;
mod api_key_usage;
mod availability;
mod cancellation;
mod database_url;
mod deadlock;
mod delivery;
mod delivery_lease;
mod delivery_record;
mod fixture;
mod group_commit;
mod housekeeping;
mod idempotency;
mod installation;
mod login_throttle;
mod migrations;
mod outbox;
mod pagination;
mod payment_order;
mod revocation;
mod session;
mod usage;
mod user;
mod webhook_endpoint;
mod webhook_housekeeping;
