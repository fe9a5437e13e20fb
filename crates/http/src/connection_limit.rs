//! How many connections one client may hold open, so that nobody holds all of them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cryptopay_domain::{ClientAddress, ClientNetwork};
use ipnet::IpNet;

/// Counts the open connections of each client: an IPv4 address or an IPv6 /64.
#[derive(Debug)]
pub(crate) struct ConnectionLimit {
    per_client: usize,
    /// Proxies carry everybody's requests.
    exempt: Vec<IpNet>,
    open: Mutex<HashMap<ClientNetwork, usize>>,
}

/// A connection's place, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    limit: Arc<ConnectionLimit>,
    client: Option<ClientNetwork>,
}

impl ConnectionLimit {
    pub(crate) fn new(per_client: usize, exempt: Vec<IpNet>) -> Self {
        Self { per_client, exempt, open: Mutex::default() }
    }

    /// A place for a connection from `peer`, if it has one left.
    pub(crate) fn admit(self: &Arc<Self>, peer: IpAddr) -> Option<Place> {
        let peer = ClientAddress::new(peer);
        if self.exempt.iter().any(|network| network.contains(&peer.ip())) {
            return Some(Place { limit: Arc::clone(self), client: None });
        }
        let client = peer.network();
        let mut open = self.open();
        let count = open.entry(client).or_default();
        if *count >= self.per_client {
            return None;
        }
        *count += 1;
        Some(Place { limit: Arc::clone(self), client: Some(client) })
    }

    fn open(&self) -> MutexGuard<'_, HashMap<ClientNetwork, usize>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(client) = self.client else { return };
        let mut open = self.limit.open();
        if let Entry::Occupied(mut count) = open.entry(client) {
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

    fn limit(per_client: usize) -> Arc<ConnectionLimit> {
        Arc::new(ConnectionLimit::new(per_client, vec!["10.0.0.0/8".parse().unwrap()]))
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
        drop(held);
        assert!(limit.admit(address("192.0.2.1")).is_some());
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
        assert!(limit.open().is_empty());
    }

    #[test]
    fn what_is_closed_is_forgotten() {
        let limit = limit(3);
        drop(limit.admit(address("192.0.2.1")));
        assert!(limit.open().is_empty());
    }
}
