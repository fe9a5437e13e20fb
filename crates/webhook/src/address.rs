//! Which addresses are public: those of the internet at large, and nothing with a special purpose.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether an address belongs to the internet at large.
///
/// Fails closed: IPv4 is public outside the registry of special-purpose addresses, *all* of it (the few
/// entries that are "globally reachable" are relays and sinks, never a merchant's server). IPv6 is public
/// only inside 2000::/3, the one block that global unicast addresses are given from, and there again only
/// outside the registry. So every form that embeds an IPv4 address is refused whatever it embeds:
/// IPv4-compatible, IPv4-mapped and NAT64 addresses lie outside that block, Teredo and 6to4 are excluded.
///
/// Source: the IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890 and its successors); OWASP
/// Server-Side Request Forgery Prevention Cheat Sheet.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !SPECIAL_V4.iter().any(|block| block.contains(address)),
        IpAddr::V6(address) => {
            GLOBAL_UNICAST.contains(address) && !SPECIAL_V6.iter().any(|block| block.contains(address))
        }
    }
}

/// The addresses of this machine's interfaces, for [`crate::TargetPolicy`]: a public one of them still
/// leads to this very server, past whatever guards it from outside.
///
/// An address that only a router in front translates is not among them.
///
/// # Errors
/// When the system does not list its interfaces.
pub fn own_addresses() -> io::Result<Vec<IpAddr>> {
    let interfaces = nix::ifaddrs::getifaddrs()?;
    let mut addresses: Vec<IpAddr> = interfaces
        .filter_map(|interface| {
            let address = interface.address?;
            let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
            v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
        })
        .collect();
    addresses.sort_unstable();
    addresses.dedup();
    Ok(addresses)
}

/// The addresses that share their first `length` bits with `first`.
struct Block<Address> {
    first: Address,
    length: u32,
}

impl Block<Ipv4Addr> {
    fn contains(&self, address: Ipv4Addr) -> bool {
        let differing = self.first.to_bits() ^ address.to_bits();
        differing.leading_zeros() >= self.length
    }
}

impl Block<Ipv6Addr> {
    fn contains(&self, address: Ipv6Addr) -> bool {
        let differing = self.first.to_bits() ^ address.to_bits();
        differing.leading_zeros() >= self.length
    }
}

const fn v4([a, b, c, d]: [u8; 4], length: u32) -> Block<Ipv4Addr> {
    Block { first: Ipv4Addr::new(a, b, c, d), length }
}

const fn v6([a, b, c, d, e, f, g, h]: [u16; 8], length: u32) -> Block<Ipv6Addr> {
    Block { first: Ipv6Addr::new(a, b, c, d, e, f, g, h), length }
}

const SPECIAL_V4: &[Block<Ipv4Addr>] = &[
    v4([0, 0, 0, 0], 8),        // "this network"; Linux connects 0.0.0.0 to itself
    v4([10, 0, 0, 0], 8),       // private use
    v4([100, 64, 0, 0], 10),    // shared by carrier-grade NAT; some clouds' metadata
    v4([127, 0, 0, 0], 8),      // loopback
    v4([168, 63, 129, 16], 32), // in no registry: Azure's host agent, as its guests see it
    v4([169, 254, 0, 0], 16),   // link-local; most clouds' metadata
    v4([172, 16, 0, 0], 12),    // private use
    v4([192, 0, 0, 0], 24),     // IETF protocol assignments
    v4([192, 0, 2, 0], 24),     // documentation
    v4([192, 31, 196, 0], 24),  // AS112
    v4([192, 52, 193, 0], 24),  // AMT relays
    v4([192, 88, 99, 0], 24),   // 6to4 relays
    v4([192, 168, 0, 0], 16),   // private use
    v4([192, 175, 48, 0], 24),  // AS112
    v4([198, 18, 0, 0], 15),    // benchmarking
    v4([198, 51, 100, 0], 24),  // documentation
    v4([203, 0, 113, 0], 24),   // documentation
    v4([224, 0, 0, 0], 4),      // multicast
    v4([240, 0, 0, 0], 4),      // reserved, and limited broadcast
];

const GLOBAL_UNICAST: Block<Ipv6Addr> = v6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);

/// What of the registry lies within [`GLOBAL_UNICAST`].
const SPECIAL_V6: &[Block<Ipv6Addr>] = &[
    v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23), // IETF protocol assignments, Teredo among them
    v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32), // documentation
    v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16), // 6to4
    v6([0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0], 48), // AS112
    v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20), // documentation
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn public(address: &str) -> bool {
        is_public(address.parse().unwrap())
    }

    #[test]
    fn addresses_of_the_internet_at_large_are_public() {
        for address in [
            "1.1.1.1",
            "8.8.8.8",
            "93.184.215.14",
            "223.255.255.255",
            "2606:4700:4700::1111",
            "2001:4860:4860::8888",
            "2a00:1450:4001:80b::200e",
            "2620:fe::fe",
        ] {
            assert!(public(address), "{address}");
        }
    }

    #[test]
    fn no_special_purpose_block_is_public_from_its_first_address_to_its_last() {
        for (first, last) in [
            // The IPv4 registry, entry by entry, and multicast.
            ("0.0.0.0", "0.255.255.255"),
            ("10.0.0.0", "10.255.255.255"),
            ("100.64.0.0", "100.127.255.255"),
            ("127.0.0.0", "127.255.255.255"),
            ("169.254.0.0", "169.254.255.255"),
            ("172.16.0.0", "172.31.255.255"),
            ("192.0.0.0", "192.0.0.255"),
            ("192.0.2.0", "192.0.2.255"),
            ("192.31.196.0", "192.31.196.255"),
            ("192.52.193.0", "192.52.193.255"),
            ("192.88.99.0", "192.88.99.255"),
            ("192.168.0.0", "192.168.255.255"),
            ("192.175.48.0", "192.175.48.255"),
            ("198.18.0.0", "198.19.255.255"),
            ("198.51.100.0", "198.51.100.255"),
            ("203.0.113.0", "203.0.113.255"),
            ("224.0.0.0", "239.255.255.255"),
            ("240.0.0.0", "255.255.255.255"),
            // The IPv6 registry, entry by entry, multicast, site-local and IPv4-compatible addresses.
            ("::", "::"),
            ("::1", "::1"),
            ("::0.0.0.2", "::255.255.255.255"),
            ("::ffff:0.0.0.0", "::ffff:255.255.255.255"),
            ("64:ff9b::", "64:ff9b::ffff:ffff"),
            ("64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff"),
            ("100::", "100::ffff:ffff:ffff:ffff"),
            ("100:0:0:1::", "100:0:0:1:ffff:ffff:ffff:ffff"),
            ("2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("2001::", "2001:0:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("2001:1::1", "2001:1::3"),
            ("2001:2::", "2001:2:0:ffff:ffff:ffff:ffff:ffff"),
            ("2001:3::", "2001:3:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("2001:4:112::", "2001:4:112:ffff:ffff:ffff:ffff:ffff"),
            ("2001:10::", "2001:1f:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("2001:20::", "2001:2f:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("2001:30::", "2001:3f:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("2620:4f:8000::", "2620:4f:8000:ffff:ffff:ffff:ffff:ffff"),
            ("3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("5f00::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ] {
            assert!(!public(first), "{first}");
            assert!(!public(last), "{last}");
        }
    }

    #[test]
    fn a_block_ends_where_the_registry_says() {
        for neighbour in [
            "1.0.0.0",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "168.63.129.15",
            "168.63.129.17",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "2001:200::",
            "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff",
            "2001:db9::",
            "2003::",
            "3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            "3fff:1000::",
        ] {
            assert!(public(neighbour), "{neighbour}");
        }
    }

    #[test]
    fn metadata_services_of_clouds_are_not_public() {
        for address in ["169.254.169.254", "fd00:ec2::254", "100.100.100.200", "192.0.0.192", "168.63.129.16"]
        {
            assert!(!public(address), "{address}");
        }
    }

    #[test]
    fn the_own_addresses_hold_loopback() {
        assert!(own_addresses().unwrap().contains(&IpAddr::V4(Ipv4Addr::LOCALHOST)));
    }

    fn private_v4() -> impl Strategy<Value = Ipv4Addr> {
        let anything = any::<u32>().prop_map(Ipv4Addr::from_bits);
        anything.prop_map(|address| {
            let block = &SPECIAL_V4[address.to_bits() as usize % SPECIAL_V4.len()];
            let host_bits = u32::MAX.checked_shr(block.length).unwrap_or(0);
            Ipv4Addr::from_bits(block.first.to_bits() | (address.to_bits() & host_bits))
        })
    }

    proptest! {
        #[test]
        fn nothing_that_embeds_a_private_address_is_public(private in private_v4(), noise: u128) {
            let bits = u128::from(private.to_bits());
            let prefix = |segments: [u16; 8]| Ipv6Addr::from_segments(segments).to_bits();
            prop_assert!(!is_public(private.into()));
            for embedding in [
                bits,                                                                   // compatible
                private.to_ipv6_mapped().to_bits(),
                prefix([0, 0, 0, 0, 0xffff, 0, 0, 0]) | bits,                           // translated
                prefix([0x64, 0xff9b, 0, 0, 0, 0, 0, 0]) | bits,                        // NAT64
                prefix([0x64, 0xff9b, 1, 0, 0, 0, 0, 0]) | (noise >> 48),               // local NAT64
                prefix([0x2002, 0, 0, 0, 0, 0, 0, 0]) | (bits << 80) | (noise >> 48),   // 6to4
                prefix([0x2001, 0, 0, 0, 0, 0, 0, 0]) | (bits << 64) | (noise >> 64),   // Teredo server
                prefix([0x2001, 0, 0, 0, 0, 0, 0, 0]) | (!bits & 0xffff_ffff),          // Teredo client
            ] {
                let embedding = IpAddr::V6(Ipv6Addr::from_bits(embedding));
                prop_assert!(!is_public(embedding), "{embedding} embeds {private}");
            }
        }

        #[test]
        fn nothing_outside_global_unicast_is_public(bits: u128) {
            let address = Ipv6Addr::from_bits(bits);
            prop_assert!(!is_public(address.into()) || (bits >> 125) == 1);
        }
    }
}
