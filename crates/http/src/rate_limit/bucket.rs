//! Whose requests are counted together.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use cryptopay_auth::Credential;
use cryptopay_domain::ClientNetwork;

use super::policy::Policy;

/// One client's, or one credential's, count under one policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bucket {
    pub(crate) policy: Policy,
    pub(crate) subject: Subject,
}

/// Who is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Subject {
    /// A client: an IPv4 address or an IPv6 /64.
    Client(ClientNetwork),
    /// A session or an API key, by the number that is its identifier.
    Credential([u8; 16]),
}

impl Subject {
    /// The session or API key of a credential.
    pub(crate) const fn of(credential: &Credential) -> Self {
        match credential {
            Credential::AccessToken { session, .. } => Self::Credential(session.0.into_bytes()),
            Credential::ApiKey { id, .. } => Self::Credential(id.0.into_bytes()),
        }
    }

    /// The same, or the wider network that it is part of: an IPv4 /24 or an IPv6 /48, the most that one site is
    /// commonly given (RFC 6177).
    pub(crate) fn neighbourhood(self) -> Self {
        let Self::Client(network) = self else { return self };
        let wider = match network.first_address() {
            IpAddr::V4(address) => IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & (u32::MAX << 8))),
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 80))),
        };
        Self::Client(cryptopay_domain::ClientAddress::new(wider).network())
    }
}

impl fmt::Display for Subject {
    /// `192.0.2.1`, `2001:db8::/64`, or 32 hex digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(network) => network.fmt(f),
            Self::Credential(id) => write!(f, "{:032x}", u128::from_be_bytes(*id)),
        }
    }
}

#[cfg(test)]
mod tests {
    use cryptopay_domain::ClientAddress;

    use super::*;

    fn client(address: &str) -> Subject {
        Subject::Client(ClientAddress::new(address.parse().unwrap()).network())
    }

    #[test]
    fn the_addresses_of_one_ipv6_network_are_one_client() {
        assert_eq!(client("2001:db8::1"), client("2001:db8::ffff"));
        assert_ne!(client("2001:db8::1"), client("2001:db8:0:1::1"));
        assert_ne!(client("192.0.2.1"), client("192.0.2.2"));
    }

    #[test]
    fn neighbours_share_a_site() {
        for (one, other) in [("2001:db8:1:2::", "2001:db8:1:ffff::"), ("192.0.2.1", "192.0.2.254")] {
            assert_eq!(client(one).neighbourhood(), client(other).neighbourhood());
        }
        for (one, other) in [("2001:db8:1::", "2001:db8:2::"), ("192.0.2.1", "192.0.3.1")] {
            assert_ne!(client(one).neighbourhood(), client(other).neighbourhood());
        }
    }

    #[test]
    fn subjects_are_written_as_their_identifiers_are() {
        assert_eq!(client("2001:db8::1").to_string(), "2001:db8::/64");
        assert_eq!(client("192.0.2.1").to_string(), "192.0.2.1");
        let id = cryptopay_domain::SessionId(
            "0193f1b2c3d4700089abcdef01234567".parse::<cryptopay_domain::SessionId>().unwrap().0,
        );
        let credential = Credential::AccessToken { session: id, refresh_counter: 0 };
        assert_eq!(Subject::of(&credential).to_string(), id.to_string());
    }

    #[test]
    fn a_subject_takes_little_room() {
        assert!(size_of::<Subject>() <= 24);
    }
}
