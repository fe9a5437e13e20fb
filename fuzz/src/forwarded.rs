//! `X-Forwarded-For` and `Forwarded`, as a client and its proxies write them: each line of the input is a header of the
//! one kind or of the other, by its first character.

use std::net::{IpAddr, Ipv4Addr};

use cryptopay_http::fuzzing;
use ipnet::IpNet;

use crate::Verdict;

/// The operator's proxies are 10.0.0.0/8; the server is called by one of them.
const PROXY: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
const STRANGER: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 9));

/// Checks that nothing counts that stands left of the first address that is no proxy's, and nothing at all from a
/// stranger.
///
/// # Panics
/// When a promise is broken.
#[must_use]
pub fn check(data: &[u8]) -> Verdict {
    let headers: Vec<_> = data.split(|byte| *byte == b'\n').filter_map(header).collect();
    let trusted = IpNet::new_assert(Ipv4Addr::new(10, 0, 0, 0).into(), 8);
    assert_eq!(fuzzing::client_address(STRANGER, &headers, &[trusted]), STRANGER);
    assert_eq!(fuzzing::client_address(PROXY, &headers, &[]), PROXY);

    let client = fuzzing::client_address(PROXY, &headers, &[trusted]);
    assert_eq!(client, client.to_canonical());
    if trusted.contains(&client) {
        return Verdict::Refused;
    }
    for name in ["x-forwarded-for", "forwarded"] {
        if !headers.iter().any(|(given, _)| *given == name) {
            continue;
        }
        // What a client sends itself comes first.
        for forged in [&b"198.51.100.66"[..], b"for=198.51.100.66", b"10.9.9.9", b"\"", b","] {
            let mut spoofed = headers.clone();
            spoofed.insert(0, (name, forged));
            assert_eq!(fuzzing::client_address(PROXY, &spoofed, &[trusted]), client);
        }
    }
    Verdict::Accepted
}

fn header(line: &[u8]) -> Option<(&'static str, &[u8])> {
    let (kind, value) = line.split_first()?;
    let name = if *kind == b'F' { "forwarded" } else { "x-forwarded-for" };
    fuzzing::is_header_value(value).then_some((name, value))
}
