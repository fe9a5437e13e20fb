//! Every use case and the workers on a real store, on SQLite and on PostgreSQL, with real receivers and a clock
//! that tests move.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests are tests, though the lint does not see it"
)]

mod delivery;
mod doctor;
mod endpoint;
mod endpoint_change;
mod fairness;
mod give_up;
mod idempotency;
mod order;
mod outage;
mod posted;
mod reseal;
mod resend;
mod rotation;
mod sealed;
mod sharing;
mod simulate;
mod support;
mod target;
