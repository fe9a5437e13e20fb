//! The transport against receivers of every kind, over real sockets.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "helpers of tests are tests, though the lint does not see it"
)]

mod answers;
mod dialling;
mod faults;
mod load;
mod names;
mod receiver;
