//! What a webhook may be sent to at all.

use std::net::IpAddr;

use crate::address::is_public;

/// What a webhook may be sent to, the same at saving a target and at dialling it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetPolicy {
    /// The schemes that a URL may have.
    pub schemes: Schemes,
    /// The addresses that may be dialled.
    pub addresses: Addresses,
    /// The server's own addresses, which count as not public: see [`crate::address::own_addresses`].
    pub own: Vec<IpAddr>,
}

/// The schemes that a target may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schemes {
    /// `https` alone: production.
    HttpsOnly,
    /// `http`, too.
    HttpAndHttps,
}

/// The addresses that may be dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addresses {
    /// Those of the internet at large, but for the server's own.
    PublicOnly,
    /// Every one: for development on one machine. Merchants can then reach whatever this server can.
    AnyAddress,
}

impl TargetPolicy {
    /// Whether an address may be dialled.
    #[must_use]
    pub fn admits(&self, address: IpAddr) -> bool {
        match self.addresses {
            Addresses::AnyAddress => true,
            Addresses::PublicOnly => is_public(address) && !self.own.contains(&address),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_own_public_address_is_not_admitted() {
        let own: IpAddr = "8.8.4.4".parse().unwrap();
        let policy = |addresses| TargetPolicy { schemes: Schemes::HttpsOnly, addresses, own: vec![own] };
        assert!(!policy(Addresses::PublicOnly).admits(own));
        assert!(policy(Addresses::PublicOnly).admits("8.8.8.8".parse().unwrap()));
        assert!(policy(Addresses::AnyAddress).admits(own));
    }
}
