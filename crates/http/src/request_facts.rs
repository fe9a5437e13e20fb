//! What is known of a request beside what it says itself; it travels with the request.

use std::sync::Arc;

use cryptopay_auth::Principal;
use cryptopay_domain::ClientAddress;

use crate::fields::FieldProblems;
use crate::rate_limit::RateLimitFields;
use crate::request_id::RequestId;

/// One value rather than several, since each costs the hot path an allocation.
pub(crate) struct RequestFacts {
    /// Its identifiers.
    pub(crate) id: RequestId,
    /// Where it comes from, as far as that can be believed.
    pub(crate) client: ClientAddress,
    /// The pattern of the route it met; empty while it met none.
    pub(crate) route: &'static str,
    /// Who sent it, once that is known.
    pub(crate) principal: Option<Arc<Principal>>,
    /// What is wrong with its query, to be told together with what is wrong with its body.
    pub(crate) query_problems: FieldProblems,
    /// What its answer tells of the limits it was counted against.
    pub(crate) rate_limit: Option<RateLimitFields>,
}

impl RequestFacts {
    /// What is known at first.
    pub(crate) fn new(id: RequestId, client: ClientAddress) -> Self {
        Self {
            id,
            client,
            route: "",
            principal: None,
            query_problems: FieldProblems::default(),
            rate_limit: None,
        }
    }
}
