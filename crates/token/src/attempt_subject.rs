//! What login attempts are counted by, and the keyed hashes under which the counters are kept.
//!
//! A hash is HMAC-SHA256 under a key derived from an encryption key, cut to 128 bits (RFC 2104, section 5). Without that
//! key, whoever has the database can neither find out nor try out which names and addresses somebody used.

use cryptopay_domain::login_throttle::CounterKey;
use cryptopay_domain::{ClientNetwork, UserId};
use ring::hmac;

use crate::EncryptionKey;

/// What attempts are counted by. An identifier is a username or an e-mail address in the form under which it is looked
/// up, whether anybody has it or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptSubject<'a> {
    /// Whoever logs in under this identifier.
    Account(&'a str),
    /// Whoever logs in under this identifier from this network.
    AccountFrom(&'a str, ClientNetwork),
    /// Whoever logs in from this network.
    Network(ClientNetwork),
    /// Whoever changes the password of this account.
    PasswordChange(UserId),
}

impl AttemptSubject<'_> {
    /// The key of its counter.
    #[must_use]
    pub fn counter_key(&self, key: &EncryptionKey) -> CounterKey {
        let mut context = hmac::Context::with_key(key.hashing());
        // The kind and the length of what may be of any length keep two subjects from ever reading alike.
        match self {
            Self::Account(identifier) => {
                context.update(b"account\0");
                context.update(identifier.as_bytes());
            }
            Self::AccountFrom(identifier, network) => {
                context.update(b"account from\0");
                context.update(&(identifier.len() as u64).to_be_bytes());
                context.update(identifier.as_bytes());
                context.update(network.to_string().as_bytes());
            }
            Self::Network(network) => {
                context.update(b"network\0");
                context.update(network.to_string().as_bytes());
            }
            Self::PasswordChange(user) => {
                context.update(b"password change\0");
                context.update(&user.0.to_be_bytes());
            }
        }
        let tag = context.sign();
        let mut cut = [0; 16];
        cut.copy_from_slice(&tag.as_ref()[..16]);
        CounterKey(cut)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use cryptopay_domain::ClientAddress;
    use ring::rand::SystemRandom;

    use super::*;

    fn key() -> EncryptionKey {
        EncryptionKey::from_paserk("k4.local.cHFyc3R1dnd4eXp7fH1-f4CBgoOEhYaHiImKi4yNjo8").unwrap()
    }

    fn network(address: &str) -> ClientNetwork {
        ClientAddress::new(address.parse().unwrap()).network()
    }

    #[test]
    fn known_subjects_have_known_counters() {
        // HKDF-SHA256 (RFC 5869) and HMAC-SHA256 (RFC 2104) by Python's own hmac module.
        for (subject, expected) in [
            (AttemptSubject::Account("alice"), "a5efa61b5e63b5ad9ffba09dbb1e5837"),
            (AttemptSubject::AccountFrom("alice", network("192.0.2.1")), "47e7c3cefc79d663714c821ddbfdfecc"),
            (AttemptSubject::Network(network("2001:db8:0:7::1")), "847cf445d0a5462aeeacbe53b420afc2"),
            (AttemptSubject::PasswordChange(UserId(7)), "a501e276ec610eb0570be110777b9b4d"),
        ] {
            assert_eq!(subject.counter_key(&key()).to_string(), expected, "{subject:?}");
        }
    }

    #[test]
    fn no_two_subjects_share_a_counter_and_no_two_keys_count_under_one_name() {
        let (one, other) = (network("192.0.2.1"), network("192.0.2.11"));
        let subjects = [
            AttemptSubject::Account("alice"),
            AttemptSubject::Account("bob"),
            AttemptSubject::Account(""),
            AttemptSubject::Account("192.0.2.1"),
            AttemptSubject::AccountFrom("alice", one),
            AttemptSubject::AccountFrom("alice", other),
            AttemptSubject::AccountFrom("bob", one),
            AttemptSubject::AccountFrom("", one),
            AttemptSubject::Network(one),
            AttemptSubject::Network(other),
            AttemptSubject::PasswordChange(UserId(1)),
            AttemptSubject::PasswordChange(UserId(2)),
        ];
        let another = EncryptionKey::generate(&SystemRandom::new()).unwrap();
        let keys: HashSet<CounterKey> = [key(), another]
            .iter()
            .flat_map(|key| subjects.map(|subject| subject.counter_key(key)))
            .collect();
        assert_eq!(keys.len(), 2 * subjects.len());
    }

    #[test]
    fn a_network_is_one_whatever_address_of_it_is_used() {
        let from = |address| AttemptSubject::AccountFrom("alice", network(address)).counter_key(&key());
        assert_eq!(from("2001:db8:0:7::1"), from("2001:db8:0:7:ffff::9"));
        assert_eq!(from("::ffff:192.0.2.1"), from("192.0.2.1"));
        assert_ne!(from("2001:db8:0:7::1"), from("2001:db8:0:8::1"));
    }
}
