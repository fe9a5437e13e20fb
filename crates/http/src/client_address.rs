//! The address a request comes from, as far as it can be believed.
//!
//! What a client says of itself is worth nothing. So the way starts at the peer of the connection, and goes
//! on along `X-Forwarded-For` or `Forwarded` (RFC 7239), from the right, only through proxies the operator
//! trusts: the first address that is none of theirs is the client's.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use actix_web::http::header::{self, HeaderMap, HeaderName};
use cryptopay_domain::ClientAddress;
use ipnet::IpNet;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The client of a request that arrived from `peer` with `headers`.
pub(crate) fn resolve(
    peer: Option<SocketAddr>,
    headers: &HeaderMap,
    trusted_proxies: &[IpNet],
) -> ClientAddress {
    // There is no peer on a Unix socket; whoever may open that is local.
    let peer = peer.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |peer| peer.ip().to_canonical());
    if trusted_proxies.is_empty() {
        return peer.into();
    }
    let is_trusted = |address: &IpAddr| trusted_proxies.iter().any(|network| network.contains(address));
    let mut client = peer;
    // Proxies append, so the last hop is rightmost in the last header line.
    for hop in hops(headers).into_iter().rev() {
        if !is_trusted(&client) {
            break;
        }
        // Something that is no address hides the rest of the way.
        let Some(address) = hop else { break };
        client = address;
    }
    client.into()
}

/// The hops in the order in which they were passed; `None` for one that hides its address.
fn hops(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    if headers.contains_key(X_FORWARDED_FOR) {
        list_items(headers, &X_FORWARDED_FOR).map(parse_node).collect()
    } else {
        list_items(headers, &header::FORWARDED).map(|item| parse_node(forwarded_for(item)?)).collect()
    }
}

/// The comma-separated items of all lines of a header.
fn list_items<'a>(headers: &'a HeaderMap, name: &'a HeaderName) -> impl Iterator<Item = &'a str> {
    headers.get_all(name).flat_map(|line| line.to_str().unwrap_or_default().split(','))
}

/// The value of `for=` in one element of `Forwarded`.
fn forwarded_for(element: &str) -> Option<&str> {
    element.split(';').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then(|| value.trim().trim_matches('"'))
    })
}

/// An address with or without a port: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]:80`.
fn parse_node(node: &str) -> Option<IpAddr> {
    let node = node.trim();
    let bare = node.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(node);
    let address = bare.parse::<IpAddr>().ok();
    address.or_else(|| node.parse::<SocketAddr>().ok().map(|socket| socket.ip())).map(|ip| ip.to_canonical())
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn client(peer: &str, lines: &[(&'static str, &str)]) -> String {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        let proxies: Vec<IpNet> =
            ["10.0.0.0/8", "fd00::/8"].iter().map(|network| network.parse().unwrap()).collect();
        let peer = Some(SocketAddr::new(peer.parse().unwrap(), 1234));
        resolve(peer, &headers, &proxies).to_string()
    }

    #[test]
    fn a_stranger_is_who_it_connects_as_whatever_it_claims() {
        for lines in [
            &[("x-forwarded-for", "198.51.100.1")][..],
            &[("forwarded", "for=198.51.100.1")],
            &[("x-forwarded-for", "10.0.0.1"), ("forwarded", "for=10.0.0.1")],
        ] {
            assert_eq!(client("192.0.2.9", lines), "192.0.2.9");
        }
    }

    #[test]
    fn trusted_proxies_are_walked_from_the_right() {
        for (value, expected) in [
            ("198.51.100.1", "198.51.100.1"),
            ("203.0.113.5, 198.51.100.1", "198.51.100.1"),
            ("203.0.113.5, 198.51.100.1, 10.0.0.2,10.0.0.3", "198.51.100.1"),
            ("10.0.0.7", "10.0.0.7"),
            ("198.51.100.1:4711", "198.51.100.1"),
            ("2001:db8::1", "2001:db8::1"),
            ("[2001:db8::1]:4711", "2001:db8::1"),
            ("::ffff:198.51.100.1", "198.51.100.1"),
            ("198.51.100.1, nonsense", "10.0.0.1"),
            ("198.51.100.1, nonsense, 10.0.0.5", "10.0.0.5"),
            ("", "10.0.0.1"),
        ] {
            assert_eq!(client("10.0.0.1", &[("x-forwarded-for", value)]), expected, "{value}");
        }
    }

    #[test]
    fn several_lines_are_one_list() {
        let lines = [("x-forwarded-for", "198.51.100.1"), ("x-forwarded-for", "203.0.113.5")];
        assert_eq!(client("10.0.0.1", &lines), "203.0.113.5");
    }

    #[test]
    fn rfc_7239_is_understood() {
        for (value, expected) in [
            ("for=198.51.100.1", "198.51.100.1"),
            ("For=\"[2001:db8:cafe::17]:4711\"", "2001:db8:cafe::17"),
            ("for=203.0.113.5, for=198.51.100.1;proto=https;by=10.0.0.1", "198.51.100.1"),
            ("proto=https;for=198.51.100.1, for=10.0.0.2", "198.51.100.1"),
            ("for=_hidden", "10.0.0.1"),
            ("for=unknown", "10.0.0.1"),
            ("proto=https", "10.0.0.1"),
        ] {
            assert_eq!(client("10.0.0.1", &[("forwarded", value)]), expected, "{value}");
        }
    }

    #[test]
    fn a_mapped_peer_is_the_ipv4_address_it_stands_for() {
        assert_eq!(client("::ffff:10.0.0.1", &[("x-forwarded-for", "198.51.100.1")]), "198.51.100.1");
        assert_eq!(client("::ffff:192.0.2.9", &[]), "192.0.2.9");
    }

    #[test]
    fn without_trusted_proxies_no_header_counts() {
        let mut headers = HeaderMap::new();
        headers.insert(X_FORWARDED_FOR, HeaderValue::from_static("198.51.100.1"));
        let peer = Some("192.0.2.9:1".parse().unwrap());
        assert_eq!(resolve(peer, &headers, &[]).to_string(), "192.0.2.9");
        assert_eq!(resolve(None, &headers, &[]).to_string(), "127.0.0.1");
    }
}
