//! What must hold whatever bytes a stranger sends: one module, and one fuzz target, for each door.
//!
//! A check panics when a promise is broken, and otherwise tells whether the door let the bytes in. libFuzzer
//! (`just fuzz`) looks for bytes that break one; `tests/corpora.rs` tries the kept ones and their neighbours as an
//! ordinary test. Bytes that broke a promise once belong into `corpus/`, beside a unit test where the mistake was.
//!
//! This is a member of the workspace, though cargo-fuzz's template is none, so that what is fuzzed stands on the very
//! versions in Cargo.lock that the server is built with.

pub mod access_claims;
pub mod access_token;
pub mod api_key;
pub mod authorization;
pub mod canonical_json;
pub mod cursor;
pub mod forwarded;
pub mod installation;
pub mod json_object;
pub mod refresh_token;
pub mod request_body;
pub mod sealed_secret;
pub mod webhook_target;

/// What a door made of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// It let them in.
    Accepted,
    /// It said what was wrong with them.
    Refused,
}

impl Verdict {
    /// The verdict that a parser's answer is.
    pub fn of<T, E>(answer: &Result<T, E>) -> Self {
        if answer.is_ok() { Self::Accepted } else { Self::Refused }
    }
}

/// One door: panics when a promise is broken.
pub type Check = fn(&[u8]) -> Verdict;

/// Every target by its name, which is also that of its program and of its corpus.
pub const TARGETS: &[(&str, Check)] = &[
    ("access_claims", access_claims::check),
    ("access_token", access_token::check),
    ("api_key", api_key::check),
    ("authorization", authorization::check),
    ("canonical_json", canonical_json::check),
    ("cursor", cursor::check),
    ("forwarded", forwarded::check),
    ("json_object", json_object::check),
    ("refresh_token", refresh_token::check),
    ("request_body", request_body::check),
    ("sealed_secret", sealed_secret::check),
    ("webhook_target", webhook_target::check),
];
