//! Where a request comes from: what audit records and sessions keep of it.

use std::net::{IpAddr, Ipv4Addr};

use cryptopay_domain::ClientAddress;

/// The origin of a request.
#[derive(Clone, Debug)]
pub struct RequestContext {
    /// The client's address.
    pub client: ClientAddress,
    /// What the client calls itself, if it does; at most 512 characters are kept.
    pub user_agent: Option<String>,
    /// The id that ties the audit record to the access log.
    pub request_id: String,
}

impl RequestContext {
    /// The origin of what an operator does on the command line.
    #[must_use]
    pub fn command_line() -> Self {
        Self {
            client: ClientAddress::from(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            user_agent: None,
            request_id: "command-line".to_owned(),
        }
    }
}
