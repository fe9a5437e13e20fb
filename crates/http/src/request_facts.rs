//! What is known of a request beside what it says itself; it travels with the request.

use std::sync::Arc;

use cryptopay_auth::Principal;

use crate::fields::FieldProblems;
use crate::request_id::RequestId;

/// One value rather than several, since each costs the hot path an allocation.
pub(crate) struct RequestFacts {
    /// Its identifiers.
    pub(crate) id: RequestId,
    /// The pattern of the route it met; empty while it met none.
    pub(crate) route: &'static str,
    /// Who sent it, once that is known.
    pub(crate) principal: Option<Arc<Principal>>,
    /// What is wrong with its query, to be told together with what is wrong with its body.
    pub(crate) query_problems: FieldProblems,
}

impl RequestFacts {
    /// What is known at first.
    pub(crate) fn new(id: RequestId) -> Self {
        Self { id, route: "", principal: None, query_problems: FieldProblems::default() }
    }
}
