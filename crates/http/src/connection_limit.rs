//! How many connections may be open, and how many of them one client may hold, so that nobody holds all of them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cryptopay_domain::{ClientAddress, ClientNetwork};
use ipnet::IpNet;

/// Counts the open connections, and those of each client: an IPv4 address or an IPv6 /64.
#[derive(Debug)]
pub(crate) struct ConnectionLimit {
    in_all: usize,
    per_client: usize,
    /// Proxies carry everybody's requests: they are bound by the limit of all connections alone.
    exempt: Vec<IpNet>,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    in_all: usize,
    by_client: HashMap<ClientNetwork, usize>,
    /// How many have found no place so far.
    refused: u64,
    /// Whether it has been told that there is no place left.
    is_full: bool,
}

/// How many connections there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Connections {
    /// Open now.
    pub(crate) open: usize,
    /// Closed so far because there was no place for them.
    pub(crate) refused: u64,
}

/// A connection's place, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    limit: Arc<ConnectionLimit>,
    client: Option<ClientNetwork>,
}

impl ConnectionLimit {
    pub(crate) fn new(in_all: usize, per_client: usize, exempt: Vec<IpNet>) -> Self {
        Self { in_all, per_client, exempt, open: Mutex::default() }
    }

    /// A place for a connection from `peer`, if there is one left for it.
    pub(crate) fn admit(self: &Arc<Self>, peer: IpAddr) -> Option<Place> {
        let peer = ClientAddress::new(peer);
        let is_exempt = self.exempt.iter().any(|network| network.contains(&peer.ip()));
        let client = (!is_exempt).then(|| peer.network());
        let mut open = self.open();
        if open.in_all >= self.in_all {
            if !std::mem::replace(&mut open.is_full, true) {
                tracing::warn!(connections = self.in_all, "no place is left: new connections are closed");
            }
            open.refused += 1;
            return None;
        }
        if let Some(client) = client {
            let count = open.by_client.entry(client).or_default();
            if *count >= self.per_client {
                open.refused += 1;
                return None;
            }
            *count += 1;
        }
        open.in_all += 1;
        Some(Place { limit: Arc::clone(self), client })
    }

    /// How many there are.
    pub(crate) fn connections(&self) -> Connections {
        let open = self.open();
        Connections { open: open.in_all, refused: open.refused }
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.limit.open();
        open.in_all -= 1;
        // Told again only after a tenth of the places were free: not with every connection that comes and goes.
        if open.in_all <= self.limit.in_all / 10 * 9 {
            open.is_full = false;
        }
        let Some(client) = self.client else { return };
        if let Entry::Occupied(mut count) = open.by_client.entry(client) {
            *count.get_mut() -= 1;
            // What nobody holds any more takes no room.
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Places in all, beside what the tests of one client need.
    const IN_ALL: usize = 20;

    fn limit(per_client: usize) -> Arc<ConnectionLimit> {
        Arc::new(ConnectionLimit::new(IN_ALL, per_client, vec!["10.0.0.0/8".parse().unwrap()]))
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_client_gets_no_more_than_its_share_and_takes_none_of_anothers() {
        let limit = limit(2);
        let held: Vec<_> = (0..2).map(|_| limit.admit(address("192.0.2.1")).unwrap()).collect();
        assert!(limit.admit(address("192.0.2.1")).is_none());
        assert!(limit.admit(address("192.0.2.2")).is_some());
        assert_eq!(limit.connections(), Connections { open: 2, refused: 1 });
        drop(held);
        assert!(limit.admit(address("192.0.2.1")).is_some());
        assert_eq!(limit.connections(), Connections { open: 0, refused: 1 });
    }

    #[test]
    fn the_addresses_of_one_ipv6_network_are_one_client() {
        let limit = limit(1);
        let held = limit.admit(address("2001:db8::1")).unwrap();
        assert!(limit.admit(address("2001:db8::ffff")).is_none());
        assert!(limit.admit(address("2001:db8:0:1::1")).is_some());
        drop(held);
    }

    #[test]
    fn a_proxy_is_not_counted() {
        let limit = limit(1);
        let held: Vec<_> = (0..9).map(|_| limit.admit(address("10.1.2.3")).unwrap()).collect();
        assert_eq!(held.len(), 9);
        assert!(limit.open().by_client.is_empty());
    }

    #[test]
    fn there_is_an_end_to_all_connections_whoever_holds_them() {
        let limit = limit(2);
        let clients = (0..IN_ALL).map(|number| match number % 2 {
            0 => address("10.0.0.1"),
            _ => IpAddr::from([192, 0, 2, u8::try_from(number).unwrap()]),
        });
        let mut held: Vec<_> = clients.map(|client| limit.admit(client).unwrap()).collect();
        for client in ["10.0.0.1", "198.51.100.1", "2001:db8::1"] {
            assert!(limit.admit(address(client)).is_none(), "{client}");
        }
        held.pop();
        let again = limit.admit(address("198.51.100.1"));
        assert!(again.is_some());
        assert!(limit.admit(address("198.51.100.2")).is_none());
    }

    #[test]
    fn what_is_closed_is_forgotten() {
        let limit = limit(3);
        drop(limit.admit(address("192.0.2.1")));
        let open = limit.open();
        assert!(open.by_client.is_empty() && open.in_all == 0);
    }
}
