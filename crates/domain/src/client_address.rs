//! Where a request comes from, and the network one party is likely to own there.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// The address of a client. An IPv4 address mapped into IPv6 (RFC 4291 §2.5.5.2) is the IPv4 address
/// it stands for, so that a client is the same one on a dual-stack socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientAddress(IpAddr);

/// What is limited as one: a single IPv4 address, or an IPv6 /64, the least that one subscriber is
/// given (RFC 6177) and may pick addresses from at will.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientNetwork(IpAddr);

impl ClientAddress {
    /// The client at `address`.
    #[must_use]
    pub const fn new(address: IpAddr) -> Self {
        Self(address.to_canonical())
    }

    /// The address, never an IPv4-mapped one.
    #[must_use]
    pub const fn ip(self) -> IpAddr {
        self.0
    }

    /// The network whose members are limited together.
    #[must_use]
    pub const fn network(self) -> ClientNetwork {
        match self.0 {
            IpAddr::V4(_) => ClientNetwork(self.0),
            IpAddr::V6(address) => {
                ClientNetwork(IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & SUBSCRIBER_PREFIX)))
            }
        }
    }
}

impl ClientNetwork {
    /// Its lowest address.
    #[must_use]
    pub const fn first_address(self) -> IpAddr {
        self.0
    }
}

impl From<IpAddr> for ClientAddress {
    fn from(address: IpAddr) -> Self {
        Self::new(address)
    }
}

impl fmt::Display for ClientAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for ClientNetwork {
    /// `192.0.2.1`, or `2001:db8::/64`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(address) => address.fmt(f),
            IpAddr::V6(prefix) => write!(f, "{prefix}/64"),
        }
    }
}

/// The upper 64 of 128 bits.
const SUBSCRIBER_PREFIX: u128 = (u64::MAX as u128) << 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn client(text: &str) -> ClientAddress {
        ClientAddress::new(text.parse().unwrap())
    }

    #[test]
    fn a_mapped_address_is_the_ipv4_address_it_stands_for() {
        assert_eq!(client("::ffff:192.0.2.1"), client("192.0.2.1"));
        assert_eq!(client("::ffff:192.0.2.1").to_string(), "192.0.2.1");
        assert_eq!(client("::ffff:192.0.2.1").network(), client("192.0.2.1").network());
    }

    #[test]
    fn an_ipv4_address_is_a_network_of_its_own() {
        assert_ne!(client("192.0.2.1").network(), client("192.0.2.2").network());
        assert_eq!(client("192.0.2.1").network().to_string(), "192.0.2.1");
    }

    #[test]
    fn an_ipv6_network_is_its_upper_64_bits() {
        assert_eq!(client("2001:db8:0:7::1").network(), client("2001:db8:0:7:ffff::").network());
        assert_ne!(client("2001:db8:0:7::1").network(), client("2001:db8:0:8::1").network());
        assert_eq!(client("2001:db8:0:7::1").network().to_string(), "2001:db8:0:7::/64");
        assert_eq!(client("2001:db8:0:7::1").network().first_address(), client("2001:db8:0:7::").ip());
        assert_eq!(client("2001:db8:0:7::1").to_string(), "2001:db8:0:7::1");
    }
}
